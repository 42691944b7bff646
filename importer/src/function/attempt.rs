//! One attempt at a job: its file is imported as far as there is time.

use std::sync::Arc;

use rows::{Position, Schema};
use tokio::time::Instant;

use super::cap::{self, ReturningShare};
use super::config::options_from_metadata;
use super::context::Context;
use super::invocation::Deadlines;
use super::metrics;
use crate::error::{Error, StopReason};
use crate::event::ObjectCreated;
use crate::import::summary::{self, Failure, Summary};
use crate::import::{Checkpoint, Ended, Import, ImportOptions, MaxRejects, Object, Resume, Stop};
use crate::jobs::{Changes, Job, JobJournal, Reports, STALLED_ATTEMPTS_MAX, Saved};
use crate::table;
use crate::write::{SavedLate, SdkWriter, WireWriter, WriterKind};

/// One object, or a part of it, in one invocation.
pub(crate) struct Attempt<'a> {
    pub(crate) created: &'a ObjectCreated,
    pub(crate) job: Job,
    /// Whether a failure only shows if the invocation fails.
    pub(crate) is_bare: bool,
    pub(crate) reports: Reports,
    pub(crate) deadlines: Deadlines,
    pub(crate) began: Instant,
    /// Ends it early.
    pub(crate) stop: Stop,
    /// The object and the table's keys, if they were looked up for it.
    pub(crate) found: Option<(Object, Arc<Schema>)>,
    /// What of a larger job this is, if the job is not one by itself.
    pub(crate) range: Option<Range>,
}

/// A job that is a range of another one's object.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    /// The job whose object it is, as it was when the range was claimed.
    pub(crate) parent: Box<Job>,
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
    pub(crate) share: Option<ReturningShare>,
}

/// Imports, unless there is a reason not to begin.
pub(crate) async fn import(context: &Context, attempt: &Attempt<'_>) -> Outcome {
    let result = if attempt.job.cancel_requested {
        Err(Error::Stopped {
            position: attempt.job.saved().checkpoint.row.unwrap_or_default(),
            why: StopReason::Cancelled,
        })
    } else if attempt.range.is_none() && attempt.job.stalled_attempts >= STALLED_ATTEMPTS_MAX {
        let reason = attempt.job.reason.as_deref();
        let reason = reason.unwrap_or("the function ended without a word, out of memory or killed");
        Err(Error::Stalled {
            attempts: STALLED_ATTEMPTS_MAX,
            reason: reason.to_owned(),
        })
    } else {
        run(context, attempt).await
    };
    result.unwrap_or_else(|error| Outcome {
        summary: Summary::not_begun(
            attempt.job.url(),
            context.config.table.clone(),
            &error,
            attempt.began.elapsed(),
        ),
        error: Some(error),
        journal: None,
        had_no_share: false,
        share: None,
    })
}

/// The import: see [`import`].
async fn run(context: &Context, attempt: &Attempt<'_>) -> Result<Outcome, Error> {
    let Attempt { created, job, .. } = attempt;
    let range = attempt.range.as_ref();
    let (object, schema) = match attempt.found.clone() {
        Some(found) => found,
        None => (
            Object::head(&context.s3, &created.bucket, &created.key).await?,
            Arc::new(table::describe(&context.dynamodb, &context.config.table).await?),
        ),
    };
    let is_other = |version: &String| *version != object.version();
    if range.is_none() && job.version.as_ref().is_some_and(is_other) {
        return Err(replaced(&job.url()));
    }
    let etag = object.etag.clone().unwrap_or_default();
    let cut = range.and_then(|range| range.etag.as_ref());
    if [job.etag.as_ref(), cut]
        .into_iter()
        .flatten()
        .any(|before| *before != etag)
    {
        return Err(replaced(&job.url()));
    }
    let decode = options_from_metadata(&object.metadata)?;
    let mut saved = job.saved();
    let share = cap::join(
        context,
        saved.checkpoint.row,
        attempt.deadlines.stop_reading,
    )
    .await?;
    let is_interrupted = job.sends;
    let options = ImportOptions {
        decode,
        share: share.clone(),
        ..options(context, attempt)
    };
    if !saved.checkpoint.lanes.is_empty() && saved.checkpoint.lanes.len() != options.lanes.get() {
        // Rows are spread in another way now: what was settled cannot be told from what was not.
        saved = restarted(context, &saved, is_interrupted);
    }
    let described = Changes::none()
        .text("etag", &etag)
        .options(&object.metadata)
        .number("bytes_total", bytes_total(&object, range))
        .flag("sends", true)
        // It counts from here: if the process dies, no row was settled. A claim whose answer is lost counts for nothing.
        .number("stalled_attempts", attempt.job.stalled_attempts + 1)
        .removed("code")
        .removed("reason")
        .removed("fix");
    context.jobs.change(job, described).await?;
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
    let progress = Arc::new(checkpoint.progress_from(begin));
    let stop = attempt.stop.clone();
    let import = Import {
        name: job.url(),
        source: object.source_of(&context.s3, row.map_or(0, |row| row.byte), until),
        progress: Arc::clone(&progress),
        resume: Some(Resume {
            beginning: checkpoint.row.map(|_| object.beginning(&context.s3)),
            checkpoint,
            is_interrupted,
            until,
        }),
        schema: Arc::clone(&schema),
        options,
        stop: stop.clone(),
    };
    let journal = journal(context, attempt, &saved);
    let Ended {
        mut summary,
        mut error,
        journal,
        ..
    } = Box::pin(write(context, attempt, import, journal)).await?;
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
        had_no_share: share.as_ref().is_some_and(cap::had_nothing),
        share: share.map(ReturningShare::new),
    })
}

