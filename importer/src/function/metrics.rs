//! The importer's metrics.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cloud::metrics::{Metrics, Unit};

use crate::progress::{Counts, Progress};

/// How often a running import writes its metrics.
const EVERY: Duration = Duration::from_mins(1);

/// Every metric, with its unit. `docs/OPERATIONS.md` says what they are.
pub(crate) static METRICS: Metrics = Metrics::new(
    "importer",
    &[
        ("rows_read", Unit::Count),
        ("rows_written", Unit::Count),
        ("rows_superseded", Unit::Count),
        ("rows_rejected", Unit::Count),
        ("bytes_read", Unit::Bytes),
        ("consumed_wcu", Unit::Count),
        ("throttles", Unit::Count),
        ("retries", Unit::Count),
        ("in_flight", Unit::Count),
        ("batch_latency_p50_ms", Unit::Milliseconds),
        ("batch_latency_p99_ms", Unit::Milliseconds),
        ("limiter_rate_wcu", Unit::Count),
        ("cold_start", Unit::Count),
        ("remaining_time_ms", Unit::Milliseconds),
        ("jobs_completed", Unit::Count),
        ("jobs_failed", Unit::Count),
    ],
);

/// A metric's name and one value.
type Value = (&'static str, f64);

/// Runs `import` to its end. What `progress` counts meanwhile is written each minute; the rest is gathered.
pub(crate) async fn follow<F: Future>(progress: &Arc<Progress>, import: F) -> F::Output {
    let mut meter = Meter::new(Arc::clone(progress));
    let mut import = pin!(import);
    loop {
        let ended = tokio::select! {
            biased;
            ended = &mut import => Some(ended),
            () = tokio::time::sleep(EVERY) => None,
        };
        for (name, value) in meter.read() {
            METRICS.add(name, value);
        }
        match ended {
            Some(ended) => return ended,
            None => METRICS.write(),
        }
    }
}

/// Tells what an import has done since it was last asked.
struct Meter {
    progress: Arc<Progress>,
    before: Counts,
}

impl Meter {
    fn new(progress: Arc<Progress>) -> Self {
        Self {
            before: progress.counts(),
            progress,
        }
    }

    fn read(&mut self) -> Vec<Value> {
        let (now, before) = (self.progress.counts(), self.before);
        self.before = now;
        let more = |count: fn(&Counts) -> u64| (count(&now) - count(&before)) as f64;
        let mut values = vec![
            ("rows_read", more(|counts| counts.rows_read)),
            ("rows_written", more(|counts| counts.rows_written)),
            ("rows_superseded", more(|counts| counts.rows_superseded)),
            ("rows_rejected", more(|counts| counts.rows_rejected)),
            ("bytes_read", more(|counts| counts.bytes_read)),
            ("consumed_wcu", now.consumed_wcu - before.consumed_wcu),
            ("throttles", more(|counts| counts.throttles)),
            ("retries", more(|counts| counts.retries)),
        ];
        let traffic = self.progress.traffic().take();
        values.extend(traffic.rate_wcu.map(|rate| ("limiter_rate_wcu", rate)));
        if let Some([p50, p99]) = traffic.latency {
            values.push(("in_flight", traffic.in_flight_max as f64));
            values.push(("batch_latency_p50_ms", p50.as_secs_f64() * 1000.0));
            values.push(("batch_latency_p99_ms", p99.as_secs_f64() * 1000.0));
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_meter_tells_what_is_new() {
        let progress = Arc::new(Progress::default());
        progress.read_row();
        let mut meter = Meter::new(Arc::clone(&progress));
        for _ in 0..3 {
            progress.read_row();
        }
        progress.read_bytes(77);
        progress.wrote(2, 2.5);
        progress.rejected();
        progress.throttled();
        progress.retried();
        let traffic = progress.traffic();
        traffic.sends(Some(1000.0));
        traffic.sends(None);
        traffic.answered(Duration::from_millis(40));
        traffic.answered(Duration::from_millis(80));
        traffic.sends(Some(500.0));
        let values = meter.read();
        let value = |name| {
            values
                .iter()
                .find(|(n, _)| *n == name)
                .map_or_else(|| panic!("no {name}"), |(_, value)| *value)
        };
        for (name, expected) in [
            ("rows_read", 3.0),
            ("rows_written", 2.0),
            ("rows_superseded", 0.0),
            ("rows_rejected", 1.0),
            ("bytes_read", 77.0),
            ("consumed_wcu", 2.5),
            ("throttles", 1.0),
            ("retries", 1.0),
            ("in_flight", 2.0),
            ("limiter_rate_wcu", 500.0),
        ] {
            assert_eq!(value(name).to_bits(), f64::to_bits(expected), "{name}");
        }
        // To two digits.
        assert!((value("batch_latency_p50_ms") - 40.0).abs() < 0.5);
        assert!((value("batch_latency_p99_ms") - 80.0).abs() < 1.0);

        let quiet = meter.read();
        assert!(
            quiet
                .iter()
                .all(|(name, value)| *value == 0.0 || *name == "limiter_rate_wcu")
        );
        assert!(
            !quiet
                .iter()
                .any(|(name, _)| name.starts_with("batch_latency"))
        );
    }

    /// The only test that gathers, as there is one place in a process.
    #[tokio::test(start_paused = true)]
    async fn a_line_has_what_cloudwatch_needs() {
        METRICS.init().unwrap();
        let line = || {
            let mut line = Vec::new();
            METRICS.write_to(&mut line);
            String::from_utf8(line).unwrap()
        };
        assert_eq!(line(), "");
        let progress = Arc::new(Progress::default());
        let import = async {
            progress.read_row();
            progress.wrote(1, 1.0);
            7
        };
        assert_eq!(follow(&progress, import).await, 7);
        METRICS.add("jobs_completed", 1.0);
        METRICS.add("remaining_time_ms", 899_000.0);
        let line = line();
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["service"], "importer");
        assert_eq!(value["rows_written"], json!([1.0]));
        assert_eq!(value["jobs_completed"], json!([1.0]));
        let directive = &value["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "Intake");
        assert_eq!(directive["Dimensions"], json!([["service"]]));
        let metrics = directive["Metrics"].as_array().unwrap();
        let unit = json!({ "Name": "remaining_time_ms", "Unit": "Milliseconds" });
        assert!(metrics.contains(&unit), "{line}");
        assert!(
            metrics.contains(&json!({ "Name": "bytes_read", "Unit": "Bytes" })),
            "{line}"
        );
        assert!(value["_aws"]["Timestamp"].is_u64());
    }
}
