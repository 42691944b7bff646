use std::time::Duration;

/// What a table wrote and throttled, request by request.
#[derive(Debug, Clone, Default)]
pub struct WriteLog {
    entries: Vec<Entry>,
    others: Attempts,
}

/// A request.
#[derive(Debug, Clone, Copy)]
struct Entry {
    at: Duration,
    accepted_wcu: u32,
    throttled_wcu: u32,
    accepted_rows: u32,
    rows: u32,
}

/// How many attempts there were, and how many of them were throttled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attempts {
    /// All of them.
    pub all: u64,
    /// Those throttled; a request counts if one row of it was.
    pub throttled: u64,
}

impl Attempts {
    /// The share that was throttled, 0 to 1.
    pub fn throttled_share(self) -> f64 {
        self.throttled as f64 / self.all.max(1) as f64
    }

    fn add(&mut self, all: u32, throttled: u32) {
        self.all += u64::from(all);
        self.throttled += u64::from(throttled);
    }
}

impl WriteLog {
    pub(super) fn record(
        &mut self,
        at: Duration,
        accepted_wcu: u32,
        throttled_wcu: u32,
        accepted_rows: u32,
        rows: u32,
    ) {
        self.entries.push(Entry {
            at,
            accepted_wcu,
            throttled_wcu,
            accepted_rows,
            rows,
        });
    }

    pub(super) fn record_other(&mut self, accepted: bool) {
        self.others.add(1, u32::from(!accepted));
    }

    fn during(&self, from: Duration, until: Duration) -> impl Iterator<Item = &Entry> {
        let inside = move |entry: &&Entry| entry.at >= from && entry.at < until;
        self.entries.iter().filter(inside)
    }

    /// WCU written from `from` until `until`.
    pub fn accepted_wcu(&self, from: Duration, until: Duration) -> u64 {
        let wcu = self.during(from, until).map(|entry| entry.accepted_wcu);
        wcu.map(u64::from).sum()
    }

    /// Requests from `from` until `until`. Throttled are those of which any row was.
    pub fn requests(&self, from: Duration, until: Duration) -> Attempts {
        let mut attempts = Attempts::default();
        for entry in self.during(from, until) {
            attempts.add(1, u32::from(entry.throttled_wcu > 0));
        }
        attempts
    }

    /// Rows sent from `from` until `until`.
    pub fn rows(&self, from: Duration, until: Duration) -> Attempts {
        let mut attempts = Attempts::default();
        for entry in self.during(from, until) {
            attempts.add(entry.rows, entry.rows - entry.accepted_rows);
        }
        attempts
    }

    /// Writes of other clients.
    pub fn others(&self) -> Attempts {
        self.others
    }

    /// The most WCU written within any `window`.
    pub fn most_accepted_wcu(&self, window: Duration) -> u64 {
        let (mut most, mut inside, mut first) = (0, 0, 0);
        for entry in &self.entries {
            inside += u64::from(entry.accepted_wcu);
            while self.entries[first].at + window <= entry.at {
                inside -= u64::from(self.entries[first].accepted_wcu);
                first += 1;
            }
            most = most.max(inside);
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_in_a_window_is_found_wherever_it_is() {
        let mut log = WriteLog::default();
        for (milliseconds, wcu) in [
            (0, 5),
            (400, 5),
            (900, 5),
            (1_399, 7),
            (1_400, 1),
            (3_000, 9),
        ] {
            log.record(Duration::from_millis(milliseconds), wcu, 0, 1, 1);
        }
        for (window, most) in [(1, 9), (500, 12), (501, 13), (1_000, 17), (10_000, 32)] {
            assert_eq!(
                log.most_accepted_wcu(Duration::from_millis(window)),
                most,
                "{window} ms"
            );
        }
    }

    #[test]
    fn attempts_are_counted_within_their_time() {
        let mut log = WriteLog::default();
        log.record(Duration::from_secs(1), 20, 5, 20, 25);
        log.record(Duration::from_secs(2), 25, 0, 25, 25);
        let (from, until) = (Duration::from_secs(1), Duration::from_secs(2));
        assert_eq!(
            log.requests(from, until),
            Attempts {
                all: 1,
                throttled: 1
            }
        );
        assert_eq!(
            log.rows(from, until * 2),
            Attempts {
                all: 50,
                throttled: 5
            }
        );
        assert_eq!(log.accepted_wcu(from, until), 20);
        assert!((log.rows(from, until * 2).throttled_share() - 0.1).abs() < 1e-9);
    }
}
