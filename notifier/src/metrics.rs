//! What CloudWatch is told of invocations: lines of the log in its [embedded metric format][emf].
//!
//! [emf]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

use std::io::{self, Write};

use metrics::{Unit, describe_histogram, histogram};
use metrics_cloudwatch_embedded::{Builder, Collector};

/// Namespace of all metrics.
const NAMESPACE: &str = "Intake";
/// The dimension that tells the notifier's from the importer's.
const SERVICE: (&str, &str) = ("service", "notifier");

/// Every metric, with its unit. `docs/OPERATIONS.md` says what they are.
const METRICS: [(&str, Unit); 4] = [
    ("records", Unit::Count),
    ("digests", Unit::Count),
    ("suppressed", Unit::Count),
    ("publish_failures", Unit::Count),
];

/// Where values are gathered until they are written.
#[derive(Clone, Copy)]
pub(crate) struct Metrics(&'static Collector);

impl Metrics {
    /// Gathers values in this process, whose only such place this must be.
    pub(crate) fn init() -> Result<Self, lambda_runtime::Error> {
        let (name, value) = SERVICE;
        let collector = Builder::new()
            .cloudwatch_namespace(NAMESPACE)
            .with_dimension(name, value)
            .init()?;
        for (name, unit) in METRICS {
            describe_histogram!(name, unit, "");
        }
        Ok(Self(collector))
    }

    /// Writes what was gathered as a line of the log.
    pub(crate) fn write(self) {
        // Locked, so that no other line gets into this one.
        self.write_to(io::stdout().lock());
    }

    fn write_to(self, out: impl Write) {
        if let Err(error) = self.0.flush(out) {
            tracing::warn!(%error, "metrics could not be written");
        }
    }
}

/// Gathers a value for the invocation's line, if any is written.
pub(crate) fn add(name: &'static str, value: u64) {
    debug_assert!(METRICS.iter().any(|(known, _)| *known == name), "{name}");
    // Counters would be repeated in each line; a histogram's values are written once.
    histogram!(name).record(value as f64);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The only test that gathers, as there is one place in a process.
    #[test]
    fn a_line_has_what_cloudwatch_needs() {
        let metrics = Metrics::init().unwrap();
        add("records", 7);
        add("suppressed", 0);
        let mut line = Vec::new();
        metrics.write_to(&mut line);
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(line["service"], "notifier");
        assert_eq!(line["records"], json!([7.0]));
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "Intake");
        assert_eq!(directive["Dimensions"], json!([["service"]]));
        let unit = json!({ "Name": "records", "Unit": "Count" });
        assert!(directive["Metrics"].as_array().unwrap().contains(&unit));
        // Other tests may gather meanwhile, but no records.
        let mut again = Vec::new();
        metrics.write_to(&mut again);
        assert!(!String::from_utf8(again).unwrap().contains("records"));
    }
}
