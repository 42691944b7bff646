//! The whole way of a file: read, decode, spread over lanes, write, report.
//!
//! Reading, decoding and batching are synchronous and share one thread; only closed batches cross to the asynchronous
//! side, where each lane is a task that settles its batches one after the other. A further task keeps the journal: rejected
//! rows, and how far the import is.

use std::io::{self, Read};
use std::num::{NonZeroU32, NonZeroUsize};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::batch::Batch;
use crate::checkpoint::{Checkpoint, Ledger, Rejects};
use crate::decode::{self, DecodeOptions, Format, Opened};
use crate::decompress::Compression;
use crate::error::{Error, StopReason};
use crate::lanes::{Lanes, Pushed};
use crate::limiter::Limiter;
use crate::position::Position;
use crate::progress::{Counts, Progress};
use crate::reject::Reject;
use crate::report::Journal;
use crate::retry::{Jitter, RetryPolicy};
use crate::row::Row;
use crate::schema::Schema;
use crate::source::Source;
use crate::summary::{Failure, Status, Summary};
use crate::writer::{BatchWrite, LaneWrite, Settler};

/// Most bytes of closed batches that wait or are under way, over all lanes.
const IN_FLIGHT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Rejected rows that wait for the journal.
const REJECTS_AHEAD: usize = 512;
/// Lanes, and so requests at once, if nothing else is asked for.
const LANES_DEFAULT: usize = 16;

/// How a file is imported.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// How the file is read.
    pub decode: DecodeOptions,
    /// Requests at once.
    pub lanes: NonZeroUsize,
    /// Cap on the write rate in WCU a second.
    pub max_wcu: Option<NonZeroU32>,
    /// How failed writes are tried again.
    pub retry: RetryPolicy,
    /// Seed of the waits' jitter, for tests.
    pub seed: Option<u64>,
    /// How many rows may be rejected before the file is taken for a wrong one.
    pub max_rejects: Option<MaxRejects>,
    /// When reading stops, so that what is under way can be finished.
    pub stop_reading_at: Option<Instant>,
    /// When the import is given up whatever is under way.
    pub give_up_at: Option<Instant>,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            decode: DecodeOptions::default(),
            // Cannot be none: 16 is not 0.
            lanes: NonZeroUsize::new(LANES_DEFAULT).unwrap_or(NonZeroUsize::MIN),
            max_wcu: None,
            retry: RetryPolicy::default(),
            seed: None,
            max_rejects: None,
            stop_reading_at: None,
            give_up_at: None,
        }
    }
}

/// How many rows of a file may be rejected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxRejects {
    /// So many.
    Rows(u64),
    /// So many of a hundred rows that were read, once there are [`MaxRejects::ROWS_JUDGED`] or the file has ended.
    Percent(f64),
}

impl MaxRejects {
    /// Rows from which on a percentage is judged before the end of the file.
    pub const ROWS_JUDGED: u64 = 1000;

    fn is_exceeded(self, counts: &Counts, is_end: bool) -> bool {
        match self {
            Self::Rows(rows) => counts.rows_rejected > rows,
            Self::Percent(percent) => {
                (is_end || counts.rows_read >= Self::ROWS_JUDGED)
                    && counts.rows_rejected as f64 * 100.0 > counts.rows_read as f64 * percent
            }
        }
    }
}

impl FromStr for MaxRejects {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = match text.strip_suffix('%') {
            Some(percent) => percent
                .parse()
                .ok()
                .filter(|percent| (0.0..=100.0).contains(percent))
                .map(Self::Percent),
            None => text.parse().ok().map(Self::Rows),
        };
        parsed.ok_or_else(|| {
            format!("\"{text}\" is neither a number of rows nor a percentage such as 5%")
        })
    }
}

/// Asks a running import to read no further row. What is read is written, then the import ends.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicU8>);

impl Stop {
    /// Asks. The first reason counts.
    pub fn request(&self, reason: StopReason) {
        let code = match reason {
            StopReason::Deadline => 1,
            StopReason::Interrupted => 2,
            StopReason::Cancelled => 3,
            StopReason::TooManyRejects => 4,
        };
        // Failing means that somebody has asked before.
        self.0
            .compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed)
            .ok();
    }

    /// Whether somebody has asked, and why.
    pub fn requested(&self) -> Option<StopReason> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(StopReason::Deadline),
            2 => Some(StopReason::Interrupted),
            3 => Some(StopReason::Cancelled),
            _ => Some(StopReason::TooManyRejects),
        }
    }
}

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

