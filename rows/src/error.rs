//! What can go wrong while a file is decoded.

use crate::item::{Position, Reject};

/// Why there is no row, or no file to read rows from.
///
/// A message says what happened; [`Error::fix`] says what to do. The cause, where there is one, is only in
/// [`std::error::Error::source`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A row cannot be written. The decoder goes on with the next one.
    #[error("{}: {}", .0.position, .0.reason)]
    Row(Box<Reject>),

    /// The file's syntax is broken where no next row can be found.
    #[error("the file is broken at {position}: {problem}")]
    Syntax {
        /// What it is, for machines.
        code: &'static str,
        /// Where.
        position: Position,
        /// What the parser met.
        problem: String,
        /// What may be the cause, or how to repair it.
        fix: String,
    },

    /// The file as a whole cannot be decoded as asked: empty, of an unknown format, with an unusable header.
    #[error("{problem}")]
    Unusable {
        /// What it is, for machines.
        code: &'static str,
        /// What is wrong.
        problem: String,
        /// How to repair it.
        fix: String,
    },

    /// The file could not be read to its end.
    #[error("reading failed after {bytes_read} bytes")]
    Read {
        /// Bytes that were read before, of the decoded file.
        bytes_read: u64,
        /// Why: the reader's own error.
        #[source]
        source: std::io::Error,
    },

    /// The compressed data is damaged or ends early.
    #[error("the {compression} data is damaged or cut off after {bytes_read} decompressed bytes")]
    Compression {
        /// `gzip` or `zstd`.
        compression: &'static str,
        /// Bytes that could be decompressed.
        bytes_read: u64,
        /// What the decompressor said, or the reader's own error.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// Whether only one row is at fault, so that decoding goes on with the next one.
    pub fn is_row(&self) -> bool {
        matches!(self, Self::Row(_))
    }

    /// A stable name for machines, as the table of jobs has it under `code`; of a row, that of its
    /// [`Reason`](crate::Reason).
    pub fn code(&self) -> &'static str {
        match self {
            Self::Row(reject) => reject.reason.code(),
            Self::Syntax { code, .. } | Self::Unusable { code, .. } => code,
            Self::Read { .. } => "unreadable",
            Self::Compression { .. } => "compression",
        }
    }

    /// What the user can do about it, if anything is known.
    pub fn fix(&self) -> Option<&str> {
        match self {
            Self::Syntax { fix, .. } | Self::Unusable { fix, .. } => {
                Some(fix.as_str()).filter(|fix| !fix.is_empty())
            }
            Self::Compression { .. } => Some(
                "upload the file again; check it with gzip -t or zstd -t (a zstd window may have 32 MiB: no --long, no --ultra above -20)",
            ),
            Self::Row(_) | Self::Read { .. } => None,
        }
    }

    /// Where in the file it happened, if it happened there.
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::Row(reject) => Some(reject.position),
            Self::Syntax { position, .. } => Some(*position),
            Self::Unusable { .. } | Self::Read { .. } | Self::Compression { .. } => None,
        }
    }
}
