//! What a worker does with what the table shows. Pure: no AWS, no clock, no async.
//!
//! A slot is used only after the table has confirmed that it is the worker's, and no longer than a lease from when that was
//! asked for. Nobody else takes it before it has said the same for a whole lease: whoever wrote that has stopped by then,
//! whatever their clock says. So no two workers use a slot at once, and the sum of all never exceeds the cap.
//!
//! Workers that have too little and find nothing free say so among those who wait. Then whoever has more than a fair share
//! returns what is too much.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use super::fair::level;
use super::page::{
    Change, EMPTY, PAGES, Page, REGISTERS, SLOTS, Swap, Value, Worker, slot_wcu, slots,
};
use super::timing::{Moment, Timing, ms};

/// What to ask the table for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Slots to return and to keep, and whether the worker waits: nobody else should be in the way.
    pub keep: Vec<Change>,
    /// Slots to take: others may be faster. More than one page is for whoever is alone.
    pub take: Vec<Change>,
}

/// What became of a change that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The table has made it.
    Done,
    /// The table has not made it: this is what the page says.
    Refused(Box<Page>),
    /// No answer came: it may be made or not, and may be made later.
    Unknown,
}

/// What may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// WCU a second.
    pub wcu: u32,
    /// Until when, by the steady clock.
    pub until_ms: u64,
}

/// What a register says, and since when that was seen.
#[derive(Debug, Clone, Copy)]
struct Seen {
    value: Option<Value>,
    since_ms: u64,
}

/// A slot that the table says is the worker's. Times are by the steady clock.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// From when on it may be used; none before the table has confirmed it.
    from_ms: Option<u64>,
    until_ms: u64,
    asked_ms: u64,
    is_returning: bool,
}

/// How a slot stands that is not the worker's.
#[derive(PartialEq, Eq)]
enum Standing {
    Free,
    Held(Worker),
}

/// One worker's part of the cap, and what it knows of the others'.
#[derive(Debug)]
pub struct Allocation {
    me: Worker,
    cap: u32,
    timing: Timing,
    seen: Vec<Seen>,
    mine: BTreeMap<usize, Slot>,
    last_until_ms: u64,
    /// Looks in a row at which much less was used than was there.
    slack: u8,
    /// WCU a second that are enough; none if more is welcome.
    enough: Option<u32>,
    has_too_little: bool,
    rng: Rng,
}

impl Allocation {
    /// The allocation of a worker that shares `cap` WCU a second. `seed` scatters which slots it takes.
    pub fn new(me: Worker, cap: u32, timing: Timing, seed: u64) -> Self {
        let nothing = Seen {
            value: None,
            since_ms: 0,
        };
        Self {
            me,
            cap,
            timing,
            seen: vec![nothing; PAGES * REGISTERS],
            mine: BTreeMap::new(),
            last_until_ms: 0,
            slack: 0,
            enough: None,
            has_too_little: true,
            rng: Rng::with_seed(seed),
        }
    }

    /// Notes what all pages say.
    pub fn look(&mut self, now: Moment, pages: &BTreeMap<usize, Page>) {
        for page in 0..PAGES {
            self.see(now, page, pages.get(&page).unwrap_or(&EMPTY));
        }
    }

    fn see(&mut self, now: Moment, page: usize, values: &Page) {
        let first = page * REGISTERS;
        for (number, &value) in (first..).zip(values) {
            let seen = &mut self.seen[number];
            if seen.value != value {
                *seen = Seen {
                    value,
                    since_ms: now.steady_ms,
                };
            } else if holder(value) != Some(self.me) {
                continue;
            }
            if number >= SLOTS {
                continue;
            }
            if holder(value) != Some(self.me) {
                self.mine.remove(&number);
            } else if self.mine.get(&number).is_none_or(|slot| slot.is_returning) {
                // An answer was lost. It is used once it has been asked for again.
                self.mine.insert(number, Slot::default());
            }
        }
    }

