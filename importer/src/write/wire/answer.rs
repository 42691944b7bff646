//! DynamoDB's answers: read only as far as the importer needs them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::HeaderMap;
use rows::{KeyType, Schema};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::writer::Written;

/// An answer to `BatchWriteItem`.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(rename = "UnprocessedItems", borrow)]
    unprocessed: Option<&'a RawValue>,
    #[serde(rename = "ConsumedCapacity")]
    consumed: Option<Vec<Consumed>>,
}

#[derive(Deserialize)]
struct Consumed {
    #[serde(rename = "CapacityUnits")]
    units: Option<f64>,
}

/// What is unprocessed, by table.
type Unprocessed<'a> = BTreeMap<Cow<'a, str>, Vec<WriteRequest<'a>>>;

#[derive(Deserialize)]
struct WriteRequest<'a> {
    #[serde(rename = "PutRequest", borrow)]
    put: Option<PutRequest<'a>>,
}

#[derive(Deserialize)]
struct PutRequest<'a> {
    #[serde(rename = "Item", borrow)]
    item: BTreeMap<Cow<'a, str>, &'a RawValue>,
}

/// A value that a key may have; all others are none.
#[derive(Deserialize)]
enum KeyValue<'a> {
    S(#[serde(borrow)] Cow<'a, str>),
    N(#[serde(borrow)] Cow<'a, str>),
    B(#[serde(borrow)] Cow<'a, str>),
}

/// Reads the answer to a request that DynamoDB took, at least in part.
pub(super) fn written(schema: &Schema, body: &[u8]) -> Result<Written, serde_json::Error> {
    let answer: Answer<'_> = serde_json::from_slice(body)?;
    let mut written = Written {
        consumed_wcu: answer
            .consumed
            .iter()
            .flatten()
            .filter_map(|consumed| consumed.units)
            .reduce(|a, b| a + b),
        ..Written::default()
    };
    let Some(unprocessed) = answer.unprocessed.map(RawValue::get) else {
        return Ok(written);
    };
    if matches!(unprocessed, "{}" | "null") {
        return Ok(written);
    }
    let tables: Unprocessed<'_> = serde_json::from_str(unprocessed)?;
    for request in tables.into_values().flatten() {
        let key = request.put.and_then(|put| {
            let value = |name: &str| put.item.get(name).and_then(|value| key_value(value));
            schema.key_of(value)
        });
        written.unprocessed.push(key.unwrap_or_default());
    }
    Ok(written)
}

/// An attribute's type and value, if it may be part of a key.
fn key_value(value: &RawValue) -> Option<(KeyType, Cow<'_, str>)> {
    Some(match serde_json::from_str(value.get()).ok()? {
        KeyValue::S(text) => (KeyType::S, text),
        KeyValue::N(digits) => (KeyType::N, digits),
        KeyValue::B(base64) => (KeyType::B, base64),
    })
}

/// An error of the service as the AWS JSON protocol has it.
///
/// <https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html#operation-error-serialization>
#[derive(Debug, Default, Deserialize)]
struct ServiceError<'a> {
    #[serde(rename = "__type", borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    message: Option<Cow<'a, str>>,
    /// What some parts of AWS call it.
    #[serde(rename = "Message", borrow, default)]
    capital_message: Option<Cow<'a, str>>,
}

/// Code and message of an answer that is an error; empty where it tells none.
pub(super) fn error(headers: &HeaderMap, body: &[u8]) -> (String, String) {
    // Not every part of the way to DynamoDB answers in JSON.
    let error: ServiceError<'_> = serde_json::from_slice(body).unwrap_or_default();
    let header = headers
        .get("x-amzn-errortype")
        .and_then(|h| h.to_str().ok());
    let code = header
        .or(error.code.as_deref())
        .or(error.kind.as_deref())
        .unwrap_or_default();
    // `namespace#Code:http://…`
    let code = code.split(':').next().unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default();
    let message = error.message.or(error.capital_message);
    (code.to_owned(), message.unwrap_or_default().into_owned())
}

/// Whether the checksum that DynamoDB sends along, if any, is that of `body`.
pub(super) fn is_intact(headers: &HeaderMap, body: &[u8]) -> bool {
    let Some(sum) = headers.get("x-amz-crc32") else {
        return true;
    };
    let sum = sum.to_str().ok().and_then(|sum| sum.parse::<u32>().ok());
    sum == Some(crc32fast::hash(body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rows::KeyAttribute;

    fn schema(key_type: KeyType) -> Schema {
        Schema::new("T", KeyAttribute::partition("id", key_type), None)
    }

    fn key(value: &str) -> Vec<u8> {
        let value = |_: &str| Some((KeyType::S, value.into()));
        schema(KeyType::S).key_of(value).unwrap()
    }

    #[test]
    fn an_answer_says_what_it_costs_and_what_is_left() {
        let schema = schema(KeyType::S);
        for (body, wcu) in [
            ("{}", None),
            (r#"{"UnprocessedItems":{}}"#, None),
            (r#"{"UnprocessedItems":null,"ConsumedCapacity":null}"#, None),
            (
                r#"{"UnprocessedItems":{"T":[]},"ItemCollectionMetrics":{"T":[{}]}}"#,
                None,
            ),
            (
                r#"{"ConsumedCapacity":[{"TableName":"T","CapacityUnits":25.5},{"TableName":"U"},{"CapacityUnits":1}], "UnprocessedItems": {} }"#,
                Some(26.5),
            ),
        ] {
            let written = written(&schema, body.as_bytes()).unwrap();
            assert_eq!(written.consumed_wcu, wcu, "{body}");
            assert!(written.unprocessed.is_empty(), "{body}");
        }
    }

    #[test]
    fn rows_that_come_back_are_known_by_their_keys_in_any_spelling() {
        for (key_type, item, expected) in [
            (KeyType::S, r#"{"id":{"S":"a"}}"#, key("a")),
            (
                KeyType::S,
                r#"{"v":{"M":{"id":{"S":"b"}}},"\u0069d":{"S":"\u0061\n"}}"#,
                key("a\n"),
            ),
            (KeyType::B, r#"{"id":{"B":"YQ=="}}"#, key("a")),
            (KeyType::S, r#"{"id":{"N":"1"}}"#, Vec::new()),
            (KeyType::S, r#"{"id":{"BOOL":true}}"#, Vec::new()),
            (KeyType::S, r#"{"v":{"S":"a"}}"#, Vec::new()),
        ] {
            let unprocessed = format!(r#"{{ "T": [{{"PutRequest":{{"Item":{item}}}}}] }}"#);
            let body = format!(r#"{{"UnprocessedItems":{unprocessed},"ConsumedCapacity":[]}}"#);
            let written = written(&schema(key_type), body.as_bytes()).unwrap();
            assert_eq!(written.unprocessed, [expected], "{item}");
        }
        let delete = br#"{"UnprocessedItems":{"T":[{"DeleteRequest":{"Key":{"id":{"S":"a"}}}}]}}"#;
        let written = written(&schema(KeyType::S), delete).unwrap();
        assert_eq!(written.unprocessed, [Vec::<u8>::new()]);
    }

    #[test]
    fn errors_are_read_in_every_form() {
        let typed = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"gone"}"#;
        let coral =
            r#"{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"no \"you\""}"#;
        let coded = r#"{"code":"A:http://internal.amazon.com/","__type":"B"}"#;
        for (header, body, code, message) in [
            (None, typed, "ResourceNotFoundException", "gone"),
            (None, coral, "AccessDeniedException", "no \"you\""),
            (None, coded, "A", ""),
            (
                None,
                r#"{"__type":"A","message":"b","Message":"c"}"#,
                "A",
                "b",
            ),
            (Some("ns#C:http://x/"), coded, "C", ""),
            (None, "<html>Bad Gateway</html>", "", ""),
            (None, "", "", ""),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert("x-amzn-errortype", header.parse().unwrap());
            }
            let found = error(&headers, body.as_bytes());
            assert_eq!(found, (code.to_owned(), message.to_owned()), "{body}");
        }
    }

    #[test]
    fn the_checksum_is_checked_if_there_is_one() {
        // The check value of CRC-32.
        for (sum, intact) in [
            (None, true),
            (Some("3421780262"), true),
            (Some("3421780263"), false),
            (Some("cbf43926"), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(sum) = sum {
                headers.insert("x-amz-crc32", sum.parse().unwrap());
            }
            assert_eq!(is_intact(&headers, b"123456789"), intact, "{sum:?}");
        }
    }
}
