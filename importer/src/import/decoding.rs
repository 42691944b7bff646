//! The synchronous side: reads, decodes, and fills the lanes' batches.

use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use rows::{Compression, DecodeOptions, Format, Opened, Position, Reject, Row, Schema};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::checkpoint::Checkpoint;
use super::settled::SettledRows;
use super::settling::{BatchInFlight, ToLane};
use super::stop::Stop;
use crate::error::{Error, StopReason};
use crate::progress::Progress;
use crate::write::{Batch, Lanes, Pushed};

/// Most bytes of closed batches that wait or are in flight, over all lanes.
pub(super) const IN_FLIGHT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long a decoder that should end may go on until it is left behind: it waits for a reader that may never give anything.
const LEAVE_BEHIND_AFTER: Duration = Duration::from_secs(1);

/// What reading a file takes.
pub(super) struct Decoding {
    pub(super) schema: Arc<Schema>,
    pub(super) options: DecodeOptions,
    pub(super) lanes: Vec<mpsc::Sender<ToLane>>,
    pub(super) settled: Arc<SettledRows>,
    pub(super) in_flight: Arc<Semaphore>,
    pub(super) runtime: Handle,
    pub(super) progress: Arc<Progress>,
    pub(super) stop: Stop,
    /// Whether another import can go on where this one stops.
    pub(super) is_resumable: bool,
    /// What is known of the file, from where reading begins.
    pub(super) seen: Arc<Seen>,
    /// Where to go on.
    pub(super) from: Checkpoint,
    /// The end of the part of the file that is to be read; none if that is the file's.
    pub(super) until: Option<u64>,
}

/// What the decoder has seen of the file. It may be left behind, so this may be read at any time.
#[derive(Debug)]
pub(super) struct Seen {
    opened: OnceLock<(Format, Compression)>,
    /// The first row that has not been read.
    byte: AtomicU64,
    line: AtomicU64,
    record: AtomicU64,
}

impl Seen {
    /// Nothing yet; the row at `position` is the first to read.
    pub(super) fn nothing(position: Position) -> Self {
        Self {
            opened: OnceLock::new(),
            byte: position.byte.into(),
            line: position.line.into(),
            record: position.record.into(),
        }
    }

    fn read_up_to(&self, next: Position) {
        self.byte.store(next.byte, Relaxed);
        self.line.store(next.line, Relaxed);
        self.record.store(next.record, Relaxed);
    }

    fn position(&self) -> Position {
        Position {
            byte: self.byte.load(Relaxed),
            line: self.line.load(Relaxed),
            record: self.record.load(Relaxed),
        }
    }

    fn decoded(&self, end: Result<(), Error>) -> Decoded {
        let opened = self.opened.get();
        Decoded {
            format: opened.map(|(format, _)| *format),
            compression: opened.map(|(_, compression)| *compression),
            position: self.position(),
            end,
        }
    }
}

/// What the synchronous side found.
pub(super) struct Decoded {
    pub(super) format: Option<Format>,
    pub(super) compression: Option<Compression>,
    pub(super) position: Position,
    pub(super) end: Result<(), Error>,
}

/// The thread that decodes.
pub(super) struct DecodingThread {
    decoded: oneshot::Receiver<Decoded>,
    thread: JoinHandle<()>,
    seen: Arc<Seen>,
    stop: Stop,
}

impl DecodingThread {
    /// Waits for its end.
    pub(super) async fn end(self) -> Decoded {
        if let Ok(decoded) = self.decoded.await {
            return decoded;
        }
        // Only a panic ends the thread without a result.
        match self.thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("the thread sends its result before it ends"),
        }
    }

    /// Waits for the end of one that was asked to stop, but not for long: a terminal or a pipe may be quiet for ever. The
    /// thread then ends with its next row, or with the process.
    pub(super) async fn end_soon(self) -> Decoded {
        let (seen, stop) = (Arc::clone(&self.seen), self.stop.clone());
        let ended = tokio::time::timeout(LEAVE_BEHIND_AFTER, self.end()).await;
        ended.unwrap_or_else(|_| {
            seen.decoded(Err(Error::Stopped {
                position: seen.position(),
                why: stop.requested().unwrap_or(StopReason::Interrupted),
            }))
        })
    }
}

/// The asynchronous side has ended early; it knows why.
struct LanesEnded;

