//! Goes through scans in the order of the file, and finds where parts begin.

use serde::{Deserialize, Serialize};

use super::scan::{Joints, Mark, Scan, Syntax};
use crate::item::Position;

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
/// the rows are at their end, begins none. JSON Lines of which a line may have several objects, whose rows are not counted, are one
/// part.
pub fn cut(first: Position, scans: &[Scan]) -> Vec<Part> {
    let mut parts = vec![Part {
        from: first,
        until: None,
        rows: None,
    }];
    let joints = scans.iter().map(|scan| scan.joints);
    if joints.fold(Joints::default(), Joints::then).found {
        return parts;
    }
    let mut begin = Mark {
        byte: first.byte,
        line_breaks: first.line - 1,
    };
    let end_byte = first.byte + scans.iter().map(Scan::bytes).sum::<u64>();
    let (mut state, mut depth, mut rows_ended, mut after_return) = (0_u8, 0_i64, 0, false);
    for (index, scan) in scans.iter().enumerate() {
        let run = scan.run(state);
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
