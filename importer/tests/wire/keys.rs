//! Keys that can be written in several ways: what is one key to DynamoDB is one key to the importer.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use importer::write::WriterKind;
use importer::{Class, Error};
use local::{Fault, FaultPlan, When};
use rows::{Format, KeyAttribute, KeyType, Schema};
use serde_json::{Value, json};

use crate::fixture::{Fixture, as_format, file, import, options, write};
use crate::support::clients::Services;
use crate::support::scripted::{Reply, Server};
use crate::support::with_each_writer;

async fn a_number_written_differently_is_one_key(writer: WriterKind) {
    let spellings = ["1", "1.0", "1e0", "10E-1", "0.1e1", "1.00"];
    let bench = Fixture::start(writer, None).await;
    let schema = bench.table("Numbers", &[("id", "N")], &[]).await;
    let rows = spellings.iter().enumerate();
    let lines: String = rows
        .map(|(version, id)| format!("{{\"id\":{id},\"v\":{version}}}\n"))
        .collect();
    let ended = bench.import(&schema, file(lines), options(4)).await;
    let counts = ended.whole().counts;
    assert_eq!(
        (
            counts.rows_read,
            counts.rows_written,
            counts.rows_superseded
        ),
        (6, 1, 5)
    );
    let items = bench.scan(&schema).await;
    assert_eq!(items.len(), 1);
    assert_eq!(
        (
            items[0]["id"].as_n().unwrap().as_str(),
            items[0]["v"].as_n().unwrap().as_str()
        ),
        ("1", "5")
    );

    // Had they stood in one request, all of it would have been refused.
    let put = |id| json!({ "PutRequest": { "Item": { "id": { "N": id } } } });
    let body = json!({ "RequestItems": { "Numbers": [put("1"), put("1.0")] } });
    let sent = write(writer, &bench.sdk, &schema, body.to_string()).await;
    let error = sent.unwrap_err();
    assert_eq!(error.class(), Class::RejectRow, "{error}");
    // What DynamoDB says of rows is not in what is shown of the error.
    let Error::Service { problem, .. } = error else {
        panic!("{error}");
    };
    assert!(problem.contains("duplicates"), "{problem}");
}

async fn rows_with_number_and_binary_keys_come_back_unprocessed_and_are_written(
    writer: WriterKind,
) {
    let spell = |n: u32| match n % 4 {
        0 => format!("{n}"),
        1 => format!("{n}.00"),
        2 => format!("{n}e0"),
        _ => format!("{n}0E-1"),
    };
    let bytes = |n: u32| BASE64.encode(n.to_be_bytes());
    for (kind, key) in [("N", &spell as &dyn Fn(u32) -> String), ("B", &bytes)] {
        let bench = Fixture::start(
            writer,
            Some(FaultPlan::default().seed(3).fail(
                "BatchWriteItem",
                When::every(2),
                Fault::Unprocessed,
            )),
        )
        .await;
        let schema = bench.table("Keys", &[("id", kind)], &[]).await;
        let row = |n| json!({ "Item": { "id": { kind: key(n) }, "v": { "N": n.to_string() } } });
        let lines: String = (0..300).map(|n| format!("{}\n", row(n))).collect();
        let ended = bench
            .import(&schema, file(lines), as_format(Format::DynamoDbJson, 4))
            .await;
        assert_eq!(ended.whole().counts.rows_written, 300, "{kind}");
        let mut versions: Vec<u32> = bench
            .scan(&schema)
            .await
            .iter()
            .map(|item| item["v"].as_n().unwrap().parse().unwrap())
            .collect();
        versions.sort_unstable();
        assert_eq!(versions, (0..300).collect::<Vec<_>>(), "{kind}");
        let unprocessed = bench.stack.faults().unprocessed_items();
        assert!(unprocessed > 10, "{kind}: {unprocessed}");
    }
}

/// DynamoDB gives numbers back in a spelling of its own.
async fn an_unprocessed_key_is_known_in_any_spelling(writer: WriterKind) {
    let returned =
        || json!({ "id": { "N": "1200" }, "sort": { "N": "-0.5" }, "v": { "BOOL": true } });
    let requests: Arc<Mutex<Vec<Value>>> = Arc::default();
    let seen = Arc::clone(&requests);
    let server = Server::start(move |request| {
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        let mut seen = seen.lock().unwrap();
        seen.push(body["RequestItems"]["T"].clone());
        let unprocessed = match seen.len() {
            1 => json!({ "T": [{ "PutRequest": { "Item": returned() } }] }),
            _ => json!({}),
        };
        Reply::json(200, &json!({ "UnprocessedItems": unprocessed }))
    })
    .await;
    let services = Services::dynamodb(&server.url);
    let partition = KeyAttribute::partition("id", KeyType::N);
    let schema = Schema::new("T", partition, Some(KeyAttribute::sort("sort", KeyType::N)));
    let lines =
        "{\"id\":1,\"sort\":1}\n{\"id\":1.2E3,\"sort\":-5e-1,\"v\":true}\n{\"id\":3,\"sort\":1}\n";
    let ended = import(
        writer,
        &services.sdk_config(),
        &Arc::new(schema),
        file(lines),
        options(1),
    )
    .await;
    let counts = ended.whole().counts;
    assert_eq!(
        (counts.rows_written, counts.retries, counts.throttles),
        (3, 1, 1)
    );
    let requests = requests.lock().unwrap();
    assert_eq!(requests.len(), 2);
    assert_eq!(
        requests[1],
        json!([requests[0][1]]),
        "only the row that came back is sent again"
    );
}

async fn an_unprocessed_row_that_was_not_sent_ends_the_import(writer: WriterKind) {
    let item = json!({ "id": { "S": "somebody else's" } });
    let unprocessed = json!({ "UnprocessedItems": { "T": [{ "PutRequest": { "Item": item } }] } });
    let body = Bytes::from(unprocessed.to_string());
    let server =
        Server::start(move |_| Reply::json(200, &serde_json::from_slice(&body).unwrap())).await;
    let services = Services::dynamodb(&server.url);
    let schema = Schema::new("T", KeyAttribute::partition("id", KeyType::S), None);
    let ended = import(
        writer,
        &services.sdk_config(),
        &Arc::new(schema),
        file("{\"id\":\"a\"}"),
        options(1),
    )
    .await;
    let failure = ended.summary.failure.unwrap();
    assert!(
        failure.message.contains("a row that was not sent"),
        "{failure}"
    );
    assert!(!failure.message.contains("somebody else"), "{failure}");
}

with_each_writer!(
    a_number_written_differently_is_one_key,
    rows_with_number_and_binary_keys_come_back_unprocessed_and_are_written,
    an_unprocessed_key_is_known_in_any_spelling,
    an_unprocessed_row_that_was_not_sent_ends_the_import,
);
