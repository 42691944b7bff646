//! What AWS refuses: each error says what to repair, and shows nobody's rows.

use std::sync::Mutex;

use importer::Importer;
use importer::function::Config;
use importer::jobs::Status;
use importer::write::WriterKind;
use local::{BUCKET, TABLE};
use serde_json::{Value, json};

use crate::fixture::{Fixture, TIMEOUT, config, invocation, notification, sample};
use crate::support::clients::Services;
use crate::support::scripted::{Reply, Server};
use crate::support::with_each_writer;

const KEY: &str = "uploads/inventory.json";

/// The error of importing [`KEY`].
async fn error(importer: &Importer, bucket: &str) -> String {
    let mut event = notification(&[KEY]);
    event["Records"][0]["s3"]["bucket"]["name"] = bucket.into();
    let handled = importer.handle(event, invocation(TIMEOUT)).await;
    let error = handled.unwrap_err().to_string();
    assert!(!error.contains("Laptop"), "{error}");
    error
}

#[track_caller]
fn assert_says(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "\"{word}\" is not in: {error}");
    }
}

/// A job that the function has claimed, as the table of jobs gives it.
fn claimed_job(claim_id: &str) -> Value {
    let text = |text: &str| json!({ "S": text });
    let number = |number: u32| json!({ "N": number.to_string() });
    let mut job = json!({
        "owner": text("-"), "job": text("j"), "status": text("RUNNING"), "bucket": text(BUCKET), "key": text(KEY),
        "table": text(TABLE), "attempt": number(1), "stalled_attempts": number(1), "claim_id": text(claim_id),
        "created_at": text("2026-11-23T10:00:00Z"), "updated_at": text("2026-11-23T10:00:00Z"),
    });
    for count in [
        "bytes_read",
        "rows_read",
        "rows_written",
        "rows_superseded",
        "rows_rejected",
        "consumed_wcu",
        "throttles",
        "retries",
    ] {
        job[count] = number(0);
    }
    job
}

#[tokio::test]
async fn an_object_that_was_deleted_meanwhile() {
    let bench = Fixture::start().await;
    let error = error(&bench.importer(config()), BUCKET).await;
    let url = format!("s3://{BUCKET}/{KEY}");
    assert_says(
        &error,
        &[&url, "HeadObject", "does not exist", "check the key"],
    );
    // None of its rows was read, and it may have had rows that no other file has.
    let job = bench.job().await;
    assert_eq!((job.status, job.notified), (Status::Superseded, true));
    assert_says(&job.reason.unwrap(), &["deleted before any of its rows"]);
}

#[tokio::test]
async fn a_missing_table() {
    let bench = Fixture::start().await;
    bench.put(KEY, sample("inventory.json")).await;
    let mut config = config();
    config.table = "Inventroy".to_owned();
    let importer = bench.importer(config);
    let event = notification(&[KEY]);
    for (attempt, status) in [
        (1, Status::Queued),
        (2, Status::Queued),
        (3, Status::Failed),
    ] {
        let handled = importer.handle(event.clone(), invocation(TIMEOUT)).await;
        assert_says(
            &handled.unwrap_err().to_string(),
            &[
                "ResourceNotFoundException",
                "Inventroy",
                "INTAKE_TABLE",
                "AWS_REGION",
            ],
        );
        let job = bench.job().await;
        assert_eq!((job.attempt, job.status), (attempt, status));
        assert_says(&job.reason.unwrap(), &["ResourceNotFoundException"]);
        assert_says(&job.fix.unwrap(), &["INTAKE_TABLE"]);
    }
    let summary = bench.summary().await;
    assert_eq!(
        (&summary["status"], &summary["table"]),
        (&json!("FAILED"), &json!("Inventroy"))
    );
    // It has ended: the event does nothing any more.
    importer.handle(event, invocation(TIMEOUT)).await.unwrap();
}

