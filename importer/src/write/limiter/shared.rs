//! A cap that changes while an import runs.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::Instant;

/// A cap on the write rate that is set from outside. It begins with nothing, and ends by itself unless it is granted again.
#[derive(Debug)]
pub struct SharedCap {
    granted: watch::Sender<Granted>,
    changes: watch::Receiver<Granted>,
    used_wcu: AtomicU64,
    first_granted: OnceLock<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Granted {
    wcu: u32,
    until: Instant,
    /// The same by the clock that goes on while the machine sleeps.
    until_wall: SystemTime,
}

impl Default for SharedCap {
    fn default() -> Self {
        let (granted, changes) = watch::channel(Granted {
            wcu: 0,
            until: Instant::now(),
            until_wall: SystemTime::now(),
        });
        Self {
            granted,
            changes,
            used_wcu: AtomicU64::new(0),
            first_granted: OnceLock::new(),
        }
    }
}

impl SharedCap {
    /// Allows `wcu` WCU a second until then, instead of what was allowed before.
    pub fn grant(&self, wcu: u32, until: Instant) {
        if wcu > 0 {
            self.first_granted.get_or_init(Instant::now);
        }
        let lasts = until.saturating_duration_since(Instant::now());
        self.granted.send_replace(Granted {
            wcu,
            until,
            until_wall: SystemTime::now() + lasts,
        });
    }

    /// WCU a second that are allowed now.
    pub fn wcu(&self) -> u32 {
        let granted = *self.granted.borrow();
        let is_over = Instant::now() >= granted.until || SystemTime::now() >= granted.until_wall;
        if is_over { 0 } else { granted.wcu }
    }

    /// How long ago anything was allowed for the first time.
    pub fn first_granted(&self) -> Option<Duration> {
        self.first_granted.get().map(Instant::elapsed)
    }

    /// WCU that were paid for since the beginning.
    pub fn used_wcu(&self) -> u64 {
        self.used_wcu.load(Ordering::Relaxed)
    }

    pub(super) fn use_up(&self, wcu: u64) {
        self.used_wcu.fetch_add(wcu, Ordering::Relaxed);
    }

    /// Waits until anything is allowed.
    pub(super) async fn wait(&self) {
        if self.wcu() > 0 {
            return;
        }
        let mut changes = self.changes.clone();
        // Only a new grant allows more; the sender lives as long as this.
        while self.wcu() == 0 && changes.changed().await.is_ok() {}
    }
}
