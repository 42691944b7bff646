//! How a job ends: its reports, its status, and the message about it.

use std::time::SystemTime;

use super::attempt::{self, Attempt, Outcome};
use super::context::Context;
use super::metrics::METRICS;
use crate::error::{Error, StopReason};
use crate::import::object_writer::put_object;
use crate::import::summary::{self, Failure, Summary};
use crate::jobs::update::{Changes, rfc3339};
use crate::jobs::{Job, JobJournal, Notice, Reports, Status, Transition};

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
        Err(problem) => {
            let problem = failure_text(&url, &problem);
            return Err(unfinished(context, &attempt.job, error, &problem).await);
        }
    };
    notify(context, ended)
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
    if journal.is_none() {
        // What earlier attempts did still holds.
        summary.counts = job.saved().checkpoint.counts;
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
            journal.merge().await?
        };
        write_summary(context, &summary, reports).await
    };
    let reported = tokio::time::timeout_at(deadlines.stop_reporting, reported).await;
    let report = match reported {
        Ok(Ok(report)) => Some(report),
        Ok(Err(error)) if is_exhausted => {
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
        Ok(Err(error)) => return Err(error),
        Err(_) => {
            return Err(Error::Stopped {
                position: job.saved().checkpoint.row.unwrap_or_default(),
                why: StopReason::Deadline,
            });
        }
    };
    let changes = ended(&summary, report).flag("notified", is_range);
    let ended = context.jobs.change(job, changes).await?.job;
    if !is_range {
        count(&ended);
    }
    log(&ended);
    Ok(ended)
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

/// Counts the end of a job.
pub(crate) fn count(job: &Job) {
    match job.status {
        Status::Completed | Status::CompletedWithRejects => {
            METRICS.add("jobs_completed", 1.0);
        }
        Status::Failed => METRICS.add("jobs_failed", 1.0),
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

/// Publishes that a job has ended.
pub(crate) async fn notify(context: &Context, job: Job) -> Result<(), Error> {
    let notice = Notice { job };
    if let Some(topic_arn) = &context.config.topic_arn {
        notice.publish(&context.sns, topic_arn).await?;
    }
    let changes = Changes::none().flag("notified", true);
    context.jobs.change(&notice.job, changes).await?;
    Ok(())
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
        .text_or_none("reason", failure.map(|failure| &failure.message))
        .text_or_none("fix", failure.and_then(|failure| failure.fix.as_ref()))
}

/// The one line of a job's end.
pub(crate) fn log(job: &Job) {
    let counts = &job.counts;
    if job.status == Status::Failed {
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
    had_no_share: bool,
) -> Result<(), Error> {
    let mut changes = Changes::none().transition(Transition::Release);
    if had_no_share {
        // Waiting for others is no failure.
        changes = changes.number("stalled_attempts", 0_u64);
    }
    let changes = if error.is_out_of_time() {
        changes
    } else {
        changes
            .text("reason", error.chain())
            .text_or_none("fix", error.fix())
    };
    context.jobs.change(job, changes).await.map(drop)
}
