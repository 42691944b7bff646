//! What a generated row is, before any file format.

use std::borrow::Cow;

/// One attribute value of a generated row.
///
/// Numbers keep the digits they are written with. The four kinds that JSON and CSV cannot express (sets and binary)
/// appear in DynamoDB JSON only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// No value: `null`, `{"NULL":true}`, an empty cell.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number, as written.
    Number(String),
    /// Text of any Unicode characters.
    Text(Cow<'static, str>),
    /// Values in order, of any kinds.
    List(Vec<Value>),
    /// Named values.
    Map(Vec<(&'static str, Value)>),
    /// Distinct texts.
    TextSet(Vec<&'static str>),
    /// Distinct numbers.
    NumberSet(Vec<String>),
    /// Bytes.
    Binary(Vec<u8>),
    /// Distinct byte strings.
    BinarySet(Vec<Vec<u8>>),
}

impl Value {
    /// True for the kinds that only DynamoDB JSON can carry.
    pub(super) fn needs_dynamodb_json(&self) -> bool {
        matches!(
            self,
            Value::TextSet(_) | Value::NumberSet(_) | Value::Binary(_) | Value::BinarySet(_)
        )
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Value::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(Cow::Owned(text))
    }
}

/// A row: its attributes, in the order in which they are written.
pub type Row = Vec<(&'static str, Value)>;

/// The value that a dotted path such as `supplier.contact.email` leads to, if the row has one there.
pub(super) fn lookup<'a>(row: &'a [(&'static str, Value)], path: &str) -> Option<&'a Value> {
    let (first, rest) = path
        .split_once('.')
        .map_or((path, None), |(first, rest)| (first, Some(rest)));
    let value = &row.iter().find(|(name, _)| *name == first)?.1;
    match (rest, value) {
        (None, value) => Some(value),
        (Some(rest), Value::Map(members)) => lookup(members, rest),
        (Some(_), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookup_follows_dots_through_maps_only() {
        let row: Row = vec![
            ("a", Value::from("x")),
            ("m", Value::Map(vec![("n", Value::Bool(true))])),
            ("none", Value::Null),
        ];
        let cases: [(&str, Option<Value>); 6] = [
            ("a", Some(Value::from("x"))),
            ("m.n", Some(Value::Bool(true))),
            ("m.missing", None),
            ("a.b", None),
            ("none.b", None),
            ("missing", None),
        ];
        for (path, expected) in cases {
            assert_eq!(lookup(&row, path), expected.as_ref(), "{path}");
        }
    }
}
