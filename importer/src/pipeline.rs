//! The whole way of a file: read, decode, spread over lanes, write, report.
//!
//! Reading, decoding and batching are synchronous and share one thread; only closed batches cross to the asynchronous
//! side, where each lane is a task that settles its batches one after the other.

use std::io::{self, Read};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::batch::Batch;
use crate::decode::{self, DecodeOptions, Format};
use crate::decompress::Compression;
use crate::error::{Error, StopReason};
use crate::lanes::Lanes;
use crate::limiter::Limiter;
use crate::position::Position;
use crate::progress::{Counts, Progress};
use crate::reject::Reject;
use crate::report::RejectSink;
use crate::retry::{Jitter, RetryPolicy};
use crate::row::Row;
use crate::schema::Schema;
use crate::source::Source;
use crate::summary::{Failure, Status, Summary};
use crate::writer::{BatchWrite, LaneWrite, Settler};

/// Most bytes of closed batches that wait or are under way, over all lanes.
const IN_FLIGHT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Rejected rows that wait for the report.
const REJECTS_AHEAD: usize = 64;
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
            stop_reading_at: None,
            give_up_at: None,
        }
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
            _ => Some(StopReason::Interrupted),
        }
    }
}

/// An import that can be run.
pub struct Import {
    /// What the summary calls the file: a path, `-`, or `s3://bucket/key`.
    pub name: String,
    /// The file.
    pub source: Source,
    /// The table.
    pub schema: Arc<Schema>,
    /// How to import.
    pub options: ImportOptions,
    /// Counts what is done.
    pub progress: Arc<Progress>,
    /// Ends it early.
    pub stop: Stop,
}

impl Import {
    /// Writes the file's rows through `writer` and hands those that cannot be written to `rejects`.
    ///
    /// Always ends in a [`Summary`]: what failed, if anything, is in it.
    pub async fn run<W: BatchWrite, R: RejectSink>(self, writer: W, rejects: R) -> Summary {
        let Self {
            name,
            source,
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

        let mut helpers = JoinSet::new();
        if let Some(feed) = source.feed {
            helpers.spawn(feed);
        }
        if let Some(at) = options.stop_reading_at {
            let stop = stop.clone();
            helpers.spawn(async move {
                tokio::time::sleep_until(at).await;
                stop.request(StopReason::Deadline);
            });
        }

        let (reject_sender, reject_receiver) = mpsc::channel(REJECTS_AHEAD);
        let report = tokio::spawn(report(rejects, reject_receiver, Arc::clone(&progress)));

        let mut lanes = JoinSet::new();
        let mut lane_senders = Vec::new();
        for index in 0..options.lanes.get() {
            let (sender, receiver) = mpsc::channel(1);
            lane_senders.push(sender);
            lanes.spawn(lane(
                writer.lane(index),
                receiver,
                Arc::clone(&settler),
                reject_sender.clone(),
            ));
        }

        let decoding = Decoding {
            schema,
            options: options.decode,
            lanes: lane_senders,
            rejects: reject_sender,
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT_BYTES_MAX)),
            runtime: Handle::current(),
            progress: Arc::clone(&progress),
            stop: stop.clone(),
            position: Position {
                line: 1,
                record: 1,
                byte: 0,
            },
        };
        let decoded = decoding.start(source.reader);

        let written = settle_lanes(lanes, options.give_up_at, &stop).await;
        if written.is_err() {
            // A decoder that waits for the source must not keep the failure waiting.
            helpers.abort_all();
        }
        let decoded = decoded.await;
        // The lanes and the decoder are gone, and their senders with them: the report gets to its end.
        let (rejects, reported) = join(report.await);

        let counts = progress.counts();
        let end = end(written, reported, &counts, decoded.end, decoded.position);
        Summary {
            status: match end {
                Err(_) => Status::Failed,
                Ok(()) if counts.rows_rejected > 0 => Status::CompletedWithRejects,
                Ok(()) => Status::Completed,
            },
            source: name,
            table,
            format: decoded.format.map(|format| format.to_string()),
            compression: decoded.compression.map(|c| c.name().to_owned()),
            counts,
            rows_unsettled: counts.rows_unsettled(),
            duration_seconds: began.elapsed().as_secs_f64(),
            rejects: rejects.place(),
            failure: end.as_ref().err().map(Failure::from),
        }
    }
}

