//! What rate to allow, from what the table wrote and throttled. Pure: time comes from the caller.

use std::time::Duration;

/// WCU a second at the very beginning: what a single partition takes, so every table that is not provisioned with less.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html>
const START_RATE: f64 = 1_000.0;
/// How long each rate is tried at the least before it is doubled at the start: 600,000 WCU a second are reached in 0.8 s.
const START_TICK: Duration = Duration::from_millis(80);
/// What the first throttles divide the rate by.
const START_CUT: f64 = 4.0;
/// Beyond this rate nothing is limited: fifteen times the default quota of a table.
pub(super) const RATE_MAX: f64 = 600_000.0;
/// How long quiet has to last before the rate climbs a step.
const TICK: Duration = Duration::from_millis(100);
/// The slowest that throttling makes the importer.
pub(super) const RATE_MIN: f64 = 1.0;
/// The share of a rate that must have been used before it may climb.
const USED_MIN: f64 = 0.4;
/// Below this share of a rate the import sends less than it may.
const IDLE: f64 = 0.8;

/// How long, and over how many requests, a rate is tried at the least; `TRIAL_MAX` is enough for few requests.
const TRIAL: Duration = Duration::from_millis(100);
const TRIAL_REQUESTS: u32 = 8;
const TRIAL_MAX: Duration = Duration::from_secs(1);
/// How long answers to attempts that were paid for at the old rate are waited for.
const OUTSTANDING_MAX: Duration = Duration::from_millis(500);
/// A throttled request is believed if another one is throttled within so many.
const STRAY_REQUESTS: u32 = 8;
/// How long the table's bucket has to recover before a lower rate is judged.
const RECOVERY: Duration = Duration::from_millis(50);
/// From this share of throttled WCU on, what got through in the meantime is what the table can take.
const HEAVY_SHARE: f64 = 0.1;
/// What is used of a capacity that has just been measured: the rest lets the table's bucket recover.
const RESUME: f64 = 0.95;
/// What a throttle leaves of the rate until it is known whether that helps.
const CUT: f64 = 0.9;
/// The first climb in a tick while it is only known that a quarter of the rate at the first throttle is fine.
const SEARCH: f64 = 0.06;
/// How long it takes until that climb has doubled: the first throttle may have been chance.
const SEARCH_DOUBLES: f64 = 0.5;
/// The first climb in a tick after a throttle, as a share of the rate.
const CLIMB: f64 = 0.0005;
/// How long it takes until the climb has doubled.
const CLIMB_DOUBLES: f64 = 0.9;
/// The largest climb in a tick.
const CLIMB_MAX: f64 = 0.1;
/// Above this share of the capacity throttles are expected.
const EXPECTED: f64 = 0.99;
/// What is left of a capacity at the least by throttles that were not expected.
const UNEXPECTED: f64 = 0.97;
/// The shortest time between two throttles from which the capacity is computed.
const CYCLE_MIN: Duration = Duration::from_secs(1);
/// Requests over which the share of throttles is known at the most.
const RECENT_REQUESTS: u32 = 128;
/// The smallest share of throttles that is taken for having nothing to do with the rate: chance makes less.
const NOISE_REQUESTS: u32 = 64;
const NOISE_EVENTS: u32 = 4;
const NOISE_MIN: f64 = 0.02;
/// The largest share of throttles that is accepted as having nothing to do with the rate.
const NOISE_MAX: f64 = 0.5;
/// How long throttles are believed to have nothing to do with the rate.
const NOISE_KEPT: Duration = Duration::from_secs(10);

/// Answers within a span of time.
#[derive(Debug, Clone, Copy)]
struct Window {
    began: Duration,
    accepted: f64,
    throttled: f64,
    requests: u32,
    throttled_requests: u32,
}

impl Window {
    fn new(began: Duration) -> Self {
        Self {
            began,
            accepted: 0.0,
            throttled: 0.0,
            requests: 0,
            throttled_requests: 0,
        }
    }

    fn add(&mut self, accepted: f64, throttled: f64) {
        self.accepted += accepted;
        self.throttled += throttled;
        self.requests += 1;
        self.throttled_requests += u32::from(throttled > 0.0);
    }

    fn include(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.throttled += other.throttled;
        self.requests += other.requests;
        self.throttled_requests += other.throttled_requests;
    }

    /// Halves it once it has grown to `requests`.
    fn forget(&mut self, requests: u32) {
        if self.requests >= requests {
            self.accepted /= 2.0;
            self.throttled /= 2.0;
            self.requests /= 2;
            self.throttled_requests /= 2;
        }
    }

