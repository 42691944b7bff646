//! A job: how it is named, and how it stands in the table of jobs.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::states::Status;
use crate::event::ObjectCreated;
use crate::import::Checkpoint;
use crate::progress::Counts;

/// The owner of jobs whose file was put by nobody who signed in.
pub const NOBODY: &str = "-";

/// What a job is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobKey {
    /// Who uploaded the file: a Cognito identity, or [`NOBODY`].
    pub owner: String,
    /// The job's name, which is in the order of the uploads' times.
    pub job: String,
}

impl JobKey {
    /// The job that imports an object: the same for the same event however often it comes, and another for another version.
    pub fn of(created: &ObjectCreated) -> Self {
        Self {
            owner: owner(&created.key).unwrap_or(NOBODY).to_owned(),
            job: job_id(created),
        }
    }

    /// The job that imports a range of the job `job`. The owner is none that anybody signs in as.
    pub fn range(job: &str, number: u32) -> Self {
        Self {
            owner: format!("ranges/{job}"),
            job: format!("{number:06}"),
        }
    }

    /// The prefix of the job's reports, below that of all reports. The owner is in it so that IAM can tell owners apart.
    pub fn report_prefix(&self, reports: &str) -> String {
        match self.owner.as_str() {
            NOBODY => format!("{reports}{}/", self.job),
            owner => format!("{reports}{owner}/{}/", self.job),
        }
    }
}

/// The Cognito identity in `uploads/<identity>/…`: a Region and a UUID.
///
/// <https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_GetId.html>
fn owner(key: &str) -> Option<&str> {
    let (identity, _) = key.strip_prefix("uploads/")?.split_once('/')?;
    let (region, uuid) = identity.split_once(':')?;
    let is_region = region
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let is_uuid = uuid.len() == 36 && uuid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    (is_region && !region.is_empty() && is_uuid).then_some(identity)
}

fn job_id(created: &ObjectCreated) -> String {
    let mut hash = Sha256::new();
    let version = created.version_id.as_ref().or(created.etag.as_ref());
    for part in [
        Some(&created.bucket),
        Some(&created.key),
        version,
        created.sequencer.as_ref(),
    ] {
        hash.update(part.map_or("", String::as_str));
        hash.update([0]);
    }
    let digest = hash.finalize();
    // Eight bytes tell the objects of one moment apart.
    let hash = digest[..8]
        .iter()
        .fold(0, |hash, byte| hash << 8 | u64::from(*byte));
    let time = created.time.as_deref().unwrap_or_default();
    let time: String = time.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{time}-{hash:016x}")
}

/// How a job of the state machine's is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// In ranges.
    Split,
    /// In one piece.
    Whole,
    /// It is every object under a prefix, each with a job of its own.
    Prefix,
}

impl Mode {
    /// The mode's name, as it stands in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Whole => "whole",
            Self::Prefix => "prefix",
        }
    }
}

/// A job as it stands in the table of jobs. Counts are those of settled rows, as of the last time it was saved.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Job {
    /// Who uploaded the file.
    pub owner: String,
    /// The job's name.
    pub job: String,
    /// Where it is on its way.
    pub status: Status,
    /// The object's bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The `ETag` of what is imported, once it is known.
    pub etag: Option<String>,
    /// The table that is written to.
    pub table: String,
    /// The object's size.
    pub bytes_total: Option<u64>,
    /// The counters.
    #[serde(flatten)]
    pub counts: Counts,
    /// Seconds spent on it so far, over all invocations.
    #[serde(default)]
    pub duration_seconds: f64,
    /// Invocations that have claimed it: the number of the last claim, by which an older one is told from it.
    pub attempt: u32,
    /// Claims since it got on last.
    pub stalled_attempts: u32,
    /// Until when it is claimed, in milliseconds since 1970.
    pub lease_until: Option<u64>,
    /// The invocation that has claimed it.
    pub lease_holder: Option<String>,
    /// The message by which that invocation came.
    pub lease_message: Option<String>,
    /// When it was claimed for the first time, in RFC 3339.
    pub created_at: String,
    /// When it was saved last.
    pub updated_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// What went wrong last.
    pub reason: Option<String>,
    /// What to do about it.
    pub fix: Option<String>,
    /// Where the report of rejected rows is, once it has ended with some.
    pub rejects: Option<String>,
    /// Where the summary is, once it has ended.
    pub summary: Option<String>,
    /// Whether somebody wants it to stop.
    #[serde(default)]
    pub cancel_requested: bool,
    /// Whether its end has been told.
    #[serde(default)]
    pub notified: bool,
    /// The format that was found or given.
    pub format: Option<String>,
    /// The compression that was found.
    pub compression: Option<String>,
    /// How it is imported, if in ranges.
    pub mode: Option<Mode>,
    /// Why it is not cut, if it is not.
    pub why: Option<String>,
    /// Bytes of a range.
    pub range_bytes: Option<u64>,
    /// How many ranges it has, once that is known.
    pub ranges: Option<u32>,
    /// The first range that has failed. Those after it are not wanted any more.
    pub failed_range: Option<u32>,
    /// Whether it has failed because it was given up, so that it may be taken up again.
    #[serde(default)]
    pub gave_up: bool,
    /// How far it is: a [`Saved`] as JSON.
    checkpoint: Option<String>,
}

