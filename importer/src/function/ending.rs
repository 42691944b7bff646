//! How a job ends: its reports, its status, and the message about it.

use std::time::SystemTime;

use tokio::time::Instant;

use super::attempt::{self, Attempt, Outcome};
use super::context::{Context, Found};
use super::metrics::METRICS;
use crate::error::{Class, Error, StopReason};
use crate::event::Seen;
use crate::import::object_writer::put_object;
use crate::import::summary::{self, Failure, Summary};
use crate::jobs::update::{Changes, rfc3339};
use crate::jobs::{Job, JobJournal, Notice, NoticeClaim, Reports, Status, Transition};
use crate::progress::Counts;
use crate::retry::{Attempts, Jitter, RetryPolicy};

/// What went wrong with an object, for people.
pub(crate) fn failure_text(url: &str, error: &Error) -> String {
    format!("{url}: {}", Failure::from(error))
}

/// Ends a job, and publishes that.
pub(super) async fn finish(
    context: &Context,
    attempt: Attempt<'_>,
    outcome: Outcome,
    is_exhausted: bool,
) -> Result<(), String> {
    let url = attempt.job.url();
    let publisher = attempt.job.lease_message.clone();
    let publisher = publisher.or_else(|| attempt.job.lease_holder.clone());
    let publisher = publisher.unwrap_or_default();
    let Outcome {
        summary,
        error,
        journal,
        ..
    } = outcome;
    let ended = end(
        context,
        &attempt,
        summary,
        journal,
        error.as_ref(),
        is_exhausted,
    );
    let ended = match ended.await {
        Ok(ended) => ended,
        Err(problem) => match context.jobs.get(&attempt.job.job_key()).await {
            // It is ended, and only the answer was lost.
            Ok(Some(job)) if job.status.is_ended() => job,
            Ok(_) | Err(_) => {
                let problem = failure_text(&url, &problem);
                return Err(unfinished(context, &attempt.job, error, &problem).await);
            }
        },
    };
    notify(context, &ended, &publisher, attempt.created.seen.as_ref())
        .await
        .map_err(|e| failure_text(&url, &e))?;
    match error {
        Some(error) if attempt.is_bare => Err(failure_text(&url, &error)),
        _ => Ok(()),
    }
}

/// Makes the reports of a job, and ends it.
pub(crate) async fn end(
    context: &Context,
    attempt: &Attempt<'_>,
    mut summary: Summary,
    journal: Option<JobJournal>,
    error: Option<&Error>,
    is_exhausted: bool,
) -> Result<Job, Error> {
    let Attempt {
        job,
        reports,
        deadlines,
        ..
    } = attempt;
    summary.job = Some(job.job.clone());
    summary.attempts = Some(job.attempt);
    summary.duration_seconds = match &journal {
        Some(journal) => journal.duration_seconds(),
        None => job.duration_seconds + summary.duration_seconds,
    };
    let has_begun = journal.is_some();
    if !has_begun {
        // What earlier attempts did still holds.
        summary.counts = job.counts_at_end();
    }
    if matches!(
        error,
        Some(Error::Stopped {
            why: StopReason::Cancelled,
            ..
        })
    ) {
        summary.status = summary::Status::Cancelled;
    }
    let journal = journal.unwrap_or_else(|| attempt::journal(context, attempt, &job.saved()));
    let is_range = attempt.range.is_some();
    let reported = async {
        // The rejects of ranges are put together when all have ended.
        summary.rejects = if is_range {
            None
        } else {
            journal.merge(deadlines.merging(is_exhausted)).await?
        };
        write_summary(context, &summary, reports).await
    };
    let reported = tokio::time::timeout_at(deadlines.stop_reporting, reported).await;
    let reported = reported.unwrap_or_else(|_| {
        Err(Error::Stopped {
            position: job.saved().checkpoint.row.unwrap_or_default(),
            why: StopReason::Deadline,
        })
    });
    let report = match reported {
        Ok(report) => Some(report),
        Err(error) if is_exhausted => {
            tracing::error!(
                job = job.job,
                error = error.chain(),
                fix = error.fix(),
                "no report"
            );
            summary.status = summary::Status::Failed;
            summary.failure.get_or_insert_with(|| Failure::from(&error));
            None
        }
        Err(error) => return Err(error),
    };
    let mut changes = ended(&summary, report).flag("notified", is_range);
    if summary.status == summary::Status::Cancelled || !has_begun {
        // The checkpoint leaves out batches that were dropped when a part of them was written. No attempt goes on from it.
        changes = changes.counts(&Counts {
            rows_read: summary.counts.rows_settled(),
            ..summary.counts
        });
    }
    let ended = change_surely(context, job, changes, deadlines.stop_reporting).await?;
    if !is_range {
        count(&ended);
    }
    log(&ended);
    Ok(ended)
}

/// Changes a job, and tries again for as long as rows are, at most until `deadline`: an end must not wait for the next delivery
/// because the table of jobs was throttled.
async fn change_surely(
    context: &Context,
    job: &Job,
    changes: Changes,
    deadline: Instant,
) -> Result<Job, Error> {
    let jitter = Jitter::new(None);
    let mut attempts = Attempts::new(RetryPolicy::default(), &jitter);
    loop {
        let error = match context.jobs.change(job, changes.clone()).await {
            Ok(updated) => return Ok(updated.job),
            Err(error) => error,
        };
        let wait = attempts.failed().filter(|_| error.class() == Class::Retry);
        match wait {
            Some(wait) if Instant::now() + wait < deadline => tokio::time::sleep(wait).await,
            _ => return Err(error),
        }
    }
}

