use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::SnsError;
use crate::services::query::Form;
use crate::timestamp::timestamp;

/// Largest [message, and largest batch of messages](https://docs.aws.amazon.com/sns/latest/api/API_Publish.html):
/// 256 KiB, attributes included.
pub(super) const MAX_MESSAGE_BYTES: usize = 262_144;
/// A [subject](https://docs.aws.amazon.com/sns/latest/api/API_Publish.html) is shorter than this many characters.
const SUBJECT_CHARS: usize = 100;

/// A message that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The `MessageId` that the publisher got back.
    pub id: String,
    /// ARN of the topic.
    pub topic_arn: String,
    /// The subject line, if any.
    pub subject: Option<String>,
    /// The text; with `MessageStructure=json` the `default` entry.
    pub message: String,
    /// With `MessageStructure=json`, the text for each protocol that has its own (`default` included).
    pub by_protocol: BTreeMap<String, String>,
    /// Message attributes: name to string value.
    pub attributes: BTreeMap<String, String>,
    /// Their data types, such as `String` and `Number`.
    pub attribute_types: BTreeMap<String, String>,
    /// When it was published, in RFC 3339 with milliseconds, in UTC.
    pub timestamp: String,
}

impl Message {
    /// What a subscriber with this protocol (`email`, `sqs`, `https`, …) would read.
    pub fn for_protocol(&self, protocol: &str) -> &str {
        self.by_protocol.get(protocol).unwrap_or(&self.message)
    }

    /// Checks a message as SNS does. Its parameters are those of `form` that begin with `prefix`.
    pub(super) fn from_form(topic_arn: &str, form: &Form, prefix: &str) -> Result<Self, SnsError> {
        let parameter = |name: &str| form.get(&format!("{prefix}{name}"));
        let subject = parameter("Subject");
        if subject.is_some_and(|subject| !is_subject(subject)) {
            return Err(SnsError::invalid("Subject"));
        }
        let text = parameter("Message").map_or("", String::as_str);
        if text.is_empty() {
            return Err(SnsError::invalid("Empty message"));
        }
        if size_bytes(form, prefix) > MAX_MESSAGE_BYTES {
            return Err(SnsError::invalid("Message too long"));
        }
        let by_protocol = match parameter("MessageStructure").map(String::as_str) {
            None => BTreeMap::new(),
            Some("json") => by_protocol(text)?,
            Some(_) => return Err(SnsError::invalid("MessageStructure")),
        };
        let (attributes, attribute_types) = attributes(form, prefix)?;
        Ok(Self {
            id: Uuid::new_v4().to_string(),
            topic_arn: topic_arn.to_owned(),
            subject: subject.cloned(),
            message: by_protocol
                .get("default")
                .map_or(text, String::as_str)
                .to_owned(),
            by_protocol,
            attributes,
            attribute_types,
            timestamp: timestamp(OffsetDateTime::now_utc()),
        })
    }
}

/// What the message counts against [`MAX_MESSAGE_BYTES`]: its text and its attributes.
pub(super) fn size_bytes(form: &Form, prefix: &str) -> usize {
    let text = form.get(&format!("{prefix}Message")).map_or(0, String::len);
    let attributes = form.range(format!("{prefix}MessageAttributes.")..);
    let attributes =
        attributes.take_while(|(name, _)| name.starts_with(&format!("{prefix}MessageAttributes.")));
    text + attributes.map(|(_, value)| value.len()).sum::<usize>()
}

/// Whether SNS takes it as a [subject](https://docs.aws.amazon.com/sns/latest/api/API_Publish.html): text without
/// line breaks or control characters, shorter than [`SUBJECT_CHARS`].
fn is_subject(subject: &str) -> bool {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    !subject.is_empty() && !subject.contains(breaks) && subject.chars().count() < SUBJECT_CHARS
}

/// The texts of a message with `MessageStructure=json`. As
/// [documented](https://docs.aws.amazon.com/sns/latest/api/API_Publish.html): a `default` is required, other
/// values than strings are ignored, and keys must not repeat.
fn by_protocol(text: &str) -> Result<BTreeMap<String, String>, SnsError> {
    let texts: UniqueTexts = serde_json::from_str(text)
        .map_err(|_| SnsError::invalid("Message Structure - JSON message body failed to parse"))?;
    if !texts.0.contains_key("default") {
        return Err(SnsError::invalid(
            "Message Structure - No default entry in JSON message body",
        ));
    }
    Ok(texts.0)
}

/// The string members of a JSON object whose keys do not repeat.
struct UniqueTexts(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for UniqueTexts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = UniqueTexts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all: BTreeMap<String, Value> = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    if all.insert(key, value).is_some() {
                        return Err(A::Error::custom("a key repeats"));
                    }
                }
                let texts = all.into_iter().filter_map(|(key, value)| match value {
                    Value::String(text) => Some((key, text)),
                    _ => None,
                });
                Ok(UniqueTexts(texts.collect()))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

type Texts = BTreeMap<String, String>;

/// The values and the data types of `MessageAttributes.entry.1.Name` and so on, as the query protocol numbers them.
fn attributes(form: &Form, prefix: &str) -> Result<(Texts, Texts), SnsError> {
    let (mut attributes, mut types) = (BTreeMap::new(), BTreeMap::new());
    for number in 1.. {
        let part =
            |part: &str| form.get(&format!("{prefix}MessageAttributes.entry.{number}.{part}"));
        let Some(name) = part("Name") else { break };
        let data_type = part("Value.DataType").map_or("", String::as_str);
        let value = match data_type.split('.').next() {
            Some("String" | "Number") => part("Value.StringValue"),
            Some("Binary") => part("Value.BinaryValue"),
            _ => {
                return Err(SnsError::invalid(format!(
                    "The message attribute '{name}' has an invalid message attribute type"
                )));
            }
        };
        let value = value.filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| {
            SnsError::invalid(format!(
                "The message attribute '{name}' must contain non-empty message attribute value"
            ))
        })?;
        attributes.insert(name.clone(), value.clone());
        types.insert(name.clone(), data_type.to_owned());
    }
    Ok((attributes, types))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_checked() {
        let longest = "ü".repeat(99);
        let too_long = "s".repeat(100);
        for (subject, taken) in [
            ("Inventory Update", true),
            ("1 new product", true),
            ("[shop] new", true),
            (longest.as_str(), true),
            (too_long.as_str(), false),
            ("", false),
            ("two\nlines", false),
            ("tab\there", false),
            ("Prüfung", true),
        ] {
            assert_eq!(is_subject(subject), taken, "{subject:?}");
        }
    }

    #[test]
    fn json_messages_need_a_default_and_unique_keys() {
        for (text, taken) in [
            (r#"{"default":"d"}"#, true),
            (r#"{"default":"d","email":"e","sqs":{"not":"text"}}"#, true),
            (r#"{"email":"e"}"#, false),
            (r#"{"default":1}"#, false),
            (r#"{"default":"d","default":"e"}"#, false),
            ("[]", false),
            ("plain", false),
        ] {
            assert_eq!(by_protocol(text).is_ok(), taken, "{text}");
        }
        let texts = by_protocol(r#"{"default":"d","email":"e","sqs":{"not":"text"}}"#).unwrap();
        assert_eq!(texts.keys().collect::<Vec<_>>(), ["default", "email"]);
    }
}
