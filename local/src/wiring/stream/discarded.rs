use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use time::macros::format_description;
use uuid::Uuid;

use crate::services::dynamodb::StreamRecord;
use crate::timestamp::{format, timestamp};

/// A batch that the mapping gave up on.
#[derive(Debug)]
pub(super) struct DiscardedBatch<'a> {
    pub(super) function_arn: String,
    pub(super) stream_arn: &'a str,
    pub(super) shard_id: &'a str,
    /// `RetryAttemptsExhausted` or `RecordAgeExceeded`.
    pub(super) condition: &'static str,
    /// How often the function had it.
    pub(super) invocations: u32,
    /// Whether the last invocation failed, and did not only report failures.
    pub(super) function_error: bool,
    /// First and last record; of a window that has none left to offer, of the whole window.
    pub(super) first: &'a RecordPosition,
    pub(super) last: &'a RecordPosition,
    pub(super) count: usize,
    pub(super) event: &'a Value,
}

/// Where a batch begins or ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecordPosition {
    pub(super) sequence_number: String,
    pub(super) created: SystemTime,
}

impl From<&StreamRecord> for RecordPosition {
    fn from(record: &StreamRecord) -> Self {
        Self {
            sequence_number: record.sequence_number().to_owned(),
            created: record.created(),
        }
    }
}

impl DiscardedBatch<'_> {
    /// The [invocation record](https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html) that Lambda
    /// writes to a bucket: only there it holds the event itself.
    pub(super) fn invocation_record(&self, now: SystemTime) -> Value {
        let mut response = json!({ "statusCode": 200, "executedVersion": "$LATEST" });
        if self.function_error {
            response["functionError"] = "Unhandled".into();
        }
        json!({
            "requestContext": {
                "requestId": Uuid::new_v4().to_string(),
                "functionArn": self.function_arn,
                "condition": self.condition,
                "approximateInvokeCount": self.invocations,
            },
            "responseContext": response,
            "version": "1.0",
            "timestamp": timestamp(now),
            "DDBStreamBatchInfo": {
                "shardId": self.shard_id,
                "startSequenceNumber": self.first.sequence_number,
                "endSequenceNumber": self.last.sequence_number,
                "approximateArrivalOfFirstRecord": seconds(self.first.created),
                "approximateArrivalOfLastRecord": seconds(self.last.created),
                "batchSize": self.count,
                "streamArn": self.stream_arn,
            },
            "payload": self.event.to_string(),
        })
    }

    /// Key of the [object](https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html) that it goes to.
    pub(super) fn key(&self, mapping: Uuid, now: SystemTime) -> String {
        let day = format(now, format_description!("[year]/[month]/[day]"));
        let second = format(
            now,
            format_description!("[year]-[month]-[day]T[hour].[minute].[second]"),
        );
        let shard = self.shard_id;
        format!(
            "aws/lambda/{mapping}/{shard}/{day}/{second}-{}",
            Uuid::new_v4()
        )
    }
}

/// A window's edge as events have it.
pub(super) fn seconds(time: SystemTime) -> String {
    format(
        time,
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z"),
    )
}

/// Start of the tumbling window of this length that a time is in: windows begin at multiples of their length.
pub(super) fn window_start(time: SystemTime, length: Duration) -> SystemTime {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = since.as_secs() - since.as_secs() % length.as_secs().max(1);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}
