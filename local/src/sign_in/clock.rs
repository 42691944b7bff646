use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

/// A time in RFC 3339 with milliseconds, in UTC: as most of what AWS sends has it.
pub(crate) fn timestamp(time: impl Into<OffsetDateTime>) -> String {
    format(
        time,
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"),
    )
}

/// A time in a format of date and time, in UTC.
pub(crate) fn format(time: impl Into<OffsetDateTime>, format: &[BorrowedFormatItem<'_>]) -> String {
    // Only parts that every date-time has.
    let utc = time.into().to_offset(UtcOffset::UTC);
    utc.format(format)
        .expect("a date-time has a date and a time")
}

/// The time by which sign-ins and temporary credentials end: the system's, and what was let pass.
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

    /// Lets time pass.
    pub(crate) fn pass(&self, time: Duration) {
        let passed_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let add = |before: u64| Some(before.saturating_add(passed_ms).min(MOST_MS));
        // It always gives a value, so it never fails.
        let _before = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

/// A hundred years, so that no sum of times overflows.
const MOST_MS: u64 = 100 * 365 * 24 * 3_600_000;
