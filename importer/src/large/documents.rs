//! What the steps of one job hand on: small JSON documents beside its reports.
//!
//! They stay when the job has ended, to show how an object was cut, until the bucket's lifecycle removes the
//! reports.

use aws_sdk_s3::Client;
use rows::Position;
use rows::split::{Scan, Syntax};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::aws::service_error;
use crate::error::{Class, Error};
use crate::function::Context;
use crate::import::object_writer::put_object;
use crate::jobs::{Job, JobKey, Reports};

/// The documents of a job.
#[derive(Debug)]
pub(super) struct StepDocuments {
    s3: Client,
    pub(super) reports: Reports,
}

/// How an object is cut into ranges, but for the ranges.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Split {
    pub(super) etag: Option<String>,
    pub(super) size_bytes: u64,
    pub(super) syntax: Syntax,
    /// The first row.
    pub(super) first: Position,
}

/// A range of bytes, to be scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ByteRange {
    pub(super) range: u32,
    pub(super) begin: u64,
    pub(super) end: u64,
}

/// The scan of a range.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Scanned {
    #[serde(flatten)]
    pub(super) range: ByteRange,
    pub(super) etag: Option<String>,
    pub(super) scan: Scan,
}

/// A range of rows, to be imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RowRange {
    pub(super) range: u32,
    /// The first row; none if it is the whole object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<Position>,
    /// The byte after the last row, if that is not the object's last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<u64>,
    /// How many rows there are, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rows: Option<u64>,
}

impl RowRange {
    /// All of an object.
    pub(super) fn whole() -> Self {
        Self {
            range: 0,
            from: None,
            until: None,
            rows: None,
        }
    }
}

/// The job of a large object, and its documents.
pub(super) async fn of(context: &Context, key: &JobKey) -> Result<(Job, StepDocuments), Error> {
    let job = context.jobs.get(key).await?;
    let job = job.ok_or_else(|| Error::Unusable {
        problem: format!("there is no job {} of {}", key.job, key.owner),
        fix: "begin with the step plan; check INTAKE_JOBS_TABLE".to_owned(),
    })?;
    let documents = StepDocuments::new(context, &job);
    Ok((job, documents))
}

impl StepDocuments {
    pub(super) fn new(context: &Context, job: &Job) -> Self {
        Self {
            s3: context.s3.clone(),
            reports: context.reports(job),
        }
    }

    /// What there is to scan, or to import if there is nothing to scan: items for the state machine.
    pub(super) fn plan(&self) -> String {
        format!("{}plan.json", self.reports.prefix)
    }

    /// The [`Split`].
    pub(super) fn split(&self) -> String {
        format!("{}split.json", self.reports.prefix)
    }

    /// The [`Scanned`] of a range.
    pub(super) fn scan(&self, range: u32) -> String {
        format!("{}scan/{range:06}.json", self.reports.prefix)
    }

    /// What there is to import: items for the state machine.
    pub(super) fn ranges(&self) -> String {
        format!("{}ranges.json", self.reports.prefix)
    }

    /// What became of the objects under a prefix, a line each.
    pub(super) fn objects(&self) -> String {
        format!("{}objects.jsonl", self.reports.prefix)
    }

    /// The reports of a range.
    pub(super) fn of_range(&self, range: u32) -> Reports {
        Reports {
            bucket: self.reports.bucket.clone(),
            prefix: format!("{}ranges/{range:06}/", self.reports.prefix),
        }
    }

    /// Where a document is, for the state machine.
    pub(super) fn place(&self, key: &str) -> Value {
        json!({ "bucket": self.reports.bucket, "key": key })
    }

    pub(super) async fn write(&self, key: &str, document: &impl Serialize) -> Result<(), Error> {
        let json = serde_json::to_vec(document).map_err(|e| unreadable("PutObject", key, &e))?;
        let bucket = &self.reports.bucket;
        put_object(&self.s3, bucket, key, "application/json", json.into()).await
    }

    pub(super) async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<T, Error> {
        let url = self.reports.url(key);
        let got = self
            .s3
            .get_object()
            .bucket(&self.reports.bucket)
            .key(key)
            .send()
            .await
            .map_err(|e| service_error("GetObject", &url, e))?;
        let body = got.body.collect().await.map_err(|e| Error::Service {
            operation: "GetObject",
            problem: format!("the answer broke off for {url}"),
            class: Class::Retry,
            fix: String::new(),
            source: Some(Box::new(e)),
        })?;
        serde_json::from_slice(&body.into_bytes()).map_err(|e| unreadable("GetObject", &url, &e))
    }
}

fn unreadable(operation: &'static str, url: &str, error: &serde_json::Error) -> Error {
    Error::Service {
        operation,
        problem: format!("{url} is not what a step writes ({error})"),
        class: Class::Fatal,
        fix: "only Intake may write under the report prefix; import the object again".to_owned(),
        source: None,
    }
}
