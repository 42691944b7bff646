//! One attempt at a job: its file is imported as far as there is time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::sharing::{self, Left};
use super::{Importer, told};
use crate::checkpoint::Checkpoint;
use crate::config::options_from_metadata;
use crate::error::{Error, StopReason};
use crate::event::ObjectCreated;
use crate::jobs::journal::{JobJournal, Reports};
use crate::jobs::store::Changes;
use crate::jobs::{Job, JobKey, STALLED_ATTEMPTS_MAX, Saved, Status};
use crate::pipeline::{Ended, Import, ImportOptions, MaxRejects, Resume, Stop};
use crate::position::Position;
use crate::progress::Progress;
use crate::source::Object;
use crate::summary::{self, Failure, Summary};
use crate::wire::WireWriter;
use crate::writer::{SdkWriter, WriterKind};
use crate::{aws, metrics, table};

/// Time kept at the end of an invocation to write what has been read; at most a quarter of it.
const DRAIN: Duration = Duration::from_secs(30);
/// Time kept after that to save how far the job is and to tell its end; at most a twentieth.
const FINISH: Duration = Duration::from_secs(5);

/// When an invocation must be where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    pub(crate) stop_reading: Instant,
    pub(crate) give_up: Instant,
    /// Reports that take longer are made by another invocation.
    pub(crate) stop_reporting: Instant,
}

impl Deadlines {
    pub(crate) fn new(end: SystemTime) -> Self {
        let left = end.duration_since(SystemTime::now()).unwrap_or_default();
        let finish = FINISH.min(left / 20);
        let drain = DRAIN.min(left / 4);
        let now = Instant::now();
        Self {
            stop_reading: now + left - finish - drain,
            give_up: now + left - finish,
            stop_reporting: now + left - finish / 2,
        }
    }
}

/// One object, or a part of it, in one invocation.
pub(crate) struct Attempt<'a> {
    pub(crate) created: &'a ObjectCreated,
    pub(crate) job: Job,
    /// Whether nobody sees a failure unless the invocation fails.
    pub(crate) is_bare: bool,
    pub(crate) reports: Reports,
    pub(crate) deadlines: Deadlines,
    pub(crate) began: Instant,
    /// What of a larger job this is, if the job is not one by itself.
    pub(crate) range: Option<Range>,
}

/// A job that is a range of another one's object.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    /// The job whose object it is.
    pub(crate) parent: JobKey,
    /// The range's number.
    pub(crate) number: u32,
    /// The `ETag` of the object that was cut.
    pub(crate) etag: Option<String>,
    /// The first row; none if the range is the whole object.
    pub(crate) from: Option<Position>,
    /// The byte after the last row, if that is not the object's last.
    pub(crate) until: Option<u64>,
    /// How many rows there are, if that is known.
    pub(crate) rows: Option<u64>,
}

/// How an attempt left a job.
pub(crate) struct Outcome {
    pub(crate) summary: Summary,
    pub(crate) error: Option<Error>,
    /// The journal; none if the import did not begin.
    pub(crate) journal: Option<JobJournal>,
    /// Whether it could not begin because other imports had all of the write cap.
    pub(crate) had_no_share: bool,
    /// The share of the write cap on its way back.
    pub(crate) left: Option<Left>,
}

impl Importer {
    /// Leaves a job as it is to be left after an attempt.
    pub(super) async fn conclude(
        &self,
        attempt: Attempt<'_>,
        outcome: Outcome,
    ) -> Result<(), String> {
        let url = attempt.job.url();
        let is_stalled =
            outcome.journal.as_ref().is_none_or(JobJournal::is_stalled) && !outcome.had_no_share;
        let is_exhausted = is_stalled && attempt.job.stalled_attempts >= STALLED_ATTEMPTS_MAX;
        let error = match &outcome.error {
            Some(Error::LeaseLost) => return Err(told(&url, &Error::LeaseLost)),
            Some(error) if !error.is_final() && !is_exhausted => error,
            _ => return Box::pin(self.finish(attempt, outcome, is_exhausted)).await,
        };
        let failure = told(&url, error);
        let released = self
            .release(&attempt.job, error, outcome.had_no_share)
            .await;
        released.map_err(|e| format!("{failure}; {}", told(&url, &e)))?;
        if !error.is_out_of_time() {
            tracing::warn!(
                job = attempt.job.job,
                failure,
                "the job will be tried again"
            );
            return Err(failure);
        }
        let Some(queue_url) = &self.config.queue_url else {
            return Err(format!(
                "{failure}; the next delivery of the event goes on (INTAKE_QUEUE_URL lets the function go on by itself)"
            ));
        };
        let sent = self
            .sqs
            .send_message()
            .queue_url(queue_url)
            .message_body(attempt.created.to_event().to_string())
            .delay_seconds(0)
            .send()
            .await;
        sent.map_err(|e| told(&url, &aws::service_error("SendMessage", queue_url, e)))?;
        let rows_read = outcome.summary.counts.rows_read;
        tracing::info!(
            job = attempt.job.job,
            object = url,
            rows_read,
            "goes on in another invocation"
        );
        Ok(())
    }

