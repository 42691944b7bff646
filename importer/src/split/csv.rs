//! CSV, cut as csv-core cuts it.

use super::{Mark, Run, Scan, Syntax};

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
pub(super) const STATES: usize = 5;

pub(super) fn scan(text: &[u8], delimiter: u8) -> Scan {
    let mut scan = Scan::none(Syntax::Csv { delimiter });
    for &byte in text {
        let mark = Mark {
            byte: scan.bytes,
            line_breaks: scan.line_breaks,
        };
        for run in &mut scan.runs {
            step(run, byte, delimiter, mark);
        }
        count_line_break(&mut scan, byte);
    }
    scan
}

pub(super) fn count_line_break(scan: &mut Scan, byte: u8) {
    let is_feed = byte == b'\n';
    if byte == b'\r' || (is_feed && !scan.ends_with_return) {
        scan.line_breaks += 1;
    }
    scan.begins_with_feed |= is_feed && scan.bytes == 0;
    scan.ends_with_return = byte == b'\r';
    scan.bytes += 1;
}

fn step(run: &mut Run, byte: u8, delimiter: u8, mark: Mark) {
    let is_quote = byte == b'"';
    run.end = match run.end {
        QUOTED if is_quote => QUOTE,
        QUOTED => QUOTED,
        RECORD | CELL | QUOTE if is_quote => QUOTED,
        _ if byte == delimiter => CELL,
        _ if byte == b'\n' || byte == b'\r' => {
            if run.end != RECORD {
                run.row_ends(mark);
            }
            RECORD
        }
        _ => PLAIN,
    };
}