    /// Notes what was used since the last time, in WCU a second, of what was granted. A worker that the cap does not hold
    /// back leaves to others what it does not use.
    pub fn used(&mut self, wcu: f64, granted_wcu: u32) {
        let granted = f64::from(granted_wcu);
        self.slack = if wcu < 0.6 * granted {
            self.slack.saturating_add(1)
        } else {
            0
        };
        if self.slack >= 2 {
            // A positive number; the cast saturates.
            #[allow(clippy::cast_sign_loss)]
            let enough = (1.5 * wcu).ceil() as u32;
            self.enough = Some(enough);
        } else if wcu >= 0.8 * granted {
            self.enough = None;
        }
    }

    /// What to ask the table for now. Slots in it that are returned are not used from now on.
    pub fn plan(&mut self, now: Moment) -> Plan {
        let all = slots(self.cap);
        let mut free = Vec::new();
        let mut held: BTreeMap<Worker, usize> = BTreeMap::new();
        for slot in (0..all).filter(|slot| !self.mine.contains_key(slot)) {
            match self.standing(slot, now) {
                Standing::Free => free.push(slot),
                Standing::Held(by) => *held.entry(by).or_default() += 1,
            }
        }
        let waiting: BTreeSet<Worker> = (SLOTS..PAGES * REGISTERS)
            .filter_map(|register| match self.standing(register, now) {
                Standing::Held(by) if by != self.me => Some(by),
                _ => None,
            })
            .collect();

        let have = self.mine.len();
        let is_alone = held.is_empty() && waiting.is_empty();
        let want = match self.enough {
            Some(wcu) if !is_alone => {
                let slots = u64::from(wcu) * all as u64 / u64::from(self.cap.max(1));
                (slots as usize + 1).min(all)
            }
            _ => usize::MAX,
        };
        let has = |worker: &Worker| held.get(worker).copied().unwrap_or(0);
        let content = held.iter().filter(|(by, _)| !waiting.contains(by));
        let demands: Vec<usize> = content
            .map(|(_, &slots)| slots)
            .chain(waiting.iter().map(|_| usize::MAX))
            .chain([want])
            .collect();
        let fair = level(all, &demands).max(1);
        let missing: usize = waiting.iter().map(|by| fair.saturating_sub(has(by))).sum();

        let surplus = if have > fair {
            (have - fair).min(missing.saturating_sub(free.len()))
        } else {
            0
        };
        let surplus = surplus.max(have.saturating_sub(want));
        let takable = if missing > 0 {
            fair.saturating_sub(have)
        } else {
            usize::MAX
        };
        let take = want.saturating_sub(have).min(takable).min(free.len());
        self.has_too_little = have + take < want.min(fair);
        // Waiting is of use only if somebody has more to give.
        let can_hope = held.values().any(|&slots| slots > fair);

        let mut plan = Plan::default();
        self.give_back(surplus, now, &mut plan.keep);
        self.ask_again(now, &mut plan.keep);
        self.wait(self.has_too_little && can_hope, now, &mut plan.keep);
        self.take(take, free, now, &mut plan.take);
        plan
    }

    /// Gives everything back.
    pub fn leave(&mut self, now: Moment) -> Vec<Change> {
        let mut changes = Vec::new();
        self.give_back(self.mine.len(), now, &mut changes);
        self.wait(false, now, &mut changes);
        changes
    }

    /// Notes what became of a change that was sent at `sent`.
    pub fn answered(&mut self, sent: Moment, now: Moment, change: &Change, outcome: &Outcome) {
        match outcome {
            Outcome::Unknown => {}
            Outcome::Done => self.done(sent, now, change),
            Outcome::Refused(page) => {
                // Made at the first attempt, whose answer was lost: no value comes twice.
                if change
                    .swaps
                    .iter()
                    .all(|swap| page[swap.register] == swap.to)
                {
                    self.done(sent, now, change);
                }
                self.see(now, change.page, page);
            }
        }
    }

