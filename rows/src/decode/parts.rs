//! Parts of a file's text in, whole rows out.
//!
//! A part is looked at where it lies. Only a row that goes on in the next part is copied, into `carry`, which then is one whole
//! row. The hot path accepts a row or refuses it; it knows no "more". After a refusal the framer says where the row ends, and the
//! reference gets exactly that slice, to say why.
//!
//! Nothing here waits: without more text, [`Next::More`] is the answer, and a caller may stop between any two rows. Of every way to
//! cut a file into parts come the same rows, positions and errors. Memory is a part and one row: what a row has behind
//! [`ROW_TEXT_BYTES_MAX`] is passed, but not kept.

use std::collections::VecDeque;
use std::ops::Range;

use crate::error::Error;
use crate::item::{Position, Reason, Reject, Row};

/// Most bytes of text that are kept of one row. An item of 400 KB fits even if every character is escaped and indented.
pub(super) const ROW_TEXT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most bytes of text that are passed of a row that is not kept. What is longer is no row but a file of another kind, or made to
/// keep an import busy: an invocation could end before the row does.
pub(super) const ROW_PASSED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A part of a file's text, and how far it is read.
pub(crate) struct Part<'p> {
    text: &'p [u8],
    /// Bytes read.
    at: usize,
    /// Up to where the hot path may take it for UTF-8.
    valid: usize,
}

impl<'p> Part<'p> {
    /// A part of at most [`ROW_TEXT_BYTES_MAX`] bytes.
    pub(crate) fn new(text: &'p [u8]) -> Self {
        debug_assert!(text.len() <= ROW_TEXT_BYTES_MAX);
        Self {
            text,
            at: 0,
            valid: valid_up_to(text),
        }
    }

    /// A part that was looked at before, up to [`Part::progress`].
    pub(crate) fn resumed(text: &'p [u8], (at, valid): (usize, usize)) -> Self {
        Self { text, at, valid }
    }

    /// How far it is read, for [`Part::resumed`].
    pub(crate) fn progress(&self) -> (usize, usize) {
        (self.at, self.valid)
    }

    fn rest(&self) -> &'p [u8] {
        &self.text[self.at..]
    }

    /// Goes on behind text that the hot path did not take. What is not UTF-8 in it concerns no other row.
    fn pass(&mut self, bytes: usize) {
        self.at += bytes;
        if self.at > self.valid {
            self.valid = self.at + valid_up_to(self.rest());
        }
    }
}

/// How many bytes at the beginning of `text` are UTF-8.
fn valid_up_to(text: &[u8]) -> usize {
    std::str::from_utf8(text).map_or_else(|e| e.valid_up_to(), str::len)
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// A row.
    Row,
    /// No more in this part.
    More,
}

/// Rows of text that comes in parts.
pub(crate) trait Rows {
    /// Reads the next row of `part` into `row`. A part is read until there is no more in it, then the one that follows it.
    ///
    /// # Errors
    ///
    /// As for [`Decoder::next`](super::Decoder::next).
    fn next(&mut self, part: &mut Part<'_>, row: &mut Row) -> Result<Next, Error>;

    /// Reads what is left when the last part is read: a row without its end, or none, which is `false`. After a row it must be
    /// called again.
    ///
    /// # Errors
    ///
    /// As for [`Decoder::next`](super::Decoder::next).
    fn end(&mut self, row: &mut Row) -> Result<bool, Error>;

    /// Bytes of the file up to the end of the row that was given last.
    fn bytes_passed(&self) -> u64;
}

/// What the hot path passed: a row, or white space.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passed {
    /// Where the row begins.
    pub(super) begin: usize,
    /// Behind it and the byte that ends it.
    pub(super) end: usize,
    /// Line breaks up to `begin`, and up to `end`, from where reading began.
    pub(super) breaks_before: u64,
    pub(super) breaks: u64,
    pub(super) is_row: bool,
}

