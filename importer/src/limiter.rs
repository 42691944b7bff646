//! Keeps the write rate under a cap, and yields to other traffic when the table throttles.
//!
//! The unit is the write capacity unit (WCU). Every attempt is paid for before it is sent, retries too; what DynamoDB
//! says it consumed is settled afterwards, so that indexes count. Throttles halve the rate, quiet seconds raise it
//! again (additive increase, multiplicative decrease).

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

/// The share of a rate that may be spent at once. In any second at most the burst and the steady rate are spent, so
/// the steady rate is the cap less the burst.
const BURST_DIVISOR: u32 = 50;
/// How often the rate may change.
const EPOCH: Duration = Duration::from_secs(1);
/// How much of the rate that was last known to be too much is added in a quiet epoch.
const CLIMB_DIVISOR: f64 = 20.0;
/// The slowest that throttling makes the importer.
const RATE_MIN: f64 = 1.0;
/// Most WCU that one settlement may give back or take: an attempt on 25 items of 400 KB.
const SETTLEMENT_MAX: i64 = 10_000;

/// See the [module documentation](self).
#[derive(Debug)]
pub struct Limiter {
    cap: Option<NonZeroU32>,
    state: Mutex<State>,
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>;

#[derive(Debug)]
struct State {
    /// WCU a second, and the bucket that enforces them; none while nothing limits the rate.
    limit: Option<Limit>,
    /// WCU consumed beyond what was paid, still to be paid; negative is paid in advance.
    debt: i64,
    epoch_began: Instant,
    epoch_wcu: f64,
    /// WCU a second consumed in the last whole epoch; none in the first.
    measured: Option<f64>,
    /// The rate at which the table last throttled.
    ceiling: f64,
    changed: Instant,
}

#[derive(Debug)]
struct Limit {
    rate: f64,
    burst: NonZeroU32,
    bucket: Bucket,
}

/// governor's clock on tokio's time, so that tests can pause it.
#[derive(Debug, Clone)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

impl Limit {
    fn new(rate: f64) -> Self {
        // A rate is never negative, and beyond u32 nothing is limited anyway: the cast saturates.
        #[allow(clippy::cast_sign_loss)]
        let whole = NonZeroU32::new(rate as u32).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(whole.get() / BURST_DIVISOR).unwrap_or(NonZeroU32::MIN);
        let steady = NonZeroU32::new(whole.get() - burst.get()).unwrap_or(NonZeroU32::MIN);
        let bucket = RateLimiter::direct_with_clock(
            Quota::per_second(steady).allow_burst(burst),
            TokioClock(Instant::now()),
        );
        // A new bucket is full. Were it not emptied, every change of the rate would be a burst of its own.
        drop(bucket.check_n(burst));
        Self {
            rate,
            burst,
            bucket,
        }
    }
}

impl Limiter {
    /// A limiter that stays under `cap` WCU a second; without one only throttles limit the rate.
    pub fn new(cap: Option<NonZeroU32>) -> Self {
        let now = Instant::now();
        Self {
            cap,
            state: Mutex::new(State {
                limit: cap.map(|cap| Limit::new(f64::from(cap.get()))),
                debt: 0,
                epoch_began: now,
                epoch_wcu: 0.0,
                measured: None,
                ceiling: cap.map_or(f64::MAX, |cap| f64::from(cap.get())),
                changed: now,
            }),
        }
    }

