//! CSV and TSV on the hot path.
//!
//! Records whose quotes are where RFC 4180 wants them are cut here. Whatever else there is, be it a row that is refused, a
//! stray quote, or the end of the file, is read by the reference ([`super::csv`]) from the end of the last good row on.
//! After it the hot path goes on, so rows, positions and errors are those that the reference alone would give.

use std::ops::Range;
use std::sync::Arc;

use memchr::{memchr, memchr3};

use super::bursts::Bursts;
use super::csv::{Column, CsvDecoder};
use super::decoder::Decoder;
use super::input::{Input, TableRules};
use super::parse::Halt;
use crate::error::Error;
use crate::item::json_text::{self, Escaped};
use crate::item::{ItemWriter, Position, Raw, Row};
use crate::read::{Compression, Feed};

pub(super) struct RecordsDecoder<'r> {
    feed: Feed<'r>,
    item: ItemWriter,
    table: TableRules,
    columns: Arc<[Column]>,
    delimiter: u8,
    compression: Compression,
    /// The end of the last row, and the number of the next.
    place: Position,
    /// Whether a line feed there only ends the line break of the row before.
    after_return: bool,
    /// A cell with its doubled quotes undone.
    unquoted: Vec<u8>,
    /// Whether the header is such that there can be a hot path.
    is_hot: bool,
    /// The reference, while it has its turn, and the rows that are left of it.
    reference: Option<(CsvDecoder<'r>, u32)>,
    bursts: Bursts,
    ended: bool,
}

impl<'r> RecordsDecoder<'r> {
    pub(super) fn new(input: Input<'r>, table: TableRules, delimiter: u8) -> Result<Self, Error> {
        let mut decoder = Self::resume(input, table, Arc::default(), delimiter);
        let reference = CsvDecoder::new(decoder.lend(), &decoder.table, delimiter)?;
        decoder.set_columns(reference.columns());
        decoder.go_on_after(&reference);
        Ok(decoder)
    }

    /// Goes on where `input` begins, which is a row.
    pub(super) fn resume(
        input: Input<'r>,
        table: TableRules,
        columns: Arc<[Column]>,
        delimiter: u8,
    ) -> Self {
        let mut decoder = Self {
            feed: Feed::new(input.reader),
            item: table.item_writer(),
            columns: Arc::default(),
            table,
            delimiter,
            compression: input.compression,
            place: input.begin,
            after_return: false,
            unquoted: Vec::new(),
            is_hot: false,
            reference: None,
            bursts: Bursts::default(),
            ended: false,
        };
        decoder.set_columns(columns);
        decoder
    }

    fn set_columns(&mut self, columns: Arc<[Column]>) {
        let names = columns.iter().map(|column| column.name.as_str());
        self.is_hot = self.item.columns(names).is_ok();
        self.columns = columns;
    }

    /// Passes the line breaks before the next record: empty lines are none.
    fn pass_line_breaks(&mut self) {
        loop {
            let passed = match self.feed.text() {
                [b'\n', ..] => {
                    self.place.line += u64::from(!self.after_return);
                    self.after_return = false;
                    1
                }
                [b'\r', ..] => {
                    self.place.line += 1;
                    self.after_return = true;
                    1
                }
                _ => return,
            };
            self.place.byte += passed;
            self.feed.consume(passed as usize);
        }
    }