    fn share(&self) -> f64 {
        self.throttled / (self.throttled + self.accepted).max(1.0)
    }

    /// The share of requests of which anything was throttled.
    fn throttled_share(&self) -> f64 {
        f64::from(self.throttled_requests) / f64::from(self.requests.max(1))
    }

    fn elapsed(&self, now: Duration) -> f64 {
        now.saturating_sub(self.began).as_secs_f64()
    }

    fn got_through(&self, now: Duration) -> f64 {
        self.accepted / self.elapsed(now).max(1e-3)
    }
}

/// The control law. See [`super`].
#[derive(Debug, Clone)]
pub(super) struct Control {
    /// What is known to be fine for the table; a cap below that does not make it forgotten.
    rate: f64,
    cap: f64,
    /// WCU a second that the table can take, as far as throttles have told.
    capacity: Option<f64>,
    /// Whether the table has ever throttled.
    bounded: bool,
    /// Since when the rate climbs.
    quiet_since: Duration,
    tick: Window,
    /// WCU a second that were attempted in the last tick: a rate above that limits nothing.
    demand: f64,
    /// Since the last moment at which the table had nothing left.
    cycle: Option<Window>,
    /// Whether the import has sent less since then than it might have.
    idle: bool,
    /// Requests since the last one that was throttled.
    stray: Option<u32>,
    /// The last requests outside of trials.
    recent: Window,
    /// The last requests at rates that had been lowered.
    calm: Window,
    trial: Option<Trial>,
    /// WCU paid for attempts, and of these those whose attempt has ended.
    paid: f64,
    returned: f64,
    /// The share of throttles that have nothing to do with the rate, and since when it is believed.
    noise: f64,
    noise_since: Duration,
}

/// An episode of throttling: the rate is lowered, and it is seen whether that helps.
#[derive(Debug, Clone)]
struct Trial {
    /// The rate before.
    rate: f64,
    /// The share of throttles before the rate was lowered.
    before: f64,
    /// How far it was lowered.
    lowered: Lowered,
    /// Whether the rate was so high that throttles were to be expected.
    expected: bool,
    /// Answers at the current rate.
    window: Window,
    /// Attempts up to this sum of WCU were paid for before the current rate, and since when they are waited for.
    outstanding: Option<(f64, Duration)>,
}

/// How far a rate was lowered in a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lowered {
    /// It may still be too high.
    Blindly,
    /// Below what the table could take until now. Throttles that depend on the rate do not survive that, unless the
    /// table can take less than before.
    BelowCapacity,
    /// Below what got through in the trial's last window.
    BelowWindow,
}

impl Control {
    pub(super) fn new(cap: Option<f64>) -> Self {
        let cap = cap.unwrap_or(f64::INFINITY);
        let nothing = Window::new(Duration::ZERO);
        Self {
            rate: START_RATE,
            cap,
            capacity: None,
            bounded: false,
            quiet_since: Duration::ZERO,
            tick: nothing,
            demand: START_RATE,
            cycle: None,
            idle: false,
            stray: None,
            recent: nothing,
            calm: nothing,
            trial: None,
            paid: 0.0,
            returned: 0.0,
            noise: 0.0,
            noise_since: Duration::ZERO,
        }
    }

    /// Goes on where another import has ended, under its own cap. Nothing is under way, and for `pause` nothing was sent: by this
    /// law's time none has passed.
    pub(super) fn go_on(&mut self, before: Self, now: Duration, pause: Duration) {
        let cap = self.cap;
        *self = before;
        self.cap = cap;
        self.stray = None;
        (self.paid, self.returned) = (0.0, 0.0);
        if self.trial.take().is_some() {
            self.quiet(now);
        }
        // Meanwhile the table has saved what it could take, or as much as it can save.
        self.idle = true;
        if let Some(cycle) = &mut self.cycle {
            cycle.began = cycle.began.saturating_sub(pause);
        }
    }

    /// WCU a second that are allowed.
    pub(super) fn rate(&self) -> f64 {
        self.rate.min(self.cap)
    }

    /// Changes the cap.
    pub(super) fn limit_to(&mut self, cap: f64) {
        self.cap = cap;
    }

    /// Notes that an attempt of `wcu` was paid for.
    pub(super) fn paid(&mut self, wcu: f64) {
        self.paid += wcu;
    }

    /// Notes that an attempt of `wcu` has ended, however it did.
    pub(super) fn returned(&mut self, wcu: f64) {
        self.returned += wcu;
    }

