//! Stand-ins for the AWS services, each by itself: its API, its state and its errors. No service knows another, nor who
//! may call it, what fails on the way, or what is wired to it.

pub(crate) mod dynamodb;
pub(crate) mod iam;
pub(crate) mod lambda;
pub(crate) mod query;
pub(crate) mod s3;
pub mod sns;
pub mod sqs;

/// A service that calls go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    S3,
    DynamoDb,
    Sqs,
    Sns,
    Lambda,
    Iam,
}
