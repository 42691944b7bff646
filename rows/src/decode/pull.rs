//! Rows of a reader.

use std::io::{ErrorKind, Read};

use super::decoder::Decoder;
use super::input::{Input, read_error};
use super::parts::{Next, Part, Rows};
use crate::error::Error;
use crate::item::Row;
use crate::read::Compression;

/// Bytes of a part.
const PART_BYTES: usize = 128 * 1024;

/// Reads a file part by part, and gives its rows.
pub(super) struct PullDecoder<'r> {
    rows: Box<dyn Rows + 'r>,
    reader: Box<dyn Read + 'r>,
    compression: Compression,
    buffer: Vec<u8>,
    /// Bytes of the part in `buffer`, and how far it is read.
    filled: usize,
    progress: (usize, usize),
    /// Bytes up to the end of the row that was given last: as many however the reader gives them.
    bytes_read: u64,
    ended: bool,
}

impl<'r> PullDecoder<'r> {
    /// The rows of `input`, which begins where `rows` does.
    pub(super) fn new(rows: Box<dyn Rows + 'r>, input: Input<'r>) -> Self {
        Self {
            rows,
            reader: input.reader,
            compression: input.compression,
            buffer: vec![0; PART_BYTES],
            filled: 0,
            progress: (0, 0),
            bytes_read: input.begin.byte,
            ended: false,
        }
    }

    /// Reads the next part.
    fn read(&mut self) -> Result<(), Error> {
        self.filled = loop {
            match self.reader.read(&mut self.buffer) {
                Ok(read) => break read,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(read_error(self.compression, self.bytes_read, e)),
            }
        };
        self.ended = self.filled == 0;
        self.progress = Part::new(&self.buffer[..self.filled]).progress();
        Ok(())
    }
}

impl Decoder for PullDecoder<'_> {
    fn next(&mut self, row: &mut Row) -> Result<bool, Error> {
        loop {
            if self.ended {
                return self.rows.end(row);
            }
            let mut part = Part::resumed(&self.buffer[..self.filled], self.progress);
            let next = self.rows.next(&mut part, row);
            self.progress = part.progress();
            if let Ok(Next::More) = next {
                self.read()?;
                continue;
            }
            self.bytes_read = self.rows.bytes_passed();
            return next.map(|_| true);
        }
    }
}
