//! CSV, cut as csv-core cuts it, 64 bytes at once.
//!
//! As long as every quote opens a cell, closes one, or doubles another, what is inside of quotes follows from which quotes there
//! are, as for strings in [`super::json`]. A quote within a cell that has none around it is itself; a block that has one is gone
//! through quote by quote. Ranges that begin in the wrong state soon come to such a quote, and by it to the right state: runs
//! that are in the same state are one from there on.

use super::blocks::{Block, LineBreakMasks, bits, blocks, parity};
use super::scan::{CSV_STATES, Mark, Run, Scan, Syntax};

/// A record begins, or an empty line.
const RECORD: u8 = 0;
/// A cell begins that is not the record's first.
const CELL: u8 = 1;
/// In a cell without quotes, or behind the closing quote of one and some text.
const PLAIN: u8 = 2;
/// Inside of quotes.
const QUOTED: u8 = 3;
/// After a quote inside of quotes: it closes the cell, or the next one doubles it.
const QUOTE: u8 = 4;
/// Nothing but delimiters so far: with a line break behind them they are an empty line.
const EMPTY: u8 = 5;

pub(super) fn scan(text: &[u8], delimiter: u8) -> Scan {
    let mut scan = Scan::none(Syntax::Csv { delimiter });
    let mut runs = Runs::new();
    let mut line_breaks = LineBreakMasks::default();
    for block in blocks(text) {
        let masks = Masks::new(&block, delimiter);
        line_breaks.block(&block);
        let mark = |at| line_breaks.mark(at);
        for run in &mut runs.live {
            if !masks.pass(run, mark) {
                masks.pass_each(run, mark);
            }
        }
        runs.unite();
    }
    scan.runs = runs.end();
    scan.passed(text, line_breaks.count())
}

/// What matters of a block's bytes.
struct Masks {
    quotes: u64,
    /// Line feeds and carriage returns.
    terminators: u64,
    delimiters: u64,
    /// Whether the number of quotes up to a byte, itself included, is odd.
    odd_quotes: u64,
    length: usize,
}

impl Masks {
    #[inline]
    fn new(block: &Block, delimiter: u8) -> Self {
        let quotes = block.eq(b'"');
        Self {
            quotes,
            terminators: block.eq(b'\n') | block.eq(b'\r'),
            delimiters: block.eq(delimiter),
            odd_quotes: parity(quotes),
            length: block.length,
        }
    }

    /// Passes all of the block, or none of it if there is a quote that is just text.
    #[inline]
    fn pass(&self, run: &mut Run, mark: impl Fn(u32) -> Mark) -> bool {
        let quoted = match run.end {
            QUOTED => !self.odd_quotes,
            _ => self.odd_quotes,
        };
        let before_quotes = self.delimiters | self.terminators | self.quotes;
        let may_open = before_quotes << 1 | u64::from(run.end != PLAIN);
        if self.quotes & quoted & !may_open != 0 {
            return false;
        }
        let terminators = self.terminators & !quoted;
        let delimiters = self.delimiters & !quoted;
        let begins = terminators << 1 | u64::from(is_blank(run.end));
        // Adding the first delimiter of a record carries through those that follow it.
        let blank = delimiters & !delimiters.wrapping_add(delimiters & begins);
        let ends = terminators & !(blank << 1 | begins);
        if ends != 0 {
            let first = mark(ends.trailing_zeros());
            run.rows_end(run.fall, u64::from(ends.count_ones()), first);
        }
        let last = 1 << (self.length - 1);
        run.end = if quoted & last != 0 {
            QUOTED
        } else if self.quotes & last != 0 {
            QUOTE
        } else if blank & last != 0 {
            EMPTY
        } else {
            self.unquoted(last)
        };
        true
    }

    /// The state after a byte outside of quotes that is no quote.
    #[inline]
    fn unquoted(&self, bit: u64) -> u8 {
        if self.terminators & bit != 0 {
            RECORD
        } else if self.delimiters & bit != 0 {
            CELL
        } else {
            PLAIN
        }
    }

    /// Passes each byte that matters.
    fn pass_each(&self, run: &mut Run, mark: impl Fn(u32) -> Mark) {
        let mut next = 0;
        for at in bits(self.quotes | self.terminators) {
            self.pass_others(run, next, at);
            let is_quote = self.quotes & 1 << at != 0;
            run.end = match run.end {
                QUOTED if is_quote => QUOTE,
                PLAIN if is_quote => PLAIN,
                _ if is_quote => QUOTED,
                QUOTED => QUOTED,
                before => {
                    if !is_blank(before) {
                        run.row_ends(mark(at));
                    }
                    RECORD
                }
            };
            next = at + 1;
        }
        self.pass_others(run, next, self.length as u32);
    }

    /// Passes the bytes from `begin` to `end`, which are neither quotes nor line breaks.
    fn pass_others(&self, run: &mut Run, begin: u32, end: u32) {
        if begin < end && run.end != QUOTED {
            let others = u64::MAX >> (64 - (end - begin)) << begin;
            run.end = if is_blank(run.end) && self.delimiters & others == others {
                EMPTY
            } else {
                self.unquoted(1 << (end - 1))
            };
        }
    }
}

/// Whether there is nothing of a record in this state.
fn is_blank(state: u8) -> bool {
    matches!(state, RECORD | EMPTY)
}

/// The runs of all states.
struct Runs {
    /// From the beginning to where some of them became one last.
    before: Vec<Run>,
    /// Which of `live` each of them is from there on.
    lives: Vec<usize>,
    /// From there on.
    live: Vec<Run>,
}

impl Runs {
    fn new() -> Self {
        let runs: Vec<_> = (0..CSV_STATES).map(Run::new).collect();
        Self {
            before: runs.clone(),
            lives: (0..CSV_STATES).collect(),
            live: runs,
        }
    }

    /// Makes one of those that are in the same state.
    #[inline]
    fn unite(&mut self) {
        let is_one = match &self.live[..] {
            [_] => return,
            [a, b] => a.end == b.end,
            _ => true,
        };
        if is_one {
            self.unite_equal();
        }
    }

    fn unite_equal(&mut self) {
        let mut live: Vec<Run> = Vec::new();
        for (before, index) in self.before.iter_mut().zip(&mut self.lives) {
            *before = before.then(&self.live[*index], |mark| mark);
            let same = live.iter().position(|run| run.end == before.end);
            *index = same.unwrap_or(live.len());
            if same.is_none() {
                live.push(Run::new(usize::from(before.end)));
            }
        }
        self.live = live;
    }

    /// Each from the beginning to the end.
    fn end(mut self) -> Vec<Run> {
        self.unite_equal();
        self.before
    }
}
