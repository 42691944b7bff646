//! What changed about an item: `price 1200 → 999`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::change::image::{Text, Value};
use crate::text::printable;

/// Changed attributes of one item that are kept; further ones are only counted.
pub const ATTRIBUTES_MAX: usize = 3;

/// Characters of an attribute's name that are kept.
pub const ATTRIBUTE_CHARS_MAX: usize = 40;

/// Characters of an attribute's value that are kept.
pub const VALUE_CHARS_MAX: usize = 40;

/// One attribute's change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeChange {
    /// The attribute's name.
    pub attribute: String,
    /// What it was; absent when it was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// What it is; absent when it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

impl AttributeChange {
    /// The change from `old` to `new`, safe to print and cut to a line.
    pub fn new(attribute: &str, old: Option<&Value<'_>>, new: Option<&Value<'_>>) -> Self {
        let shown = |value: &Value<'_>| printable(value.shown(), VALUE_CHARS_MAX);
        Self {
            attribute: printable(attribute, ATTRIBUTE_CHARS_MAX),
            old: old.map(shown),
            new: new.map(shown),
        }
    }
}

impl fmt::Display for AttributeChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attribute = &self.attribute;
        match (&self.old, &self.new) {
            // Two lists, or two long texts that begin alike.
            (Some(old), Some(new)) if old == new => f.write_str(attribute),
            (Some(old), Some(new)) => write!(f, "{attribute} {old} → {new}"),
            (None, Some(new)) => write!(f, "{attribute} {new}"),
            (Some(_), None) => write!(f, "{attribute} removed"),
            (None, None) => f.write_str(attribute),
        }
    }
}

/// The attributes that differ between two images, in name order: the first [`ATTRIBUTES_MAX`], and the number of the
/// others.
///
/// # Errors
///
/// An image is not in DynamoDB's form.
pub(crate) fn between(
    old: &RawValue,
    new: &RawValue,
) -> Result<(Vec<AttributeChange>, u64), serde_json::Error> {
    let (old, new) = (attributes(old)?, attributes(new)?);
    let names: BTreeSet<&str> = old.keys().chain(new.keys()).map(|name| &**name).collect();
    let mut changes = Vec::new();
    let mut more = 0;
    for name in names {
        let (old, new) = (old.get(name), new.get(name));
        if old.map(|value| value.get()) == new.map(|value| value.get()) {
            continue;
        }
        if changes.len() == ATTRIBUTES_MAX {
            more += 1;
            continue;
        }
        let (old, new) = (
            old.map(|old| read(old)).transpose()?,
            new.map(|new| read(new)).transpose()?,
        );
        changes.push(AttributeChange::new(name, old.as_ref(), new.as_ref()));
    }
    Ok((changes, more))
}

fn read(value: &RawValue) -> Result<Value<'_>, serde_json::Error> {
    serde_json::from_str(value.get())
}

/// The attributes of an image, unread.
fn attributes(image: &RawValue) -> Result<BTreeMap<Cow<'_, str>, &RawValue>, serde_json::Error> {
    let attributes: BTreeMap<Text<'_>, &RawValue> = serde_json::from_str(image.get())?;
    Ok(attributes
        .into_iter()
        .map(|(name, value)| (name.0, value))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differences(old: &str, new: &str) -> (String, u64) {
        let raw = |json: &str| RawValue::from_string(json.to_owned()).unwrap();
        let (changes, more) = between(&raw(old), &raw(new)).unwrap();
        let changes: Vec<String> = changes.iter().map(AttributeChange::to_string).collect();
        (changes.join(", "), more)
    }

    #[test]
    fn what_differs_is_told_in_name_order() {
        for (old, new, expected, more) in [
            (
                r#"{"price":{"N":"1200"}}"#,
                r#"{"price":{"N":"999"}}"#,
                "price 1200 → 999",
                0,
            ),
            (
                r#"{"a":{"S":"x"},"b":{"N":"1"}}"#,
                r#"{"b":{"N":"2"},"a":{"S":"x"}}"#,
                "b 1 → 2",
                0,
            ),
            (
                r#"{"a":{"S":"x"}}"#,
                r#"{"b":{"BOOL":true}}"#,
                "a removed, b true",
                0,
            ),
            (r#"{"t":{"L":[]}}"#, r#"{"t":{"L":[{"S":"x"}]}}"#, "t", 0),
            (
                r#"{"t":{"L":[]}}"#,
                r#"{"t":{"NULL":true}}"#,
                "t (list) → null",
                0,
            ),
            (
                r#"{"n\u0061me":{"S":"a"}}"#,
                r#"{"name":{"S":"b\nc"}}"#,
                "name a → b c",
                0,
            ),
            (
                "{}",
                r#"{"a":{"N":"1"},"b":{"N":"2"},"c":{"N":"3"},"d":{"N":"4"},"e":{"N":"5"}}"#,
                "a 1, b 2, c 3",
                2,
            ),
            ("{}", "{}", "", 0),
        ] {
            assert_eq!(
                differences(old, new),
                (expected.to_owned(), more),
                "{old} {new}"
            );
        }
    }

    #[test]
    fn long_names_and_values_are_cut() {
        let long = "x".repeat(1000);
        let change = AttributeChange::new(&long, None, Some(&Value::S(long.as_str().into())));
        assert_eq!(change.attribute.len(), ATTRIBUTE_CHARS_MAX);
        assert_eq!(change.new.map(|value| value.len()), Some(VALUE_CHARS_MAX));
    }
}
