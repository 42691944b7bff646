//! CSV and TSV with a header line (RFC 4180).
//!
//! This is the reference. [`super::records`] reads most rows faster, and hands over here what it does not take.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use super::cells::{COLUMNS_MAX, CellReader};
use super::decoder::Decoder;
use super::input::{Input, NOT_TEXT_FIX, TableRules, read_error};
use crate::error::Error;
use crate::item::reference::{Encoder, infer_cell};
use crate::item::{DeclaredType, Position, Reason, Reject, Row, Scalar, Schema, Types, quoted};
use crate::read::Compression;
use crate::read::window::{self, Window, WindowReader};

/// Longest header: some times what the names of an item's attributes may have.
const HEADER_BYTES_MAX: u64 = 1024 * 1024;

pub(super) struct CsvDecoder<'r> {
    cells: CellReader<WindowReader<Box<dyn Read + 'r>>>,
    window: Window,
    encoder: Encoder,
    columns: Arc<[Column]>,
    delimiter: u8,
    compression: Compression,
    /// Where the reader's first byte is in the file; its record is that of the next row. The header is record 0.
    begin: Position,
}

/// A column of the table that the file is.
pub(super) struct Column {
    /// The attribute's name.
    pub(super) name: String,
    /// The type its cells must have, if one is declared or the column is a key.
    pub(super) declared: Option<DeclaredType>,
}

impl<'r> CsvDecoder<'r> {
    pub(super) fn new(input: Input<'r>, table: &TableRules, delimiter: u8) -> Result<Self, Error> {
        let mut decoder = Self::over(input, table.encoder(), Arc::default(), delimiter);
        decoder.read_cells()?;
        if let Some(byte) = decoder.window.invalid_byte(decoder.end()) {
            return Err(Error::Unusable {
                code: "encoding",
                problem: format!(
                    "byte {} of the header is not UTF-8",
                    decoder.begin.byte + byte
                ),
                fix: NOT_TEXT_FIX.to_owned(),
            });
        }
        if decoder.has_text_after_quote() {
            return Err(Error::Unusable {
                code: "header",
                problem: "text follows the closing quote of a name in the header".to_owned(),
                fix: "close every quote of the header; write a quote inside a name twice"
                    .to_owned(),
            });
        }
        check_header_size(decoder.cells.count(), decoder.end())?;
        let names: Vec<String> = decoder
            .cells
            .cells()
            .map(|cell| String::from_utf8_lossy(cell).into_owned())
            .collect();
        let TableRules { schema, types } = table;
        check_header(&names, schema, types)?;
        decoder.columns = names
            .into_iter()
            .map(|name| Column::new(name, schema, types))
            .collect();
        Ok(decoder)
    }

    /// Goes on where `input` begins, before the row of its record. `after_return` says that a line feed there only ends
    /// the line break of the row before.
    pub(super) fn resume(
        mut input: Input<'r>,
        encoder: Encoder,
        columns: Arc<[Column]>,
        delimiter: u8,
        after_return: bool,
    ) -> Self {
        // The line break before, so that the parser neither counts a half of it twice nor takes what follows for the
        // beginning of a file, whose byte order mark it drops.
        let before: &[u8] = if after_return { b"\r" } else { b"\n" };
        input.reader = Box::new(before.chain(input.reader));
        input.begin.byte = input.begin.byte.saturating_sub(1);
        input.begin.line = input.begin.line.saturating_sub(1);
        Self::over(input, encoder, columns, delimiter)
    }

    fn over(input: Input<'r>, encoder: Encoder, columns: Arc<[Column]>, delimiter: u8) -> Self {
        // A line break after the last byte: see `read_cells`.
        let terminated: Box<dyn Read + 'r> = Box::new(input.reader.chain(&b"\n"[..]));
        let (reader, window) = window::open(terminated);
        Self {
            cells: CellReader::new(reader, delimiter),
            window,
            encoder,
            columns,
            delimiter,
            compression: input.compression,
            begin: input.begin,
        }
    }

    /// The columns of the header.
    pub(super) fn columns(&self) -> Arc<[Column]> {
        Arc::clone(&self.columns)
    }