impl Decoding {
    /// Decodes on a thread of its own and not one of tokio's: it may block for as long as the reader does.
    pub(super) fn start(
        self,
        reader: Box<dyn Read + Send>,
        beginning: Option<Box<dyn Read + Send>>,
    ) -> DecodingThread {
        let (sender, decoded) = oneshot::channel();
        let (seen, stop) = (Arc::clone(&self.seen), self.stop.clone());
        let thread = std::thread::spawn(move || {
            // Without a receiver it was left behind.
            sender.send(self.run(reader, beginning)).ok();
        });
        DecodingThread {
            decoded,
            thread,
            seen,
            stop,
        }
    }

    fn run(self, reader: Box<dyn Read + Send>, beginning: Option<Box<dyn Read + Send>>) -> Decoded {
        let mut opened = match self.open(reader, beginning) {
            Ok(opened) => opened,
            Err(error) => return self.seen.decoded(Err(error.into())),
        };
        let what = (opened.format, opened.compression);
        // Cannot fail: a file is opened once.
        self.seen.opened.set(what).ok();
        self.settled.seekable(opened.seekable);
        let mut lanes = match NonZeroUsize::new(self.lanes.len()) {
            Some(count) => Lanes::new(count, &self.schema.table).after(&self.from.lanes),
            // Cannot be: the number of lanes is a NonZeroUsize.
            None => return self.seen.decoded(Ok(())),
        };
        let mut row = Row::default();
        let end = loop {
            if let Some(why) = self.stop.requested() {
                break Err(Error::Stopped {
                    position: self.seen.position(),
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
                Err(rows::Error::Row(reject)) => {
                    let is_settled = reject.position.record < self.from.rejects;
                    self.read(reject.position, is_settled);
                    if is_settled {
                        Ok(())
                    } else {
                        let position = reject.position;
                        self.rejected(*reject)
                            .and_then(|()| self.pushed(lanes.pass(position), position))
                    }
                }
                Err(error) => break Err(error.into()),
            };
            if sent.is_err() {
                return self.seen.decoded(Ok(()));
            }
        };
        // The next import reads these rows again, and makes the same batches of them; or there is no time to write them.
        let leaves_rows = self.is_resumable || self.stop.abandoned().initialized();
        if leaves_rows && matches!(end, Err(Error::Stopped { .. })) {
            return self.seen.decoded(end);
        }
        // Whatever ended the file: the rows before are written.
        let end = match self.send_all(lanes.finish()) {
            Ok(()) => end,
            Err(LanesEnded) => Ok(()),
        };
        self.seen.decoded(end)
    }

    /// Opens the file at its beginning, or where the checkpoint is.
    fn open(
        &self,
        reader: Box<dyn Read + Send>,
        beginning: Option<Box<dyn Read + Send>>,
    ) -> Result<Opened<'static>, rows::Error> {
        let counted = Counted {
            inner: reader,
            progress: Arc::clone(&self.progress),
        };
        match (self.from.row, beginning) {
            (Some(row), Some(beginning)) => rows::resume(
                beginning,
                counted,
                row,
                self.until,
                &self.options,
                &self.schema,
            ),
            _ => rows::open(counted, &self.options, &self.schema),
        }
    }

    fn read(&self, position: Position, is_settled: bool) {
        if !is_settled {
            self.progress.read_row();
        }
        self.seen.read_up_to(Position {
            record: position.record + 1,
            ..position
        });
    }

    fn pushed(&self, pushed: Pushed, row: Position) -> Result<(), LanesEnded> {
        if pushed.superseded {
            self.progress.superseded();
        }
        for lane in pushed.idle {
            // A busy lane hears of a later row.
            self.lanes[lane].try_send(ToLane::Idle(row)).ok();
        }
        if pushed.closed.is_empty() {
            Ok(())
        } else {
            self.send_all(pushed.closed)
        }
    }

    fn rejected(&self, reject: Reject) -> Result<(), LanesEnded> {
        let memory = self.settled.memory(1);
        let memory = self.runtime.block_on(memory).ok_or(LanesEnded)?;
        self.settled.rejected(reject, memory);
        Ok(())
    }

    fn send_all(&self, batches: Vec<(usize, Batch)>) -> Result<(), LanesEnded> {
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
                    .map_err(|_| LanesEnded)?,
            };
            let in_flight_batch = BatchInFlight {
                batch,
                _memory: memory,
            };
            self.lanes[lane]
                .blocking_send(ToLane::Batch(in_flight_batch))
                .map_err(|_| LanesEnded)?;
        }
        Ok(())
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
