//! The time that requests are signed with: this machine's, put right by what the service says it is.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use http::HeaderMap;
use http::header::DATE;

/// A clock that is off by less is not why a signature is refused. The AWS SDKs draw the line here, too.
const SKEW_MIN: Duration = Duration::from_mins(4);

/// A clock for all lanes.
#[derive(Debug)]
pub(super) struct Clock {
    machine: SharedTimeSource,
    /// How far the service's clock is ahead of the machine's, in milliseconds.
    ahead_ms: AtomicI64,
}

impl Clock {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self {
            machine: config.time_source().unwrap_or_default(),
            ahead_ms: AtomicI64::new(0),
        }
    }

    /// The service's time, as far as it is known.
    pub(super) fn now(&self) -> SystemTime {
        let machine = self.machine.now();
        match self.ahead_ms.load(Ordering::Relaxed) {
            0 => machine,
            ahead => shifted(machine, ahead),
        }
    }

    /// Takes over the time of an answer to a refused request, and says whether that request, `signed_at`, was so far
    /// off that it may be why.
    pub(super) fn correct(&self, signed_at: SystemTime, headers: &HeaderMap) -> bool {
        let Some(service) = date(headers) else {
            return false;
        };
        if milliseconds_between(signed_at, service).unsigned_abs() < SKEW_MIN.as_millis() as u64 {
            return false;
        }
        let ahead = milliseconds_between(self.machine.now(), service);
        self.ahead_ms.store(ahead, Ordering::Relaxed);
        tracing::warn!(
            seconds = ahead / 1000,
            "this machine's clock is off; requests are signed with DynamoDB's time"
        );
        true
    }
}

fn date(headers: &HeaderMap) -> Option<SystemTime> {
    let text = headers.get(DATE)?.to_str().ok()?;
    DateTime::from_str(text, Format::HttpDate)
        .ok()?
        .try_into()
        .ok()
}

fn milliseconds_between(from: SystemTime, to: SystemTime) -> i64 {
    match to.duration_since(from) {
        Ok(later) => later.as_millis() as i64,
        Err(earlier) => -(earlier.duration().as_millis() as i64),
    }
}

fn shifted(time: SystemTime, milliseconds: i64) -> SystemTime {
    let shift = Duration::from_millis(milliseconds.unsigned_abs());
    let shifted = if milliseconds < 0 {
        time.checked_sub(shift)
    } else {
        time.checked_add(shift)
    };
    shifted.unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use aws_smithy_async::time::StaticTimeSource;

    use super::*;

    #[test]
    fn only_a_clock_that_is_far_off_is_corrected() {
        let machine = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (date, corrected_by) in [
            // 13:46:40 is the machine's time.
            ("Mon, 12 Jan 1970 13:46:40 GMT", None),
            ("Mon, 12 Jan 1970 13:50:39 GMT", None),
            ("Mon, 12 Jan 1970 13:50:40 GMT", Some(240)),
            ("Mon, 12 Jan 1970 12:46:40 GMT", Some(-3600)),
            ("yesterday", None),
        ] {
            let clock = Clock {
                machine: SharedTimeSource::new(StaticTimeSource::new(machine)),
                ahead_ms: AtomicI64::new(0),
            };
            let headers = HeaderMap::from_iter([(DATE, date.parse().unwrap())]);
            assert_eq!(
                clock.correct(machine, &headers),
                corrected_by.is_some(),
                "{date}"
            );
            let seconds = milliseconds_between(machine, clock.now()) / 1000;
            assert_eq!(seconds, corrected_by.unwrap_or(0), "{date}");
            // Signed with the right time, a refusal has another reason.
            assert!(!clock.correct(clock.now(), &headers), "{date}");
        }
    }
}
