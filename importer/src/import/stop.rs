//! How to end an import early.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::SetOnce;
use tokio::time::Instant;

use super::tasks::sleep_until;
use crate::error::StopReason;

/// Asks a running import to read no further row.
///
/// Before a deadline there is time left: what is read is written, then the import ends. Everybody else waits for the end, so
/// only requests that were sent are settled. What waits for the write rate or for its retry is dropped and counts as
/// unsettled.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    reason: Arc<AtomicU8>,
    abandoned: Arc<SetOnce<()>>,
}

impl Stop {
    /// Asks. The first reason counts.
    pub fn request(&self, reason: StopReason) {
        let (code, abandons) = match reason {
            StopReason::Deadline => (1, false),
            StopReason::Interrupted => (2, true),
            StopReason::Cancelled => (3, true),
            StopReason::TooManyRejects => (4, true),
            StopReason::LeaseLost => (5, true),
        };
        // Failing means that somebody has asked before.
        self.reason
            .compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed)
            .ok();
        if abandons {
            self.abandoned.set(()).ok();
        }
    }

    /// Asks when the time for reading is over, if there is an end to it.
    pub(super) async fn request_at(self, deadline: Option<Instant>) {
        sleep_until(deadline).await;
        self.request(StopReason::Deadline);
    }

    /// Whether somebody has asked, and why.
    pub fn requested(&self) -> Option<StopReason> {
        match self.reason.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(StopReason::Deadline),
            2 => Some(StopReason::Interrupted),
            3 => Some(StopReason::Cancelled),
            4 => Some(StopReason::TooManyRejects),
            _ => Some(StopReason::LeaseLost),
        }
    }

    /// Is set once what waits is to be dropped.
    pub(super) fn abandoned(&self) -> &Arc<SetOnce<()>> {
        &self.abandoned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_deadline_leaves_time_for_what_waits() {
        for (reasons, abandons) in [
            (&[StopReason::Deadline][..], false),
            (&[StopReason::Interrupted], true),
            (&[StopReason::Cancelled], true),
            (&[StopReason::TooManyRejects], true),
            (&[StopReason::Deadline, StopReason::Cancelled], true),
            (&[StopReason::Cancelled, StopReason::Deadline], true),
        ] {
            let stop = Stop::default();
            for &reason in reasons {
                stop.request(reason);
            }
            assert_eq!(stop.requested(), Some(reasons[0]));
            assert_eq!(stop.abandoned().initialized(), abandons, "{reasons:?}");
        }
    }
}
