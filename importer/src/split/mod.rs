//! Cuts a file into parts at the ends of rows without reading it from its beginning.
//!
//! Whether a comma or a line break ends a row depends on all the bytes before it: it may stand in a string, inside of quotes or
//! within a row. So a range of a file is scanned for every [state](Syntax) it might begin in. What comes of that, a [`Scan`],
//! is small, whatever the range's size: for each of these states the state at the end, how the depth changes, and the first
//! end of a row and how many there are. Ranges are scanned in any order and anywhere; [`cut`] goes through the scans in the
//! order of the file and knows the one true state at each of them.
//!
//! # The algebra
//!
//! Scans of one syntax are a monoid. [`Scan::then`] is its operation and the scan of no bytes its identity, and [`Scan::of`]
//! is a homomorphism from text: `Scan::of(s, ab) == Scan::of(s, a).then(&Scan::of(s, b))` for every way of cutting `ab`,
//! within a character, an escape, a quote that is doubled or a line break. It follows that `then` is associative, so that
//! scans can be put together in pieces, by many workers, and in any grouping. (Levels that are deeper than a decoder reads are
//! not kept, so of text that is nested deeper, which is broken for every decoder, the two sides may differ.)
//!
//! # What is scanned
//!
//! | Syntax | A row ends at | Depends on |
//! |---|---|---|
//! | JSON array | a comma in the array of rows | being in a string, after a backslash; depth |
//! | JSON Lines | the line break of a line that is not blank | whether the line is blank so far |
//! | CSV | a line break outside of quotes, after a record | quotes, the beginning of a cell or record |
//!
//! For JSON neither the depth nor the place of the rows' array in it is known to a range. But it is known how far the depth falls
//! below where the range began, and a comma is in a container that was open there only if the depth has never been lower than
//! at the comma. So these commas are kept apart by how far the depth has fallen, as far down as a decoder reads.
//!
//! A file that is broken has no true state behind the place where it is broken; up to there all is as in one that is not.
//! Parts that begin before that place are those of the unbroken file, and decoding the last of them finds the same place. Parts
//! behind it may begin anywhere: they hold rows that a reader from the beginning would never have come to.

mod blocks;
mod csv;
mod json;
mod lines;

use serde::{Deserialize, Serialize};

use crate::decode::NESTING_MAX;
use crate::position::Position;

/// What tells where a row ends, in a file whose bytes are its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Syntax {
    /// A JSON array of rows, as RFC 8259 has it: <https://www.rfc-editor.org/rfc/rfc8259>
    JsonArray,
    /// One JSON object a line: <https://jsonlines.org>
    JsonLines,
    /// Records with a header: <https://www.rfc-editor.org/rfc/rfc4180>
    Csv {
        /// What separates cells.
        delimiter: u8,
    },
}

impl Syntax {
    /// How many states text may begin in. The first is that at the beginning of a row.
    const fn states(self) -> usize {
        match self {
            Self::JsonArray => json::STATES,
            Self::JsonLines => lines::STATES,
            Self::Csv { .. } => csv::STATES,
        }
    }
}

/// What some bytes of a file do, whatever is before them.
///
/// ```
/// use importer::split::{Scan, Syntax};
///
/// let text = br#"{"id":"a, \" b"},{"id":"c"}]"#;
/// let whole = Scan::of(Syntax::JsonArray, text);
/// let (a, b) = text.split_at(11);
/// let halves = Scan::of(Syntax::JsonArray, a).then(&Scan::of(Syntax::JsonArray, b));
/// assert_eq!(halves, whole);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    syntax: Syntax,
    bytes: u64,
    /// Line breaks, as positions count them: a line feed after a carriage return is none of its own.
    line_breaks: u64,
    /// Whether the first byte is a line feed, which is no line break if there is a carriage return before.
    begins_with_feed: bool,
    ends_with_return: bool,
    /// One for each state that the bytes may begin in.
    runs: Vec<Run>,
}

/// What bytes do that begin in a certain state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    /// The state at their end.
    end: u8,
    /// How much deeper their end is than their beginning.
    rise: i64,
    /// How far below the beginning the depth falls at the lowest.
    fall: i64,
    /// Ends of rows, by how far the depth has fallen, from the beginning's depth downwards.
    levels: Vec<Level>,
}

/// Ends of rows, if rows are what is `fall` below the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Level {
    fall: i64,
    /// How many rows end.
    rows: u64,
    /// Where the first of them ends.
    first: Mark,
}

/// Where a row ends: at a comma, or at a line break.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// Bytes before it.
    byte: u64,
    /// Line breaks before it.
    line_breaks: u64,
}

impl Run {
    fn new(state: usize) -> Self {
        Self {
            end: state as u8,
            rise: 0,
            fall: 0,
            levels: Vec::new(),
        }
    }

    /// A row ends where the depth is as low as it has ever been.
    fn row_ends(&mut self, mark: Mark) {
        self.rows_end(self.fall, 1, mark);
    }

    /// `rows` end on a level that is as low as any so far, the first of them at `first`.
    fn rows_end(&mut self, fall: i64, rows: u64, first: Mark) {
        match self.levels.last_mut() {
            Some(level) if level.fall == fall => level.rows += rows,
            // Rows that are deeper than what is read end in an error.
            _ if fall > NESTING_MAX.into() => {}
            _ => self.levels.push(Level { fall, rows, first }),
        }
    }

