//! Saves how far a job is, and its rejected rows before that.
//!
//! Rejected rows go to objects of their own, the parts, each written once before the checkpoint that counts it. What a
//! crash leaves behind after the last checkpoint is overwritten by whoever goes on. At the end all parts are one report.

use std::time::Duration;

use aws_sdk_s3::Client;
use tokio::time::Instant;

use super::store::{Changes, JobStore};
use super::{Job, Saved};
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
    fn part(&self, number: u32) -> String {
        format!("{}parts/{number:06}.jsonl", self.prefix)
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
    parts: u32,
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
            parts: saved.parts,
            buffer: Vec::new(),
            job,
        }
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
        let key = self.reports.part(self.parts + 1);
        let body = std::mem::take(&mut self.buffer).into();
        put_object(&self.s3, &self.reports.bucket, &key, NDJSON, body).await?;
        self.parts += 1;
        Ok(())
    }

    async fn write(&mut self, checkpoint: &Checkpoint) -> Result<Option<StopReason>, Error> {
        self.write_part().await?;
        let is_stalled = self.is_stalled && checkpoint.counts.rows_settled() <= self.settled_before;
        let saved = Saved {
            version: Checkpoint::VERSION,
            parts: self.parts,
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
        Ok(updated
            .job
            .cancel_requested
            .then_some(StopReason::Cancelled))
    }

    /// Makes one report of all parts, if there are any, and says where it is.
    ///
    /// # Errors
    ///
    /// [`Error::Service`] or [`Error::Throttled`] if S3 does not do it.
    pub async fn merge(&self) -> Result<Option<String>, Error> {
        if self.parts == 0 {
            return Ok(None);
        }
        let bucket = &self.reports.bucket;
        let mut report = ObjectWriter::new(self.s3.clone(), bucket.clone(), self.reports.rejects());
        for number in 1..=self.parts {
            let key = self.reports.part(number);
            let url = self.reports.url(&key);
            let mut part = self
                .s3
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
        (self.parts > 0).then(|| self.reports.url(&self.reports.rejects()))
    }
}
