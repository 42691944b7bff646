//! What Lambda calls the function with, and what it wants to hear.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-windows.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::digest::{DIGEST_BYTES_MAX, Digest, Window};

/// Bytes of a window's state; beyond that Lambda ends the window early.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-windows.html>
pub const STATE_BYTES_MAX: usize = 1_000_000;

const _: () = assert!(DIGEST_BYTES_MAX + 1000 <= STATE_BYTES_MAX);

/// A DynamoDB stream event, of a tumbling window or without one. Its records are not looked at yet, so that one of them
/// that is broken does not spoil the others.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The records in stream order, each as it came.
    #[serde(rename = "Records")]
    pub records: Box<RawValue>,
    /// The window that the records belong to; absent when the event source mapping has no tumbling window.
    #[serde(default)]
    pub window: Option<Window>,
    /// What the last invocation of this window returned; empty at its first.
    #[serde(default)]
    pub state: Option<Box<RawValue>>,
    /// The shard.
    #[serde(default)]
    pub shard_id: Option<String>,
    /// The stream.
    #[serde(default, rename = "eventSourceARN")]
    pub event_source_arn: Option<String>,
    /// Whether the window has ended.
    #[serde(default)]
    pub is_final_invoke_for_window: Option<bool>,
    /// Whether the window goes on with a fresh state.
    #[serde(default)]
    pub is_window_terminated_early: Option<bool>,
}

/// What a window's invocations hand on to each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// What was counted.
    pub digest: Digest,
    /// Sequence number of the first record that was looked at.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub first: String,
    /// Sequence number of the last record that was looked at.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last: String,
}

/// What the function answers.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// Of a tumbling window, what the next invocation gets. An answer without it is a failure to Lambda.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// The record from which on the batch has to come again. Never together with a state that has counted it.
    pub batch_item_failures: Vec<BatchItemFailure>,
}

/// A record that has to come again, and all after it.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    /// Its sequence number. An empty one fails the whole batch.
    pub item_identifier: String,
}

impl Event {
    /// Whether this is the last call of its window, or of its state.
    pub fn ends_state(&self) -> bool {
        self.window.is_none()
            || self.is_final_invoke_for_window == Some(true)
            || self.is_window_terminated_early == Some(true)
    }
}

impl State {
    /// Notes a record's sequence number. `false` when the record was looked at before: numbers grow within a shard, and
    /// Lambda calls with records in order, but for those that it repeats.
    pub fn advance(&mut self, sequence_number: &str) -> bool {
        if !self.last.is_empty() && order(sequence_number) <= order(&self.last) {
            return false;
        }
        if self.first.is_empty() {
            sequence_number.clone_into(&mut self.first);
        }
        sequence_number.clone_into(&mut self.last);
        true
    }
}

/// What orders sequence numbers as the numbers they are, however long.
fn order(number: &str) -> (usize, &str) {
    let digits = number.trim_start_matches('0');
    (digits.len(), digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_are_ordered_as_numbers() {
        let mut state = State::default();
        for (number, new) in [
            ("99", true),
            ("99", false),
            ("100", true),
            ("0100", false),
            ("99", false),
            ("4421584500000000017450439092", true),
            ("4421584500000000017450439091", false),
        ] {
            assert_eq!(state.advance(number), new, "{number}");
        }
        assert_eq!(state.first, "99");
        assert_eq!(state.last, "4421584500000000017450439092");
    }

    #[test]
    fn a_state_ends_with_its_window_or_its_batch() {
        let window = r#""window":{"start":"2026-11-23T09:00:00Z","end":"2026-11-23T09:01:00Z"}"#;
        for (event, ends) in [
            (r#"{"Records":[]}"#.to_owned(), true),
            (format!(r#"{{"Records":[],{window}}}"#), false),
            (
                format!(
                    r#"{{"Records":[],{window},"isFinalInvokeForWindow":false,"isWindowTerminatedEarly":null}}"#
                ),
                false,
            ),
            (
                format!(r#"{{"Records":[],{window},"isFinalInvokeForWindow":true}}"#),
                true,
            ),
            (
                format!(r#"{{"Records":[],{window},"isWindowTerminatedEarly":true}}"#),
                true,
            ),
        ] {
            let read: Event = serde_json::from_str(&event).unwrap();
            assert_eq!(read.ends_state(), ends, "{event}");
        }
    }
}