    /// This one and then `next`, which begins at `offset`.
    fn then(&self, next: &Self, offset: impl Fn(Mark) -> Mark) -> Self {
        let mut both = Self {
            end: next.end,
            rise: self.rise + next.rise,
            fall: self.fall.max(next.fall - self.rise),
            levels: self.levels.clone(),
        };
        for level in &next.levels {
            let fall = level.fall - self.rise;
            // Else it is in a container that begins after the beginning, or in one after that which was open there.
            if fall >= self.fall {
                both.rows_end(fall, level.rows, offset(level.first));
            }
        }
        both
    }
}

impl Scan {
    /// Scans `text`, which may begin and end anywhere.
    pub fn of(syntax: Syntax, text: &[u8]) -> Self {
        match syntax {
            Syntax::JsonArray => json::scan(text),
            Syntax::JsonLines => lines::scan(text),
            Syntax::Csv { delimiter } => csv::scan(text, delimiter),
        }
    }

    /// The scan of no bytes.
    pub fn none(syntax: Syntax) -> Self {
        Self {
            syntax,
            bytes: 0,
            line_breaks: 0,
            begins_with_feed: false,
            ends_with_return: false,
            runs: (0..syntax.states()).map(Run::new).collect(),
        }
    }

    /// Fills in what the text itself tells; the runs are there already.
    fn passed(self, text: &[u8], line_breaks: u64) -> Self {
        Self {
            bytes: text.len() as u64,
            line_breaks,
            begins_with_feed: text.first() == Some(&b'\n'),
            ends_with_return: text.last() == Some(&b'\r'),
            ..self
        }
    }

    /// Bytes that were scanned.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The scan of these bytes and of those of `next`, which come after them.
    ///
    /// # Panics
    ///
    /// If the two are not of one syntax.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        assert_eq!(self.syntax, next.syntax, "scans of one file");
        if self.bytes == 0 || next.bytes == 0 {
            return if self.bytes == 0 { next } else { self }.clone();
        }
        let is_one_break = u64::from(self.ends_with_return && next.begins_with_feed);
        let offset = |mark: Mark| Mark {
            byte: self.bytes + mark.byte,
            line_breaks: self.line_breaks + mark.line_breaks
                - if mark.byte > 0 { is_one_break } else { 0 },
        };
        Self {
            syntax: self.syntax,
            bytes: self.bytes + next.bytes,
            line_breaks: self.line_breaks + next.line_breaks - is_one_break,
            begins_with_feed: self.begins_with_feed,
            ends_with_return: next.ends_with_return,
            runs: self
                .runs
                .iter()
                .map(|run| run.then(&next.runs[usize::from(run.end)], offset))
                .collect(),
        }
    }
}

/// A part of a file: whole rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Where its first row begins, white space before it included, and that row's number.
    pub from: Position,
    /// The byte after its last row; none if it goes on to the end of the file.
    pub until: Option<u64>,
    /// How many rows it has; none if that is not known before the end of the file.
    pub rows: Option<u64>,
}

/// Cuts a file into parts.
///
/// `scans` are of ranges that follow one another from the beginning of the first row, which is `first`, to the end of the file.
/// Each range begins a part at the end of the first row that ends in it; one in which none ends, because a row is longer or
/// the rows are at their end, begins none.
pub fn cut(first: Position, scans: &[Scan]) -> Vec<Part> {
    let mut parts = vec![Part {
        from: first,
        until: None,
        rows: None,
    }];
    let mut begin = Mark {
        byte: first.byte,
        line_breaks: first.line - 1,
    };
    let end_byte = first.byte + scans.iter().map(Scan::bytes).sum::<u64>();
    let (mut state, mut depth, mut rows_ended, mut after_return) = (0_u8, 0_i64, 0, false);
    for (index, scan) in scans.iter().enumerate() {
        let run = &scan.runs[usize::from(state)];
        let level = run.levels.iter().find(|level| level.fall == depth);
        let is_one_break = u64::from(after_return && scan.begins_with_feed);
        if let (Some(level), true) = (level, index > 0) {
            let after_feed = if level.first.byte > 0 {
                is_one_break
            } else {
                0
            };
            let mark = Mark {
                byte: begin.byte + level.first.byte,
                line_breaks: begin.line_breaks + level.first.line_breaks - after_feed,
            };
            let (until, from) = scan.syntax.around(mark);
            let from = Position {
                byte: from.byte,
                line: from.line_breaks + 1,
                record: first.record + rows_ended + 1,
            };
            // With nothing behind it a comma is not a row's end but where the file is cut off.
            if let (Some(before), true) = (parts.last_mut(), from.byte < end_byte) {
                before.until = Some(until);
                before.rows = Some(from.record - before.from.record);
                parts.push(Part {
                    from,
                    until: None,
                    rows: None,
                });
            }
        }
        rows_ended += level.map_or(0, |level| level.rows);
        if run.fall > depth {
            // The array of rows is closed.
            break;
        }
        state = run.end;
        depth += run.rise;
        begin.byte += scan.bytes;
        begin.line_breaks += scan.line_breaks - is_one_break;
        if scan.bytes > 0 {
            after_return = scan.ends_with_return;
        }
    }
    parts
}

impl Syntax {
    /// Where the part ends that a mark ends, and where the next one begins.
    fn around(self, mark: Mark) -> (u64, Mark) {
        let after = Mark {
            byte: mark.byte + 1,
            line_breaks: mark.line_breaks,
        };
        match self {
            // The comma is in neither: what is before it is closed like the last row of an array.
            Self::JsonArray => (mark.byte, after),
            Self::JsonLines => {
                let line_breaks = mark.line_breaks + 1;
                (
                    after.byte,
                    Mark {
                        line_breaks,
                        ..after
                    },
                )
            }
            // The line break is in both: one may be of two bytes, and empty lines before a record do not matter.
            Self::Csv { .. } => (after.byte, mark),
        }
    }
}