/// Runs the pipeline.
async fn write(
    context: &Context,
    attempt: &Attempt<'_>,
    import: Import,
    journal: JobJournal,
) -> Result<Ended<JobJournal>, Error> {
    #[cfg(test)]
    if let Some(stand_in) = context.stand_in {
        let simulated = super::context::Simulated {
            job: attempt.job.clone(),
            etag: attempt
                .found
                .as_ref()
                .and_then(|(object, _)| object.etag.clone()),
            stop_reading: attempt.deadlines.stop_reading,
            stop: attempt.stop.clone(),
            import,
            journal,
        };
        return Ok(stand_in(context, simulated).await);
    }
    let schema = Arc::clone(&import.schema);
    let (stop, progress) = (attempt.stop.clone(), Arc::clone(&import.progress));
    Ok(match context.config.writer {
        WriterKind::Wire => {
            let writer = WireWriter::new(&context.sdk, schema).await?;
            let import = context.stopped_by(stop, import.run(writer, journal));
            Box::pin(metrics::follow(&progress, import)).await
        }
        WriterKind::Sdk => {
            let writer = SdkWriter::new(&context.sdk, schema);
            let import = context.stopped_by(stop, import.run(writer, journal));
            Box::pin(metrics::follow(&progress, import)).await
        }
    })
}

/// Where a job begins anew that `saved` cannot tell about: rows share batches in another way now.
fn restarted(context: &Context, saved: &Saved, is_interrupted: bool) -> Saved {
    let mut restarted = Saved::default();
    if is_interrupted || !saved.checkpoint.late.is_none() {
        // A late request may hold a row that is superseded now, and so is not written again.
        restarted.checkpoint.late = SavedLate::anything(context.config.request_lasts);
    }
    restarted
}

/// How the object is imported, but for what its metadata says.
fn options(context: &Context, attempt: &Attempt<'_>) -> ImportOptions {
    let default = ImportOptions::default();
    // A part of a file may have nothing but rows to reject: a percentage is judged when all of it is read.
    let is_part = attempt
        .range
        .as_ref()
        .is_some_and(|range| range.from.is_some());
    let max_rejects = context.config.max_rejects;
    let max_rejects = max_rejects.filter(|max| !is_part || !matches!(max, MaxRejects::Percent(_)));
    ImportOptions {
        lanes: context.config.lanes.unwrap_or(default.lanes),
        max_wcu: context.config.max_wcu,
        memory: context.memory.clone(),
        max_rejects,
        request_lasts: context.config.request_lasts,
        stop_reading_at: Some(attempt.deadlines.stop_reading),
        give_up_at: Some(attempt.deadlines.give_up),
        reading_time_max: Some(attempt.deadlines.reading_time()),
        ..default
    }
}

/// The journal of a job that goes on after `saved`.
pub(super) fn journal(context: &Context, attempt: &Attempt<'_>, saved: &Saved) -> JobJournal {
    let journal = JobJournal::new(
        context.jobs.clone(),
        context.s3.clone(),
        attempt.reports.clone(),
        attempt.job.clone(),
        saved,
        context.config.checkpoint_every,
    )
    .until(attempt.deadlines.stop_reporting);
    match &attempt.range {
        Some(range) => journal.of_range(&range.parent, range.number),
        None => journal,
    }
}

/// The error for a job whose object is another one now.
pub(crate) fn replaced(url: &str) -> Error {
    Error::Object {
        operation: "HeadObject",
        problem: format!("the object has changed since the import began: {url}"),
        fix: "nothing if the bucket tells the importer of new objects; else run the import again, for the new object"
            .to_owned(),
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
