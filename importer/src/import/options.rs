//! How a file is imported.

use std::num::{NonZeroU32, NonZeroUsize};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rows::DecodeOptions;
use tokio::time::Instant;

use super::checkpoint::Checkpoint;
use super::stop::Stop;
use crate::progress::{Counts, Progress};
use crate::retry::{Jitter, RetryPolicy, Standstill};
use crate::write::{
    LateRequests, Limiter, LimiterMemory, PartialBatches, REQUEST_LASTS, Settler, Share,
};

/// Lanes, and so requests at once, if nothing else is asked for.
const LANES_DEFAULT: usize = 16;

/// How a file is imported.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// How the file is read.
    pub decode: DecodeOptions,
    /// Requests at once.
    pub lanes: NonZeroUsize,
    /// Cap on the write rate in WCU a second.
    pub max_wcu: Option<NonZeroU32>,
    /// The import's share of a cap, which then is its cap. Whoever has joined leaves it after the import.
    pub share: Option<Share>,
    /// What earlier imports have learned about the table's capacity. This one adds to it.
    pub memory: LimiterMemory,
    /// How failed writes are tried again.
    pub retry: RetryPolicy,
    /// How long after it was sent a request without an answer may be carried out.
    pub request_lasts: Duration,
    /// Seed of the waits' jitter, for tests.
    pub seed: Option<u64>,
    /// How many rows may be rejected before the file is taken for a wrong one.
    pub max_rejects: Option<MaxRejects>,
    /// When reading stops, so that what is under way can be finished.
    pub stop_reading_at: Option<Instant>,
    /// When the import is given up whatever is under way.
    pub give_up_at: Option<Instant>,
    /// How long an attempt at this import may read at most, if it cannot have more time than that.
    pub reading_time_max: Option<Duration>,
}

impl ImportOptions {
    /// What lanes settle their batches by, in an attempt that goes on after `from`, which may have been interrupted.
    pub(super) fn settler(
        &self,
        progress: &Arc<Progress>,
        stop: &Stop,
        from: &Checkpoint,
        is_interrupted: bool,
    ) -> Arc<Settler> {
        let limiter = match &self.share {
            Some(share) => Limiter::sharing(share.cap()),
            None => Limiter::new(self.max_wcu),
        };
        Arc::new(Settler {
            limiter: limiter.remembering(&self.memory),
            policy: self.retry,
            jitter: Jitter::new(self.seed),
            progress: Arc::clone(progress),
            abandoned: Arc::clone(stop.abandoned()),
            late: LateRequests::new(self.request_lasts, &from.late, is_interrupted),
            partial: PartialBatches::new(&from.written),
            standstill: Standstill::new(self.lanes.get()),
        })
    }
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            decode: DecodeOptions::default(),
            // Cannot be none: 16 is not 0.
            lanes: NonZeroUsize::new(LANES_DEFAULT).unwrap_or(NonZeroUsize::MIN),
            max_wcu: None,
            share: None,
            memory: LimiterMemory::default(),
            retry: RetryPolicy::default(),
            request_lasts: REQUEST_LASTS,
            seed: None,
            max_rejects: None,
            stop_reading_at: None,
            give_up_at: None,
            reading_time_max: None,
        }
    }
}

/// How many rows of a file may be rejected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxRejects {
    /// So many.
    Rows(u64),
    /// So many of a hundred rows that were read, once there are [`MaxRejects::ROWS_JUDGED`] or the file has ended.
    Percent(f64),
}

impl MaxRejects {
    /// Rows from which on a percentage is judged before the end of the file.
    pub const ROWS_JUDGED: u64 = 1000;

    pub(crate) fn is_exceeded(self, counts: &Counts, is_end: bool) -> bool {
        match self {
            Self::Rows(rows) => counts.rows_rejected > rows,
            Self::Percent(percent) => {
                (is_end || counts.rows_read >= Self::ROWS_JUDGED)
                    && counts.rows_rejected as f64 * 100.0 > counts.rows_read as f64 * percent
            }
        }
    }
}

impl FromStr for MaxRejects {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = match text.strip_suffix('%') {
            Some(percent) => percent
                .parse()
                .ok()
                .filter(|percent| (0.0..=100.0).contains(percent))
                .map(Self::Percent),
            None => text.parse().ok().map(Self::Rows),
        };
        parsed.ok_or_else(|| {
            format!("\"{text}\" is neither a number of rows nor a percentage such as 5%")
        })
    }
}
