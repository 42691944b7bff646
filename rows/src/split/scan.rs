//! What bytes do, whatever is before them: scans, and how they are put together.

use serde::{Deserialize, Serialize};

use crate::item::NESTING_MAX;

/// States of a JSON array: see `json`.
pub(super) const JSON_STATES: usize = 4;
/// States of JSON Lines: see `lines`.
pub(super) const LINES_STATES: usize = 2;
/// States of CSV: see `csv`.
pub(super) const CSV_STATES: usize = 6;

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
            Self::JsonArray => JSON_STATES,
            Self::JsonLines => LINES_STATES,
            Self::Csv { .. } => CSV_STATES,
        }
    }
}

/// What some bytes of a file do, whatever is before them.
///
/// ```
/// use rows::split::{Scan, Syntax};
///
/// let text = br#"{"id":"a, \" b"},{"id":"c"}]"#;
/// let whole = Scan::of(Syntax::JsonArray, text);
/// let (a, b) = text.split_at(11);
/// let halves = Scan::of(Syntax::JsonArray, a).then(&Scan::of(Syntax::JsonArray, b));
/// assert_eq!(halves, whole);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    pub(super) syntax: Syntax,
    pub(super) bytes: u64,
    /// Line breaks, as positions count them: a line feed after a carriage return is none of its own.
    pub(super) line_breaks: u64,
    /// Whether the first byte is a line feed, which is no line break if there is a carriage return before.
    pub(super) begins_with_feed: bool,
    pub(super) ends_with_return: bool,
    /// Of JSON Lines, whether lines may have several objects.
    #[serde(default)]
    pub(super) joints: Joints,
    /// One for each state that the bytes may begin in.
    pub(super) runs: Vec<Run>,
}

/// Places where an object may begin on the line on which another ends: a closing brace, perhaps white space, and an opening one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Joints {
    /// Whether there is one.
    pub(super) found: bool,
    /// None if there is only white space without a line feed.
    pub(super) edges: Option<Edges>,
}

/// What text begins and ends with, apart from white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Edges {
    /// Whether it begins with an opening brace.
    pub(super) opens: bool,
    /// Whether it ends with a closing one.
    pub(super) closes: bool,
}

impl Joints {
    pub(super) fn then(self, next: Self) -> Self {
        let (Some(first), Some(last)) = (self.edges, next.edges) else {
            return Self {
                found: self.found || next.found,
                edges: self.edges.or(next.edges),
            };
        };
        Self {
            found: self.found || next.found || (first.closes && last.opens),
            edges: Some(Edges {
                opens: first.opens,
                closes: last.closes,
            }),
        }
    }
}

/// What bytes do that begin in a certain state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    /// The state at their end.
    pub(super) end: u8,
    /// How much deeper their end is than their beginning.
    pub(super) rise: i64,
    /// How far below the beginning the depth falls at the lowest.
    pub(super) fall: i64,
    /// Ends of rows, by how far the depth has fallen, from the beginning's depth downwards.
    pub(super) levels: Vec<Level>,
}

/// Ends of rows, if rows are what is `fall` below the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Level {
    pub(super) fall: i64,
    /// How many rows end.
    pub(super) rows: u64,
    /// Where the first of them ends.
    pub(super) first: Mark,
}

/// Where a row ends: at a comma, or at a line break.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Bytes before it.
    pub(super) byte: u64,
    /// Line breaks before it.
    pub(super) line_breaks: u64,
}

impl Run {
    pub(super) fn new(state: usize) -> Self {
        Self {
            end: state as u8,
            rise: 0,
            fall: 0,
            levels: Vec::new(),
        }
    }

    /// A row ends where the depth is as low as it has ever been.
    pub(super) fn row_ends(&mut self, mark: Mark) {
        self.rows_end(self.fall, 1, mark);
    }

    /// `rows` end on a level that is as low as any so far, the first of them at `first`.
    pub(super) fn rows_end(&mut self, fall: i64, rows: u64, first: Mark) {
        match self.levels.last_mut() {
            Some(level) if level.fall == fall => level.rows += rows,
            // Rows that are deeper than what is read end in an error.
            _ if fall > NESTING_MAX.into() => {}
            _ => self.levels.push(Level { fall, rows, first }),
        }
    }

    /// This one and then `next`, which begins at `offset`.
    pub(super) fn then(&self, next: &Self, offset: impl Fn(Mark) -> Mark) -> Self {
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
    /// The scan of no bytes.
    pub fn none(syntax: Syntax) -> Self {
        Self {
            syntax,
            bytes: 0,
            line_breaks: 0,
            begins_with_feed: false,
            ends_with_return: false,
            joints: Joints::default(),
            runs: (0..syntax.states()).map(Run::new).collect(),
        }
    }

    /// Fills in what the text itself tells; the runs are there already.
    pub(super) fn passed(self, text: &[u8], line_breaks: u64) -> Self {
        Self {
            bytes: text.len() as u64,
            line_breaks,
            begins_with_feed: text.first() == Some(&b'\n'),
            ends_with_return: text.last() == Some(&b'\r'),
            ..self
        }
    }

    /// The run that begins in a state.
    pub(super) fn run(&self, state: u8) -> &Run {
        // Scans of before 2026-12 lack the last state of CSV, for which the one at a cell's beginning stood.
        self.runs.get(usize::from(state)).unwrap_or(&self.runs[1])
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
            joints: self.joints.then(next.joints),
            runs: self
                .runs
                .iter()
                .map(|run| run.then(next.run(run.end), offset))
                .collect(),
        }
    }
}