    fn parse(&mut self, row: &mut Row) -> Result<(), Halt> {
        if !self.is_hot {
            return Err(Halt::Refused);
        }
        self.pass_line_breaks();
        let text = self.feed.text();
        let mut record = Record {
            text,
            at: 0,
            line_breaks: 0,
            delimiter: self.delimiter,
        };
        self.item.begin();
        for (index, column) in self.columns.iter().enumerate() {
            let cell = record.cell(&mut self.unquoted)?;
            let is_last = index + 1 == self.columns.len();
            // Too few cells, or too many.
            if is_last == (text[record.at] == self.delimiter) {
                return Err(Halt::Refused);
            }
            record.at += 1;
            let raw = match cell {
                Cell::Plain(range) => raw(text, range, Escaped::No),
                Cell::Special(range) => raw(text, range, Escaped::Perhaps),
                Cell::Unquoted => raw(&self.unquoted, 0..self.unquoted.len(), Escaped::Perhaps),
            };
            // An empty cell is an absent attribute.
            if raw.length > 0 {
                self.item.column(index);
                self.item.cell(raw, column.declared)?;
            }
        }
        self.item.finish(row)?;
        row.position = self.place;
        let passed = record.at;
        self.after_return = text[passed - 1] == b'\r';
        self.place = Position {
            byte: self.place.byte + passed as u64,
            line: self.place.line + record.line_breaks + 1,
            record: self.place.record + 1,
        };
        self.feed.consume(passed);
        Ok(())
    }

    /// The file from the end of the last row on, until it is given back.
    fn lend(&mut self) -> Input<'r> {
        Input {
            reader: Box::new(self.feed.lend()),
            compression: self.compression,
            begin: self.place,
        }
    }

    /// Gives the reference its turn.
    fn change_over(&mut self) {
        let reference = CsvDecoder::resume(
            self.lend(),
            self.table.encoder(),
            Arc::clone(&self.columns),
            self.delimiter,
            self.after_return,
        );
        self.reference = Some((reference, self.bursts.next()));
    }

    /// Reads what comes next, one row at most, by the reference, if it has its turn.
    fn by_reference(&mut self, row: &mut Row) -> Option<Result<bool, Error>> {
        let (mut reference, rows) = self.reference.take()?;
        let read = reference.next(row);
        match read {
            Ok(true) | Err(Error::Row(_)) if rows > 1 => {
                self.reference = Some((reference, rows - 1));
            }
            Ok(true) | Err(Error::Row(_)) => self.go_on_after(&reference),
            _ => self.ended = true,
        }
        Some(read)
    }

    fn go_on_after(&mut self, reference: &CsvDecoder<'r>) {
        let (rest, ended) = reference.rest();
        self.feed.give_back(&rest, ended);
        (self.place, self.after_return) = reference.here();
    }
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
    fn cell(&mut self, unquoted: &mut Vec<u8>) -> Result<Cell, Halt> {
        if self.text.get(self.at) == Some(&b'"') {
            return self.quoted(unquoted);
        }
        let begin = self.at;
        let length = json_text::special_or(&self.text[begin..], self.delimiter);
        self.at += length.ok_or(Halt::More)?;
        if self.is_end() {
            return Ok(Cell::Plain(begin..self.at));
        }
        // Outside of quotes, a quote is itself.
        let length = memchr3(self.delimiter, b'\n', b'\r', &self.text[self.at..]);
        self.at += length.ok_or(Halt::More)?;
        Ok(Cell::Special(begin..self.at))
    }

    /// Whether a cell ends here.
    fn is_end(&self) -> bool {
        let byte = self.text[self.at];
        byte == self.delimiter || byte == b'\n' || byte == b'\r'
    }

    fn quoted(&mut self, unquoted: &mut Vec<u8>) -> Result<Cell, Halt> {
        unquoted.clear();
        let mut begin = self.at + 1;
        loop {
            let length = memchr(b'"', &self.text[begin..]).ok_or(Halt::More)?;
            let end = begin + length;
            self.count_line_breaks(begin..end);
            self.at = end + 1;
            match self.text.get(self.at) {
                None => return Err(Halt::More),
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
                Some(_) => return Err(Halt::Refused),
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

impl Decoder for RecordsDecoder<'_> {
    fn next(&mut self, row: &mut Row) -> Result<bool, Error> {
        if self.ended {
            return Ok(false);
        }
        loop {
            if let Some(read) = self.by_reference(row) {
                return read;
            }
            match self.parse(row) {
                Ok(()) => {
                    self.bursts.hot_row();
                    return Ok(true);
                }
                Err(Halt::More) if self.feed.more() => {}
                Err(Halt::More | Halt::Refused) => self.change_over(),
            }
        }
    }
}