    /// Waits until `wcu` may be spent. More than a burst is paid in parts.
    pub async fn acquire(&self, wcu: u32) {
        let mut due = {
            let mut state = self.lock();
            let due = i64::from(wcu) + state.debt;
            state.debt = due.min(0);
            due.max(0).cast_unsigned()
        };
        while due > 0 {
            let wait = {
                let mut state = self.lock();
                state.roll_epoch();
                self.climb(&mut state);
                let Some(limit) = &state.limit else { return };
                let part = limit.burst.get().min(due.min(u64::from(u32::MAX)) as u32);
                // Cannot be none: neither a burst nor what is due is 0.
                let part = NonZeroU32::new(part).unwrap_or(NonZeroU32::MIN);
                match limit.bucket.check_n(part) {
                    Ok(Ok(())) => {
                        due -= u64::from(part.get());
                        continue;
                    }
                    Ok(Err(not_until)) => not_until.wait_time_from(limit.bucket.clock().now()),
                    // The part is never over the burst; were it, a short wait is all that it costs.
                    Err(_) => EPOCH,
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Settles an attempt that paid `paid` WCU with what DynamoDB says it consumed.
    pub fn settle(&self, paid: u32, consumed: f64) {
        let mut state = self.lock();
        state.roll_epoch();
        state.epoch_wcu += consumed;
        let difference = consumed.ceil() as i64 - i64::from(paid);
        state.debt += difference.clamp(-SETTLEMENT_MAX, SETTLEMENT_MAX);
        state.debt = state.debt.max(-SETTLEMENT_MAX);
    }

    /// Says that the table throttled: the rate halves, at most once a second.
    pub fn throttled(&self) {
        let mut state = self.lock();
        state.roll_epoch();
        let now = Instant::now();
        if state.limit.is_some() && now.duration_since(state.changed) < EPOCH {
            return;
        }
        // In the first second nothing is known yet of what the table can take: what got through by then would make one
        // early throttle slow the import to a crawl. Until then the waits between attempts must do.
        let Some(measured) = state.measured else {
            return;
        };
        let measured = measured.max(state.epoch_wcu);
        let current = state.limit.as_ref().map_or(f64::MAX, |limit| limit.rate);
        // A rate far above what got through says nothing: what got through is what the table can take.
        let ceiling = current.min(measured.max(RATE_MIN * 2.0));
        state.ceiling = ceiling;
        state.limit = Some(Limit::new((ceiling / 2.0).max(RATE_MIN)));
        state.changed = now;
    }

    /// WCU a second that are allowed now, if anything limits them.
    pub fn rate(&self) -> Option<f64> {
        self.lock().limit.as_ref().map(|limit| limit.rate)
    }

    /// Raises the rate after a quiet epoch.
    fn climb(&self, state: &mut State) {
        let now = Instant::now();
        if now.duration_since(state.changed) < EPOCH {
            return;
        }
        let cap = self.cap.map_or(f64::MAX, |cap| f64::from(cap.get()));
        if let Some(limit) = &state.limit
            && limit.rate < cap
        {
            let step = (state.ceiling / CLIMB_DIVISOR).max(RATE_MIN);
            state.limit = Some(Limit::new((limit.rate + step).min(cap)));
            state.changed = now;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is numbers only: a panic elsewhere leaves them usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn roll_epoch(&mut self) {
        let elapsed = self.epoch_began.elapsed();
        if elapsed >= EPOCH {
            self.measured = Some(self.epoch_wcu / elapsed.as_secs_f64());
            self.epoch_wcu = 0.0;
            self.epoch_began = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cap(wcu: u32) -> Option<NonZeroU32> {
        NonZeroU32::new(wcu)
    }

    /// Pays batches of `wcu` for `seconds` and gives the WCU spent in each millisecond.
    async fn spend(limiter: &Limiter, wcu: u32, seconds: u64) -> Vec<(Duration, u32)> {
        let began = Instant::now();
        let mut spent = Vec::new();
        while began.elapsed() < Duration::from_secs(seconds) {
            limiter.acquire(wcu).await;
            limiter.settle(wcu, f64::from(wcu));
            spent.push((began.elapsed(), wcu));
        }
        spent
    }

    fn most_in_a_second(spent: &[(Duration, u32)]) -> u32 {
        let window = |from: Duration| -> u32 {
            let inside = spent
                .iter()
                .filter(|(at, _)| *at >= from && *at < from + EPOCH);
            inside.map(|(_, wcu)| wcu).sum()
        };
        spent.iter().map(|(at, _)| window(*at)).max().unwrap_or(0)
    }

    #[tokio::test(start_paused = true)]
    async fn the_cap_holds_in_every_second_and_is_used() {
        for (limit, wcu) in [(1000, 25), (100, 25), (5000, 7), (50, 1)] {
            let limiter = Limiter::new(cap(limit));
            let spent = spend(&limiter, wcu, 20).await;
            // A payment counts when it is complete, so one batch may stand on either side of a second's edge.
            assert!(
                most_in_a_second(&spent) <= limit + wcu,
                "{limit} by {wcu}: {}",
                most_in_a_second(&spent)
            );
            let total: u32 = spent.iter().map(|(_, wcu)| wcu).sum();
            assert!(
                f64::from(total) >= 0.93 * 20.0 * f64::from(limit),
                "{limit} by {wcu}: {total}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_batch_may_cost_far_more_than_a_second() {
        let limiter = Limiter::new(cap(100));
        let began = Instant::now();
        limiter.acquire(10_000).await;
        let took = began.elapsed().as_secs_f64();
        assert!((100.0..110.0).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_cap_nothing_waits_until_the_table_throttles() {
        let limiter = Limiter::new(None);
        let began = Instant::now();
        for _ in 0..1000 {
            limiter.acquire(25).await;
            limiter.settle(25, 25.0);
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        tokio::time::advance(EPOCH).await;
        limiter.throttled();
        assert_eq!(limiter.rate(), Some(12_500.0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttle_before_anything_is_measured_limits_nothing() {
        for limit in [None, cap(1000)] {
            let limiter = Limiter::new(limit);
            let rate = limiter.rate();
            limiter.throttled();
            limiter.settle(25, 25.0);
            limiter.throttled();
            assert_eq!(limiter.rate(), rate);
            tokio::time::advance(EPOCH).await;
            limiter.throttled();
            assert_eq!(limiter.rate(), Some(12.5));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn throttles_halve_at_most_once_a_second_and_quiet_climbs_back() {
        let limiter = Limiter::new(cap(1000));
        spend(&limiter, 10, 3).await;
        for _ in 0..10 {
            limiter.throttled();
        }
        let halved = limiter.rate().unwrap();
        assert!((450.0..=500.0).contains(&halved), "{halved}");
        spend(&limiter, 10, 5).await;
        let climbing = limiter.rate().unwrap();
        assert!(climbing > halved + 150.0 && climbing < 1000.0, "{climbing}");
        spend(&limiter, 10, 20).await;
        assert_eq!(limiter.rate(), Some(1000.0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_indexes_consume_is_paid_afterwards() {
        let limiter = Limiter::new(cap(100));
        let began = Instant::now();
        for _ in 0..50 {
            limiter.acquire(10).await;
            limiter.settle(10, 30.0);
        }
        let rate = 50.0 * 30.0 / began.elapsed().as_secs_f64();
        assert!(rate < 106.0, "{rate}");
    }
}
