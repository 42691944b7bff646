//! Spreads rows over lanes so that rows of one key keep their order while lanes are written concurrently.
//!
//! A row's lane is `hash(primary key) % lanes`, and a lane's batches are written one after the other. So the last row
//! of a key wins, as if the rows had been put one by one.

use std::hash::BuildHasher;
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::batch::{Batch, OpenBatch, body_head};
use crate::row::Row;

/// Most bytes that wait in open batches, over all lanes. Beyond it the largest is closed early, so that memory does not
/// grow with lanes × 25 × 400 KB.
const OPEN_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The open batch of every lane.
#[derive(Debug)]
pub struct Lanes {
    open: Vec<OpenBatch>,
    open_bytes: usize,
}

/// What adding a row did.
#[derive(Debug, Default)]
pub struct Pushed {
    /// Whether the row replaced one of the same key that was still waiting in its lane's batch.
    pub superseded: bool,
    /// Batches that are complete now, each with its lane. Within a lane they are in file order.
    pub closed: Vec<(usize, Batch)>,
}

impl Lanes {
    /// `count` empty lanes to `table`, which is a name or an ARN.
    pub fn new(count: NonZeroUsize, table: &str) -> Self {
        let head = body_head(table);
        let open = || OpenBatch::new(Arc::clone(&head));
        Self {
            open: std::iter::repeat_with(open).take(count.get()).collect(),
            open_bytes: 0,
        }
    }

    /// Adds a row to its lane.
    pub fn push(&mut self, row: &Row) -> Pushed {
        let mut pushed = Pushed::default();
        let hash = foldhash::fast::FixedState::default().hash_one(&*row.key);
        let lane = (hash % self.open.len() as u64) as usize;
        // Its other half: rows of one lane have something of the first in common.
        let key_hash = (hash >> u32::BITS) as u32;

        let before = self.open[lane].bytes();
        pushed.superseded = self.open[lane].remove(&row.key, key_hash);
        self.open_bytes -= before - self.open[lane].bytes();
        if !self.open[lane].has_room_for(row) {
            pushed.closed.push(self.close(lane));
        }
        let before = self.open[lane].bytes();
        self.open[lane].push(row, key_hash);
        self.open_bytes += self.open[lane].bytes() - before;
        if self.open[lane].is_full() {
            pushed.closed.push(self.close(lane));
        }
        while self.open_bytes > OPEN_BYTES_MAX {
            let largest = (0..self.open.len()).max_by_key(|&lane| self.open[lane].bytes());
            // Cannot be none: there is at least one lane.
            let Some(largest) = largest else { break };
            pushed.closed.push(self.close(largest));
        }
        pushed
    }

    /// The batches that are still open and not empty, each with its lane.
    pub fn finish(mut self) -> Vec<(usize, Batch)> {
        let lanes = 0..self.open.len();
        let filled = lanes.filter(|&lane| !self.open[lane].is_empty());
        let filled: Vec<usize> = filled.collect();
        filled.into_iter().map(|lane| self.close(lane)).collect()
    }

    fn close(&mut self, lane: usize) -> (usize, Batch) {
        let next = self.open[lane].another();
        let full = std::mem::replace(&mut self.open[lane], next);
        self.open_bytes -= full.bytes();
        (lane, full.close())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::position::Position;

    fn row(key: u32, value: usize, bytes: usize) -> Row {
        Row {
            item: format!("{{\"v\":{value},\"pad\":\"{}\"}}", "x".repeat(bytes)).into_bytes(),
            key: key.to_be_bytes().to_vec(),
            size_bytes: bytes + 1,
            position: Position {
                record: value as u64,
                ..Position::default()
            },
        }
    }

    /// What a table holds after each lane's batches were put in order.
    fn apply(
        table: &mut HashMap<Vec<u8>, u64>,
        written: &mut u64,
        batch: &Batch,
        keys: &HashMap<u64, Vec<u8>>,
    ) {
        for index in 0..batch.len() {
            let record = batch.position(index).record;
            table.insert(keys[&record].clone(), record);
            *written += 1;
        }
    }

    proptest! {
        #[test]
        fn the_last_row_of_a_key_wins(
            rows in prop::collection::vec((0_u32..40, 0_usize..200), 0..400),
            lanes in 1_usize..20,
        ) {
            let mut lanes = Lanes::new(NonZeroUsize::new(lanes).unwrap(), "T");
            let (mut table, mut written, mut superseded) = (HashMap::new(), 0, 0);
            let (mut model, mut keys) = (HashMap::new(), HashMap::new());
            for (value, (key, bytes)) in rows.iter().enumerate() {
                let row = row(*key, value, *bytes);
                keys.insert(value as u64, row.key.clone());
                model.insert(row.key.clone(), value as u64);
                let pushed = lanes.push(&row);
                superseded += u64::from(pushed.superseded);
                for (_, batch) in &pushed.closed {
                    apply(&mut table, &mut written, batch, &keys);
                }
            }
            for (_, batch) in lanes.finish() {
                apply(&mut table, &mut written, &batch, &keys);
            }
            prop_assert_eq!(table, model);
            prop_assert_eq!(written + superseded, rows.len() as u64);
        }
    }

    #[test]
    fn open_batches_stay_within_their_memory() {
        let mut lanes = Lanes::new(NonZeroUsize::new(64).unwrap(), "T");
        let mut rows = 0;
        for key in 0..200 {
            let pushed = lanes.push(&row(key, key as usize, 400_000));
            rows += pushed
                .closed
                .iter()
                .map(|(_, batch)| batch.len())
                .sum::<usize>();
            assert!(lanes.open_bytes <= OPEN_BYTES_MAX);
            assert_eq!(
                lanes.open_bytes,
                lanes.open.iter().map(OpenBatch::bytes).sum::<usize>()
            );
        }
        rows += lanes
            .finish()
            .iter()
            .map(|(_, batch)| batch.len())
            .sum::<usize>();
        assert_eq!(rows, 200);
    }

    #[test]
    fn batches_close_at_25_rows() {
        let mut lanes = Lanes::new(NonZeroUsize::MIN, "T");
        for key in 0..24 {
            assert!(lanes.push(&row(key, 0, 1)).closed.is_empty());
        }
        assert!(lanes.push(&row(3, 0, 1)).superseded);
        assert_eq!(lanes.push(&row(24, 0, 1)).closed[0].1.len(), 25);
        assert!(lanes.finish().is_empty());
    }
}
