//! Every shape of event, and what the function answers.

use local::BUCKET;
use local::events::{self, ObjectCreated, eventbridge_object_created};
use serde_json::{Value, json};

use crate::fixture::{
    Fixture, LAPTOP, MOUSE, handed_back, notification, queued, sample, sample_event,
};

fn row(id: &str) -> String {
    json!({ "productId": id }).to_string()
}

/// A file that breaks off.
const BROKEN: &str = r#"[{"productId":"broken"},"#;

#[tokio::test]
async fn the_sample_events_are_imported() {
    let none: &[&str] = &[];
    let both = &[LAPTOP, MOUSE];
    for (event, items, reports) in [
        ("sqs-s3-one.json", both, 1),
        ("sqs-s3-several.json", both, 3),
        ("s3.json", both, 1),
        ("eventbridge-object-created.json", both, 1),
    ] {
        let bench = Fixture::start().await;
        for name in ["inventory.json", "inventory.csv", "inventory.jsonl"] {
            bench.put(&format!("uploads/{name}"), sample(name)).await;
        }
        let answer = bench.handle(sample_event(event)).await.unwrap();
        let from_queue = event.starts_with("sqs");
        let expected = if from_queue {
            handed_back(&[])
        } else {
            Value::Null
        };
        assert_eq!(answer, expected, "{event}");
        assert_eq!(bench.items().await, items, "{event}");
        let summaries = bench.reports().await;
        assert_eq!(summaries.len(), reports, "{event}: {summaries:?}");
        for key in summaries {
            let summary: Value = serde_json::from_slice(&bench.get(&key).await).unwrap();
            assert_eq!(summary["status"], "COMPLETED", "{event}");
        }
    }
    for event in ["s3-test-event.json", "sqs-s3-test-event.json"] {
        let bench = Fixture::start().await;
        bench.handle(sample_event(event)).await.unwrap();
        assert_eq!(bench.items().await, none, "{event}");
        assert_eq!(bench.reports().await, none, "{event}");
    }
}

#[tokio::test]
async fn a_test_event_in_the_queue_is_done_with() {
    let bench = Fixture::start().await;
    bench.put("uploads/a.jsonl", row("a")).await;
    let bodies = [
        events::s3_test_event(BUCKET),
        notification(&["uploads/a.jsonl"]),
    ];
    assert_eq!(
        bench.handle(queued(&bodies).0).await.unwrap(),
        handed_back(&[])
    );
    assert_eq!(bench.items().await, ["productId=S:a"]);
}

#[tokio::test]
async fn exactly_the_messages_that_failed_are_handed_back() {
    let bench = Fixture::start().await;
    for id in ["a", "b", "c", "d"] {
        bench.put(&format!("uploads/{id}.jsonl"), row(id)).await;
    }
    bench.put("uploads/broken.json", BROKEN).await;
    let (event, ids) = queued(&[
        notification(&["uploads/a.jsonl"]),
        // What comes after an object that failed is imported.
        notification(&["uploads/b.jsonl", "uploads/broken.json", "uploads/c.jsonl"]),
        json!("not an event"),
        notification(&[]),
        notification(&["uploads/d.jsonl"]),
        notification(&["uploads/missing.json"]),
    ]);
    let answer = bench.handle(event).await.unwrap();
    // A file that is broken has failed for good: its message is done with.
    assert_eq!(answer, handed_back(&[&ids[2]]));
    let items: Vec<_> = ["a", "b", "broken", "c", "d"]
        .map(|id| format!("productId=S:{id}"))
        .into();
    assert_eq!(bench.items().await, items);
}

#[tokio::test]
async fn a_bare_event_fails_if_one_of_its_objects_does() {
    let bench = Fixture::start().await;
    for id in ["a", "b"] {
        bench.put(&format!("uploads/{id}.jsonl"), row(id)).await;
    }
    bench.put("uploads/broken.json", BROKEN).await;
    let error = bench
        .handle(notification(&[
            "uploads/a.jsonl",
            "uploads/broken.json",
            "uploads/b.jsonl",
        ]))
        .await
        .unwrap_err();
    let url = format!("s3://{BUCKET}/uploads/broken.json: the file is broken at line 1");
    assert!(error.starts_with(&url), "{error}");
    assert_eq!(bench.items().await.len(), 3);
    let good = notification(&["uploads/a.jsonl", "uploads/b.jsonl"]);
    assert_eq!(bench.handle(good).await.unwrap(), Value::Null);
}

#[tokio::test]
async fn an_event_of_another_kind_is_an_error_that_names_those_that_are_taken() {
    let bench = Fixture::start().await;
    for event in [
        json!({}),
        json!({ "Records": [{ "eventSource": "aws:sns" }] }),
    ] {
        let error = bench.handle(event).await.unwrap_err();
        assert!(
            error.contains("S3 notifications, bare or in SQS"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn keys_with_special_characters_are_fetched() {
    let keys = [
        "uploads/with space.jsonl",
        "uploads/a+b.jsonl",
        "uploads/percent%2Bliteral.jsonl",
        "uploads/2026 Q4/Preisliste + Größen 50%.jsonl",
        "uploads/日本/🛒.jsonl",
        "uploads/(1)&=?#;,'.jsonl",
    ];
    let bench = Fixture::start().await;
    for key in keys {
        bench.put(key, row(key)).await;
    }
    let mut expected = keys.map(|key| format!("productId=S:{key}"));
    expected.sort();
    bench.handle(notification(&keys)).await.unwrap();
    assert_eq!(bench.items().await, expected);

    // EventBridge gives keys as they are.
    let bench = Fixture::start().await;
    for key in keys {
        bench.put(key, row(key)).await;
        let event = eventbridge_object_created(&ObjectCreated::put(BUCKET, key, 1));
        bench.handle(event).await.unwrap();
    }
    assert_eq!(bench.items().await, expected);
}

#[tokio::test]
async fn the_sample_event_with_an_encoded_key_finds_its_object() {
    let bench = Fixture::start().await;
    let key = "uploads/2026 Q4/Preisliste + Größen 50%.json";
    bench.put(key, sample("inventory.json")).await;
    let answer = bench
        .handle(sample_event("sqs-s3-encoded-key.json"))
        .await
        .unwrap();
    assert_eq!(answer, handed_back(&[]));
    assert_eq!(bench.items().await, [LAPTOP, MOUSE]);
    assert_eq!(
        bench.summary().await["source"],
        format!("s3://{BUCKET}/{key}")
    );
}

#[tokio::test]
async fn reports_and_folders_are_not_imported() {
    let bench = Fixture::start().await;
    let report = "reports/20261123T091527412Z-0123456789abcdef/rejects.jsonl";
    bench.put(report, row("from a report")).await;
    let (event, _) = queued(&[notification(&[report]), notification(&["uploads/folder/"])]);
    assert_eq!(bench.handle(event).await.unwrap(), handed_back(&[]));
    assert_eq!(
        bench
            .handle(notification(&[report, "folder/"]))
            .await
            .unwrap(),
        Value::Null
    );
    assert!(bench.items().await.is_empty());
    assert_eq!(bench.reports().await, [report]);
}

#[tokio::test]
async fn an_event_that_comes_twice_leaves_one_report_and_the_same_table() {
    let bench = Fixture::start().await;
    bench
        .put("uploads/inventory.json", sample("inventory.json"))
        .await;
    for _ in 0..2 {
        bench.handle(sample_event("sqs-s3-one.json")).await.unwrap();
    }
    assert_eq!(bench.items().await, [LAPTOP, MOUSE]);
    assert_eq!(bench.summary().await["rows_written"], 2);
}