    /// Where the next record begins, and whether a line feed there only ends the line break of the record before.
    pub(super) fn here(&self) -> (Position, bool) {
        let (line_breaks, after_return) = self.window.line_breaks_to(self.end());
        let here = Position {
            byte: self.begin.byte + self.end(),
            line: self.begin.line + line_breaks,
            record: self.begin.record,
        };
        (here, after_return)
    }

    /// What was read from there on but not used, and whether that is all there is.
    pub(super) fn rest(&self) -> (Vec<u8>, bool) {
        self.window.rest(self.end())
    }

    /// Reads the next record and tells where it begins; `None` is the end.
    fn read_cells(&mut self) -> Result<Option<Position>, Error> {
        self.window.begin_row(self.end());
        match self.cells.read() {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            Err(e) => return Err(self.broken(e)),
        }
        let position = self.position();
        if let Err(e) = self.window.check_row(self.end()) {
            return Err(self.broken(e));
        }
        // The line break after the file's last byte ends every record but one inside quotes.
        if self.window.ended() {
            return Err(Error::Syntax {
                code: "cut-off",
                position,
                problem: "the file ends inside a quoted cell of this row".to_owned(),
                fix: "the file is cut off, or a quote that opens a cell is never closed".to_owned(),
            });
        }
        self.begin.record += 1;
        Ok(Some(position))
    }

    /// Where the record that was just read begins. For the parser that is right after the record before, line breaks
    /// included.
    fn position(&self) -> Position {
        let (byte, line) = self.window.skip_line_breaks();
        Position {
            byte: self.begin.byte + byte,
            line: self.begin.line + line - 1,
            record: self.begin.record,
        }
    }

    /// Offset after the record that was read last.
    fn end(&self) -> u64 {
        self.cells.offset()
    }

    /// Offset after it without its line break.
    fn text_end(&self) -> u64 {
        let is_break = |b: &&u8| matches!(b, b'\r' | b'\n');
        let row = self.window.row_bytes(self.end());
        let breaks = row.map_or(0, |row| row.iter().rev().take_while(is_break).count());
        self.end() - breaks as u64
    }

    fn has_text_after_quote(&self) -> bool {
        let row = self.window.row_bytes(self.end());
        row.is_some_and(|row| has_text_after_quote(&row, self.delimiter))
    }

    fn broken(&self, error: std::io::Error) -> Error {
        let position = self.position();
        let source = self.window.take_failure().unwrap_or(error);
        if let Some(limit_bytes) = window::limit_passed(&source) {
            return Error::Syntax {
                code: "row-too-long",
                position,
                problem: Reason::RowTooLong { limit_bytes }.to_string(),
                fix: "a quote that opens a cell there is never closed, or --delimiter is wrong"
                    .to_owned(),
            };
        }
        read_error(self.compression, position.byte, source)
    }

    fn encode(&mut self, row: &mut Row) -> Result<(), Reason> {
        if let Some(byte) = self.window.invalid_byte(self.end()) {
            return Err(Reason::NotText {
                byte: self.begin.byte + byte,
            });
        }
        // Before the count of cells, which this may be the cause of.
        if self.has_text_after_quote() {
            return Err(Reason::TextAfterQuote);
        }
        if self.cells.count() != self.columns.len() {
            return Err(Reason::Ragged {
                expected: self.columns.len(),
                found: self.cells.count(),
            });
        }
        self.encoder.begin_item();
        for (column, cell) in self.columns.iter().zip(self.cells.cells()) {
            // An empty cell is an absent attribute.
            if cell.is_empty() || self.encoder.failed() {
                continue;
            }
            // Cannot fail: the window has replaced what is not UTF-8. A lossy copy would only cost time.
            let text = String::from_utf8_lossy(cell);
            self.encoder.name(&column.name);
            self.encoder.scalar(match column.declared {
                Some(DeclaredType::N) => Scalar::N(&text),
                Some(DeclaredType::B) => Scalar::B(&text),
                Some(DeclaredType::S | DeclaredType::Bool) => Scalar::S(&text),
                None => infer_cell(&text),
            });
        }
        self.encoder.finish(row)
    }
}

