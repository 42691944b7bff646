//! What can go wrong, and what to do about it.

use std::sync::Arc;
use std::time::Duration;

use rows::Position;

/// What an error means for the import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The same call may succeed later: try again, within the budget.
    Retry,
    /// As [`Class::Retry`], but the call may still be carried out, at any later time: no answer says that it is over.
    Unanswered,
    /// One row is at fault: report it and go on.
    RejectRow,
    /// The import cannot go on.
    Fatal,
}

/// Any failure of the importer.
///
/// A message says what happened; [`Error::fix`] says what to do. The cause, where there is one, is only in
/// [`std::error::Error::source`]. No message quotes a row: it gets into logs, messages and the table of jobs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A row cannot be written, or the file cannot be read.
    #[error(transparent)]
    File(#[from] rows::Error),

    /// What was asked for cannot be done: a setting, an object or a step that does not fit.
    #[error("{problem}")]
    Unusable {
        /// What is wrong.
        problem: String,
        /// How to repair it.
        fix: String,
    },

    /// An AWS call failed.
    #[error("{operation} failed: {}", without_rows(.problem, *.class))]
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

    /// The object is not the one that was to be imported, not there, or not to be read as it is stored.
    #[error("{operation} failed: {problem}")]
    Object {
        /// The operation, as AWS names it.
        operation: &'static str,
        /// The error code and message of the service, or what is wrong with the object.
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

    /// Another invocation publishes the end of the job, or has died before it did.
    #[error("another invocation was about to publish the end of the job")]
    NoticePending,

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
    /// Another importer may have the job.
    #[error("the claim on the job could not be renewed in time")]
    LeaseLost,
}

impl Error {
    /// What this error means for the import.
    pub fn class(&self) -> Class {
        match self {
            Self::File(error) if error.is_row() => Class::RejectRow,
            Self::Service { class, .. } => *class,
            Self::Throttled { .. } => Class::Retry,
            Self::File(_)
            | Self::Unusable { .. }
            | Self::RetriesExhausted { .. }
            | Self::Stopped { .. }
            | Self::Object { .. }
            | Self::Stalled { .. }
            | Self::LeaseLost
            | Self::NoticePending
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
            Self::Unusable { .. }
            | Self::Object { .. }
            | Self::Stalled { .. }
            | Self::Accounting { .. } => true,
            Self::File(error) => match error {
                // What broke the reading may be an error of the source's own.
                rows::Error::Read { source, .. } => cause(source).is_some_and(Self::is_final),
                rows::Error::Compression { source, .. } => cause(source).is_none_or(Self::is_final),
                error => !error.is_row(),
            },
            Self::Stopped { why, .. } => match why {
                StopReason::Cancelled | StopReason::TooManyRejects => true,
                StopReason::Deadline | StopReason::Interrupted | StopReason::LeaseLost => false,
            },
            Self::Service { .. }
            | Self::Throttled { .. }
            | Self::RetriesExhausted { .. }
            | Self::LeaseLost
            | Self::NoticePending
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

    /// A stable name for machines, as the table of jobs has it under `code`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::File(error) => match error {
                rows::Error::Read { source, .. } | rows::Error::Compression { source, .. } => {
                    cause(source).map_or(error.code(), Self::code)
                }
                error => error.code(),
            },
            Self::Unusable { .. } => "unusable",
            // https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
            Self::Service { problem, .. } if problem.starts_with("AccessDenied") => "access",
            Self::Service { .. } => "service",
            Self::Throttled { .. } => "throttled",
            Self::RetriesExhausted { source, .. } => source.code(),
            Self::Share { source } => source.code(),
            Self::Stopped { why, .. } => match why {
                StopReason::Deadline => "deadline",
                StopReason::Interrupted => "interrupted",
                StopReason::Cancelled => "cancelled",
                StopReason::TooManyRejects => "too-many-rejects",
                StopReason::LeaseLost => "lease-lost",
            },
            Self::Object { .. } => "changed",
            Self::Stalled { .. } => "stalled",
            Self::LeaseLost => "lease-lost",
            Self::NoticePending => "notice-pending",
            Self::Accounting { .. } => "accounting",
            Self::RangesLeft { .. } => "ranges-left",
            Self::Report { .. } => "report",
        }
    }

    /// What the user can do about it, if anything is known.
    pub fn fix(&self) -> Option<&str> {
        match self {
            Self::File(error) => match error {
                rows::Error::Read { source, .. } | rows::Error::Compression { source, .. }
                    if cause(source).is_some() =>
                {
                    cause(source).and_then(Self::fix)
                }
                error => error.fix(),
            },
            Self::Unusable { fix, .. } | Self::Object { fix, .. } | Self::Service { fix, .. } => {
                Some(fix.as_str()).filter(|fix| !fix.is_empty())
            }
            Self::RetriesExhausted { source, .. } => source.fix(),
            Self::Share { source } => source.fix(),
            Self::Throttled { .. } => Some(
                "raise the table's capacity, or import with a lower --max-wcu (INTAKE_MAX_WCU)",
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
            } => Some(
                "upload the file again to import it, or use intake import --workers --again; rows already written stay",
            ),
            Self::Stopped {
                why: StopReason::TooManyRejects,
                ..
            } => Some(
                "look into the report of rejected rows; correct the file, or allow more with --max-rejects (INTAKE_MAX_REJECTS)",
            ),
            Self::Stalled { .. } => {
                Some("look into the function's log for the job, then upload the file again")
            }
            Self::LeaseLost
            | Self::Stopped {
                why: StopReason::LeaseLost,
                ..
            } => Some("nothing: the other one goes on; intake status shows how far it is"),
            Self::Accounting { .. } => {
                Some("this is a defect in Intake; please report it with the summary")
            }
            Self::NoticePending | Self::RangesLeft { .. } | Self::Report { .. } => None,
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
            Self::File(error) => error.position(),
            Self::Stopped { position, .. } => Some(*position),
            _ => None,
        }
    }

    /// The message with every cause behind it, separated by `: `, as [`rows::prose`].
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        rows::prose(&text)
    }
}

/// What a service said, without its words if it means a row: DynamoDB quotes values in them. The report has all of it.
fn without_rows(problem: &str, class: Class) -> &str {
    match class {
        Class::RejectRow => problem.split(": ").next().unwrap_or_default(),
        Class::Retry | Class::Unanswered | Class::Fatal => problem,
    }
}

/// The importer's own error that broke a reading, if it was one.
pub(crate) fn cause(error: &std::io::Error) -> Option<&Error> {
    error.get_ref().and_then(|cause| cause.downcast_ref())
}
