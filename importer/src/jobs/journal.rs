//! Saves how far a job is, and its rejected rows before that.
//!
//! Rejected rows go to objects of their own, the parts, each written once before the checkpoint that counts it. What a
//! crash leaves behind after the last checkpoint is overwritten by whoever goes on. At the end all parts are one report.

use std::time::Duration;

use aws_sdk_s3::Client;
use bytes::Bytes;
use rows::Reject;
use tokio::time::Instant;

use super::identity::JobKey;
use super::job::{Job, ReportParts, Saved};
use super::reports::{Merging, Reports};
use super::store::JobStore;
use super::update::Changes;
use crate::error::{Class, Error, StopReason};
use crate::import::object_writer::{NDJSON, PART_BYTES, put_object};
use crate::import::{Checkpoint, Journal};
use crate::retry::{Attempts, Jitter, RetryPolicy};

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
    /// Until when a save that fails is tried again.
    until: Option<Instant>,
    jitter: Jitter,
    /// Rows that were done when it was claimed.
    done_before: u64,
    is_stalled: bool,
    /// The job of which this one is a range, who has its steps taken, and the range's number.
    range_of: Option<(JobKey, Option<String>, u32)>,
    /// Parts that are written, in their order.
    parts: Vec<ReportParts>,
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
            until: None,
            jitter: Jitter::new(None),
            done_before: saved.checkpoint.rows_done(),
            is_stalled: true,
            range_of: None,
            parts: saved.parts.clone(),
            buffer: Vec::new(),
            job,
        }
    }

    /// The same for a range of `parent`: it stops when that is to stop.
    #[must_use]
    pub fn of_range(mut self, parent: &Job, number: u32) -> Self {
        self.range_of = Some((parent.job_key(), parent.lease_holder.clone(), number));
        self
    }

    /// The same for an invocation that must have saved the job at `until`: no save is tried again after that.
    #[must_use]
    pub fn until(mut self, until: Instant) -> Self {
        self.until = Some(until);
        self
    }

    /// Whether no row was written or rejected since the job was claimed, as far as it is saved.
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
        let body = Bytes::from(std::mem::take(&mut self.buffer));
        let put = || {
            put_object(
                &self.s3,
                &self.reports.bucket,
                &key,
                NDJSON,
                body.clone().into(),
            )
        };
        self.again("PutObject", put).await?;
        match self.parts.last_mut() {
            Some(written) if written.attempt == attempt => written.parts += 1,
            _ => self.parts.push(ReportParts { attempt, parts: 1 }),
        }
        Ok(())
    }

    /// Makes a call of a save, and makes it again for as long as a write of rows: else a table of jobs that is throttled for a
    /// few seconds would end the attempt.
    async fn again<T, F: Future<Output = Result<T, Error>>>(
        &self,
        operation: &'static str,
        call: impl Fn() -> F,
    ) -> Result<T, Error> {
        let mut attempts = Attempts::new(RetryPolicy::default(), &self.jitter);
        loop {
            let error = match call().await {
                Ok(done) => return Ok(done),
                Err(error) => match error.class() {
                    // What is saved twice is the same.
                    Class::Retry | Class::Unanswered => error,
                    Class::RejectRow | Class::Fatal => return Err(error),
                },
            };
            let Some(wait) = attempts.failed() else {
                return Err(Error::RetriesExhausted {
                    operation,
                    attempts: attempts.count(),
                    elapsed: attempts.elapsed(),
                    rows_unwritten: 0,
                    source: Box::new(error),
                });
            };
            if self
                .until
                .is_some_and(|until| Instant::now() + wait >= until)
            {
                return Err(error);
            }
            tracing::warn!(operation, attempt = attempts.count(), ?wait, %error, "saving again");
            tokio::time::sleep(wait).await;
        }
    }

    async fn write(
        &mut self,
        checkpoint: &Checkpoint,
        is_last: bool,
    ) -> Result<Option<StopReason>, Error> {
        self.write_part().await?;
        let is_stalled = self.is_stalled && checkpoint.rows_done() <= self.done_before;
        let saved = Saved {
            version: Checkpoint::VERSION,
            parts: self.parts.clone(),
            checkpoint: checkpoint.clone(),
        };
        let changes = || {
            let changes = Changes::none()
                .saved(&saved)
                .flag("sends", !is_last)
                .number("duration_seconds", self.duration_seconds());
            if is_stalled {
                changes
            } else {
                changes.number("stalled_attempts", 0_u64)
            }
        };
        let change = || self.store.change(&self.job, changes());
        let updated = self.again("UpdateItem", change).await?;
        self.is_stalled = is_stalled;
        let at_most_one_wcu = Duration::from_secs_f64(updated.consumed_wcu.max(0.0));
        self.save_at = Instant::now() + self.save_every.max(at_most_one_wcu);
        if updated.job.cancel_requested {
            return Ok(Some(StopReason::Cancelled));
        }
        match &self.range_of {
            Some((parent, executor, range)) => {
                let asked = || self.stop_asked_by(parent, executor.as_deref(), *range);
                self.again("GetItem", asked).await
            }
            None => Ok(None),
        }
    }

    /// Whether the job of which this one is a range wants it to stop.
    async fn stop_asked_by(
        &self,
        parent: &JobKey,
        executor: Option<&str>,
        range: u32,
    ) -> Result<Option<StopReason>, Error> {
        let Some(parent) = self.store.get(parent).await? else {
            return Ok(Some(StopReason::Cancelled));
        };
        if parent.lease_holder.as_deref() != executor {
            return Ok(Some(StopReason::LeaseLost));
        }
        if let Err(error) = self.store.add_up(&parent).await {
            // The next save adds them up.
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
    /// As for [`Merging::merge`].
    pub(crate) async fn merge(&self, merging: Merging) -> Result<Option<String>, Error> {
        let saved = Saved {
            parts: self.parts.clone(),
            ..Saved::default()
        };
        merging
            .merge(&self.s3, &self.reports, self.reports.parts(&saved))
            .await
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
        self.write(checkpoint, false).await
    }

    async fn finish(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        self.write(checkpoint, true).await.map(drop)
    }

    fn place(&self) -> Option<String> {
        (!self.parts.is_empty()).then(|| self.reports.url(&self.reports.rejects()))
    }
}
