//! One record of a DynamoDB stream event: which change, and what to call the item.
//!
//! Only what a digest needs is read. An item's other attributes are skipped without being parsed.

use std::{borrow::Borrow, borrow::Cow, collections::BTreeMap, fmt, str::FromStr};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{Error, settings::Settings};

/// The kind of change, as the stream names it.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_Record.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EventName {
    /// An item was added to the table.
    Insert,
    /// An existing item was changed.
    Modify,
    /// An item was deleted from the table.
    Remove,
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Insert => "INSERT",
            Self::Modify => "MODIFY",
            Self::Remove => "REMOVE",
        })
    }
}

impl FromStr for EventName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Insert, Self::Modify, Self::Remove]
            .into_iter()
            .find(|name| name.to_string() == text.trim())
            .ok_or(())
    }
}

/// A change that the digest counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// What happened.
    pub event_name: EventName,
    /// What to call the item: its name attribute, else its key; any length, any characters.
    pub name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(rename = "eventName")]
    event_name: EventName,
    #[serde(borrow)]
    dynamodb: StreamRecord<'a>,
}

#[derive(Deserialize)]
struct StreamRecord<'a> {
    #[serde(rename = "Keys", borrow)]
    keys: Option<&'a RawValue>,
    #[serde(rename = "NewImage", borrow)]
    new_image: Option<&'a RawValue>,
    #[serde(rename = "OldImage", borrow)]
    old_image: Option<&'a RawValue>,
}

/// Attribute values by attribute name, in name order so that a composite key always reads the same way.
type Attributes<'a> = BTreeMap<AttributeName<'a>, &'a RawValue>;

/// An attribute name that is borrowed from the event unless it holds escapes.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(transparent)]
struct AttributeName<'a>(#[serde(borrow)] Cow<'a, str>);

impl Borrow<str> for AttributeName<'_> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The types of an attribute value that can name an item. Of any other type, every field is `None`.
#[derive(Deserialize)]
struct Scalar<'a> {
    #[serde(rename = "S", borrow)]
    string: Option<Cow<'a, str>>,
    #[serde(rename = "N", borrow)]
    number: Option<Cow<'a, str>>,
    /// Base64, as the stream sends it and as the AWS console shows it.
    #[serde(rename = "B", borrow)]
    binary: Option<Cow<'a, str>>,
}

/// Reads one record of an event. `None` when `settings` do not ask for its kind of change.
///
/// ```
/// use notifier::{record, settings::Settings};
/// use serde_json::value::RawValue;
///
/// # let settings = Settings::from_variables(|variable| {
/// #     (variable == "INTAKE_TOPIC_ARN").then(|| "arn:aws:sns:eu-central-1:123456789012:t".into())
/// # })?;
/// let raw: &RawValue = serde_json::from_str(
///     r#"{"eventName":"INSERT","dynamodb":{"Keys":{"productId":{"S":"P1001"}},"NewImage":{"name":{"S":"Laptop"}}}}"#,
/// )?;
/// assert_eq!(record::read(raw, &settings)?.unwrap().name, "Laptop");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`Error::Record`] when the record is not in the documented form, [`Error::Unnamed`] when it holds
/// neither a name nor a key.
pub fn read<'a>(raw: &'a RawValue, settings: &Settings) -> Result<Option<Change<'a>>, Error> {
    let Record {
        event_name,
        dynamodb,
    } = parse(raw, "The envelope")?;
    if !settings.event_names.contains(&event_name) {
        return Ok(None);
    }
    let (part, image) = match event_name {
        EventName::Insert | EventName::Modify => ("NewImage", dynamodb.new_image),
        EventName::Remove => ("OldImage", dynamodb.old_image),
    };
    // A stream that carries keys only has no image.
    let name = match image {
        Some(image) => named(image, part, &settings.name_attribute)?,
        None => None,
    };
    let name = match name {
        Some(name) => name,
        None => keyed(dynamodb.keys.ok_or(Error::Unnamed)?)?,
    };
    Ok(Some(Change { event_name, name }))
}

/// The sequence number of a record, if that much of it can be read.
pub fn sequence_number(raw: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Numbered {
        dynamodb: Sequence,
    }
    #[derive(Deserialize)]
    struct Sequence {
        #[serde(rename = "SequenceNumber")]
        sequence_number: String,
    }
    let numbered: Numbered = serde_json::from_str(raw.get()).ok()?;
    Some(numbered.dynamodb.sequence_number)
}

/// The value of the name attribute, if it is a text worth showing or a number.
fn named<'a>(
    image: &'a RawValue,
    part: &'static str,
    attribute: &str,
) -> Result<Option<Cow<'a, str>>, Error> {
    let attributes: Attributes<'a> = parse(image, part)?;
    let Some(value) = attributes.get(attribute) else {
        return Ok(None);
    };
    let scalar: Scalar<'a> = parse(value, part)?;
    Ok(scalar.string.or(scalar.number).filter(|name| shows(name)))
}

fn shows(name: &str) -> bool {
    name.chars()
        .any(|character| !character.is_whitespace() && !character.is_control())
}

/// The key's value; of a composite key both, as `P1001/W2`.
fn keyed(keys: &RawValue) -> Result<Cow<'_, str>, Error> {
    let attributes: Attributes<'_> = parse(keys, "Keys")?;
    let mut key: Option<Cow<'_, str>> = None;
    for value in attributes.into_values() {
        let Scalar {
            string,
            number,
            binary,
        } = parse(value, "Keys")?;
        let value = string.or(number).or(binary).ok_or(Error::Unnamed)?;
        key = Some(match key {
            None => value,
            Some(first) => Cow::Owned(format!("{first}/{value}")),
        });
    }
    key.ok_or(Error::Unnamed)
}

