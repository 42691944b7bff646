use std::fmt;
use std::time::Duration;

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Fault {
    /// The service asks to slow down and does nothing: S3 with 503 `SlowDown`, DynamoDB with
    /// `ProvisionedThroughputExceededException` and `ThrottlingException` by turns, SQS with `RequestThrottled`, SNS
    /// with `Throttling`.
    Throttle,
    /// The service fails with HTTP 500 and does nothing.
    InternalError,
    /// The connection is closed without an answer and without doing anything.
    ResetBefore,
    /// The call is done, and the connection closed without an answer.
    ResetAfter,
    /// The call is done, and its answer comes later by this much.
    Slow(Duration),
    /// The call is done, and the connection closed in the middle of the answer's body.
    TruncatedBody,
    /// The credentials are refused as expired.
    ExpiredToken,
    /// The signature is refused as too old, with a `Date` that is [`CLOCK_SKEW`] ahead.
    ClockSkew,
    /// DynamoDB: the call is done, and the answer's `x-amz-crc32` is not that of its body. S3: the same with the
    /// `x-amz-checksum-crc32` of `GetObject`, and uploads are refused with `BadDigest`, as if they had been damaged on
    /// the way.
    WrongChecksum,
    /// The caller is not allowed to do this.
    AccessDenied,
    /// Some items of a `BatchWriteItem`, one or more at random, are not written and returned as `UnprocessedItems`.
    Unprocessed,
    /// The environments of the importer at work are killed with SIGKILL; the call is not done.
    KillBefore,
    /// The call is done, and then the environments of the importer at work are killed with SIGKILL.
    KillAfter,
}

/// How far ahead the service's clock is with [`Fault::ClockSkew`]: more than the
/// [five minutes](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html) that AWS allows,
/// and less than the 15 that the local S3 does, which takes a request that was signed again with this time.
pub const CLOCK_SKEW: Duration = Duration::from_mins(10);

/// Operations whose answers, when they are well, have no body.
const WITHOUT_BODY: [&str; 8] = [
    "AbortMultipartUpload",
    "DeleteBucket",
    "DeleteObject",
    "HeadBucket",
    "HeadObject",
    "PutObject",
    "UploadPart",
    "CreateBucket",
];
/// Operations of DynamoDB, whose answers have a checksum.
const DYNAMODB: [&str; 13] = [
    "BatchExecuteStatement",
    "BatchGetItem",
    "BatchWriteItem",
    "DeleteItem",
    "DescribeTable",
    "DescribeTimeToLive",
    "GetItem",
    "PutItem",
    "Query",
    "Scan",
    "TransactGetItems",
    "TransactWriteItems",
    "UpdateItem",
];

impl Fault {
    /// Every fault there is; [`Fault::Slow`] for `delay`.
    pub fn all(delay: Duration) -> [Self; 13] {
        [
            Self::Throttle,
            Self::InternalError,
            Self::ResetBefore,
            Self::ResetAfter,
            Self::Slow(delay),
            Self::TruncatedBody,
            Self::ExpiredToken,
            Self::ClockSkew,
            Self::WrongChecksum,
            Self::AccessDenied,
            Self::Unprocessed,
            Self::KillBefore,
            Self::KillAfter,
        ]
    }

    /// Whether calls of this operation can have the fault; where it makes no sense the call passes unharmed, and does
    /// not count as injected.
    pub fn applies_to(self, operation: &str) -> bool {
        match self {
            Self::Unprocessed => operation == "BatchWriteItem",
            Self::TruncatedBody => !WITHOUT_BODY.contains(&operation),
            Self::WrongChecksum => {
                matches!(operation, "GetObject" | "PutObject" | "UploadPart")
                    || DYNAMODB.contains(&operation)
            }
            _ => true,
        }
    }
}

/// The name of the fault in the API, without a delay.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slow(_) => f.write_str("Slow"),
            other => write!(f, "{other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_apply_where_they_make_sense() {
        for (fault, operation, applies) in [
            (Fault::Unprocessed, "BatchWriteItem", true),
            (Fault::Unprocessed, "UpdateItem", false),
            (Fault::TruncatedBody, "GetObject", true),
            (Fault::TruncatedBody, "HeadObject", false),
            (Fault::WrongChecksum, "UpdateItem", true),
            (Fault::WrongChecksum, "Publish", false),
            (Fault::Throttle, "Publish", true),
        ] {
            assert_eq!(fault.applies_to(operation), applies, "{fault} {operation}");
        }
    }
}
