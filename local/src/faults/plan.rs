//! Faults between the clients and S3, DynamoDB, SQS and SNS: any call of any operation can be made to fail in the
//! ways the real services fail, on a connection that breaks, or with the function that made it killed.
//!
//! Calls are counted, also while nothing is planned, so that a test can count those of an undisturbed run and then hit
//! the first, the middle and the last. [`Stack::undisturbed`](crate::Stack::undisturbed) says where the same services
//! are without faults and without counting: for what the test itself uploads and reads. A test in a browser asks by HTTP:
//! `POST /local/faults` where Cognito is, with `{"faults": [{"operation": "UpdateItem", "calls": [1, 5], "fault":
//! "ResetAfter"}]}`, which [`Faults::set`] takes up, and `GET` for the counts.
//!
//! ```
//! use local::{Fault, FaultPlan, Operation, Stack, StackOptions};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), local::LocalError> {
//! let stack = Stack::start(StackOptions::default()).await?;
//! let faults = stack.faults();
//! faults.set(
//!     FaultPlan::default()
//!         .fail("BatchWriteItem", 3, Fault::Throttle)
//!         .fail("UpdateItem", [1, 5], Fault::ResetAfter)
//!         .fail(Operation::new("PutObject").on("reports/"), 2.., Fault::AccessDenied)
//!         .fail("BatchWriteItem", 7, Fault::KillAfter)
//!         .replace_object("uploads/catalog.csv", 4, "another file"),
//! );
//! // … run an import …
//! assert_eq!(faults.counts("BatchWriteItem").injected, 0);
//! faults.clear();
//! # stack.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod answer;
mod batch;
mod call;
mod guard;
mod injector;
mod request;

use std::fmt;
use std::ops::{RangeFrom, RangeInclusive};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use http::request::Parts;

pub(crate) use self::batch::{add_unprocessed, nothing_written};
use self::call::Call;
pub(crate) use self::call::{Service, header};
pub(crate) use self::guard::{BoxError, Dropped, guard};
pub use self::injector::{FaultCounts, Faults};

/// How a service says that it is not allowed to do what a request asks for; `body` is not needed for S3.
pub(crate) fn access_denied(service: Service, head: &Parts, body: &[u8]) -> Response<Body> {
    let call = Call::of(service, head, body);
    // Every service can say so.
    answer::refusal(service, Fault::AccessDenied, &call, 0).unwrap_or_default()
}

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

/// Calls of one operation, or of any; perhaps only those on some object, table, queue or topic.
///
/// A string is the operation of that name, whatever it is on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Operation {
    name: Option<String>,
    resource: String,
}

impl Operation {
    /// The operation with this name in the service's API, such as `GetObject` or `BatchWriteItem`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            resource: String::new(),
        }
    }

    /// Every operation of every service.
    pub fn any() -> Self {
        Self::default()
    }

    /// Only calls on what begins with `prefix`: an object's key, the name of a table, a queue or a topic.
    #[must_use]
    pub fn on(mut self, prefix: impl Into<String>) -> Self {
        self.resource = prefix.into();
        self
    }

    fn matches(&self, name: &str, resource: &str) -> bool {
        self.name.as_deref().is_none_or(|own| own == name) && resource.starts_with(&self.resource)
    }
}

impl From<&str> for Operation {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<&String> for Operation {
    fn from(name: &String) -> Self {
        Self::new(name)
    }
}

/// Which of the calls, counted from 1 since the plan was set.
///
/// Made from a number (`3`), numbers (`[1, 5]`, a `Vec`) or a range (`2..=4`, `2..`).
#[derive(Debug, Clone, PartialEq)]
pub struct When(Calls);

#[derive(Debug, Clone, PartialEq)]
enum Calls {
    These(Vec<u64>),
    Between(u64, u64),
    Every(u64),
    Probability(f64),
}

impl When {
    /// Every `n`-th call; 0 never.
    pub fn every(n: u64) -> Self {
        Self(Calls::Every(n))
    }

    /// Each call with this probability, 0 to 1, drawn from the plan's seed.
    pub fn probability(probability: f64) -> Self {
        Self(Calls::Probability(probability))
    }

