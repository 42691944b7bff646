//! JSON arrays, and objects one after the other, on the hot path.
//!
//! Rows go through [`super::parse`]. Whatever that does not take, be it a row that is refused, broken text, or the end of
//! the array, is read by the reference ([`super::json`]) from the end of the last good row on. After it the hot path goes
//! on, so rows, positions and errors are those that the reference alone would give.

use super::bursts::Bursts;
use super::decoder::Decoder;
use super::input::{Input, TableRules};
use super::json::JsonDecoder;
use super::parse::{Halt, Parser};
use super::value::Typing;
use crate::error::Error;
use crate::item::{ItemWriter, Position, Row};
use crate::read::{Compression, Feed};

pub(super) struct StreamDecoder<'r> {
    feed: Feed<'r>,
    item: ItemWriter,
    table: TableRules,
    typing: Typing,
    compression: Compression,
    /// Containers around the rows; see [`JsonDecoder::resume`].
    around: Vec<bool>,
    /// The end of the last row, or where the rows begin.
    place: Position,
    /// The reference, while it has its turn, and the rows that are left of it.
    reference: Option<(JsonDecoder<'r>, u32)>,
    bursts: Bursts,
    ended: bool,
}

impl<'r> StreamDecoder<'r> {
    /// Rows are the elements of the array at `pointer`, which is empty for the file's one value.
    pub(super) fn array(
        input: Input<'r>,
        table: TableRules,
        typing: Typing,
        pointer: &[String],
    ) -> Result<Self, Error> {
        let mut decoder = Self::sequence(input, table, typing);
        let input = decoder.lend();
        let encoder = decoder.table.encoder();
        let reference = JsonDecoder::array(input, encoder, typing, pointer)?;
        decoder.around = reference.around().to_vec();
        decoder.go_on_after(&reference);
        Ok(decoder)
    }

    /// Rows are the file's values, one after the other.
    pub(super) fn sequence(input: Input<'r>, table: TableRules, typing: Typing) -> Self {
        Self {
            feed: Feed::new(input.reader),
            item: table.item_writer(),
            table,
            typing,
            compression: input.compression,
            around: Vec::new(),
            place: input.begin,
            reference: None,
            bursts: Bursts::default(),
            ended: false,
        }
    }

    /// Goes on where `input` begins; see [`JsonDecoder::resume`].
    pub(super) fn resume(
        input: Input<'r>,
        table: TableRules,
        typing: Typing,
        around: &[bool],
    ) -> Self {
        let mut decoder = Self::sequence(input, table, typing);
        decoder.around = around.to_vec();
        decoder
    }

    fn parse(&mut self, row: &mut Row) -> Result<(), Halt> {
        let mut parser = Parser::new(self.feed.text(), false);
        if !self.around.is_empty() && self.place.record > 0 {
            parser.expect(b',')?;
        }
        parser.space()?;
        let position = Position {
            byte: self.place.byte + parser.at as u64,
            line: self.place.line + parser.line_breaks,
            record: self.place.record + 1,
        };
        parser.row(&mut self.item, self.typing)?;
        self.item.finish(row)?;
        row.position = position;
        self.place = Position {
            byte: self.place.byte + parser.at as u64,
            line: self.place.line + parser.line_breaks,
            record: position.record,
        };
        let bytes = parser.at;
        self.feed.consume(bytes);
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
    fn change_over(&mut self) -> Result<(), Error> {
        let input = self.lend();
        let encoder = self.table.encoder();
        let reference = JsonDecoder::resume(input, encoder, self.typing, &self.around)?;
        self.reference = Some((reference, self.bursts.next()));
        Ok(())
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

    fn go_on_after(&mut self, reference: &JsonDecoder<'r>) {
        let (rest, ended) = reference.rest();
        self.feed.give_back(&rest, ended);
        self.place = reference.here();
    }
}

impl Decoder for StreamDecoder<'_> {
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
                Err(Halt::More | Halt::Refused) => self.change_over()?,
            }
        }
    }
}
