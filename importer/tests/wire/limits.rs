//! Every limit of DynamoDB at its exact edge: what the importer writes DynamoDB takes, and what it rejects DynamoDB
//! refuses.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use importer::write::{WriterKind, Written as Answer};
use importer::{Class, Error};
use rows::{Format, Schema};
use serde_json::{Value, json};

use crate::fixture::{Attribute, Fixture, as_format, file, write};
use crate::support::WRITERS;
use Verdict::{Documented, Refused, Written};

/// What becomes of an item.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verdict {
    Written,
    /// The importer rejects it, with this code, and DynamoDB refuses it.
    Refused(&'static str),
    /// The importer rejects it, as AWS documents it; the embedded DynamoDB does not know this limit.
    Documented(&'static str),
}

/// What is special about an item, the item, and what becomes of it.
pub(crate) type Case = (&'static str, Value, Verdict);

/// Checks that the importer and DynamoDB agree on each case, and that the rows around it are written.
pub(crate) async fn check(key: &[Attribute], index: &[Attribute], cases: Vec<Case>) {
    for writer in WRITERS {
        check_with(&Fixture::start(writer, None).await, key, index, &cases).await;
    }
}

async fn check_with(bench: &Fixture, key: &[Attribute], index: &[Attribute], cases: &[Case]) {
    for (number, (name, item, verdict)) in cases.iter().enumerate() {
        let schema = bench.table(&format!("Table{number}"), key, index).await;
        let line = |item: &Value| format!("{}\n", json!({ "Item": item }));
        let lines = [
            neighbour(&schema, "1"),
            item.clone(),
            neighbour(&schema, "2"),
        ];
        let content: String = lines.iter().map(line).collect();
        let options = as_format(Format::DynamoDbJson, 2);
        let ended = bench.import(&schema, file(content), options).await;
        let written = bench.scan(&schema).await;
        let neighbours = written.iter().filter(|item| item.contains_key("neighbour"));
        assert_eq!(neighbours.count(), 2, "{name}");
        match *verdict {
            Written => {
                assert!(ended.rejects.is_empty(), "{name}: {ended:?}");
                assert_eq!(written.len(), 3, "{name}");
            }
            Refused(code) | Documented(code) => {
                assert_eq!(ended.reasons(), [code], "{name}");
                assert_eq!(written.len(), 2, "{name}");
                let sent = send(bench, &schema, item).await;
                let taken = matches!(verdict, Documented(_));
                assert_eq!(sent.is_ok(), taken, "{name}: {sent:?}");
                if let Err(error) = sent {
                    assert_eq!(error.class(), Class::RejectRow, "{name}: {error}");
                }
            }
        }
    }
}

/// Sends an item without a check.
async fn send(bench: &Fixture, schema: &Arc<Schema>, item: &Value) -> Result<Answer, Error> {
    let put = json!({ "PutRequest": { "Item": item } });
    let table = &schema.table;
    let body = json!({ "RequestItems": { table: [put] } }).to_string();
    write(bench.writer, &bench.sdk, schema, body).await
}

/// A row with the table's key and nothing else of note.
fn neighbour(schema: &Schema, number: &str) -> Value {
    let mut item = json!({ "neighbour": { "BOOL": true } });
    for attribute in &schema.key {
        let kind = attribute.key_type.to_string();
        let value = if kind == "B" {
            BASE64.encode(number)
        } else {
            number.to_owned()
        };
        item[&attribute.name] = json!({ kind: value });
    }
    item
}

pub(crate) fn text(bytes: usize) -> String {
    "x".repeat(bytes)
}

pub(crate) fn base64(bytes: usize) -> String {
    BASE64.encode(vec![7; bytes])
}

/// `innermost` in so many lists, or maps.
fn nested(kind: &str, containers: usize, innermost: Value) -> Value {
    (0..containers).fold(innermost, |inner, _| match kind {
        "L" => json!({ "L": [inner] }),
        _ => json!({ "M": { "m": inner } }),
    })
}

/// The key of tables whose key does not matter.
pub(crate) const S: Attribute = ("id", "S");

#[tokio::test]
async fn item_size() {
    // The names and the key take 2 + 3 + 4 of the 409,600 bytes.
    let of_bytes = |bytes: usize| json!({ "id": { "S": "key" }, "text": { "S": text(bytes - 9) } });
    let in_umlauts = |odd: &str| json!({ "id": { "S": "key" }, "text": { "S": format!("{}{odd}", "ä".repeat(204_795)) } });
    let binary = |bytes: usize| json!({ "id": { "S": "key" }, "text": { "B": base64(bytes - 9) } });
    check(
        &[S],
        &[],
        vec![
            ("409,600 bytes", of_bytes(409_600), Written),
            (
                "409,601 bytes",
                of_bytes(409_601),
                Refused("item-too-large"),
            ),
            (
                "409,600 bytes of two-byte characters",
                in_umlauts("x"),
                Written,
            ),
            (
                "409,601 bytes of two-byte characters",
                in_umlauts("xy"),
                Refused("item-too-large"),
            ),
            ("409,600 bytes of binary", binary(409_600), Written),
            (
                "409,601 bytes of binary",
                binary(409_601),
                Refused("item-too-large"),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn numbers() {
    let n = |number: &str| json!({ "id": { "S": "key" }, "n": { "N": number } });
    let nines = |digits: usize| "9".repeat(digits);
    check(
        &[S],
        &[],
        vec![
            ("38 digits", n(&nines(38)), Written),
            ("39 digits", n(&nines(39)), Refused("number-precision")),
            (
                "38 digits after the point",
                n(&format!("-0.{}", nines(38))),
                Written,
            ),
            (
                "39 digits around the point",
                n(&format!("1.{}", nines(38))),
                Refused("number-precision"),
            ),
            (
                "zeros around 38 digits",
                n(&format!("000{}000", nines(38))),
                Written,
            ),
            (
                "largest",
                n("9.9999999999999999999999999999999999999E+125"),
                Written,
            ),
            ("over the largest", n("1E126"), Refused("number-range")),
            (
                "lowest",
                n("-9.9999999999999999999999999999999999999E+125"),
                Written,
            ),
            ("under the lowest", n("-1E126"), Refused("number-range")),
            ("smallest", n("1E-130"), Written),
            ("under the smallest", n("1E-131"), Refused("number-range")),
            ("smallest negative", n("-1E-130"), Written),
            (
                "over the smallest negative",
                n("-9.9E-131"),
                Refused("number-range"),
            ),
            ("no number", n("1,5"), Refused("not-a-number")),
        ],
    )
    .await;
}

#[tokio::test]
async fn depth() {
    let item = |value: Value| json!({ "id": { "S": "key" }, "deep": value });
    let leaf = || json!({ "S": "leaf" });
    // The attribute's own value stands at level 1.
    let mut cases = Vec::new();
    for kind in ["L", "M"] {
        let empty = || {
            if kind == "L" {
                json!({ "L": [] })
            } else {
                json!({ "M": {} })
            }
        };
        cases.extend([
            (
                "a leaf at level 32",
                item(nested(kind, 31, leaf())),
                Written,
            ),
            (
                "a leaf at level 33",
                item(nested(kind, 32, leaf())),
                Refused("too-deep"),
            ),
            (
                "a container at level 31",
                item(nested(kind, 30, empty())),
                Written,
            ),
            (
                "a container at level 33",
                item(nested(kind, 32, empty())),
                Refused("too-deep"),
            ),
            (
                "a set at level 32",
                item(nested(kind, 31, json!({ "SS": ["a"] }))),
                Written,
            ),
            (
                "a set at level 33",
                item(nested(kind, 32, json!({ "SS": ["a"] }))),
                Refused("too-deep"),
            ),
        ]);
    }
    check(&[S], &[], cases).await;
}

#[tokio::test]
async fn a_container_at_level_32() {
    // It may stand there as any value may, but hold nothing.
    let item = |value: Value| json!({ "id": { "S": "key" }, "deep": value });
    check(
        &[S],
        &[],
        vec![
            ("list", item(nested("L", 31, json!({ "L": [] }))), Written),
            ("map", item(nested("M", 31, json!({ "M": {} }))), Written),
        ],
    )
    .await;
}

#[tokio::test]
async fn sets() {
    let item = |value: Value| json!({ "id": { "S": "key" }, "set": value });
    let mut cases = Vec::new();
    for (kind, member) in [("SS", ""), ("NS", "1"), ("BS", "")] {
        cases.extend([
            ("one member", item(json!({ kind: [member] })), Written),
            ("none", item(json!({ kind: [] })), Refused("empty-set")),
            (
                "the same twice",
                item(json!({ kind: [member, member] })),
                Refused("duplicate-in-set"),
            ),
            (
                "none, in a list",
                item(json!({ "L": [{ kind: [] }] })),
                Refused("empty-set"),
            ),
        ]);
    }
    cases.push((
        "one number twice",
        item(json!({ "NS": ["1", "1.0"] })),
        Refused("duplicate-in-set"),
    ));
    check(&[S], &[], cases).await;
}

#[tokio::test]
async fn values_without_a_limit() {
    let item = |value: Value| json!({ "id": { "S": "key" }, "value": value });
    check(
        &[S],
        &[],
        vec![
            ("empty text", item(json!({ "S": "" })), Written),
            ("empty binary", item(json!({ "B": "" })), Written),
            ("an empty list", item(json!({ "L": [] })), Written),
            ("an empty map", item(json!({ "M": {} })), Written),
            ("null", item(json!({ "NULL": true })), Written),
            (
                "control characters",
                item(json!({ "S": "\u{0}\u{1f}\u{7f}\"\\/\u{2028}" })),
                Written,
            ),
            (
                "names of any characters",
                json!({ "id": { "S": "key" }, "a.b #\"ü\"": { "S": "" } }),
                Written,
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn attribute_names() {
    let item = |bytes: usize| json!({ "id": { "S": "key" }, text(bytes): { "S": "" } });
    let mut cases = vec![("65,535 bytes", item(65_535), Written)];
    cases.push((
        "65,536 bytes",
        item(65_536),
        Documented("attribute-name-too-long"),
    ));
    cases.push(("empty", item(0), Refused("empty-attribute-name")));
    check(&[S], &[], cases).await;
}

/// What is written is what was read, to the last digit and character.
#[tokio::test]
async fn values_at_the_edge_come_back_unchanged() {
    let bench = Fixture::start(WriterKind::default(), None).await;
    let schema = bench.inventory().await;
    let number = "1234567890123456789012345678901234567.8";
    let text = "\u{0}\u{1f}\"\\/\u{7f}\u{2028}Größe 🛒";
    let row = format!(
        "{{\"productId\":\"P1\",\"number\":{number},\"text\":{}}}",
        json!(text)
    );
    bench
        .import(&schema, file(row), as_format(Format::Json, 1))
        .await
        .whole();
    let items = bench.scan(&schema).await;
    assert_eq!(items[0]["number"], AttributeValue::N(number.to_owned()));
    assert_eq!(items[0]["text"], AttributeValue::S(text.to_owned()));
}