    /// Notes an answer: what was written of an attempt and what was throttled.
    pub(super) fn answered(&mut self, now: Duration, accepted: f64, throttled: f64) {
        self.tick.add(accepted, throttled);
        if let Some(cycle) = &mut self.cycle {
            cycle.add(accepted, throttled);
        }
        if let Some(trial) = &mut self.trial {
            if let Some((wcu, since)) = trial.outstanding {
                let waited = now.saturating_sub(since);
                if waited < RECOVERY || self.returned < wcu && waited < OUTSTANDING_MAX {
                    return;
                }
                trial.outstanding = None;
                trial.window = Window::new(now);
            } else {
                trial.window.add(accepted, throttled);
            }
        } else {
            self.recent.add(accepted, throttled);
            self.recent.forget(RECENT_REQUESTS);
            let recent = self.recent;
            let suspicious = if self.noise > 0.0 {
                recent.requests >= RECENT_REQUESTS / 2 && recent.share() > self.tolerated(&recent)
            } else {
                throttled > 0.0 && self.stray.is_some_and(|requests| requests < STRAY_REQUESTS)
            };
            self.stray = if throttled > 0.0 {
                Some(0)
            } else {
                self.stray.map(|requests| requests + 1)
            };
            if suspicious {
                self.begin_trial(now);
            }
        }
        self.advance(now);
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, now: Duration) {
        if self.trial.is_some() {
            self.judge(now);
            return;
        }
        let tick = if self.bounded { TICK } else { START_TICK };
        if self.tick.elapsed(now) >= tick.as_secs_f64() {
            self.end_tick(now);
        }
    }

    /// Throttles have begun, or become more: lowers the rate.
    fn begin_trial(&mut self, now: Duration) {
        let expected = self
            .capacity
            .is_none_or(|capacity| self.rate() > EXPECTED * capacity);
        if !expected && self.learn_noise(now, self.recent, self.rate()) {
            self.quiet(now);
            return;
        }
        let mut trial = Trial {
            rate: self.rate(),
            before: self.recent.share(),
            lowered: Lowered::Blindly,
            expected,
            window: Window::new(now),
            outstanding: Some((self.paid, now)),
        };
        if self.bounded {
            // The table had nothing left at the last throttle and has nothing left now: what it wrote in between is
            // what it can take, however deep its bucket is.
            let cycle = self
                .cycle
                .filter(|c| c.elapsed(now) >= CYCLE_MIN.as_secs_f64());
            let got_through = cycle.map(|c| c.got_through(now));
            self.capacity = match (got_through, self.capacity) {
                // Unless its bucket was full for a while because the import had nothing to send.
                (Some(got_through), Some(known)) if self.idle => Some(got_through.max(known)),
                // Without an explanation it is believed step by step: it may be chance.
                (Some(got_through), Some(known)) if !expected => {
                    Some(got_through.max(known * UNEXPECTED))
                }
                (got_through, known) => got_through.or(known),
            };
            if self.capacity.is_some() {
                trial.lowered = Lowered::BelowCapacity;
            }
            let capacity = self.capacity.unwrap_or(f64::MAX);
            self.set(self.rate().min(self.demand).min(capacity) * CUT);
        } else {
            // The rate that was fine is the one before; what the table had saved may have hidden that this one was not.
            self.set((self.rate() / START_CUT).min(self.demand));
            self.bounded = true;
        }
        self.cycle = Some(Window::new(now));
        self.idle = false;
        self.trial = Some(trial);
    }

    /// Ends a trial that has lasted for long enough, or lowers the rate again.
    fn judge(&mut self, now: Duration) {
        let Some(trial) = &self.trial else { return };
        let window = trial.window;
        let elapsed = window.elapsed(now);
        let (least, requests) = match trial.lowered {
            Lowered::Blindly => (TRIAL / 2, TRIAL_REQUESTS),
            Lowered::BelowCapacity => (TRIAL, TRIAL_REQUESTS),
            Lowered::BelowWindow => (TRIAL, 2 * TRIAL_REQUESTS),
        };
        let enough = elapsed >= least.as_secs_f64() && window.requests >= requests;
        let patience = elapsed >= TRIAL_MAX.as_secs_f64() && window.requests > 0;
        if trial.outstanding.is_some() || !enough && !patience {
            return;
        }
        let excess = window.share() - self.noise;
        let before = trial.before - self.noise;
        let similar = excess >= 0.5 * before && excess <= 1.5 * before;
        // One request may be chance, and if it is not, more follow.
        let heavy = excess >= HEAVY_SHARE && window.throttled_requests >= 2;
        let again = match trial.lowered {
            Lowered::Blindly => excess > 0.0 && window.throttled_requests >= 2,
            Lowered::BelowCapacity => heavy,
            Lowered::BelowWindow => heavy && !(similar && window.share() <= NOISE_MAX),
        };
        if again {
            self.measured(now);
            return;
        }
        let chance = !trial.expected && trial.lowered == Lowered::BelowCapacity;
        if trial.lowered != Lowered::Blindly {
            self.learn_noise(now, window, trial.rate);
        }
        let quiet_since = self.quiet_since;
        self.trial = None;
        self.quiet(now);
        if chance {
            // Nor does it slow the climb down.
            self.quiet_since = quiet_since;
        }
        self.set(self.rate.max(self.capacity.unwrap_or(0.0) * RESUME));
    }

