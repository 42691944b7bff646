//! Items in one spelling, so that those equal to DynamoDB are equal to a test.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

/// An item that was read from a table, normalised.
pub(crate) fn as_stored(item: &HashMap<String, AttributeValue>) -> Value {
    normalised(&Value::Object(attributes(item)))
}

fn attributes(item: &HashMap<String, AttributeValue>) -> Map<String, Value> {
    item.iter()
        .map(|(name, value)| (name.clone(), typed(value)))
        .collect()
}

fn typed(value: &AttributeValue) -> Value {
    let base64 = |blob: &aws_sdk_dynamodb::primitives::Blob| BASE64.encode(blob.as_ref());
    match value {
        AttributeValue::S(text) => json!({"S": text}),
        AttributeValue::N(digits) => json!({"N": digits}),
        AttributeValue::Bool(value) => json!({"BOOL": value}),
        AttributeValue::Null(value) => json!({"NULL": value}),
        AttributeValue::B(blob) => json!({"B": base64(blob)}),
        AttributeValue::L(elements) => json!({"L": elements.iter().map(typed).collect::<Vec<_>>()}),
        AttributeValue::M(members) => json!({"M": attributes(members)}),
        AttributeValue::Ss(texts) => json!({"SS": texts}),
        AttributeValue::Ns(numbers) => json!({"NS": numbers}),
        AttributeValue::Bs(blobs) => json!({"BS": blobs.iter().map(base64).collect::<Vec<_>>()}),
        other => panic!("an unknown type: {other:?}"),
    }
}

/// `item`, a map from attribute names to typed values, with numbers in one spelling and sets in one order.
pub(crate) fn normalised(item: &Value) -> Value {
    Value::Object(
        item.as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), normalised_value(value)))
            .collect(),
    )
}

fn normalised_value(value: &Value) -> Value {
    let (kind, content) = value.as_object().unwrap().iter().next().unwrap();
    let texts = || {
        content
            .as_array()
            .unwrap()
            .iter()
            .map(|text| text.as_str().unwrap())
    };
    let content = match kind.as_str() {
        "N" => json!(number(content.as_str().unwrap())),
        "NS" => sorted(texts().map(number).collect()),
        "SS" | "BS" => sorted(texts().map(str::to_owned).collect()),
        "L" => content
            .as_array()
            .unwrap()
            .iter()
            .map(normalised_value)
            .collect(),
        "M" => normalised(content),
        _ => content.clone(),
    };
    json!({ kind: content })
}

fn sorted(mut members: Vec<String>) -> Value {
    members.sort();
    json!(members)
}

/// The significant digits and the power of ten of the last one, as `-15e-1` for `-1.50`.
fn number(text: &str) -> String {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let zeros = digits.len() - significant.len();
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return "0".to_owned();
    }
    let exponent: i64 = exponent.parse().unwrap();
    let exponent =
        exponent + i64::try_from(zeros).unwrap() - i64::try_from(fraction.len()).unwrap();
    format!("{sign}{significant}e{exponent}")
}

#[test]
fn numbers_of_one_value_have_one_spelling() {
    let cases = [
        ("0", "0"),
        ("-0.00", "0"),
        ("1", "1e0"),
        ("1.0", "1e0"),
        ("10e-1", "1e0"),
        ("-1.50", "-15e-1"),
        ("1200", "12e2"),
        ("1.2E+3", "12e2"),
        ("0.00120", "12e-4"),
        ("75493E-3", "75493e-3"),
    ];
    for (text, expected) in cases {
        assert_eq!(number(text), expected, "{text}");
    }
}
