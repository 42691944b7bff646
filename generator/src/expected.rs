//! The DynamoDB item that a correct import makes of a row: the oracle of the end-to-end tests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value as Json, json};

use super::encode;
use super::value::{Row, Value};

/// The item of a row read from JSON, JSON Lines or DynamoDB JSON.
pub(super) fn item(row: &Row) -> Json {
    Json::Object(attributes(row))
}

/// The item of a row read from CSV: empty cells are absent, JSON numbers are `N`, everything else is `S`.
pub(super) fn item_of_cells(row: &Row, columns: &[&str]) -> Json {
    let mut attributes = Map::new();
    for &column in columns {
        // Encoding to memory fails only for values that have no column.
        let cell = encode::cell(row, column).unwrap_or_default();
        if !cell.is_empty() {
            let kind = if is_json_number(&cell) { "N" } else { "S" };
            attributes.insert(column.to_owned(), json!({ kind: cell }));
        }
    }
    Json::Object(attributes)
}

fn attributes(row: &Row) -> Map<String, Json> {
    row.iter()
        .map(|(name, value)| ((*name).to_owned(), typed(value)))
        .collect()
}

fn typed(value: &Value) -> Json {
    match value {
        Value::Null => json!({"NULL": true}),
        Value::Bool(value) => json!({"BOOL": value}),
        Value::Number(digits) => json!({"N": digits}),
        Value::Text(text) => json!({"S": text}),
        Value::List(elements) => json!({"L": elements.iter().map(typed).collect::<Vec<_>>()}),
        Value::Map(members) => json!({"M": attributes(members)}),
        Value::TextSet(texts) => json!({"SS": texts}),
        Value::NumberSet(numbers) => json!({"NS": numbers}),
        Value::Binary(bytes) => json!({"B": BASE64.encode(bytes)}),
        Value::BinarySet(set) => {
            json!({"BS": set.iter().map(|bytes| BASE64.encode(bytes)).collect::<Vec<_>>()})
        }
    }
}

/// Whether `cell` is a number by the grammar of RFC 8259, so that `00123`, `+1`, `.5` and `1,5` are not.
fn is_json_number(cell: &str) -> bool {
    cell.parse::<serde_json::Number>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_numbers_only_are_numbers() {
        let cases = [
            ("0", true),
            ("-10", true),
            ("1.50", true),
            ("12.300e+1", true),
            ("7E-3", true),
            ("0.12345678901234567890123456789012345678", true),
            ("4006381333931", true),
            ("00123", false),
            ("+1", false),
            (".5", false),
            ("1.", false),
            (" 1", false),
            ("1 ", false),
            ("1,5", false),
            ("0x10", false),
            ("NaN", false),
            ("true", false),
            ("", false),
        ];
        for (cell, expected) in cases {
            assert_eq!(is_json_number(cell), expected, "{cell:?}");
        }
    }
}
