//! Where in the file a row or an error is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A place in the decoded file: after decompression and conversion to UTF-8.
///
/// For a plain UTF-8 file that is the file itself, a byte order mark included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Bytes before the place; the file's first byte is 0.
    pub byte: u64,
    /// Line the place is on; the file's first line is 1.
    pub line: u64,
    /// Row the place is in; the first row is 1, a CSV header is 0.
    pub record: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, byte {}, row {}",
            self.line, self.byte, self.record
        )
    }
}
