//! The synchronous side: reads, decodes, and fills the lanes' batches.

use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::sync::Arc;

use rows::{Compression, DecodeOptions, Format, Opened, Position, Reject, Row, Schema};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::checkpoint::Checkpoint;
use super::settled::SettledRows;
use super::settling::{BatchInFlight, ToLane};
use super::stop::Stop;
use crate::error::Error;
use crate::progress::Progress;
use crate::write::{Batch, Lanes, Pushed};

/// Most bytes of closed batches that wait or are in flight, over all lanes.
pub(super) const IN_FLIGHT_BYTES_MAX: usize = 16 * 1024 * 1024;

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
    /// The first row that has not been read.
    pub(super) position: Position,
    /// Where to go on.
    pub(super) from: Checkpoint,
    /// The end of the part of the file that is to be read; none if that is the file's.
    pub(super) until: Option<u64>,
}

/// What the synchronous side found.
pub(super) struct Decoded {
    pub(super) format: Option<Format>,
    pub(super) compression: Option<Compression>,
    pub(super) position: Position,
    pub(super) end: Result<(), Error>,
}

/// The asynchronous side has ended early; it knows why.
struct LanesEnded;

impl Decoding {
    /// Decodes on a thread of its own and not one of tokio's: it may block for as long as the reader does.
    pub(super) fn start(
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
            Err(error) => return self.decoded(None, None, Err(error.into())),
        };
        let (format, compression) = (opened.format, opened.compression);
        self.settled.seekable(opened.seekable);
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
                Err(rows::Error::Row(reject)) => {
                    let is_settled = reject.position.record < self.from.rejects;
                    self.read(reject.position, is_settled);
                    if is_settled {
                        Ok(())
                    } else {
                        self.rejected(*reject)
                    }
                }
                Err(error) => break Err(error.into()),
            };
            if sent.is_err() {
                return self.decoded(Some(format), Some(compression), Ok(()));
            }
        };
        if self.is_resumable && matches!(end, Err(Error::Stopped { .. })) {
            // The next import reads these rows again, and makes the same batches of them.
            return self.decoded(Some(format), Some(compression), end);
        }
        // Whatever ended the file: the rows before are written.
        let end = match self.send_all(lanes.finish()) {
            Ok(()) => end,
            Err(LanesEnded) => Ok(()),
        };
        self.decoded(Some(format), Some(compression), end)
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

    fn read(&mut self, position: Position, is_settled: bool) {
        if !is_settled {
            self.progress.read_row();
        }
        self.position = Position {
            record: position.record + 1,
            ..position
        };
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