/// The text of a row for the reference.
#[derive(Clone, Copy)]
pub(super) struct Slice<'t> {
    /// The row, without white space around it.
    pub(super) row: &'t [u8],
    /// Where it begins, and its number.
    pub(super) at: Position,
    /// The byte that ends it; none at the end of the file.
    pub(super) end: Option<u8>,
}

/// What the reference makes of a slice.
pub(super) enum Found {
    /// A row: it is written into the caller's.
    Row,
    /// A row that is rejected.
    Rejected(Reason),
    /// None, but white space.
    Nothing,
    /// Several rows: `text` has them one after the other.
    Several(Vec<Several>),
}

/// One of several rows of a slice.
pub(super) struct Several {
    /// Where it is in the slice's row.
    pub(super) range: Range<usize>,
    /// The row, or why it is rejected.
    pub(super) read: Result<Row, Reason>,
}

/// What breaks lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineBreaks {
    /// A line feed.
    Feed,
    /// A line feed, a carriage return, or both.
    FeedOrReturn,
}

impl LineBreaks {
    /// How many there are in `text`. `after_return` is whether the byte before is a carriage return, and then whether its last is.
    pub(super) fn count(self, text: &[u8], after_return: &mut bool) -> u64 {
        let Some(&last) = text.last() else {
            return 0;
        };
        let breaks = match self {
            Self::Feed => memchr::memchr_iter(b'\n', text).count(),
            Self::FeedOrReturn => memchr::memchr2_iter(b'\r', b'\n', text)
                .filter(|&at| {
                    let is_second = match at.checked_sub(1) {
                        Some(before) => text[before] == b'\r',
                        None => *after_return,
                    };
                    text[at] == b'\r' || !is_second
                })
                .count(),
        };
        *after_return = last == b'\r';
        breaks as u64
    }
}

/// How rows are told apart and read.
pub(super) trait Syntax {
    /// Where a row ends, for text that comes in parts.
    type Framer: Default;

    const LINE_BREAKS: LineBreaks;
    /// Whether the byte that ends a row is its last, and not what separates it from the next.
    const END_IS_TEXT: bool;

    /// Reads the row at `at`, and the byte that ends it, if all of that is there and as it should be. `after_return` says that the
    /// byte before `text` is a carriage return.
    fn row(&mut self, text: &[u8], at: usize, after_return: bool, row: &mut Row) -> Option<Passed>;

    /// Where in `text` the byte is that ends the row; none if that is behind it.
    fn frame(&self, framer: &mut Self::Framer, text: &[u8]) -> Option<usize>;

    /// How many bytes at the beginning of `text` may stand before a row and are none of it.
    fn blank(&self, text: &[u8]) -> usize;

    /// Where in `text`, before which there are none, the row ends.
    fn trim_end(text: &[u8]) -> usize;

    /// Most bytes of a row that may be passed.
    fn passed_bytes_max(&self) -> usize;

    /// The error for a row that is longer.
    fn too_long(at: Position, limit_bytes: usize) -> Error;

