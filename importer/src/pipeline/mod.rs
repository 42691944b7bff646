//! The whole way of a file: read, decode, spread over lanes, write, report.
//!
//! Reading, decoding and batching are synchronous and share one thread; only closed batches cross to the asynchronous
//! side, where each lane is a task that settles its batches one after the other. A further task keeps the journal: rejected
//! rows, and how far the import is.

mod decoding;
mod keeping;
mod options;
mod settling;

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::decoding::{Decoded, Decoding};
use self::keeping::Keeping;
pub use self::options::{ImportOptions, MaxRejects, Stop};
use self::settling::{LaneError, Limits, settle_lanes, spawn_lanes};
use crate::checkpoint::{Checkpoint, Ledger};
use crate::error::{Error, StopReason};
use crate::position::Position;
use crate::progress::{Counts, Progress};
use crate::report::Journal;
use crate::schema::Schema;
use crate::source::Source;
use crate::summary::{Failure, Status, Summary};
use crate::writer::BatchWrite;

/// Most bytes of closed batches that wait or are under way, over all lanes.
const IN_FLIGHT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Rejected rows that wait for the journal.
const REJECTS_AHEAD: usize = 512;

/// Where reading begins.
const FIRST_ROW: Position = Position {
    byte: 0,
    line: 1,
    record: 1,
};

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
    /// Counts what is done. To go on it must be [`Progress::after`] the checkpoint.
    pub progress: Arc<Progress>,
    /// Ends it early.
    pub stop: Stop,
}

/// What an import needs to go on with a file. The default is to begin with it.
#[derive(Default)]
pub struct Resume {
    /// How far the file is.
    pub checkpoint: Checkpoint,
    /// The file from its beginning on, to look again at what the beginning tells. Not needed if the checkpoint has no row.
    pub beginning: Option<Source>,
    /// Where to end, if not at the file's end: see [`decode::resume`](crate::decode::resume).
    pub until: Option<u64>,
}

/// How an import ended, and what is left of it.
pub struct Ended<J> {
    /// What is told.
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
    /// their batch when it is stopped: whoever goes on reads them again.
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
        let Resume {
            checkpoint: from,
            beginning,
            until,
        } = resume.unwrap_or_default();
        let settler = options.settler(&progress);
        let books = Arc::new(Books {
            ledger: Ledger::new(options.lanes.get(), &from),
            memory: Arc::new(Semaphore::new(REJECTS_AHEAD)),
        });

        let mut helpers = JoinSet::new();
        helpers.spawn(source.feed);
        let beginning = beginning.map(|source| {
            helpers.spawn(source.feed);
            source.reader
        });
        helpers.spawn(stop.clone().request_at(options.stop_reading_at));

        let is_resumable = journal.save_at().is_some();
        let keeping = Keeping {
            books: Arc::clone(&books),
            progress: Arc::clone(&progress),
            stop: stop.clone(),
            max_rejects: options.max_rejects,
        };
        let mut keeper = keeping.start(journal, from.clone());
        let (senders, lanes) = spawn_lanes(&writer, options.lanes.get(), &settler, &books);
        let decoding = Decoding {
            schema,
            options: options.decode,
            lanes: senders,
            books: Arc::clone(&books),
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT_BYTES_MAX)),
            runtime: Handle::current(),
            progress: Arc::clone(&progress),
            stop: stop.clone(),
            is_resumable,
            position: from.row.unwrap_or(FIRST_ROW),
            from,
            until,
        };
        let decoded = decoding.start(source.reader, beginning);

        let limits = Limits {
            give_up_at: options.give_up_at,
            share: options.share,
            journal_failed: &mut keeper.failed,
        };
        let written = settle_lanes(lanes, limits, &stop).await;
        if written.is_ok() {
            settler.limiter.tell(&options.known);
        } else {
            // A decoder that waits for the source or for room must not keep the failure waiting.
            helpers.abort_all();
            books.memory.close();
        }
        let decoded = decoded.await;
        books.ledger.close();
        let kept = keeper.end().await;

        let counts = progress.counts();
        let (format, compression) = (decoded.format, decoded.compression);
        let accounts = Accounts {
            counts,
            settled: kept.checkpoint.counts,
            max_rejects: options.max_rejects,
        };
        let end = end(written, kept.end, decoded, accounts);
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
) -> Result<(), Error> {
    let stopped = |why| Error::Stopped {
        position: decoded.position,
        why,
    };
    match written {
        Err(LaneError::Failed(error)) => return Err(error),
        Err(LaneError::GaveUp) => return Err(stopped(StopReason::Deadline)),
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

/// A task's result; its panic goes on here.
fn join<T>(result: Result<T, tokio::task::JoinError>) -> T {
    match result {
        Ok(value) => value,
        // Cannot be a cancellation: nothing aborts these tasks.
        Err(e) => std::panic::resume_unwind(e.into_panic()),
    }
}

/// The ledger, and the memory for rejects that wait in it.
struct Books {
    ledger: Ledger,
    memory: Arc<Semaphore>,
}

impl Books {
    /// Memory for some rejects; none once the import has ended early.
    async fn memory(&self, rejects: usize) -> Option<OwnedSemaphorePermit> {
        let memory = Arc::clone(&self.memory);
        memory.acquire_many_owned(rejects as u32).await.ok()
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
