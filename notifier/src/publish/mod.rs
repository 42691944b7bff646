//! Publishing messages: all of them, each again until it is published or refused for good.
//!
//! SNS and S3 are called here and nowhere else. What a message says is not this room's business.

mod sns;
mod undelivered;

use std::cell::RefCell;
use std::future::Future;

use tokio::time::Instant;

pub use self::sns::Topic;
pub use self::undelivered::{Bucket, UndeliveredStore};
use crate::error::{Class, Error};
use crate::message::{MESSAGE_BYTES_MAX, Message};
use crate::metrics::METRICS;
use crate::retry;

/// Messages of one call.
///
/// <https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html>
pub const BATCH_MESSAGES_MAX: usize = 10;

/// Something that can publish messages.
pub trait Publish: Sync {
    /// Publishes each of `messages` once. They are at least one, at most [`BATCH_MESSAGES_MAX`], and have at most
    /// [`MESSAGE_BYTES_MAX`] bytes together.
    ///
    /// Returns what became of each, in their order: its SNS message ID, or an error whose [`class`](Error::class) tells
    /// whether another attempt can help.
    fn publish(
        &self,
        messages: &[&Message],
    ) -> impl Future<Output = Vec<Result<String, Error>>> + Send;
}

/// What became of a message.
#[derive(Debug)]
pub enum Outcome {
    /// It was published, under this SNS message ID.
    Published(String),
    /// SNS does not take it.
    Refused(Error),
}

/// Publishes `messages`, trying those again that fail with [`Class::Retry`] until `deadline`.
///
/// An attempt that times out may have reached SNS all the same: a message can arrive twice, never not at all.
///
/// # Errors
///
/// [`Error::DeadlineExceeded`] when time is up before each message is published or refused.
pub async fn until(
    publisher: &impl Publish,
    messages: &[Message],
    deadline: Instant,
) -> Result<Vec<Outcome>, Error> {
    let outcomes: RefCell<Vec<Option<Outcome>>> =
        RefCell::new(messages.iter().map(|_| None).collect());
    retry::until("publishing", deadline, async || {
        let open: Vec<usize> = (0..messages.len())
            .filter(|index| outcomes.borrow()[*index].is_none())
            .collect();
        let (mut failure, mut failures) = (None, 0);
        for batch in batches(&open, messages) {
            let chosen: Vec<&Message> = batch.iter().map(|index| &messages[*index]).collect();
            for (index, result) in batch.iter().zip(publisher.publish(&chosen).await) {
                failures += u64::from(result.is_err());
                let outcome = match result {
                    Ok(message_id) => Outcome::Published(message_id),
                    Err(error) if error.class() == Class::Fatal => Outcome::Refused(error),
                    Err(error) => {
                        failure = Some(error);
                        continue;
                    }
                };
                outcomes.borrow_mut()[*index] = Some(outcome);
            }
        }
        if failures > 0 {
            METRICS.add("publish_failures", failures as f64);
        }
        failure.map_or(Ok(()), Err)
    })
    .await?;
    Ok(outcomes.into_inner().into_iter().flatten().collect())
}

/// Cuts the `open` messages into calls that SNS takes.
fn batches(open: &[usize], messages: &[Message]) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for index in open {
        let size_bytes = messages[*index].size_bytes();
        match batches.last_mut() {
            Some(batch)
                if batch.len() < BATCH_MESSAGES_MAX && bytes + size_bytes <= MESSAGE_BYTES_MAX =>
            {
                batch.push(*index);
                bytes += size_bytes;
            }
            _ => {
                batches.push(vec![*index]);
                bytes = size_bytes;
            }
        }
    }
    batches
}
