//! Queue attributes, and the digest and choice of message attributes.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::SqsError;
use super::queue::{MAX_MESSAGE_BYTES, MessageAttribute, Queue, QueueSettings, Redrive, md5_hex};
use super::queues::Queues;

/// Longest [visibility timeout](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html).
pub(super) const MAX_VISIBILITY_SECONDS: i64 = 43_200;
/// Longest [delay](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html).
pub(super) const MAX_DELAY_SECONDS: i64 = 900;
/// Longest [wait for a message](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html).
pub(super) const MAX_WAIT_SECONDS: i64 = 20;

/// `seconds` as a duration, if it is within 0 and `max`.
pub(super) fn seconds(parameter: &str, seconds: i64, max: i64) -> Result<Duration, SqsError> {
    let in_range = u64::try_from(seconds).ok().filter(|_| seconds <= max);
    in_range
        .map(Duration::from_secs)
        .ok_or_else(|| SqsError::out_of_range(parameter, seconds, 0, max))
}

/// `settings` with what the attributes of `CreateQueue` or `SetQueueAttributes` ask for.
pub(super) fn settings(
    mut settings: QueueSettings,
    attributes: &BTreeMap<String, String>,
    queues: &Queues,
) -> Result<QueueSettings, SqsError> {
    for (name, value) in attributes {
        let number = |max| {
            let number = value
                .parse()
                .map_err(|_| SqsError::invalid_value(format!("{name} is not a whole number")))?;
            seconds(name, number, max)
        };
        match name.as_str() {
            "VisibilityTimeout" => settings.visibility_timeout = number(MAX_VISIBILITY_SECONDS)?,
            "DelaySeconds" => settings.delay = number(MAX_DELAY_SECONDS)?,
            "ReceiveMessageWaitTimeSeconds" => settings.receive_wait = number(MAX_WAIT_SECONDS)?,
            // Empty takes it away.
            "RedrivePolicy" if value.is_empty() => settings.redrive = None,
            "RedrivePolicy" => settings.redrive = Some(redrive(value, queues)?),
            "Policy" if value.is_empty() => settings.policy = None,
            "Policy" => settings.policy = Some(policy(value)?),
            _ => return Err(SqsError::invalid_attribute(name)),
        }
    }
    Ok(settings)
}

fn policy(text: &str) -> Result<String, SqsError> {
    let parsed = serde_json::from_str::<Value>(text).ok();
    parsed
        .filter(|policy| policy.get("Statement").is_some())
        .map(|_| text.to_owned())
        .ok_or_else(|| SqsError::invalid_value("Invalid value for the parameter Policy."))
}

fn redrive(policy: &str, queues: &Queues) -> Result<Redrive, SqsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Policy {
        dead_letter_target_arn: String,
        max_receive_count: Value,
    }
    let invalid = |reason: &str| {
        SqsError::invalid_value(format!(
            "Value {policy} for parameter RedrivePolicy is invalid. Reason: {reason}"
        ))
    };
    let parsed: Policy =
        serde_json::from_str(policy).map_err(|error| invalid(&error.to_string()))?;
    // Written as a number or as a string, both are accepted.
    let count = parsed.max_receive_count;
    let count = count.as_u64().or_else(|| count.as_str()?.parse().ok());
    // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
    let count = count.filter(|count| (1..=1_000).contains(count));
    let count = count.ok_or_else(|| invalid("maxReceiveCount must be between 1 and 1000."))?;
    let name = parsed
        .dead_letter_target_arn
        .rsplit(':')
        .next()
        .unwrap_or_default();
    let target = queues
        .find(name)
        .ok_or_else(|| invalid("Dead letter target does not exist."))?;
    Ok(Redrive {
        dead_letter_queue: target,
        max_receive_count: count as u32,
    })
}