    fn done(&mut self, sent: Moment, now: Moment, change: &Change) {
        for swap in &change.swaps {
            let number = change.page * REGISTERS + swap.register;
            self.seen[number] = Seen {
                value: swap.to,
                since_ms: now.steady_ms,
            };
            if number >= SLOTS {
                continue;
            }
            if holder(swap.to) != Some(self.me) {
                self.mine.remove(&number);
                continue;
            }
            let from_ms = self.quiet_from(now, swap.from);
            let slot = self.mine.entry(number).or_default();
            slot.from_ms.get_or_insert(from_ms);
            slot.asked_ms = sent.steady_ms;
            slot.until_ms =
                sent.steady_ms + ms(self.timing.lease.saturating_sub(self.timing.guard));
        }
    }

    /// What may be written now.
    pub fn grant(&self, now: Moment) -> Grant {
        let mut grant = Grant {
            wcu: 0,
            until_ms: u64::MAX,
        };
        for (&number, slot) in &self.mine {
            if slot.is_usable(now.steady_ms) {
                grant.wcu += slot_wcu(self.cap, number);
                grant.until_ms = grant.until_ms.min(slot.until_ms);
            }
        }
        grant
    }

    /// When that changes by itself, by the steady clock.
    pub fn changes_at_ms(&self, now: Moment) -> Option<u64> {
        let slots = self.mine.values().filter(|slot| !slot.is_returning);
        let times = slots.flat_map(|slot| [slot.from_ms.unwrap_or(0), slot.until_ms]);
        times.filter(|&at| at > now.steady_ms).min()
    }

    /// Whether it has less than a fair share of what it could use.
    pub fn has_too_little(&self) -> bool {
        self.has_too_little
    }

    /// Slots that the table says are this worker's.
    pub fn slots_held(&self) -> usize {
        self.mine.len()
    }

    /// How a register stands that is not the worker's own slot.
    fn standing(&self, number: usize, now: Moment) -> Standing {
        let seen = self.seen[number];
        match seen.value {
            Some(Value::Held { by, until_ms }) => {
                let is_silent = now.steady_ms >= seen.since_ms + ms(self.timing.lease);
                let is_long_over = now.wall_ms > until_ms.saturating_add(ms(self.timing.skew));
                if is_silent || is_long_over {
                    Standing::Free
                } else {
                    Standing::Held(by)
                }
            }
            Some(Value::Returned { .. }) | None => Standing::Free,
        }
    }

    /// From when on a slot is used that was taken and said `from` before.
    fn quiet_from(&self, now: Moment, from: Option<Value>) -> u64 {
        let quiet = ms(self.timing.quiet);
        match from {
            // Clocks of machines that know the time differ by less than the time that is added.
            Some(Value::Returned { at_ms }) if now.wall_ms > at_ms.saturating_add(5 * quiet) => {
                now.steady_ms
            }
            // Its own, the answer about which was lost, may have been another's before.
            Some(Value::Returned { .. }) => now.steady_ms + quiet,
            Some(Value::Held { by, .. }) if by == self.me => now.steady_ms + quiet,
            // Whoever held it has stopped some time ago.
            Some(Value::Held { .. }) | None => now.steady_ms,
        }
    }

    fn held_by_me(&mut self, now: Moment) -> Value {
        let until_ms = now.wall_ms + ms(self.timing.lease);
        self.last_until_ms = until_ms.max(self.last_until_ms + 1);
        Value::Held {
            by: self.me,
            until_ms: self.last_until_ms,
        }
    }

    /// Returns `count` slots, from the pages first on which it has the fewest.
    fn give_back(&mut self, count: usize, now: Moment, changes: &mut Vec<Change>) {
        if count == 0 {
            return;
        }
        let mut pages: Vec<_> = by_page(self.mine.keys().copied()).into_iter().collect();
        pages.sort_by_key(|(_, slots)| slots.len());
        let given: Vec<_> = pages.into_iter().flat_map(|(_, slots)| slots).collect();
        let to = Some(Value::Returned { at_ms: now.wall_ms });
        let given = &given[..count.min(given.len())];
        for number in given {
            if let Some(slot) = self.mine.get_mut(number) {
                slot.is_returning = true;
            }
        }
        self.swap(given.iter().copied(), to, changes);
    }

