//! A job as it stands in the table of jobs.

use std::cmp::Ordering;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::identity::JobKey;
use super::states::Status;
use crate::event::Seen;
use crate::import::Checkpoint;
use crate::progress::Counts;

/// For how long a claim holds without a save. Its holder stops writing well before.
pub const LEASE: Duration = Duration::from_mins(1);

/// How the holder of a job begins that is a command in a terminal: no message goes on with the job, and no execution.
pub const TERMINAL: &str = "intake-";

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
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is an attribute of the item, and they do not depend on each other"
)]
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
    /// The version of the object that is imported: [`Object::version`](crate::import::Object::version).
    pub version: Option<String>,
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
    /// Invocations that have claimed it: the number of the last claim, which sets it apart from older ones.
    pub attempt: u32,
    /// Attempts to import it since rows were settled last.
    pub stalled_attempts: u32,
    /// How often it was saved: while it is claimed and this does not change, its importer is dead.
    #[serde(default)]
    pub saves: u64,
    /// Until when it is claimed by the claimer's clock, in milliseconds since 1970, unless it is saved again.
    pub lease_until: Option<u64>,
    /// For how long it is claimed without a save.
    pub lease_seconds: Option<u64>,
    /// Who has claimed it: an invocation, or who has the steps of a large import taken.
    pub lease_holder: Option<String>,
    /// The message by which that invocation came.
    pub lease_message: Option<String>,
    /// The last claim, by which the claimer knows it again when the answer was lost.
    pub claim_id: Option<String>,
    /// The last change by its holder, for the same reason.
    pub change_id: Option<String>,
    /// Tells its ranges from those of a job that had its name before.
    pub run: Option<String>,
    /// When it was claimed for the first time, in RFC 3339.
    pub created_at: String,
    /// When it was saved last.
    pub updated_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// What went wrong last, for machines.
    pub code: Option<String>,
    /// What went wrong last.
    pub reason: Option<String>,
    /// What to do about it.
    pub fix: Option<String>,
    /// Where the report of rejected rows is, once it has ended with some.
    pub rejects: Option<String>,
    /// Where the summary is, once it has ended.
    pub summary: Option<String>,
    /// Whether an attempt may have rows under way that its checkpoint does not tell of: it has begun, and not saved the job for
    /// the last time.
    #[serde(default)]
    pub sends: bool,
    /// Whether somebody wants it to stop.
    #[serde(default)]
    pub cancel_requested: bool,
    /// Whether its end was published.
    #[serde(default)]
    pub notified: bool,
    /// Who publishes its end.
    pub publisher: Option<String>,
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

    /// For how long at most its rows wait for older requests of their keys that may still be carried out, if they do.
    pub fn waits_for(&self, now: SystemTime) -> Option<Duration> {
        let until = self.saved().checkpoint.waits_until_ms?;
        let until = SystemTime::UNIX_EPOCH + Duration::from_millis(until);
        let left = until.duration_since(now).ok();
        left.filter(|left| self.status == Status::Running && !left.is_zero())
    }

    /// What it has done if nothing goes on with it: every row that it is known to have written.
    pub(crate) fn counts_at_end(&self) -> Counts {
        if self.status.is_ended() {
            return self.counts;
        }
        match self.saved() {
            // Saved in another way, or not at all.
            saved if saved.checkpoint == Checkpoint::default() => self.counts,
            saved => saved.checkpoint.counts_at_end(),
        }
    }

    /// Compares jobs by the times of their uploads, and those of one second by when they began.
    pub fn by_time(&self, other: &Self) -> Ordering {
        let time = |job: &Self| job.job.split('-').next().map(str::to_owned);
        let by_time = time(self).cmp(&time(other));
        by_time.then_with(|| self.created_at.cmp(&other.created_at))
    }

    /// How it stands, for a message that waits for it.
    pub fn seen(&self) -> Seen {
        Seen {
            job: self.job.clone(),
            attempt: self.attempt,
            saves: self.saves,
            updated_at: self.updated_at.clone(),
            waited_seconds: 0,
            publisher: self.publisher.clone(),
        }
    }

    /// Whether a command in a terminal has its steps taken, or had when it ended: the same command goes on with it, and nothing
    /// else does.
    pub fn is_of_terminal(&self) -> bool {
        let holder = self.lease_holder.as_deref().unwrap_or_default();
        self.lease_message.is_none() && holder.starts_with(TERMINAL)
    }

    /// For how long it is claimed without a save.
    pub fn lease(&self) -> Duration {
        self.lease_seconds.map_or(LEASE, Duration::from_secs)
    }

    /// For how long nothing must change until it may be taken over: a request of the importer that had it may be under way
    /// when the lease ends.
    pub fn takeover(&self) -> Duration {
        self.lease() + cloud::CONNECT_TIMEOUT + cloud::READ_TIMEOUT
    }

    /// The name of one of its ranges.
    pub fn range_key(&self, number: u32) -> JobKey {
        JobKey::range(&self.job, self.run.as_deref(), number)
    }

    /// Whether a range of it is to be imported: it is neither to stop, nor will it fail at a row before.
    pub fn wants_range(&self, number: u32) -> bool {
        let fails_before = self.failed_range.is_some_and(|failed| failed < number);
        !(self.cancel_requested || self.status.is_ended() || fails_before)
    }

    /// The object, as `s3://bucket/key`, for people.
    pub fn url(&self) -> String {
        rows::prose(&format!("s3://{}/{}", self.bucket, self.key))
    }
}
