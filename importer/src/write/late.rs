//! Keeps an old row from winning because its request arrives late.
//!
//! A request without an answer may still be carried out: after its retry, and after a later batch that has a newer row of
//! the same key. So a newer row waits until the request can no longer be carried out. Rows of other keys do not wait, and
//! files that do not repeat keys never do.
//!
//! The same holds across attempts. What one attempt knows of its late requests is in its checkpoint. One that was killed
//! could not save what it had under way, which was written by rows behind its checkpoint: the next attempt writes those
//! again, and newer rows of their keys wait.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::batch::Batch;
use crate::progress::Progress;

/// How long a signature is valid: a request must reach AWS within five minutes of the time that it was signed with.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>
const SIGNATURE_LASTS: Duration = Duration::from_mins(5);
/// How far this machine's clock may be ahead: a request that is signed with a later time is refused at once. That makes
/// the signature last longer, and this machine does not know by how much.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html>
const CLOCK_AHEAD_MAX: Duration = Duration::from_mins(5);
/// How long it may take until a request that has reached AWS is carried out. AWS states no limit; this is more than the
/// time after which an answer is given up.
const CARRIED_OUT_WITHIN: Duration = Duration::from_secs(30);

/// How long after it was sent a request may be carried out.
pub const REQUEST_LASTS: Duration = SIGNATURE_LASTS
    .saturating_add(CLOCK_AHEAD_MAX)
    .saturating_add(CARRIED_OUT_WITHIN);

/// Most rows that are remembered, of 24 bytes each. Beyond, every row waits.
const ROWS_MAX: usize = 256 * 1024;
/// Most rows that a checkpoint lists, of about 35 bytes each. An item of the table of jobs has at most 400 KB. Beyond,
/// every row of the next attempt waits.
const SAVED_ROWS_MAX: usize = 1_000;

/// Which rows are in requests that may still be carried out.
#[derive(Debug)]
pub(crate) struct LateRequests {
    lasts: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By the hash of the key. Two keys of one hash make a row wait in vain, and do no harm.
    rows: HashMap<u64, LateRow>,
    /// When the first of them is over.
    first_over: Option<Instant>,
    /// Until then rows that this attempt writes again may be in a request of an attempt before.
    repeats_over: Option<Instant>,
    /// Until then any row may be in such a request.
    all_over: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct LateRow {
    /// Its number in the file. Newer rows have higher ones.
    record: u64,
    /// When its requests can no longer be carried out.
    over: Instant,
}

/// What a checkpoint holds of requests that may still be carried out. Mostly there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedLate {
    /// Until when they may be carried out, in milliseconds since 1970.
    until_ms: u64,
    /// Rows in them: the hash of the key, and the row's number.
    rows: Vec<(u64, u64)>,
    /// Whether rows behind the checkpoint may be in them, too.
    repeats: bool,
    /// Whether any row may be in them.
    all: bool,
}

impl SavedLate {
    /// Whether there are none.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// After an attempt of which nothing is known but that it has ended, and that requests last for `lasts`: any row may
    /// be in a request of it.
    pub(crate) fn anything(lasts: Duration) -> Self {
        Self {
            until_ms: milliseconds(SystemTime::now() + lasts),
            all: true,
            ..Self::default()
        }
    }
}