    /// Reads a slice by the reference.
    fn slice(&mut self, slice: Slice<'_>, row: &mut Row) -> Result<Found, Error>;

    /// The error for a file whose first row, which is rejected for `reason`, shows that it is of another kind.
    fn unusable(&self, _slice: Slice<'_>, _reason: &Reason) -> Option<Error> {
        None
    }

    /// What a row is that is too long to be kept: `slice` is its beginning.
    fn long_slice(&self, _slice: Slice<'_>) -> Result<Found, Error> {
        Ok(Found::TOO_LONG)
    }

    /// Takes note of the byte at `at` that ended a slice.
    ///
    /// # Errors
    ///
    /// [`Error::Syntax`] if no row ends with it.
    fn ended_by(&mut self, _end: u8, _at: Position) -> Result<(), Error> {
        Ok(())
    }

    /// Reads what the file ends with, which `framer` has passed, as [`Syntax::slice`] does.
    fn rest(
        &mut self,
        slice: Slice<'_>,
        framer: Self::Framer,
        row: &mut Row,
    ) -> Result<Found, Error>;
}

/// See the [module documentation](self).
pub(super) struct Reader<S: Syntax> {
    syntax: S,
    /// The beginning of a row that is not in one part, or all of it.
    carry: Vec<u8>,
    framer: S::Framer,
    /// Whether the end of the row in `carry` has not come yet.
    is_carrying: bool,
    /// What that row has behind `carry`.
    forgotten: Forgotten,
    /// Where the next row begins, white space before it included; its record is that of the row before.
    place: Position,
    /// Whether the byte before is a carriage return: a line feed after it is no second line break.
    after_return: bool,
    /// Rows that were read with the one that was given last.
    several: VecDeque<Result<Row, Box<Reject>>>,
}

/// Text that is not kept.
#[derive(Default)]
struct Forgotten {
    bytes: u64,
    line_breaks: u64,
    after_return: bool,
    /// Whether it is more than white space.
    has_text: bool,
}

impl<S: Syntax> Reader<S> {
    /// Rows from `place` on; its record is that of the row before.
    pub(super) fn new(syntax: S, place: Position) -> Self {
        Self {
            syntax,
            carry: Vec::new(),
            framer: S::Framer::default(),
            is_carrying: false,
            forgotten: Forgotten::default(),
            place,
            after_return: false,
            several: VecDeque::new(),
        }
    }

    /// Reads the next row of `part` if the hot path takes it.
    #[inline]
    fn hot(&mut self, part: &mut Part<'_>, row: &mut Row) -> bool {
        let text = &part.text[..part.valid];
        while let Some(passed) = self.syntax.row(text, part.at, self.after_return, row) {
            let is_row = self.passed(passed, text, part.at, row);
            part.at = passed.end;
            if is_row {
                return true;
            }
        }
        false
    }

    /// Counts what the hot path passed from `at` on: whether it was a row.
    #[inline]
    fn passed(&mut self, passed: Passed, text: &[u8], at: usize, row: &mut Row) -> bool {
        row.position = Position {
            byte: self.place.byte + (passed.begin - at) as u64,
            line: self.place.line + passed.breaks_before,
            record: self.place.record + 1,
        };
        self.place = Position {
            byte: self.place.byte + (passed.end - at) as u64,
            line: self.place.line + passed.breaks,
            record: self.place.record + u64::from(passed.is_row),
        };
        self.after_return = text[passed.end - 1] == b'\r';
        passed.is_row
    }

    /// Takes the part's share of the row that is carried. Whether that is all of it.
    fn carry(&mut self, part: &mut Part<'_>) -> Result<bool, Error> {
        let before = self.syntax.blank(&self.carry);
        if before == self.carry.len() {
            // There may be any amount of white space before a row.
            self.pass_carry();
        }
        let rest = part.rest();
        let end = self.syntax.frame(&mut self.framer, rest);
        let share = &rest[..end.unwrap_or(rest.len())];
        let blank = self.syntax.blank(&self.carry);
        let room = (blank + ROW_TEXT_BYTES_MAX + 1).saturating_sub(self.carry.len());
        let (kept, forgotten) = share.split_at(share.len().min(room));
        self.carry.extend_from_slice(kept);
        self.forget(forgotten);
        self.is_carrying = end.is_none();
        if let Some(end) = end {
            self.carry.push(rest[end]);
        } else if self.carry.len() > ROW_TEXT_BYTES_MAX {
            self.check_length(self.slice(&self.carry, None))?;
        }
        part.pass(share.len() + usize::from(end.is_some()));
        Ok(!self.is_carrying)
    }

    fn forget(&mut self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        let forgotten = &mut self.forgotten;
        if forgotten.bytes == 0 {
            forgotten.after_return = self.carry.last() == Some(&b'\r');
        }
        forgotten.bytes += text.len() as u64;
        forgotten.has_text |= !text.trim_ascii().is_empty();
        forgotten.line_breaks += S::LINE_BREAKS.count(text, &mut forgotten.after_return);
    }

