//! The notifier's metrics.

use cloud::metrics::{Metrics, Unit};

/// Every metric, with its unit. `docs/OPERATIONS.md` says what they are.
pub(crate) static METRICS: Metrics = Metrics::new(
    "notifier",
    &[
        ("records", Unit::Count),
        ("digests", Unit::Count),
        ("suppressed", Unit::Count),
        ("publish_failures", Unit::Count),
    ],
);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The only test that gathers, as there is one place in a process.
    #[test]
    fn a_line_has_what_cloudwatch_needs() {
        METRICS.init().unwrap();
        METRICS.add("records", 7.0);
        METRICS.add("suppressed", 0.0);
        let mut line = Vec::new();
        METRICS.write_to(&mut line);
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
        METRICS.write_to(&mut again);
        assert!(!String::from_utf8(again).unwrap().contains("records"));
    }
}
