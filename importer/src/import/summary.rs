//! How an import ended.

use std::fmt;
use std::time::Duration;

use rows::Position;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::progress::Counts;

/// An import's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Every row is written or superseded.
    Completed,
    /// Every row is written, superseded or in the report of rejects.
    CompletedWithRejects,
    /// The import did not get to the end of its file, or lost a row.
    Failed,
    /// Somebody has cancelled the import.
    Cancelled,
}

/// What an import did, as it stands in `summary.json`.
///
/// `rows_read = rows_written + rows_superseded + rows_rejected + rows_unsettled`, and `rows_unsettled` is 0 unless the
/// status is [`Status::Failed`] or [`Status::Cancelled`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How it ended.
    pub status: Status,
    /// The file: a path, `-`, or `s3://bucket/key`.
    pub source: String,
    /// The job, if the import is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Invocations that the job took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// The table.
    pub table: String,
    /// The format that was found or given: `json`, `jsonl`, `ddb-json` or `csv`.
    pub format: Option<String>,
    /// The compression that was found: `none`, `gzip` or `zstd`.
    pub compression: Option<String>,
    /// The counters.
    #[serde(flatten)]
    pub counts: Counts,
    /// Rows that were read and not settled, because the import broke off: they waited to be sent, or for an answer.
    pub rows_unsettled: u64,
    /// Seconds from begin to end.
    pub duration_seconds: f64,
    /// Where the report of rejected rows is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejects: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// Why an import failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// What it is, for machines: [`Error::code`]. Empty if that is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// Where in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code().to_owned(),
            message: error.chain(),
            fix: error.fix().map(rows::prose),
            position: error.position(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.fix {
            Some(fix) => write!(f, " (fix: {fix})"),
            None => Ok(()),
        }
    }
}

impl Summary {
    /// The summary of an import that failed before its first row.
    pub fn not_begun(source: String, table: String, error: &Error, duration: Duration) -> Self {
        Self {
            status: Status::Failed,
            source,
            job: None,
            attempts: None,
            table,
            format: None,
            compression: None,
            counts: Counts::default(),
            rows_unsettled: 0,
            duration_seconds: duration.as_secs_f64(),
            rejects: None,
            failure: Some(Failure::from(error)),
        }
    }

    /// The summary as indented JSON.
    ///
    /// # Panics
    ///
    /// Never: all of it is plain data.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a summary is plain JSON")
    }
}
