use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A hundred years, so that no sum of times overflows.
const MAX_ADVANCE_MS: u64 = 100 * 365 * 24 * 3_600_000;

/// The time by which sign-ins and temporary credentials end: the system's, plus what tests have advanced it by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock(Arc<AtomicU64>);

impl Clock {
    /// Since 1970.
    pub(crate) fn now(&self) -> Duration {
        let system = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        system + Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    pub(crate) fn advance(&self, time: Duration) {
        let passed_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let add = |before: u64| Some(before.saturating_add(passed_ms).min(MAX_ADVANCE_MS));
        // It always gives a value, so it never fails.
        let _before = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}
