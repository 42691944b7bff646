//! An invocation, and when it must be where.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::jobs::reports::Merging;

/// Time kept at the end of an invocation to write what has been read; at most a quarter of it.
const DRAIN: Duration = Duration::from_secs(30);
/// Time kept after that to save how far the job is and to report its end; at most a twentieth.
const FINISH: Duration = Duration::from_secs(5);

/// What is known of an invocation besides its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// Its request id, which is the same when Lambda tries an asynchronous event again.
    pub request_id: String,
    /// When Lambda ends it.
    pub deadline: SystemTime,
}

/// When an invocation must be where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    pub(crate) began: Instant,
    pub(crate) stop_reading: Instant,
    pub(crate) give_up: Instant,
    /// Reports that take longer are made by another invocation.
    pub(crate) stop_reporting: Instant,
}

impl Deadlines {
    /// How long an attempt may read that begins with the invocation.
    pub(crate) fn reading_time(&self) -> Duration {
        self.stop_reading - self.began
    }

    /// How to make a report from now on. What has most of an invocation for it and is not done with will not be in another
    /// one either.
    pub(crate) fn merging(&self, is_exhausted: bool) -> Merging {
        let left = self
            .stop_reporting
            .saturating_duration_since(Instant::now());
        let or_list = is_exhausted || left > (self.stop_reporting - self.began) / 2;
        Merging {
            // A list takes a moment, too.
            until: if or_list {
                self.give_up
            } else {
                self.stop_reporting
            },
            or_list,
        }
    }

    pub(crate) fn new(end: SystemTime) -> Self {
        let left = end.duration_since(SystemTime::now()).unwrap_or_default();
        let finish = FINISH.min(left / 20);
        let drain = DRAIN.min(left / 4);
        let now = Instant::now();
        Self {
            began: now,
            stop_reading: now + left - finish - drain,
            give_up: now + left - finish,
            stop_reporting: now + left - finish / 2,
        }
    }
}
