//! JSON Lines: one object a line, or several one after the other. A line that is broken costs that line.
//!
//! The hot path ([`super::parse`]) takes the lines that are as they should be; the others are read by struson, which is the
//! reference and knows what is wrong.
//!
//! <https://jsonlines.org>

use std::cell::Cell;

use struson::reader::JsonReader;

use super::frame::{ValueFramer, is_json_blank};
use super::input::{BYTE_ORDER_MARK, CUT_OFF, CUT_OFF_FIX, DOS_END, lost_tail};
use super::json::Values;
use super::parse::Parser;
use super::parts::{Found, LineBreaks, Passed, ROW_PASSED_BYTES_MAX, Several, Slice, Syntax};
use super::value::{Broken, SliceReader, column, parser};
use crate::error::Error;
use crate::item::{Position, Reason, Row};

/// One value a line.
pub(super) struct LineSyntax(pub(super) Values);

impl LineSyntax {
    /// Reads a line by the reference.
    fn read(&mut self, line: Slice<'_>, row: &mut Row) -> Result<Found, Error> {
        // Files that were joined have marks between them.
        let text = line.row.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line.row);
        if text.trim_ascii().is_empty() {
            return Ok(Found::Nothing);
        }
        // A last line that ends inside a value, or a character, and without a line break is where the file was cut off.
        let is_last = line.end.is_none();
        let cut_off = |byte: u64| Error::Syntax {
            code: "cut-off",
            position: Position {
                byte: line.at.byte + byte,
                ..line.at
            },
            problem: CUT_OFF.to_owned(),
            fix: CUT_OFF_FIX.to_owned(),
        };
        if let Err(e) = std::str::from_utf8(text) {
            let byte = e.valid_up_to() as u64;
            if is_last && e.error_len().is_none() {
                return Err(cut_off(byte));
            }
            let byte = line.at.byte + byte;
            return Ok(Found::Rejected(Reason::NotText { byte }));
        }
        let ended = Cell::new(false);
        let mut parser = parser(SliceReader {
            rest: text,
            ended: &ended,
        });
        let read = self.0.reference.read(&mut parser);
        let reason = match read.and_then(|()| Ok(parser.has_next()?)) {
            Ok(false) => return Ok(self.0.finish(row)),
            Ok(true) => {
                let reason = Reason::BrokenLine {
                    problem: "text after the JSON value".to_owned(),
                    column: column(&parser),
                };
                let several = self.several(line.row);
                return Ok(several.unwrap_or(Found::Rejected(reason)));
            }
            Err(Broken::Syntax { byte, .. }) if ended.get() && is_last => {
                return Err(cut_off(byte));
            }
            Err(Broken::Syntax { column, .. }) if ended.get() => Reason::BrokenLine {
                problem: "the line ends inside a value".to_owned(),
                column,
            },
            Err(Broken::Syntax {
                problem, column, ..
            }) => Reason::BrokenLine { problem, column },
            Err(Broken::Io(source)) => {
                let bytes_read = line.at.byte;
                return Err(Error::Read { bytes_read, source });
            }
        };
        Ok(Found::Rejected(reason))
    }

    /// Reads a line of several objects; none if it is none.
    fn several(&mut self, line: &[u8]) -> Option<Found> {
        let mut several = Vec::new();
        let mut begin = line.len() - line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line).len();
        while let Some(blank) = line[begin..].iter().position(|&byte| !is_json_blank(byte)) {
            begin += blank;
            if line[begin] != b'{' {
                return None;
            }
            let end = begin + ValueFramer::default().end(&line[begin..])? + 1;
            let mut row = Row::default();
            let read = match self.0.reference(&line[begin..end], &mut row).ok()? {
                Found::Rejected(reason) => Err(reason),
                _ => Ok(row),
            };
            several.push(Several {
                range: begin..end,
                read,
            });
            begin = end;
        }
        // White space behind the last one is reported with it, as behind the one value of a line.
        if let Some(last) = several.last_mut() {
            last.range.end = line.len();
        }
        Some(Found::Several(several))
    }
}

impl Syntax for LineSyntax {
    type Framer = ();

    const LINE_BREAKS: LineBreaks = LineBreaks::Feed;
    const END_IS_TEXT: bool = false;

    #[inline]
    fn row(&mut self, text: &[u8], at: usize, _: bool, row: &mut Row) -> Option<Passed> {
        let mut parser = Parser::line(text, at);
        let is_row = parser.space().ok()? != b'\n';
        if is_row {
            self.0.hot(&mut parser, row)?;
            if parser.space().ok()? != b'\n' {
                return None;
            }
        }
        Some(Passed {
            begin: at,
            end: parser.at + 1,
            breaks_before: 0,
            breaks: 1,
            is_row,
        })
    }

    fn frame(&self, (): &mut (), text: &[u8]) -> Option<usize> {
        memchr::memchr(b'\n', text)
    }

    /// A row is all of its line.
    fn blank(&self, _: &[u8]) -> usize {
        0
    }

    fn trim_end(text: &[u8]) -> usize {
        text.len() - usize::from(text.last() == Some(&b'\r'))
    }

    fn passed_bytes_max(&self) -> usize {
        ROW_PASSED_BYTES_MAX
    }

    fn too_long(at: Position, limit_bytes: usize) -> Error {
        Error::Syntax {
            code: "row-too-long",
            position: at,
            problem: Reason::RowTooLong { limit_bytes }.to_string(),
            fix: "the file is not JSON Lines, or lacks a line break there".to_owned(),
        }
    }

    fn slice(&mut self, slice: Slice<'_>, row: &mut Row) -> Result<Found, Error> {
        self.read(slice, row)
    }

    fn unusable(&self, slice: Slice<'_>, reason: &Reason) -> Option<Error> {
        self.0.wrapped(slice.row, reason)
    }

    fn rest(&mut self, slice: Slice<'_>, (): (), row: &mut Row) -> Result<Found, Error> {
        if slice.row == DOS_END {
            return Ok(Found::Nothing);
        }
        if let Some(error) = lost_tail(slice) {
            return Err(error);
        }
        self.read(slice, row)
    }
}
