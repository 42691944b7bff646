//! One Distributed Map, event by event: children are started, invoke workers, and these work range by range.

use std::ops::Range;

use crate::clock::{Bucket, Clock, Micros, micros, seconds};
use crate::outcome::Outcome;
use crate::parameters::Parameters;
use crate::table::Table;
use crate::work::Work;
use crate::{aws, share};

/// What a stage does; a unit is a byte of a scan or a row of an import.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Units of each range.
    pub(crate) ranges: Vec<f64>,
    /// Ranges of a child execution.
    pub(crate) batch: usize,
    /// Units a second of a worker that has all that it can use.
    pub(crate) own: f64,
    /// Units a second of all workers together.
    pub(crate) pool: f64,
    /// What throttles them besides.
    pub(crate) table: Option<Table>,
    /// Child executions that are started a second.
    pub(crate) dispatch: f64,
    pub(crate) children: Children,
    /// Between checkpoints. Without them a retry begins anew, with all ranges of its invocation.
    pub(crate) checkpoint: Option<Micros>,
    /// Whether ranges and shares of the pool are held by leases, which outlast a crash.
    pub(crate) leases: bool,
    /// When an invocation stops.
    pub(crate) deadline: Micros,
    /// How often shares are found anew; `None`: at once.
    pub(crate) reaction: Option<Micros>,
}

/// Who does the ranges of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Children {
    /// Standard workflows, which pay for transitions.
    Standard,
    /// Express workflows, which pay for their time and must not take more than five minutes.
    Express,
    /// Processes on one machine.
    Processes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Share,
    Dispatch,
    // So many units a second, in thousandths.
    Return(u64),
    Invoke(usize),
    // The number of the invocation or of the plan: what was planned for an earlier one is void.
    Open(usize, u32),
    Begin(usize, u32),
    Finish(usize, u32),
    Crash(usize, u32),
    Deadline(usize, u32),
}

#[derive(Debug, Default)]
struct Child {
    /// Its ranges, the one that it is at, and the first one of its invocation.
    items: Range<usize>,
    first: usize,
    at: usize,
    dispatched: Micros,
    invocation: u32,
    invoked: Micros,
    /// Failures since the last success, and refusals since Lambda last took it.
    failures: i32,
    refusals: i32,
    slow: f64,
    /// Whether its time is up.
    stopping: bool,
    work: Option<Work>,
    /// Of the planned finish.
    plan: u32,
}

struct Run<'a> {
    p: &'a Parameters,
    stage: Stage,
    clock: Clock<Event>,
    random: fastrand::Rng,
    outcome: Outcome,
    children: Vec<Child>,
    /// The next child to start, whether that is planned, how many run, and how many have ended.
    next: usize,
    dispatching: bool,
    running: usize,
    ended: usize,
    dispatch: Bucket,
    transitions: Bucket,
    ramp: Bucket,
    /// Environments that wait for an invocation, and those that serve one.
    warm: usize,
    busy: usize,
    /// Children at work.
    working: Vec<usize>,
    /// Units a second of them, of all, and of each at the most until shares are found anew; and those that nobody may use
    /// for a while, in thousandths.
    used: f64,
    withheld: u64,
    pool: f64,
    level: f64,
    /// Units left of each range at its last checkpoint, and until when a dead worker has it.
    left: Vec<f64>,
    claimed_until: Vec<Micros>,
}

/// Runs a stage from `began` on.
pub(crate) fn run(p: &Parameters, stage: Stage, began: Micros, seed: u64) -> Outcome {
    let batch = stage.batch.max(1);
    let many = stage.ranges.len();
    let children: Vec<Child> = (0..many)
        .step_by(batch)
        .map(|first| Child {
            items: first..(first + batch).min(many),
            first,
            at: first,
            ..Child::default()
        })
        .collect();
    let run = Run {
        p,
        clock: Clock::new(began),
        random: fastrand::Rng::with_seed(seed),
        outcome: Outcome {
            began,
            ended: began,
            children: children.len(),
            finished: vec![0; many],
            ..Outcome::default()
        },
        children,
        next: 0,
        dispatching: true,
        running: 0,
        ended: 0,
        dispatch: Bucket::new(1.0, stage.dispatch),
        transitions: Bucket::new(p.transitions_second, p.transitions_second),
        ramp: Bucket::new(
            aws::LAMBDA_RAMP,
            aws::LAMBDA_RAMP / aws::LAMBDA_RAMP_SECONDS,
        ),
        warm: 0,
        busy: 0,
        working: Vec::new(),
        used: 0.0,
        withheld: 0,
        pool: stage.pool,
        level: f64::INFINITY,
        left: stage.ranges.clone(),
        claimed_until: vec![0; many],
        stage,
    };
    run.simulated()
}

