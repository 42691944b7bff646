//! An invocation, and when it must be where.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

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
    pub(crate) stop_reading: Instant,
    pub(crate) give_up: Instant,
    /// Reports that take longer are made by another invocation.
    pub(crate) stop_reporting: Instant,
}

impl Deadlines {
    pub(crate) fn new(end: SystemTime) -> Self {
        let left = end.duration_since(SystemTime::now()).unwrap_or_default();
        let finish = FINISH.min(left / 20);
        let drain = DRAIN.min(left / 4);
        let now = Instant::now();
        Self {
            stop_reading: now + left - finish - drain,
            give_up: now + left - finish,
            stop_reporting: now + left - finish / 2,
        }
    }
}
