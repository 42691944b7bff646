//! The task that keeps a worker's share.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::allocation::{Allocation, Outcome};
use super::page::Change;
use super::pages::Pages;
use super::timing::{Moment, Timing};
use crate::error::{Class, Error};
use crate::write::limiter::SharedCap;

/// Calls at once, and at the very first in the taking of slots, where others may be faster.
const CALLS: usize = 16;
const CALLS_FIRST: usize = 4;
/// How often a worker tries again in a round when others were faster.
const PLANS_MAX: usize = 4;
/// How long the pages may be unusable. It is as long as a batch may go without progress.
const FAILING_MAX: Duration = Duration::from_mins(2);
/// Longest wait after a failure.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Looks at the short interval: as long as two rounds of those who have too much. After that it takes patience.
const POLLS: u32 = 8;
/// How long giving back may take. Who has no time to wait for it need not.
const LEAVING_MAX: Duration = Duration::from_secs(10);
/// How often a worker says that it waits.
const REPORT_EVERY: Duration = Duration::from_mins(1);

/// A worker's share, and what keeps it.
pub(super) struct Renewal<P> {
    pages: P,
    allocation: Allocation,
    timing: Timing,
    cap: Arc<SharedCap>,
    began: Instant,
    failing: Option<Failing>,
    /// Whether a round has begun and not ended: it may have been given up with changes under way.
    is_in_round: bool,
    /// Since when what was granted is the same, and how much was used until then.
    measured: (Instant, u64),
    granted_wcu: u32,
    polls: u32,
    reported_at: Option<Instant>,
}

/// Since when the pages are unusable.
struct Failing {
    since: Instant,
    times: u32,
}

impl<P: Pages> Renewal<P> {
    pub(super) fn new(
        pages: P,
        allocation: Allocation,
        timing: Timing,
        cap: Arc<SharedCap>,
    ) -> Self {
        let now = Instant::now();
        Self {
            pages,
            allocation,
            timing,
            cap,
            began: now,
            failing: None,
            is_in_round: false,
            measured: (now, 0),
            granted_wcu: 0,
            polls: 0,
            reported_at: None,
        }
    }

    /// Takes what there is to take, and tries until the pages have been seen.
    pub(super) async fn begin(&mut self) -> Result<(), Error> {
        loop {
            let next = self.round().await?;
            if self.failing.is_none() {
                return Ok(());
            }
            sleep_until(next).await;
        }
    }

    /// Keeps the share until it is asked to leave, and then gives it back.
    pub(super) async fn run(
        mut self,
        mut leave: watch::Receiver<bool>,
        fail: watch::Sender<Option<Arc<Error>>>,
    ) {
        let keeping = async {
            let mut next = self.next_round();
            loop {
                self.publish();
                let changes = self.allocation.changes_at_ms(self.now());
                let changes = changes.map(|ms| self.began + Duration::from_millis(ms));
                sleep_until(changes.map_or(next, |at| at.min(next))).await;
                if Instant::now() >= next {
                    match self.round().await {
                        Ok(at) => next = at,
                        Err(error) => return error,
                    }
                }
            }
        };
        let failure = tokio::select! {
            error = keeping => Some(error),
            // An error means that nobody has the share any more.
            _ = leave.wait_for(|leave| *leave) => None,
        };
        self.cap.grant(0, Instant::now());
        if let Some(error) = failure {
            tracing::error!(error = error.chain(), "the write cap cannot be shared");
            fail.send_replace(Some(Arc::new(error)));
        }
        if timeout(LEAVING_MAX, self.give_back()).await.is_err() {
            tracing::warn!("a share of the write cap was not given back in time; it lapses");
        }
    }

    /// Looks at the pages, and asks for what the allocation plans. Gives when to do that again.
    async fn round(&mut self) -> Result<Instant, Error> {
        self.measure();
        self.is_in_round = true;
        let result = self.try_round().await;
        self.is_in_round = false;
        let error = match result {
            Ok(None) => {
                self.failing = None;
                self.report();
                return Ok(self.next_round());
            }
            Ok(Some(error)) | Err(error) => error,
        };
        if error.class() == Class::Fatal {
            return Err(error);
        }
        let now = Instant::now();
        let failing = self.failing.get_or_insert(Failing {
            since: now,
            times: 0,
        });
        if now - failing.since > FAILING_MAX {
            return Err(error);
        }
        failing.times += 1;
        tracing::debug!(
            error = error.chain(),
            "the pages of the write cap were not reached"
        );
        let longest = PAUSE_MAX.min(Duration::from_millis(50 << failing.times.min(10)));
        Ok(now + longest.mul_f64(0.5 + fastrand::f64() / 2.0))
    }

