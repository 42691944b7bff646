use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::events;
use super::response::{Failures, failures};
use crate::services::lambda::runtime::{Function, InvokeError};
use crate::services::sqs::{Delivery, Queue};

/// How often a message of the imports queue is received before it goes to the dead-letter queue: more often than a job may
/// end without progress, so that it is the job that fails, with its reason.
pub const MAX_RECEIVE_COUNT: u32 = 10;
/// How many messages an invocation of the importer gets: one file at a time, as the SAM template has it.
pub(super) const IMPORT_BATCH_SIZE: usize = 1;
/// How much longer than the importer's timeout a message that it was given stays hidden, as in the SAM template.
pub const VISIBILITY_MARGIN: Duration = Duration::from_mins(1);
/// Longest wait of one receive; it is then simply repeated.
const RECEIVE_WAIT: Duration = Duration::from_secs(20);

/// The event source mapping of the imports queue.
#[derive(Debug, Clone)]
pub(crate) struct ImportsMapping {
    pub(crate) queue: Arc<Queue>,
    pub(crate) function: Arc<Function>,
    /// How soon a message comes again whose failure the function itself reported; without it as any other, when its
    /// visibility timeout ends.
    pub(crate) retry_delay: Option<Duration>,
}

/// Gives the queue's messages to the function, for ever, while `enabled`.
pub(crate) async fn poll_imports(mapping: ImportsMapping, mut enabled: watch::Receiver<bool>) {
    let mut invocations = JoinSet::new();
    loop {
        if enabled.wait_for(|enabled| *enabled).await.is_err() {
            return;
        }
        // A message that is received starts to be late, so there must be an environment for it.
        while invocations.len() >= mapping.function.program().concurrency.max(1) {
            invocations.join_next().await;
        }
        let deliveries = tokio::select! {
            biased;
            _ = enabled.wait_for(|enabled| !*enabled) => continue,
            // Receiving is done at once or not at all, so nothing is lost by giving it up.
            deliveries = mapping.queue.receive(IMPORT_BATCH_SIZE, RECEIVE_WAIT, None) => deliveries,
        };
        while invocations.try_join_next().is_some() {}
        if !deliveries.is_empty() {
            invocations.spawn(mapping.clone().import(deliveries));
        }
    }
}

impl ImportsMapping {
    /// Gives one batch to the function and deletes what it handled. The rest comes again.
    async fn import(self, deliveries: Vec<Delivery>) {
        let Self {
            queue,
            function,
            retry_delay,
        } = self;
        let ids: BTreeSet<&str> = deliveries
            .iter()
            .map(|delivery| delivery.message_id.as_str())
            .collect();
        let event = events::sqs_event(&queue.arn(), &deliveries);
        let (failures, reported) = match function.invoke(event).await {
            Ok(response) => (failures(response, &ids), true),
            Err(error) => {
                tracing::warn!(%error, "an import failed");
                let reported = matches!(error, InvokeError::Function { .. });
                (Failures::All("the invocation failed"), reported)
            }
        };
        for delivery in &deliveries {
            let reason = match &failures {
                Failures::Items(items) if items.contains(&delivery.message_id) => {
                    "the importer reported it as failed"
                }
                Failures::All(reason) => *reason,
                Failures::None | Failures::Items(_) => {
                    queue.delete(&delivery.receipt_handle);
                    continue;
                }
            };
            let (message, receives) = (&delivery.message_id, delivery.receive_count);
            tracing::warn!(
                message,
                receives,
                reason,
                "an import message goes back to its queue"
            );
            if let (true, Some(delay)) = (reported, retry_delay) {
                queue.change_visibility(&delivery.receipt_handle, delay);
            }
        }
    }
}
