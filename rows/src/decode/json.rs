//! JSON: the elements of an array, or values one after the other.
//!
//! The hot path ([`super::parse`]) takes the rows that are as they should be; the others are read by struson, which is the reference
//! and knows what is wrong. A row that is broken costs only itself, if it is certain where it ends ([`is_sound`]).

use std::cell::Cell;
use std::io::Read;
use std::sync::Arc;

use struson::reader::{JsonReader, JsonStreamReader, ValueType};

use super::frame::{ElementFramer, ValueFramer, is_json_blank, is_sound};
use super::input::{
    BYTE_ORDER_MARK, CUT_OFF, CUT_OFF_FIX, DETECT_BYTES, DOS_END, Input, NOT_TEXT_FIX, TableRules,
    read_error,
};
use super::options::Engine;
use super::parse::Parser;
use super::parts::{Found, LineBreaks, Passed, ROW_PASSED_BYTES_MAX, Slice, Syntax};
use super::value::{
    Broken, RowReader, SliceReader, Typing, column, kind_name, line, offset, parser,
};
use super::wrapper::{Wrapped, array_index};
use crate::error::Error;
use crate::item::{ItemWriter, Position, Reason, Row, Schema, quoted};
use crate::read::{LIMIT_BYTES, Recent, RecentReader};

/// The problem of two values with nothing between them.
const MISSING_COMMA: &str = "a missing comma";

/// A code for machines, and how to repair the file.
type Advice = (&'static str, &'static str);

const REPAIR: Advice = (
    "broken",
    "repair the file there; JSON Lines, one object a line, would lose only that row",
);
const CUT_OFF_HERE: Advice = ("cut-off", CUT_OFF_FIX);
const NOT_TEXT: Advice = ("encoding", NOT_TEXT_FIX);
const TOO_LONG: Advice = (
    "row-too-long",
    "split the row, or shorten the attribute that is this long",
);

/// Values of JSON as rows, on both ways.
pub(super) struct Values {
    /// The hot path, if it is to be taken.
    item: Option<ItemWriter>,
    pub(super) reference: RowReader,
    typing: Typing,
    schema: Arc<Schema>,
}

impl Values {
    pub(super) fn new(table: &TableRules, typing: Typing, engine: Engine) -> Self {
        Self {
            item: (engine == Engine::Fast).then(|| table.item_writer()),
            reference: RowReader::new(table.encoder(), typing),
            typing,
            schema: Arc::clone(&table.schema),
        }
    }

    /// The error for a first value that is not a row but around the rows, too long to be seen as such from its beginning.
    pub(super) fn wrapped(&self, text: &[u8], reason: &Reason) -> Option<Error> {
        let has_no_key = match reason {
            Reason::MissingKey { .. } => text.len() >= DETECT_BYTES,
            Reason::RowTooLong { .. } => true,
            _ => false,
        };
        let wrapped = has_no_key.then(|| Wrapped::find(text, &self.schema))?;
        wrapped.map(|wrapped| wrapped.error())
    }

    /// Passes a row on the hot path.
    #[inline]
    pub(super) fn hot(&mut self, parser: &mut Parser<'_>, row: &mut Row) -> Option<()> {
        let item = self.item.as_mut()?;
        parser.row(item, self.typing).ok()?;
        item.finish(row).ok()
    }

    /// Reads what `text` is, by the reference.
    pub(super) fn reference(&mut self, text: &[u8], row: &mut Row) -> Result<Found, Broken> {
        let mut parser = parser(text);
        self.reference.read(&mut parser)?;
        if parser.has_next()? {
            return Err(Broken::Syntax {
                line: line(&parser),
                column: column(&parser),
                byte: offset(&parser),
                problem: MISSING_COMMA.to_owned(),
            });
        }
        Ok(self.finish(row))
    }

