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

    /// A stream record is not in the form DynamoDB Streams documents.
    ///
    /// The JSON parser's error is deliberately not kept: it quotes the value it stumbled over, and
    /// row contents must not reach the log.
    #[error(
        "{part} of the stream record cannot be read (line {line}, column {column} of that part)"
    )]
    Record {
        /// Which part of the record, for example `NewImage`.
        part: &'static str,
        /// 1-based line within the part.
        line: usize,
        /// 1-based column, in bytes, within the part; 0 when the part ended early.
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

    /// The function's role may not publish.
    #[error(
        "publishing to {topic} was denied: grant sns:Publish on the topic (and kms:GenerateDataKey and kms:Decrypt \
         on its key, if it has one) to the function's role"
    )]
    AccessDenied {
        /// ARN of the topic.
        topic: String,
        /// What SNS answered.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },

    /// SNS refused the request, and would refuse it again.
    #[error("publishing to {topic} was refused")]
    Refused {
        /// ARN of the topic.
        topic: String,
        /// What SNS answered.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },

    /// SNS throttled the request, failed, or could not be reached.
    #[error("publishing to {topic} failed for now")]
    Unavailable {
        /// ARN of the topic.
        topic: String,
        /// What went wrong.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },

    /// The invocation's time is up and nothing is published.
    #[error("not published before the invocation's deadline, after {attempts} attempts")]
    DeadlineExceeded {
        /// Calls made.
        attempts: u32,
        /// Why the last of them failed; absent when there was no time for any.
        #[source]
        last: Option<Box<Error>>,
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
            | Self::Record { .. }
            | Self::Unnamed
            | Self::TopicNotFound { .. }
            | Self::AccessDenied { .. }
            | Self::Refused { .. }
            | Self::DeadlineExceeded { .. } => Class::Fatal,
        }
    }

    /// The error and its causes on one line, for a log.
    ///
    /// ```
    /// let error = notifier::Error::Refused { topic: "arn:x".into(), source: "InvalidParameter".into() };
    /// assert_eq!(error.chain(), "publishing to arn:x was refused: InvalidParameter");
    /// ```
    pub fn chain(&self) -> String {
        let mut line = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            line.push_str(": ");
            line.push_str(&error.to_string());
            cause = error.source();
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_names_every_cause_once() {
        let error = Error::DeadlineExceeded {
            attempts: 3,
            last: Some(Box::new(Error::Unavailable {
                topic: "arn:t".into(),
                source: "connection reset".into(),
            })),
        };
        assert_eq!(
            error.chain(),
            "not published before the invocation's deadline, after 3 attempts: publishing to arn:t failed for now: connection reset"
        );
    }
}
