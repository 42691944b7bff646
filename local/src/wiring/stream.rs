use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    MAX_RETRY_ATTEMPTS, STREAM_BATCH_SIZE, STREAM_BATCHING_WINDOW,
    response::{Failures, failures},
};
use crate::{
    REGION,
    dynamodb::{StreamRecord, Tables},
    events,
    runtime::Function,
};

/// How often a quiet shard is polled:
/// [four times a second](https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html), as on AWS.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Largest event for a function:
/// [6 MB](https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
const MAX_EVENT_BYTES: usize = 6 << 20;
/// What a record's JSON has beyond its keys and images, generously.
const RECORD_FRAME_BYTES: usize = 600;
/// Pause before records are offered again; doubled each time.
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(100);

/// The event source mapping of the table's stream.
#[derive(Debug)]
pub(crate) struct StreamMapping {
    /// Number of the last request to read to the end.
    requested: watch::Sender<u64>,
    /// Number of the last such request that was met.
    met: watch::Receiver<u64>,
}

impl StreamMapping {
    /// The mapping, and the work to run for it: gives all records, from the oldest, to `function`, for ever.
    pub(crate) fn new(tables: Tables, function: Arc<Function>) -> (Self, impl Future<Output = ()>) {
        let (requested, requests) = watch::channel(0);
        let (achieved, met) = watch::channel(0);
        let poller = Poller {
            stream_arn: event_source_arn(&tables),
            tables,
            function,
            position: None,
        };
        (Self { requested, met }, poller.run(requests, achieved))
    }

    /// Waits until every record written before this call has been delivered, or given up.
    pub(crate) async fn delivered(&self) {
        let mut request = 0;
        self.requested.send_modify(|last| {
            *last += 1;
            request = *last;
        });
        if self
            .met
            .clone()
            .wait_for(|met| *met >= request)
            .await
            .is_err()
        {
            // The poller is gone, and so is the chance that this ever comes true.
            std::future::pending::<()>().await;
        }
    }

    /// Whether a request to read to the end is still to be met.
    pub(crate) fn is_pending(&self) -> bool {
        *self.met.borrow() < *self.requested.borrow()
    }
}

/// The stream's ARN in events: that of `dynoxide`, in the region of the stack.
fn event_source_arn(tables: &Tables) -> String {
    tables
        .stream_arn()
        .replacen(":dynoxide:", &format!(":{REGION}:"), 1)
}

struct Poller {
    tables: Tables,
    stream_arn: String,
    function: Arc<Function>,
    /// Sequence number of the last record that is done.
    position: Option<String>,
}

impl Poller {
    async fn run(mut self, mut requests: watch::Receiver<u64>, achieved: watch::Sender<u64>) {
        loop {
            // Before reading, so that what was written before the request is read.
            let request = *requests.borrow_and_update();
            let mut batch = self.read().await;
            if batch.is_empty() {
                achieved.send_replace(request);
                // Either way it is time to look again.
                drop(timeout(POLL_INTERVAL, requests.changed()).await);
                continue;
            }
            if batch.len() < STREAM_BATCH_SIZE {
                sleep(STREAM_BATCHING_WINDOW).await;
                batch = self.read().await;
            }
            self.deliver(&batch).await;
        }
    }

    /// The records after the position.
    async fn read(&self) -> Vec<StreamRecord> {
        match self
            .tables
            .records_after(self.position.clone(), STREAM_BATCH_SIZE)
            .await
        {
            Ok(records) => records,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot read the stream; will try again"
                );
                Vec::new()
            }
        }
    }

    /// Gives the records to the function, as often as needed, and moves the position past them.
    async fn deliver(&mut self, mut records: &[StreamRecord]) {
        let mut attempts = 0;
        while !records.is_empty() {
            let size = event_size(records);
            let mut done = self.invoke(&records[..size]).await;
            if done == 0 && attempts < MAX_RETRY_ATTEMPTS {
                sleep(FIRST_RETRY_DELAY * 2_u32.pow(attempts)).await;
                attempts += 1;
                continue;
            }
            if done == 0 {
                tracing::error!(
                    records = size,
                    first = records[0].sequence_number,
                    last = records[size - 1].sequence_number,
                    "gave up stream records: the notifier never handled them"
                );
                done = size;
            }
            attempts = 0;
            self.position = Some(records[done - 1].sequence_number.clone());
            records = &records[done..];
        }
    }

    /// Gives these records to the function and returns how many of them, from the first, it handled.
    async fn invoke(&self, records: &[StreamRecord]) -> usize {
        let numbers: BTreeSet<&str> = records
            .iter()
            .map(|record| record.sequence_number.as_str())
            .collect();
        let event = events::dynamodb_event(
            &self.stream_arn,
            records.iter().map(|record| record.json.clone()),
        );
        match self
            .function
            .invoke(event)
            .await
            .map(|response| failures(response, &numbers))
        {
            Ok(Failures::None) => records.len(),
            // Reading resumes at the lowest one that failed; those after it come again.
            Ok(Failures::Items(failed)) => records
                .iter()
                .take_while(|record| !failed.contains(&record.sequence_number))
                .count(),
            Ok(Failures::All(reason)) => {
                tracing::warn!(records = records.len(), reason, "a stream batch failed");
                0
            }
            Err(error) => {
                tracing::warn!(records = records.len(), %error, "a stream batch failed");
                0
            }
        }
    }
}

/// How many of the records, one at least, fit an event.
fn event_size(records: &[StreamRecord]) -> usize {
    let mut bytes = 0;
    let fitting = records.iter().take_while(|record| {
        bytes += record.size_bytes + RECORD_FRAME_BYTES;
        bytes <= MAX_EVENT_BYTES
    });
    fitting.count().max(1)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn an_event_stays_within_lambdas_limit() {
        let records = |count: usize, size_bytes: usize| -> Vec<StreamRecord> {
            let record = |n| StreamRecord {
                sequence_number: format!("{n:021}"),
                size_bytes,
                json: Value::Null,
            };
            (0..count).map(record).collect()
        };
        for (count, size_bytes, fit) in [
            (1000, 400, 1000),
            (1000, 800_000, 7),
            (3, 7 << 20, 1),
            (1, 10, 1),
        ] {
            assert_eq!(
                event_size(&records(count, size_bytes)),
                fit,
                "{count} of {size_bytes} bytes"
            );
        }
    }
}
