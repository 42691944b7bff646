//! JSON Lines: one object a line. A line that is broken costs that line.
//!
//! <https://jsonlines.org>

use std::cell::Cell;
use std::io::{BufRead, BufReader, ErrorKind, Read};

use struson::reader::JsonReader;

use super::value::{Broken, RowReader, Typing, column, parser};
use super::{CUT_OFF, CUT_OFF_FIX, Decoder, Input, read_error};
use crate::decompress::Compression;
use crate::encoder::Encoder;
use crate::error::Error;
use crate::position::Position;
use crate::reject::{Reason, Reject};
use crate::row::Row;
use crate::window::ROW_TEXT_BYTES_MAX;

/// Bytes read at a time.
const BUFFER_BYTES: usize = 64 * 1024;

pub(super) struct LinesDecoder<'r> {
    reader: BufReader<Box<dyn Read + 'r>>,
    rows: RowReader,
    compression: Compression,
    /// Where the next line begins; its record is the one before.
    next: Position,
    line: Vec<u8>,
}

/// Bytes in memory that note when a parser wants more than there are: whatever it then misses, the bytes are cut off.
pub(super) struct Part<'a> {
    pub(super) rest: &'a [u8],
    pub(super) ended: &'a Cell<bool>,
}

impl Read for Part<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.ended.set(self.rest.is_empty());
        self.rest.read(out)
    }
}

/// A line as it was read.
struct Line {
    /// Bytes of it in the file, its line break included.
    file_bytes: u64,
    /// Whether a line break ended it.
    terminated: bool,
    /// Whether it was too long to be kept whole.
    too_long: bool,
}

impl<'r> LinesDecoder<'r> {
    pub(super) fn new(input: Input<'r>, encoder: Encoder, typing: Typing) -> Self {
        Self {
            reader: BufReader::with_capacity(BUFFER_BYTES, input.reader),
            rows: RowReader::new(encoder, typing, None),
            compression: input.compression,
            next: Position {
                byte: input.offset_bytes,
                line: 1,
                record: 0,
            },
            line: Vec::new(),
        }
    }

    /// Reads the next line into `self.line`, without its line break. `None` is the end of the file.
    fn read_line(&mut self) -> std::io::Result<Option<Line>> {
        self.line.clear();
        let mut line = Line {
            file_bytes: 0,
            terminated: false,
            too_long: false,
        };
        while !line.terminated {
            let buffer = match self.reader.fill_buf() {
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                buffer => buffer?,
            };
            if buffer.is_empty() {
                break;
            }
            let end = memchr::memchr(b'\n', buffer);
            line.terminated = end.is_some();
            let part = &buffer[..end.unwrap_or(buffer.len())];
            line.too_long |= self.line.len() + part.len() > ROW_TEXT_BYTES_MAX;
            if !line.too_long {
                self.line.extend_from_slice(part);
            }
            let consumed = part.len() + usize::from(line.terminated);
            line.file_bytes += consumed as u64;
            self.reader.consume(consumed);
        }
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        Ok((line.file_bytes > 0).then_some(line))
    }

    /// Reads the line as a row.
    fn row(&mut self, row: &mut Row, line: &Line) -> Result<(), Error> {
        let position = row.position;
        let reject =
            |reason, text: &[u8]| Error::Row(Box::new(Reject::new(position, reason, text)));
        if line.too_long {
            let reason = Reason::RowTooLong {
                limit_bytes: ROW_TEXT_BYTES_MAX,
            };
            return Err(reject(reason, &self.line));
        }
        // A last line that ends inside a value, or a character, and without a line break is where the file was cut off.
        let cut_off = |byte: u64| Error::Syntax {
            position: Position {
                byte: position.byte + byte,
                ..position
            },
            problem: CUT_OFF.to_owned(),
            fix: CUT_OFF_FIX.to_owned(),
        };
        if let Err(e) = std::str::from_utf8(&self.line) {
            let byte = e.valid_up_to() as u64;
            if !line.terminated && e.error_len().is_none() {
                return Err(cut_off(byte));
            }
            let byte = position.byte + byte;
            return Err(reject(Reason::NotText { byte }, &self.line));
        }
        let ended = Cell::new(false);
        let mut parser = parser(Part {
            rest: &self.line,
            ended: &ended,
        });
        let read = self.rows.read(&mut parser);
        let followed = read.and_then(|()| Ok(parser.has_next()?));
        match followed {
            Ok(false) => self
                .rows
                .encoder
                .finish(row)
                .map_err(|reason| reject(reason, &self.line)),
            Ok(true) => {
                let problem = "a second JSON value".to_owned();
                let column = column(&parser);
                Err(reject(Reason::BrokenLine { problem, column }, &self.line))
            }
            Err(Broken::Syntax { byte, .. }) if ended.get() && !line.terminated => {
                Err(cut_off(byte))
            }
            Err(Broken::Syntax {
                problem, column, ..
            }) => {
                let problem = if ended.get() {
                    "the line ends inside a value".to_owned()
                } else {
                    problem
                };
                Err(reject(Reason::BrokenLine { problem, column }, &self.line))
            }
            Err(Broken::Io(source)) => Err(read_error(self.compression, position.byte, source)),
        }
    }
}

impl Decoder for LinesDecoder<'_> {
    fn next(&mut self, row: &mut Row) -> Result<bool, Error> {
        loop {
            let line = match self.read_line() {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(false),
                Err(e) => return Err(read_error(self.compression, self.next.byte, e)),
            };
            let begin = self.next;
            self.next.byte += line.file_bytes;
            self.next.line += 1;
            if self.line.trim_ascii().is_empty() && !line.too_long {
                continue;
            }
            self.next.record += 1;
            row.position = Position {
                record: self.next.record,
                ..begin
            };
            return self.row(row, &line).map(|()| true);
        }
    }
}
