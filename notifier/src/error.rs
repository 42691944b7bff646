//! What can go wrong, and whether trying again can help.

use std::error::Error as StdError;

/// Any error of the notifier.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An environment variable is missing or has no usable value.
    #[error("environment variable {variable}: {reason}")]
    Setting {
        /// The variable's name.
        variable: &'static str,
        /// What is wrong with it and what it should be.
        reason: String,
    },

    /// The invocation's payload is not a stream event.
    #[error("the event's Records are not an array")]
    Event,

    /// A stream record is not in the form DynamoDB Streams documents.
    ///
    /// The JSON parser's error is deliberately not kept: it quotes the value it stumbled over, and
    /// row contents must not reach the log.
    #[error("the stream record cannot be read (line {line}, column {column} of it or of its keys)")]
    Record {
        /// 1-based line within the record.
        line: usize,
        /// 1-based column, in bytes, within the record; 0 when it ended early.
        column: usize,
    },

    /// A stream record names neither the item nor its key.
    #[error("the stream record has neither a name nor a key")]
    Unnamed,

    /// The topic does not exist in this account and region.
    #[error("topic {topic} does not exist: set INTAKE_TOPIC_ARN to the topic's ARN")]
    TopicNotFound {
        /// ARN of the topic.
        topic: String,
        /// What SNS answered.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },

    /// The function's role may not do this.
    #[error("{action} was denied: grant {grant} to the function's role")]
    AccessDenied {
        /// What was tried.
        action: String,
        /// What would allow it.
        grant: &'static str,
        /// What AWS answered.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },

    /// AWS refused the request, and would refuse it again.
    #[error("{action} was refused")]
    Refused {
        /// What was tried.
        action: String,
        /// What AWS answered.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },

    /// AWS throttled the request, failed, or could not be reached.
    #[error("{action} failed for now")]
    Unavailable {
        /// What was tried.
        action: String,
        /// What went wrong.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },

    /// The invocation's time is up and something is left to do.
    #[error("{action}: not done before the invocation's deadline, after {attempts} attempts")]
    DeadlineExceeded {
        /// What was tried.
        action: &'static str,
        /// Calls made.
        attempts: u32,
        /// Why the last of them failed; absent when there was no time for any.
        #[source]
        last: Option<Box<Error>>,
    },

    /// SNS refused a message for good, and there is nowhere to keep it.
    #[error("a message that SNS refuses cannot be kept: {reason}")]
    NotKept {
        /// Why not.
        reason: String,
        /// What SNS said about the message.
        #[source]
        source: Box<Error>,
    },

    /// The budget allows no message before the invocation's deadline.
    #[error(
        "the budget of {per_minute} messages a minute allows no message before the invocation's deadline"
    )]
    OverBudget {
        /// The budget.
        per_minute: u32,
    },
}

/// What to do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The same call may succeed later.
    Retry,
    /// The same call fails the same way again; somebody has to change something first.
    Fatal,
}

impl Error {
    /// Whether trying again within the invocation can help.
    pub fn class(&self) -> Class {
        match self {
            Self::Unavailable { .. } => Class::Retry,
            Self::Setting { .. }
            | Self::Event
            | Self::Record { .. }
            | Self::Unnamed
            | Self::TopicNotFound { .. }
            | Self::AccessDenied { .. }
            | Self::Refused { .. }
            | Self::DeadlineExceeded { .. }
            | Self::NotKept { .. }
            | Self::OverBudget { .. } => Class::Fatal,
        }
    }

    /// The error and its causes on one line, for a log.
    ///
    /// ```
    /// let error = notifier::Error::Refused { action: "publishing to arn:x".into(), source: "InvalidParameter".into() };
    /// assert_eq!(error.chain(), "publishing to arn:x was refused: InvalidParameter");
    /// ```
    pub fn chain(&self) -> String {
        chain(self)
    }

    pub(crate) fn record(error: &serde_json::Error) -> Self {
        Self::Record {
            line: error.line(),
            column: error.column(),
        }
    }
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_names_every_cause_once() {
        let error = Error::DeadlineExceeded {
            action: "publishing",
            attempts: 3,
            last: Some(Box::new(Error::Unavailable {
                action: "publishing to arn:t".into(),
                source: "connection reset".into(),
            })),
        };
        assert_eq!(
            error.chain(),
            "publishing: not done before the invocation's deadline, after 3 attempts: publishing to arn:t failed for now: \
             connection reset"
        );
    }
}
