//! JSON files: one array of objects, or objects one after the other over several lines.
//!
//! struson reads them as a stream. After a syntax error there is no telling where the next row begins, so the file ends
//! there; [`super::lines`] can go on, because a line is a line.
//!
//! This is the reference. [`super::stream`] reads most rows faster, and hands over here what it does not take.

use std::io::{Cursor, Read};

use struson::reader::{JsonReader, JsonStreamReader, ValueType};

use super::decoder::Decoder;
use super::input::{CUT_OFF, CUT_OFF_FIX, Input, NOT_TEXT_FIX, read_error};
use super::value::{Broken, RowReader, Typing, kind_name, line, offset, parser};
use crate::error::Error;
use crate::item::{Encoder, Position, Reason, Reject, Row, quoted};
use crate::read::Compression;
use crate::read::window::{self, Window, WindowReader};

pub(super) struct JsonDecoder<'r> {
    parser: JsonStreamReader<WindowReader<Box<dyn Read + 'r>>>,
    window: Window,
    rows: RowReader,
    compression: Compression,
    /// Where the parser's first byte is in the file; its record is that of the last row.
    begin: Position,
    /// Where the last row begins.
    row: Position,
    /// Containers around the rows, outermost first: `true` is an object, `false` an array.
    around: Vec<bool>,
    ended: bool,
}

/// What comes next in a file.
enum Found {
    Row,
    Rejected(Reason),
    End,
    /// A value that is not among the rows.
    SecondValue,
}

impl<'r> JsonDecoder<'r> {
    /// Rows are the elements of the array at `pointer`, which is empty for the file's one value.
    pub(super) fn array(
        input: Input<'r>,
        encoder: Encoder,
        typing: Typing,
        pointer: &[String],
    ) -> Result<Self, Error> {
        let mut decoder = Self::new(
            input.reader,
            input.begin,
            input.compression,
            encoder,
            typing,
        );
        match decoder.enter(pointer) {
            Ok(Some(problem)) => Err(Error::Unusable {
                code: "rows-at",
                problem,
                fix: "give the JSON pointer of the array of rows, for example --rows-at /Items"
                    .to_owned(),
            }),
            Ok(None) => Ok(decoder),
            Err(broken) => Err(decoder.fatal(broken)),
        }
    }

    /// Rows are the file's values, one after the other.
    pub(super) fn sequence(input: Input<'r>, encoder: Encoder, typing: Typing) -> Self {
        Self::new(
            input.reader,
            input.begin,
            input.compression,
            encoder,
            typing,
        )
    }

    /// Goes on where `input` begins, which is behind the row of its record (or behind what is before the first row),
    /// inside of the containers `around`.
    pub(super) fn resume(
        input: Input<'r>,
        encoder: Encoder,
        typing: Typing,
        around: &[bool],
    ) -> Result<Self, Error> {
        // What brings a parser to where it must be.
        let mut context = Vec::new();
        for &is_object in around {
            context.extend_from_slice(if is_object { b"{\"\":" } else { b"[" });
        }
        if input.begin.record > 0 {
            context.extend_from_slice(b"[]");
        }
        let begin = Position {
            // It may be longer than what the file has there; what is reckoned from it is behind it.
            byte: input.begin.byte.wrapping_sub(context.len() as u64),
            ..input.begin
        };
        let reader = Box::new(Cursor::new(context).chain(input.reader));
        let mut decoder = Self::new(reader, begin, input.compression, encoder, typing);
        match decoder.pass_context(around) {
            Ok(()) => Ok(decoder),
            Err(broken) => Err(decoder.fatal(broken)),
        }
    }

    fn pass_context(&mut self, around: &[bool]) -> Result<(), Broken> {
        for &is_object in around {
            if is_object {
                self.parser.begin_object()?;
                self.parser.skip_name()?;
            } else {
                self.parser.begin_array()?;
            }
            self.around.push(is_object);
        }
        if self.begin.record > 0 {
            self.parser.skip_value()?;
        }
        Ok(())
    }

    fn new(
        reader: Box<dyn Read + 'r>,
        begin: Position,
        compression: Compression,
        encoder: Encoder,
        typing: Typing,
    ) -> Self {
        let (reader, window) = window::open(reader);
        Self {
            parser: parser(reader),
            rows: RowReader::new(encoder, typing, Some(window.clone())),
            window,
            compression,
            begin,
            row: Position::default(),
            around: Vec::new(),
            ended: false,
        }
    }

    /// Containers around the rows; see [`JsonDecoder::resume`].
    pub(super) fn around(&self) -> &[bool] {
        &self.around
    }

    /// What was read from here on but not used, and whether that is all there is.
    pub(super) fn rest(&self) -> (Vec<u8>, bool) {
        self.window.rest(offset(&self.parser))
    }