    /// Goes on behind what is carried.
    fn pass_carry(&mut self) {
        let mut carry = std::mem::take(&mut self.carry);
        self.pass(&carry);
        carry.clear();
        self.carry = carry;
    }

    /// Goes on behind `text`.
    fn pass(&mut self, text: &[u8]) {
        self.place.line += S::LINE_BREAKS.count(text, &mut self.after_return);
        self.place.byte += text.len() as u64;
    }

    /// The slice that `text` is: a row that begins where the reader is.
    fn slice<'t>(&self, text: &'t [u8], end: Option<u8>) -> Slice<'t> {
        let (before, rest) = text.split_at(self.syntax.blank(text));
        let mut after_return = self.after_return;
        let end_of_row = match self.forgotten.bytes {
            0 => S::trim_end(rest),
            _ => rest.len(),
        };
        Slice {
            row: &rest[..end_of_row],
            at: Position {
                byte: self.place.byte + before.len() as u64,
                line: self.place.line + S::LINE_BREAKS.count(before, &mut after_return),
                record: self.place.record + 1,
            },
            end,
        }
    }

    /// The error if a row is too long to go on with it.
    fn check_length(&self, slice: Slice<'_>) -> Result<(), Error> {
        let limit_bytes = self.syntax.passed_bytes_max();
        if slice.row.len() as u64 + self.forgotten.bytes > limit_bytes as u64 {
            return Err(S::too_long(slice.at, limit_bytes));
        }
        Ok(())
    }

    /// What a row is that is too long to be read.
    fn too_long(&self, slice: Slice<'_>) -> Result<Option<Found>, Error> {
        if self.forgotten.bytes == 0 && slice.row.len() <= ROW_TEXT_BYTES_MAX {
            return Ok(None);
        }
        let is_blank = !self.forgotten.has_text && slice.row.trim_ascii().is_empty();
        Ok(Some(if is_blank {
            Found::Nothing
        } else {
            self.syntax.long_slice(slice)?
        }))
    }

    /// Reads the row that is whole in `carry`: whether it is one, or only white space.
    fn carried(&mut self, row: &mut Row) -> Result<bool, Error> {
        let mut carry = std::mem::take(&mut self.carry);
        let text = &carry[..valid_up_to(&carry)];
        // A longer one may be too long, which the hot path does not know.
        let hot = if self.forgotten.bytes == 0 && carry.len() <= ROW_TEXT_BYTES_MAX {
            self.syntax.row(text, 0, self.after_return, row)
        } else {
            None
        };
        let read = match hot {
            Some(passed) => Ok(self.passed(passed, text, 0, row)),
            None => self.refused(&carry, row),
        };
        carry.clear();
        self.carry = carry;
        read
    }

    /// Reads a row that the hot path did not take, with the byte that ends it, by the reference, and goes on behind it. Gives whether
    /// it is a row, or only white space.
    #[cold]
    #[inline(never)]
    fn refused(&mut self, framed: &[u8], row: &mut Row) -> Result<bool, Error> {
        // Cannot be empty: it has the byte that ends it.
        let (&end, mut text) = framed.split_last().unwrap_or((&b'\n', &[]));
        if S::END_IS_TEXT {
            text = framed;
        }
        let slice = self.slice(text, Some(end));
        self.check_length(slice)?;
        let found = match self.too_long(slice)? {
            Some(found) => found,
            None => self.syntax.slice(slice, row)?,
        };
        self.pass(text);
        let forgotten = std::mem::take(&mut self.forgotten);
        if forgotten.bytes > 0 {
            self.place.byte += forgotten.bytes;
            self.place.line += forgotten.line_breaks;
            self.after_return = forgotten.after_return;
        }
        self.check_first(&found, slice)?;
        self.count(&found);
        self.syntax.ended_by(end, self.place)?;
        self.pass(&framed[text.len()..]);
        self.give(found, slice, row)
    }

    /// The error if the file is of another kind.
    fn check_first(&self, found: &Found, slice: Slice<'_>) -> Result<(), Error> {
        match found {
            Found::Rejected(reason) if slice.at.record == 1 => {
                self.syntax.unusable(slice, reason).map_or(Ok(()), Err)
            }
            _ => Ok(()),
        }
    }

    /// Counts the rows that were found.
    fn count(&mut self, found: &Found) {
        self.place.record += match found {
            Found::Nothing => 0,
            Found::Row | Found::Rejected(_) => 1,
            Found::Several(several) => several.len() as u64,
        };
    }

    /// Gives what was found in `slice` to the caller: whether it is a row.
    fn give(&mut self, found: Found, slice: Slice<'_>, row: &mut Row) -> Result<bool, Error> {
        match found {
            Found::Row => {
                row.position = slice.at;
                Ok(true)
            }
            Found::Rejected(reason) => {
                let reject = Reject::new(slice.at, reason, slice.row);
                Err(Error::Row(Box::new(reject)))
            }
            Found::Nothing => Ok(false),
            Found::Several(several) => {
                for (one, record) in several.into_iter().zip(slice.at.record..) {
                    let before = &slice.row[..one.range.start];
                    let position = Position {
                        byte: slice.at.byte + before.len() as u64,
                        line: slice.at.line + S::LINE_BREAKS.count(before, &mut false),
                        record,
                    };
                    self.several.push_back(match one.read {
                        Ok(row) => Ok(Row { position, ..row }),
                        Err(reason) => {
                            let text = &slice.row[one.range];
                            Err(Box::new(Reject::new(position, reason, text)))
                        }
                    });
                }
                self.next_of_several(row).unwrap_or(Ok(false))
            }
        }
    }

    /// Gives a row that was read with the one before.
    fn next_of_several(&mut self, row: &mut Row) -> Option<Result<bool, Error>> {
        Some(match self.several.pop_front()? {
            Ok(next) => {
                *row = next;
                Ok(true)
            }
            Err(reject) => Err(Error::Row(reject)),
        })
    }
}

