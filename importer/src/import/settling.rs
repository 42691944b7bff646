//! The asynchronous side: each lane settles its batches one after the other.

use std::sync::Arc;
use std::time::Duration;

use rows::Position;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::settled::{Rejects, SettledRows};
use super::stop::Stop;
use super::tasks::{join, sleep_until};
use crate::error::{Error, StopReason};
use crate::write::{Batch, BatchWrite, LaneWrite, Settler, Share};

/// How long an import that is to stop waits for the answers to requests that were sent. Nearly all come within a second, and
/// somebody waits for the end.
const ANSWERS_MAX: Duration = Duration::from_secs(5);

/// Starts a lane's task for each of `count` lanes, and gives the ways to them.
pub(super) fn spawn_lanes<W: BatchWrite>(
    writer: &W,
    count: usize,
    settler: &Arc<Settler>,
    settled: &Arc<SettledRows>,
) -> (Vec<mpsc::Sender<ToLane>>, JoinSet<Result<LaneEnd, Error>>) {
    let mut lanes = JoinSet::new();
    let senders = (0..count).map(|index| {
        let (sender, receiver) = mpsc::channel(1);
        let (settler, settled) = (Arc::clone(settler), Arc::clone(settled));
        lanes.spawn(lane(index, writer.lane(index), receiver, settler, settled));
        sender
    });
    (senders.collect(), lanes)
}

/// What a lane gets.
pub(super) enum ToLane {
    Batch(BatchInFlight),
    /// No row before the one here waits for the lane.
    Idle(Position),
}

/// How a lane ended.
pub(super) enum LaneEnd {
    /// All that came is settled.
    Settled,
    /// The import was to stop, and there may have been more.
    Abandoned,
}

/// A batch on its way, with its share of the memory for batches under way.
pub(super) struct BatchInFlight {
    pub(super) batch: Batch,
    pub(super) _memory: OwnedSemaphorePermit,
}

/// Settles a lane's batches in their order, until no more come or those that wait are to be dropped.
async fn lane<L: LaneWrite>(
    index: usize,
    mut writer: L,
    mut batches: mpsc::Receiver<ToLane>,
    settler: Arc<Settler>,
    settled: Arc<SettledRows>,
) -> Result<LaneEnd, Error> {
    let first = first_batch(&mut writer, &mut batches);
    let mut next = settler.unless_abandoned(first).await;
    loop {
        match next {
            None => return Ok(LaneEnd::Abandoned),
            Some(None) => return Ok(LaneEnd::Settled),
            Some(Some(ToLane::Idle(row))) => settled.idle(index, row),
            Some(Some(ToLane::Batch(in_flight))) => {
                let rows = settler.settle(&mut writer, &in_flight.batch).await?;
                let Some(rows) = rows else {
                    return Ok(LaneEnd::Abandoned);
                };
                let mut rejects = None;
                if !rows.is_empty() {
                    let Some(memory) = settled.memory(rows.len()).await else {
                        // The import has ended early, and knows why.
                        return Ok(LaneEnd::Abandoned);
                    };
                    rejects = Some(Rejects { rows, memory });
                }
                settled.settled(index, &in_flight.batch, rejects);
                settler.partial.settled(&in_flight.batch);
            }
        }
        next = settler.unless_abandoned(batches.recv()).await;
    }
}

/// Waits for a lane's first batch, and warms the writer up meanwhile. A lane that gets no batch waits for nothing.
async fn first_batch<L: LaneWrite>(
    writer: &mut L,
    batches: &mut mpsc::Receiver<ToLane>,
) -> Option<ToLane> {
    let mut warm_up = std::pin::pin!(writer.warm_up());
    tokio::select! {
        biased;
        batch = batches.recv() => {
            // Half a warm-up would be to no avail.
            if batch.is_some() {
                warm_up.await;
            }
            batch
        }
        () = &mut warm_up => batches.recv().await,
    }
}

/// Why the lanes ended early.
pub(super) enum LaneError {
    Failed(Error),
    GaveUp,
    /// Somebody asked to stop, and what waited was dropped.
    Abandoned,
    /// The journal's error says why.
    JournalFailed,
}

/// What may end all lanes.
pub(super) struct Limits<'a> {
    pub(super) give_up_at: Option<Instant>,
    pub(super) share: Option<Share>,
    pub(super) journal_failed: &'a mut oneshot::Receiver<()>,
}

/// Waits for all lanes. The first failure ends them all: what it means for one lane, it means for the others.
pub(super) async fn settle_lanes(
    mut lanes: JoinSet<Result<LaneEnd, Error>>,
    limits: Limits<'_>,
    stop: &Stop,
) -> Result<(), LaneError> {
    let all = async {
        let mut end = Ok(());
        while let Some(lane) = lanes.join_next().await {
            match join(lane).map_err(LaneError::Failed)? {
                LaneEnd::Settled => {}
                LaneEnd::Abandoned => end = Err(LaneError::Abandoned),
            }
        }
        end
    };
    let unanswered = async {
        stop.abandoned().wait().await;
        tokio::time::sleep(ANSWERS_MAX).await;
    };
    let share_failed = async {
        match &limits.share {
            Some(share) => share.failed().await,
            None => std::future::pending().await,
        }
    };
    let result = tokio::select! {
        biased;
        Ok(()) = limits.journal_failed => Err(LaneError::JournalFailed),
        result = all => result,
        error = share_failed => Err(LaneError::Failed(error)),
        () = sleep_until(limits.give_up_at) => Err(LaneError::GaveUp),
        () = unanswered => Err(LaneError::Abandoned),
    };
    if result.is_err() {
        // What they had under way is known once they have ended.
        lanes.shutdown().await;
        // Ends a decoder that would otherwise go on until its next batch.
        stop.request(StopReason::Interrupted);
    }
    result
}
