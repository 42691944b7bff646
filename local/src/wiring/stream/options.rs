use std::time::Duration;

use crate::error::LocalError;

/// Most [records of a batch](https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html).
pub const MAX_BATCH_SIZE: usize = 10_000;
/// Longest [batching window](https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html).
pub const MAX_BATCHING_WINDOW: Duration = Duration::from_mins(5);
/// Longest [tumbling window](https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html).
pub const MAX_TUMBLING_WINDOW: Duration = Duration::from_mins(15);
/// Highest [parallelisation factor](https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html).
pub const MAX_PARALLELIZATION_FACTOR: usize = 10;
/// Most [retries, if they are limited](https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html).
pub const MAX_RETRY_ATTEMPTS: u32 = 10_000;
/// Shortest [record age that can be set](https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-lambda-eventsourcemapping.html).
pub const MIN_RECORD_AGE: Duration = Duration::from_mins(1);
/// How long [a stream keeps its records](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html#Streams.DataRetention):
/// nothing is offered again after that.
pub const STREAM_RETENTION: Duration = Duration::from_hours(24);

/// Configuration of the event source mapping from the table's stream to the notifier, named and limited
/// [as Lambda's](https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html). The default is what
/// `sam/template.yaml` sets; its windows are too long for somebody who waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamMappingOptions {
    /// Most records of an event, 1 to [`MAX_BATCH_SIZE`].
    pub batch_size: usize,
    /// How long records are gathered for an event that is not full, up to [`MAX_BATCHING_WINDOW`].
    pub batching_window: Duration,
    /// Length of a tumbling window in whole seconds, up to [`MAX_TUMBLING_WINDOW`]; zero for none.
    pub tumbling_window: Duration,
    /// Batches of a shard that may be under way at once, 1 to [`MAX_PARALLELIZATION_FACTOR`]; 1 with tumbling windows.
    pub parallelization_factor: usize,
    /// Whether a batch whose invocation failed is halved.
    pub bisect_batch_on_function_error: bool,
    /// How often a batch that cannot be split is offered again, up to [`MAX_RETRY_ATTEMPTS`]; without it until its records
    /// are too old.
    pub maximum_retry_attempts: Option<u32>,
    /// How old a record may be that is given to the function, from [`MIN_RECORD_AGE`]; without it [`STREAM_RETENTION`].
    pub maximum_record_age: Option<Duration>,
    /// Whether the function's `batchItemFailures` are looked at (`ReportBatchItemFailures`).
    pub report_batch_item_failures: bool,
    /// The filter criteria `{"eventName": […]}`; empty for none. What they leave out is neither counted nor told.
    pub event_names: Vec<String>,
    /// Whether what is given up goes to the bucket, under `aws/lambda/`.
    pub on_failure: bool,
    /// Shards that the stream is divided into by partition key. `dynoxide` has one, AWS as many as the table's partitions.
    pub shards: usize,
}

impl Default for StreamMappingOptions {
    fn default() -> Self {
        Self {
            batch_size: MAX_BATCH_SIZE,
            batching_window: Duration::from_secs(10),
            tumbling_window: Duration::from_mins(1),
            parallelization_factor: 1,
            bisect_batch_on_function_error: true,
            maximum_retry_attempts: Some(100),
            maximum_record_age: Some(Duration::from_hours(6)),
            report_batch_item_failures: true,
            event_names: vec!["INSERT".to_owned()],
            on_failure: true,
            shards: 1,
        }
    }
}

impl StreamMappingOptions {
    /// The template's mapping with other windows: records are told `tumbling_window` after they were written at the
    /// latest, and gathered for a tenth of it.
    #[must_use]
    pub fn with_tumbling_window(tumbling_window: Duration) -> Self {
        Self {
            batching_window: tumbling_window / 10,
            tumbling_window,
            ..Self::default()
        }
    }

    /// The template's mapping without a tumbling window, and with hardly a batching window: each batch stands alone.
    #[must_use]
    pub fn without_window() -> Self {
        Self {
            batching_window: Duration::from_millis(100),
            tumbling_window: Duration::ZERO,
            ..Self::default()
        }
    }