    /// Reads what the file ends with inside a row.
    fn rest(&mut self, slice: Slice<'_>, row: &mut Row) -> Result<Found, Error> {
        let cut_off = || broken(slice.at, CUT_OFF, CUT_OFF_HERE);
        if let Err(e) = std::str::from_utf8(slice.row)
            && e.error_len().is_none()
        {
            return Err(cut_off());
        }
        let ended = Cell::new(false);
        let mut parser = parser(SliceReader {
            rest: slice.row,
            ended: &ended,
        });
        let read = self.reference.read(&mut parser);
        match read.and_then(|()| Ok(parser.has_next()?)) {
            Ok(false) => Ok(self.finish(row)),
            Ok(true) => {
                let at = within(slice.at, line(&parser), offset(&parser));
                Err(broken(at, MISSING_COMMA, REPAIR))
            }
            Err(Broken::Syntax {
                line,
                byte,
                problem,
                ..
            }) if !ended.get() => Err(broken(within(slice.at, line, byte), problem, REPAIR)),
            Err(Broken::Syntax { .. } | Broken::Io(_)) => Err(cut_off()),
        }
    }

    pub(super) fn finish(&mut self, row: &mut Row) -> Found {
        match self.reference.encoder.finish(row) {
            Ok(()) => Found::Row,
            Err(reason) => Found::Rejected(reason),
        }
    }

    /// Reads a slice of which it is certain that it is one value if it is [sound](is_sound).
    fn slice(&mut self, slice: Slice<'_>, row: &mut Row) -> Result<Found, Error> {
        let text = slice.row;
        let (at, problem, fix, reason) = if let Err(e) = std::str::from_utf8(text) {
            let byte = slice.at.byte + e.valid_up_to() as u64;
            let line_breaks = LineBreaks::FeedOrReturn.count(&text[..e.valid_up_to()], &mut false);
            let at = Position {
                byte,
                line: slice.at.line + line_breaks,
                ..slice.at
            };
            let problem = format!("byte {byte} is not UTF-8");
            (at, problem, NOT_TEXT, Reason::NotText { byte })
        } else {
            match self.reference(text, row) {
                Ok(found) => return Ok(found),
                Err(Broken::Io(source)) => {
                    return Err(Error::Read {
                        bytes_read: slice.at.byte,
                        source,
                    });
                }
                Err(Broken::Syntax {
                    line,
                    byte,
                    problem,
                    ..
                }) => {
                    let at = within(slice.at, line, byte);
                    let reason = Reason::BrokenJson {
                        problem: problem.clone(),
                        line: at.line,
                        byte: at.byte,
                    };
                    (at, problem, REPAIR, reason)
                }
            }
        };
        if is_sound(text) {
            return Ok(Found::Rejected(reason));
        }
        Err(broken(at, problem, fix))
    }
}

/// Where something is that a parser places on a line and at a byte of what begins at `begin`.
fn within(begin: Position, line: u64, byte: u64) -> Position {
    Position {
        byte: begin.byte + byte,
        line: begin.line + line - 1,
        record: begin.record,
    }
}

fn broken(position: Position, problem: impl Into<String>, (code, fix): Advice) -> Error {
    Error::Syntax {
        code,
        position,
        problem: problem.into(),
        fix: fix.to_owned(),
    }
}

fn too_long(at: Position, limit_bytes: usize) -> Error {
    let problem = Reason::RowTooLong { limit_bytes };
    broken(at, problem.to_string(), TOO_LONG)
}

fn blank_end(text: &[u8]) -> usize {
    text.len()
        - text
            .iter()
            .rev()
            .take_while(|&&byte| is_json_blank(byte))
            .count()
}

/// The elements of an array, and then what is around it.
pub(super) struct ArraySyntax {
    values: Values,
    /// Containers that are open, outermost first: `true` is an object, `false` an array. The last is the array of rows, until it ends.
    around: Vec<bool>,
    /// Whether the array of rows has ended.
    has_ended: bool,
    /// Whether nothing has come behind the container that ended last.
    is_behind: bool,
}

impl ArraySyntax {
    pub(super) fn new(values: Values, around: Vec<bool>) -> Self {
        Self {
            values,
            around,
            has_ended: false,
            is_behind: false,
        }
    }

    fn ends(&mut self) {
        self.around.pop();
        self.has_ended = true;
        self.is_behind = true;
    }