    /// Starts to climb.
    fn quiet(&mut self, now: Duration) {
        self.recent = Window::new(now);
        self.tick = Window::new(now);
        self.quiet_since = now;
    }

    /// What is throttled at rates below what the table can take has nothing to do with the rate. Says whether that is
    /// news; then it goes back to `rate` and starts anew.
    fn learn_noise(&mut self, now: Duration, window: Window, rate: f64) -> bool {
        self.calm.include(&window);
        self.calm.forget(RECENT_REQUESTS);
        let calm = self.calm;
        let share = calm.share();
        let is_noise = share >= HEAVY_SHARE && calm.requests >= 2 * TRIAL_REQUESTS
            || share >= NOISE_MIN
                && calm.requests >= NOISE_REQUESTS
                && calm.throttled_share() >= 2.0 * NOISE_MIN;
        self.noise_since = now;
        let known = self.noise > 0.0;
        if is_noise && calm.throttled_requests >= NOISE_EVENTS {
            self.noise = share.min(NOISE_MAX);
        } else if share < NOISE_MIN / 2.0 {
            self.noise = 0.0;
        }
        let news = !known && self.noise > 0.0;
        if news {
            self.capacity = None;
            self.bounded = false;
            self.rate = rate;
        }
        news
    }

    /// What got through in the trial's window is what the table can take.
    fn measured(&mut self, now: Duration) {
        let Some(trial) = &mut self.trial else { return };
        let known = trial.window.got_through(now);
        trial.before = trial.window.share();
        trial.lowered = Lowered::BelowWindow;
        trial.window = Window::new(now);
        trial.outstanding = Some((self.paid, now));
        self.capacity = Some(known);
        self.cycle = Some(Window::new(now));
        self.set(known * CUT);
    }

    /// Lets the rate climb if it was used.
    fn end_tick(&mut self, now: Duration) {
        let tick = self.tick;
        if self.noise > 0.0 && self.bounded && now.saturating_sub(self.noise_since) > NOISE_KEPT {
            self.begin_trial(now);
            return;
        }
        if tick.requests < 2 {
            return;
        }
        self.tick = Window::new(now);
        self.demand = (tick.accepted + tick.throttled) / tick.elapsed(now);
        self.idle |= self.demand < IDLE * self.rate();
        if self.demand < USED_MIN * self.rate() {
            return;
        }
        let quiet = now.saturating_sub(self.quiet_since).as_secs_f64();
        let climb = if !self.bounded {
            1.0
        } else if self.capacity.is_none() {
            (SEARCH * (quiet / SEARCH_DOUBLES).exp2()).min(1.0)
        } else {
            (CLIMB * (quiet / CLIMB_DOUBLES).exp2()).min(CLIMB_MAX)
        };
        // Large requests have few answers: a tick may take long.
        let ticks = if self.bounded {
            tick.elapsed(now) / TICK.as_secs_f64()
        } else {
            1.0
        };
        self.set(self.rate * (1.0 + climb).powf(ticks).min(2.0));
    }

    /// The share of throttles that may be chance, given those that no rate cures.
    fn tolerated(&self, window: &Window) -> f64 {
        let requests = f64::from(window.requests.max(1));
        self.noise + 4.0 * (self.noise * (1.0 - self.noise) / requests).sqrt()
    }

    fn set(&mut self, rate: f64) {
        // It does not climb beyond the cap: nothing would tell whether the table can take that.
        let highest = self.cap.max(self.rate).min(RATE_MAX * 2.0);
        self.rate = rate.max(RATE_MIN).min(highest);
    }
}
