//! The formats of files.

use std::fmt;
use std::str::FromStr;

use super::value::Typing;
use crate::item::quoted;
use crate::split::Syntax;

/// A file format, as users name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON array of objects, or objects one after the other.
    Json,
    /// One JSON object a line.
    JsonLines,
    /// One DynamoDB JSON object a line: `{"Item": {"productId": {"S": "P1001"}}}`.
    DynamoDbJson,
    /// Comma, semicolon, pipe or tab separated values with a header line.
    Csv,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::JsonLines => "jsonl",
            Self::DynamoDbJson => "ddb-json",
            Self::Csv => "csv",
        })
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Json),
            "jsonl" => Ok(Self::JsonLines),
            "ddb-json" => Ok(Self::DynamoDbJson),
            "csv" | "tsv" => Ok(Self::Csv),
            _ => Err(format!(
                "\"{}\" is not a format; it is one of json, jsonl, ddb-json, csv, tsv",
                quoted(text)
            )),
        }
    }
}

/// What a decoder needs to know of a file's format.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    JsonArray { typed: Typing, pointer: Vec<String> },
    JsonSequence { typed: Typing },
    JsonLines { typed: Typing },
    Csv { delimiter: u8 },
}

impl Layout {
    pub(crate) fn format(&self) -> Format {
        match self {
            Self::JsonLines {
                typed: Typing::Plain,
            } => Format::JsonLines,
            Self::JsonLines { .. } => Format::DynamoDbJson,
            Self::JsonArray { .. } | Self::JsonSequence { .. } => Format::Json,
            Self::Csv { .. } => Format::Csv,
        }
    }

    /// How a file of this layout can be cut; objects over several lines, one after the other, cannot.
    pub(crate) fn syntax(&self) -> Option<Syntax> {
        match *self {
            Self::JsonArray { .. } => Some(Syntax::JsonArray),
            Self::JsonSequence { .. } => None,
            Self::JsonLines { .. } => Some(Syntax::JsonLines),
            Self::Csv { delimiter } => Some(Syntax::Csv { delimiter }),
        }
    }
}
