//! Key attributes: when two of them are one, and what they must be.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::item::number::Number;
use crate::item::reject::Reason;
use crate::item::scalar::Scalar;
use crate::item::schema::{KeyAttribute, KeyType, Schema};

impl Schema {
    /// The primary key of an item in the form of [`Row::key`](crate::Row::key), or `None` if it has none that DynamoDB takes.
    ///
    /// `value` gives an attribute's type and value by its name; binary as Base64 text.
    ///
    /// ```
    /// use rows::{KeyAttribute, KeyType, Schema};
    /// let schema = Schema::new("Products", KeyAttribute::partition("id", KeyType::N), None);
    /// let key = |number: &'static str| schema.key_of(|_| Some((KeyType::N, number.into())));
    /// assert_eq!(key("1.50"), key("15e-1"));
    /// assert_eq!(key("one"), None);
    /// ```
    pub fn key_of<'v>(
        &self,
        value: impl Fn(&str) -> Option<(KeyType, Cow<'v, str>)>,
    ) -> Option<Vec<u8>> {
        let mut key = Vec::new();
        for attribute in &self.key {
            let (key_type, text) = value(&attribute.name)?;
            let value = match key_type {
                KeyType::S => Scalar::S(&text),
                KeyType::N => Scalar::N(&text),
                KeyType::B => Scalar::B(&text),
            };
            append_key(&mut key, &key_value(attribute, value).ok()?);
        }
        Some(key)
    }
}

/// Appends the canonical bytes of a key attribute to a primary key.
pub(crate) fn append_key(key: &mut Vec<u8>, value: &[u8]) {
    // The length keeps ("ab", "c") and ("a", "bc") apart.
    key.extend_from_slice(&(value.len() as u32).to_be_bytes());
    key.extend_from_slice(value);
}

/// The canonical bytes of a key attribute's value, or why it cannot be one.
pub(crate) fn key_value(attribute: &KeyAttribute, value: Scalar<'_>) -> Result<Vec<u8>, Reason> {
    let mut canonical = Vec::new();
    write_key_value(attribute, value, &mut canonical)?;
    Ok(canonical)
}

/// Replaces `canonical` by the canonical bytes of a key attribute's value, or says why it cannot be one.
pub(crate) fn write_key_value(
    attribute: &KeyAttribute,
    value: Scalar<'_>,
    canonical: &mut Vec<u8>,
) -> Result<(), Reason> {
    canonical.clear();
    let size_bytes = match (attribute.key_type, value) {
        (KeyType::S, Scalar::S(text)) => {
            canonical.extend_from_slice(text.as_bytes());
            text.len()
        }
        (KeyType::B, Scalar::B(text)) => {
            STANDARD
                .decode_vec(text, canonical)
                .map_err(|_| Reason::NotBase64)?;
            canonical.len()
        }
        (KeyType::N, Scalar::N(text)) => {
            let number = Number::parse(text)?;
            number.write_canonical(canonical);
            number.size_bytes()
        }
        (_, value) => return Err(key_mismatch(attribute, value.type_name())),
    };
    if size_bytes == 0 {
        return Err(Reason::EmptyKey {
            name: attribute.name.clone(),
        });
    }
    if size_bytes > attribute.limit_bytes {
        return Err(Reason::KeyTooLong {
            name: attribute.name.clone(),
            size_bytes,
            limit_bytes: attribute.limit_bytes,
        });
    }
    Ok(())
}

/// The problem of a key attribute that is of the type `found`.
pub(crate) fn key_mismatch(attribute: &KeyAttribute, found: &'static str) -> Reason {
    Reason::KeyType {
        name: attribute.name.clone(),
        expected: attribute.key_type,
        found,
    }
}

/// The bytes that a binary value's text stands for.
pub(crate) fn decode_base64(text: &str) -> Result<Vec<u8>, Reason> {
    STANDARD.decode(text).map_err(|_| Reason::NotBase64)
}
