//! Keeps the write rate under a cap, finds out what the table can take, and yields to other traffic.
//!
//! The unit is the write capacity unit (WCU). Every attempt is paid for before it is sent, retries too; what DynamoDB
//! says it consumed is settled afterwards, so that indexes count.
//!
//! - The rate starts at 1,000 WCU a second and doubles every 80 ms while nothing is throttled: it is out of the way in
//!   0.8 s of a table that takes everything.
//! - A throttled request is believed when another one follows within eight.
//! - The first throttles quarter the rate, and so it is known within a factor of four what the table can take. From then on
//!   throttles tell exactly: the table had nothing left then and has nothing left now, so what it wrote in between is its
//!   capacity, however much of it it had saved.
//! - Throttles are answered at once, by a tenth less than that, and the lower rate is judged by the answers to what was
//!   sent at that rate. If much is throttled still, what gets through is the new capacity: so other traffic is yielded to.
//! - Then the rate climbs, slowly at first and faster the longer nothing is throttled.
//! - Throttles that come at rates which the table can take have nothing to do with the rate. Their share is learnt, and
//!   only what exceeds it counts.
//!
//! The cap is a number, or one that changes meanwhile because it is shared with others; while that is 0, everybody waits.
//!
//! What an import has found out is kept for the next one into the same table, if that begins soon ([`LimiterMemory`]).
//!
//! The law is in `control`, which knows no clock; here are the bucket and the cap.
//!
//! Nothing here sends or knows rows: it is paid in WCU.

mod control;
mod memory;
mod shared;

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use self::control::{Control, RATE_MAX, RATE_MIN};
use self::memory::Learned;
pub use self::memory::LimiterMemory;
pub use self::shared::SharedCap;

/// The share of a second's WCU that may be spent at once: as much as a late wake-up may make up for.
const BURST_DIVISOR: f64 = 20.0;
/// The share of a second's WCU that one request may cost, if it can be split: more at once would be a burst for the
/// table.
const REQUEST_DIVISOR: f64 = 40.0;
/// The same under a cap: what is left of a second's cap is less than a request.
const CAPPED_REQUEST_DIVISOR: f64 = 100.0;
/// The window in which the cap holds, and a little: requests that are paid for in one second may arrive in a shorter time.
const CAP_WINDOW: Duration = Duration::from_millis(1_018);
/// How long a lane waits for the bucket before it looks at it again.
const WAIT_MAX: Duration = Duration::from_millis(250);
/// Most WCU that one settlement may give back or take: an attempt on 25 items of 400 KB.
const SETTLEMENT_MAX: i64 = 10_000;

/// See the [module documentation](self).
#[derive(Debug)]
pub struct Limiter {
    began: Instant,
    /// Lanes that wait to pay: one at a time, in the order in which they came.
    queue: tokio::sync::Mutex<()>,
    /// Where the cap comes from if it changes.
    shared: Option<Arc<SharedCap>>,
    state: Mutex<State>,
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>;

#[derive(Debug)]
struct State {
    control: Control,
    /// The bucket that enforces the rate; none while nothing limits it.
    limit: Option<Limit>,
    cap: Option<Cap>,
    /// WCU consumed beyond what was paid, still to be paid; negative is paid in advance.
    debt: i64,
    /// WCU paid for what was written, and WCU that it consumed: indexes make it more.
    paid: f64,
    consumed: f64,
}

#[derive(Debug)]
struct Limit {
    rate: f64,
    burst: NonZeroU32,
    bucket: Bucket,
}

/// What was paid for in the last second.
#[derive(Debug)]
struct Cap {
    wcu: u64,
    payments: VecDeque<(Instant, u64)>,
    sum: u64,
}

impl Cap {
    /// Pays, or says when there may be room for it.
    fn pay(&mut self, wcu: u64, now: Instant) -> Result<(), Instant> {
        while let Some(&(at, paid)) = self.payments.front()
            && at + CAP_WINDOW <= now
        {
            self.sum -= paid;
            self.payments.pop_front();
        }
        match self.payments.front() {
            // An item of more than the cap has to be written some time: alone.
            Some(&(at, _)) if self.sum + wcu > self.wcu => Err(at + CAP_WINDOW),
            _ => {
                self.payments.push_back((now, wcu));
                self.sum += wcu;
                Ok(())
            }
        }
    }
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
        // A rate is at least 1 and the largest is far below u32::MAX.
        #[allow(clippy::cast_sign_loss)]
        let burst = NonZeroU32::new((rate / BURST_DIVISOR) as u32).unwrap_or(NonZeroU32::MIN);
        // Cannot be none: the period of a rate is not 0.
        let quota = Quota::with_period(Duration::from_secs_f64(1.0 / rate))
            .unwrap_or(Quota::per_second(NonZeroU32::MIN))
            .allow_burst(burst);
        let bucket = RateLimiter::direct_with_clock(quota, TokioClock(Instant::now()));
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
    /// A limiter that stays under `cap` WCU a second; without one only throttles limit the rate for long.
    pub fn new(cap: Option<NonZeroU32>) -> Self {
        Self::with(cap.map(NonZeroU32::get), None)
    }

