//! A JSON array, 64 bytes at once.
//!
//! Which bytes are in a string follows from which quotes are not escaped: bit by bit, as the exclusive or of all bits before.
//! A range that begins in a string has the opposite everywhere, so one pass finds both. The way is that of simdjson
//! (Langdale and Lemire, "Parsing gigabytes of JSON per second", 2019: <https://arxiv.org/abs/1902.08318>).

use super::blocks::{LineBreakMasks, bits, blocks, parity};
use super::scan::{Mark, Run, Scan, Syntax};

/// In a string; else outside of strings.
const STRING: u8 = 1;
/// After a backslash, which takes what comes next for a character of a string. In JSON that is always in one.
const ESCAPE: u8 = 2;

pub(super) fn scan(text: &[u8]) -> Scan {
    // Behind the first byte that is no backslash it no longer matters whether there was one before the first byte.
    let backslashes = text.iter().take_while(|&&byte| byte == b'\\').count();
    let (beginning, rest) = text.split_at(text.len().min(backslashes + 1));
    let beginning = scan_bytes(beginning);
    if rest.is_empty() {
        return beginning;
    }
    beginning.then(&scan_blocks(rest))
}

/// Scans backslashes and the byte after them, one by one.
fn scan_bytes(text: &[u8]) -> Scan {
    let mut scan = Scan::none(Syntax::JsonArray);
    for (at, &byte) in text.iter().enumerate() {
        let mark = Mark {
            byte: at as u64,
            line_breaks: 0,
        };
        for run in &mut scan.runs {
            step(run, byte, mark);
        }
    }
    let is_break = matches!(text.last(), Some(b'\n' | b'\r'));
    scan.passed(text, u64::from(is_break))
}

fn step(run: &mut Run, byte: u8, mark: Mark) {
    if run.end & ESCAPE != 0 {
        run.end &= !ESCAPE;
        return;
    }
    match byte {
        b'\\' => run.end |= ESCAPE,
        b'"' => run.end ^= STRING,
        _ if run.end & STRING != 0 => {}
        b'[' | b'{' => run.rise += 1,
        b']' | b'}' => run.fall_one(),
        b',' => run.comma(mark),
        _ => {}
    }
}

impl Run {
    fn fall_one(&mut self) {
        self.rise -= 1;
        self.fall = self.fall.max(-self.rise);
    }

    fn comma(&mut self, mark: Mark) {
        if self.rise == -self.fall {
            self.row_ends(mark);
        }
    }
}

/// Scans text before which there is no backslash.
fn scan_blocks(text: &[u8]) -> Scan {
    let mut scan = Scan::none(Syntax::JsonArray);
    let mut escapes = Escapes::default();
    // All bits are set if the block before ends in a string, having begun outside of one.
    let mut string_before = 0;
    let mut line_breaks = LineBreakMasks::default();
    for block in blocks(text) {
        let live = !escapes.escaped(block.eq(b'\\'), block.length);
        let string = parity(block.eq(b'"') & live) ^ string_before;
        string_before = (string >> 63).wrapping_neg();
        line_breaks.block(&block);
        let structure = Structure {
            opens: block.eq_lower(b'{') & live,
            closes: block.eq_lower(b'}') & live,
            commas: block.eq(b',') & live,
        };
        let mark = |at| line_breaks.mark(at);
        structure.at(!string).pass(&mut scan.runs[0], mark);
        structure.at(string).pass(&mut scan.runs[1], mark);
    }
    let end = (string_before & 1) as u8 * STRING + u8::from(escapes.after_backslash) * ESCAPE;
    scan.runs[0].end = end;
    scan.runs[1].end = end ^ STRING;
    // Nothing is before the text that could be the two others' state: see `scan`.
    scan.passed(text, line_breaks.count())
}

/// Every second bit, from the second on.
const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;

/// Finds the bytes before which there is a backslash that is none itself.
#[derive(Default)]
struct Escapes {
    /// Whether there is one before the next block.
    after_backslash: bool,
}

impl Escapes {
    #[inline]
    fn escaped(&mut self, backslashes: u64, length: usize) -> u64 {
        let first = u64::from(self.after_backslash);
        if backslashes == 0 {
            self.after_backslash = false;
            return first;
        }
        // A run of backslashes escapes every second byte from its second on. Subtracting the run's first carries through
        // it; where that ends, and where it began, are both even or odd, or not.
        let candidates = backslashes & !first;
        let series = ((candidates << 1) | ODD).wrapping_sub(candidates) ^ ODD;
        let escapes = series & backslashes;
        self.after_backslash = escapes >> (length - 1) & 1 == 1;
        series ^ (backslashes | first)
    }
}

/// What changes the depth of a block's bytes, and its commas.
#[derive(Clone, Copy)]
struct Structure {
    opens: u64,
    closes: u64,
    commas: u64,
}

impl Structure {
    #[inline]
    fn at(self, mask: u64) -> Self {
        Self {
            opens: self.opens & mask,
            closes: self.closes & mask,
            commas: self.commas & mask,
        }
    }

    #[inline]
    fn pass(self, run: &mut Run, mark: impl Fn(u32) -> Mark) {
        if self.opens | self.closes | self.commas == 0 {
            return;
        }
        let opens = i64::from(self.opens.count_ones());
        let closes = i64::from(self.closes.count_ones());
        // Mostly the block is deep within a row, and no comma of it between rows.
        if run.rise - closes > -run.fall {
            run.rise += opens - closes;
        } else {
            self.pass_each(run, mark);
        }
    }

    fn pass_each(self, run: &mut Run, mark: impl Fn(u32) -> Mark) {
        for at in bits(self.opens | self.closes | self.commas) {
            let bit = 1 << at;
            if self.opens & bit != 0 {
                run.rise += 1;
            } else if self.closes & bit != 0 {
                run.fall_one();
            } else {
                run.comma(mark(at));
            }
        }
    }
}
