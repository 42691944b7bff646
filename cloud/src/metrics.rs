//! Metrics for CloudWatch: lines of the log in its [embedded metric format][emf].
//!
//! [emf]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

use std::io::{self, Write};
use std::sync::OnceLock;

pub use metrics::Unit;
use metrics::{describe_histogram, histogram};
use metrics_cloudwatch_embedded::{Builder, Collector};

/// Namespace of all metrics.
const NAMESPACE: &str = "Intake";

/// The metrics of a function. They drop their values until they are [`init`](Metrics::init)ialized.
pub struct Metrics {
    service: &'static str,
    table: &'static [(&'static str, Unit)],
    collector: OnceLock<&'static Collector>,
}

impl Metrics {
    /// The metrics of the function `service`: each one's name and the unit of its values.
    pub const fn new(service: &'static str, table: &'static [(&'static str, Unit)]) -> Self {
        Self {
            service,
            table,
            collector: OnceLock::new(),
        }
    }

    /// Collects values from now on. A process can have one `Metrics` that does.
    ///
    /// # Errors
    ///
    /// The process collects metrics already.
    pub fn init(&self) -> Result<(), lambda_runtime::Error> {
        let collector = Builder::new()
            .cloudwatch_namespace(NAMESPACE)
            .with_dimension("service", self.service)
            .init()?;
        for &(name, unit) in self.table {
            describe_histogram!(name, unit, "");
        }
        self.collector.get_or_init(|| collector);
        Ok(())
    }

    /// Adds a value, in the metric's unit, to the next line.
    pub fn add(&self, name: &'static str, value: f64) {
        debug_assert!(self.table.iter().any(|(known, _)| *known == name), "{name}");
        if self.collector.get().is_some() {
            // Counters and gauges would be repeated in each line; a histogram's values are written once.
            histogram!(name).record(value);
        }
    }

    /// Writes the values since the last line as a line of the log, if there are any.
    pub fn write(&self) {
        // Locked, so that no other line gets into this one.
        self.write_to(io::stdout().lock());
    }

    /// [`write`](Self::write)s to `out` instead.
    pub fn write_to(&self, out: impl Write) {
        let written = self.collector.get().map_or(Ok(()), |c| c.flush(out));
        if let Err(error) = written {
            tracing::warn!(%error, "metrics could not be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_init_nothing_is_written() {
        let metrics = Metrics::new("test", &[("cold_start", Unit::Count)]);
        metrics.add("cold_start", 1.0);
        let mut out = Vec::new();
        metrics.write_to(&mut out);
        assert!(out.is_empty());
    }
}
