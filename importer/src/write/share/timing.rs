//! Leases' times, and the clocks by which a worker keeps them.

use std::time::Duration;

/// The times that all workers of a table agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// For how long a slot is a worker's from when it asked for it.
    pub lease: Duration,
    /// How long before that it stops to use the slot: what it has sent arrives meanwhile.
    pub guard: Duration,
    /// How often a worker looks at the table, and asks for its slots again.
    pub round: Duration,
    /// How often it looks while it has too little.
    pub poll: Duration,
    /// How long a slot that was returned is not used: what was paid for in the last second may be on its way.
    pub quiet: Duration,
    /// How far clocks may differ. Only what lapsed longer ago than that is taken by what the clocks say.
    pub skew: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            guard: Duration::from_secs(5),
            round: Duration::from_secs(10),
            poll: Duration::from_millis(2_500),
            quiet: Duration::from_millis(1_100),
            // AWS refuses requests whose signature is older:
            // https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
            skew: Duration::from_mins(15),
        }
    }
}

/// A moment, in milliseconds by a worker's two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// By one that nobody sets.
    pub steady_ms: u64,
    /// Of Unix time.
    pub wall_ms: u64,
}

pub(super) fn ms(duration: Duration) -> u64 {
    duration.as_millis() as u64
}
