//! Spreads rows over lanes so that rows of one key keep their order while lanes are written concurrently.
//!
//! A row's lane is `hash(primary key) % lanes`, and a lane's batches are written one after the other. So the last row
//! of a key wins, as if the rows had been put one by one.
//!
//! Which rows share a batch depends on the rows alone. An import that goes on after a crash makes the same batches again,
//! so that what was settled before need only be left out, and every counter comes out as if nothing had happened.

use std::num::NonZeroUsize;
use std::sync::Arc;

use rows::{Position, Row};

use super::batch::{Batch, OpenBatch, body_head, key_hash};

/// Most bytes that wait in open batches, over all lanes: a lane's batch closes early at its share, so that memory does
/// not grow with lanes × 25 × 400 KB.
const OPEN_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The least share of a lane, so that many lanes do not mean small batches.
const LANE_BYTES_MIN: usize = 32 * 1024;
/// Bytes of the file after which a batch closes though it has room: what is read again after a crash begins with the
/// oldest row that waits.
const OPEN_WINDOW_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of the file between two looks for such batches.
const SWEEP_BYTES: u64 = 1024 * 1024;

/// The open batch of every lane.
#[derive(Debug)]
pub struct Lanes {
    all: Vec<Lane>,
    lane_bytes_max: usize,
    /// Where in the file to look next for batches that have waited for long.
    sweep_at_byte: u64,
}

#[derive(Debug)]
struct Lane {
    open: OpenBatch,
    /// The first row, counted from 1, that was not settled before this import began.
    settled_before: u64,
}

/// What adding a row did.
#[derive(Debug, Default)]
pub struct Pushed {
    /// Whether the row was settled before this import began, and so is left out.
    pub skipped: bool,
    /// Whether the row replaced one of the same key that was still waiting in its lane's batch.
    pub superseded: bool,
    /// Batches that are complete now, each with its lane. Within a lane they are in file order.
    pub closed: Vec<(usize, Batch)>,
    /// Lanes that wait for no row before this one, looked for once in a while.
    pub idle: Vec<usize>,
}

impl Lanes {
    /// `count` empty lanes to `table`, which is a name or an ARN.
    pub fn new(count: NonZeroUsize, table: &str) -> Self {
        let head = body_head(table);
        let lane = || Lane {
            open: OpenBatch::new(Arc::clone(&head)),
            settled_before: 0,
        };
        Self {
            all: std::iter::repeat_with(lane).take(count.get()).collect(),
            lane_bytes_max: (OPEN_BYTES_MAX / count).max(LANE_BYTES_MIN),
            sweep_at_byte: 0,
        }
    }

    /// Leaves out the rows that were settled before: of lane `i`, those before the row `settled_before[i]`, counted from 1.
    #[must_use]
    pub fn after(mut self, settled_before: &[u64]) -> Self {
        for (lane, &before) in self.all.iter_mut().zip(settled_before) {
            lane.settled_before = before;
        }
        self
    }

    /// Adds a row to its lane. Rows must come in the order of their positions.
    pub fn push(&mut self, row: &Row) -> Pushed {
        let mut pushed = self.pass(row.position);
        let hash = key_hash(&row.key);
        let index = (hash % self.all.len() as u64) as usize;
        // Its other half: rows of one lane have something of the first in common.
        let key_hash = (hash >> u32::BITS) as u32;

        let lane = &mut self.all[index];
        if row.position.record < lane.settled_before {
            pushed.skipped = true;
            return pushed;
        }
        pushed.superseded = lane.open.remove(&row.key, key_hash);
        if !lane.open.has_room_for(row) {
            pushed.closed.push((index, lane.close()));
        }
        lane.open.push(row, key_hash);
        if lane.open.is_full() || lane.open.bytes() >= self.lane_bytes_max {
            pushed.closed.push((index, lane.close()));
        }
        pushed
    }

    /// Passes a place in the file that rows come up to: of a row that is added, or of one that is rejected and so is in no
    /// lane. Without the latter, a stretch of rejected rows would hold every lane back.
    pub(crate) fn pass(&mut self, here: Position) -> Pushed {
        let mut pushed = Pushed::default();
        if here.byte >= self.sweep_at_byte {
            self.sweep(here, &mut pushed);
        }
        pushed
    }

    /// Closes batches that have waited for long before `here`, and finds lanes that wait for nothing.
    ///
    /// Whether a batch closes must depend on the rows alone, and not on where an import began.
    fn sweep(&mut self, here: Position, pushed: &mut Pushed) {
        self.sweep_at_byte = (here.byte / SWEEP_BYTES + 1) * SWEEP_BYTES;
        for (index, lane) in self.all.iter_mut().enumerate() {
            match lane.open.begin() {
                Some(begin) if here.byte - begin.byte >= OPEN_WINDOW_BYTES => {
                    pushed.closed.push((index, lane.close()));
                }
                Some(_) => {}
                None => pushed.idle.push(index),
            }
        }
    }

