use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::task::JoinSet;

use super::{
    IMPORT_BATCH_SIZE, IMPORT_RETRY_DELAY,
    response::{Failures, failures},
};
use crate::{
    events,
    runtime::Function,
    sqs::{Delivery, Queue},
};

/// Longest wait of one receive; it is then simply repeated.
const RECEIVE_WAIT: Duration = Duration::from_secs(20);

/// The event source mapping of the imports queue: gives its messages to `function`, for ever.
pub(crate) async fn poll_imports(queue: Arc<Queue>, function: Arc<Function>) {
    let mut invocations = JoinSet::new();
    loop {
        // A message that is received starts to be late, so there must be an environment for it.
        while invocations.len() >= function.program().concurrency.max(1) {
            invocations.join_next().await;
        }
        let deliveries = queue.receive(IMPORT_BATCH_SIZE, RECEIVE_WAIT, None).await;
        while invocations.try_join_next().is_some() {}
        if !deliveries.is_empty() {
            invocations.spawn(import(
                Arc::clone(&queue),
                Arc::clone(&function),
                deliveries,
            ));
        }
    }
}

/// Gives one batch to the function; deletes what it handled and makes the rest visible again.
async fn import(queue: Arc<Queue>, function: Arc<Function>, deliveries: Vec<Delivery>) {
    let ids: BTreeSet<&str> = deliveries
        .iter()
        .map(|delivery| delivery.message_id.as_str())
        .collect();
    let failures = match function
        .invoke(events::sqs_event(&queue.arn(), &deliveries))
        .await
    {
        Ok(response) => failures(response, &ids),
        Err(error) => {
            tracing::warn!(%error, "an import failed");
            Failures::All("the invocation failed")
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
        queue.change_visibility(&delivery.receipt_handle, IMPORT_RETRY_DELAY);
    }
}
