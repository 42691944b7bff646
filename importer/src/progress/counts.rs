//! Counters at one moment.

use serde::{Deserialize, Serialize};

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
