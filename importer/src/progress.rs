//! What an import has done so far, for whoever watches.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::traffic::Traffic;

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
    traffic: Traffic,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Bytes of the file that were read, as it is stored.
    pub bytes_read: u64,
    /// Rows that were read.
    pub rows_read: u64,
    /// Rows that DynamoDB took.
    pub rows_written: u64,
    /// Rows that a later row of the same key replaced before they were sent.
    pub rows_superseded: u64,
    /// Rows that are in the report of rejects.
    pub rows_rejected: u64,
    /// WCU that DynamoDB says it consumed.
    pub consumed_wcu: f64,
    /// Answers by which DynamoDB asked to slow down.
    pub throttles: u64,
    /// Attempts beyond the first.
    pub retries: u64,
}

impl Progress {
    /// Counters that go on after `checkpoint`.
    pub fn after(checkpoint: &Checkpoint) -> Self {
        Self::after_in(checkpoint, 0)
    }

    /// The same for a part of a file that begins at the offset `begin`: bytes are counted from there.
    pub fn after_in(checkpoint: &Checkpoint, begin: u64) -> Self {
        let counts = &checkpoint.counts;
        // What was read ahead is read again, and what is compressed from its beginning on.
        let row = checkpoint.row.filter(|_| checkpoint.seekable);
        Self {
            bytes_read: row.map_or(0, |row| row.byte.saturating_sub(begin)).into(),
            rows_read: counts.rows_read.into(),
            rows_written: counts.rows_written.into(),
            rows_superseded: counts.rows_superseded.into(),
            rows_rejected: counts.rows_rejected.into(),
            consumed_milli_wcu: milli(counts.consumed_wcu).into(),
            throttles: counts.throttles.into(),
            retries: counts.retries.into(),
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

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.bytes_read += other.bytes_read;
        self.rows_read += other.rows_read;
        self.rows_written += other.rows_written;
        self.rows_superseded += other.rows_superseded;
        self.rows_rejected += other.rows_rejected;
        self.consumed_wcu += other.consumed_wcu;
        self.throttles += other.throttles;
        self.retries += other.retries;
    }
}

impl Counts {
    /// Rows whose fate is known: written, superseded or rejected.
    pub fn rows_settled(&self) -> u64 {
        self.rows_written + self.rows_superseded + self.rows_rejected
    }

    /// Rows that were read and are not settled.
    pub fn rows_unsettled(&self) -> u64 {
        self.rows_read.saturating_sub(self.rows_settled())
    }
}