/// What an import needs to go on with a file.
pub struct Resume {
    /// How far the file is.
    pub checkpoint: Checkpoint,
    /// The file from its beginning on, to look again at what the beginning tells. Not needed if the checkpoint has no row.
    pub beginning: Option<Source>,
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
        let settler = Arc::new(Settler {
            limiter: Limiter::new(options.max_wcu),
            policy: options.retry,
            jitter: Jitter::new(options.seed),
            progress: Arc::clone(&progress),
        });
        let (from, beginning) = match resume {
            Some(Resume {
                checkpoint,
                beginning,
            }) => (checkpoint, beginning),
            None => (Checkpoint::default(), None),
        };
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
        if let Some(at) = options.stop_reading_at {
            let stop = stop.clone();
            helpers.spawn(async move {
                tokio::time::sleep_until(at).await;
                stop.request(StopReason::Deadline);
            });
        }

        let journal = Keeping {
            is_resumable: journal.save_at().is_some(),
            books: Arc::clone(&books),
            progress: Arc::clone(&progress),
            stop: stop.clone(),
            max_rejects: options.max_rejects,
        }
        .start(journal, from.clone());

        let mut lanes = JoinSet::new();
        let mut lane_senders = Vec::new();
        for index in 0..options.lanes.get() {
            let (sender, receiver) = mpsc::channel(1);
            lane_senders.push(sender);
            lanes.spawn(lane(
                index,
                writer.lane(index),
                receiver,
                Arc::clone(&settler),
                Arc::clone(&books),
            ));
        }

        let decoding = Decoding {
            schema,
            options: options.decode,
            lanes: lane_senders,
            books: Arc::clone(&books),
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT_BYTES_MAX)),
            runtime: Handle::current(),
            progress: Arc::clone(&progress),
            stop: stop.clone(),
            is_resumable: journal.is_resumable,
            position: from.row.unwrap_or(Position {
                line: 1,
                record: 1,
                byte: 0,
            }),
            from,
        };
        let decoded = decoding.start(source.reader, beginning);

        let written = settle_lanes(lanes, options.give_up_at, &stop, journal.failed).await;
        if written.is_err() {
            // A decoder that waits for the source or for room must not keep the failure waiting.
            helpers.abort_all();
            books.memory.close();
        }
        let decoded = decoded.await;
        books.ledger.close();
        let (journal, kept) = join(journal.task.await);
        let (checkpoint, kept) = match kept {
            Ok(checkpoint) => (checkpoint, Ok(())),
            Err((checkpoint, error)) => (checkpoint, Err(error)),
        };

        let counts = progress.counts();
        let mut end = end(
            written,
            kept,
            &counts,
            &checkpoint,
            decoded.end,
            decoded.position,
        );
        if end.is_ok()
            && options
                .max_rejects
                .is_some_and(|max| max.is_exceeded(&counts, true))
        {
            end = Err(Error::Stopped {
                position: decoded.position,
                why: StopReason::TooManyRejects,
            });
        }
        let summary = Summary {
            status: match end {
                Err(Error::Stopped {
                    why: StopReason::Cancelled,
                    ..
                }) => Status::Cancelled,
                Err(_) => Status::Failed,
                Ok(()) if counts.rows_rejected > 0 => Status::CompletedWithRejects,
                Ok(()) => Status::Completed,
            },
            source: name,
            job: None,
            attempts: None,
            table,
            format: decoded.format.map(|format| format.to_string()),
            compression: decoded.compression.map(|c| c.name().to_owned()),
            counts,
            rows_unsettled: counts.rows_unsettled(),
            duration_seconds: began.elapsed().as_secs_f64(),
            rejects: journal.place(),
            failure: end.as_ref().err().map(Failure::from),
        };
        Ended {
            summary,
            error: end.err(),
            checkpoint,
            journal,
        }
    }
}

