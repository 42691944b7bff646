//! Keeps a job claimed while an invocation works on it, and stops the work when the claim may have lapsed.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::error::{Error, StopReason};
use crate::event::Seen;
use crate::import::Stop;
use crate::jobs::{Job, JobStore, LEASE};

/// How often the claim is renewed, besides by what is saved.
const RENEW_EVERY: Duration = Duration::from_secs(15);
/// The pause before a renewal that failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// How long after the last renewal no more rows are sent. Another importer takes over a lease and a request's time limit after
/// it.
const STOP_AFTER: Duration = Duration::from_secs(40);

/// How often a job that another importer has is looked at.
pub(crate) const WATCH_EVERY: Duration = Duration::from_secs(5);

const _: () = assert!(STOP_AFTER.as_secs() + 15 < LEASE.as_secs());

/// Watches a job that another importer has until its lease is over, at most until `deadline`. Gives how it stood all the time.
///
/// # Errors
///
/// [`Error::LeaseLost`] if it is saved meanwhile, or there is not enough time to know.
pub(crate) async fn watch(jobs: &JobStore, job: &Job, deadline: Instant) -> Result<Seen, Error> {
    let over = Instant::now() + job.takeover();
    if over > deadline {
        return Err(Error::LeaseLost);
    }
    tracing::warn!(
        job = job.job,
        holder = job.lease_holder,
        takeover = ?job.takeover(),
        "waiting until another importer's claim has lapsed"
    );
    let seen = job.seen();
    while Instant::now() < over {
        sleep(WATCH_EVERY.min(over - Instant::now())).await;
        let now = jobs.get(&job.job_key()).await?;
        if now.is_none_or(|now| now.seen() != seen) {
            return Err(Error::LeaseLost);
        }
    }
    Ok(Seen {
        waited_seconds: job.takeover().as_secs(),
        ..seen
    })
}

/// Does `work` for a job that was claimed after `began`, and keeps it claimed meanwhile.
pub(crate) async fn keep<T>(
    jobs: &JobStore,
    job: &Job,
    began: Instant,
    stop: &Stop,
    work: impl Future<Output = T>,
) -> T {
    tokio::select! {
        biased;
        done = work => done,
        never = renew(jobs, job, began, stop) => match never {},
    }
}

async fn renew(jobs: &JobStore, job: &Job, began: Instant, stop: &Stop) -> Infallible {
    let mut renewed = began;
    loop {
        sleep_until(renewed + RENEW_EVERY).await;
        while renewed + RENEW_EVERY <= Instant::now() {
            let asked = Instant::now();
            match timeout_at(renewed + STOP_AFTER, jobs.renew(job)).await {
                Ok(Ok(())) => renewed = asked,
                Ok(Err(error)) if asked < renewed + STOP_AFTER && !is_lost(&error) => {
                    tracing::warn!(job = job.job, error = error.chain(), "claim not renewed");
                    sleep(PAUSE).await;
                }
                Ok(Err(_)) | Err(_) => {
                    stop.request(StopReason::LeaseLost);
                    return std::future::pending().await;
                }
            }
        }
    }
}

fn is_lost(error: &Error) -> bool {
    matches!(error, Error::LeaseLost)
}
