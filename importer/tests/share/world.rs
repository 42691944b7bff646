//! Workers that share a cap, in a world of discrete events: messages take their time, get lost or come twice, clocks differ,
//! workers stop for a while or for ever.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::rc::Rc;

use fastrand::Rng;
use importer::write::share::allocation::{Allocation, Outcome};
use importer::write::share::page::{Change, EMPTY, Page, SLOT_PAGES, Worker, slots};
use importer::write::share::timing::{Moment, Timing};

/// After so long a call is given up.
const GIVE_UP_MS: u64 = 8_000;
/// When the world begins, in Unix time.
const EPOCH_MS: u64 = 1_763_900_000_000;
const PLANS_MAX: u32 = 4;

/// What goes wrong, as a probability for each message or wake.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) request_lost: f64,
    pub(crate) answer_lost: f64,
    /// A change comes once more, up to a minute later.
    pub(crate) duplicate: f64,
    /// A message takes up to ten seconds.
    pub(crate) late: f64,
    /// A worker stops for up to two minutes.
    pub(crate) pause: f64,
    /// A worker stops for ever.
    pub(crate) death: f64,
    /// A worker leaves as it should.
    pub(crate) leave: f64,
    /// How far clocks are wrong at the most, in either direction.
    pub(crate) skew_ms: u64,
}

#[derive(Debug)]
enum Event {
    Join,
    Wake,
    /// A question for all pages arrives.
    Look,
    /// And is answered, or given up, in the worker's round of that number.
    Seen(u64, Option<BTreeMap<usize, Page>>),
    /// A change arrives; its worker may have given it up.
    Arrive(Rc<Change>),
    Answer(Rc<Change>, Moment, Outcome),
    /// A share grows or shrinks by itself.
    Publish,
}

/// An event, in the order of time and then as they were made.
struct Due {
    at: u64,
    number: u64,
    worker: usize,
    event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        Reverse((self.at, self.number)).cmp(&Reverse((other.at, other.number)))
    }
}

/// One worker.
struct Actor {
    allocation: Allocation,
    /// How far its clock is wrong.
    skew_ms: i64,
    /// How much faster than the world's its steady clock goes.
    drift: f64,
    joined_at: u64,
    paused_until: u64,
    is_gone: bool,
    is_leaving: bool,
    /// WCU a second, and until when by its steady clock.
    granted: (u32, u64),
    /// WCU a second that it can use.
    can_use: f64,
    round: u64,
    waits_for: usize,
    is_behind: bool,
    plans: u32,
    takes: Vec<Change>,
    polls: u32,
}

/// What was asked of the table.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) queries: u64,
    /// Strongly consistent, of items as large as they were.
    pub(crate) rcu: f64,
    pub(crate) wcu: u64,
}