    fn hits(&self, number: u64, rng: &mut fastrand::Rng) -> bool {
        match &self.0 {
            Calls::These(numbers) => numbers.contains(&number),
            Calls::Between(first, last) => (*first..=*last).contains(&number),
            Calls::Every(n) => *n > 0 && number.is_multiple_of(*n),
            Calls::Probability(probability) => rng.f64() < *probability,
        }
    }
}

impl From<u64> for When {
    fn from(number: u64) -> Self {
        Self(Calls::These(vec![number]))
    }
}

impl<const N: usize> From<[u64; N]> for When {
    fn from(numbers: [u64; N]) -> Self {
        Self(Calls::These(numbers.into()))
    }
}

impl From<Vec<u64>> for When {
    fn from(numbers: Vec<u64>) -> Self {
        Self(Calls::These(numbers))
    }
}

impl From<RangeInclusive<u64>> for When {
    fn from(numbers: RangeInclusive<u64>) -> Self {
        Self(Calls::Between(*numbers.start(), *numbers.end()))
    }
}

impl From<RangeFrom<u64>> for When {
    fn from(numbers: RangeFrom<u64>) -> Self {
        Self(Calls::Between(numbers.start, u64::MAX))
    }
}

/// What happens to which calls; nothing by default.
///
/// Of several faults for one call the first that was added happens; things done beside it all do.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan {
    seed: u64,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    operation: Operation,
    when: When,
    effect: Effect,
}

#[derive(Clone)]
enum Effect {
    Fault(Fault),
    Before(Hook),
    After(Hook),
    Replace { key: String, content: Bytes },
}

/// What a test wants done beside a call.
type Hook = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => write!(f, "{fault:?}"),
            Self::Before(_) => f.write_str("Before(…)"),
            Self::After(_) => f.write_str("After(…)"),
            Self::Replace { key, content } => write!(f, "Replace({key}, {} bytes)", content.len()),
        }
    }
}

impl FaultPlan {
    /// Seed of the random draws.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// These calls of the operation get the fault.
    #[must_use]
    pub fn fail(
        self,
        operation: impl Into<Operation>,
        when: impl Into<When>,
        fault: Fault,
    ) -> Self {
        self.rule(operation, when, Effect::Fault(fault))
    }

    /// Before these calls are done, `hook` is run to its end.
    #[must_use]
    pub fn before<F>(
        self,
        operation: impl Into<Operation>,
        when: impl Into<When>,
        hook: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.rule(
            operation,
            when,
            Effect::Before(Arc::new(move || Box::pin(hook()))),
        )
    }

    /// After these calls were done and before they are answered, `hook` is run to its end.
    #[must_use]
    pub fn after<F>(
        self,
        operation: impl Into<Operation>,
        when: impl Into<When>,
        hook: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.rule(
            operation,
            when,
            Effect::After(Arc::new(move || Box::pin(hook()))),
        )
    }

    /// Before these `GetObject`s of the object `key` in [`BUCKET`](crate::BUCKET) are done, it gets another content,
    /// as if somebody uploaded it in that moment.
    #[must_use]
    pub fn replace_object(
        self,
        key: impl Into<String>,
        when: impl Into<When>,
        content: impl Into<Bytes>,
    ) -> Self {
        let (key, content) = (key.into(), content.into());
        let reads = Operation::new("GetObject").on(&key);
        self.rule(reads, when, Effect::Replace { key, content })
    }

    fn rule(
        mut self,
        operation: impl Into<Operation>,
        when: impl Into<When>,
        effect: Effect,
    ) -> Self {
        self.rules.push(Rule {
            operation: operation.into(),
            when: when.into(),
            effect,
        });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_chosen_by_number() {
        for (when, expected) in [
            (When::from(3), vec![3]),
            (When::from([1, 5]), vec![1, 5]),
            (When::from(vec![2, 2]), vec![2]),
            (When::from(2..=4), vec![2, 3, 4]),
            (When::from(5..), vec![5, 6]),
            (When::every(3), vec![3, 6]),
            (When::every(0), vec![]),
            (When::probability(0.0), vec![]),
            (When::probability(1.0), vec![1, 2, 3, 4, 5, 6]),
        ] {
            let mut rng = fastrand::Rng::with_seed(1);
            let hit: Vec<u64> = (1..=6)
                .filter(|number| when.hits(*number, &mut rng))
                .collect();
            assert_eq!(hit, expected, "{when:?}");
        }
    }

    #[test]
    fn operations_are_matched_by_name_and_by_what_they_are_on() {
        let of = |name: &str, on: &str| Operation::new(name).on(on);
        for (operation, matches) in [
            (Operation::any(), true),
            ("GetObject".into(), true),
            ("Get".into(), false),
            (of("GetObject", "uploads/"), true),
            (of("GetObject", "uploads/a"), true),
            (of("GetObject", "reports/"), false),
            (Operation::any().on("reports/"), false),
        ] {
            assert_eq!(
                operation.matches("GetObject", "uploads/a"),
                matches,
                "{operation:?}"
            );
        }
    }

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
