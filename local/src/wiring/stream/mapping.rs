use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use uuid::Uuid;

use super::clock::SourceClock;
use super::options::StreamMappingOptions;
use super::source::{StreamSource, shard_id};
use super::target::StreamTarget;
use super::worker::{Shared, Worker};
use crate::error::LocalError;

/// How often a quiet shard is polled:
/// [four times a second](https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html), as on AWS.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Records of a lane that are read ahead of their batch.
const READ_AHEAD: usize = 1000;

/// A running event source mapping.
#[derive(Debug)]
pub struct StreamMapping {
    /// Number of the last request to read to the end.
    requested: watch::Sender<u64>,
    /// Number of the last such request that was met.
    met: watch::Receiver<u64>,
}

impl StreamMapping {
    /// The mapping, and the work to run for it: gives all records of `source`, from the oldest, to `target`, for ever.
    ///
    /// # Errors
    ///
    /// [`LocalError::StreamMapping`] if Lambda would not make such a mapping.
    pub fn new<S: StreamSource, T: StreamTarget>(
        source: S,
        target: T,
        options: StreamMappingOptions,
    ) -> Result<(Self, impl Future<Output = ()> + Send), LocalError> {
        options.check()?;
        let (requested, requests) = watch::channel(0);
        let (achieved, met) = watch::channel(0);
        let shared = Shared {
            id: Uuid::new_v4(),
            stream_arn: source.stream_arn(),
            options,
            target,
            clock: SourceClock::new(source.now()),
            pending: watch::Sender::new(0),
        };
        let work = read(source, Arc::new(shared), requests, achieved);
        Ok((Self { requested, met }, work))
    }

    /// Waits until every record written before this call has been delivered, or given up, and its window closed.
    pub async fn delivered(&self) {
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
            // The mapping is gone, and so is the chance that this ever comes true.
            std::future::pending::<()>().await;
        }
    }

    /// Whether a request to read to the end is still to be met.
    pub(crate) fn is_pending(&self) -> bool {
        *self.met.borrow() < *self.requested.borrow()
    }
}

/// Reads the stream and hands its records to the workers, as fast as these take them.
async fn read<S: StreamSource, T: StreamTarget>(
    mut source: S,
    shared: Arc<Shared<T>>,
    mut requests: watch::Receiver<u64>,
    achieved: watch::Sender<u64>,
) {
    let caught_up = watch::Sender::new(SystemTime::UNIX_EPOCH);
    let lanes = shared.options.lanes();
    // Dropped, they stop.
    let mut workers = JoinSet::new();
    let mut inboxes = Vec::new();
    for lane in 0..lanes {
        let (inbox, records) = mpsc::channel(READ_AHEAD);
        let name = shard_id(lane / shared.options.parallelization_factor);
        let worker = Worker::new(Arc::clone(&shared), name, records, caught_up.subscribe());
        workers.spawn(worker.run());
        inboxes.push(inbox);
    }
    let mut pending = shared.pending.subscribe();
    // Without the mapping nobody wants the records.
    while requests.has_changed().is_ok() {
        // Both before reading, so that what was written before them is read.
        let request = *requests.borrow_and_update();
        let now = source.now();
        shared.clock.set(now);
        let records = match source.read().await {
            Ok(records) => records,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot read the stream; will try again"
                );
                tokio::time::sleep(POLL_INTERVAL).await;
                continue;
            }
        };
        if records.is_empty() {
            caught_up.send_replace(now);
            if *pending.borrow_and_update() == 0 {
                achieved.send_replace(request);
            }
            let news = async {
                tokio::select! {
                    _ = requests.changed() => {}
                    _ = pending.wait_for(|pending| *pending == 0), if *achieved.borrow() < request => {}
                }
            };
            // In any case it is time to look again.
            drop(timeout(POLL_INTERVAL, news).await);
            continue;
        }
        for record in records {
            if !shared.options.wants(record.event_name()) {
                continue;
            }
            shared.pending.send_modify(|pending| *pending += 1);
            let inbox = &inboxes[record.lane(lanes)];
            if inbox.send(record).await.is_err() {
                tracing::error!(
                    "a worker of the stream's mapping has ended; the stream is not read any more"
                );
                return;
            }
        }
    }
}
