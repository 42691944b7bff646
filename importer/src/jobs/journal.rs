//! Saves how far a job is, and its rejected rows before that.
//!
//! Rejected rows go to objects of their own, the parts, each written once before the checkpoint that counts it. What a
//! crash leaves behind after the last checkpoint is overwritten by whoever goes on. At the end all parts are one report.

use std::time::Duration;

use aws_sdk_s3::Client;
use tokio::time::Instant;

use super::store::{Changes, JobStore};
use super::{Job, JobKey, Parts, Saved};
use crate::aws::service_error;
use crate::checkpoint::Checkpoint;
use crate::error::{Class, Error, StopReason};
use crate::reject::Reject;
use crate::report::{Journal, NDJSON, ObjectWriter, PART_BYTES, put_object};

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
    fn part(&self, number: u32, attempt: u32) -> String {
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

/// The journal of a job that was claimed.
#[derive(Debug)]
pub struct JobJournal {
    store: JobStore,
    s3: Client,
    reports: Reports,
    job: Job,
    save_every: Duration,
    save_at: Instant,
    began: Instant,
    /// Rows that were settled when it was claimed.
    settled_before: u64,
    is_stalled: bool,
    /// The job of which this one is a range, and the range's number.
    range_of: Option<(JobKey, u32)>,
    /// Parts that are written, in their order.
    parts: Vec<Parts>,
    /// Rejected rows that no part holds yet.
    buffer: Vec<u8>,
}

impl JobJournal {
    /// The journal of `job`, which goes on after `saved`. It is saved every `save_every`, or less often if a save costs more than 1 WCU a second.
    pub fn new(
        store: JobStore,
        s3: Client,
        reports: Reports,
        job: Job,
        saved: &Saved,
        save_every: Duration,
    ) -> Self {
        let now = Instant::now();
        Self {
            store,
            s3,
            reports,
            save_every,
            save_at: now + save_every,
            began: now,
            settled_before: saved.checkpoint.counts.rows_settled(),
            is_stalled: true,
            range_of: None,
            parts: saved.parts.clone(),
            buffer: Vec::new(),
            job,
        }
    }

    /// The same for a range of `parent`: it stops when that is to stop.
    #[must_use]
    pub fn of_range(mut self, parent: JobKey, number: u32) -> Self {
        self.range_of = Some((parent, number));
        self
    }

    /// Whether no row was settled since the job was claimed, as far as it is saved.
    pub fn is_stalled(&self) -> bool {
        self.is_stalled
    }

    /// Seconds spent on the job, those of earlier invocations included.
    pub fn duration_seconds(&self) -> f64 {
        self.job.duration_seconds + self.began.elapsed().as_secs_f64()
    }

    async fn write_part(&mut self) -> Result<(), Error> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let written: u32 = self.parts.iter().map(|written| written.parts).sum();
        let attempt = self.job.attempt;
        // An attempt that does not know yet that another has taken over must not write in its place.
        let key = self.reports.part(written + 1, attempt);
        let body = std::mem::take(&mut self.buffer).into();
        put_object(&self.s3, &self.reports.bucket, &key, NDJSON, body).await?;
        match self.parts.last_mut() {
            Some(written) if written.attempt == attempt => written.parts += 1,
            _ => self.parts.push(Parts { attempt, parts: 1 }),
        }
        Ok(())
    }

    async fn write(&mut self, checkpoint: &Checkpoint) -> Result<Option<StopReason>, Error> {
        self.write_part().await?;
        let is_stalled = self.is_stalled && checkpoint.counts.rows_settled() <= self.settled_before;
        let saved = Saved {
            version: Checkpoint::VERSION,
            parts: self.parts.clone(),
            checkpoint: checkpoint.clone(),
        };
        let mut changes = Changes::none()
            .saved(&saved)
            .number("duration_seconds", self.duration_seconds());
        if !is_stalled {
            changes = changes.number("stalled_attempts", 0_u64);
        }
        let updated = self.store.change(&self.job, changes).await?;
        self.is_stalled = is_stalled;
        let at_most_one_wcu = Duration::from_secs_f64(updated.consumed_wcu.max(0.0));
        self.save_at = Instant::now() + self.save_every.max(at_most_one_wcu);
        if updated.job.cancel_requested {
            return Ok(Some(StopReason::Cancelled));
        }
        match &self.range_of {
            Some((parent, range)) => self.wish_of(parent, *range).await,
            None => Ok(None),
        }
    }

    /// Whether the job of which this one is a range wants it to stop.
    async fn wish_of(&self, parent: &JobKey, range: u32) -> Result<Option<StopReason>, Error> {
        let Some(parent) = self.store.get(parent).await? else {
            return Ok(Some(StopReason::Cancelled));
        };
        if let Err(error) = self.store.add_up(&parent).await {
            // Whoever watches sees it later.
            tracing::warn!(error = error.chain(), "the ranges were not added up");
        }
        Ok(if parent.cancel_requested {
            Some(StopReason::Cancelled)
        } else if parent.wants_range(range) {
            None
        } else {
            // It may be wanted again, if the import is taken up again.
            Some(StopReason::Interrupted)
        })
    }

    /// Makes one report of all parts, if there are any, and says where it is.
    ///
    /// # Errors
    ///
    /// [`Error::Service`] or [`Error::Throttled`] if S3 does not do it.
    pub async fn merge(&self) -> Result<Option<String>, Error> {
        let saved = Saved {
            parts: self.parts.clone(),
            ..Saved::default()
        };
        merge(&self.s3, &self.reports, self.reports.parts(&saved)).await
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

impl Journal for JobJournal {
    async fn reject(&mut self, reject: &Reject) -> Result<(), Error> {
        self.buffer.extend_from_slice(reject.to_json().as_bytes());
        self.buffer.push(b'\n');
        if self.buffer.len() >= PART_BYTES {
            self.write_part().await?;
        }
        Ok(())
    }

    fn save_at(&self) -> Option<Instant> {
        Some(self.save_at)
    }

    async fn save(&mut self, checkpoint: &Checkpoint) -> Result<Option<StopReason>, Error> {
        self.write(checkpoint).await
    }

    async fn finish(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        self.write(checkpoint).await.map(drop)
    }

    fn place(&self) -> Option<String> {
        (!self.parts.is_empty()).then(|| self.reports.url(&self.reports.rejects()))
    }
}