    /// Asks again for the slots that it keeps.
    fn ask_again(&mut self, now: Moment, changes: &mut Vec<Change>) {
        let due_ms = ms(self.timing.round) / 2;
        let is_due = |slot: &Slot| {
            !slot.is_returning
                && (slot.from_ms.is_none() || now.steady_ms >= slot.asked_ms + due_ms)
        };
        let due = self.mine.iter().filter(|(_, slot)| is_due(slot));
        let due: Vec<_> = due.map(|(&number, _)| number).collect();
        let to = Some(self.held_by_me(now));
        self.swap(due, to, changes);
    }

    /// Says that it waits, or does not any more.
    fn wait(&mut self, is_waiting: bool, now: Moment, changes: &mut Vec<Change>) {
        let registers = SLOTS..PAGES * REGISTERS;
        let mine: Vec<_> = registers
            .clone()
            .filter(|&register| holder(self.seen[register].value) == Some(self.me))
            .collect();
        if !is_waiting {
            self.swap(mine, None, changes);
            return;
        }
        let register = if let Some(&register) = mine.first() {
            let since_ms = self.seen[register].since_ms;
            if now.steady_ms < since_ms + ms(self.timing.round) / 2 {
                return;
            }
            register
        } else {
            let is_free = |&register: &usize| self.standing(register, now) == Standing::Free;
            let free: Vec<_> = registers.filter(is_free).collect();
            // If all are taken, more wait than there are slots: nobody needs to know of one more.
            let Some(&register) = self.rng.choice(&free) else {
                return;
            };
            register
        };
        let to = Some(self.held_by_me(now));
        self.swap([register], to, changes);
    }

    /// Takes `count` of the `free` slots, on as few pages as it can; others that do the same find other pages.
    fn take(&mut self, count: usize, free: Vec<usize>, now: Moment, changes: &mut Vec<Change>) {
        if count == 0 {
            return;
        }
        let own_pages = by_page(self.mine.keys().copied());
        let mut pages: Vec<_> = by_page(free).into_iter().collect();
        self.rng.shuffle(&mut pages);
        pages.sort_by_key(|(page, slots)| {
            let fits = slots.len().min(count);
            (!own_pages.contains_key(page), usize::MAX - fits)
        });
        let mut taken = Vec::with_capacity(count);
        for (_, mut slots) in pages {
            let left = count - taken.len();
            if slots.len() > left {
                self.rng.shuffle(&mut slots);
            }
            taken.extend(slots.into_iter().take(left));
        }
        let to = Some(self.held_by_me(now));
        self.swap(taken, to, changes);
    }

    /// Changes that make the registers say `to`, which now say what was seen: one for each page.
    fn swap(
        &self,
        numbers: impl IntoIterator<Item = usize>,
        to: Option<Value>,
        changes: &mut Vec<Change>,
    ) {
        let mut of_page: Vec<Change> = Vec::new();
        for number in numbers {
            let swap = Swap {
                register: number % REGISTERS,
                from: self.seen[number].value,
                to,
            };
            let page = number / REGISTERS;
            match of_page.iter_mut().find(|change| change.page == page) {
                Some(change) => change.swaps.push(swap),
                None => of_page.push(Change {
                    page,
                    swaps: vec![swap],
                }),
            }
        }
        changes.append(&mut of_page);
    }
}

impl Slot {
    fn is_usable(&self, steady_ms: u64) -> bool {
        let has_begun = self.from_ms.is_some_and(|from| from <= steady_ms);
        has_begun && steady_ms < self.until_ms && !self.is_returning
    }
}

fn holder(value: Option<Value>) -> Option<Worker> {
    match value {
        Some(Value::Held { by, .. }) => Some(by),
        Some(Value::Returned { .. }) | None => None,
    }
}

fn by_page(numbers: impl IntoIterator<Item = usize>) -> BTreeMap<usize, Vec<usize>> {
    let mut pages: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for number in numbers {
        pages.entry(number / REGISTERS).or_default().push(number);
    }
    pages
}
