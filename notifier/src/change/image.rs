//! Attribute values of an item, as far as somebody wants to know them.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

/// An attribute's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A string.
    S(Cow<'a, str>),
    /// A number's text.
    N(Cow<'a, str>),
    /// A Boolean.
    Bool(bool),
    /// Binary, in base64, as the stream sends it and as the AWS console shows it.
    B(Cow<'a, str>),
    /// A value of any other type, as people call it.
    Other(&'static str),
}

impl Value<'_> {
    /// How people read it. What does not fit a line is only named: `(list)`.
    pub fn shown(&self) -> &str {
        match self {
            Self::S(text) | Self::N(text) => text,
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
            Self::B(_) => "(binary)",
            Self::Other(kind) => kind,
        }
    }
}

/// The attributes of an item that are wanted, the others are skipped without being parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image<'a> {
    /// The attribute that names the item.
    pub name: Option<Value<'a>>,
    /// The watched attributes, in the order they were asked for. Empty when none is watched.
    pub watched: Vec<Option<Value<'a>>>,
}

impl<'a> Image<'a> {
    /// The value of the watched attribute number `index`.
    pub fn get(&self, index: usize) -> Option<&Value<'a>> {
        self.watched.get(index)?.as_ref()
    }
}

/// Which attributes of an item are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'s> {
    /// The attribute that names the item.
    pub name: &'s str,
    /// Attributes that watch rules look at.
    pub watched: &'s [String],
}

/// A string that is borrowed from the event unless it holds escapes.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = Image<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = Image<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an item's attributes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut image = Image {
            name: None,
            watched: vec![None; self.watched.len()],
        };
        while let Some(matched) = map.next_key_seed(Matching(self))? {
            if !matched.name && matched.watched.is_none() {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value: Value<'de> = map.next_value()?;
            // An attribute may both name the item and be watched.
            if let Some(index) = matched.watched {
                image.watched[index] = Some(value.clone());
            }
            if matched.name {
                image.name = Some(value);
            }
        }
        Ok(image)
    }
}

/// Compares an attribute's name with the wanted ones, without keeping it.
struct Matching<'s>(Wanted<'s>);

/// What an attribute is wanted for.
struct Matched {
    name: bool,
    watched: Option<usize>,
}

impl<'de> DeserializeSeed<'de> for Matching<'_> {
    type Value = Matched;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Matched, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Matching<'_> {
    type Value = Matched;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an attribute's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Matched, E> {
        Ok(Matched {
            name: name == self.0.name,
            watched: self.0.watched.iter().position(|watched| watched == name),
        })
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an attribute value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let Some(kind) = map.next_key::<Text<'de>>()? else {
            return Err(A::Error::custom("an attribute value without a type"));
        };
        let value = match &*kind.0 {
            "S" => Value::S(map.next_value::<Text<'de>>()?.0),
            "N" => Value::N(map.next_value::<Text<'de>>()?.0),
            "B" => Value::B(map.next_value::<Text<'de>>()?.0),
            "BOOL" => Value::Bool(map.next_value()?),
            other => {
                let kind = match other {
                    "NULL" => "null",
                    "L" => "(list)",
                    "M" => "(map)",
                    "SS" | "NS" | "BS" => "(set)",
                    _ => return Err(A::Error::custom("an attribute value of an unknown type")),
                };
                map.next_value::<IgnoredAny>()?;
                Value::Other(kind)
            }
        };
        // A value has one type; whatever follows is not DynamoDB's.
        if map.next_key::<IgnoredAny>()?.is_some() {
            return Err(A::Error::custom("an attribute value of two types"));
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Result<Value<'_>, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn all_ten_types_are_told_apart_as_far_as_it_matters() {
        for (json, expected) in [
            (r#"{"S":"x"}"#, Value::S("x".into())),
            (r#"{"S":""}"#, Value::S("".into())),
            (r#"{"S":"\u00e4\n"}"#, Value::S("ä\n".into())),
            (r#"{"N":"1.50"}"#, Value::N("1.50".into())),
            (r#"{"B":"AAEC"}"#, Value::B("AAEC".into())),
            (r#"{"BOOL":false}"#, Value::Bool(false)),
            (r#"{"NULL":true}"#, Value::Other("null")),
            (r#"{"M":{"a":{"L":[{"M":{}}]}}}"#, Value::Other("(map)")),
            (r#"{"L":[]}"#, Value::Other("(list)")),
            (r#"{"SS":["a"]}"#, Value::Other("(set)")),
            (r#"{"NS":["1"]}"#, Value::Other("(set)")),
            (r#"{"BS":["AA=="]}"#, Value::Other("(set)")),
        ] {
            assert_eq!(value(json).unwrap(), expected, "{json}");
        }
        for json in [
            "{}",
            "7",
            r#""x""#,
            r#"{"S":7}"#,
            r#"{"N":7}"#,
            r#"{"BOOL":"x"}"#,
            r#"{"S":"x","N":"1"}"#,
            r#"{"X":1}"#,
            "null",
        ] {
            assert!(value(json).is_err(), "{json}");
        }
    }

    #[test]
    fn wanted_attributes_are_found_wherever_they_stand() {
        let watched = ["price".to_owned(), "näme".to_owned(), "gone".to_owned()];
        let wanted = Wanted {
            name: "näme",
            watched: &watched,
        };
        let json =
            r#"{"a":{"M":{"price":{"N":"7"}}},"n\u00e4me":{"S":"Laptop"},"price":{"N":"1"}}"#;
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let image = wanted.deserialize(&mut deserializer).unwrap();
        assert_eq!(image.name, Some(Value::S("Laptop".into())));
        assert_eq!(image.get(0), Some(&Value::N("1".into())));
        assert_eq!(image.get(1), Some(&Value::S("Laptop".into())));
        assert_eq!((image.get(2), image.get(3)), (None, None));
    }
}