fn parse<'a, T: Deserialize<'a>>(raw: &'a RawValue, part: &'static str) -> Result<T, Error> {
    serde_json::from_str(raw.get()).map_err(|error| Error::Record {
        part,
        line: error.line(),
        column: error.column(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(event_names: &[EventName]) -> Settings {
        Settings {
            topic_arn: "arn:aws:sns:eu-central-1:123456789012:inventory-alerts".into(),
            event_names: event_names.to_vec(),
            name_attribute: "name".into(),
        }
    }

    fn read_all_kinds(json: &str) -> Result<Option<(EventName, String)>, Error> {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        let settings = settings(&[EventName::Insert, EventName::Modify, EventName::Remove]);
        Ok(read(raw, &settings)?.map(|change| (change.event_name, change.name.into_owned())))
    }

    fn insert(keys: &str, image: &str) -> String {
        format!(r#"{{"eventName":"INSERT","dynamodb":{{"Keys":{keys},"NewImage":{image}}}}}"#)
    }

    #[test]
    fn an_item_is_called_by_its_name_else_by_its_key() {
        let key = r#"{"productId":{"S":"P1001"}}"#;
        for (keys, image, expected) in [
            (key, r#"{"name":{"S":"Laptop"}}"#, "Laptop"),
            (
                key,
                r#"{"a":{"M":{"name":{"S":"x"}}},"name":{"S":"Laptop"}}"#,
                "Laptop",
            ),
            (key, r#"{"n\u0061me":{"S":"L\u0061ptop"}}"#, "Laptop"),
            (key, r#"{"name":{"N":"42"}}"#, "42"),
            (key, r#"{"name":{"S":"  "}}"#, "P1001"),
            (key, r#"{"name":{"S":"\u0000"}}"#, "P1001"),
            (key, r#"{"name":{"BOOL":true}}"#, "P1001"),
            (key, r#"{"name":{"NULL":true}}"#, "P1001"),
            (key, r#"{"name":{"L":[{"S":"x"}]}}"#, "P1001"),
            (key, r#"{"name":{"B":"AAEC"}}"#, "P1001"),
            (key, "{}", "P1001"),
            (key, "null", "P1001"),
            ("{}", r#"{"name":{"S":"Laptop"}}"#, "Laptop"),
            (r#"{"id":{"N":"7"}}"#, "{}", "7"),
            (r#"{"id":{"B":"AAEC"}}"#, "{}", "AAEC"),
            (
                r#"{"warehouse":{"S":"W2"},"productId":{"S":"P1001"}}"#,
                "{}",
                "P1001/W2",
            ),
        ] {
            let found = read_all_kinds(&insert(keys, image)).unwrap();
            assert_eq!(
                found,
                Some((EventName::Insert, expected.to_owned())),
                "Keys {keys}, NewImage {image}"
            );
        }
    }

    #[test]
    fn the_image_fits_the_event() {
        let images = r#""Keys":{"id":{"S":"1"}},"NewImage":{"name":{"S":"new"}},"OldImage":{"name":{"S":"old"}}"#;
        for (name, event_name, expected) in [
            ("INSERT", EventName::Insert, "new"),
            ("MODIFY", EventName::Modify, "new"),
            ("REMOVE", EventName::Remove, "old"),
        ] {
            let found = read_all_kinds(&format!(
                r#"{{"eventName":"{name}","dynamodb":{{{images}}}}}"#
            ))
            .unwrap();
            assert_eq!(found, Some((event_name, expected.to_owned())));
        }
    }

    #[test]
    fn a_kind_that_is_not_asked_for_is_passed_over_unread() {
        let raw: &RawValue =
            serde_json::from_str(r#"{"eventName":"MODIFY","dynamodb":{"NewImage":7}}"#).unwrap();
        assert_eq!(read(raw, &settings(&[EventName::Insert])).unwrap(), None);
    }

    #[test]
    fn malformed_records_are_errors_that_show_no_contents() {
        let key = r#"{"productId":{"S":"P1001"}}"#;
        for json in [
            "7".to_owned(),
            "null".to_owned(),
            "{}".to_owned(),
            r#"{"eventName":"secret","dynamodb":{}}"#.to_owned(),
            r#"{"eventName":"INSERT","dynamodb":"secret"}"#.to_owned(),
            r#"{"eventName":"INSERT","dynamodb":{}}"#.to_owned(),
            insert(key, r#""secret""#),
            insert(key, r#"{"name":"secret"}"#),
            insert(key, r#"{"name":{"S":{"secret":1}}}"#),
            insert(key, r#"{"name":{"S":"\ud800secret"}}"#),
            insert("{}", "{}"),
            insert(r#"{"productId":{"BOOL":true}}"#, "{}"),
            insert(r#"{"productId":"secret"}"#, "{}"),
        ] {
            let error = read_all_kinds(&json).expect_err(&json);
            assert!(!error.chain().contains("secret"), "{json}: {error}");
        }
    }

    #[test]
    fn a_sequence_number_is_read_from_a_record_that_is_otherwise_broken() {
        for (json, expected) in [
            (
                r#"{"eventName":7,"dynamodb":{"SequenceNumber":"111","NewImage":7}}"#,
                Some("111"),
            ),
            (r#"{"dynamodb":{"SequenceNumber":111}}"#, None),
            (r#"{"dynamodb":{}}"#, None),
            ("7", None),
        ] {
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            assert_eq!(sequence_number(raw).as_deref(), expected, "{json}");
        }
    }
}
