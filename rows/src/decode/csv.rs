//! CSV and TSV with a header line (RFC 4180).
//!
//! Records whose quotes are where RFC 4180 wants them are cut here; the others are read by csv-core, which is the reference.

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::ops::Range;
use std::sync::Arc;

use memchr::{memchr, memchr3, memmem};

use super::cells::{COLUMNS_MAX, CellReader};
use super::frame::RecordFramer;
use super::input::{
    BYTE_ORDER_MARK, DOS_END, Input, NOT_TEXT_FIX, TableRules, lost_tail, read_error,
};
use super::options::Engine;
use super::parts::{Found, LineBreaks, Passed, ROW_TEXT_BYTES_MAX, Slice, Syntax};
use crate::error::Error;
use crate::item::json_text::{self, Escaped};
use crate::item::reference::{Encoder, infer_cell};
use crate::item::{
    DeclaredType, ItemWriter, KeyType, Position, Raw, Reason, Refused, Row, Scalar, Schema, Types,
    quoted,
};
use crate::read::Failing;

/// Longest header: some times what the names of an item's attributes may have.
const HEADER_BYTES_MAX: usize = 1024 * 1024;

/// Bytes read at a time of a header.
const HEADER_CHUNK_BYTES: usize = 64 * 1024;

/// Records as rows.
pub(super) struct CsvSyntax {
    /// The hot path, if it is to be taken and the header is such that there can be one.
    item: Option<ItemWriter>,
    encoder: Encoder,
    cells: CellReader,
    columns: Arc<[Column]>,
    delimiter: u8,
    /// The first column's name, as far as a header has it as it is, and a cell is looked at.
    header_start: Vec<u8>,
    /// A cell with its doubled quotes undone.
    unquoted: Vec<u8>,
}

/// A column of the table that the file is.
pub(super) struct Column {
    /// The attribute's name.
    pub(super) name: String,
    /// The type its cells must have, if one is declared or the column is a key.
    pub(super) declared: Option<DeclaredType>,
    /// Whether it is a key of text because the table says so, and nothing else.
    is_text_key: bool,
}

impl CsvSyntax {
    pub(super) fn new(
        table: &TableRules,
        columns: Arc<[Column]>,
        delimiter: u8,
        engine: Engine,
    ) -> Self {
        let mut item = table.item_writer();
        let names = columns.iter().map(|column| column.name.as_str());
        let is_hot = engine == Engine::Fast && item.columns(names).is_ok();
        Self {
            item: is_hot.then_some(item),
            encoder: table.encoder(),
            cells: CellReader::new(delimiter),
            header_start: columns.first().map_or_else(Vec::new, |column| {
                let ends = ['"', '\r', '\n', char::from(delimiter)];
                let name = column.name.split(ends).next();
                name.unwrap_or_default().as_bytes().to_vec()
            }),
            columns,
            delimiter,
            unquoted: Vec::new(),
        }
    }

    /// Whether the record that `text` begins with may be the header once more, as far as its first cell shows.
    #[inline]
    fn may_be_header(&self, text: &[u8]) -> bool {
        if text[0].is_ascii_alphanumeric() {
            return text.starts_with(&self.header_start);
        }
        // Quotes or white space may be around the name.
        let end = memchr3(self.delimiter, b'\n', b'\r', text).unwrap_or(text.len());
        memmem::find(&text[..end], &self.header_start).is_some()
    }

    /// Whether `text` is one record, and no more.
    fn is_record(&self, text: &[u8]) -> bool {
        let mut framer = RecordFramer::default();
        framer.end(text, self.delimiter).is_none() && framer.end(b"\n", self.delimiter).is_some()
    }

