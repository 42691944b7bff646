//! When to try again, and when to give up.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloud::retry::full_jitter;
use tokio::time::Instant;

/// How a failed call is tried again: exponential backoff with full jitter.
///
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Longest first wait.
    pub base: Duration,
    /// Longest wait.
    pub cap: Duration,
    /// How long a batch may go without progress until the import is given up. Waits for the write rate are left out, unless
    /// the whole import makes no progress.
    pub budget: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(50),
            cap: Duration::from_secs(5),
            budget: Duration::from_mins(2),
        }
    }
}

/// Draws waits. Shared by all lanes, so that one seed makes all of them repeatable.
#[derive(Debug)]
pub(crate) struct Jitter(Mutex<fastrand::Rng>);

impl Jitter {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(Mutex::new(
            seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed),
        ))
    }

    fn wait(&self, policy: &RetryPolicy, failed_attempts: u32) -> Duration {
        // A generator is usable whatever happened while it was held.
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        full_jitter(policy.base, policy.cap, failed_attempts, &mut rng)
    }
}

/// The attempts on one piece of work since its last progress.
#[derive(Debug)]
pub(crate) struct Attempts<'a> {
    policy: RetryPolicy,
    jitter: &'a Jitter,
    failed: u32,
    since: Instant,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(policy: RetryPolicy, jitter: &'a Jitter) -> Self {
        Self {
            policy,
            jitter,
            failed: 0,
            since: Instant::now(),
        }
    }

    /// Starts the budget anew: part of the work is done.
    pub(crate) fn progressed(&mut self) {
        self.failed = 0;
        self.since = Instant::now();
    }

    /// Leaves time out of the budget that nothing was tried in.
    pub(crate) fn leave_out(&mut self, time: Duration) {
        self.since += time;
    }

    /// Notes a failure and draws the wait before the next attempt, or `None` if that would be past the budget.
    pub(crate) fn failed(&mut self) -> Option<Duration> {
        self.failed += 1;
        let wait = self.jitter.wait(&self.policy, self.failed);
        (self.since.elapsed() + wait <= self.policy.budget).then_some(wait)
    }

    pub(crate) fn count(&self) -> u32 {
        self.failed
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }
}

/// Failures that say that nothing works, besides one of each lane: all lanes may fail at one moment.
const FAILURES_CERTAIN: u32 = 3;

/// Tells when a table takes nothing at all, whichever lane asks. Such a table also makes the write rate so low that waiting
/// for it takes most of the time, and [`Attempts`] leaves that out.
#[derive(Debug)]
pub(crate) struct Standstill {
    failures_max: u32,
    /// When the first call failed since the last progress of any lane, and how many did since.
    failed: Mutex<Option<(Instant, u32)>>,
}

impl Standstill {
    /// That of so many lanes.
    pub(crate) fn new(lanes: usize) -> Self {
        let lanes = u32::try_from(lanes).unwrap_or(u32::MAX);
        Self {
            failures_max: lanes.saturating_add(FAILURES_CERTAIN),
            failed: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Instant, u32)>> {
        // One value, set at once: a panic elsewhere leaves it usable.
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A row was written.
    pub(crate) fn ended(&self) {
        *self.lock() = None;
    }

    /// Notes a call that wrote nothing, and says whether there were enough of them for longer than `budget`.
    pub(crate) fn failed(&self, budget: Duration) -> bool {
        let mut failed = self.lock();
        let (since, failures) = failed.get_or_insert((Instant::now(), 0));
        *failures += 1;
        *failures >= self.failures_max && since.elapsed() > budget
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_grow_to_the_cap_and_end_with_the_budget() {
        let policy = RetryPolicy::default();
        let jitter = Jitter::new(Some(7));
        let mut attempts = Attempts::new(policy, &jitter);
        let began = Instant::now();
        let mut longest = Duration::ZERO;
        while let Some(wait) = attempts.failed() {
            assert!(wait <= policy.cap);
            longest = longest.max(wait);
            tokio::time::sleep(wait).await;
        }
        assert!(longest > policy.cap / 2);
        assert!(attempts.count() > 20);
        assert!(began.elapsed() <= policy.budget && began.elapsed() > policy.budget / 2);
        attempts.progressed();
        assert!(attempts.failed().is_some_and(|wait| wait <= policy.base));
    }
}
