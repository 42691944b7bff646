//! The AWS services that Intake is built on, embedded in one process on loopback: S3, DynamoDB with
//! Streams, SQS, SNS, Cognito and Lambda, with the event wiring between them that `sam/template.yaml` makes on AWS.
//!
//! ```text
//! S3 ObjectCreated (uploads/) ─▶ SQS intake-imports ─▶ importer ─▶ DynamoDB InventoryTable ─▶ stream ─▶ notifier ─▶ SNS
//!                                  └─▶ intake-imports-dlq after 10 receives
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

pub mod capacity;
mod deployment;
mod error;
pub mod faults;
mod lock;
mod server;
mod services;
mod sign_in;
mod stack;
mod timestamp;
pub mod wiring;

pub use capacity::{Capacity, CapacityPlan, CapacitySink};
pub use deployment::{
    ACCESS_KEY_ID, ACCOUNT_ID, BUCKET, IMPORTS_DLQ, IMPORTS_QUEUE, JOBS_TABLE, REGION,
    SECRET_ACCESS_KEY, SUBSCRIBER, TABLE, TOPIC, UPLOAD_PREFIX,
};
pub use error::LocalError;
pub use faults::{Fault, FaultCounts, FaultPlan, Faults, Operation, When};
pub use services::lambda::runtime::{self, LambdaProgram};
pub use services::sns::Message;
pub use services::{sns, sqs};
pub use sign_in::cognito::{self, Cognito, CognitoOptions, Mail};
pub use stack::{Endpoints, Ports, Stack, StackOptions};
pub use wiring::{StreamMappingOptions, events};
