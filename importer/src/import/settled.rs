//! Which rows of a running import are settled: lanes and the decoder report, the journal's task takes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rows::{Position, Reject};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::checkpoint::Checkpoint;
use crate::progress::{Counts, Progress};
use crate::write::Batch;

/// Rejected rows that wait for the journal.
const REJECTS_AHEAD: usize = 512;

/// Which rows of a running import are settled, and the rejects that wait for the journal.
#[derive(Debug)]
pub(crate) struct SettledRows {
    state: Mutex<State>,
    /// Wakes the task that takes the rejects.
    news: Notify,
    /// Memory for rejects that wait.
    memory: Arc<Semaphore>,
}

#[derive(Debug)]
struct State {
    seekable: bool,
    lanes: Vec<LaneMark>,
    rejects_before: u64,
    written: u64,
    superseded: u64,
    rejected: u64,
    /// Rejects that are counted and not taken yet, with their shares of the memory for them.
    pending: Vec<Rejects>,
    closed: bool,
}

#[derive(Debug, Clone, Default)]
struct LaneMark {
    settled_before: u64,
    /// A row at or before which reading must begin so that none of the lane's is missed.
    row: Option<Position>,
}

/// Rows that cannot be written, and their share of the memory for them.
#[derive(Debug)]
pub(crate) struct Rejects {
    pub(crate) rows: Vec<Reject>,
    pub(crate) memory: OwnedSemaphorePermit,
}

/// What there is at one moment.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Rejects since it was taken from last.
    pub(crate) rejects: Vec<Rejects>,
    /// Whether nothing more comes.
    pub(crate) closed: bool,
    checkpoint: Checkpoint,
}

impl Taken {
    /// The checkpoint: it counts the rejects taken now and before, and no others. What is no row's is taken from `progress`.
    pub(crate) fn checkpoint(&self, progress: &Progress) -> Checkpoint {
        let mut checkpoint = self.checkpoint.clone();
        let now = progress.counts();
        checkpoint.counts = Counts {
            rows_read: checkpoint.counts.rows_settled(),
            rows_written: checkpoint.counts.rows_written,
            rows_superseded: checkpoint.counts.rows_superseded,
            rows_rejected: checkpoint.counts.rows_rejected,
            ..now
        };
        checkpoint
    }
}

impl SettledRows {
    /// Those of an import over `lanes` lanes that goes on after `from`.
    pub(crate) fn new(lanes: usize, from: &Checkpoint) -> Self {
        let mark = |lane: usize| LaneMark {
            settled_before: from.lanes.get(lane).copied().unwrap_or(0),
            row: from.row,
        };
        Self {
            state: Mutex::new(State {
                seekable: from.seekable,
                lanes: (0..lanes).map(mark).collect(),
                rejects_before: from.rejects,
                written: from.counts.rows_written,
                superseded: from.counts.rows_superseded,
                rejected: from.counts.rows_rejected,
                pending: Vec::new(),
                closed: false,
            }),
            news: Notify::new(),
            memory: Arc::new(Semaphore::new(REJECTS_AHEAD)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it is held ends the import; the counts are still right.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether offsets of rows are offsets of the file as it is stored.
    pub(crate) fn seekable(&self, seekable: bool) {
        self.state().seekable = seekable;
    }

    /// A lane has settled `batch`, of which `rejects` cannot be written.
    pub(crate) fn settled(&self, lane: usize, batch: &Batch, rejects: Option<Rejects>) {
        let rejected = rejects.as_ref().map_or(0, |rejects| rejects.rows.len());
        let mut state = self.state();
        state.superseded += u64::from(batch.superseded());
        state.written += (batch.len() - rejected) as u64;
        state.rejected += rejected as u64;
        state.pending.extend(rejects);
        state.lanes[lane] = LaneMark {
            settled_before: batch.last().record + 1,
            row: Some(batch.last()),
        };
        drop(state);
        if rejected > 0 {
            self.news.notify_one();
        }
    }

    /// A lane has settled every row before the one at `row`.
    pub(crate) fn idle(&self, lane: usize, row: Position) {
        let mark = &mut self.state().lanes[lane];
        mark.settled_before = mark.settled_before.max(row.record);
        mark.row = Some(row);
    }

    /// The decoder has rejected a row, and all that it read before is rejected or passed on.
    pub(crate) fn rejected(&self, reject: Reject, memory: OwnedSemaphorePermit) {
        let mut state = self.state();
        state.rejects_before = reject.position.record + 1;
        state.rejected += 1;
        state.pending.push(Rejects {
            rows: vec![reject],
            memory,
        });
        drop(state);
        self.news.notify_one();
    }

    /// Memory for `rejects` rejects; none once the import has ended early.
    pub(crate) async fn memory(&self, rejects: usize) -> Option<OwnedSemaphorePermit> {
        let memory = Arc::clone(&self.memory);
        memory.acquire_many_owned(rejects as u32).await.ok()
    }

    /// Ends all waiting for memory: the import has ended early.
    pub(crate) fn close_memory(&self) {
        self.memory.close();
    }

    /// Nothing more comes.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.news.notify_one();
    }

    /// Waits until there are rejects to take, or nothing more comes.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    /// Takes the rejects, and how far the import is with them.
    pub(crate) fn take(&self) -> Taken {
        let mut state = self.state();
        // A lane that has settled nothing yet has its rows from the beginning of all.
        let lowest = state
            .lanes
            .iter()
            .map(|lane| lane.row)
            .min_by_key(|row| row.map(|row| row.record));
        Taken {
            rejects: std::mem::take(&mut state.pending),
            closed: state.closed,
            checkpoint: Checkpoint {
                row: lowest.flatten(),
                seekable: state.seekable,
                lanes: state.lanes.iter().map(|lane| lane.settled_before).collect(),
                rejects: state.rejects_before,
                counts: Counts {
                    rows_written: state.written,
                    rows_superseded: state.superseded,
                    rows_rejected: state.rejected,
                    ..Counts::default()
                },
                ..Checkpoint::default()
            },
        }
    }
}