    fn encode(&mut self, slice: Slice<'_>, row: &mut Row) -> Result<(), Reason> {
        // Files that were joined have marks between them.
        let text = slice.row.strip_prefix(BYTE_ORDER_MARK);
        let text = text
            .filter(|text| self.is_record(text))
            .unwrap_or(slice.row);
        let skipped = slice.row.len() - text.len();
        let text = std::str::from_utf8(text).map_err(|e| Reason::NotText {
            byte: slice.at.byte + (skipped + e.valid_up_to()) as u64,
        })?;
        let cleaned = without_blanks(text, self.delimiter);
        let text = cleaned.as_deref().unwrap_or(text);
        // Before the count of cells, which this may be the cause of.
        if has_text_after_quote(text.as_bytes(), self.delimiter) {
            return Err(Reason::TextAfterQuote);
        }
        self.cells.read(text.as_bytes());
        if self.cells.count() < self.columns.len() || self.cells.surplus(self.columns.len()) {
            return Err(Reason::Ragged {
                expected: self.columns.len(),
                found: self.cells.count(),
            });
        }
        let cells = self.cells.cells().take(self.columns.len()).map(trim_name);
        let names = self.columns.iter().map(|column| column.name.as_str());
        if names.eq(cells.map(Option::unwrap_or_default)) {
            return Err(Reason::RepeatedHeader);
        }
        self.encoder.begin_item();
        for (column, cell) in self.columns.iter().zip(self.cells.cells()) {
            // An empty cell is an absent attribute.
            if cell.is_empty() || self.encoder.failed() {
                continue;
            }
            if column.is_rounded_key(cell) {
                let name = column.name.clone();
                self.encoder.fail(Reason::RoundedKey { name });
                continue;
            }
            // Cannot fail: the record is UTF-8. A lossy copy would only cost time.
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

impl Syntax for CsvSyntax {
    type Framer = RecordFramer;

    const LINE_BREAKS: LineBreaks = LineBreaks::FeedOrReturn;
    const END_IS_TEXT: bool = false;

    #[inline]
    fn row(
        &mut self,
        text: &[u8],
        at: usize,
        mut after_return: bool,
        row: &mut Row,
    ) -> Option<Passed> {
        if let Some(before) = at.checked_sub(1) {
            after_return = text[before] == b'\r';
        }
        let mut record = Record {
            text,
            at,
            line_breaks: 0,
            delimiter: self.delimiter,
        };
        // Empty lines are no records, nor are lines of delimiters.
        loop {
            let mut end = record.at;
            while text.get(end) == Some(&self.delimiter) {
                end += 1;
            }
            let byte = *text.get(end)?;
            if !is_line_break(byte) {
                break;
            }
            let is_second = after_return && end == record.at;
            record.line_breaks += u64::from(byte == b'\r' || !is_second);
            after_return = byte == b'\r';
            record.at = end + 1;
        }
        let (begin, breaks_before) = (record.at, record.line_breaks);
        // A byte order mark begins so, or a header that comes again.
        if text[begin] == BYTE_ORDER_MARK[0] || self.may_be_header(&text[begin..]) {
            return None;
        }
        let item = self.item.as_mut()?;
        item.begin();
        for (index, column) in self.columns.iter().enumerate() {
            let cell = record.cell(&mut self.unquoted).ok()?;
            let is_last = index + 1 == self.columns.len();
            let is_delimiter = |at: usize| text.get(at) == Some(&self.delimiter);
            if is_last {
                // Behind the columns there may be empty cells.
                while is_delimiter(record.at) {
                    record.at += 1;
                }
                if !is_line_break(*text.get(record.at)?) {
                    return None;
                }
            } else if !is_delimiter(record.at) {
                // Too few cells.
                return None;
            }
            record.at += 1;
            let raw = match cell {
                Cell::Special(range) if begins_with_blank_quote(&text[range.clone()]) => {
                    return None;
                }
                Cell::Plain(range) => raw(text, range, Escaped::No),
                Cell::Special(range) => raw(text, range, Escaped::Perhaps),
                Cell::Unquoted => raw(&self.unquoted, 0..self.unquoted.len(), Escaped::Perhaps),
            };
            // An empty cell is an absent attribute.
            if raw.length > 0 {
                if column.is_rounded_key(raw.bytes()) {
                    return None;
                }
                item.column(index);
                item.cell(raw, column.declared).ok()?;
            }
        }
        item.finish(row).ok()?;
        Some(Passed {
            begin,
            end: record.at,
            breaks_before,
            breaks: record.line_breaks + 1,
            is_row: true,
        })
    }

    fn frame(&self, framer: &mut RecordFramer, text: &[u8]) -> Option<usize> {
        framer.end(text, self.delimiter)
    }

    fn blank(&self, text: &[u8]) -> usize {
        empty_lines(text, self.delimiter)
    }

    fn trim_end(text: &[u8]) -> usize {
        text.len()
    }

    /// A quote that is never closed must not be searched for in all of the file.
    fn passed_bytes_max(&self) -> usize {
        ROW_TEXT_BYTES_MAX
    }

    fn too_long(at: Position, limit_bytes: usize) -> Error {
        Error::Syntax {
            code: "row-too-long",
            position: at,
            problem: Reason::RowTooLong { limit_bytes }.to_string(),
            fix: "a quote that opens a cell there is never closed, or --delimiter is wrong"
                .to_owned(),
        }
    }

    fn slice(&mut self, slice: Slice<'_>, row: &mut Row) -> Result<Found, Error> {
        Ok(match self.encode(slice, row) {
            Ok(()) => Found::Row,
            Err(reason) => Found::Rejected(reason),
        })
    }

    fn rest(
        &mut self,
        slice: Slice<'_>,
        mut framer: RecordFramer,
        row: &mut Row,
    ) -> Result<Found, Error> {
        if slice.row == DOS_END || slice.row.iter().all(|&byte| byte == self.delimiter) {
            return Ok(Found::Nothing);
        }
        if let Some(error) = lost_tail(slice) {
            return Err(error);
        }
        // A line break ends every record but one inside quotes.
        if framer.end(b"\n", self.delimiter).is_none() {
            return Err(in_quotes(slice.at));
        }
        self.slice(slice, row)
    }
}

/// A column's name without white space around it, which nothing shows.
fn trim_name(cell: &[u8]) -> Option<&str> {
    let is_space = |c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}');
    std::str::from_utf8(cell)
        .ok()
        .map(|name| name.trim_matches(is_space))
}

/// Whether a cell begins with blanks and then a quote.
fn begins_with_blank_quote(cell: &[u8]) -> bool {
    cell.first() == Some(&b' ') && cell.trim_ascii_start().first() == Some(&b'"')
}

/// Bytes of the lines at the beginning of `text` that are empty or have only delimiters, as spreadsheets save rows that were used
/// once.
fn empty_lines(text: &[u8], delimiter: u8) -> usize {
    let mut bytes = 0;
    loop {
        let rest = &text[bytes..];
        let delimiters = rest.iter().take_while(|&&byte| byte == delimiter).count();
        match rest.get(delimiters) {
            Some(&byte) if is_line_break(byte) => bytes += delimiters + 1,
            _ => return bytes,
        }
    }
}

fn is_line_break(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

fn in_quotes(position: Position) -> Error {
    Error::Syntax {
        code: "cut-off",
        position,
        problem: "the file ends inside a quoted cell of this row".to_owned(),
        fix: "the file is cut off, or a quote that opens a cell is never closed".to_owned(),
    }
}

/// Whether a line is `sep=;`, by which Excel names a file's delimiter.
fn is_separator_line(line: &[u8]) -> bool {
    line.len() == 5 && line[..4].eq_ignore_ascii_case(b"sep=")
}

/// Reads a file's header. Gives its columns, and the file from behind it on.
pub(super) fn header<'r>(
    mut input: Input<'r>,
    table: &TableRules,
    delimiter: u8,
) -> Result<(Arc<[Column]>, Input<'r>), Error> {
    let mut text = Vec::new();
    let mut framer = RecordFramer::default();
    let mut failure = None;
    let end = loop {
        let before = text.len();
        let mut chunk = (&mut input.reader).take(HEADER_CHUNK_BYTES as u64);
        let read = chunk.read_to_end(&mut text);
        if let Some(end) = framer.end(&text[before..], delimiter) {
            failure = read.err();
            break before + end;
        }
        match read {
            Ok(0) => break text.len(),
            Ok(_) if text.len() > ROW_TEXT_BYTES_MAX => {
                return Err(CsvSyntax::too_long(input.begin, ROW_TEXT_BYTES_MAX));
            }
            Ok(_) => {}
            Err(e) => return Err(read_error(input.compression, input.begin.byte, e)),
        }
    };
    let breaks = empty_lines(&text[..end], delimiter);
    let place = |byte: usize| Position {
        byte: input.begin.byte + byte as u64,
        line: input.begin.line + LineBreaks::FeedOrReturn.count(&text[..byte], &mut false),
        record: 0,
    };
    if end == text.len() && framer.end(b"\n", delimiter).is_none() {
        return Err(in_quotes(place(breaks)));
    }
    // The line break that ends it is left to what follows.
    let begin = place(end);
    let behind = |mut text: Vec<u8>| {
        let rest = Cursor::new(text.split_off(end));
        let reader: Box<dyn Read + 'r> = match failure {
            Some(failure) => Box::new(rest.chain(Failing(Some(failure)))),
            None => Box::new(rest.chain(input.reader)),
        };
        Input {
            reader,
            begin,
            ..input
        }
    };
    if is_separator_line(&text[breaks..end]) {
        // Excel's line that names the delimiter. The header is behind it.
        return self::header(behind(text), table, delimiter);
    }
    let header = &text[breaks..end];
    let unusable = |code, problem: String, fix: &str| {
        Err(Error::Unusable {
            code,
            problem,
            fix: fix.to_owned(),
        })
    };
    if let Err(e) = std::str::from_utf8(header) {
        let byte = input.begin.byte + (breaks + e.valid_up_to()) as u64;
        return unusable(
            "encoding",
            format!("byte {byte} of the header is not UTF-8"),
            NOT_TEXT_FIX,
        );
    }
    if has_text_after_quote(header, delimiter) {
        return unusable(
            "header",
            "text follows the closing quote of a name in the header".to_owned(),
            "close every quote of the header; write a quote inside a name twice",
        );
    }
    let mut cells = CellReader::new(delimiter);
    cells.read(header);
    check_header_size(cells.count(), header.len())?;
    let mut names: Vec<String> = cells
        .cells()
        .map(|cell| trim_name(cell).unwrap_or_default().to_owned())
        .collect();
    // Spreadsheets save columns that were used once.
    while names.len() > 1 && names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    let TableRules { schema, types } = table;
    check_header(&names, schema, types)?;
    let columns = names
        .into_iter()
        .map(|name| Column::new(name, schema, types))
        .collect();
    Ok((columns, behind(text)))
}

fn raw(text: &[u8], range: Range<usize>, escaped: Escaped) -> Raw<'_> {
    Raw {
        from: &text[range.start..],
        length: range.len(),
        escaped,
    }
}