/// Writes the summary, and says where it is.
pub(crate) async fn write_summary(
    context: &Context,
    summary: &Summary,
    reports: &Reports,
) -> Result<String, Error> {
    let key = reports.summary();
    let body = summary.to_json().into_bytes().into();
    put_object(&context.s3, &reports.bucket, &key, "application/json", body).await?;
    Ok(reports.url(&key))
}

/// What became of a version of which no row was or will be read.
pub(crate) enum Unbegun {
    /// Its job, which has ended.
    Ended(Box<Job>),
    /// It was begun before.
    Known,
    /// Another importer was faster.
    Changed,
}

/// Ends the version of an event of which no row was or will be imported: it is not there any more, or cannot be read. That is
/// to be published.
pub(crate) async fn unbegun(
    context: &Context,
    found: &Found,
    reason: &str,
    error: Option<&Error>,
) -> Result<Unbegun, Error> {
    if let Some(job) = context.jobs.get(&found.event.job_key()).await? {
        return Ok(Unbegun::Ended(Box::new(job)));
    }
    if found.is_remembered() {
        return Ok(Unbegun::Known);
    }
    let (event, head) = (&found.event, found.head.as_ref());
    let ended = context.jobs.unbegun(event, head, reason, error);
    Ok(match ended.await? {
        Some(job) => {
            count(&job);
            log(&job);
            Unbegun::Ended(Box::new(job))
        }
        None => Unbegun::Changed,
    })
}

/// Counts the end of a job.
pub(crate) fn count(job: &Job) {
    match job.status {
        Status::Completed | Status::CompletedWithRejects => {
            METRICS.add("jobs_completed", 1.0);
        }
        Status::Failed | Status::Superseded => METRICS.add("jobs_failed", 1.0),
        Status::Queued | Status::Running | Status::Cancelled => {}
    }
}

/// Lets go of a job that could not be ended, and says what went wrong.
async fn unfinished(context: &Context, job: &Job, error: Option<Error>, problem: &str) -> String {
    let failure = match error {
        Some(error) => format!("{}; {problem}", failure_text(&job.url(), &error)),
        None => problem.to_owned(),
    };
    let changes = Changes::none()
        .transition(Transition::Release)
        .text("reason", &failure);
    match context.jobs.change(job, changes).await {
        Ok(_) => failure,
        Err(error) => format!("{failure}; {}", failure_text(&job.url(), &error)),
    }
}

/// Publishes that a job has ended, unless that was done. `publisher` may have died at it before. `seen` is how the job stood
/// longer than a lease ago.
///
/// # Errors
///
/// [`Error::NoticePending`] if another importer is about to publish it, or has died before it did.
pub(crate) async fn notify(
    context: &Context,
    job: &Job,
    publisher: &str,
    seen: Option<&Seen>,
) -> Result<(), Error> {
    let seen = seen.filter(|seen| seen.job == job.job);
    match context.jobs.claim_notice(job, publisher, seen).await? {
        NoticeClaim::Mine => {}
        NoticeClaim::Done => return Ok(()),
        NoticeClaim::Another => return Err(Error::NoticePending),
    }
    let result = match &context.config.topic_arn {
        Some(topic_arn) => {
            Notice { job: job.clone() }
                .publish(&context.sns, topic_arn)
                .await
        }
        None => Ok(()),
    };
    if let Err(error) = result {
        // The next attempt need not wait for this one.
        context.jobs.release_notice(job).await?;
        return Err(error);
    }
    context.jobs.note_published(job).await
}

/// What a job's end changes in the table of jobs.
pub(crate) fn ended(summary: &Summary, report: Option<String>) -> Changes {
    let failure = summary.failure.as_ref();
    Changes::none()
        .transition(Transition::End(summary.status))
        .text("ended_at", rfc3339(SystemTime::now()))
        .number("duration_seconds", summary.duration_seconds)
        .text_or_none("format", summary.format.as_deref())
        .text_or_none("compression", summary.compression.as_deref())
        .text_or_none("rejects", summary.rejects.as_deref())
        .text_or_none("summary", report)
        .text_or_none("code", failure.map(|failure| &failure.code))
        .text_or_none("reason", failure.map(|failure| &failure.message))
        .text_or_none("fix", failure.and_then(|failure| failure.fix.as_ref()))
}

/// The one line of a job's end.
pub(crate) fn log(job: &Job) {
    let counts = &job.counts;
    if matches!(job.status, Status::Failed | Status::Superseded) {
        tracing::error!(
            job = job.job,
            object = job.url(),
            rows_read = counts.rows_read,
            rows_written = counts.rows_written,
            reason = job.reason,
            fix = job.fix,
            attempts = job.attempt,
            "import failed"
        );
        return;
    }
    tracing::info!(
        job = job.job,
        object = job.url(),
        status = %job.status,
        rows_read = counts.rows_read,
        rows_written = counts.rows_written,
        rows_superseded = counts.rows_superseded,
        rows_rejected = counts.rows_rejected,
        consumed_wcu = counts.consumed_wcu,
        throttles = counts.throttles,
        attempts = job.attempt,
        duration_seconds = job.duration_seconds,
        "import ended"
    );
}

/// Lets go of a job that `error` kept from its end, for whoever goes on.
pub(crate) async fn release(
    context: &Context,
    job: &Job,
    error: &Error,
    is_stalled: bool,
    had_no_share: bool,
) -> Result<(), Error> {
    let mut changes = Changes::none().transition(Transition::Release);
    if is_stalled {
        // Waiting for others is no failure.
        let stalled = if had_no_share {
            0
        } else {
            job.stalled_attempts + 1
        };
        changes = changes.number("stalled_attempts", stalled);
    }
    let changes = if error.is_out_of_time() {
        changes
    } else {
        changes
            .text("code", error.code())
            .text("reason", error.chain())
            .text_or_none("fix", error.fix())
    };
    context.jobs.change(job, changes).await.map(drop)
}