    /// Lets go of a job that `error` kept from its end, for whoever goes on.
    pub(crate) async fn release(
        &self,
        job: &Job,
        error: &Error,
        had_no_share: bool,
    ) -> Result<(), Error> {
        let mut changes = Changes::none().status(Status::Queued).released();
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
        self.jobs.change(job, changes).await.map(drop)
    }

    /// Imports, unless there is a reason not to begin.
    pub(crate) async fn import(&self, attempt: &Attempt<'_>) -> Outcome {
        let result = if attempt.job.cancel_requested {
            Err(Error::Stopped {
                position: attempt.job.saved().checkpoint.row.unwrap_or_default(),
                why: StopReason::Cancelled,
            })
        } else if attempt.range.is_none() && attempt.job.stalled_attempts > STALLED_ATTEMPTS_MAX {
            let reason = attempt.job.reason.as_deref();
            let reason =
                reason.unwrap_or("the function ended without a word, out of memory or killed");
            Err(Error::Stalled {
                attempts: STALLED_ATTEMPTS_MAX,
                reason: reason.to_owned(),
            })
        } else {
            self.run(attempt).await
        };
        result.unwrap_or_else(|error| Outcome {
            summary: Summary::not_begun(
                attempt.job.url(),
                self.config.table.clone(),
                &error,
                attempt.began.elapsed(),
            ),
            error: Some(error),
            journal: None,
            had_no_share: false,
            left: None,
        })
    }

    async fn run(&self, attempt: &Attempt<'_>) -> Result<Outcome, Error> {
        let Attempt { created, job, .. } = attempt;
        let range = attempt.range.as_ref();
        let object = Object::head(&self.s3, &created.bucket, &created.key).await?;
        let etag = object.etag.clone().unwrap_or_default();
        let cut = range.and_then(|range| range.etag.as_ref());
        if [job.etag.as_ref(), cut]
            .into_iter()
            .flatten()
            .any(|before| *before != etag)
        {
            return Err(replaced(job));
        }
        let decode = options_from_metadata(&object.metadata)?;
        let schema = Arc::new(table::describe(&self.dynamodb, &self.config.table).await?);
        let mut saved = job.saved();
        let share = self.share(attempt).await?;
        let options = ImportOptions {
            decode,
            share: share.clone(),
            ..self.options(attempt)
        };
        if !saved.checkpoint.lanes.is_empty() && saved.checkpoint.lanes.len() != options.lanes.get()
        {
            // Rows are spread in another way now: what was settled cannot be told from what was not.
            saved = Saved::default();
        }
        let described = Changes::none()
            .text("etag", &etag)
            .number("bytes_total", bytes_total(&object, range))
            .text_or_none("reason", None::<String>)
            .text_or_none("fix", None::<String>);
        self.jobs.change(job, described).await?;
        let (from, until) = range.map_or((None, None), |range| (range.from, range.until));
        let mut checkpoint = saved.checkpoint.clone();
        if let (None, Some(from)) = (checkpoint.row, from) {
            checkpoint = Checkpoint {
                row: Some(from),
                seekable: true,
                ..checkpoint
            };
        }
        let row = checkpoint.row.filter(|_| checkpoint.seekable);
        let begin = from.map_or(0, |from| from.byte);
        let progress = Arc::new(Progress::after_in(&checkpoint, begin));
        let stop = Stop::default();
        let import = Import {
            name: job.url(),
            source: object.source_of(&self.s3, row.map_or(0, |row| row.byte), until),
            progress: Arc::clone(&progress),
            resume: Some(Resume {
                beginning: checkpoint.row.map(|_| object.beginning(&self.s3)),
                checkpoint,
                until,
            }),
            schema: Arc::clone(&schema),
            options,
            stop: stop.clone(),
        };
        let journal = self.journal(attempt, &saved);
        let Ended {
            mut summary,
            mut error,
            journal,
            ..
        } = match self.config.writer {
            WriterKind::Wire => {
                let writer = WireWriter::new(&self.sdk, schema).await?;
                let import = self.stopped_by(stop, import.run(writer, journal));
                Box::pin(metrics::follow(&progress, import)).await
            }
            WriterKind::Sdk => {
                let writer = SdkWriter::new(&self.sdk, schema);
                let import = self.stopped_by(stop, import.run(writer, journal));
                Box::pin(metrics::follow(&progress, import)).await
            }
        };
        let rows = range.and_then(|range| range.rows);
        if let (None, Some(problem)) = (&error, rows.and_then(|rows| missing(rows, &summary))) {
            summary.status = summary::Status::Failed;
            summary.failure = Some(Failure::from(&problem));
            error = Some(problem);
        }
        Ok(Outcome {
            summary,
            error,
            journal: Some(journal),
            had_no_share: share.as_ref().is_some_and(sharing::had_nothing),
            left: share.map(Left::new),
        })
    }