    /// A limiter that stays under a cap which may change at any time.
    pub fn sharing(cap: Arc<SharedCap>) -> Self {
        Self::with(Some(cap.wcu()), Some(cap))
    }

    fn with(wcu: Option<u32>, shared: Option<Arc<SharedCap>>) -> Self {
        let control = Control::new(wcu.map(f64::from));
        Self {
            began: Instant::now(),
            queue: tokio::sync::Mutex::new(()),
            shared,
            state: Mutex::new(State {
                limit: Some(Limit::new(control.rate().max(RATE_MIN))),
                control,
                cap: wcu.map(|wcu| Cap {
                    wcu: u64::from(wcu),
                    payments: VecDeque::new(),
                    sum: 0,
                }),
                debt: 0,
                paid: 0.0,
                consumed: 0.0,
            }),
        }
    }

    /// The same limiter with what the one before has found out, if that is known.
    #[must_use]
    pub fn remembering(mut self, memory: &LimiterMemory) -> Self {
        if let Some(found) = memory.get() {
            let pause = found.at.elapsed();
            self.began = found.began + pause;
            let mut state = self.lock();
            (state.paid, state.consumed) = (found.paid, found.consumed);
            let now = self.began.elapsed();
            state.control.go_on(found.control, now, pause);
            state.follow();
            drop(state);
        }
        self
    }

    /// Keeps what was found out, once all that was paid for is settled.
    pub fn save_to(&self, memory: &LimiterMemory) {
        let state = self.lock();
        memory.save(Learned {
            began: self.began,
            control: state.control.clone(),
            paid: state.paid,
            consumed: state.consumed,
            at: Instant::now(),
        });
    }

    /// Waits for a turn to pay. Lanes pay in the order in which they come.
    pub async fn payer(&self) -> Payer<'_> {
        if self.lock().limit.is_none() {
            return Payer {
                limiter: self,
                place: None,
                request_wcu_max: u32::MAX,
            };
        }
        let place = Some(self.queue.lock().await);
        if let Some(shared) = &self.shared {
            shared.wait().await;
        }
        let state = self.lock_now();
        Payer {
            limiter: self,
            place,
            request_wcu_max: state.request_wcu_max(),
        }
    }

    /// Waits until `wcu` may be spent.
    pub async fn acquire(&self, wcu: u32) {
        self.payer().await.pay(wcu).await;
    }

    /// Waits until the bucket has `due` WCU, in parts of at most its burst.
    async fn drain(&self, mut due: u64) {
        while due > 0 {
            if let Some(shared) = &self.shared {
                shared.wait().await;
            }
            let wait = {
                let state = self.lock_now();
                let Some(limit) = &state.limit else { return };
                let part = u64::from(limit.burst.get()).min(due) as u32;
                // Cannot be none: neither a burst nor what is due is 0.
                let part = NonZeroU32::new(part).unwrap_or(NonZeroU32::MIN);
                match limit.bucket.check_n(part) {
                    Ok(Ok(())) => {
                        due -= u64::from(part.get());
                        continue;
                    }
                    Ok(Err(not_until)) => not_until.wait_time_from(limit.bucket.clock().now()),
                    // The part is never over the burst; were it, a short wait is all that it costs.
                    Err(_) => WAIT_MAX,
                }
            };
            // A slow bucket may be replaced by a faster one in the meantime.
            tokio::time::sleep(wait.min(WAIT_MAX)).await;
        }
    }

    /// Waits until the last second has room for `wcu` under the cap.
    async fn wait_for_room(&self, wcu: u64) {
        loop {
            let until = {
                let mut state = self.lock();
                self.look_at_cap(&mut state);
                let Some(cap) = &mut state.cap else { return };
                if cap.wcu == 0 {
                    None
                } else {
                    match cap.pay(wcu, Instant::now()) {
                        Ok(()) => break,
                        Err(until) => Some(until),
                    }
                }
            };
            match (until, &self.shared) {
                (None, Some(shared)) => shared.wait().await,
                (None, None) => return,
                (Some(until), _) => tokio::time::sleep_until(until).await,
            }
        }
        if let Some(shared) = &self.shared {
            shared.use_up(wcu);
        }
    }

