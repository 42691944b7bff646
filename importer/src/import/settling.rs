//! The asynchronous side: each lane settles its batches one after the other.

use std::sync::Arc;

use rows::Position;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::settled::{Rejects, SettledRows};
use super::stop::Stop;
use super::tasks::{join, sleep_until};
use crate::error::{Error, StopReason};
use crate::write::{Batch, BatchWrite, LaneWrite, Settler, Share};

/// Starts a lane's task for each of `count` lanes, and gives the ways to them.
pub(super) fn spawn_lanes<W: BatchWrite>(
    writer: &W,
    count: usize,
    settler: &Arc<Settler>,
    settled: &Arc<SettledRows>,
) -> (Vec<mpsc::Sender<ToLane>>, JoinSet<Result<(), Error>>) {
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

/// A batch on its way, with its share of the memory for batches under way.
pub(super) struct BatchInFlight {
    pub(super) batch: Batch,
    pub(super) _memory: OwnedSemaphorePermit,
}

/// Settles a lane's batches in their order.
async fn lane<L: LaneWrite>(
    index: usize,
    mut writer: L,
    mut batches: mpsc::Receiver<ToLane>,
    settler: Arc<Settler>,
    settled: Arc<SettledRows>,
) -> Result<(), Error> {
    let mut next = first_batch(&mut writer, &mut batches).await;
    while let Some(to_lane) = next {
        match to_lane {
            ToLane::Idle(row) => settled.idle(index, row),
            ToLane::Batch(in_flight) => {
                let rows = settler.settle(&mut writer, &in_flight.batch).await?;
                let mut rejects = None;
                if !rows.is_empty() {
                    let Some(memory) = settled.memory(rows.len()).await else {
                        // The import has ended early, and knows why.
                        return Ok(());
                    };
                    rejects = Some(Rejects { rows, memory });
                }
                settled.settled(index, &in_flight.batch, rejects);
            }
        }
        next = batches.recv().await;
    }
    Ok(())
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
    mut lanes: JoinSet<Result<(), Error>>,
    limits: Limits<'_>,
    stop: &Stop,
) -> Result<(), LaneError> {
    let all = async {
        while let Some(lane) = lanes.join_next().await {
            join(lane).map_err(LaneError::Failed)?;
        }
        Ok(())
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
    };
    if result.is_err() {
        // Ends a decoder that would otherwise go on until its next batch.
        stop.request(StopReason::Interrupted);
    }
    result
}
