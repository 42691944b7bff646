//! Keeps the write rate under a cap, and yields to other traffic when the table throttles.
//!
//! The unit is the write capacity unit (WCU). Every attempt is paid for before it is sent, retries too; what DynamoDB
//! says it consumed is settled afterwards, so that indexes count. Each second is judged when it is over: if the table
//! throttled more than a little of it, the rate becomes half of what got through, else it climbs (additive increase,
//! multiplicative decrease). It never falls below a tenth of the most that a second let through, so that throttles
//! which have nothing to do with the rate do not bring an import to a standstill.

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
/// The share of a second's WCU that may be throttled without the rate being blamed.
const THROTTLED_SHARE_MAX: f64 = 0.05;
/// How much of the most that a second let through the rate climbs in a quiet second.
const CLIMB_DIVISOR: f64 = 20.0;
/// How much of it is left at the least.
const FLOOR_DIVISOR: f64 = 10.0;
/// The slowest that throttling makes the importer, as long as the cap allows it: a batch of small rows a second.
const RATE_MIN: f64 = 25.0;
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
    /// WCU consumed in this epoch.
    consumed: f64,
    /// WCU throttled in this epoch.
    throttled: f64,
    /// The most WCU a second that an epoch let through.
    peak: f64,
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
                consumed: 0.0,
                throttled: 0.0,
                peak: 0.0,
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
                let state = self.lock();
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
        state.consumed += consumed;
        let difference = consumed.ceil() as i64 - i64::from(paid);
        state.debt += difference.clamp(-SETTLEMENT_MAX, SETTLEMENT_MAX);
        state.debt = state.debt.max(-SETTLEMENT_MAX);
    }

    /// Says that the table throttled an attempt, or a part of one, of `wcu`.
    pub fn throttled(&self, wcu: u32) {
        self.lock().throttled += f64::from(wcu);
    }

    /// WCU a second that are allowed now, if anything limits them.
    pub fn rate(&self) -> Option<f64> {
        self.lock().limit.as_ref().map(|limit| limit.rate)
    }

    /// The state, with the rate that follows from the last epoch if that is over.
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is numbers only: a panic elsewhere leaves them usable.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = state.epoch_began.elapsed();
        if elapsed >= EPOCH {
            state.judge(elapsed, self.cap);
        }
        state
    }
}

impl State {
    /// Ends an epoch: halves the rate or lets it climb.
    fn judge(&mut self, elapsed: Duration, cap: Option<NonZeroU32>) {
        let got_through = self.consumed / elapsed.as_secs_f64();
        let share = self.throttled / (self.throttled + self.consumed).max(1.0);
        self.peak = self.peak.max(got_through);
        self.epoch_began = Instant::now();
        self.consumed = 0.0;
        self.throttled = 0.0;

        let cap = cap.map_or(f64::MAX, |cap| f64::from(cap.get()));
        let current = self.limit.as_ref().map(|limit| limit.rate);
        let next = if share > THROTTLED_SHARE_MAX {
            let floor = (self.peak / FLOOR_DIVISOR).max(RATE_MIN);
            // A rate far above what got through says nothing: what got through is what the table can take.
            let half = got_through.min(current.unwrap_or(f64::MAX)) / 2.0;
            half.max(floor)
        } else if let Some(current) = current {
            current + (self.peak / CLIMB_DIVISOR).max(RATE_MIN)
        } else {
            return;
        };
        let next = next.min(cap);
        if current != Some(next) {
            self.limit = Some(Limit::new(next));
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
        limiter.throttled(5_000);
        tokio::time::advance(EPOCH).await;
        assert_eq!(limiter.rate(), Some(12_500.0));
    }

    #[tokio::test(start_paused = true)]
    async fn stray_throttles_change_nothing() {
        for limit in [None, cap(1000)] {
            let limiter = Limiter::new(limit);
            let rate = limiter.rate();
            for _ in 0..10 {
                limiter.settle(960, 960.0);
                limiter.throttled(40);
                tokio::time::advance(EPOCH).await;
                assert_eq!(limiter.rate(), rate);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn throttles_that_no_rate_cures_leave_a_tenth() {
        let limiter = Limiter::new(None);
        for second in 0..60 {
            let rate = limiter.rate().unwrap_or(8000.0);
            assert!(rate >= 600.0, "{rate} after {second} s");
            limiter.settle(0, rate * 0.75);
            limiter.throttled(2000);
            tokio::time::advance(EPOCH).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn throttles_halve_once_a_second_and_quiet_climbs_back() {
        let limiter = Limiter::new(cap(1000));
        spend(&limiter, 10, 3).await;
        for _ in 0..10 {
            limiter.throttled(100);
        }
        tokio::time::advance(EPOCH).await;
        let halved = limiter.rate().unwrap();
        assert!((90.0..500.0).contains(&halved), "{halved}");
        spend(&limiter, 10, 5).await;
        let climbing = limiter.rate().unwrap();
        assert!(
            climbing > halved + 150.0 && climbing < 1000.0,
            "{climbing} after {halved}"
        );
        spend(&limiter, 10, 20).await;
        assert_eq!(limiter.rate(), Some(1000.0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cap_below_the_floor_still_holds() {
        let limiter = Limiter::new(cap(5));
        limiter.settle(5, 5.0);
        limiter.throttled(5);
        tokio::time::advance(EPOCH).await;
        assert_eq!(limiter.rate(), Some(5.0));
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
