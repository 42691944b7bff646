//! The event wiring: what `sam/template.yaml` configures on AWS, done here in the process.
//!
//! * An object created under [`UPLOAD_PREFIX`](crate::UPLOAD_PREFIX) is announced to the imports queue.
//! * An SQS event source mapping gives the queue's messages to the importer.
//! * A DynamoDB event source mapping gives the table's stream to the notifier.
//!
//! Both mappings have `ReportBatchItemFailures` on. Nothing is lost on an error: messages come back until they
//! have been received [`MAX_RECEIVE_COUNT`] times, and records are offered again [`MAX_RETRY_ATTEMPTS`] times.

mod imports;
mod response;
mod stream;
mod uploads;

use std::time::Duration;

pub(crate) use self::{imports::poll_imports, stream::StreamMapping, uploads::announce_uploads};

/// How often a message of the imports queue is received before it goes to the dead-letter queue.
pub const MAX_RECEIVE_COUNT: u32 = 3;
/// How soon a failed message of the imports queue can be received again. On AWS it takes the queue's visibility
/// timeout, many minutes; whoever waits for it here is at the keyboard.
pub const IMPORT_RETRY_DELAY: Duration = Duration::from_secs(1);
/// Largest batch of messages, as on AWS
/// [without a batching window](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html).
pub const IMPORT_BATCH_SIZE: usize = 10;

/// Largest batch of stream records:
/// [as many as `GetRecords` returns](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_GetRecords.html).
pub const STREAM_BATCH_SIZE: usize = 1000;
/// How long records are gathered into a batch.
pub const STREAM_BATCHING_WINDOW: Duration = Duration::from_millis(100);
/// How often records are offered again without progress before they are given up.
pub const MAX_RETRY_ATTEMPTS: u32 = 4;