    /// Whether Lambda would make such a mapping.
    pub(crate) fn check(&self) -> Result<(), LocalError> {
        let windowed = !self.tumbling_window.is_zero();
        let names = ["INSERT", "MODIFY", "REMOVE"];
        let wrong = [
            (
                !(1..=MAX_BATCH_SIZE).contains(&self.batch_size),
                "batch_size must be 1 to 10,000",
            ),
            (
                self.batching_window > MAX_BATCHING_WINDOW,
                "batching_window must be 300 s at most",
            ),
            (
                self.tumbling_window > MAX_TUMBLING_WINDOW
                    || self.tumbling_window.subsec_nanos() > 0,
                "tumbling_window must be 0 to 900 whole seconds",
            ),
            (
                !(1..=MAX_PARALLELIZATION_FACTOR).contains(&self.parallelization_factor),
                "parallelization_factor must be 1 to 10",
            ),
            (
                windowed && self.parallelization_factor > 1,
                "parallelization_factor must be 1 with a tumbling window",
            ),
            (
                self.maximum_retry_attempts
                    .is_some_and(|attempts| attempts > MAX_RETRY_ATTEMPTS),
                "maximum_retry_attempts must be 10,000 at most",
            ),
            (
                self.maximum_record_age
                    .is_some_and(|age| age < MIN_RECORD_AGE),
                "maximum_record_age must be 60 s at least",
            ),
            (
                !self
                    .event_names
                    .iter()
                    .all(|name| names.contains(&name.as_str())),
                "event_names must be INSERT, MODIFY or REMOVE",
            ),
            (self.shards == 0, "shards must be 1 at least"),
        ];
        match wrong.into_iter().find(|(is_wrong, _)| *is_wrong) {
            Some((_, reason)) => Err(LocalError::StreamMapping { reason }),
            None => Ok(()),
        }
    }

    /// How many batches may be under way at once, over all shards.
    pub(crate) fn lanes(&self) -> usize {
        self.shards * self.parallelization_factor
    }

    /// How old a record may be that is given to the function.
    pub(super) fn record_age(&self) -> Duration {
        let age = self.maximum_record_age.unwrap_or(STREAM_RETENTION);
        age.min(STREAM_RETENTION)
    }

    /// Whether the filter lets a record pass.
    pub(super) fn wants(&self, event_name: &str) -> bool {
        self.event_names.is_empty() || self.event_names.iter().any(|name| name == event_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_refused_as_lambda_refuses_them() {
        type Change = fn(&mut StreamMappingOptions);
        let cases: [(Change, &str); 14] = [
            (|_| {}, ""),
            (|o| o.batch_size = 0, "batch_size"),
            (|o| o.batch_size = 10_001, "batch_size"),
            (
                |o| o.batching_window = Duration::from_secs(301),
                "batching_window",
            ),
            (
                |o| o.tumbling_window = Duration::from_secs(901),
                "tumbling_window",
            ),
            (
                |o| o.tumbling_window = Duration::from_millis(1500),
                "tumbling_window",
            ),
            (|o| o.tumbling_window = Duration::ZERO, ""),
            (|o| o.parallelization_factor = 2, "with a tumbling window"),
            (|o| o.parallelization_factor = 11, "1 to 10"),
            (
                |o| o.maximum_retry_attempts = Some(10_001),
                "maximum_retry_attempts",
            ),
            (|o| o.maximum_retry_attempts = None, ""),
            (
                |o| o.maximum_record_age = Some(Duration::from_secs(59)),
                "maximum_record_age",
            ),
            (|o| o.event_names = vec!["insert".to_owned()], "event_names"),
            (|o| o.shards = 0, "shards"),
        ];
        for (change, reason) in cases {
            let mut options = StreamMappingOptions::default();
            change(&mut options);
            let said = options.check().err().map(|error| error.to_string());
            let said = said.unwrap_or_default();
            assert_eq!(said.is_empty(), reason.is_empty(), "{options:?}: {said}");
            assert!(said.contains(reason), "{options:?}: {said}");
        }
    }
}
