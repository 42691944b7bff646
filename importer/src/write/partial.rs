//! Which rows of unfinished batches are written: a large batch under a low cap takes more than one attempt.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::batch::Batch;

/// The rows of batches of which others are not settled yet, by their numbers: at most one batch a lane.
#[derive(Debug)]
pub(crate) struct PartialBatches(Mutex<BTreeSet<u64>>);

impl PartialBatches {
    /// Those that an attempt before has saved.
    pub(crate) fn new(saved: &[u64]) -> Self {
        Self(Mutex::new(saved.iter().copied().collect()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        // Numbers only: a panic elsewhere leaves them usable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that these rows of `batch` are written, and others are not.
    pub(crate) fn wrote(&self, batch: &Batch, rows: impl Iterator<Item = usize>) {
        self.lock()
            .extend(rows.map(|row| batch.position(row).record));
    }

    /// The rows of `batch` that are not written.
    pub(crate) fn unwritten(&self, batch: &Batch) -> Vec<usize> {
        let written = self.lock();
        let is_unwritten =
            |row: &usize| written.is_empty() || !written.contains(&batch.position(*row).record);
        (0..batch.len()).filter(is_unwritten).collect()
    }

    /// Forgets `batch`: all of its rows are settled, and counted as that.
    pub(crate) fn settled(&self, batch: &Batch) {
        let mut written = self.lock();
        if !written.is_empty() {
            for row in 0..batch.len() {
                written.remove(&batch.position(row).record);
            }
        }
    }

    /// The rows, for a checkpoint.
    pub(crate) fn save(&self) -> Vec<u64> {
        self.lock().iter().copied().collect()
    }
}
