//! What an import has done so far, and what goes on between it and the table: counters that anyone may read while it runs.
//!
//! Nothing here decides anything or knows files, tables or AWS.

mod counts;
mod traffic;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub use counts::Counts;
pub use traffic::{Interval, Traffic};

/// Counters of a running import. They only grow, and may be read at any time.
#[derive(Debug, Default)]
pub struct Progress {
    bytes_read: AtomicU64,
    rows_read: AtomicU64,
    rows_written: AtomicU64,
    rows_superseded: AtomicU64,
    rows_rejected: AtomicU64,
    consumed_milli_wcu: AtomicU64,
    throttles: AtomicU64,
    retries: AtomicU64,
    /// Until when rows wait for older requests, in milliseconds since 1970.
    waits_until_ms: AtomicU64,
    traffic: Traffic,
}

impl Progress {
    /// Counters that go on from `counts`, whose rows are settled.
    pub fn after(counts: &Counts) -> Self {
        Self {
            bytes_read: counts.bytes_read.into(),
            rows_read: counts.rows_read.into(),
            rows_written: counts.rows_written.into(),
            rows_superseded: counts.rows_superseded.into(),
            rows_rejected: counts.rows_rejected.into(),
            consumed_milli_wcu: milli(counts.consumed_wcu).into(),
            throttles: counts.throttles.into(),
            retries: counts.retries.into(),
            waits_until_ms: 0.into(),
            traffic: Traffic::default(),
        }
    }

    /// What goes on between the import and the table.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// The counters now.
    pub fn counts(&self) -> Counts {
        // Settled rows first: a row that is read in between must not look settled before it is read.
        let rows_written = self.rows_written.load(Relaxed);
        let rows_superseded = self.rows_superseded.load(Relaxed);
        let rows_rejected = self.rows_rejected.load(Relaxed);
        Counts {
            bytes_read: self.bytes_read.load(Relaxed),
            rows_read: self.rows_read.load(Relaxed),
            rows_written,
            rows_superseded,
            rows_rejected,
            consumed_wcu: self.consumed_milli_wcu.load(Relaxed) as f64 / 1000.0,
            throttles: self.throttles.load(Relaxed),
            retries: self.retries.load(Relaxed),
        }
    }

    /// Until when rows wait for older requests of the same keys that may still be carried out, in milliseconds since 1970; nothing
    /// if none has waited.
    pub fn waits_until_ms(&self) -> Option<u64> {
        Some(self.waits_until_ms.load(Relaxed)).filter(|until| *until > 0)
    }

    pub(crate) fn waits(&self, until_ms: u64) {
        self.waits_until_ms.fetch_max(until_ms, Relaxed);
    }

    pub(crate) fn read_bytes(&self, bytes: usize) {
        self.bytes_read.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn read_row(&self) {
        self.rows_read.fetch_add(1, Relaxed);
    }

    pub(crate) fn wrote(&self, rows: usize, wcu: f64) {
        self.rows_written.fetch_add(rows as u64, Relaxed);
        self.consumed_milli_wcu.fetch_add(milli(wcu), Relaxed);
    }

    pub(crate) fn superseded(&self) {
        self.rows_superseded.fetch_add(1, Relaxed);
    }

    pub(crate) fn rejected(&self) {
        self.rows_rejected.fetch_add(1, Relaxed);
    }

    pub(crate) fn throttled(&self) {
        self.throttles.fetch_add(1, Relaxed);
    }

    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Relaxed);
    }
}

/// Capacity, which is never negative, in thousandths.
#[allow(clippy::cast_sign_loss)]
fn milli(wcu: f64) -> u64 {
    (wcu * 1000.0).round() as u64
}