/// A cell that was passed.
enum Cell {
    /// It is there in the text, and JSON takes it as it is.
    Plain(Range<usize>),
    /// It is there in the text.
    Special(Range<usize>),
    /// It had doubled quotes; they are undone in the buffer.
    Unquoted,
}

/// Goes through one record.
struct Record<'t> {
    text: &'t [u8],
    /// Bytes passed.
    at: usize,
    /// Line breaks passed, inside of quotes.
    line_breaks: u64,
    delimiter: u8,
}

impl Record<'_> {
    /// Passes a cell. What ends it, a delimiter or a line break, is there and not passed.
    fn cell(&mut self, unquoted: &mut Vec<u8>) -> Result<Cell, Refused> {
        if self.text.get(self.at) == Some(&b'"') {
            return self.quoted(unquoted);
        }
        let begin = self.at;
        let length = json_text::special_or(&self.text[begin..], self.delimiter);
        self.at += length.ok_or(Refused)?;
        if self.is_end() {
            return Ok(Cell::Plain(begin..self.at));
        }
        // Outside of quotes, a quote is itself.
        let length = memchr3(self.delimiter, b'\n', b'\r', &self.text[self.at..]);
        self.at += length.ok_or(Refused)?;
        Ok(Cell::Special(begin..self.at))
    }

    /// Whether a cell ends here.
    fn is_end(&self) -> bool {
        let byte = self.text[self.at];
        byte == self.delimiter || byte == b'\n' || byte == b'\r'
    }

    fn quoted(&mut self, unquoted: &mut Vec<u8>) -> Result<Cell, Refused> {
        unquoted.clear();
        let mut begin = self.at + 1;
        loop {
            let length = memchr(b'"', &self.text[begin..]).ok_or(Refused)?;
            let end = begin + length;
            self.count_line_breaks(begin..end);
            self.at = end + 1;
            match self.text.get(self.at) {
                Some(b'"') => {
                    unquoted.extend_from_slice(&self.text[begin..=end]);
                    begin = self.at + 1;
                }
                Some(_) if self.is_end() => {
                    if unquoted.is_empty() {
                        return Ok(Cell::Special(begin..end));
                    }
                    unquoted.extend_from_slice(&self.text[begin..end]);
                    return Ok(Cell::Unquoted);
                }
                Some(_) | None => return Err(Refused),
            }
        }
    }

    fn count_line_breaks(&mut self, range: Range<usize>) {
        let cell = &self.text[range.clone()];
        for at in memchr::memchr2_iter(b'\r', b'\n', cell) {
            let after_return = self.text[range.start + at - 1] == b'\r';
            self.line_breaks += u64::from(cell[at] == b'\r' || !after_return);
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
            .map(|key| key.key_type);
        let declared = types.get(&name);
        Self {
            is_text_key: declared.is_none() && key_type == Some(KeyType::S),
            declared: declared.or(key_type.map(DeclaredType::from)),
            name,
        }
    }

    /// Whether `cell` was the number of a product before a spreadsheet saved it: of several such cells one key comes.
    fn is_rounded_key(&self, cell: &[u8]) -> bool {
        self.is_text_key
            && memchr(b'E', cell).is_some_and(|at| is_rounded(&cell[..at], &cell[at..]))
    }
}

