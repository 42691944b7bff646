//! The AWS services that Intake is built on, embedded in one process on loopback: S3, DynamoDB with
//! Streams, SQS, SNS, Cognito and Lambda, with the event wiring between them that `sam/template.yaml` makes on AWS.
//!
//! ```text
//! S3 ObjectCreated (uploads/) ─▶ SQS intake-imports ─▶ importer ─▶ DynamoDB InventoryTable ─▶ stream ─▶ notifier ─▶ SNS
//!                                  └─▶ intake-imports-dlq after 3 receives
//!
//! dashboard ─▶ Cognito ─▶ credentials: uploads/IDENTITY/, reports/IDENTITY/, own jobs, the table to read
//! ```
//!
//! [`Stack::start`] brings everything up on free ports of 127.0.0.1 and [`Endpoints`] says where. Every
//! service speaks its real protocol, so the AWS CLI and the SDKs work against it unchanged. The two Lambda
//! functions run as child processes against a small [Lambda Runtime API](runtime), so the main loop that
//! is deployed is the one that runs here.
//!
//! Everything can be made to fail: [`faults`] at any call of any operation, [killed](runtime::Function::kill)
//! environments, events that come [twice](Stack::announce) or [out of order](Stack::invoke_importer), and a table that
//! takes [only so much](capacity). How the stack is set up can be read and changed by the APIs that people use on AWS:
//! bucket notifications, attributes of queues and topics, functions and their event source mappings, roles.
//!
//! ```
//! use local::{Fault, FaultPlan, Stack, StackOptions};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), local::LocalError> {
//! let stack = Stack::start(StackOptions::default()).await?;
//! assert!(stack.endpoints().s3.starts_with("http://127.0.0.1:"));
//! assert!(stack.inbox().is_empty());
//!
//! // The second write of an import will be throttled, and the file is announced to the queue.
//! stack.faults().set(FaultPlan::default().fail("BatchWriteItem", 2, Fault::Throttle));
//! stack.put_object("uploads/catalog.csv", "productId\nP1\n").await?;
//! assert_eq!(stack.uploads()[0].key, "uploads/catalog.csv");
//! stack.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! It is a stand-in for development and tests, not for production: everything is kept in memory or in a
//! temporary folder and is gone after [`Stack::shutdown`].

mod access;
pub mod capacity;
mod clock;
pub mod cognito;
mod cors;
mod doors;
pub mod dynamodb;
mod endpoints;
mod error;
pub mod events;
pub mod faults;
mod iam;
mod inbox;
mod lambda;
mod lock;
mod page;
mod random;
pub mod runtime;
mod s3;
mod server;
pub mod sns;
pub mod sqs;
mod stack;
pub mod wiring;

pub use capacity::{Capacity, CapacityPlan, CapacitySink};
pub use cognito::{Cognito, CognitoOptions, Mail};
pub use endpoints::{Endpoints, Ports};
pub use error::LocalError;
pub use faults::{Fault, FaultCounts, FaultPlan, Faults, Operation, When};
pub use iam::covers as iam_pattern_covers;
pub use runtime::LambdaProgram;
pub use sns::Message;
pub use stack::{Stack, StackOptions};
pub use wiring::StreamMappingOptions;

/// The region in every ARN and event.
pub const REGION: &str = "us-east-1";
/// The account in every ARN and queue URL.
pub const ACCOUNT_ID: &str = "000000000000";
/// The access key that S3 accepts, with which everything is allowed; the other services accept any. Temporary keys, which
/// begin with `ASIA`, are accepted as [`cognito`] gave them, and for what `DashboardUserRole` allows.
pub const ACCESS_KEY_ID: &str = "intake-local";
/// The secret of [`ACCESS_KEY_ID`]. S3 checks the signature made with it.
pub const SECRET_ACCESS_KEY: &str = "intake-local-secret";
/// The bucket that uploads go to.
pub const BUCKET: &str = "inventory-upload-local";
/// Objects under this prefix of [`BUCKET`] are imported.
pub const UPLOAD_PREFIX: &str = "uploads/";
/// The table: partition key `productId` (String), on demand, stream `NEW_AND_OLD_IMAGES`.
pub const TABLE: &str = "InventoryTable";
/// The table of import jobs: partition key `owner` and sort key `job` (both String), on demand, TTL on `expires_at`.
/// What has expired stays: DynamoDB deletes it within days, which no local stack lives to see.
pub const JOBS_TABLE: &str = "ImportJobs";
/// The topic that both functions publish to.
pub const TOPIC: &str = "inventory-alerts";
/// The queue between S3 and the importer.
pub const IMPORTS_QUEUE: &str = "intake-imports";
/// The address that is subscribed to [`TOPIC`], and has confirmed. Nothing is sent to it.
pub const SUBSCRIBER: &str = "you@example.com";
/// Where a message of [`IMPORTS_QUEUE`] goes after [`wiring::MAX_RECEIVE_COUNT`] receives.
pub const IMPORTS_DLQ: &str = "intake-imports-dlq";
