//! The whole way of a file: read, decode, spread over lanes, write, report.
//!
//! Reading, decoding and batching are synchronous and share one thread; only closed batches cross to the asynchronous
//! side, where each lane is a task that settles its batches one after the other. A further task keeps the journal: rejected
//! rows, and how far the import is.

use std::sync::Arc;

use rows::{Position, Schema};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::checkpoint::Checkpoint;
use super::decoding::{Decoded, Decoding, IN_FLIGHT_BYTES_MAX, Seen};
use super::journal::Journal;
use super::journaling::Journaling;
use super::options::{ImportOptions, MaxRejects};
use super::settled::SettledRows;
use super::settling::{LaneError, Limits, settle_lanes, spawn_lanes};
use super::source::Source;
use super::stop::Stop;
use super::summary::{Failure, Status, Summary};
use crate::error::{Error, StopReason};
use crate::progress::{Counts, Progress};
use crate::write::BatchWrite;

/// Where reading begins.
const FIRST_ROW: Position = Position {
    byte: 0,
    line: 1,
    record: 1,
};

/// The share of the longest time that a file may be read for that tells how far any attempt comes.
const READING_TIME_SHARE: f64 = 0.9;

/// An import that can be run.
pub struct Import {
    /// What the summary calls the file: a path, `-`, or `s3://bucket/key`.
    pub name: String,
    /// The file; to go on after a [`Checkpoint`] that is seekable, from the offset of its row on.
    pub source: Source,
    /// Where to go on, if this is not the first attempt.
    pub resume: Option<Resume>,
    /// The table.
    pub schema: Arc<Schema>,
    /// How to import.
    pub options: ImportOptions,
    /// Counts what is done. To go on it must be the checkpoint's [`Checkpoint::progress`].
    pub progress: Arc<Progress>,
    /// Ends it early.
    pub stop: Stop,
}

/// What an import needs to go on with a file. The default is to begin with it.
#[derive(Default)]
pub struct Resume {
    /// How far the file is.
    pub checkpoint: Checkpoint,
    /// Whether an attempt before may have ended without a last checkpoint, and so with requests under way that it does not
    /// tell of.
    pub is_interrupted: bool,
    /// The file from its beginning on, to look again at what the beginning tells. Not needed if the checkpoint has no row.
    pub beginning: Option<Source>,
    /// Where to end, if not at the file's end: see [`rows::resume`](rows::resume).
    pub until: Option<u64>,
}

/// How an import ended, and what is left of it.
pub struct Ended<J> {
    /// What the import did.
    pub summary: Summary,
    /// Why it failed.
    pub error: Option<Error>,
    /// How far it came. All rows that it counts are settled.
    pub checkpoint: Checkpoint,
    /// The journal, as far as it got.
    pub journal: J,
}

impl Import {
    /// Writes the file's rows through `writer` and hands those that cannot be written to `journal`.
    ///
    /// What failed, if anything, is in the summary. An import whose journal saves checkpoints leaves rows that wait for
    /// their batch when it is stopped: the next attempt reads them again. One that is asked to [`Stop`] for another reason
    /// than a deadline ends within seconds, also if its reader never gives another byte.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use importer::import::{Discard, Import, ImportOptions, Source, Status, Stop};
    /// use importer::write::DryRun;
    /// use rows::{KeyAttribute, KeyType, Schema};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let file = &b"productId,price\nP1,1299.00\nP2,5\n"[..];
    /// let key = KeyAttribute::partition("productId", KeyType::S);
    /// let import = Import {
    ///     name: "prices.csv".to_owned(),
    ///     source: Source::reader(file, Some(file.len() as u64)),
    ///     resume: None,
    ///     schema: Arc::new(Schema::new("Products", key, None)),
    ///     options: ImportOptions::default(),
    ///     progress: Arc::default(),
    ///     stop: Stop::default(),
    /// };
    /// let summary = import.run(DryRun, Discard).await.summary;
    /// assert_eq!(summary.status, Status::Completed);
    /// assert_eq!(summary.counts.rows_written, 2);
    /// # }
    /// ```
    pub async fn run<W: BatchWrite, J: Journal>(self, writer: W, journal: J) -> Ended<J> {
        let Self {
            name,
            source,
            resume,
            schema,
            options,
            progress,
            stop,
        } = self;
        let began = Instant::now();
        let table = schema.table.clone();
        let resume = resume.unwrap_or_default();
        let settler = options.settler(&progress, &stop, &resume.checkpoint, resume.is_interrupted);
        let (from, beginning, until) = (resume.checkpoint, resume.beginning, resume.until);
        let skipping = Skipping::new(&options, &from, source.bytes_total, began);
        let settled = Arc::new(SettledRows::new(options.lanes.get(), &from));

        let mut helpers = JoinSet::new();
        helpers.spawn(source.feed);
        let beginning = beginning.map(|source| {
            helpers.spawn(source.feed);
            source.reader
        });
        helpers.spawn(stop.clone().request_at(options.stop_reading_at));

        let is_resumable = journal.save_at().is_some();
        let journaling = Journaling {
            settled: Arc::clone(&settled),
            settler: Arc::clone(&settler),
            progress: Arc::clone(&progress),
            stop: stop.clone(),
            max_rejects: options.max_rejects,
        };
        let mut journaling = journaling.start(journal, from.clone());
        let (senders, lanes) = spawn_lanes(&writer, options.lanes.get(), &settler, &settled);
        let decoding = Decoding {
            schema,
            options: options.decode,
            lanes: senders,
            settled: Arc::clone(&settled),
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT_BYTES_MAX)),
            runtime: Handle::current(),
            progress: Arc::clone(&progress),
            stop: stop.clone(),
            is_resumable,
            seen: Arc::new(Seen::nothing(from.row.unwrap_or(FIRST_ROW))),
            from,
            until,
        };
        let thread = decoding.start(source.reader, beginning);

        let limits = Limits {
            give_up_at: options.give_up_at,
            share: options.share,
            journal_failed: &mut journaling.failed,
        };
        let written = settle_lanes(lanes, limits, &stop).await;
        let decoded = if written.is_ok() {
            settler.limiter.save_to(&options.memory);
            thread.end().await
        } else {
            // A decoder that waits for the source or for room must not keep the failure waiting.
            helpers.abort_all();
            settled.close_memory();
            thread.end_soon().await
        };
        settled.close();
        let kept = journaling.end().await;

        let counts = progress.counts();
        let (format, compression) = (decoded.format, decoded.compression);
        let accounts = Accounts {
            counts,
            settled: kept.checkpoint.counts,
            max_rejects: options.max_rejects,
        };
        let mut end = end(written, kept.end, decoded, accounts, &stop);
        if let Some(error) = skipping.and_then(|skipping| skipping.was_all(&end, &counts)) {
            end = Err(error);
        }
        let summary = Summary {
            status: status(&end, &counts),
            source: name,
            job: None,
            attempts: None,
            table,
            format: format.map(|format| format.to_string()),
            compression: compression.map(|c| c.name().to_owned()),
            counts,
            rows_unsettled: counts.rows_unsettled(),
            duration_seconds: began.elapsed().as_secs_f64(),
            rejects: kept.journal.place(),
            failure: end.as_ref().err().map(Failure::from),
        };
        Ended {
            summary,
            error: end.err(),
            checkpoint: kept.checkpoint,
            journal: kept.journal,
        }
    }
}

