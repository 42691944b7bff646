//! Key attributes: when two of them are one, and what they must be.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::encoder::Scalar;
use crate::number::Number;
use crate::reject::Reason;
use crate::schema::{KeyAttribute, KeyType};

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
        (_, value) => return Err(key_mismatch(attribute, type_name(value))),
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

/// A value's type, as DynamoDB names it.
pub(crate) fn type_name(value: Scalar<'_>) -> &'static str {
    match value {
        Scalar::S(_) => "S",
        Scalar::N(_) => "N",
        Scalar::B(_) => "B",
        Scalar::Bool(_) => "BOOL",
        Scalar::Null => "NULL",
    }
}

/// The bytes that a binary value's text stands for.
pub(crate) fn decode_base64(text: &str) -> Result<Vec<u8>, Reason> {
    STANDARD.decode(text).map_err(|_| Reason::NotBase64)
}
