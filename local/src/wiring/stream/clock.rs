use std::time::SystemTime;

use tokio::sync::watch;
use tokio::time::Instant;

/// The time of the source, between its readings.
#[derive(Debug)]
pub(super) struct SourceClock(watch::Sender<(SystemTime, Instant)>);

impl SourceClock {
    pub(super) fn new(now: SystemTime) -> Self {
        Self(watch::Sender::new((now, Instant::now())))
    }

    pub(super) fn set(&self, now: SystemTime) {
        self.0.send_replace((now, Instant::now()));
    }

    pub(super) fn now(&self) -> SystemTime {
        let (read, at) = *self.0.borrow();
        read + at.elapsed()
    }
}
