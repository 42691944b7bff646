//! JSON Lines.

use memchr::memchr_iter;

use super::scan::{Mark, Scan, Syntax};

/// The line is blank so far.
const BLANK: usize = 0;
/// The line has more than white space so far.
const TEXT: usize = 1;

pub(super) fn scan(text: &[u8]) -> Scan {
    let mut scan = Scan::none(Syntax::JsonLines);
    scan.bytes = text.len() as u64;
    let mut begin = 0;
    for at in memchr_iter(b'\n', text) {
        let is_blank = is_blank(&text[begin..at]);
        let mark = Mark {
            byte: at as u64,
            line_breaks: scan.line_breaks,
        };
        for run in &mut scan.runs {
            if usize::from(run.end) == TEXT || !is_blank {
                run.row_ends(mark);
            }
            run.end = BLANK as u8;
        }
        scan.line_breaks += 1;
        begin = at + 1;
    }
    if !is_blank(&text[begin..]) {
        for run in &mut scan.runs {
            run.end = TEXT as u8;
        }
    }
    scan
}

fn is_blank(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_whitespace)
}
