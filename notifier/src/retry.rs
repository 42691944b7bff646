//! Trying again, until shortly before a deadline.

use std::future::Future;
use std::time::Duration;

use cloud::retry::full_jitter;
use fastrand::Rng;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::warn;

use crate::error::{Class, Error};

/// Longest wait before the second attempt; each further one may wait twice as long.
const BACKOFF_BASE: Duration = Duration::from_millis(100);

/// Longest wait between two attempts.
const BACKOFF_CAP: Duration = Duration::from_secs(5);

/// Calls `attempt` until it succeeds, again after errors of class [`Class::Retry`] with full jitter, until `deadline`.
///
/// A call that times out may have done its work all the same.
///
/// # Errors
///
/// The call's error when it is [`Class::Fatal`], [`Error::DeadlineExceeded`] when time is up.
pub(crate) async fn until<T, F: Future<Output = Result<T, Error>>>(
    action: &'static str,
    deadline: Instant,
    mut attempt: impl FnMut() -> F,
) -> Result<T, Error> {
    let mut start = Instant::now();
    let mut attempts = 0;
    let mut last = None;
    while start < deadline {
        sleep_until(start).await;
        attempts += 1;
        match timeout_at(deadline, attempt()).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) if error.class() == Class::Fatal => return Err(error),
            Ok(Err(error)) => {
                warn!(
                    attempts,
                    error = error.chain(),
                    "{action} will be tried again"
                );
                last = Some(Box::new(error));
                start = Instant::now() + backoff(attempts);
            }
            Err(_elapsed) => break,
        }
    }
    Err(Error::DeadlineExceeded {
        action,
        attempts,
        last,
    })
}

/// The wait before the next attempt.
pub(crate) fn backoff(failed_attempts: u32) -> Duration {
    full_jitter(BACKOFF_BASE, BACKOFF_CAP, failed_attempts, &mut Rng::new())
}
