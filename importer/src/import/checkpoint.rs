//! How far an import has got: what another one needs to go on after a crash as if nothing had happened.
//!
//! Lanes settle their rows at their own pace, so how far an import has got is told for each of them. A lane has settled
//! its rows up to the last one of its last settled batch. Reading goes on at the lowest of these places, the low-water
//! mark; of the rows after it, each lane leaves out those that it had settled. As batches depend on the rows alone
//! ([`Lanes`](crate::write::Lanes)), the counters at the end are those of an import that nothing disturbed.

use rows::Position;
use serde::{Deserialize, Serialize};

use crate::progress::{Counts, Progress};
use crate::write::SavedLate;

/// Which rows are settled, and how many in which way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The row to read next; none if it is the file's first.
    pub row: Option<Position>,
    /// Whether that row's offset is one of the file as it is stored, so that reading may begin there.
    pub seekable: bool,
    /// For each lane the first row, counted from 1, that it has not settled.
    pub lanes: Vec<u64>,
    /// The first row, counted from 1, that the decoder had not rejected or passed on.
    pub rejects: u64,
    /// What became of the settled rows, which are all that count as read.
    pub counts: Counts,
    /// Rows that are written and not settled yet, by their numbers, since others of their batch are neither written nor
    /// rejected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub written: Vec<u64>,
    /// Requests that may still be carried out.
    #[serde(default, skip_serializing_if = "SavedLate::is_none")]
    pub late: SavedLate,
    /// Until when rows wait for some of these, in milliseconds since 1970: for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_until_ms: Option<u64>,
}

impl Checkpoint {
    /// Raised when rows are spread over lanes and batches in another way: older checkpoints say nothing then.
    pub const VERSION: u32 = 1;

    /// Rows that need not be written or rejected again. It grows with every row that is settled, or written of a batch.
    pub(crate) fn rows_done(&self) -> u64 {
        self.counts.rows_settled() + self.written.len() as u64
    }

    /// The counters of an import that nothing goes on with after this: no attempt settles the batches of which a part is
    /// written, so those rows are counted by themselves.
    pub(crate) fn counts_at_end(&self) -> Counts {
        let rows_written = self.counts.rows_written + self.written.len() as u64;
        let counts = Counts {
            rows_written,
            ..self.counts
        };
        Counts {
            rows_read: counts.rows_settled(),
            ..counts
        }
    }

    /// The counters of an import that goes on after this.
    pub fn progress(&self) -> Progress {
        self.progress_from(0)
    }

    /// The same for a part of a file that begins at the offset `begin`: bytes are counted from there.
    pub fn progress_from(&self, begin: u64) -> Progress {
        // What was read ahead is read again, and what is compressed from its beginning on.
        let row = self.row.filter(|_| self.seekable);
        Progress::after(&Counts {
            bytes_read: row.map_or(0, |row| row.byte.saturating_sub(begin)),
            ..self.counts
        })
    }
}