#[tokio::test]
async fn a_missing_bucket() {
    let bench = Fixture::start().await;
    let error = error(&bench.importer(config()), "no-such-bucket").await;
    // S3 says no more about a HEAD.
    assert_says(&error, &["HeadObject", "does not exist"]);
}

#[tokio::test]
async fn s3_denies_access() {
    let bench = Fixture::start().await;
    bench.put(KEY, sample("inventory.json")).await;
    let services = Services {
        secret: "wrong".to_owned(),
        ..bench.services.clone()
    };
    let importer = Importer::new(config(), services.sdk_config());
    let error = error(&importer, BUCKET).await;
    let url = format!("s3://{BUCKET}/{KEY}");
    assert_says(&error, &[&url, "SignatureDoesNotMatch", "give credentials"]);
    let job = bench.job().await;
    assert_eq!((job.status, job.notified), (Status::Failed, true));
    assert_says(&job.fix.unwrap(), &["give credentials"]);
    assert!(bench.items().await.is_empty() && bench.reports().await.is_empty());
}

async fn dynamodb_denies_access(writer: WriterKind) {
    const DENIED: &str = "com.amazon.coral.service#AccessDeniedException";
    for denied in ["DescribeTable", "BatchWriteItem"] {
        let claimed = Mutex::new(None);
        let dynamodb = Server::start(move |request| {
            let target = request.headers()["x-amz-target"].to_str().unwrap();
            let operation = target.strip_prefix("DynamoDB_20120810.").unwrap();
            if operation == denied {
                let message = format!(
                    "User: arn:aws:iam::1:user/x is not authorized to perform: dynamodb:{operation}"
                );
                return Reply::json(400, &json!({ "__type": DENIED, "Message": message }));
            }
            let mut claimed = claimed.lock().unwrap();
            let claim_id = claimed.clone().unwrap_or_default();
            match operation {
                "TransactWriteItems" => {
                    let body: Value = serde_json::from_slice(request.body()).unwrap();
                    let job = &body["TransactItems"][1]["Update"]["ExpressionAttributeValues"];
                    *claimed = Some(job[":claim_id"]["S"].as_str().unwrap().to_owned());
                    return Reply::json(200, &json!({}));
                }
                "GetItem" if claimed.is_none() => return Reply::json(200, &json!({})),
                "GetItem" => return Reply::json(200, &json!({ "Item": claimed_job(&claim_id) })),
                "UpdateItem" => {
                    return Reply::json(200, &json!({ "Attributes": claimed_job(&claim_id) }));
                }
                _ => {}
            }
            assert_eq!(operation, "DescribeTable");
            Reply::json(
                200,
                &json!({ "Table": {
                "KeySchema": [{ "AttributeName": "productId", "KeyType": "HASH" }],
                "AttributeDefinitions": [{ "AttributeName": "productId", "AttributeType": "S" }],
            } }),
            )
        })
        .await;
        let bench = Fixture::start().await;
        bench.put(KEY, sample("inventory.json")).await;
        let services = Services {
            dynamodb: dynamodb.url.clone(),
            ..bench.services.clone()
        };
        let config = Config { writer, ..config() };
        let importer = Importer::new(config, services.sdk_config());
        let error = error(&importer, BUCKET).await;
        let permission = format!("allow dynamodb:{denied} on {TABLE}");
        assert_says(
            &error,
            &["AccessDeniedException", "not authorized", &permission],
        );
    }
}

#[tokio::test]
async fn dynamodb_is_not_there() {
    let bench = Fixture::start().await;
    bench.put(KEY, sample("inventory.json")).await;
    let gone = Server::start(|_| Reply::Reset).await;
    let services = Services {
        dynamodb: gone.url.clone(),
        ..bench.services.clone()
    };
    let error = error(&Importer::new(config(), services.sdk_config()), BUCKET).await;
    assert_says(
        &error,
        &[
            "DescribeTable",
            "no answer",
            "check the network",
            "AWS_ENDPOINT_URL",
        ],
    );
}

with_each_writer!(dynamodb_denies_access);