    /// Checks what stands behind the rows in the objects around them.
    fn member(&mut self, slice: Slice<'_>) -> Result<Found, Error> {
        // Behind a container there must be nothing; behind a comma a member.
        let is_object = self.around.last() == Some(&true);
        let (before, after) = match (std::mem::take(&mut self.is_behind), is_object) {
            (true, _) => (&b"[0 "[..], b"]"),
            (false, true) => (&b"{"[..], b"}"),
            (false, false) => (&b"["[..], b"]"),
        };
        if slice.row.is_empty() {
            if before.len() == 1 {
                return Err(broken(slice.at, no_element(slice), REPAIR));
            }
            return Ok(Found::Nothing);
        }
        let text = [before, slice.row, after].concat();
        let Err(error) = parser(&text[..]).skip_value() else {
            return Ok(Found::Nothing);
        };
        match Broken::from(error) {
            Broken::Syntax {
                line,
                byte,
                problem,
                ..
            } => {
                let at = last_row(slice.at);
                let byte = byte.saturating_sub(before.len() as u64);
                Err(broken(within(at, line, byte), problem, REPAIR))
            }
            Broken::Io(source) => Err(Error::Read {
                bytes_read: slice.at.byte,
                source,
            }),
        }
    }
}

/// The error for text behind the rows, which begins with `byte`.
fn behind_rows(byte: u8, at: Position) -> Error {
    match byte {
        b'{' | b'[' | b'"' | b'0'..=b'9' | b'-' | b't' | b'f' | b'n' => broken(
            at,
            "another JSON value follows the array of rows",
            (
                "broken",
                "remove what stands there, or put all rows into one array",
            ),
        ),
        b'}' | b']' => broken(at, "a closing bracket that nothing opened", REPAIR),
        b',' => broken(at, "a comma where none may stand", REPAIR),
        _ => broken(at, "text that is not JSON", REPAIR),
    }
}