/// What became of it all. Of several failures the one that caused the others comes first.
fn end(
    written: Result<(), LaneError>,
    kept: Result<(), Error>,
    counts: &Counts,
    checkpoint: &Checkpoint,
    decoded: Result<(), Error>,
    position: Position,
) -> Result<(), Error> {
    if !matches!(written, Err(LaneError::JournalFailed)) {
        written.map_err(|e| match e {
            LaneError::Failed(error) => error,
            LaneError::GaveUp | LaneError::JournalFailed => Error::Stopped {
                position,
                why: StopReason::Deadline,
            },
        })?;
    }
    kept?;
    decoded?;
    // Counted twice: row by row, and batch by batch.
    if counts.rows_read == counts.rows_settled()
        && counts.rows_read == checkpoint.counts.rows_settled()
    {
        Ok(())
    } else {
        Err(Error::Accounting {
            read: counts.rows_read,
            written: counts.rows_written,
            superseded: counts.rows_superseded,
            rejected: counts.rows_rejected,
        })
    }
}

/// A task's result; its panic goes on here.
fn join<T>(result: Result<T, tokio::task::JoinError>) -> T {
    match result {
        Ok(value) => value,
        // Cannot be a cancellation: nothing aborts these tasks.
        Err(e) => std::panic::resume_unwind(e.into_panic()),
    }
}

/// What a lane gets.
enum ToLane {
    Batch(UnderWay),
    /// No row before the one here waits for the lane.
    Idle(Position),
}

/// A batch on its way, with its share of the memory for batches under way.
struct UnderWay {
    batch: Batch,
    _memory: OwnedSemaphorePermit,
}

/// The ledger, and the memory for rejects that wait in it.
struct Books {
    ledger: Ledger,
    memory: Arc<Semaphore>,
}

/// The synchronous side.
struct Decoding {
    schema: Arc<Schema>,
    options: DecodeOptions,
    lanes: Vec<mpsc::Sender<ToLane>>,
    books: Arc<Books>,
    in_flight: Arc<Semaphore>,
    runtime: Handle,
    progress: Arc<Progress>,
    stop: Stop,
    /// Whether another import can go on where this one stops.
    is_resumable: bool,
    /// The first row that has not been read.
    position: Position,
    /// Where to go on.
    from: Checkpoint,
}

/// What the synchronous side found.
struct Decoded {
    format: Option<Format>,
    compression: Option<Compression>,
    position: Position,
    end: Result<(), Error>,
}

/// The asynchronous side has ended early; it knows why.
struct NobodyListens;

impl Decoding {
    /// Decodes on a thread of its own and not one of tokio's: it may block for as long as the reader does.
    fn start(
        self,
        reader: Box<dyn Read + Send>,
        beginning: Option<Box<dyn Read + Send>>,
    ) -> impl Future<Output = Decoded> {
        let (sender, decoded) = oneshot::channel();
        let thread = std::thread::spawn(move || sender.send(self.run(reader, beginning)).is_ok());
        async move {
            if let Ok(decoded) = decoded.await {
                return decoded;
            }
            // Only a panic ends the thread without a result.
            match thread.join() {
                Err(panic) => std::panic::resume_unwind(panic),
                Ok(_) => unreachable!("the thread sends its result before it ends"),
            }
        }
    }

    fn run(
        mut self,
        reader: Box<dyn Read + Send>,
        beginning: Option<Box<dyn Read + Send>>,
    ) -> Decoded {
        let mut opened = match self.open(reader, beginning) {
            Ok(opened) => opened,
            Err(error) => return self.decoded(None, None, Err(error)),
        };
        let (format, compression) = (opened.format, opened.compression);
        self.books.ledger.seekable(opened.seekable);
        let mut lanes = match NonZeroUsize::new(self.lanes.len()) {
            Some(count) => Lanes::new(count, &self.schema.table).after(&self.from.lanes),
            // Cannot be: the number of lanes is a NonZeroUsize.
            None => return self.decoded(Some(format), Some(compression), Ok(())),
        };
        let mut row = Row::default();
        let end = loop {
            if let Some(why) = self.stop.requested() {
                break Err(Error::Stopped {
                    position: self.position,
                    why,
                });
            }
            let sent = match opened.decoder.next(&mut row) {
                Ok(true) => {
                    let pushed = lanes.push(&row);
                    self.read(row.position, pushed.skipped);
                    self.pushed(pushed, row.position)
                }
                Ok(false) => break Ok(()),
                Err(Error::Row(reject)) => {
                    let is_settled = reject.position.record < self.from.rejects;
                    self.read(reject.position, is_settled);
                    if is_settled {
                        Ok(())
                    } else {
                        self.rejected(*reject)
                    }
                }
                Err(error) => break Err(error),
            };
            if sent.is_err() {
                return self.decoded(Some(format), Some(compression), Ok(()));
            }
        };
        if self.is_resumable && matches!(end, Err(Error::Stopped { .. })) {
            // Whoever goes on reads these rows again, and makes the same batches of them.
            return self.decoded(Some(format), Some(compression), end);
        }
        // Whatever ended the file: the rows before are written.
        let end = match self.send_all(lanes.finish()) {
            Ok(()) => end,
            Err(NobodyListens) => Ok(()),
        };
        self.decoded(Some(format), Some(compression), end)
    }

