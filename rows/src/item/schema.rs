//! What a table demands of a row: its key, its indexes' keys, and the types the user declares.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::item::limits::{PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX};
use crate::item::quoted::quoted;

/// The type of a key attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// String.
    S,
    /// Number.
    N,
    /// Binary.
    B,
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::S => "S",
            Self::N => "N",
            Self::B => "B",
        })
    }
}

impl FromStr for KeyType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "S" => Ok(Self::S),
            "N" => Ok(Self::N),
            "B" => Ok(Self::B),
            _ => Err(format!("{text} is not a key type; it is one of S, N, B")),
        }
    }
}

/// One attribute of a key, of the table or of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAttribute {
    /// The attribute's name.
    pub name: String,
    /// Its type.
    pub key_type: KeyType,
    /// Most bytes its value may have, inclusive.
    pub limit_bytes: usize,
}

impl KeyAttribute {
    /// A partition key attribute.
    pub fn partition(name: impl Into<String>, key_type: KeyType) -> Self {
        Self {
            name: name.into(),
            key_type,
            limit_bytes: PARTITION_KEY_BYTES_MAX,
        }
    }

    /// A sort key attribute.
    pub fn sort(name: impl Into<String>, key_type: KeyType) -> Self {
        Self {
            name: name.into(),
            key_type,
            limit_bytes: SORT_KEY_BYTES_MAX,
        }
    }
}

/// A table's name and keys.
///
/// ```
/// use rows::{KeyAttribute, KeyType, Schema};
/// let schema = Schema::new("InventoryTable", KeyAttribute::partition("productId", KeyType::S), None);
/// assert_eq!(schema.table, "InventoryTable");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The table's name or ARN, as requests name it.
    pub table: String,
    /// The primary key: the partition key, then the sort key if there is one.
    pub key: Vec<KeyAttribute>,
    /// Key attributes of secondary indexes: a row may lack them, but not have them in another type.
    pub index_keys: Vec<KeyAttribute>,
}

impl Schema {
    /// A table without secondary indexes.
    pub fn new(
        table: impl Into<String>,
        partition: KeyAttribute,
        sort: Option<KeyAttribute>,
    ) -> Self {
        Self {
            table: table.into(),
            key: std::iter::once(partition).chain(sort).collect(),
            index_keys: Vec::new(),
        }
    }
}

/// A type that the user declares for an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeclaredType {
    /// Text, whatever it looks like.
    S,
    /// A number.
    N,
    /// Binary, written as Base64.
    B,
    /// `true` or `false`, in any case.
    Bool,
}

impl DeclaredType {
    /// The type as DynamoDB names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::N => "N",
            Self::B => "B",
            Self::Bool => "BOOL",
        }
    }
}

impl From<KeyType> for DeclaredType {
    fn from(key_type: KeyType) -> Self {
        match key_type {
            KeyType::S => Self::S,
            KeyType::N => Self::N,
            KeyType::B => Self::B,
        }
    }
}

/// Declared types by attribute name, as `--types price:N,sku:S` gives them.
///
/// ```
/// use rows::{DeclaredType, Types};
/// let types: Types = "price:N,sku:S".parse().unwrap();
/// assert_eq!(types.get("sku"), Some(DeclaredType::S));
/// assert!("price:X".parse::<Types>().is_err());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Types(BTreeMap<String, DeclaredType>);

impl Types {
    /// The type declared for the attribute `name`.
    pub fn get(&self, name: &str) -> Option<DeclaredType> {
        self.0.get(name).copied()
    }

    /// Whether nothing is declared.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names that have a declared type, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl FromStr for Types {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut types = BTreeMap::new();
        for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
            // The last colon divides, so that an attribute name may hold one.
            let (name, declared) = pair.rsplit_once(':').ok_or_else(|| {
                format!(
                    "\"{}\" has no type; write NAME:TYPE, for example price:N",
                    quoted(pair)
                )
            })?;
            let declared = match declared.trim().to_ascii_uppercase().as_str() {
                "S" => DeclaredType::S,
                "N" => DeclaredType::N,
                "B" => DeclaredType::B,
                "BOOL" => DeclaredType::Bool,
                other => {
                    return Err(format!(
                        "\"{}\" is not a type; it is one of S, N, B, BOOL",
                        quoted(other)
                    ));
                }
            };
            if types.insert(name.trim().to_owned(), declared).is_some() {
                return Err(format!("\"{}\" is declared twice", quoted(name.trim())));
            }
        }
        Ok(Self(types))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_parse_or_say_what_is_wrong() {
        for (text, problem) in [
            ("price", "\"price\" has no type"),
            ("price:X", "\"X\" is not a type"),
            ("a:N,a:S", "\"a\" is declared twice"),
        ] {
            let error = text.parse::<Types>().unwrap_err();
            assert!(error.starts_with(problem), "{text}: {error}");
        }
        let types: Types = " price : n , a:b:BOOL,".parse().unwrap();
        assert_eq!(types.get("price"), Some(DeclaredType::N));
        assert_eq!(types.get("a:b"), Some(DeclaredType::Bool));
    }
}