/// A checkpoint as it stands in the table of jobs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// [`Checkpoint::VERSION`] of whoever saved it.
    pub version: u32,
    /// Parts of the report of rejected rows that belong to it, in their order.
    pub parts: Vec<ReportParts>,
    /// Whether reading goes on with the checkpoint's row.
    pub checkpoint: Checkpoint,
}

/// Parts of a report of rejected rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportParts {
    /// The attempt that has written them.
    pub attempt: u32,
    /// How many.
    pub parts: u32,
}

impl Job {
    /// What the job is called.
    pub fn job_key(&self) -> JobKey {
        JobKey {
            owner: self.owner.clone(),
            job: self.job.clone(),
        }
    }

    /// Where the job is to go on: at its beginning if nothing is saved, or only by a version that spread rows in another way.
    pub fn saved(&self) -> Saved {
        let saved = self.checkpoint.as_deref();
        let saved: Option<Saved> = saved.and_then(|json| serde_json::from_str(json).ok());
        saved
            .filter(|saved| saved.version == Checkpoint::VERSION)
            .unwrap_or_default()
    }

    /// Whether a range of it is to be imported: it is neither to stop, nor will it fail at a row before.
    pub fn wants_range(&self, number: u32) -> bool {
        let fails_before = self.failed_range.is_some_and(|failed| failed < number);
        !(self.cancel_requested || self.status.is_ended() || fails_before)
    }

    /// The object, as `s3://bucket/key`.
    pub fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_cognito_identities() {
        let identity = "eu-west-1:12345678-1234-1234-1234-123456789012";
        for (key, expected) in [
            (format!("uploads/{identity}/a.csv"), identity),
            (format!("uploads/{identity}/b/a.csv"), identity),
            (format!("uploads/{identity}"), NOBODY),
            (format!("other/{identity}/a.csv"), NOBODY),
            ("uploads/a.csv".to_owned(), NOBODY),
            ("uploads/a:b/a.csv".to_owned(), NOBODY),
            ("uploads/2026/a.csv".to_owned(), NOBODY),
        ] {
            let created = ObjectCreated {
                bucket: "b".to_owned(),
                key: key.clone(),
                version_id: None,
                etag: None,
                sequencer: None,
                time: None,
            };
            assert_eq!(JobKey::of(&created).owner, expected, "{key}");
        }
    }

    #[test]
    fn a_job_is_named_by_time_and_object() {
        let created = ObjectCreated {
            bucket: "b".to_owned(),
            key: "uploads/a.json".to_owned(),
            version_id: None,
            etag: Some("e".to_owned()),
            sequencer: Some("01".to_owned()),
            time: Some("2026-11-23T10:00:00.000Z".to_owned()),
        };
        let job = JobKey::of(&created).job;
        assert!(job.starts_with("20261123T100000000Z-"), "{job}");
        assert_eq!(job, JobKey::of(&created.clone()).job);
        let others = [
            ObjectCreated {
                etag: Some("f".to_owned()),
                ..created.clone()
            },
            ObjectCreated {
                version_id: Some("v".to_owned()),
                ..created.clone()
            },
            ObjectCreated {
                key: "uploads/b.json".to_owned(),
                ..created.clone()
            },
            ObjectCreated {
                sequencer: Some("02".to_owned()),
                ..created
            },
        ];
        for other in others {
            assert_ne!(job, JobKey::of(&other).job);
        }
    }

    #[test]
    fn reports_of_different_owners_have_different_prefixes() {
        let key = |owner: &str| JobKey {
            owner: owner.to_owned(),
            job: "j".to_owned(),
        };
        assert_eq!(key("-").report_prefix("reports/"), "reports/j/");
        assert_eq!(key("r:1").report_prefix("reports/"), "reports/r:1/j/");
    }
}