/// The problem of a slice without anything.
fn no_element(slice: Slice<'_>) -> &'static str {
    match slice.end {
        Some(b',') | None => "a comma where none may stand",
        Some(_) => "a comma after the last element",
    }
}

/// A place behind the last row: it counts to it.
fn last_row(at: Position) -> Position {
    Position {
        record: at.record - 1,
        ..at
    }
}

impl Syntax for ArraySyntax {
    type Framer = ElementFramer;

    const LINE_BREAKS: LineBreaks = LineBreaks::FeedOrReturn;
    const END_IS_TEXT: bool = false;

    #[inline]
    fn row(&mut self, text: &[u8], at: usize, after_return: bool, row: &mut Row) -> Option<Passed> {
        if self.has_ended {
            return None;
        }
        let mut parser = Parser::new(text, at, after_return);
        parser.space().ok()?;
        let (begin, breaks_before) = (parser.at, parser.line_breaks);
        self.values.hot(&mut parser, row)?;
        match parser.space().ok()? {
            b',' => {}
            b']' => self.ends(),
            _ => return None,
        }
        Some(Passed {
            begin,
            end: parser.at + 1,
            breaks_before,
            breaks: parser.line_breaks,
            is_row: true,
        })
    }

    fn frame(&self, framer: &mut ElementFramer, text: &[u8]) -> Option<usize> {
        if self.has_ended && self.around.is_empty() {
            // Only white space may stand there.
            return text
                .iter()
                .position(|&byte| !is_json_blank(byte) && byte != DOS_END[0]);
        }
        framer.end(text)
    }

    fn blank(&self, text: &[u8]) -> usize {
        text.iter().take_while(|&&byte| is_json_blank(byte)).count()
    }

    fn trim_end(text: &[u8]) -> usize {
        blank_end(text)
    }

    fn passed_bytes_max(&self) -> usize {
        if self.has_ended {
            usize::MAX
        } else {
            ROW_PASSED_BYTES_MAX
        }
    }

    fn too_long(at: Position, limit_bytes: usize) -> Error {
        too_long(at, limit_bytes)
    }

    fn slice(&mut self, slice: Slice<'_>, row: &mut Row) -> Result<Found, Error> {
        if self.has_ended && !self.around.is_empty() {
            return self.member(slice);
        }
        let is_empty_array = slice.end == Some(b']') && slice.at.record == 1;
        if self.has_ended || (slice.row.is_empty() && is_empty_array) {
            return Ok(Found::Nothing);
        }
        if slice.row.is_empty() {
            return Ok(Found::Rejected(Reason::BrokenJson {
                problem: no_element(slice).to_owned(),
                line: slice.at.line,
                byte: slice.at.byte,
            }));
        }
        self.values.slice(slice, row)
    }

    fn long_slice(&self, slice: Slice<'_>) -> Result<Found, Error> {
        if slice.end.is_none() {
            return Err(broken(slice.at, CUT_OFF, CUT_OFF_HERE));
        }
        Ok(if self.has_ended {
            Found::Nothing
        } else {
            Found::TOO_LONG
        })
    }

    fn ended_by(&mut self, end: u8, at: Position) -> Result<(), Error> {
        match (end, self.around.last()) {
            (b',', Some(_)) => Ok(()),
            (b'}', Some(true)) | (b']', Some(false)) => {
                self.ends();
                Ok(())
            }
            (_, None) => Err(behind_rows(end, at)),
            (_, Some(_)) => {
                let problem = "a closing bracket that nothing opened";
                Err(broken(at, problem, REPAIR))
            }
        }
    }

    fn rest(&mut self, slice: Slice<'_>, _: ElementFramer, row: &mut Row) -> Result<Found, Error> {
        if self.has_ended && self.around.is_empty() {
            return Ok(Found::Nothing);
        }
        if self.has_ended || slice.row.is_empty() {
            return Err(broken(last_row(slice.at), CUT_OFF, CUT_OFF_HERE));
        }
        // A row that is whole counts, although nothing ends it.
        self.values.rest(slice, row)
    }
}

/// Values one after the other.
pub(super) struct SequenceSyntax(pub(super) Values);

impl Syntax for SequenceSyntax {
    type Framer = ValueFramer;

    const LINE_BREAKS: LineBreaks = LineBreaks::FeedOrReturn;
    const END_IS_TEXT: bool = true;

    #[inline]
    fn row(&mut self, text: &[u8], at: usize, after_return: bool, row: &mut Row) -> Option<Passed> {
        let mut parser = Parser::new(text, at, after_return);
        parser.space().ok()?;
        let (begin, breaks_before) = (parser.at, parser.line_breaks);
        self.0.hot(&mut parser, row)?;
        Some(Passed {
            begin,
            end: parser.at,
            breaks_before,
            breaks: parser.line_breaks,
            is_row: true,
        })
    }

    fn frame(&self, framer: &mut ValueFramer, text: &[u8]) -> Option<usize> {
        framer.end(text)
    }

    fn blank(&self, text: &[u8]) -> usize {
        text.iter().take_while(|&&byte| is_json_blank(byte)).count()
    }

    fn trim_end(text: &[u8]) -> usize {
        blank_end(text)
    }

    fn passed_bytes_max(&self) -> usize {
        ROW_PASSED_BYTES_MAX
    }

    fn too_long(at: Position, limit_bytes: usize) -> Error {
        too_long(at, limit_bytes)
    }

    fn slice(&mut self, slice: Slice<'_>, row: &mut Row) -> Result<Found, Error> {
        // Files that were joined have marks between them.
        if let Some(text) = slice.row.strip_prefix(BYTE_ORDER_MARK) {
            if text.is_empty() {
                return Ok(Found::Nothing);
            }
            return self.slice(Slice { row: text, ..slice }, row);
        }
        if matches!(slice.row.first(), Some(b'{' | b'[')) {
            return self.0.slice(slice, row);
        }
        let at = last_row(slice.at);
        match self.0.slice(Slice { at, ..slice }, row)? {
            // Of text between values it is not certain where it ends.
            Found::Rejected(Reason::BrokenJson {
                problem,
                line,
                byte,
            }) => Err(broken(Position { byte, line, ..at }, problem, REPAIR)),
            found => Ok(found),
        }
    }

    fn long_slice(&self, slice: Slice<'_>) -> Result<Found, Error> {
        if slice.end.is_none() {
            return Err(broken(slice.at, CUT_OFF, CUT_OFF_HERE));
        }
        Ok(Found::TOO_LONG)
    }

    fn unusable(&self, slice: Slice<'_>, reason: &Reason) -> Option<Error> {
        self.0.wrapped(slice.row, reason)
    }

    fn rest(
        &mut self,
        slice: Slice<'_>,
        framer: ValueFramer,
        row: &mut Row,
    ) -> Result<Found, Error> {
        if slice.row.is_empty() {
            return Ok(Found::Nothing);
        }
        if framer.may_end() {
            return self.slice(slice, row);
        }
        self.0.rest(slice, row)
    }
}

/// Goes down to the array of rows. Gives the containers around the rows, that array included, and the file from behind its bracket on.
///
/// # Errors
///
/// [`Error::Unusable`] if there is no array at `pointer`, [`Error::Syntax`] if what is before it is not JSON.
pub(super) fn enter<'r>(
    input: Input<'r>,
    pointer: &[String],
) -> Result<(Vec<bool>, Input<'r>), Error> {
    let recent = Recent::default();
    let mut reader = RecentReader::new(input.reader, &recent);
    let mut parser = parser(&mut reader);
    let mut around = Vec::new();
    let found = descend(&mut parser, pointer, &mut around, &recent);
    let here = within(input.begin, line(&parser), offset(&parser));
    let passed = offset(&parser);
    drop(parser);
    match found {
        Ok(None) => Ok((
            around,
            Input {
                reader: Box::new(reader.again_from(passed)),
                begin: here,
                ..input
            },
        )),
        Ok(Some(problem)) => Err(Error::Unusable {
            code: "rows-at",
            problem,
            fix: "give the JSON pointer of the array of rows, for example --rows-at /Items"
                .to_owned(),
        }),
        Err(Broken::Syntax { .. }) if recent.has_ended() => {
            Err(broken(here, CUT_OFF, CUT_OFF_HERE))
        }
        Err(Broken::Syntax {
            line,
            byte,
            problem,
            ..
        }) => Err(broken(within(input.begin, line, byte), problem, REPAIR)),
        Err(Broken::Io(error)) => Err(match recent.take_failure() {
            Some(failure) => read_error(input.compression, here.byte, failure),
            None if recent.is_too_long() => too_long(here, LIMIT_BYTES),
            None => broken(here, error.to_string(), NOT_TEXT),
        }),
    }
}

