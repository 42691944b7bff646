//! The Lambda function: one invocation's records in, one message out, and the main loop.
//!
//! Runs as the deployed `NotifyInventoryUpdate` function and, unchanged, under any other host of the
//! Lambda Runtime API.

use std::time::{Duration, SystemTime};

use aws_config::BehaviorVersion;
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use lambda_runtime::{LambdaEvent, service_fn};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tracing::{error, info};

use crate::{
    digest::Digest,
    message::Message,
    publish::{self, Publish, Topic},
    record,
    settings::Settings,
};

/// Time kept back from the invocation's deadline for handing the batch back: an invocation that is
/// killed leaves no word in the log why nothing was published.
pub const ANSWER_MARGIN: Duration = Duration::from_secs(1);

/// Malformed records that get a log line of their own; the invocation's last line has their number.
const MALFORMED_LOGGED_MAX: u64 = 10;

/// A DynamoDB stream event whose records are not looked at yet, so that one of them that is broken
/// does not spoil the others.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>
#[derive(Debug, Deserialize)]
pub struct StreamEvent {
    /// The records in stream order, each as it came.
    #[serde(rename = "Records")]
    pub records: Vec<Box<RawValue>>,
}

/// The function's state between invocations.
#[derive(Debug)]
pub struct Notifier<P> {
    settings: Settings,
    publisher: P,
}

impl<P: Publish> Notifier<P> {
    /// A notifier that reports what `settings` ask for through `publisher`.
    pub fn new(settings: Settings, publisher: P) -> Self {
        Self {
            settings,
            publisher,
        }
    }

    /// Publishes one digest of `event`, or nothing when none of its changes is to be reported.
    ///
    /// When publishing fails until `deadline`, the answer names the first record: nothing of this batch
    /// was published, so all of it has to come again. A first record without a readable sequence number
    /// is answered with an empty one, which Lambda takes as the failure of the whole batch:
    /// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>.
    pub async fn handle(&self, event: &StreamEvent, deadline: Instant) -> DynamoDbEventResponse {
        let mut response = DynamoDbEventResponse::default();
        let digest = self.digest(&event.records);
        let published = if digest.is_empty() {
            Ok(None)
        } else {
            publish::until(&self.publisher, &Message::from(&digest), deadline)
                .await
                .map(Some)
        };
        let (records, malformed) = (event.records.len(), digest.malformed());
        let (inserted, modified, removed) = (
            digest.inserted().count(),
            digest.modified().count(),
            digest.removed().count(),
        );
        match published {
            Ok(message_id) => info!(
                records,
                inserted, modified, removed, malformed, message_id, "digested"
            ),
            Err(cause) => {
                error!(
                    records,
                    inserted,
                    modified,
                    removed,
                    malformed,
                    error = cause.chain(),
                    "not published; the batch is handed back to the stream"
                );
                let mut first = DynamoDbBatchItemFailure::default();
                let sequence_number = event
                    .records
                    .first()
                    .and_then(|raw| record::sequence_number(raw));
                first.item_identifier = Some(sequence_number.unwrap_or_default());
                response.batch_item_failures.push(first);
            }
        }
        response
    }

    fn digest(&self, records: &[Box<RawValue>]) -> Digest {
        let mut digest = Digest::default();
        for (index, raw) in records.iter().enumerate() {
            match record::read(raw, &self.settings) {
                Ok(Some(change)) => digest.add(&change),
                Ok(None) => {}
                Err(cause) => {
                    if digest.malformed() < MALFORMED_LOGGED_MAX {
                        let sequence_number = record::sequence_number(raw);
                        error!(
                            index,
                            sequence_number,
                            error = cause.chain(),
                            "malformed record left out"
                        );
                    }
                    digest.add_malformed();
                }
            }
        }
        digest
    }
}

/// The main loop: reads the settings, connects to SNS, then handles invocations until the process ends.
///
/// Installs the process's `tracing` subscriber; it writes JSON when the function's log format is JSON.
///
/// # Errors
///
/// [`Error::Setting`](crate::Error::Setting) when the configuration is unusable, and whatever ends the
/// conversation with the Lambda Runtime API.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let settings = Settings::from_env()?;
    let http_client = Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client)
        .load()
        .await;
    let topic = Topic::new(&config, &settings.topic_arn);
    let notifier = &Notifier::new(settings, topic);
    lambda_runtime::run(service_fn(
        move |event: LambdaEvent<StreamEvent>| async move {
            let deadline = answer_deadline(event.context.deadline());
            Ok::<_, lambda_runtime::Error>(notifier.handle(&event.payload, deadline).await)
        },
    ))
    .await
}

/// The moment to stop trying, on tokio's clock.
fn answer_deadline(invocation_deadline: SystemTime) -> Instant {
    let left = invocation_deadline
        .duration_since(SystemTime::now())
        .unwrap_or_default();
    Instant::now() + left.saturating_sub(ANSWER_MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_answer_is_due_a_margin_before_the_deadline() {
        for (left, expected) in [
            (Duration::from_secs(30), Duration::from_secs(29)),
            (ANSWER_MARGIN, Duration::ZERO),
            (Duration::ZERO, Duration::ZERO),
        ] {
            let due = answer_deadline(SystemTime::now() + left) - Instant::now();
            // The wall clock moves on between the two readings.
            assert!(
                due <= expected && due + Duration::from_millis(500) >= expected,
                "{left:?}: {due:?}"
            );
        }
        assert_eq!(answer_deadline(SystemTime::UNIX_EPOCH), Instant::now());
    }
}