    /// Opens the file at its beginning, or where the checkpoint is.
    fn open(
        &self,
        reader: Box<dyn Read + Send>,
        beginning: Option<Box<dyn Read + Send>>,
    ) -> Result<Opened<'static>, Error> {
        let counted = Counted {
            inner: reader,
            progress: Arc::clone(&self.progress),
        };
        match (self.from.row, beginning) {
            (Some(row), Some(beginning)) => {
                decode::resume(beginning, counted, row, &self.options, &self.schema)
            }
            _ => decode::open(counted, &self.options, &self.schema),
        }
    }

    fn read(&mut self, position: Position, is_settled: bool) {
        if !is_settled {
            self.progress.read_row();
        }
        self.position = Position {
            record: position.record + 1,
            ..position
        };
    }

    fn pushed(&self, pushed: Pushed, row: Position) -> Result<(), NobodyListens> {
        if pushed.superseded {
            self.progress.superseded();
        }
        for lane in pushed.idle {
            // A lane that is busy is told another time.
            self.lanes[lane].try_send(ToLane::Idle(row)).ok();
        }
        if pushed.closed.is_empty() {
            Ok(())
        } else {
            self.send_all(pushed.closed)
        }
    }

    fn rejected(&self, reject: Reject) -> Result<(), NobodyListens> {
        let memory = self.books.memory(1);
        let memory = self.runtime.block_on(memory).ok_or(NobodyListens)?;
        self.books.ledger.rejected(reject, memory);
        Ok(())
    }

    fn send_all(&self, batches: Vec<(usize, Batch)>) -> Result<(), NobodyListens> {
        for (lane, batch) in batches {
            let bytes = batch.bytes().min(IN_FLIGHT_BYTES_MAX) as u32;
            let in_flight = || Arc::clone(&self.in_flight);
            // Mostly there is memory; waiting costs more than asking.
            let memory = match in_flight().try_acquire_many_owned(bytes) {
                Ok(memory) => memory,
                // Cannot fail: the semaphore is never closed.
                Err(_) => self
                    .runtime
                    .block_on(in_flight().acquire_many_owned(bytes))
                    .map_err(|_| NobodyListens)?,
            };
            let under_way = UnderWay {
                batch,
                _memory: memory,
            };
            self.lanes[lane]
                .blocking_send(ToLane::Batch(under_way))
                .map_err(|_| NobodyListens)?;
        }
        Ok(())
    }

    fn decoded(
        &self,
        format: Option<Format>,
        compression: Option<Compression>,
        end: Result<(), Error>,
    ) -> Decoded {
        Decoded {
            format,
            compression,
            position: self.position,
            end,
        }
    }
}

/// Counts the bytes that are read.
struct Counted {
    inner: Box<dyn Read + Send>,
    progress: Arc<Progress>,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        self.progress.read_bytes(read);
        Ok(read)
    }
}

impl Books {
    /// Memory for some rejects; none once the import has ended early.
    async fn memory(&self, rejects: usize) -> Option<OwnedSemaphorePermit> {
        let memory = Arc::clone(&self.memory);
        memory.acquire_many_owned(rejects as u32).await.ok()
    }
}

/// Settles a lane's batches in their order.
async fn lane<L: LaneWrite>(
    index: usize,
    mut writer: L,
    mut batches: mpsc::Receiver<ToLane>,
    settler: Arc<Settler>,
    books: Arc<Books>,
) -> Result<(), Error> {
    let mut next = first_batch(&mut writer, &mut batches).await;
    while let Some(to_lane) = next {
        match to_lane {
            ToLane::Idle(row) => books.ledger.idle(index, row),
            ToLane::Batch(under_way) => {
                let rows = settler.settle(&mut writer, &under_way.batch).await?;
                let mut rejects = None;
                if !rows.is_empty() {
                    let Some(memory) = books.memory(rows.len()).await else {
                        // The import has ended early, and knows why.
                        return Ok(());
                    };
                    rejects = Some(Rejects { rows, memory });
                }
                books.ledger.settled(index, &under_way.batch, rejects);
            }
        }
        next = batches.recv().await;
    }
    Ok(())
}