    /// Goes down to the array of rows. `Some` says why there is none.
    fn enter(&mut self, pointer: &[String]) -> Result<Option<String>, Broken> {
        for name in pointer {
            let found = self.parser.peek()?;
            if found != ValueType::Object {
                return Ok(Some(format!(
                    "there is no \"{}\" in a JSON {}",
                    quoted(name),
                    kind_name(found)
                )));
            }
            self.parser.begin_object()?;
            self.around.push(true);
            loop {
                if !self.parser.has_next()? {
                    return Ok(Some(format!("the file has no \"{}\"", quoted(name))));
                }
                if self.parser.next_name()? == name {
                    break;
                }
                // What stands before the rows is only skipped: its values, unlike names, may be of any length.
                self.window.leave_rows();
                self.parser.skip_value()?;
                self.window.begin_row(offset(&self.parser));
            }
        }
        let found = self.parser.peek()?;
        if found != ValueType::Array {
            return Ok(Some(format!(
                "rows must be in a JSON array, found a JSON {}",
                kind_name(found)
            )));
        }
        self.parser.begin_array()?;
        self.around.push(false);
        Ok(None)
    }

    /// Closes what is around the rows and tells whether another value follows.
    fn leave(&mut self) -> Result<bool, Broken> {
        self.window.leave_rows();
        while let Some(is_object) = self.around.pop() {
            if is_object {
                while self.parser.has_next()? {
                    self.parser.skip_name()?;
                    self.parser.skip_value()?;
                    self.window.begin_row(offset(&self.parser));
                    self.window.leave_rows();
                }
                self.parser.end_object()?;
            } else {
                self.parser.end_array()?;
            }
        }
        Ok(self.parser.has_next()?)
    }

    fn next_row(&mut self, row: &mut Row) -> Result<Found, Broken> {
        // Only whitespace and a comma stand between the rows, however much: the last row's text may go before the next is
        // known.
        self.window.begin_row(offset(&self.parser));
        self.window.leave_rows();
        if !self.has_next()? {
            self.ended = true;
            return Ok(if self.leave()? {
                Found::SecondValue
            } else {
                Found::End
            });
        }
        self.parser.peek()?;
        self.begin.record += 1;
        row.position = self.here();
        self.row = row.position;
        self.window.begin_row(offset(&self.parser));
        self.rows.read(&mut self.parser)?;
        let end = offset(&self.parser);
        self.window.check_row(end).map_err(Broken::Io)?;
        if let Some(byte) = self.window.invalid_byte(end) {
            return Ok(Found::Rejected(Reason::NotText {
                byte: self.begin.byte.wrapping_add(byte),
            }));
        }
        Ok(match self.rows.encoder.finish(row) {
            Ok(()) => Found::Row,
            Err(reason) => Found::Rejected(reason),
        })
    }

    fn has_next(&mut self) -> Result<bool, Broken> {
        // A sequence begins with a value: the file is not empty. struson wants that one read before it is asked.
        let first_of_sequence = self.around.is_empty() && self.begin.record == 0;
        Ok(first_of_sequence || self.parser.has_next()?)
    }

    /// Where the parser is.
    pub(super) fn here(&self) -> Position {
        self.at(line(&self.parser), offset(&self.parser))
    }

    /// Where something is that the parser places on a line, from 1, and at a byte.
    fn at(&self, line: u64, byte: u64) -> Position {
        Position {
            byte: self.begin.byte.wrapping_add(byte),
            line: self.begin.line + line - 1,
            record: self.begin.record,
        }
    }

    fn fatal(&self, broken: Broken) -> Error {
        let (code, position, problem, fix) = match broken {
            Broken::Syntax {
                line,
                byte,
                problem,
                ..
            } => {
                let position = self.at(line, byte);
                let repair = "repair the file there; JSON Lines, one object a line, would lose only that row";
                // Whatever the parser lacked: it asked for more than there is.
                if self.window.ended() {
                    ("cut-off", position, CUT_OFF.to_owned(), CUT_OFF_FIX)
                } else if let Some(invalid) = self.window.invalid_byte(byte + 1) {
                    let problem = format!(
                        "byte {} is not UTF-8",
                        self.begin.byte.wrapping_add(invalid)
                    );
                    ("encoding", position, problem, NOT_TEXT_FIX)
                } else {
                    ("broken", position, problem, repair)
                }
            }
            Broken::Io(error) => {
                let error = self.window.take_failure().unwrap_or(error);
                let Some(limit_bytes) = window::limit_passed(&error) else {
                    return read_error(self.compression, self.here().byte, error);
                };
                let problem = Reason::RowTooLong { limit_bytes };
                let fix = "split the row, or shorten the attribute that is this long";
                // The row's place, if it is one.
                let is_row = self.row.record > 0 && self.row.record == self.begin.record;
                let position = if is_row { self.row } else { self.here() };
                ("row-too-long", position, problem.to_string(), fix)
            }
        };
        Error::Syntax {
            code,
            position,
            problem,
            fix: fix.to_owned(),
        }
    }
}

impl Decoder for JsonDecoder<'_> {
    fn next(&mut self, row: &mut Row) -> Result<bool, Error> {
        if self.ended {
            return Ok(false);
        }
        match self.next_row(row) {
            Ok(Found::Row) => Ok(true),
            Ok(Found::End) => Ok(false),
            Ok(Found::SecondValue) => Err(Error::Syntax {
                code: "broken",
                position: self.here(),
                problem: "another JSON value follows the array of rows".to_owned(),
                fix: "remove what stands there, or put all rows into one array".to_owned(),
            }),
            Ok(Found::Rejected(reason)) => {
                let text = self.window.row_text(offset(&self.parser));
                Err(Error::Row(Box::new(Reject::new(
                    row.position,
                    reason,
                    &text,
                ))))
            }
            Err(broken) => Err(self.fatal(broken)),
        }
    }
}
