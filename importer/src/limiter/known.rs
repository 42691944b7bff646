//! What is known of a table from the import before.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::control::Control;

/// How long it is believed: afterwards other traffic may be another one.
const BELIEVED: Duration = Duration::from_mins(1);

/// What the last of several imports into one table has found out about it, so that the next one need not begin slowly: the
/// importer of a large file's ranges would do so for each of them.
#[derive(Debug, Clone, Default)]
pub struct Known(Arc<Mutex<Option<Found>>>);

/// What one limiter has found out.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Since when [`Found::control`] counts time.
    pub(super) began: Instant,
    pub(super) control: Control,
    /// WCU paid for what was written, and WCU that it consumed.
    pub(super) paid: f64,
    pub(super) consumed: f64,
    /// When that was.
    pub(super) at: Instant,
}

impl Known {
    pub(super) fn keep(&self, found: Found) {
        *self.lock() = Some(found);
    }

    /// What is still believed.
    pub(super) fn get(&self) -> Option<Found> {
        let found = self.lock().clone();
        found.filter(|found| found.at.elapsed() < BELIEVED)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Found>> {
        // It is put there as a whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
