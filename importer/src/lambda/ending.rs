//! How a job ends: its reports, its status, and the message about it.

use std::time::SystemTime;

use super::{Attempt, Importer, Outcome, told};
use crate::error::{Error, StopReason};
use crate::jobs::journal::{JobJournal, Reports};
use crate::jobs::notice::Notice;
use crate::jobs::store::{Changes, rfc3339};
use crate::jobs::{Job, Status};
use crate::report::put_object;
use crate::summary::{self, Failure, Summary};

impl Importer {
    /// Makes the reports of a job, ends it, and tells so.
    pub(super) async fn finish(
        &self,
        attempt: Attempt<'_>,
        outcome: Outcome,
        is_exhausted: bool,
    ) -> Result<(), String> {
        let Attempt {
            job,
            is_bare,
            reports,
            deadlines,
            ..
        } = attempt;
        let url = job.url();
        let mut summary = outcome.summary;
        summary.job = Some(job.job.clone());
        summary.attempts = Some(job.attempt);
        summary.duration_seconds = match &outcome.journal {
            Some(journal) => journal.duration_seconds(),
            None => job.duration_seconds + summary.duration_seconds,
        };
        if outcome.journal.is_none() {
            // What earlier attempts did still holds.
            summary.counts = job.saved().checkpoint.counts;
        }
        if matches!(
            outcome.error,
            Some(Error::Stopped {
                why: StopReason::Cancelled,
                ..
            })
        ) {
            summary.status = summary::Status::Cancelled;
        }
        let journal = outcome.journal.unwrap_or_else(|| {
            let saved = job.saved();
            let every = self.config.checkpoint_every;
            JobJournal::new(
                self.jobs.clone(),
                self.s3.clone(),
                reports.clone(),
                job.clone(),
                &saved,
                every,
            )
        });
        let reported = self.report(&mut summary, &reports, &journal);
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
            Ok(Err(error)) => {
                return Err(self
                    .unfinished(&job, outcome.error, &told(&url, &error))
                    .await);
            }
            Err(_) => {
                let problem = format!("{url}: no time was left to write the reports");
                return Err(self.unfinished(&job, outcome.error, &problem).await);
            }
        };
        let failure = summary.failure.as_ref();
        let changes = Changes::none()
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
            .flag("notified", false);
        let failed = |error: Error| told(&url, &error);
        let ended = match self.jobs.change(&job, changes).await {
            Ok(ended) => ended,
            Err(error) => {
                let problem = told(&url, &error);
                return Err(self.unfinished(&job, outcome.error, &problem).await);
            }
        };
        log(&ended.job);
        match ended.job.status {
            Status::Completed | Status::CompletedWithRejects => {
                self.metrics.add("jobs_completed", 1.0);
            }
            Status::Failed => self.metrics.add("jobs_failed", 1.0),
            Status::Queued | Status::Running | Status::Cancelled => {}
        }
        self.notify(ended.job).await.map_err(failed)?;
        match outcome.error {
            Some(error) if is_bare => Err(told(&url, &error)),
            _ => Ok(()),
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

    /// Makes one report of the rejected rows, and writes the summary. Says where the summary is.
    async fn report(
        &self,
        summary: &mut Summary,
        reports: &Reports,
        journal: &JobJournal,
    ) -> Result<String, Error> {
        summary.rejects = journal.merge().await?;
        let key = reports.summary();
        let body = summary.to_json().into_bytes().into();
        put_object(&self.s3, &reports.bucket, &key, "application/json", body).await?;
        Ok(reports.url(&key))
    }

    /// Tells that a job has ended.
    pub(super) async fn notify(&self, job: Job) -> Result<(), Error> {
        let notice = Notice { job };
        if let Some(topic_arn) = &self.config.topic_arn {
            notice.publish(&self.sns, topic_arn).await?;
        }
        let changes = Changes::none().flag("notified", true);
        self.jobs.change(&notice.job, changes).await?;
        Ok(())
    }
}

/// The one line of a job's end.
fn log(job: &Job) {
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
