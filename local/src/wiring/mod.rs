//! The event wiring: what `sam/template.yaml` configures on AWS, done here in the process.
//!
//! * An object created under [`UPLOAD_PREFIX`](crate::UPLOAD_PREFIX) is announced to the imports queue.
//! * An SQS event source mapping gives the queue's messages to the importer.
//! * A DynamoDB event source mapping gives the table's stream to the notifier.
//!
//! Both mappings have `ReportBatchItemFailures` on. Nothing is lost on an error: messages come back, each when its
//! visibility timeout ends, until they have been received [`MAX_RECEIVE_COUNT`] times, and records are offered again
//! as [`StreamMappingOptions`] say, and then go to the bucket. Lambda's stop of a message that went round between a function and a queue
//! [16 times](https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html) is not modelled.

mod imports;
mod response;
mod setup;
pub mod stream;
mod uploads;

use std::time::Duration;

pub(crate) use self::imports::{ImportsMapping, poll_imports};
pub(crate) use self::setup::{Setup, queue_policy};
pub(crate) use self::stream::{NotifierTarget, TableStream};
pub use self::stream::{
    StreamMapping, StreamMappingOptions, StreamRecord, StreamSource, StreamTarget,
};
pub(crate) use self::uploads::Announcements;

/// How often a message of the imports queue is received before it goes to the dead-letter queue: more often than a job may
/// end without progress, so that it is the job that fails, with its reason.
pub const MAX_RECEIVE_COUNT: u32 = 10;
/// How many messages an invocation of the importer gets: one file at a time, as the SAM template has it.
pub const IMPORT_BATCH_SIZE: usize = 1;
/// How much longer than the importer's timeout a message that it was given stays hidden, as in the SAM template.
pub const VISIBILITY_MARGIN: Duration = Duration::from_mins(1);