impl Decoder for CsvDecoder<'_> {
    fn next(&mut self, row: &mut Row) -> Result<bool, Error> {
        let Some(position) = self.read_cells()? else {
            return Ok(false);
        };
        row.position = position;
        match self.encode(row) {
            Ok(()) => Ok(true),
            Err(reason) => {
                let text = self.window.row_text(self.text_end());
                Err(Error::Row(Box::new(Reject::new(
                    row.position,
                    reason,
                    &text,
                ))))
            }
        }
    }
}

impl Column {
    fn new(name: String, schema: &Schema, types: &Types) -> Self {
        let key_type = schema
            .key
            .iter()
            .chain(&schema.index_keys)
            .find(|key| key.name == name)
            .map(|key| key.key_type.into());
        Self {
            declared: types.get(&name).or(key_type),
            name,
        }
    }
}

/// Whether a quoted cell of `row` goes on after its closing quote.
///
/// RFC 4180 has no such thing and the parser takes it as text. It is what a quote that is never closed looks like: the
/// cell swallows rows up to the next quote, and may well leave a row of the right length.
fn has_text_after_quote(row: &[u8], delimiter: u8) -> bool {
    let mut open = false;
    let mut quotes = memchr::memchr_iter(b'"', row).peekable();
    while let Some(at) = quotes.next() {
        if !open {
            // Within an unquoted cell a quote is itself.
            open = at == 0 || matches!(row[at - 1], b'\r' | b'\n') || row[at - 1] == delimiter;
        } else if quotes.next_if_eq(&(at + 1)).is_none() {
            open = false;
            let next = row.get(at + 1);
            if next.is_some_and(|&b| b != delimiter && b != b'\r' && b != b'\n') {
                return true;
            }
        }
    }
    false
}

/// Checks that a header is one that can be remembered.
fn check_header_size(columns: usize, bytes: u64) -> Result<(), Error> {
    let problem = if columns > COLUMNS_MAX {
        format!("the header has {columns} columns; Intake reads {COLUMNS_MAX} at most")
    } else if bytes > HEADER_BYTES_MAX {
        format!("the header has {bytes} bytes; Intake reads {HEADER_BYTES_MAX} at most")
    } else {
        return Ok(());
    };
    Err(Error::Unusable {
        code: "delimiter",
        problem,
        fix: "begin the file with a line that names the columns, or give the right --delimiter"
            .to_owned(),
    })
}

/// Checks what makes a header usable: named columns, each once, with the table's key among them.
///
/// The first line of a file without a header is a row, and messages go where rows may not. So they give columns by number,
/// and only a name that is wanted, or like it, by name.
fn check_header(names: &[String], schema: &Schema, types: &Types) -> Result<(), Error> {
    let unusable = |code, problem: String, fix: String| Err(Error::Unusable { code, problem, fix });
    let mut seen = HashMap::new();
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() {
            return unusable(
                "header",
                format!("column {} of the header has no name", index + 1),
                "name every column in the first line; a delimiter at its end makes a column, too"
                    .to_owned(),
            );
        }
        if let Some(first) = seen.insert(name.as_str(), index) {
            return unusable(
                "header",
                format!(
                    "columns {} and {} of the header have the same name",
                    first + 1,
                    index + 1
                ),
                "rename or remove one of the two: an item has each attribute once; if the first line is a row, put one \
                 with the columns' names before it"
                    .to_owned(),
            );
        }
    }
    for name in schema
        .key
        .iter()
        .map(|key| key.name.as_str())
        .chain(types.names())
    {
        if !seen.contains_key(name) {
            let wanted = quoted(name);
            let squeeze = |text: &str| text.to_lowercase().replace([' ', '_', '-'], "");
            let similar = names.iter().find(|other| squeeze(other) == squeeze(name));
            let fix = match similar {
                Some(similar) => {
                    let similar = quoted(similar);
                    format!("rename column \"{similar}\" to \"{wanted}\": names match exactly")
                }
                None => format!(
                    "name a column \"{wanted}\" in the first line, which must be the header, or give the right \
                     --delimiter; the first line has {} column{}",
                    names.len(),
                    if names.len() == 1 { "" } else { "s" }
                ),
            };
            let is_key = schema.key.iter().any(|key| key.name == *name);
            let code = if is_key { "missing-key" } else { "types" };
            return unusable(code, format!("the header has no column \"{wanted}\""), fix);
        }
    }
    Ok(())
}