/// Whether a number is written as spreadsheets write long ones: `4.00638E+12`.
fn is_rounded(mantissa: &[u8], exponent: &[u8]) -> bool {
    let are_digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let is_mantissa = match mantissa {
        [first, b'.', rest @ ..] => first.is_ascii_digit() && are_digits(rest),
        mantissa => mantissa.len() == 1 && are_digits(mantissa),
    };
    is_mantissa && exponent.strip_prefix(b"E+").is_some_and(are_digits)
}

/// Removes the blanks around quoted cells, which make quotes text: `a, "b, c"`. None if there are none.
fn without_blanks(record: &str, delimiter: u8) -> Option<String> {
    let delimiter = char::from(delimiter);
    let is_blank = |c: char| c == ' ' && c != delimiter;
    let mut cleaned = String::with_capacity(record.len());
    let mut rest = record;
    loop {
        let trimmed = rest.trim_start_matches(is_blank);
        if trimmed.starts_with('"') {
            let mut end = 1;
            // A doubled quote is none that closes.
            loop {
                end += trimmed[end..].find('"')? + 1;
                if !trimmed[end..].starts_with('"') {
                    break;
                }
                end += 1;
            }
            let (cell, behind) = trimmed.split_at(end);
            if behind.starts_with(is_blank) && cell.contains(['\r', '\n']) {
                // It may be a quote that opens a cell, of a row that was swallowed.
                return None;
            }
            cleaned.push_str(cell);
            rest = behind.trim_start_matches(is_blank);
        } else {
            let end = rest.find(delimiter).unwrap_or(rest.len());
            cleaned.push_str(&rest[..end]);
            rest = &rest[end..];
        }
        if rest.is_empty() {
            return (cleaned.len() < record.len()).then_some(cleaned);
        }
        rest = rest.strip_prefix(delimiter)?;
        cleaned.push(delimiter);
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
fn check_header_size(columns: usize, bytes: usize) -> Result<(), Error> {
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
