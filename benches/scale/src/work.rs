//! What a worker does on a range, as time goes by.

use crate::clock::{Micros, seconds};

/// Work under way: so many units are left, and so many done a second since.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) left: f64,
    pub(crate) rate: f64,
    pub(crate) since: Micros,
    /// What was left at the last checkpoint, and when that was.
    pub(crate) saved: f64,
    pub(crate) saved_at: Micros,
}

impl Work {
    /// Goes on to `now`, and says how many checkpoints that took.
    pub(crate) fn advance(&mut self, now: Micros, every: Option<Micros>) -> u64 {
        let at = |time: Micros| (self.left - self.rate * seconds(time - self.since)).max(0.0);
        let left = at(now);
        let mut checkpoints = 0;
        if let Some(every) = every {
            checkpoints = (now - self.saved_at) / every;
            if checkpoints > 0 {
                // Later than `since`, or it would have been seen then.
                let saved_at = self.saved_at + checkpoints * every;
                (self.saved, self.saved_at) = (at(saved_at), saved_at);
            }
        }
        (self.left, self.since) = (left, now);
        checkpoints
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::micros;

    #[test]
    fn checkpoints_are_what_was_left_at_their_time() {
        let mut work = Work {
            left: 100.0,
            rate: 10.0,
            since: 0,
            saved: 100.0,
            saved_at: 0,
        };
        for (now, checkpoints, left, saved) in [
            (2.0, 0, 80.0, 100.0),
            (3.5, 1, 65.0, 70.0),
            (9.0, 2, 10.0, 10.0),
            (20.0, 3, 0.0, 0.0),
        ] {
            assert_eq!(work.advance(micros(now), Some(micros(3.0))), checkpoints);
            assert!((work.left - left).abs() < 1e-9, "{work:?}");
            assert!((work.saved - saved).abs() < 1e-9, "{work:?}");
        }
    }
}
