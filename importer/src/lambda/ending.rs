//! How a job ends: its reports, its status, and the message about it.

use std::time::SystemTime;

use super::attempt::{Attempt, Outcome};
use super::{Importer, told};
use crate::error::{Error, StopReason};
use crate::jobs::journal::{JobJournal, Reports};
use crate::jobs::notice::Notice;
use crate::jobs::store::{Changes, rfc3339};
use crate::jobs::{Job, Status};
use crate::metrics::METRICS;
use crate::report::put_object;
use crate::summary::{self, Failure, Summary};

impl Importer {
    /// Ends a job, and tells so.
    pub(super) async fn finish(
        &self,
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
        let ended = self.end(&attempt, summary, journal, error.as_ref(), is_exhausted);
        let ended = match ended.await {
            Ok(ended) => ended,
            Err(problem) => {
                let problem = told(&url, &problem);
                return Err(self.unfinished(&attempt.job, error, &problem).await);
            }
        };
        self.notify(ended).await.map_err(|e| told(&url, &e))?;
        match error {
            Some(error) if attempt.is_bare => Err(told(&url, &error)),
            _ => Ok(()),
        }
    }

    /// Makes the reports of a job, and ends it.
    pub(crate) async fn end(
        &self,
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
        let journal = journal.unwrap_or_else(|| self.journal(attempt, &job.saved()));
        let is_range = attempt.range.is_some();
        let reported = async {
            // The rejects of ranges are put together when all have ended.
            summary.rejects = if is_range {
                None
            } else {
                journal.merge().await?
            };
            self.write_summary(&summary, reports).await
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
        let ended = self.jobs.change(job, changes).await?.job;
        if !is_range {
            Self::count(&ended);
        }
        log(&ended);
        Ok(ended)
    }

    /// Writes the summary, and says where it is.
    pub(crate) async fn write_summary(
        &self,
        summary: &Summary,
        reports: &Reports,
    ) -> Result<String, Error> {
        let key = reports.summary();
        let body = summary.to_json().into_bytes().into();
        put_object(&self.s3, &reports.bucket, &key, "application/json", body).await?;
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
    async fn unfinished(&self, job: &Job, error: Option<Error>, problem: &str) -> String {
        let failure = match error {
            Some(error) => format!("{}; {problem}", told(&job.url(), &error)),
            None => problem.to_owned(),
        };
        let changes = Changes::none()
            .status(Status::Queued)
            .released()
            .text("reason", &failure);
        match self.jobs.change(job, changes).await {
            Ok(_) => failure,
            Err(error) => format!("{failure}; {}", told(&job.url(), &error)),
        }
    }

    /// Tells that a job has ended.
    pub(crate) async fn notify(&self, job: Job) -> Result<(), Error> {
        let notice = Notice { job };
        if let Some(topic_arn) = &self.config.topic_arn {
            notice.publish(&self.sns, topic_arn).await?;
        }
        let changes = Changes::none().flag("notified", true);
        self.jobs.change(&notice.job, changes).await?;
        Ok(())
    }
}

/// What the table of jobs is told of a job's end.
pub(crate) fn ended(summary: &Summary, report: Option<String>) -> Changes {
    let failure = summary.failure.as_ref();
    Changes::none()
        .status(Status::from(summary.status))
        .released()
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