/// `Some` says why there is no array of rows.
fn descend<R: Read>(
    parser: &mut JsonStreamReader<R>,
    pointer: &[String],
    around: &mut Vec<bool>,
    recent: &Recent,
) -> Result<Option<String>, Broken> {
    for token in pointer {
        let found = parser.peek()?;
        let index = match found {
            ValueType::Object => None,
            ValueType::Array if array_index(token).is_some() => array_index(token),
            _ => {
                return Ok(Some(format!(
                    "there is no \"{}\" in a JSON {}",
                    quoted(token),
                    kind_name(found)
                )));
            }
        };
        around.push(index.is_none());
        match index {
            Some(_) => parser.begin_array()?,
            None => parser.begin_object()?,
        }
        let mut passed = 0;
        loop {
            // A name is kept; what stands before the rows is only skipped, and may be of any length.
            recent.limit_from(Some(offset(parser)));
            if !parser.has_next()? {
                return Ok(Some(match index {
                    Some(_) => format!("the array has no element {}", quoted(token)),
                    None => format!("the file has no \"{}\"", quoted(token)),
                }));
            }
            let is_it = match index {
                Some(index) => index == passed,
                None => parser.next_name()? == token,
            };
            recent.limit_from(None);
            if is_it {
                break;
            }
            parser.skip_value()?;
            passed += 1;
        }
    }
    let found = parser.peek()?;
    if found != ValueType::Array {
        return Ok(Some(format!(
            "rows must be in a JSON array, found a JSON {}",
            kind_name(found)
        )));
    }
    parser.begin_array()?;
    around.push(false);
    Ok(None)
}