impl Run<'_> {
    fn simulated(mut self) -> Outcome {
        let now = self.clock.now();
        self.clock.plan(now, Event::Share);
        self.clock.plan(now, Event::Dispatch);
        while self.ended < self.children.len() && !self.outcome.failed {
            let Some(event) = self.clock.next() else {
                // Every child that has not ended has an event planned.
                debug_assert!(false, "a child was forgotten");
                break;
            };
            self.on(event);
        }
        self.outcome.ended = self.clock.now();
        self.outcome.units = (self.outcome.finished.iter().zip(&self.stage.ranges))
            .map(|(times, units)| f64::from(*times) * units)
            .sum();
        if let Some(table) = &self.stage.table {
            self.outcome.throttled_units = table.throttled_rows();
        }
        self.outcome
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Share => self.share(),
            Event::Dispatch => self.dispatch(),
            Event::Return(rate) => self.withheld -= rate,
            Event::Invoke(child) => self.invoke(child),
            Event::Open(child, invocation) if self.is(child, invocation) => self.open(child),
            Event::Begin(child, invocation) if self.is(child, invocation) => self.begin(child),
            Event::Finish(child, plan) if self.children[child].plan == plan => self.finish(child),
            Event::Crash(child, invocation) if self.is(child, invocation) => self.crash(child),
            Event::Deadline(child, invocation) if self.is(child, invocation) => self.stop(child),
            _ => {}
        }
    }

    fn is(&self, child: usize, invocation: u32) -> bool {
        self.children[child].invocation == invocation
    }

    /// Starts children while there are places.
    fn dispatch(&mut self) {
        self.dispatching = false;
        let now = self.clock.now();
        let places = self.p.workers.clamp(1.0, aws::MAP_CONCURRENCY_MAX) as usize;
        while self.next < self.children.len() && self.running < places {
            if let Err(later) = self.dispatch.take(now) {
                return self.plan_dispatch(later);
            }
            let child = self.next;
            self.next += 1;
            self.running += 1;
            self.children[child].dispatched = now;
            // The execution itself, and its task.
            self.invoke_after(child, 0, 2);
        }
    }

    fn plan_dispatch(&mut self, at: Micros) {
        if !self.dispatching {
            self.dispatching = true;
            self.clock.plan(at, Event::Dispatch);
        }
    }

    /// Invokes a worker in `wait` and after so many state transitions.
    fn invoke_after(&mut self, child: usize, wait: Micros, transitions: u32) {
        let mut at = self.clock.now() + wait;
        if self.stage.children == Children::Standard {
            self.outcome.transitions += u64::from(transitions);
            at = at.max(
                self.transitions
                    .reserve(self.clock.now(), f64::from(transitions)),
            );
        }
        self.clock
            .plan(at + micros(self.p.state_ms / 1e3), Event::Invoke(child));
    }

    /// Lambda takes an invocation, or refuses it.
    fn invoke(&mut self, child: usize) {
        let now = self.clock.now();
        let full = self.busy >= self.p.concurrency as usize;
        if full || (self.warm == 0 && self.ramp.take(now).is_err()) {
            // Retried by a Retry of its own, which does not give up: nothing is wrong with the work.
            self.outcome.refused += 1;
            self.children[child].refusals += 1;
            let wait = self.backoff(self.children[child].refusals);
            return self.invoke_after(child, wait, 1);
        }
        let start = if self.warm == 0 {
            self.p.cold_ms
        } else {
            self.warm -= 1;
            self.p.warm_ms
        };
        let slow = if self.random.f64() * 100.0 < self.p.slow_percent {
            2.0 + (self.p.slow_factor - 2.0).max(0.0) * self.random.f64() * self.random.f64()
        } else {
            1.0
        };
        let crashes = self.random.f64() * 100.0 < self.p.crash_percent;
        let when = self.random.f64();
        self.busy += 1;
        self.outcome.most_at_once = self.outcome.most_at_once.max(self.busy);
        self.outcome.invocations += 1;
        let state = &mut self.children[child];
        state.invocation += 1;
        (state.invoked, state.slow, state.stopping) = (now, slow, false);
        state.refusals = 0;
        let invocation = state.invocation;
        let begin = now + micros(start / 1e3);
        self.clock.plan(begin, Event::Open(child, invocation));
        let deadline = now.saturating_add(self.stage.deadline);
        self.clock
            .plan(deadline, Event::Deadline(child, invocation));
        if crashes {
            let items = self.children[child].items.clone();
            let units: f64 = self.left[items].iter().sum();
            let places = self.p.workers.min(self.children.len() as f64);
            let rate = (self.stage.own / slow).min(self.stage.pool / places);
            let expected = micros(units / rate).min(self.stage.deadline);
            let at = begin + (expected as f64 * when) as Micros;
            self.clock.plan(at, Event::Crash(child, invocation));
        }
    }

    /// The worker claims its next range, or ends.
    fn open(&mut self, child: usize) {
        let now = self.clock.now();
        let state = &mut self.children[child];
        while state.at < state.items.end && self.outcome.finished[state.at] > 0 {
            state.at += 1;
        }
        if state.stopping || state.at == state.items.end {
            return self.end_invocation(child);
        }
        if self.claimed_until[state.at] > now {
            self.outcome.claimed += 1;
            return self.fail(child);
        }
        self.outcome.opens += 1;
        let first_byte = self.p.s3_first_ms * (1.0 + self.random.f64());
        let begin = now + micros((self.p.open_ms + first_byte) / 1e3);
        let invocation = self.children[child].invocation;
        self.clock.plan(begin, Event::Begin(child, invocation));
    }

    /// The worker has read the first bytes of its range.
    fn begin(&mut self, child: usize) {
        let now = self.clock.now();
        if self.children[child].stopping {
            return self.end_invocation(child);
        }
        let rate = self
            .own(child)
            .min(self.level)
            .min(self.pool - self.withheld() - self.used)
            .max(0.0);
        let state = &mut self.children[child];
        let left = self.left[state.at];
        state.work = Some(Work {
            left,
            rate,
            since: now,
            saved: left,
            saved_at: now,
        });
        self.working.push(child);
        self.used += rate;
        self.outcome.peak = self.outcome.peak.max(self.used);
        if self.stage.reaction.is_none() {
            self.clock.plan(now, Event::Share);
        } else {
            self.plan_finish(child);
        }
    }

    fn own(&self, child: usize) -> f64 {
        let own = self.stage.own / self.children[child].slow;
        if self.p.equal_shares > 0.0 {
            return own.min(self.stage.pool / self.p.workers);
        }
        own
    }

    /// Plans the end of a range, if it comes before shares are found anew.
    fn plan_finish(&mut self, child: usize) {
        let now = self.clock.now();
        let state = &mut self.children[child];
        state.plan += 1;
        let Some(work) = &state.work else { return };
        if work.rate <= 0.0 && work.left > 0.0 {
            return;
        }
        let needed = micros((work.left / work.rate.max(f64::MIN_POSITIVE)).min(1e9));
        if self
            .stage
            .reaction
            .is_none_or(|reaction| needed <= reaction)
        {
            self.clock
                .plan(now + needed, Event::Finish(child, state.plan));
        }
    }

    /// Shares are found anew.
    fn share(&mut self) {
        let now = self.clock.now();
        let mut own = Vec::with_capacity(self.working.len());
        for index in 0..self.working.len() {
            let child = self.working[index];
            own.push(self.own(child));
            if let Some(work) = &mut self.children[child].work {
                self.outcome.checkpoints += work.advance(now, self.stage.checkpoint);
            }
        }
        self.pool = self.stage.pool;
        let pool = self.pool - self.withheld();
        if let (Some(table), Some(reaction)) = (&mut self.stage.table, self.stage.reaction) {
            let demand = own.iter().sum::<f64>().min(pool);
            let written = table.write(demand * seconds(reaction), seconds(reaction));
            let rate = written / seconds(reaction);
            // A little less is chance, and is made up for in the next step.
            if rate < demand * 0.99 {
                self.pool = rate;
            }
        }
        self.level = share::level(&own, (self.pool - self.withheld()).max(0.0));
        self.used = 0.0;
        for (index, own) in own.into_iter().enumerate() {
            let rate = own.min(self.level);
            let child = self.working[index];
            if let Some(work) = &mut self.children[child].work {
                work.rate = rate;
            }
            self.used += rate;
            self.plan_finish(child);
        }
        self.outcome.peak = self.outcome.peak.max(self.used);
        if let Some(reaction) = self.stage.reaction {
            self.clock.plan(now + reaction, Event::Share);
        }
    }

    /// Units a second that nobody may use.
    fn withheld(&self) -> f64 {
        self.withheld as f64 / 1e3
    }

    /// Ends the work on a range, whose share nobody uses for so many seconds, and says what was left of it, now and at the last checkpoint.
    fn put_down(&mut self, child: usize, held_seconds: f64) -> Option<(f64, f64)> {
        let now = self.clock.now();
        let mut work = self.children[child].work.take()?;
        self.outcome.checkpoints += work.advance(now, self.stage.checkpoint);
        self.used = (self.used - work.rate).max(0.0);
        if self.stage.leases && held_seconds > 0.0 {
            let rate = (work.rate * 1e3) as u64;
            self.withheld += rate;
            let at = now + micros(held_seconds);
            self.clock.plan(at, Event::Return(rate));
        }
        self.children[child].plan += 1;
        self.working.retain(|at_work| *at_work != child);
        if self.stage.reaction.is_none() {
            self.clock.plan(now, Event::Share);
        }
        Some((work.left, work.saved))
    }

    /// A range has ended; the next one is opened.
    fn finish(&mut self, child: usize) {
        self.put_down(child, self.p.share_quiet_ms / 1e3);
        let range = self.children[child].at;
        self.left[range] = 0.0;
        self.outcome.finished[range] += 1;
        self.close(child);
    }

    /// Time is up: what is done is saved, and the rest left to another invocation.
    fn stop(&mut self, child: usize) {
        self.children[child].stopping = true;
        if let Some((left, _)) = self.put_down(child, self.p.share_quiet_ms / 1e3) {
            let range = self.children[child].at;
            if self.stage.checkpoint.is_some() {
                self.left[range] = left;
            } else {
                // It begins anew, which is of no use if it had all the time.
                self.outcome.twice += self.left[range] - left;
                self.outcome.failed |= range == self.children[child].first;
            }
            self.close(child);
        }
    }

    fn close(&mut self, child: usize) {
        let at = self.clock.now() + micros(self.p.close_ms / 1e3);
        let invocation = self.children[child].invocation;
        self.clock.plan(at, Event::Open(child, invocation));
    }

    fn crash(&mut self, child: usize) {
        self.outcome.crashes += 1;
        let range = self.children[child].at;
        if let Some((left, saved)) = self.put_down(child, self.p.share_lease_seconds) {
            self.outcome.twice += saved - left;
            self.left[range] = saved;
            if self.stage.leases && self.p.takeover < 1.0 {
                let invoked = self.children[child].invoked;
                self.claimed_until[range] =
                    invoked.saturating_add(micros(aws::LAMBDA_TIMEOUT_SECONDS));
            }
        }
        if self.stage.checkpoint.is_none() {
            let state = &mut self.children[child];
            state.at = state.first;
            for again in state.first..state.items.end {
                if self.outcome.finished[again] > 0 {
                    self.outcome.finished[again] = 0;
                    self.left[again] = self.stage.ranges[again];
                    self.outcome.twice += self.left[again];
                }
            }
        }
        self.fail(child);
        // Its environment is gone.
        self.warm -= 1;
    }

    fn fail(&mut self, child: usize) {
        self.bill(child);
        self.retry(child);
    }

    /// The invocation is over, its environment free.
    fn bill(&mut self, child: usize) {
        let state = &mut self.children[child];
        self.outcome.lambda_seconds += seconds(self.clock.now() - state.invoked);
        // Whatever was planned for this invocation is void.
        state.invocation += 1;
        self.busy -= 1;
        self.warm += 1;
    }

    fn retry(&mut self, child: usize) {
        let state = &mut self.children[child];
        state.failures += 1;
        if f64::from(state.failures) > self.p.retry_attempts {
            self.outcome.failed = true;
            return;
        }
        let failures = state.failures;
        let wait = self.backoff(failures);
        self.invoke_after(child, wait, 1);
    }

    /// How long Retry waits after so many failures, with full jitter.
    fn backoff(&mut self, failures: i32) -> Micros {
        let most = self.p.retry_seconds * self.p.retry_rate.powi(failures - 1);
        micros(most.min(self.p.retry_max_seconds) * self.random.f64())
    }

    fn end_invocation(&mut self, child: usize) {
        self.bill(child);
        let state = &mut self.children[child];
        state.failures = 0;
        state.first = state.at;
        if state.at < state.items.end {
            self.outcome.continuations += 1;
            // Choice, and the task again.
            return self.invoke_after(child, 0, 2);
        }
        match self.stage.children {
            Children::Standard => {
                // Choice and Succeed.
                self.outcome.transitions += 2;
                self.transitions.reserve(self.clock.now(), 2.0);
            }
            Children::Express => {
                let lasted = seconds(self.clock.now() - state.dispatched);
                // Billed in steps of 100 ms.
                self.outcome.express_seconds += (lasted * 10.0).ceil() / 10.0;
                self.outcome.failed |= lasted > aws::EXPRESS_SECONDS_MAX;
            }
            Children::Processes => {}
        }
        self.running -= 1;
        self.ended += 1;
        self.plan_dispatch(self.clock.now());
    }
}
