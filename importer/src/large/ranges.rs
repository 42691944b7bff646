//! The step `import`: ranges of rows, one after the other, each a job of its own.

use serde_json::Value;
use tokio::time::Instant;

use super::documents::{self, RowRange};
use super::work::{Work, item};
use crate::error::Error;
use crate::event::ObjectCreated;
use crate::function::attempt::{self, Attempt, Outcome, Range};
use crate::function::ending::{end, release};
use crate::function::keeper::{keep, watch};
use crate::function::{Context, Deadlines, Invocation};
use crate::import::Stop;
use crate::jobs::{Claim, Job, JobJournal, LEASE, Lease, Status};

/// What became of a range for now.
enum RangeState {
    /// Nothing of it is to be done any more.
    Ended,
    /// There was no time for the rest.
    Unfinished,
}

pub(super) async fn import(
    context: &Context,
    work: Work,
    invocation: &Invocation,
) -> Result<Value, Error> {
    let deadlines = Deadlines::new(invocation.deadline);
    let lease = Lease {
        holder: work
            .holder
            .clone()
            .unwrap_or_else(|| invocation.request_id.clone()),
        message: None,
        duration: LEASE,
        seen: None,
    };
    for (done, range) in work.items.iter().enumerate() {
        let range: RowRange = item(range)?;
        let state = if Instant::now() < deadlines.stop_reading {
            import_range(context, &work, range, &lease, deadlines).await?
        } else {
            RangeState::Unfinished
        };
        if matches!(state, RangeState::Unfinished) {
            return Ok(work.answer("import", done));
        }
    }
    let all = work.items.len();
    Ok(work.answer("import", all))
}

async fn import_range(
    context: &Context,
    work: &Work,
    range: RowRange,
    lease: &Lease,
    deadlines: Deadlines,
) -> Result<RangeState, Error> {
    let (parent, documents) = documents::of(context, &work.name.key()).await?;
    let number = range.range;
    if !parent.wants_range(number) {
        return Ok(RangeState::Ended);
    }
    work.check_executor(&parent)?;
    let created = ObjectCreated {
        bucket: parent.bucket.clone(),
        key: parent.key.clone(),
        version_id: None,
        etag: parent.etag.clone(),
        sequencer: None,
        time: None,
        seen: None,
    };
    let mut claim = context.jobs.claim_range(&parent, number, lease).await?;
    if let Claim::Busy(range) = &claim {
        let lease = Lease {
            seen: Some(watch(&context.jobs, range, deadlines.stop_reading).await?),
            ..lease.clone()
        };
        claim = context.jobs.claim_range(&parent, number, &lease).await?;
    }
    let ended = match claim {
        Claim::Mine(job) => {
            let attempt = Attempt {
                created: &created,
                is_bare: false,
                reports: documents.of_range(number),
                job: *job,
                deadlines,
                began: Instant::now(),
                stop: Stop::default(),
                found: None,
                range: Some(Range {
                    parent: Box::new(parent.clone()),
                    number,
                    etag: parent.etag.clone(),
                    from: range.from,
                    until: range.until,
                    rows: range.rows,
                }),
            };
            match Box::pin(attempt_range(context, attempt)).await? {
                Some(ended) => ended,
                None => return Ok(RangeState::Unfinished),
            }
        }
        Claim::Busy(_) | Claim::Changed => return Err(Error::LeaseLost),
        Claim::Ended(job) => *job,
    };
    if ended.status == Status::Failed {
        context.jobs.range_failed(&parent.job_key(), number).await?;
    }
    Ok(RangeState::Ended)
}

/// Imports a range as far as there is time, and gives its job if it has ended.
async fn attempt_range(context: &Context, attempt: Attempt<'_>) -> Result<Option<Job>, Error> {
    let (job, began, stop) = (attempt.job.clone(), attempt.began, attempt.stop.clone());
    let work = async {
        let mut outcome = attempt::import(context, &attempt).await;
        let share = outcome.share.take();
        let ended = Box::pin(conclude_range(context, attempt, outcome)).await;
        if let Some(share) = share {
            share.wait().await;
        }
        ended
    };
    Box::pin(keep(&context.jobs, &job, began, &stop, work)).await
}

/// Leaves a range's job as it is to be left after an attempt.
async fn conclude_range(
    context: &Context,
    attempt: Attempt<'_>,
    outcome: Outcome,
) -> Result<Option<Job>, Error> {
    if let Some(error) = outcome.error.as_ref().filter(|error| !error.is_final()) {
        if !matches!(error, Error::LeaseLost) {
            let is_stalled = outcome.journal.as_ref().is_none_or(JobJournal::is_stalled);
            release(
                context,
                &attempt.job,
                error,
                is_stalled,
                outcome.had_no_share,
            )
            .await?;
        }
        return match outcome.error {
            Some(error) if !error.is_out_of_time() => Err(error),
            _ => Ok(None),
        };
    }
    let ended = end(
        context,
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
                release(context, &attempt.job, &error, false, false).await?;
            }
            if error.is_out_of_time() {
                Ok(None)
            } else {
                Err(error)
            }
        }
    }
}
