//! SQS: standard queues with visibility timeouts, delays and dead-letter queues, over the
//! [AWS JSON protocol](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-json-apis.html).
//!
//! Nothing here knows who sends messages or takes them.

mod actions;
mod attributes;
mod error;
mod queue;
mod queues;

pub use self::queue::Delivery;
#[cfg(test)]
pub(crate) use self::queue::MessageAttribute;
pub(crate) use self::queue::{Queue, QueueSettings, Redrive, arn};
pub(crate) use self::queues::Queues;