/// What became of it all. Of several failures the one that caused the others comes first.
fn end(
    written: Result<(), LaneError>,
    reported: Result<(), Error>,
    counts: &Counts,
    decoded: Result<(), Error>,
    position: Position,
) -> Result<(), Error> {
    written.map_err(|e| match e {
        LaneError::Failed(error) => error,
        LaneError::GaveUp => Error::Stopped {
            position,
            why: StopReason::Deadline,
        },
    })?;
    reported?;
    decoded?;
    if counts.rows_read == counts.rows_settled() {
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

/// A batch on its way, with its share of the memory for batches under way.
struct UnderWay {
    batch: Batch,
    _memory: OwnedSemaphorePermit,
}

/// The synchronous side.
struct Decoding {
    schema: Arc<Schema>,
    options: DecodeOptions,
    lanes: Vec<mpsc::Sender<UnderWay>>,
    rejects: mpsc::Sender<Reject>,
    in_flight: Arc<Semaphore>,
    runtime: Handle,
    progress: Arc<Progress>,
    stop: Stop,
    /// The first row that has not been read.
    position: Position,
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
    fn start(self, reader: Box<dyn Read + Send>) -> impl Future<Output = Decoded> {
        let (sender, decoded) = oneshot::channel();
        let thread = std::thread::spawn(move || sender.send(self.run(reader)).is_ok());
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

    fn run(mut self, reader: Box<dyn Read + Send>) -> Decoded {
        let counted = Counted {
            inner: reader,
            progress: Arc::clone(&self.progress),
        };
        let mut opened = match decode::open(counted, &self.options, &self.schema) {
            Ok(opened) => opened,
            Err(error) => return self.decoded(None, None, Err(error)),
        };
        let (format, compression) = (opened.format, opened.compression);
        let mut lanes = match NonZeroUsize::new(self.lanes.len()) {
            Some(count) => Lanes::new(count, &self.schema.table),
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
                    self.read(row.position);
                    let pushed = lanes.push(&row);
                    if pushed.superseded {
                        self.progress.superseded();
                    }
                    if pushed.closed.is_empty() {
                        Ok(())
                    } else {
                        self.send_all(pushed.closed)
                    }
                }
                Ok(false) => break Ok(()),
                Err(Error::Row(reject)) => {
                    self.read(reject.position);
                    self.rejects
                        .blocking_send(*reject)
                        .map_err(|_| NobodyListens)
                }
                Err(error) => break Err(error),
            };
            if sent.is_err() {
                return self.decoded(Some(format), Some(compression), Ok(()));
            }
        };
        // Whatever ended the file: the rows before are written.
        let end = match self.send_all(lanes.finish()) {
            Ok(()) => end,
            Err(NobodyListens) => Ok(()),
        };
        self.decoded(Some(format), Some(compression), end)
    }

    fn read(&mut self, position: Position) {
        self.progress.read_row();
        self.position = Position {
            record: position.record + 1,
            ..position
        };
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
                .blocking_send(under_way)
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

/// Settles a lane's batches in their order.
async fn lane<L: LaneWrite>(
    mut writer: L,
    mut batches: mpsc::Receiver<UnderWay>,
    settler: Arc<Settler>,
    rejects: mpsc::Sender<Reject>,
) -> Result<(), Error> {
    let mut next = first_batch(&mut writer, &mut batches).await;
    while let Some(under_way) = next {
        for reject in settler.settle(&mut writer, &under_way.batch).await? {
            if rejects.send(reject).await.is_err() {
                // The report has failed, and says why.
                return Ok(());
            }
        }
        drop(under_way);
        next = batches.recv().await;
    }
    Ok(())
}

/// Waits for a lane's first batch, and warms the writer up meanwhile. A lane that gets no batch waits for nothing.
async fn first_batch<L: LaneWrite>(
    writer: &mut L,
    batches: &mut mpsc::Receiver<UnderWay>,
) -> Option<UnderWay> {
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
}

/// Waits for all lanes. The first failure ends them all: what it means for one lane, it means for the others.
async fn settle_lanes(
    mut lanes: JoinSet<Result<(), Error>>,
    give_up_at: Option<Instant>,
    stop: &Stop,
) -> Result<(), LaneError> {
    let all = async {
        while let Some(lane) = lanes.join_next().await {
            join(lane).map_err(LaneError::Failed)?;
        }
        Ok(())
    };
    let result = match give_up_at {
        Some(at) => tokio::time::timeout_at(at, all)
            .await
            .unwrap_or(Err(LaneError::GaveUp)),
        None => all.await,
    };
    if result.is_err() {
        // Ends a decoder that would otherwise go on until its next batch.
        stop.request(StopReason::Interrupted);
    }
    result
}

/// Hands rejected rows to the sink, and counts those that it took.
async fn report<R: RejectSink>(
    mut sink: R,
    mut rejects: mpsc::Receiver<Reject>,
    progress: Arc<Progress>,
) -> (R, Result<(), Error>) {
    while let Some(reject) = rejects.recv().await {
        tracing::debug!(position = %reject.position, reason = reject.reason.code(), "row rejected");
        if let Err(e) = sink.reject(&reject).await {
            return (sink, Err(e));
        }
        progress.rejected();
    }
    let finished = sink.finish().await;
    (sink, finished)
}