impl Found {
    pub(super) const TOO_LONG: Self = Self::Rejected(Reason::RowTooLong {
        limit_bytes: ROW_TEXT_BYTES_MAX,
    });
}

impl<S: Syntax> Rows for Reader<S> {
    fn next(&mut self, part: &mut Part<'_>, row: &mut Row) -> Result<Next, Error> {
        if !self.several.is_empty()
            && let Some(read) = self.next_of_several(row)
        {
            return read.map(|_| Next::Row);
        }
        loop {
            if self.is_carrying {
                if !self.carry(part)? {
                    return Ok(Next::More);
                }
                if self.carried(row)? {
                    return Ok(Next::Row);
                }
            }
            if self.hot(part, row) {
                return Ok(Next::Row);
            }
            let rest = part.rest();
            if rest.is_empty() {
                return Ok(Next::More);
            }
            self.framer = S::Framer::default();
            if let Some(end) = self.syntax.frame(&mut self.framer, rest) {
                part.pass(end + 1);
                if self.refused(&rest[..=end], row)? {
                    return Ok(Next::Row);
                }
            } else {
                self.framer = S::Framer::default();
                self.is_carrying = true;
            }
        }
    }

    fn end(&mut self, row: &mut Row) -> Result<bool, Error> {
        if let Some(read) = self.next_of_several(row) {
            return read;
        }
        let carry = std::mem::take(&mut self.carry);
        let framer = std::mem::take(&mut self.framer);
        let slice = self.slice(&carry, None);
        let found = match self.too_long(slice)? {
            Some(found) => found,
            None => self.syntax.rest(slice, framer, row)?,
        };
        self.forgotten = Forgotten::default();
        self.check_first(&found, slice)?;
        self.pass(&carry);
        self.count(&found);
        self.give(found, slice, row)
    }

    fn bytes_passed(&self) -> u64 {
        self.place.byte
    }
}
