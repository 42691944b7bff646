//! A JSON array.

use super::csv::count_line_break;
use super::{Mark, Run, Scan, Syntax};

/// In a string; else outside of strings.
const STRING: u8 = 1;
/// After a backslash, which takes what comes next for a character of a string. In JSON that is always in one.
const ESCAPE: u8 = 2;
pub(super) const STATES: usize = 4;

pub(super) fn scan(text: &[u8]) -> Scan {
    let mut scan = Scan::none(Syntax::JsonArray);
    for &byte in text {
        let mark = Mark {
            byte: scan.bytes,
            line_breaks: scan.line_breaks,
        };
        for run in &mut scan.runs {
            step(run, byte, mark);
        }
        count_line_break(&mut scan, byte);
    }
    scan
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
        b']' | b'}' => {
            run.rise -= 1;
            run.fall = run.fall.max(run.rise.min(0).unsigned_abs());
        }
        b',' if run.rise == -(run.fall as i64) => run.row_ends(mark),
        _ => {}
    }
}