/// All of it.
pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) faults: Faults,
    pub(crate) cost: Cost,
    timing: Timing,
    pages: BTreeMap<usize, Page>,
    /// Registers that say anything.
    values: usize,
    actors: Vec<Actor>,
    events: BinaryHeap<Due>,
    number: u64,
    rng: Rng,
    largest_cap: u32,
    /// What happened last, and when.
    pub(crate) last_death: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            now: 0,
            faults: Faults::default(),
            cost: Cost::default(),
            timing: Timing::default(),
            pages: BTreeMap::new(),
            values: 0,
            actors: Vec::new(),
            events: BinaryHeap::new(),
            number: 0,
            rng: Rng::with_seed(seed),
            largest_cap: 0,
            last_death: 0,
        }
    }

    /// A worker begins in `after` milliseconds.
    pub(crate) fn join(&mut self, cap: u32, after: u64) -> usize {
        let worker = self.actors.len();
        let skew = self.faults.skew_ms.cast_signed();
        let allocation = Allocation::new(
            Worker::new(worker as u64 + 1),
            cap,
            self.timing,
            self.rng.u64(..),
        );
        self.actors.push(Actor {
            allocation,
            skew_ms: self.rng.i64(-skew..=skew),
            drift: 1.0 + (self.rng.f64() - 0.5) / 1_000.0,
            joined_at: self.now + after,
            paused_until: 0,
            is_gone: false,
            is_leaving: false,
            granted: (0, 0),
            can_use: f64::INFINITY,
            round: 0,
            waits_for: 0,
            is_behind: false,
            plans: 0,
            takes: Vec::new(),
            polls: 0,
        });
        self.largest_cap = self.largest_cap.max(cap);
        self.after(after, worker, Event::Join);
        worker
    }

    /// A worker dies now.
    pub(crate) fn kill(&mut self, worker: usize) {
        self.actors[worker].is_gone = true;
        self.last_death = self.now;
    }

    /// A worker leaves at its next wake.
    pub(crate) fn leave(&mut self, worker: usize) {
        self.actors[worker].is_leaving = true;
    }

    pub(crate) fn can_use(&mut self, worker: usize, wcu: f64) {
        self.actors[worker].can_use = wcu;
    }

    /// Workers that are neither dead nor gone.
    pub(crate) fn present(&self) -> Vec<usize> {
        (0..self.actors.len())
            .filter(|&worker| !self.actors[worker].is_gone)
            .collect()
    }

    /// WCU a second that a worker may write now.
    pub(crate) fn usable(&self, worker: usize) -> u32 {
        let actor = &self.actors[worker];
        let (wcu, until) = actor.granted;
        let is_valid = !actor.is_gone && self.moment(worker).steady_ms < until;
        if is_valid { wcu } else { 0 }
    }

    pub(crate) fn usable_of_all(&self) -> u64 {
        self.present()
            .iter()
            .map(|&worker| u64::from(self.usable(worker)))
            .sum()
    }

    pub(crate) fn slots_held(&self, worker: usize) -> usize {
        self.actors[worker].allocation.slots_held()
    }

    /// Lets time pass. At no moment do all may more than the largest of their caps.
    pub(crate) fn run(&mut self, for_ms: u64) {
        let end = self.now + for_ms;
        while self.events.peek().is_some_and(|due| due.at <= end) {
            let Some(due) = self.events.pop() else { break };
            self.now = due.at;
            self.happen(due.worker, due.event);
        }
        self.now = end;
    }

    fn moment(&self, worker: usize) -> Moment {
        let actor = &self.actors[worker];
        let steady = self.now.saturating_sub(actor.joined_at) as f64 * actor.drift;
        Moment {
            #[allow(clippy::cast_sign_loss, reason = "time is positive")]
            steady_ms: steady as u64,
            wall_ms: (EPOCH_MS + self.now).strict_add_signed(actor.skew_ms),
        }
    }

    fn after(&mut self, ms: u64, worker: usize, event: Event) {
        self.number += 1;
        self.events.push(Due {
            at: self.now + ms,
            number: self.number,
            worker,
            event,
        });
    }

    fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.f64() < probability
    }

    fn travel(&mut self) -> u64 {
        if self.chance(self.faults.late) {
            self.rng.u64(1..10_000)
        } else {
            self.rng.u64(1..8)
        }
    }

    fn happen(&mut self, worker: usize, event: Event) {
        // What a worker has sent arrives whatever becomes of it.
        match event {
            Event::Look => {
                self.cost.queries += 1;
                self.cost.rcu += (self.bytes() / 4096.0).ceil();
                if self.chance(self.faults.answer_lost) {
                    return;
                }
                let (ms, pages) = (self.travel(), self.pages.clone());
                let round = self.actors[worker].round;
                self.after(ms, worker, Event::Seen(round, Some(pages)));
                return;
            }
            Event::Arrive(change) => {
                self.change(&change);
                return;
            }
            _ => {}
        }
        if self.actors[worker].is_gone {
            return;
        }
        let paused_until = self.actors[worker].paused_until;
        if self.now < paused_until {
            self.after(paused_until - self.now, worker, event);
            return;
        }
        match event {
            Event::Join | Event::Wake => self.wake(worker),
            Event::Seen(round, pages) => self.seen(worker, round, pages),
            Event::Answer(change, sent, outcome) => self.answered(worker, &change, sent, &outcome),
            Event::Publish => self.publish(worker),
            Event::Look | Event::Arrive(_) => {}
        }
    }

    /// Bytes of all items, about as DynamoDB counts them.
    fn bytes(&self) -> f64 {
        (self.pages.len() * 80 + self.values * 28) as f64
    }

    /// Makes a change if it fits, as the table would.
    fn change(&mut self, change: &Change) -> Option<Page> {
        self.cost.wcu += 1;
        let page = self.pages.entry(change.page).or_insert(EMPTY);
        if change
            .swaps
            .iter()
            .any(|swap| page[swap.register] != swap.from)
        {
            return Some(*page);
        }
        for swap in &change.swaps {
            page[swap.register] = swap.to;
            self.values += usize::from(swap.to.is_some());
            self.values -= usize::from(swap.from.is_some());
        }
        None
    }

    fn wake(&mut self, worker: usize) {
        if self.chance(self.faults.death) {
            self.kill(worker);
            return;
        }
        if self.chance(self.faults.pause) {
            let ms = self.rng.u64(0..120_000);
            self.actors[worker].paused_until = self.now + ms;
            self.after(ms, worker, Event::Wake);
            return;
        }
        if self.actors[worker].is_leaving || self.chance(self.faults.leave) {
            let now = self.moment(worker);
            let actor = &mut self.actors[worker];
            actor.granted = (0, 0);
            let changes = actor.allocation.leave(now);
            self.send(worker, changes);
            self.actors[worker].is_gone = true;
            self.last_death = self.now;
            return;
        }
        let granted = self.usable(worker);
        let actor = &mut self.actors[worker];
        let used = f64::from(granted).min(actor.can_use);
        actor.allocation.used(used, granted);
        actor.round += 1;
        let round = actor.round;
        // Whichever comes first.
        self.after(GIVE_UP_MS, worker, Event::Seen(round, None));
        if !self.chance(self.faults.request_lost) {
            let ms = self.travel();
            self.after(ms, worker, Event::Look);
        }
    }

    fn seen(&mut self, worker: usize, round: u64, pages: Option<BTreeMap<usize, Page>>) {
        let now = self.moment(worker);
        let actor = &mut self.actors[worker];
        if actor.round != round {
            return;
        }
        // What else there is of this round comes too late.
        actor.round += 1;
        match pages {
            Some(pages) => {
                actor.allocation.look(now, &pages);
                self.plan(worker);
            }
            None => self.sleep(worker),
        }
    }

    fn plan(&mut self, worker: usize) {
        let now = self.moment(worker);
        let actor = &mut self.actors[worker];
        actor.plans += 1;
        actor.is_behind = false;
        let plan = actor.allocation.plan(now);
        actor.takes = plan.take;
        self.publish(worker);
        if !self.send(worker, plan.keep) {
            self.take(worker);
        }
    }

    fn take(&mut self, worker: usize) {
        let takes = std::mem::take(&mut self.actors[worker].takes);
        if self.actors[worker].is_behind || !self.send(worker, takes) {
            self.round_over(worker);
        }
    }

    /// Says whether there is anything to wait for.
    fn send(&mut self, worker: usize, changes: Vec<Change>) -> bool {
        let sent = self.moment(worker);
        for change in changes {
            let change = Rc::new(change);
            self.actors[worker].waits_for += 1;
            if self.chance(self.faults.request_lost) {
                self.after(
                    GIVE_UP_MS,
                    worker,
                    Event::Answer(change, sent, Outcome::Unknown),
                );
                continue;
            }
            if self.chance(self.faults.duplicate) {
                let ms = self.rng.u64(0..60_000);
                self.after(ms, worker, Event::Arrive(Rc::clone(&change)));
            }
            let (there, back) = (self.travel(), self.travel());
            let is_given_up =
                there + back > GIVE_UP_MS || self.chance(self.faults.answer_lost) || there > 100;
            if is_given_up {
                self.after(there, worker, Event::Arrive(Rc::clone(&change)));
                self.after(
                    GIVE_UP_MS,
                    worker,
                    Event::Answer(change, sent, Outcome::Unknown),
                );
                continue;
            }
            // On the way there nothing else happens to it, but much may before its answer arrives.
            let outcome = match self.change(&change) {
                None => Outcome::Done,
                Some(page) => Outcome::Refused(Box::new(page)),
            };
            self.after(there + back, worker, Event::Answer(change, sent, outcome));
        }
        self.actors[worker].waits_for > 0
    }

    fn answered(&mut self, worker: usize, change: &Change, sent: Moment, outcome: &Outcome) {
        let now = self.moment(worker);
        let actor = &mut self.actors[worker];
        actor.allocation.answered(sent, now, change, outcome);
        actor.is_behind |= matches!(outcome, Outcome::Refused(_));
        actor.waits_for -= 1;
        if actor.waits_for > 0 {
            return;
        }
        if actor.takes.is_empty() {
            self.round_over(worker);
        } else {
            self.take(worker);
        }
    }

    fn round_over(&mut self, worker: usize) {
        self.publish(worker);
        let actor = &self.actors[worker];
        if actor.is_behind && actor.plans < PLANS_MAX {
            self.plan(worker);
        } else {
            self.sleep(worker);
        }
    }

    fn sleep(&mut self, worker: usize) {
        let share = 0.9 + self.rng.f64() / 10.0;
        let actor = &mut self.actors[worker];
        actor.plans = 0;
        let every = if actor.allocation.has_too_little() && actor.polls < 8 {
            actor.polls += 1;
            self.timing.poll
        } else {
            self.timing.round
        };
        if !actor.allocation.has_too_little() {
            actor.polls = 0;
        }
        #[allow(clippy::cast_sign_loss, reason = "time is positive")]
        let ms = (every.as_millis() as f64 * share) as u64;
        self.after(ms, worker, Event::Wake);
    }

    fn publish(&mut self, worker: usize) {
        let now = self.moment(worker);
        let actor = &mut self.actors[worker];
        let grant = actor.allocation.grant(now);
        let (before, _) = std::mem::replace(&mut actor.granted, (grant.wcu, grant.until_ms));
        if grant.wcu >= before {
            // Only now it may have become too much.
            let sum = self.usable_of_all();
            let now = self.now;
            assert!(
                sum <= u64::from(self.largest_cap),
                "{sum} WCU a second at {now} ms"
            );
        }
        let actor = &mut self.actors[worker];
        if let Some(at) = actor.allocation.changes_at_ms(now) {
            self.after(at - now.steady_ms + 1, worker, Event::Publish);
        }
    }

    /// Slots of a cap that nobody of those present holds.
    pub(crate) fn slots_unheld(&self, cap: u32) -> usize {
        let held: usize = self.present().iter().map(|&w| self.slots_held(w)).sum();
        slots(cap) - held
    }

    /// Registers of those who wait that say anything.
    pub(crate) fn waiting(&self) -> usize {
        let waits = self.pages.range(SLOT_PAGES..);
        waits.map(|(_, page)| page.iter().flatten().count()).sum()
    }
}
