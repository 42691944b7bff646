//! What earlier imports have learned about a table's capacity.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::control::Control;

/// How long it is used: after that, other traffic may have changed.
const USED_FOR: Duration = Duration::from_mins(1);

/// What the last of several imports into one table has learned about it, so that the next one need not begin slowly: the
/// importer of a large file's ranges would do so for each of them.
#[derive(Debug, Clone, Default)]
pub struct LimiterMemory(Arc<Mutex<Option<Learned>>>);

/// What one limiter has learned.
#[derive(Debug, Clone)]
pub(super) struct Learned {
    /// Since when [`Learned::control`] counts time.
    pub(super) began: Instant,
    pub(super) control: Control,
    /// WCU paid for what was written, and WCU that it consumed.
    pub(super) paid: f64,
    pub(super) consumed: f64,
    /// When that was.
    pub(super) at: Instant,
}

impl LimiterMemory {
    pub(super) fn save(&self, learned: Learned) {
        *self.lock() = Some(learned);
    }

    /// What is still used.
    pub(super) fn get(&self) -> Option<Learned> {
        let learned = self.lock().clone();
        learned.filter(|learned| learned.at.elapsed() < USED_FOR)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Learned>> {
        // It is put there as a whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