/// All attributes of a queue, by name.
pub(super) fn describe(queue: &Queue) -> BTreeMap<&'static str, String> {
    let (settings, depth) = (queue.settings(), queue.depth());
    let created = queue
        .created()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
        .to_string();
    let mut attributes = BTreeMap::from([
        ("QueueArn", queue.arn()),
        ("ApproximateNumberOfMessages", depth.visible.to_string()),
        (
            "ApproximateNumberOfMessagesNotVisible",
            depth.in_flight.to_string(),
        ),
        (
            "ApproximateNumberOfMessagesDelayed",
            depth.delayed.to_string(),
        ),
        ("CreatedTimestamp", created.clone()),
        ("LastModifiedTimestamp", created),
        (
            "VisibilityTimeout",
            settings.visibility_timeout.as_secs().to_string(),
        ),
        ("DelaySeconds", settings.delay.as_secs().to_string()),
        (
            "ReceiveMessageWaitTimeSeconds",
            settings.receive_wait.as_secs().to_string(),
        ),
        ("MaximumMessageSize", MAX_MESSAGE_BYTES.to_string()),
    ]);
    if let Some(redrive) = &settings.redrive {
        let policy = json!({
            "deadLetterTargetArn": redrive.dead_letter_queue.arn(),
            "maxReceiveCount": redrive.max_receive_count,
        });
        attributes.insert("RedrivePolicy", policy.to_string());
    }
    if let Some(policy) = settings.policy {
        attributes.insert("Policy", policy);
    }
    attributes
}

/// Whether one of the names asked for (`All`, `.*`, `name`, `prefix.*`) covers `name`.
pub(super) fn asked_for(asked: &[String], name: &str) -> bool {
    asked.iter().any(|asked| match asked.strip_suffix(".*") {
        Some(prefix) => name.starts_with(prefix),
        None => asked == "All" || asked == name,
    })
}

/// `MD5OfMessageAttributes`, by
/// [SQS's recipe](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html#sqs-attributes-md5-message-digest-calculation);
/// `None` without attributes.
pub(super) fn md5_of_attributes(attributes: &BTreeMap<String, MessageAttribute>) -> Option<String> {
    let mut encoded = Vec::new();
    let mut field = |bytes: &[u8], kind: Option<u8>| {
        encoded.extend(kind);
        encoded.extend((bytes.len() as u32).to_be_bytes());
        encoded.extend(bytes);
    };
    for (name, attribute) in attributes {
        field(name.as_bytes(), None);
        field(attribute.data_type.as_bytes(), None);
        match attribute.binary() {
            Some(bytes) => field(&bytes, Some(2)),
            None => field(attribute.value.as_bytes(), Some(1)),
        }
    }
    (!attributes.is_empty()).then(|| md5_hex(&encoded))
}

impl MessageAttribute {
    /// The bytes, if it is of type `Binary` and its value is base64.
    fn binary(&self) -> Option<Vec<u8>> {
        let binary = self
            .data_type
            .starts_with("Binary")
            .then_some(&self.value)?;
        BASE64_STANDARD.decode(binary).ok()
    }

    /// Checks and keeps an attribute of a request.
    pub(super) fn from_request(name: &str, attribute: AttributeValue) -> Result<Self, SqsError> {
        let invalid =
            |reason| SqsError::invalid_value(format!("The message attribute '{name}' {reason}"));
        let AttributeValue {
            data_type,
            string_value,
            binary_value,
        } = attribute;
        let (value, binary) = match data_type.split('.').next() {
            Some("String" | "Number") => (string_value, false),
            Some("Binary") => (binary_value, true),
            _ => return Err(invalid("must have the data type String, Number or Binary.")),
        };
        let value = value
            .filter(|value| !value.is_empty())
            .ok_or_else(|| invalid("must have a non-empty value."))?;
        let attribute = Self { data_type, value };
        if binary && attribute.binary().is_none() {
            return Err(invalid("is not base64."));
        }
        Ok(attribute)
    }

    /// As a response has it.
    pub(super) fn to_json(&self) -> Value {
        let value = if self.data_type.starts_with("Binary") {
            "BinaryValue"
        } else {
            "StringValue"
        };
        json!({ "DataType": self.data_type, value: self.value })
    }
}

/// A message attribute in a request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AttributeValue {
    data_type: String,
    string_value: Option<String>,
    binary_value: Option<String>,
}

impl AttributeValue {
    /// What it adds to the message's size.
    pub(super) fn size_bytes(&self) -> usize {
        let values = [&self.string_value, &self.binary_value]
            .into_iter()
            .flatten();
        self.data_type.len() + values.map(String::len).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_chosen_by_name_prefix_or_all() {
        for (asked, name, covered) in [
            ("All", "a", true),
            (".*", "a", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("trace.*", "trace.id", true),
            ("trace.*", "other", false),
        ] {
            assert_eq!(
                asked_for(&[asked.to_owned()], name),
                covered,
                "{asked} {name}"
            );
        }
        assert!(!asked_for(&[], "a"));
    }
}