    /// Gives what failed if nothing was reached.
    async fn try_round(&mut self) -> Result<Option<Error>, Error> {
        let pages = self.pages.look().await?;
        self.allocation.look(self.now(), &pages);
        for _ in 0..PLANS_MAX {
            let plan = self.allocation.plan(self.now());
            // What is returned is not used from here on.
            self.publish();
            let kept = self.send(plan.keep, CALLS).await;
            let mut sent = kept;
            let (mut take, mut calls) = (plan.take, CALLS_FIRST);
            while !take.is_empty() && !sent.is_behind {
                let rest = take.split_off(calls.min(take.len()));
                sent.add(self.send(take, CALLS).await);
                take = rest;
                calls *= 2;
            }
            self.publish();
            if let Some(error) = sent.error
                && (sent.answers == 0 || error.class() == Class::Fatal)
            {
                return Ok(Some(error));
            }
            if !sent.is_behind {
                break;
            }
        }
        Ok(None)
    }

    async fn send(&mut self, changes: Vec<Change>, calls: usize) -> Sent {
        let (pages, began) = (&self.pages, self.began);
        let asked = changes.into_iter().map(|change| async move {
            let at = moment(pages, began);
            let answer = pages.change(&change).await;
            (at, change, answer)
        });
        let mut answers = stream::iter(asked).buffer_unordered(calls);
        let mut sent = Sent::default();
        while let Some((at, change, answer)) = answers.next().await {
            let outcome = match answer {
                Ok(None) => Outcome::Done,
                Ok(Some(page)) => Outcome::Refused(Box::new(page)),
                Err(error) => {
                    if sent.error.is_none() || error.class() == Class::Fatal {
                        sent.error = Some(error);
                    }
                    Outcome::Unknown
                }
            };
            sent.answers += usize::from(outcome != Outcome::Unknown);
            sent.is_behind |= matches!(outcome, Outcome::Refused(_));
            let now = moment(pages, began);
            self.allocation.answered(at, now, &change, &outcome);
        }
        sent
    }

    /// Gives everything back. If the pages are not as they were seen, it looks again, once.
    async fn give_back(&mut self) {
        if self.is_in_round
            && let Ok(pages) = self.pages.look().await
        {
            self.allocation.look(self.now(), &pages);
        }
        for _ in 0..2 {
            let changes = self.allocation.leave(self.now());
            let sent = self.send(changes, CALLS).await;
            if sent.error.is_none() && !sent.is_behind {
                return;
            }
            if let Ok(pages) = self.pages.look().await {
                self.allocation.look(self.now(), &pages);
            }
        }
    }

    /// Makes what may be written now the import's cap.
    fn publish(&mut self) {
        let grant = self.allocation.grant(self.now());
        if grant.wcu != self.granted_wcu {
            tracing::debug!(wcu = grant.wcu, "share of the write cap");
            self.granted_wcu = grant.wcu;
            self.measured = (Instant::now(), self.cap.used_wcu());
        }
        let until = if grant.wcu == 0 {
            Instant::now()
        } else {
            self.began + Duration::from_millis(grant.until_ms)
        };
        self.cap.grant(grant.wcu, until);
    }

    /// Tells the allocation how much was used, once that is known of a while in which the share was the same.
    fn measure(&mut self) {
        let (since, before) = self.measured;
        let elapsed = since.elapsed();
        if elapsed >= self.timing.round / 2 {
            let used = self.cap.used_wcu();
            let wcu = (used - before) as f64 / elapsed.as_secs_f64();
            self.allocation.used(wcu, self.granted_wcu);
            self.measured = (Instant::now(), used);
        }
    }

    /// Says that the import waits, if it does.
    fn report(&mut self) {
        let is_waiting = self.allocation.slots_held() == 0;
        let is_due = self
            .reported_at
            .is_none_or(|at| at.elapsed() >= REPORT_EVERY);
        if is_waiting && is_due {
            tracing::info!("waiting for a share of the write cap: other imports have all of it");
            self.reported_at = Some(Instant::now());
        } else if !is_waiting && self.reported_at.take().is_some() {
            tracing::info!("has a share of the write cap now");
        }
    }

    fn next_round(&mut self) -> Instant {
        let every = if self.allocation.has_too_little() {
            self.polls += 1;
            if self.polls <= POLLS {
                self.timing.poll
            } else {
                self.timing.round
            }
        } else {
            self.polls = 0;
            self.timing.round
        };
        // Workers that began together do not stay together.
        Instant::now() + every.mul_f64(0.9 + fastrand::f64() / 10.0)
    }

    fn now(&self) -> Moment {
        moment(&self.pages, self.began)
    }
}

fn moment(pages: &impl Pages, began: Instant) -> Moment {
    Moment {
        steady_ms: began.elapsed().as_millis() as u64,
        wall_ms: pages.wall_ms(),
    }
}

/// What became of changes that were sent.
#[derive(Default)]
struct Sent {
    answers: usize,
    /// Whether others were faster.
    is_behind: bool,
    error: Option<Error>,
}

impl Sent {
    fn add(&mut self, other: Self) {
        self.answers += other.answers;
        self.is_behind |= other.is_behind;
        self.error = self.error.take().or(other.error);
    }
}
