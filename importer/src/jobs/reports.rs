//! Where a job's reports are, and the report of rejected rows that all of its parts make.

use aws_sdk_s3::Client;

use super::job::Saved;
use crate::aws::service_error;
use crate::error::{Class, Error};
use crate::import::ObjectWriter;

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

    /// The key of the summary.
    pub fn summary(&self) -> String {
        format!("{}summary.json", self.prefix)
    }

    /// A key's name, as `s3://bucket/key`.
    pub fn url(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }
}

/// Makes the report of rejected rows of all `parts`, if there are any, and says where it is.
pub(crate) async fn merge(
    s3: &Client,
    reports: &Reports,
    parts: impl IntoIterator<Item = String>,
) -> Result<Option<String>, Error> {
    let mut parts = parts.into_iter().peekable();
    if parts.peek().is_none() {
        return Ok(None);
    }
    let bucket = &reports.bucket;
    let mut report = ObjectWriter::new(s3.clone(), bucket.clone(), reports.rejects());
    for key in parts {
        let url = reports.url(&key);
        let mut part = s3
            .get_object()
            .bucket(bucket)
            .key(&key)
            .send()
            .await
            .map_err(|e| service_error("GetObject", &url, e))?;
        while let Some(bytes) = part.body.try_next().await.map_err(|e| Error::Service {
            operation: "GetObject",
            problem: format!("the answer broke off for {url}"),
            class: Class::Retry,
            fix: String::new(),
            source: Some(Box::new(e)),
        })? {
            report.write(&bytes).await?;
        }
    }
    report.close().await.map(Some)
}