    /// Runs `import`, and asks `stop` once this importer is to stop.
    async fn stopped_by<T>(&self, stop: Stop, import: impl Future<Output = T>) -> T {
        let mut stopping = self.stopping.subscribe();
        let mut import = std::pin::pin!(import);
        tokio::select! {
            ended = &mut import => return ended,
            // The sender lives in `self`, so this is no error.
            why = stopping.wait_for(Option::is_some) => {
                if let Some(why) = why.ok().and_then(|why| *why) {
                    stop.request(why);
                }
            }
        }
        import.await
    }

    /// How the object is imported, but for what its metadata says.
    fn options(&self, attempt: &Attempt<'_>) -> ImportOptions {
        let default = ImportOptions::default();
        // A part of a file may have nothing but rows to reject: a percentage is judged when all of it is read.
        let is_part = attempt
            .range
            .as_ref()
            .is_some_and(|range| range.from.is_some());
        let max_rejects = self.config.max_rejects;
        let max_rejects =
            max_rejects.filter(|max| !is_part || !matches!(max, MaxRejects::Percent(_)));
        ImportOptions {
            lanes: self.config.lanes.unwrap_or(default.lanes),
            max_wcu: self.config.max_wcu,
            known: self.known.clone(),
            max_rejects,
            stop_reading_at: Some(attempt.deadlines.stop_reading),
            give_up_at: Some(attempt.deadlines.give_up),
            ..default
        }
    }

    /// The journal of a job that goes on after `saved`.
    pub(super) fn journal(&self, attempt: &Attempt<'_>, saved: &Saved) -> JobJournal {
        let journal = JobJournal::new(
            self.jobs.clone(),
            self.s3.clone(),
            attempt.reports.clone(),
            attempt.job.clone(),
            saved,
            self.config.checkpoint_every,
        );
        match &attempt.range {
            Some(range) => journal.of_range(range.parent.clone(), range.number),
            None => journal,
        }
    }
}

/// The error for a job whose object is another one now.
pub(crate) fn replaced(job: &Job) -> Error {
    Error::Object {
        operation: "HeadObject",
        problem: format!(
            "the object has changed since the import began: {}",
            job.url()
        ),
        fix: "nothing: the new object has a job of its own".to_owned(),
    }
}

fn bytes_total(object: &Object, range: Option<&Range>) -> u64 {
    let from = range.and_then(|range| range.from);
    let until = range.and_then(|range| range.until);
    until.unwrap_or(object.size_bytes) - from.map_or(0, |from| from.byte)
}

/// The error for a range that should have `rows` rows and had others.
fn missing(rows: u64, summary: &Summary) -> Option<Error> {
    let counts = &summary.counts;
    if counts.rows_read == rows {
        return None;
    }
    tracing::error!(
        rows,
        rows_read = counts.rows_read,
        "the range has not the rows that it was cut at"
    );
    Some(Error::Accounting {
        read: rows,
        written: counts.rows_written,
        superseded: counts.rows_superseded,
        rejected: counts.rows_rejected,
    })
}
