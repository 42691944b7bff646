//! JSON Lines.

use memchr::memchr_iter;

use super::scan::{Edges, Joints, Mark, Scan, Syntax};

/// The line is blank so far.
const BLANK: usize = 0;
/// The line has more than white space so far.
const TEXT: usize = 1;

pub(super) fn scan(text: &[u8]) -> Scan {
    let mut scan = Scan::none(Syntax::JsonLines);
    scan.bytes = text.len() as u64;
    scan.joints = joints(text);
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

fn joints(text: &[u8]) -> Joints {
    let is_space = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r');
    let mut others = text.iter().skip_while(is_space);
    let Some(&first) = others.next() else {
        return Joints::default();
    };
    let last = text.iter().rev().find(|byte| !is_space(byte));
    let opens = |at: usize| text[at + 1..].iter().find(|byte| !is_space(byte)) == Some(&b'{');
    Joints {
        found: memchr_iter(b'}', text).any(opens),
        edges: Some(Edges {
            opens: first == b'{',
            closes: last == Some(&b'}'),
        }),
    }
}

fn is_blank(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_whitespace)
}
