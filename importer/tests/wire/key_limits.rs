//! The limits on keys, of tables and of their indexes; see [`crate::limits`].

use serde_json::{Value, json};

use crate::limits::Verdict::{Documented, Refused, Written};
use crate::limits::{S, base64, check, text};

#[tokio::test]
async fn partition_keys() {
    let key = |value: &str| json!({ "id": { "S": value } });
    check(
        &[S],
        &[],
        vec![
            ("2,048 bytes", key(&text(2048)), Written),
            ("2,049 bytes", key(&text(2049)), Refused("key-too-long")),
            (
                "2,048 bytes of two-byte characters",
                key(&"ä".repeat(1024)),
                Written,
            ),
            (
                "2,050 bytes of two-byte characters",
                key(&"ä".repeat(1025)),
                Refused("key-too-long"),
            ),
            ("one byte", key("x"), Written),
            ("empty", key(""), Refused("empty-key")),
            (
                "a number",
                json!({ "id": { "N": "1" } }),
                Refused("key-type"),
            ),
            (
                "a boolean",
                json!({ "id": { "BOOL": true } }),
                Refused("key-type"),
            ),
            (
                "null",
                json!({ "id": { "NULL": true } }),
                Refused("key-type"),
            ),
            ("a list", json!({ "id": { "L": [] } }), Refused("key-type")),
            (
                "a set",
                json!({ "id": { "SS": ["a"] } }),
                Refused("key-type"),
            ),
            (
                "missing",
                json!({ "name": { "S": "x" } }),
                Refused("missing-key"),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn binary_keys() {
    let key = |bytes: usize| json!({ "id": { "B": base64(bytes) } });
    check(
        &[("id", "B")],
        &[],
        vec![
            ("2,048 bytes", key(2048), Written),
            ("2,049 bytes", key(2049), Refused("key-too-long")),
            ("empty", key(0), Refused("empty-key")),
            (
                "a string",
                json!({ "id": { "S": "AA==" } }),
                Refused("key-type"),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn sort_keys() {
    let key = |value: &str| json!({ "id": { "S": "key" }, "sort": { "S": value } });
    check(
        &[S, ("sort", "S")],
        &[],
        vec![
            ("1,024 bytes", key(&text(1024)), Written),
            ("1,025 bytes", key(&text(1025)), Refused("key-too-long")),
            ("empty", key(""), Refused("empty-key")),
            (
                "a number",
                json!({ "id": { "S": "key" }, "sort": { "N": "1" } }),
                Refused("key-type"),
            ),
            (
                "missing",
                json!({ "id": { "S": "key" } }),
                Refused("missing-key"),
            ),
            (
                "beside a partition key of 2,048 bytes",
                json!({ "id": { "S": text(2048) }, "sort": { "S": text(1024) } }),
                Written,
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn number_keys() {
    let key = |number: &str| json!({ "id": { "N": number } });
    check(
        &[("id", "N")],
        &[],
        vec![
            ("38 digits", key(&"9".repeat(38)), Written),
            (
                "39 digits",
                key(&"9".repeat(39)),
                Refused("number-precision"),
            ),
            ("1E126", key("1E126"), Refused("number-range")),
            (
                "a string",
                json!({ "id": { "S": "1" } }),
                Refused("key-type"),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn index_keys() {
    let item = |code: Value| json!({ "id": { "S": "key" }, "code": code, "price": { "N": "1" } });
    let price =
        |price: Value| json!({ "id": { "S": "key" }, "code": { "S": "x" }, "price": price });
    check(
        &[S],
        &[("code", "S"), ("price", "N")],
        vec![
            ("of the index's types", item(json!({ "S": "x" })), Written),
            ("absent", json!({ "id": { "S": "key" } }), Written),
            (
                "of another type",
                item(json!({ "N": "1" })),
                Refused("key-type"),
            ),
            ("null", item(json!({ "NULL": true })), Refused("key-type")),
            ("a list", item(json!({ "L": [] })), Refused("key-type")),
            (
                "a sort key of another type",
                price(json!({ "S": "1" })),
                Refused("key-type"),
            ),
            ("empty", item(json!({ "S": "" })), Refused("empty-key")),
            ("2,048 bytes", item(json!({ "S": text(2048) })), Written),
            (
                "2,049 bytes",
                item(json!({ "S": text(2049) })),
                Documented("key-too-long"),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn index_sort_keys() {
    let item = |label: &str| json!({ "id": { "S": "key" }, "code": { "S": "x" }, "label": { "S": label } });
    check(
        &[S],
        &[("code", "S"), ("label", "S")],
        vec![
            ("1,024 bytes", item(&text(1024)), Written),
            ("1,025 bytes", item(&text(1025)), Documented("key-too-long")),
            ("empty", item(""), Refused("empty-key")),
        ],
    )
    .await;
}
