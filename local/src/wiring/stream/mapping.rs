//! The event source mapping of a table's stream, by
//! [Lambda's rules](https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html).
//!
//! * A batch is given to the function when it has `batch_size` records or 6 MB, when its first record has waited for the
//!   batching window, or when its tumbling window is over. Records that the filter leaves out are not in it.
//! * With a [tumbling window](https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-windows.html), an event has the
//!   records of one window, by their approximate creation time, and the state that the event before it returned (`{}` for
//!   the first). When the window is over, or a record of a later one is next, a last event without records has
//!   `isFinalInvokeForWindow`. A state of more than 1 MB ends the window early: such a last event has
//!   `isWindowTerminatedEarly`, too, and the window goes on with a new state. A response without `state` is a failure.
//! * A batch whose invocation failed is
//!   [halved](https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html), which does not count as an
//!   attempt, or offered again, up to `maximum_retry_attempts` times or until its records are too old; then it goes to the
//!   on-failure destination as Lambda's invocation record, and the stream goes on.
//! * `batchItemFailures` [move the checkpoint](https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html)
//!   to the lowest record they name: it and all after it are offered again.
//! * Several lanes of a shard work at once with a parallelisation factor; all records of an item go through one of them.
//!
//! Where Lambda's documentation is silent: a state that comes with `batchItemFailures` is taken if at least one record was
//! handled; a record that shows up after its window was closed is counted in the next one; a last event that fails is
//! offered again as a batch is, and its state ends in the destination's payload; attempts count anew after a checkpoint has
//! moved. Nothing is lost: records stay in the stream until they are read, and are read only as fast as they are handled.
//! What a mapping has read is in memory, and gone with the stack.

mod options;
mod record;
mod target;
mod worker;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

pub use self::options::{
    MAX_BATCH_SIZE, MAX_BATCHING_WINDOW, MAX_PARALLELIZATION_FACTOR, MAX_RETRY_ATTEMPTS,
    MAX_TUMBLING_WINDOW, MIN_RECORD_AGE, STREAM_RETENTION, StreamMappingOptions,
};
pub(crate) use self::record::TableStream;
pub use self::record::{StreamRecord, StreamSource};
pub(crate) use self::target::NotifierTarget;
pub use self::target::StreamTarget;
use self::worker::{Shared, Worker};
use crate::LocalError;

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
            clock: Clock::new(source.now()),
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
    pub fn is_pending(&self) -> bool {
        *self.met.borrow() < *self.requested.borrow()
    }
}

/// The time of the source, between its readings.
#[derive(Debug)]
struct Clock(watch::Sender<(SystemTime, Instant)>);

impl Clock {
    fn new(now: SystemTime) -> Self {
        Self(watch::Sender::new((now, Instant::now())))
    }

    fn set(&self, now: SystemTime) {
        self.0.send_replace((now, Instant::now()));
    }

    fn now(&self) -> SystemTime {
        let (read, at) = *self.0.borrow();
        read + at.elapsed()
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
        let name = record::shard_id(lane / shared.options.parallelization_factor);
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