    /// The batches that are still open and not empty, each with its lane.
    pub fn finish(mut self) -> Vec<(usize, Batch)> {
        let lanes = self.all.iter_mut().enumerate();
        let filled = lanes.filter(|(_, lane)| !lane.open.is_empty());
        filled.map(|(index, lane)| (index, lane.close())).collect()
    }
}

impl Lane {
    fn close(&mut self) -> Batch {
        let next = self.open.another();
        std::mem::replace(&mut self.open, next).close()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use rows::Position;

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

    fn open_bytes(lanes: &Lanes) -> usize {
        lanes.all.iter().map(|lane| lane.open.bytes()).sum()
    }

    #[test]
    fn open_batches_stay_within_their_memory() {
        let mut lanes = Lanes::new(NonZeroUsize::new(64).unwrap(), "T");
        let mut rows = 0;
        for key in 0..200 {
            let pushed = lanes.push(&row(key, key as usize, 100_000));
            rows += pushed
                .closed
                .iter()
                .map(|(_, batch)| batch.len())
                .sum::<usize>();
            assert!(open_bytes(&lanes) <= OPEN_BYTES_MAX);
        }
        rows += lanes
            .finish()
            .iter()
            .map(|(_, batch)| batch.len())
            .sum::<usize>();
        assert_eq!(rows, 200);
    }

    #[test]
    fn a_batch_that_waits_for_long_closes_and_lanes_without_one_are_told() {
        let mut lanes = Lanes::new(NonZeroUsize::new(2).unwrap(), "T");
        let at = |byte: u64, record| Row {
            position: Position {
                byte,
                record,
                ..Position::default()
            },
            ..row(1, 1, 1)
        };
        let first = lanes.push(&at(0, 1));
        assert_eq!((first.closed.len(), first.idle.len()), (0, 2));
        let later = lanes.push(&at(OPEN_WINDOW_BYTES - 1, 2));
        assert_eq!((later.closed.len(), later.idle.len()), (0, 1));
        let late = lanes.push(&at(OPEN_WINDOW_BYTES, 3));
        let [(_, batch)] = &late.closed[..] else {
            panic!("{:?}", late.closed);
        };
        assert_eq!((batch.len(), batch.superseded()), (1, 1));
        assert_eq!(batch.last().record, 2);
    }

    proptest! {
        /// Wherever it breaks off, what goes on makes the very batches that were not settled.
        #[test]
        fn an_import_that_goes_on_makes_the_same_batches(
            rows in prop::collection::vec((0_u32..60, 0_usize..100_000), 1..300),
            count in 1_usize..8,
            settled in prop::collection::vec(0_usize..12, 8),
        ) {
            let rows: Vec<Row> = rows.iter().scan(0, |byte, &(key, bytes)| {
                // Far enough apart that batches close for having waited.
                *byte += 100 * bytes as u64;
                Some((key, bytes.min(3000), *byte))
            }).enumerate().map(|(index, (key, bytes, byte))| Row {
                position: Position { byte, line: 1, record: index as u64 + 1 },
                ..row(key, index, bytes)
            }).collect();
            let new = || Lanes::new(NonZeroUsize::new(count).unwrap(), "T");
            let batches = |mut lanes: Lanes, rows: &[Row]| {
                let mut batches = vec![Vec::new(); count];
                for row in rows {
                    for (lane, batch) in lanes.push(row).closed {
                        batches[lane].push(batch);
                    }
                }
                for (lane, batch) in lanes.finish() {
                    batches[lane].push(batch);
                }
                batches
            };
            let all = batches(new(), &rows);
            let (mut before, mut begin) = (Vec::new(), usize::MAX);
            for (lane, all) in all.iter().enumerate() {
                let last = all.iter().take(settled[lane]).last().map(|batch| batch.last().record);
                before.push(last.map_or(0, |last| last + 1));
                begin = begin.min(last.map_or(0, |last| last as usize - 1));
            }
            let rest = batches(new().after(&before), &rows[begin..]);
            let described = |batches: &[Batch]| -> Vec<(usize, u32, Position)> {
                batches.iter().map(|b| (b.len(), b.superseded(), b.last())).collect()
            };
            for lane in 0..count {
                let done = settled[lane].min(all[lane].len());
                prop_assert_eq!(described(&all[lane][done..]), described(&rest[lane]), "lane {}", lane);
            }
        }
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