/// Waits for a lane's first batch, and warms the writer up meanwhile. A lane that gets no batch waits for nothing.
async fn first_batch<L: LaneWrite>(
    writer: &mut L,
    batches: &mut mpsc::Receiver<ToLane>,
) -> Option<ToLane> {
    let mut warm_up = std::pin::pin!(writer.warm_up());
    tokio::select! {
        biased;
        batch = batches.recv() => {
            // Half a warm-up would be to no avail.
            if batch.is_some() {
                warm_up.await;
            }
            batch
        }
        () = &mut warm_up => batches.recv().await,
    }
}

enum LaneError {
    Failed(Error),
    GaveUp,
    /// The journal's error says why.
    JournalFailed,
}

/// Waits for all lanes. The first failure ends them all: what it means for one lane, it means for the others.
async fn settle_lanes(
    mut lanes: JoinSet<Result<(), Error>>,
    give_up_at: Option<Instant>,
    stop: &Stop,
    journal_failed: oneshot::Receiver<()>,
) -> Result<(), LaneError> {
    let all = async {
        while let Some(lane) = lanes.join_next().await {
            join(lane).map_err(LaneError::Failed)?;
        }
        Ok(())
    };
    let result = tokio::select! {
        biased;
        Ok(()) = journal_failed => Err(LaneError::JournalFailed),
        result = all => result,
        () = sleep_until(give_up_at) => Err(LaneError::GaveUp),
    };
    if result.is_err() {
        // Ends a decoder that would otherwise go on until its next batch.
        stop.request(StopReason::Interrupted);
    }
    result
}

/// What keeping the journal takes.
struct Keeping {
    is_resumable: bool,
    books: Arc<Books>,
    progress: Arc<Progress>,
    stop: Stop,
    max_rejects: Option<MaxRejects>,
}

/// The journal's task.
struct Kept<J> {
    is_resumable: bool,
    failed: oneshot::Receiver<()>,
    task: JoinHandle<(J, Result<Checkpoint, (Checkpoint, Error)>)>,
}

impl Keeping {
    /// Keeps the journal of an import that goes on after `from`, until the ledger is closed.
    fn start<J: Journal>(self, mut journal: J, from: Checkpoint) -> Kept<J> {
        let (fail, failed) = oneshot::channel();
        Kept {
            is_resumable: self.is_resumable,
            failed,
            task: tokio::spawn(async move {
                let mut checkpoint = from;
                match self.keep(&mut journal, &mut checkpoint).await {
                    Ok(()) => (journal, Ok(checkpoint)),
                    Err(error) => {
                        // Nobody is left to hear it if the lanes have ended.
                        fail.send(()).ok();
                        (journal, Err((checkpoint, error)))
                    }
                }
            }),
        }
    }

    /// Hands rejected rows to the journal, counts those that it took, and has it save; `checkpoint` is what was saved last.
    async fn keep<J: Journal>(
        &self,
        journal: &mut J,
        checkpoint: &mut Checkpoint,
    ) -> Result<(), Error> {
        loop {
            let save_at = journal.save_at();
            let is_due = tokio::select! {
                () = self.books.ledger.news() => false,
                () = sleep_until(save_at) => true,
            };
            let taken = self.books.ledger.take();
            let now = taken.checkpoint(&self.progress);
            for rejects in taken.rejects {
                for reject in &rejects.rows {
                    tracing::debug!(position = %reject.position, reason = reject.reason.code(), "row rejected");
                    journal.reject(reject).await?;
                    self.progress.rejected();
                }
                drop(rejects.memory);
            }
            if self
                .max_rejects
                .is_some_and(|max| max.is_exceeded(&self.progress.counts(), false))
            {
                self.stop.request(StopReason::TooManyRejects);
            }
            if taken.closed {
                journal.finish(&now).await?;
                *checkpoint = now;
                return Ok(());
            }
            if is_due {
                let wish = journal.save(&now).await?;
                *checkpoint = now;
                if let Some(reason) = wish {
                    self.stop.request(reason);
                }
            }
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
