//! Where a job's reports are, and the report of rejected rows that all of its parts make.

use aws_sdk_s3::Client;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use rows::Position;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::job::Saved;
use crate::aws::service_error;
use crate::error::{Class, Error, StopReason};
use crate::import::ObjectWriter;
use crate::import::object_writer::{UPLOAD_PART_BYTES_MIN, put_object};

/// Parts that are asked for at once: those that are read have less than 5 MiB each.
const PARTS_AHEAD: usize = 4;

/// Where the reports of a job are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reports {
    /// Their bucket: the file's.
    pub bucket: String,
    /// Their prefix.
    pub prefix: String,
}

impl Reports {
    /// The key of a part of that report, counted from 1, that an attempt has written.
    pub(super) fn part(&self, number: u32, attempt: u32) -> String {
        format!("{}parts/{number:06}-{attempt}.jsonl", self.prefix)
    }

    /// The keys of the parts that belong to what was saved.
    pub(crate) fn parts(&self, saved: &Saved) -> Vec<String> {
        let attempts = saved
            .parts
            .iter()
            .flat_map(|written| std::iter::repeat_n(written.attempt, written.parts as usize));
        (1..)
            .zip(attempts)
            .map(|(number, attempt)| self.part(number, attempt))
            .collect()
    }

    /// The key of the report of rejected rows.
    pub fn rejects(&self) -> String {
        format!("{}rejects.jsonl", self.prefix)
    }

    /// The key of the list of that report's parts, where it could not be made one object.
    pub fn rejected_parts(&self) -> String {
        format!("{}rejects.parts.json", self.prefix)
    }

    /// The key of the summary.
    pub fn summary(&self) -> String {
        format!("{}summary.json", self.prefix)
    }

    /// A key's name, as `s3://bucket/key`.
    pub fn url(&self, key: &str) -> String {
        url(&self.bucket, key)
    }
}

/// How to make the report of rejected rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Merging {
    /// When it must be there.
    pub(crate) until: Instant,
    /// Whether the parts are listed if that cannot be: it would not be there the next time either.
    pub(crate) or_list: bool,
}

impl Merging {
    /// Makes the report of rejected rows of all `parts`, if there are any, or a list of them, and says where it is.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`] if there was no time for it, [`Error::Service`] or [`Error::Throttled`] if S3 does not do it.
    pub(crate) async fn merge(
        self,
        s3: &Client,
        reports: &Reports,
        parts: Vec<String>,
    ) -> Result<Option<String>, Error> {
        if parts.is_empty() {
            return Ok(None);
        }
        let problem = match timeout_at(self.until, merge(s3, reports, &parts)).await {
            Ok(Ok(Some(report))) => return Ok(Some(report)),
            Ok(Ok(None)) => "it has too many parts for one object",
            Ok(Err(error)) => return Err(error),
            Err(_) if self.or_list => "there was no time to put it together",
            Err(_) => {
                return Err(Error::Stopped {
                    position: Position::default(),
                    why: StopReason::Deadline,
                });
            }
        };
        tracing::warn!(
            parts = parts.len(),
            problem,
            "the report of rejected rows is a list of its parts"
        );
        list(s3, reports, &parts).await.map(Some)
    }
}

/// Makes one object of all `parts`, unless S3 has no objects of so many parts.
///
/// What is large enough is copied by S3. Smaller parts, of which every save may have made one, are read and sent together.
async fn merge(s3: &Client, reports: &Reports, parts: &[String]) -> Result<Option<String>, Error> {
    let bucket = &reports.bucket;
    let mut report = ObjectWriter::new(s3.clone(), bucket.clone(), reports.rejects());
    let mut pieces = stream::iter(parts.to_vec())
        .map(|key| small_part(s3, bucket, key))
        .buffered(PARTS_AHEAD);
    let mut keys = parts.iter();
    while let (Some(piece), Some(key)) = (pieces.try_next().await?, keys.next()) {
        let is_done = match piece {
            Some(bytes) => report.write(&bytes).await?,
            None if report.can_copy() => report.copy(key).await?,
            None => report.write(&get(s3, bucket, key).await?).await?,
        };
        if !is_done {
            return Ok(None);
        }
    }
    report.close().await
}

/// A part of the report that must be read to become part of a larger object; none if S3 can copy it.
async fn small_part(s3: &Client, bucket: &str, key: String) -> Result<Option<Bytes>, Error> {
    let head = s3.head_object().bucket(bucket).key(&key).send().await;
    let head = head.map_err(|e| service_error("HeadObject", &url(bucket, &key), e))?;
    let bytes = usize::try_from(head.content_length().unwrap_or_default());
    if bytes.is_ok_and(|bytes| bytes >= UPLOAD_PART_BYTES_MIN) {
        return Ok(None);
    }
    get(s3, bucket, &key).await.map(Some)
}

async fn get(s3: &Client, bucket: &str, key: &str) -> Result<Bytes, Error> {
    let got = s3.get_object().bucket(bucket).key(key).send().await;
    let got = got.map_err(|e| service_error("GetObject", &url(bucket, key), e))?;
    let body = got.body.collect().await.map_err(|e| Error::Service {
        operation: "GetObject",
        problem: format!("the answer broke off for {}", url(bucket, key)),
        class: Class::Retry,
        fix: String::new(),
        source: Some(Box::new(e)),
    })?;
    Ok(body.into_bytes())
}

/// Lists the parts in place of the report.
async fn list(s3: &Client, reports: &Reports, parts: &[String]) -> Result<String, Error> {
    let key = reports.rejected_parts();
    let parts: Vec<String> = parts.iter().map(|key| reports.url(key)).collect();
    let list = json!({ "parts": parts }).to_string().into_bytes();
    put_object(s3, &reports.bucket, &key, "application/json", list.into()).await?;
    Ok(reports.url(&key))
}

fn url(bucket: &str, key: &str) -> String {
    format!("s3://{bucket}/{key}")
}
