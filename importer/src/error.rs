//! What can go wrong, and what to do about it.

use std::sync::Arc;
use std::time::Duration;

use crate::position::Position;
use crate::reject::Reject;

/// What an error means for the import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The same call may succeed later: try again, within the budget.
    Retry,
    /// One row is at fault: report it and go on.
    RejectRow,
    /// The import cannot go on.
    Fatal,
}

/// Any failure of the importer.
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
        /// Where.
        position: Position,
        /// What the parser met.
        problem: String,
        /// What may be the cause, or how to repair it.
        fix: String,
    },

    /// The file as a whole cannot be imported as asked: empty, of an unknown format, with an unusable header.
    #[error("{problem}")]
    Unusable {
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
        /// Why.
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
        /// What the decompressor said.
        #[source]
        source: std::io::Error,
    },

    /// An AWS call failed.
    #[error("{operation} failed: {problem}")]
    Service {
        /// The operation, as AWS names it.
        operation: &'static str,
        /// The error code and message of the service, or what broke on the way to it.
        problem: String,
        /// Whether trying again may help.
        class: Class,
        /// How to repair it.
        fix: String,
        /// The SDK's error.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },

    /// AWS asks to slow down.
    #[error("{operation} was throttled: {problem}")]
    Throttled {
        /// The operation, as AWS names it.
        operation: &'static str,
        /// The error code and message of the service.
        problem: String,
    },

    /// Trying again was given up.
    #[error("{operation}: gave up after {attempts} attempts in {} s without progress, {rows_unwritten} rows unwritten", .elapsed.as_secs())]
    RetriesExhausted {
        /// The operation, as AWS names it.
        operation: &'static str,
        /// Calls made since the last progress.
        attempts: u32,
        /// Time since the last progress.
        elapsed: Duration,
        /// Rows of the batch that are not written.
        rows_unwritten: usize,
        /// The last failure.
        #[source]
        source: Box<Error>,
    },

    /// The time given ran out, or somebody asked to stop.
    #[error("stopped at {position}: {why}")]
    Stopped {
        /// The first row that was not read.
        position: Position,
        /// Who or what stopped it.
        why: StopReason,
    },

    /// The object is not the one that was to be imported, or not there.
    #[error("{operation} failed: {problem}")]
    Object {
        /// The operation, as AWS names it.
        operation: &'static str,
        /// The error code and message of the service, or what has changed.
        problem: String,
        /// How to repair it.
        fix: String,
    },

    /// Attempt after attempt ended without progress.
    #[error("no progress in {attempts} attempts; the last one said: {reason}")]
    Stalled {
        /// How many.
        attempts: u32,
        /// What is known of the last one's end.
        reason: String,
    },

    /// Another invocation imports the file.
    #[error("another invocation has taken the job over")]
    LeaseLost,

    /// What the import may write is not known: the pages of the write cap that it shares cannot be used.
    #[error("the write cap cannot be shared with other imports")]
    Share {
        /// Why.
        #[source]
        source: Arc<Error>,
    },

    /// The counters do not add up: rows were lost or counted twice. Never expected.
    #[error(
        "the counters do not add up: {read} rows read, but {written} written + {superseded} superseded + {rejected} rejected"
    )]
    Accounting {
        /// Rows read.
        read: u64,
        /// Rows written.
        written: u64,
        /// Rows superseded.
        superseded: u64,
        /// Rows rejected.
        rejected: u64,
    },

    /// Ranges of a large object are still to be imported.
    #[error("{left} of {all} ranges have not ended")]
    RangesLeft {
        /// How many.
        left: usize,
        /// Of how many.
        all: usize,
    },

    /// The report could not be written.
    #[error("the report of rejected rows could not be written to {place}")]
    Report {
        /// File or object.
        place: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Why an import stopped before the end of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StopReason {
    /// The invocation's deadline is near.
    #[error("the time given is used up")]
    Deadline,
    /// Ctrl-C, or a caller's request.
    #[error("interrupted")]
    Interrupted,
    /// Somebody has cancelled the job.
    #[error("the job was cancelled")]
    Cancelled,
    /// More rows were rejected than is allowed.
    #[error("more rows were rejected than is allowed")]
    TooManyRejects,
}

impl Error {
    /// What this error means for the import.
    pub fn class(&self) -> Class {
        match self {
            Self::Row(_) => Class::RejectRow,
            Self::Service { class, .. } => *class,
            Self::Throttled { .. } => Class::Retry,
            Self::Syntax { .. }
            | Self::Unusable { .. }
            | Self::Read { .. }
            | Self::Compression { .. }
            | Self::RetriesExhausted { .. }
            | Self::Stopped { .. }
            | Self::Object { .. }
            | Self::Stalled { .. }
            | Self::LeaseLost
            | Self::Share { .. }
            | Self::Accounting { .. }
            | Self::RangesLeft { .. }
            | Self::Report { .. } => Class::Fatal,
        }
    }

    /// Whether the import would end the same way if it were tried again: the file or the counters are at fault, or
    /// somebody has decided so, and not something on the way.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Syntax { .. }
            | Self::Unusable { .. }
            | Self::Object { .. }
            | Self::Stalled { .. }
            | Self::Accounting { .. } => true,
            Self::Stopped { why, .. } => match why {
                StopReason::Cancelled | StopReason::TooManyRejects => true,
                StopReason::Deadline | StopReason::Interrupted => false,
            },
            // What broke the reading may be an error of the source's own.
            Self::Read { source, .. } => cause(source).is_some_and(Self::is_final),
            Self::Compression { source, .. } => cause(source).is_none_or(Self::is_final),
            Self::Row(_)
            | Self::Service { .. }
            | Self::Throttled { .. }
            | Self::RetriesExhausted { .. }
            | Self::LeaseLost
            | Self::RangesLeft { .. }
            | Self::Share { .. }
            | Self::Report { .. } => false,
        }
    }

    /// Whether it is the invocation's time that is over.
    pub(crate) fn is_out_of_time(&self) -> bool {
        matches!(
            self,
            Self::Stopped {
                why: StopReason::Deadline,
                ..
            }
        )
    }

    /// What the user can do about it, if anything is known.
    pub fn fix(&self) -> Option<&str> {
        match self {
            Self::Syntax { fix, .. }
            | Self::Unusable { fix, .. }
            | Self::Object { fix, .. }
            | Self::Service { fix, .. } => Some(fix.as_str()).filter(|fix| !fix.is_empty()),
            Self::RetriesExhausted { source, .. } => source.fix(),
            Self::Share { source } => source.fix(),
            Self::Throttled { .. } => Some(
                "raise the table's capacity, or import with a lower --max-wcu (INTAKE_MAX_WCU)",
            ),
            Self::Compression { source, .. } if cause(source).is_some() => {
                cause(source).and_then(Self::fix)
            }
            Self::Compression { .. } => Some(
                "upload the file again; check it with gzip -t or zstd -t (a zstd window may have 32 MiB: no --long, no --ultra above -20)",
            ),
            Self::Stopped {
                why: StopReason::Deadline,
                ..
            } => Some(
                "import the file again with more time or a higher write cap; rows already written are written again",
            ),
            Self::Stopped {
                why: StopReason::Interrupted,
                ..
            } => Some(
                "import the file again; rows already written are written again with the same values",
            ),
            Self::Stopped {
                why: StopReason::Cancelled,
                ..
            } => Some("upload the file again to import it; rows already written stay"),
            Self::Stopped {
                why: StopReason::TooManyRejects,
                ..
            } => Some(
                "look into the report of rejected rows; correct the file, or allow more with --max-rejects (INTAKE_MAX_REJECTS)",
            ),
            Self::Stalled { .. } => {
                Some("look into the function's log for the job, then upload the file again")
            }
            Self::LeaseLost => {
                Some("nothing: the other one goes on; intake status shows how far it is")
            }
            Self::Accounting { .. } => {
                Some("this is a defect in Intake; please report it with the summary")
            }
            Self::Read { source, .. } => cause(source).and_then(Self::fix),
            Self::Row(_) | Self::RangesLeft { .. } | Self::Report { .. } => None,
        }
    }

    /// What a service said, without the operation; for other errors the whole message.
    pub(crate) fn problem(&self) -> String {
        match self {
            Self::Service { problem, .. } | Self::Throttled { problem, .. } => problem.clone(),
            other => other.to_string(),
        }
    }

    /// Where in the file it happened, if it happened there.
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::Row(reject) => Some(reject.position),
            Self::Syntax { position, .. } | Self::Stopped { position, .. } => Some(*position),
            _ => None,
        }
    }

    /// The message with every cause behind it, separated by `: `.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

/// The importer's own error that broke a reading, if it was one.
pub(crate) fn cause(error: &std::io::Error) -> Option<&Error> {
    error.get_ref().and_then(|cause| cause.downcast_ref())
}