fn status(end: &Result<(), Error>, counts: &Counts) -> Status {
    match end {
        Err(Error::Stopped {
            why: StopReason::Cancelled,
            ..
        }) => Status::Cancelled,
        Err(_) => Status::Failed,
        Ok(()) if counts.rows_rejected > 0 => Status::CompletedWithRejects,
        Ok(()) => Status::Completed,
    }
}

/// A file that is read from its beginning up to where the import goes on, in an attempt that has as much time as any.
struct Skipping {
    to: Position,
    bytes_total: Option<u64>,
    began: Instant,
}

impl Skipping {
    /// None if nothing is skipped, or the attempt began late in an invocation: the next one has more time.
    fn new(
        options: &ImportOptions,
        from: &Checkpoint,
        bytes_total: Option<u64>,
        began: Instant,
    ) -> Option<Self> {
        let to = from.row.filter(|_| !from.seekable)?;
        let (until, most) = options.stop_reading_at.zip(options.reading_time_max)?;
        let had_time = until - began >= most.mul_f64(READING_TIME_SHARE);
        had_time.then_some(Self {
            to,
            bytes_total,
            began,
        })
    }

    /// The error if the time was over when no new row had been read: no other attempt would come further.
    fn was_all(&self, end: &Result<(), Error>, counts: &Counts) -> Option<Error> {
        const MIB: f64 = 1024.0 * 1024.0;
        match end {
            Err(Error::Stopped {
                position,
                why: StopReason::Deadline,
            }) if *position == self.to => {}
            Ok(()) | Err(_) => return None,
        }
        let seconds = self.began.elapsed().as_secs_f64();
        let read = counts.bytes_read as f64 / MIB;
        let total = self.bytes_total.map_or_else(String::new, |total| {
            format!(" of {:.0}", total as f64 / MIB)
        });
        Some(Error::Unusable {
            problem: format!(
                "the file can only be read from its beginning, and all the time that there is was used to get to where the \
                 import goes on, {}: {read:.0}{total} MiB were read in {seconds:.0} s, {:.1} MiB/s",
                self.to,
                read / seconds.max(0.001)
            ),
            fix: "give the function more memory, and so a faster processor; or upload the file uncompressed and in UTF-8, \
                  which is read from where the import is; or upload it in parts"
                .to_owned(),
        })
    }
}

/// What an import has counted: row by row, and batch by batch.
#[derive(Clone, Copy)]
struct Accounts {
    counts: Counts,
    settled: Counts,
    max_rejects: Option<MaxRejects>,
}

/// What became of it all. Of several failures the one that caused the others comes first.
fn end(
    written: Result<(), LaneError>,
    kept: Result<(), Error>,
    decoded: Decoded,
    accounts: Accounts,
    stop: &Stop,
) -> Result<(), Error> {
    let stopped = |why| Error::Stopped {
        position: decoded.position,
        why,
    };
    match written {
        Err(LaneError::Failed(error)) => return Err(error),
        Err(LaneError::GaveUp) => return Err(stopped(StopReason::Deadline)),
        Err(LaneError::Abandoned) => {
            kept?;
            // The reading may have broken because its source was dropped.
            if decoded.end.is_err() || accounts.counts.rows_unsettled() > 0 {
                let why = stop.requested().unwrap_or(StopReason::Interrupted);
                return Err(stopped(why));
            }
        }
        // The journal's own error tells.
        Err(LaneError::JournalFailed) | Ok(()) => kept?,
    }
    decoded.end?;
    let Accounts {
        counts,
        settled,
        max_rejects,
    } = accounts;
    if counts.rows_read != counts.rows_settled() || counts.rows_read != settled.rows_settled() {
        return Err(Error::Accounting {
            read: counts.rows_read,
            written: counts.rows_written,
            superseded: counts.rows_superseded,
            rejected: counts.rows_rejected,
        });
    }
    if max_rejects.is_some_and(|max| max.is_exceeded(&counts, true)) {
        return Err(stopped(StopReason::TooManyRejects));
    }
    Ok(())
}