    /// Settles an attempt that DynamoDB has answered: `paid` WCU were paid for the rows that it wrote, `consumed` is what
    /// it says they consumed, and `throttled` WCU were paid for rows that it did not write.
    pub fn settle(&self, paid: u32, consumed: f64, throttled: u32) {
        let now = self.began.elapsed();
        let mut state = self.lock();
        let charged = state.charge(paid);
        let difference = consumed.ceil() as i64 - charged;
        state.debt += difference.clamp(-SETTLEMENT_MAX, SETTLEMENT_MAX);
        state.debt = state.debt.max(-SETTLEMENT_MAX);
        state.paid += f64::from(paid);
        state.consumed += consumed;
        let throttled_wcu = f64::from(throttled) * state.cost();
        state
            .control
            .returned(f64::from(paid) + f64::from(throttled));
        state.control.answered(now, consumed, throttled_wcu);
        state.follow();
    }

    /// Says that the table throttled a whole attempt of `wcu`.
    pub fn throttled(&self, wcu: u32) {
        self.settle(0, 0.0, wcu);
    }

    /// Says that an attempt of `wcu` came to nothing for a reason that has nothing to do with the rate.
    pub fn failed(&self, wcu: u32) {
        self.lock().control.returned(f64::from(wcu));
    }

    /// WCU a second that are allowed now, if anything limits them.
    pub fn rate(&self) -> Option<f64> {
        let state = self.lock();
        if state.cap.as_ref().is_some_and(|cap| cap.wcu == 0) {
            return Some(0.0);
        }
        state.limit.as_ref().map(|limit| limit.rate)
    }

    /// The state as it is now, and not when something happened last.
    fn lock_now(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        self.look_at_cap(&mut state);
        state.advance(self.began.elapsed());
        state
    }

    fn look_at_cap(&self, state: &mut State) {
        if let Some(shared) = &self.shared {
            state.limit_to(shared.wcu());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is numbers only: a panic elsewhere leaves them usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to pay next.
#[derive(Debug)]
pub struct Payer<'a> {
    limiter: &'a Limiter,
    place: Option<tokio::sync::MutexGuard<'a, ()>>,
    request_wcu_max: u32,
}

impl Payer<'_> {
    /// The most WCU that one request should cost, if it can be split: a larger one would be a burst for the table, or
    /// exceed the cap.
    pub fn request_wcu_max(&self) -> u32 {
        self.request_wcu_max
    }

    /// Waits until `wcu` may be spent. More than a burst is paid in parts.
    pub async fn pay(self, wcu: u32) {
        if self.place.is_some() {
            let due = {
                let mut state = self.limiter.lock();
                let due = state.charge(wcu) + state.debt;
                state.debt = due.min(0);
                due.max(0).cast_unsigned()
            };
            self.limiter.drain(due).await;
            self.limiter.wait_for_room(due).await;
        }
        self.limiter.lock().control.paid(f64::from(wcu));
    }
}

impl State {
    /// What a WCU that is paid for costs in truth.
    fn cost(&self) -> f64 {
        if self.paid > 0.0 {
            (self.consumed / self.paid).max(0.01)
        } else {
            1.0
        }
    }

    /// What is charged for `wcu`, given what the last ones cost.
    fn charge(&self, wcu: u32) -> i64 {
        (f64::from(wcu) * self.cost()).ceil() as i64
    }

    fn request_wcu_max(&self) -> u32 {
        let Some(limit) = &self.limit else {
            return u32::MAX;
        };
        let divisor = if self.cap.is_some() {
            CAPPED_REQUEST_DIVISOR
        } else {
            REQUEST_DIVISOR
        };
        // Rates are positive; the cast saturates.
        #[allow(clippy::cast_sign_loss)]
        let wcu = (limit.rate / divisor / self.cost()) as u32;
        wcu.max(1)
    }

    fn advance(&mut self, now: Duration) {
        self.control.advance(now);
        self.follow();
    }

    /// Makes the cap follow what is granted. [`State::advance`] makes the bucket follow it.
    fn limit_to(&mut self, wcu: u32) {
        if let Some(cap) = &mut self.cap
            && cap.wcu != u64::from(wcu)
        {
            cap.wcu = u64::from(wcu);
            self.control.limit_to(f64::from(wcu));
        }
    }

    /// Makes the bucket follow the rate. While nothing may be written, nobody looks at the bucket.
    fn follow(&mut self) {
        let rate = self.control.rate().max(RATE_MIN);
        let current = self.limit.as_ref().map(|limit| limit.rate);
        if self.cap.is_none() && rate >= RATE_MAX {
            self.limit = None;
        } else if current != Some(rate) {
            self.limit = Some(Limit::new(rate));
        }
    }
}

#[cfg(test)]
mod tests;
