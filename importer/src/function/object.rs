//! The job of one object in one invocation, from its claim to its end or to the next invocation.

use std::time::Duration;

use super::attempt::{self, Attempt, Outcome};
use super::context::Context;
use super::ending::{failure_text, finish, release};
use super::keeper::keep;
use crate::error::Error;
use crate::jobs::{JobJournal, STALLED_ATTEMPTS_MAX};

/// Imports the file of a job that was claimed, as far as there is time, and leaves the job ended or queued.
///
/// The error is for people, and says that the event must come again.
pub(crate) async fn import(context: &Context, attempt: Attempt<'_>) -> Result<(), String> {
    let (job, began, stop) = (attempt.job.clone(), attempt.began, attempt.stop.clone());
    let work = async {
        let mut outcome = attempt::import(context, &attempt).await;
        let share = outcome.share.take();
        let concluded = conclude(context, attempt, outcome).await;
        if let Some(share) = share {
            share.wait().await;
        }
        concluded
    };
    Box::pin(keep(&context.jobs, &job, began, &stop, work)).await
}

/// Ends the job, or lets go of it for the next invocation.
async fn conclude(context: &Context, attempt: Attempt<'_>, outcome: Outcome) -> Result<(), String> {
    let url = attempt.job.url();
    let is_stalled =
        outcome.journal.as_ref().is_none_or(JobJournal::is_stalled) && !outcome.had_no_share;
    let is_exhausted = is_stalled && attempt.job.stalled_attempts + 1 >= STALLED_ATTEMPTS_MAX;
    let error = match &outcome.error {
        Some(Error::LeaseLost) => return Err(failure_text(&url, &Error::LeaseLost)),
        Some(error) if !error.is_final() && !is_exhausted => error,
        _ => return Box::pin(finish(context, attempt, outcome, is_exhausted)).await,
    };
    let failure = failure_text(&url, error);
    let is_unsettled = outcome.journal.as_ref().is_none_or(JobJournal::is_stalled);
    let released = release(
        context,
        &attempt.job,
        error,
        is_unsettled,
        outcome.had_no_share,
    )
    .await;
    released.map_err(|e| format!("{failure}; {}", failure_text(&url, &e)))?;
    if !error.is_out_of_time() {
        tracing::warn!(
            job = attempt.job.job,
            failure,
            "the job will be tried again"
        );
        return Err(failure);
    }
    let Some(queue_url) = &context.config.queue_url else {
        return Err(format!(
            "{failure}; the next delivery of the event goes on (INTAKE_QUEUE_URL lets the function go on by itself)"
        ));
    };
    let message = attempt.created.waiting_for(None);
    let sent = context.send(queue_url, &message, Duration::ZERO).await;
    sent.map_err(|e| failure_text(&url, &e))?;
    let rows_read = outcome.summary.counts.rows_read;
    tracing::info!(
        job = attempt.job.job,
        object = url,
        rows_read,
        "goes on in another invocation"
    );
    Ok(())
}
