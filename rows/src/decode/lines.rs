//! JSON Lines: one object a line. A line that is broken costs that line.
//!
//! The hot path ([`super::parse`]) takes the lines that are as they should be; the others are read by struson, which is the
//! reference and knows what is wrong.
//!
//! <https://jsonlines.org>

use std::cell::Cell;
use std::io::Read;

use struson::reader::JsonReader;

use super::decoder::Decoder;
use super::input::{CUT_OFF, CUT_OFF_FIX, Input, TableRules, read_error};
use super::options::Engine;
use super::parse::{Halt, Parser};
use super::value::{Broken, RowReader, Typing, column, parser};
use crate::error::Error;
use crate::item::{ItemWriter, Position, Reason, Reject, Row};
use crate::read::{Compression, Feed, ROW_SKIPPED_BYTES_MAX, ROW_TEXT_BYTES_MAX};

pub(super) struct LinesDecoder<'r> {
    feed: Feed<'r>,
    typing: Typing,
    /// The hot path, if it is to be taken.
    item: Option<ItemWriter>,
    rows: RowReader,
    compression: Compression,
    /// Where the next line begins; its record is the one before.
    next: Position,
    line: Vec<u8>,
}

/// Bytes in memory that note when a parser wants more than there are: whatever it then misses, the bytes are cut off.
pub(super) struct LineText<'a> {
    pub(super) rest: &'a [u8],
    pub(super) ended: &'a Cell<bool>,
}

impl Read for LineText<'_> {
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
    /// Whether it is white space alone, which is no row however much there is of it.
    blank: bool,
}

impl<'r> LinesDecoder<'r> {
    pub(super) fn new(
        input: Input<'r>,
        table: &TableRules,
        typing: Typing,
        engine: Engine,
    ) -> Self {
        Self {
            feed: Feed::new(input.reader),
            typing,
            item: (engine == Engine::Fast).then(|| table.item_writer()),
            rows: RowReader::new(table.encoder(), typing, None),
            compression: input.compression,
            next: input.begin,
            line: Vec::new(),
        }
    }

    /// Reads the next line on the hot path. `false` says that it is not taken there.
    fn parse(&mut self, row: &mut Row) -> bool {
        let Some(item) = &mut self.item else {
            return false;
        };
        loop {
            match parse_line(self.feed.text(), item, self.typing, row) {
                Ok(Parsed::Blank { bytes }) => {
                    self.feed.consume(bytes);
                    self.next.byte += bytes as u64;
                    self.next.line += 1;
                }
                Ok(Parsed::Row { bytes }) => {
                    self.feed.consume(bytes);
                    self.next.record += 1;
                    row.position = self.next;
                    self.next.byte += bytes as u64;
                    self.next.line += 1;
                    return true;
                }
                Err(Halt::More) if self.feed.more() => {}
                Err(Halt::More | Halt::Refused) => return false,
            }
        }
    }

    /// Reads the next line into `self.line`, without its line break. `None` is the end of the file.
    fn read_line(&mut self) -> std::io::Result<Option<Line>> {
        self.line.clear();
        let mut line = Line {
            file_bytes: 0,
            terminated: false,
            too_long: false,
            blank: true,
        };
        while !line.terminated && line.file_bytes <= ROW_SKIPPED_BYTES_MAX as u64 {
            let buffer = self.feed.bytes()?;
            if buffer.is_empty() {
                break;
            }
            let end = memchr::memchr(b'\n', buffer);
            line.terminated = end.is_some();
            let part = &buffer[..end.unwrap_or(buffer.len())];
            line.blank = line.blank && part.trim_ascii().is_empty();
            line.too_long |= self.line.len() + part.len() > ROW_TEXT_BYTES_MAX;
            if !line.too_long {
                self.line.extend_from_slice(part);
            }
            let consumed = part.len() + usize::from(line.terminated);
            line.file_bytes += consumed as u64;
            self.feed.consume(consumed);
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
        if line.file_bytes > ROW_SKIPPED_BYTES_MAX as u64 {
            let reason = Reason::RowTooLong {
                limit_bytes: ROW_SKIPPED_BYTES_MAX,
            };
            return Err(Error::Syntax {
                code: "row-too-long",
                position,
                problem: reason.to_string(),
                fix: "the file is not JSON Lines, or lacks a line break there".to_owned(),
            });
        }
        if line.too_long {
            let reason = Reason::RowTooLong {
                limit_bytes: ROW_TEXT_BYTES_MAX,
            };
            return Err(reject(reason, &self.line));
        }
        // A last line that ends inside a value, or a character, and without a line break is where the file was cut off.
        let cut_off = |byte: u64| Error::Syntax {
            code: "cut-off",
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
        let mut parser = parser(LineText {
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

/// A line on the hot path, with its bytes in the file.
enum Parsed {
    Blank { bytes: usize },
    Row { bytes: usize },
}

fn parse_line(
    text: &[u8],
    item: &mut ItemWriter,
    typing: Typing,
    row: &mut Row,
) -> Result<Parsed, Halt> {
    let mut parser = Parser::new(text, true);
    if parser.space()? == b'\n' {
        return Ok(Parsed::Blank {
            bytes: parser.at + 1,
        });
    }
    parser.row(item, typing)?;
    parser.expect(b'\n')?;
    item.finish(row)?;
    Ok(Parsed::Row { bytes: parser.at })
}

impl Decoder for LinesDecoder<'_> {
    fn next(&mut self, row: &mut Row) -> Result<bool, Error> {
        loop {
            if self.parse(row) {
                return Ok(true);
            }
            let line = match self.read_line() {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(false),
                Err(e) => return Err(read_error(self.compression, self.next.byte, e)),
            };
            let begin = self.next;
            self.next.byte += line.file_bytes;
            self.next.line += 1;
            if line.blank && line.file_bytes <= ROW_SKIPPED_BYTES_MAX as u64 {
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
