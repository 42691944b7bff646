//! What goes on between an import and the table: requests under way, how long they take, and the rate that is allowed.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

/// Times are kept in microseconds up to an invocation's longest, to two digits: 12 KiB.
const LATENCY_MICROSECONDS_MAX: u64 = 900_000_000;
const LATENCY_DIGITS: u8 = 2;

/// Measures requests. Its cost is that of a lock and a few additions for each.
#[derive(Debug)]
pub struct Traffic(Mutex<State>);

#[derive(Debug)]
struct State {
    in_flight: u64,
    in_flight_max: u64,
    rate_wcu: Option<f64>,
    latency_microseconds: Histogram<u32>,
}

/// What was measured for a while.
#[derive(Debug, Clone, PartialEq)]
pub struct Interval {
    /// Most requests that were under way at once.
    pub in_flight_max: u64,
    /// WCU a second that the limiter allowed last, if it limited.
    pub rate_wcu: Option<f64>,
    /// Median and 99th percentile of the time to an answer, if there were any.
    pub latency: Option<[Duration; 2]>,
}

impl Default for Traffic {
    fn default() -> Self {
        let latency = Histogram::new_with_bounds(1, LATENCY_MICROSECONDS_MAX, LATENCY_DIGITS);
        Self(Mutex::new(State {
            in_flight: 0,
            in_flight_max: 0,
            rate_wcu: None,
            latency_microseconds: latency.expect("constants that a histogram can have"),
        }))
    }
}

impl Traffic {
    /// A request is sent while the limiter allows `rate_wcu` a second.
    pub(crate) fn sends(&self, rate_wcu: Option<f64>) {
        let mut state = self.lock();
        state.in_flight += 1;
        state.in_flight_max = state.in_flight_max.max(state.in_flight);
        state.rate_wcu = rate_wcu;
    }

    /// A request was answered, or came to nothing, after `latency`.
    pub(crate) fn answered(&self, latency: Duration) {
        let mut state = self.lock();
        state.in_flight -= 1;
        let microseconds = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        state.latency_microseconds.saturating_record(microseconds);
    }

    /// What was measured since this was last called.
    pub fn take(&self) -> Interval {
        let mut state = self.lock();
        let latency = &state.latency_microseconds;
        let percentile = |quantile| Duration::from_micros(latency.value_at_quantile(quantile));
        let taken = Interval {
            in_flight_max: state.in_flight_max,
            rate_wcu: state.rate_wcu,
            latency: (!latency.is_empty()).then(|| [percentile(0.5), percentile(0.99)]),
        };
        state.latency_microseconds.reset();
        state.in_flight_max = state.in_flight;
        taken
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Numbers only: a panic elsewhere leaves them usable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
