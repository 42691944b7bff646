//! What came of a stage: everything that is counted.

use crate::clock::{Micros, seconds};

/// What came of a stage.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) began: Micros,
    pub(crate) ended: Micros,
    pub(crate) units: f64,
    /// Units that were worked on again after a crash.
    pub(crate) twice: f64,
    /// How often each range was finished.
    pub(crate) finished: Vec<u32>,
    pub(crate) children: usize,
    pub(crate) invocations: u64,
    pub(crate) crashes: u64,
    /// Invocations that ended in time and were followed by another.
    pub(crate) continuations: u64,
    /// Attempts that found a dead worker's claim.
    pub(crate) claimed: u64,
    /// Attempts that Lambda refused.
    pub(crate) refused: u64,
    /// Whether Retry gave up.
    pub(crate) failed: bool,
    pub(crate) transitions: u64,
    pub(crate) opens: u64,
    pub(crate) checkpoints: u64,
    pub(crate) throttled_units: f64,
    pub(crate) lambda_seconds: f64,
    pub(crate) express_seconds: f64,
    /// The most units a second at any time.
    pub(crate) peak: f64,
    /// The most invocations at once.
    pub(crate) most_at_once: usize,
}

impl Outcome {
    pub(crate) fn seconds(&self) -> f64 {
        seconds(self.ended - self.began)
    }
}
