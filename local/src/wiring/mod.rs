//! The event wiring: what `sam/template.yaml` configures on AWS, done here in the process. Services meet only here.
//!
//! * An object created under [`UPLOAD_PREFIX`](crate::UPLOAD_PREFIX) is announced to the imports queue.
//! * An SQS event source mapping gives the queue's messages to the importer.
//! * A DynamoDB event source mapping gives the table's stream to the notifier.
//!
//! Both mappings have `ReportBatchItemFailures` on. Nothing is lost on an error: messages come back, each when its
//! visibility timeout ends, until they have been received [`MAX_RECEIVE_COUNT`] times, and records are offered again
//! as [`StreamMappingOptions`] say, and then go to the bucket. Lambda's stop of a message that went round between a
//! function and a queue
//! [16 times](https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html) is not modelled.

pub mod events;
mod imports;
mod response;
mod setup;
pub mod stream;
mod uploads;

pub(crate) use self::imports::{ImportsMapping, poll_imports};
pub use self::imports::{MAX_RECEIVE_COUNT, VISIBILITY_MARGIN};
pub(crate) use self::setup::{Setup, queue_policy};
pub(crate) use self::stream::{NotifierTarget, TableStream};
pub use self::stream::{
    StreamMapping, StreamMappingOptions, StreamRecord, StreamSource, StreamTarget,
};
pub(crate) use self::uploads::Announcements;
