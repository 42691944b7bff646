//! The step `import`: ranges of rows, one after the other, each a job of its own.

use serde_json::Value;
use tokio::time::Instant;

use super::papers::{Papers, RowRange};
use super::{Work, item};
use crate::error::Error;
use crate::event::ObjectCreated;
use crate::jobs::store::{Claim, Lease};
use crate::jobs::{Job, JobKey, Status};
use crate::lambda::attempt::{Attempt, Deadlines, Outcome, Range};
use crate::lambda::{Importer, Invocation};

/// What became of a range for now.
enum Left {
    /// Nothing of it is to be done any more.
    Done,
    /// There was no time for the rest.
    Rest,
}

impl Importer {
    pub(super) async fn ranges(&self, work: Work, invocation: &Invocation) -> Result<Value, Error> {
        let deadlines = Deadlines::new(invocation.deadline);
        let lease = Lease {
            holder: work
                .holder
                .clone()
                .unwrap_or_else(|| invocation.request_id.clone()),
            message: None,
            until: invocation.deadline,
        };
        for (done, range) in work.items.iter().enumerate() {
            let range: RowRange = item(range)?;
            let left = if Instant::now() < deadlines.stop_reading {
                self.range(&work.name.key(), range, &lease, deadlines)
                    .await?
            } else {
                Left::Rest
            };
            if matches!(left, Left::Rest) {
                return Ok(work.answer("import", done));
            }
        }
        let all = work.items.len();
        Ok(work.answer("import", all))
    }

    async fn range(
        &self,
        parent: &JobKey,
        range: RowRange,
        lease: &Lease,
        deadlines: Deadlines,
    ) -> Result<Left, Error> {
        let parent = self.large_job(parent).await?;
        let number = range.range;
        if !parent.wants_range(number) {
            return Ok(Left::Done);
        }
        let created = ObjectCreated {
            bucket: parent.bucket.clone(),
            key: parent.key.clone(),
            version_id: None,
            etag: parent.etag.clone(),
            sequencer: None,
            time: None,
        };
        let key = JobKey::range(&parent.job, number);
        let claim = self
            .jobs
            .claim_as(&key, &created, &self.config.table, lease);
        let ended = match claim.await? {
            Claim::Mine(job) => {
                let attempt = Attempt {
                    created: &created,
                    is_bare: false,
                    reports: Papers::new(self.s3.clone(), self.reports(&parent)).of_range(number),
                    job: *job,
                    deadlines,
                    began: Instant::now(),
                    range: Some(Range {
                        parent: parent.job_key(),
                        number,
                        etag: parent.etag.clone(),
                        from: range.from,
                        until: range.until,
                        rows: range.rows,
                    }),
                };
                match Box::pin(self.attempt_range(attempt)).await? {
                    Some(ended) => ended,
                    None => return Ok(Left::Rest),
                }
            }
            Claim::Busy(_) => return Err(Error::LeaseLost),
            Claim::Ended(job) => *job,
        };
        if ended.status == Status::Failed {
            self.jobs.range_failed(&parent.job_key(), number).await?;
        }
        Ok(Left::Done)
    }

    /// Imports a range as far as there is time, and gives its job if it has ended.
    async fn attempt_range(&self, attempt: Attempt<'_>) -> Result<Option<Job>, Error> {
        let mut outcome = self.import(&attempt).await;
        let left = outcome.left.take();
        let ended = Box::pin(self.conclude_range(attempt, outcome)).await;
        if let Some(left) = left {
            left.wait().await;
        }
        ended
    }

    /// Leaves a range's job as it is to be left after an attempt.
    async fn conclude_range(
        &self,
        attempt: Attempt<'_>,
        outcome: Outcome,
    ) -> Result<Option<Job>, Error> {
        if let Some(error) = outcome.error.as_ref().filter(|error| !error.is_final()) {
            if !matches!(error, Error::LeaseLost) {
                self.release(&attempt.job, error, outcome.had_no_share)
                    .await?;
            }
            return match outcome.error {
                Some(error) if !error.is_out_of_time() => Err(error),
                _ => Ok(None),
            };
        }
        let ended = self.end(
            &attempt,
            outcome.summary,
            outcome.journal,
            outcome.error.as_ref(),
            false,
        );
        match ended.await {
            Ok(job) => Ok(Some(job)),
            Err(error) => {
                if !matches!(error, Error::LeaseLost) {
                    self.release(&attempt.job, &error, false).await?;
                }
                if error.is_out_of_time() {
                    Ok(None)
                } else {
                    Err(error)
                }
            }
        }
    }
}
