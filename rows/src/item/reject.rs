//! Why a row is not written.

use serde::Serialize;

use crate::item::limits::ATTRIBUTE_NAME_BYTES_MAX;
use crate::item::position::Position;
use crate::item::schema::KeyType;

/// Most bytes of a rejected row's text that are kept for the report.
pub const REJECT_TEXT_BYTES_MAX: usize = 4096;

/// One row that is not written, and why. The rows around it are.
#[derive(Debug, Clone, PartialEq)]
pub struct Reject {
    /// Where the row begins.
    pub position: Position,
    /// What is wrong with it.
    pub reason: Reason,
    /// The row as the file has it, up to [`REJECT_TEXT_BYTES_MAX`] bytes.
    pub text: Vec<u8>,
    /// Whether `text` is only the row's beginning.
    pub truncated: bool,
}

impl Reject {
    /// A reject that keeps the beginning of `row`.
    pub fn new(position: Position, reason: Reason, row: &[u8]) -> Self {
        let kept = row.len().min(REJECT_TEXT_BYTES_MAX);
        Self {
            position,
            reason,
            text: row[..kept].to_vec(),
            truncated: kept < row.len(),
        }
    }

    /// The line of `rejects.jsonl` that tells of this row, without the line break.
    ///
    /// The row's text stands under `row`, or Base64-encoded under `row_base64` if it is not UTF-8.
    ///
    /// # Panics
    ///
    /// Never: strings and integers under string names are JSON.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            #[serde(flatten)]
            position: Position,
            reason: &'a str,
            message: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            row: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            row_base64: Option<String>,
            row_truncated: bool,
        }
        use base64::{Engine, engine::general_purpose::STANDARD};
        let (row, row_base64) = match std::str::from_utf8(&self.text) {
            Ok(text) => (Some(text), None),
            // The cut may have fallen inside a character: that alone does not make the row binary.
            Err(e) if self.truncated && e.error_len().is_none() => (
                std::str::from_utf8(&self.text[..e.valid_up_to()]).ok(),
                None,
            ),
            Err(_) => (None, Some(STANDARD.encode(&self.text))),
        };
        let line = Line {
            position: self.position,
            reason: self.reason.code(),
            message: self.reason.to_string(),
            row,
            row_base64,
            row_truncated: self.truncated,
        };
        serde_json::to_string(&line).expect("a reject is plain JSON")
    }
}

/// What is wrong with a rejected row. Messages name attributes, never their values.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// A row of a JSON file that is not an object.
    #[error("the row is a JSON {found}, not an object; wrap it as {{\"attribute\": value}}")]
    NotAnObject {
        /// What it is instead.
        found: &'static str,
    },
    /// A line of a JSON Lines file that is not JSON.
    #[error("the line is not valid JSON: {problem} at column {column}")]
    BrokenLine {
        /// What the parser found.
        problem: String,
        /// Where on the line, in characters from 1.
        column: u64,
    },
    /// A row of a JSON file that is not JSON, but of which it is certain where it ends.
    #[error("the row is not valid JSON: {problem} at line {line}, byte {byte}")]
    BrokenJson {
        /// What the parser found.
        problem: String,
        /// Where in the decoded file: the line, from 1.
        line: u64,
        /// The byte, from 0.
        byte: u64,
    },
    /// A CSV row with more or fewer cells than the header.
    #[error(
        "the row has {found} cells, the header {expected}; quote a cell that holds the delimiter"
    )]
    Ragged {
        /// Cells in the header.
        expected: usize,
        /// Cells in the row.
        found: usize,
    },
    /// A CSV row that is the header once more.
    #[error("the row is the header again: files were joined here")]
    RepeatedHeader,
    /// A CSV cell in quotes that goes on after the closing one: it is unknown where it was meant to end.
    #[error(
        "text follows the closing quote of a cell; write a quote inside a cell twice, and look for a quote that is \
         never closed before it: it swallows rows"
    )]
    TextAfterQuote,
    /// Bytes that are not text in the file's encoding.
    #[error(
        "byte {byte} of the file is not UTF-8; name the encoding, for example --encoding windows-1252 \
         (object metadata x-amz-meta-intake-encoding)"
    )]
    NotText {
        /// Offset of the first such byte in the decoded file.
        byte: u64,
    },
    /// A row whose text alone is past what is read of one row.
    #[error("the row is longer than {limit_bytes} bytes; an item may have 409,600")]
    RowTooLong {
        /// Most bytes read of one row.
        limit_bytes: usize,
    },
    /// The same attribute twice in one object.
    #[error("attribute \"{name}\" appears twice in one object; keep one")]
    DuplicateAttribute {
        /// The attribute's name.
        name: String,
    },
    /// An attribute without a name.
    #[error("an attribute has an empty name")]
    EmptyAttributeName,
    /// An attribute whose name is over its limit.
    #[error("an attribute name has {size_bytes} bytes, DynamoDB allows {ATTRIBUTE_NAME_BYTES_MAX}")]
    AttributeNameTooLong {
        /// Size of the name.
        size_bytes: usize,
    },
    /// A key attribute that is absent.
    #[error("key attribute \"{name}\" is missing; the table's key needs it in every row")]
    MissingKey {
        /// The attribute's name.
        name: String,
    },
    /// A key attribute of another type than the table's or its index's.
    #[error("key attribute \"{name}\" is of type {found}, the table needs {expected}")]
    KeyType {
        /// The attribute's name.
        name: String,
        /// The type the table declares.
        expected: KeyType,
        /// The type the row has.
        found: &'static str,
    },
    /// A key of text that a spreadsheet has rounded: `4.00638E+12`.
    #[error(
        "key attribute \"{name}\" is a number that a spreadsheet has shortened, so that different keys look the same; save the \
         column as text, or declare its type if the keys are such"
    )]
    RoundedKey {
        /// The attribute's name.
        name: String,
    },
    /// A key attribute with an empty value.
    #[error("key attribute \"{name}\" is empty; DynamoDB refuses empty keys")]
    EmptyKey {
        /// The attribute's name.
        name: String,
    },
    /// A key attribute over its limit.
    #[error("key attribute \"{name}\" has {size_bytes} bytes, DynamoDB allows {limit_bytes}")]
    KeyTooLong {
        /// The attribute's name.
        name: String,
        /// Size of its value.
        size_bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// An item over 400 KB.
    #[error("the item is larger than 409,600 bytes (400 KB), DynamoDB's limit")]
    ItemTooLarge,
    /// Values nested too deep.
    #[error("values are nested deeper than 32 levels, DynamoDB's limit")]
    TooDeep,
    /// A value that DynamoDB does not take.
    #[error("\"{name}\": {problem}")]
    Value {
        /// The attribute of the item that it is, or is in.
        name: String,
        /// What is wrong with it.
        problem: Box<Reason>,
    },
    /// Text where a number must be.
    #[error("not a number")]
    NotANumber,
    /// A number of more than 38 digits.
    #[error(
        "a number has {digits} significant digits, DynamoDB keeps 38; declare the attribute S to keep it as text"
    )]
    NumberPrecision {
        /// Significant digits found.
        digits: usize,
    },
    /// A number outside DynamoDB's range.
    #[error("a number is outside DynamoDB's range of 1E-130 to 9.99E+125 (and negative)")]
    NumberRange,
    /// A value that does not fit the type declared for it.
    #[error("\"{name}\" does not fit its declared type {declared}: {problem}")]
    DeclaredType {
        /// The attribute's name.
        name: String,
        /// The declared type.
        declared: &'static str,
        /// Why not.
        problem: String,
    },
    /// Binary that is not Base64.
    #[error("a binary value is not Base64 (RFC 4648, padded)")]
    NotBase64,
    /// An attribute value that DynamoDB JSON does not know.
    #[error("not DynamoDB JSON: {problem}")]
    NotDynamoDbJson {
        /// What was found.
        problem: String,
    },
    /// A set without members.
    #[error("a set is empty; DynamoDB refuses empty sets, leave the attribute out")]
    EmptySet,
    /// A set with a member twice.
    #[error("a set holds the same member twice")]
    DuplicateInSet,
    /// DynamoDB refused this row although it passed every check here.
    #[error("DynamoDB refused the row: {message}")]
    Refused {
        /// DynamoDB's own words.
        message: String,
    },
}

