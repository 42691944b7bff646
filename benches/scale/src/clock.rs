//! Virtual time, the events in it, and buckets of tokens that are refilled by it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Virtual time in microseconds since the job began: whole numbers, so that equal times are equal on every machine.
pub(crate) type Micros = u64;

/// `seconds` of virtual time, rounded up: nothing is done before it is.
pub(crate) fn micros(seconds: f64) -> Micros {
    // Saturates, which is long after everything.
    (seconds * 1e6).ceil() as Micros
}

/// Virtual time in seconds.
pub(crate) fn seconds(micros: Micros) -> f64 {
    micros as f64 / 1e6
}

/// Events by time; those of the same time in the order in which they were planned.
#[derive(Debug)]
pub(crate) struct Clock<E> {
    now: Micros,
    planned: u64,
    heap: BinaryHeap<Reverse<(Micros, u64, E)>>,
}

impl<E: Ord> Clock<E> {
    pub(crate) fn new(now: Micros) -> Self {
        Self {
            now,
            planned: 0,
            heap: BinaryHeap::new(),
        }
    }

    pub(crate) fn now(&self) -> Micros {
        self.now
    }

    /// Plans `event` for `at`, or for now if that is past.
    pub(crate) fn plan(&mut self, at: Micros, event: E) {
        self.planned += 1;
        self.heap
            .push(Reverse((at.max(self.now), self.planned, event)));
    }

    /// Goes on to the next event.
    pub(crate) fn next(&mut self) -> Option<E> {
        let Reverse((at, _, event)) = self.heap.pop()?;
        // `plan` lets nothing be planned for the past.
        debug_assert!(at >= self.now);
        self.now = at;
        Some(event)
    }
}

/// Tokens that are refilled continuously, as AWS does for its quotas. Those who find none queue up.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// Microseconds that refill one token.
    interval: f64,
    size: f64,
    /// When the bucket was, or will be, empty with nobody waiting.
    empty_at: f64,
}

impl Bucket {
    /// Full at first; `size` at least one token.
    pub(crate) fn new(size: f64, per_second: f64) -> Self {
        let interval = 1e6 / per_second;
        Self {
            interval,
            size: size.max(1.0),
            empty_at: f64::NEG_INFINITY,
        }
    }

    fn empty_at(&self, now: Micros) -> f64 {
        self.empty_at.max(now as f64 - self.size * self.interval)
    }

    /// Takes `tokens`, and says when the last of them is there.
    pub(crate) fn reserve(&mut self, now: Micros, tokens: f64) -> Micros {
        self.empty_at = self.empty_at(now) + tokens * self.interval;
        // A millionth of a microsecond is rounding.
        now.max((self.empty_at - 1e-6).ceil() as Micros)
    }

    /// Takes a token if one is there now; else says when one will be.
    pub(crate) fn take(&mut self, now: Micros) -> Result<(), Micros> {
        let next = self.empty_at(now) + self.interval;
        if next <= now as f64 + 1e-6 {
            self.empty_at = next;
            return Ok(());
        }
        Err(next.ceil() as Micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_goes_back() {
        let mut clock = Clock::new(5);
        let mut random = fastrand::Rng::with_seed(1);
        for event in 0..100_u64 {
            clock.plan(random.u64(..50), event);
        }
        let (mut before, mut seen) = (5, 0);
        while let Some(event) = clock.next() {
            assert!(clock.now() >= before);
            before = clock.now();
            seen += 1;
            if event < 100 {
                // For the past: now.
                clock.plan(0, event + 100);
            }
        }
        assert_eq!(seen, 200);
    }

    #[test]
    fn events_of_one_time_come_in_the_order_of_their_plans() {
        let mut clock = Clock::new(0);
        for event in [3, 1, 2] {
            clock.plan(7, event);
        }
        let order: Vec<i32> = std::iter::from_fn(|| clock.next()).collect();
        assert_eq!(order, [3, 1, 2]);
    }

    #[test]
    fn a_bucket_gives_its_size_and_then_its_rate() {
        let mut bucket = Bucket::new(3.0, 10.0);
        let given: Vec<Micros> = (0..5).map(|_| bucket.reserve(0, 1.0)).collect();
        assert_eq!(given, [0, 0, 0, 100_000, 200_000]);
        // A long rest fills it again, and no more than that.
        let given: Vec<Micros> = (0..4).map(|_| bucket.reserve(9_000_000, 1.0)).collect();
        assert_eq!(given, [9_000_000, 9_000_000, 9_000_000, 9_100_000]);

        let mut bucket = Bucket::new(1.0, 10.0);
        assert_eq!(bucket.take(0), Ok(()));
        assert_eq!(bucket.take(0), Err(100_000));
        assert_eq!(bucket.take(99_999), Err(100_000));
        assert_eq!(bucket.take(100_000), Ok(()));
    }
}