impl LateRequests {
    /// Those of an attempt whose requests last for `lasts`, after one that has left `saved`. `interrupted` says that it may
    /// have had requests under way when it ended.
    pub(crate) fn new(lasts: Duration, saved: &SavedLate, interrupted: bool) -> Self {
        let now = Instant::now();
        let left = saved
            .until_ms
            .saturating_sub(milliseconds(SystemTime::now()));
        // It was saved in the past, whatever this machine's clock says.
        let over = now + Duration::from_millis(left).min(lasts);
        let mut state = State::default();
        for &(key, record) in &saved.rows {
            state.add(key, LateRow { record, over });
        }
        state.repeats_over = if interrupted {
            Some(now + lasts)
        } else {
            saved.repeats.then_some(over)
        };
        state.all_over = saved.all.then_some(over);
        Self {
            lasts,
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one insertion: a panic elsewhere leaves it usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no row of `batch` would be overtaken by an older one of its key. `progress` shows that it waits.
    pub(crate) async fn wait_for(&self, batch: &Batch, progress: &Progress) {
        while let Some(over) = self.waits(batch) {
            let wait = over - Instant::now();
            progress.waits(milliseconds(SystemTime::now() + wait));
            tracing::info!(
                row = batch.position(0).record,
                ?wait,
                "waits: a request without an answer may still write an older row of the same key"
            );
            tokio::time::sleep_until(over).await;
        }
    }

    /// Until when `batch` has to wait, if it has to. If not, it is about to be sent.
    fn waits(&self, batch: &Batch) -> Option<Instant> {
        let mut state = self.lock();
        state.forget_over(Instant::now());
        if state.all_over.is_some() {
            return state.all_over;
        }
        if state.rows.is_empty() && state.repeats_over.is_none() {
            return None;
        }
        if state.rows.len() + batch.len() > ROWS_MAX {
            return state.first_over;
        }
        let over = (0..batch.len()).filter_map(|row| {
            let late = state.rows.get(&batch.key_hash(row))?;
            // The same row once more changes nothing.
            (late.record < batch.position(row).record).then_some(late.over)
        });
        let over = over.max();
        if let (None, Some(repeats_over)) = (over, state.repeats_over) {
            state.add_rows(batch, 0..batch.len(), repeats_over);
        }
        over
    }

    /// Notes that a request with the rows `rows` of `batch` is on its way.
    pub(crate) fn sends<'a>(&'a self, batch: &'a Batch, rows: &'a [usize]) -> Sent<'a> {
        Sent {
            late: self,
            batch,
            rows,
            is_over: false,
        }
    }

    /// What the next attempt must know. Requests that are under way are in it once they have come to nothing.
    pub(crate) fn save(&self) -> SavedLate {
        let mut state = self.lock();
        let now = Instant::now();
        state.forget_over(now);
        let rows = state.rows.values().map(|late| late.over);
        let over = rows.chain(state.repeats_over).chain(state.all_over).max();
        let Some(over) = over else {
            return SavedLate::default();
        };
        let is_listed = state.rows.len() <= SAVED_ROWS_MAX;
        let rows = state.rows.iter().filter(|_| is_listed);
        SavedLate {
            until_ms: milliseconds(SystemTime::now() + (over - now)),
            rows: rows.map(|(&key, late)| (key, late.record)).collect(),
            repeats: state.repeats_over.is_some(),
            all: state.all_over.is_some() || !is_listed,
        }
    }
}

impl State {
    fn add_rows(&mut self, batch: &Batch, rows: impl IntoIterator<Item = usize>, over: Instant) {
        for row in rows {
            let record = batch.position(row).record;
            self.add(batch.key_hash(row), LateRow { record, over });
        }
    }

    fn add(&mut self, key: u64, late: LateRow) {
        let first_over = self.first_over.get_or_insert(late.over);
        *first_over = late.over.min(*first_over);
        // Of several rows, what is newer than the oldest waits until all are over.
        let known = self.rows.entry(key).or_insert(late);
        known.record = late.record.min(known.record);
        known.over = late.over.max(known.over);
    }

    fn forget_over(&mut self, now: Instant) {
        for over in [&mut self.repeats_over, &mut self.all_over] {
            *over = over.filter(|over| *over > now);
        }
        if self.first_over.is_some_and(|first| first <= now) {
            self.rows.retain(|_, late| late.over > now);
            self.first_over = self.rows.values().map(|late| late.over).min();
        }
    }
}

/// A request on its way. One that is dropped without an answer may still be carried out.
#[derive(Debug)]
pub(crate) struct Sent<'a> {
    late: &'a LateRequests,
    batch: &'a Batch,
    rows: &'a [usize],
    is_over: bool,
}

impl Sent<'_> {
    /// It was carried out or refused, and will not be any more.
    pub(crate) fn answered(mut self) {
        self.is_over = true;
    }
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let over = Instant::now() + self.late.lasts;
            let rows = self.rows.iter().copied();
            self.late.lock().add_rows(self.batch, rows, over);
        }
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
