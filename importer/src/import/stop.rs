//! How to end an import early.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::time::Instant;

use super::tasks::sleep_until;
use crate::error::StopReason;

/// Asks a running import to read no further row. What is read is written, then the import ends.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicU8>);

impl Stop {
    /// Asks. The first reason counts.
    pub fn request(&self, reason: StopReason) {
        let code = match reason {
            StopReason::Deadline => 1,
            StopReason::Interrupted => 2,
            StopReason::Cancelled => 3,
            StopReason::TooManyRejects => 4,
        };
        // Failing means that somebody has asked before.
        self.0
            .compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed)
            .ok();
    }

    /// Asks when the time for reading is over, if there is an end to it.
    pub(super) async fn request_at(self, deadline: Option<Instant>) {
        sleep_until(deadline).await;
        self.request(StopReason::Deadline);
    }

    /// Whether somebody has asked, and why.
    pub fn requested(&self) -> Option<StopReason> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(StopReason::Deadline),
            2 => Some(StopReason::Interrupted),
            3 => Some(StopReason::Cancelled),
            _ => Some(StopReason::TooManyRejects),
        }
    }
}