impl Reason {
    /// A stable name for machines, as it stands under `reason` in `rejects.jsonl`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAnObject { .. } => "not-an-object",
            Self::BrokenLine { .. } => "broken-line",
            Self::BrokenJson { .. } => "broken-json",
            Self::Ragged { .. } => "ragged-row",
            Self::RepeatedHeader => "repeated-header",
            Self::TextAfterQuote => "text-after-quote",
            Self::NotText { .. } => "not-text",
            Self::RowTooLong { .. } => "row-too-long",
            Self::DuplicateAttribute { .. } => "duplicate-attribute",
            Self::EmptyAttributeName => "empty-attribute-name",
            Self::AttributeNameTooLong { .. } => "attribute-name-too-long",
            Self::MissingKey { .. } => "missing-key",
            Self::KeyType { .. } => "key-type",
            Self::RoundedKey { .. } => "rounded-key",
            Self::EmptyKey { .. } => "empty-key",
            Self::KeyTooLong { .. } => "key-too-long",
            Self::ItemTooLarge => "item-too-large",
            Self::TooDeep => "too-deep",
            Self::Value { problem, .. } => problem.code(),
            Self::NotANumber => "not-a-number",
            Self::NumberPrecision { .. } => "number-precision",
            Self::NumberRange => "number-range",
            Self::DeclaredType { .. } => "declared-type",
            Self::NotBase64 => "not-base64",
            Self::NotDynamoDbJson { .. } => "not-dynamodb-json",
            Self::EmptySet => "empty-set",
            Self::DuplicateInSet => "duplicate-in-set",
            Self::Refused { .. } => "refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reject(text: &[u8]) -> serde_json::Value {
        let position = Position {
            byte: 7,
            line: 2,
            record: 1,
        };
        serde_json::from_str(&Reject::new(position, Reason::ItemTooLarge, text).to_json()).unwrap()
    }

    #[test]
    fn a_line_names_place_reason_and_row() {
        let line = reject(b"{\"a\":1}");
        assert_eq!(line["byte"], 7);
        assert_eq!(line["line"], 2);
        assert_eq!(line["record"], 1);
        assert_eq!(line["reason"], "item-too-large");
        assert_eq!(line["row"], "{\"a\":1}");
        assert_eq!(line["row_truncated"], false);
    }

    #[test]
    fn a_row_that_is_not_text_is_base64() {
        assert_eq!(reject(b"a\xffb")["row_base64"], "Yf9i");
    }

    #[test]
    fn a_long_row_is_cut_at_a_character() {
        let line = reject(
            "ä".repeat(REJECT_TEXT_BYTES_MAX)
                .replacen('ä', "a", 1)
                .as_bytes(),
        );
        assert_eq!(
            line["row"].as_str().unwrap().len(),
            REJECT_TEXT_BYTES_MAX - 1
        );
        assert_eq!(line["row_truncated"], true);
    }
}
