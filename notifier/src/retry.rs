//! Trying again, until shortly before a deadline.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::warn;

use crate::{Class, Error};

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

/// Full jitter: anywhere between nothing and a ceiling that doubles with each failed attempt.
///
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>
pub(crate) fn backoff(failed_attempts: u32) -> Duration {
    let doublings = failed_attempts.saturating_sub(1);
    let ceiling = BACKOFF_BASE.saturating_mul(2_u32.saturating_pow(doublings));
    ceiling.min(BACKOFF_CAP).mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_its_ceiling_up_to_the_cap() {
        for (failed_attempts, ceiling) in [
            (1, BACKOFF_BASE),
            (2, BACKOFF_BASE * 2),
            (4, BACKOFF_BASE * 8),
            (7, BACKOFF_CAP),
            (u32::MAX, BACKOFF_CAP),
        ] {
            let waits: Vec<Duration> = (0..1000).map(|_| backoff(failed_attempts)).collect();
            assert!(
                waits.iter().all(|wait| *wait <= ceiling),
                "{failed_attempts}"
            );
            // Full jitter uses the whole range: 1,000 draws without one in its upper half do not happen.
            assert!(
                waits.iter().any(|wait| *wait > ceiling / 2),
                "{failed_attempts}"
            );
            assert!(
                waits.iter().any(|wait| *wait < ceiling / 2),
                "{failed_attempts}"
            );
        }
    }
}
