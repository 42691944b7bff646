//! A great many INSERTs through the stream's mapping, to a function in a process of its own and to SNS: at most one message
//! for each shard and window, whose counts add up, and which name no row twice.
//!
//! `INTAKE_TEST_RECORDS` is how many records the made-up stream has, and `INTAKE_TEST_NOTIFIER` the `intake` program whose
//! notifier is tested instead of the one in these tests (`make digest`).

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use local::{
    LambdaProgram, LocalError, Message, Stack, StackOptions, StreamMappingOptions, TABLE,
    runtime::{Function, InvokeError},
    wiring::{StreamMapping, StreamRecord, StreamSource, StreamTarget},
};
use serde_json::{Value, json};

use crate::{
    client::{self, sdk},
    function::program,
};

/// Rows that are written to the local DynamoDB.
const ROWS: u64 = 20_000;
/// Records of the made-up stream, if nothing else is asked for.
const RECORDS: u64 = 50_000;
/// Time in which they were written.
const MINUTES: u64 = 10;
/// When that began, in seconds.
const BEGIN: u64 = 1_800_000_000;
/// A million take minutes without optimisation.
const LIMIT: Duration = Duration::from_mins(9);

/// The notifier in these tests: counts the records of a window and publishes at its end, as the real one does.
pub(crate) async fn digest(event: Value) -> Result<Value, lambda_runtime::Error> {
    let mut state = event["state"].clone();
    let mut count = state["count"].as_u64().unwrap_or(0);
    let mut items = state["items"].as_array().cloned().unwrap_or_default();
    for record in event["Records"].as_array().ok_or("no records")? {
        count += 1;
        if items.len() < 10 {
            items.push(json!({ "name": record["dynamodb"]["NewImage"]["name"]["S"] }));
        }
    }
    if event["isFinalInvokeForWindow"] == true && count > 0 {
        let digest = json!({
            "window": event["window"],
            "inserted": { "count": count, "items": items },
        });
        let sns = sdk!(aws_sdk_sns, env::var("AWS_ENDPOINT_URL_SNS")?);
        let publish = sns.publish().topic_arn(env::var("INTAKE_TOPIC_ARN")?);
        let text = json!({ "default": count.to_string(), "sqs": digest.to_string() });
        publish
            .message_structure("json")
            .message(text.to_string())
            .send()
            .await?;
    }
    state = json!({ "count": count, "items": items });
    Ok(json!({ "state": state, "batchItemFailures": [] }))
}

fn notifier() -> LambdaProgram {
    match env::var("INTAKE_TEST_NOTIFIER") {
        Ok(intake) => {
            let mut notifier = LambdaProgram::new("NotifyInventoryUpdate", intake);
            notifier.args = ["lambda", "notifier"].map(Into::into).into();
            notifier
        }
        Err(_) => program("digest"),
    }
}

/// Checks what was published, and returns how many messages there were and how many windows.
fn check(messages: &[Message], rows: u64, shards: usize) -> (usize, usize) {
    let mut by_window: BTreeMap<String, usize> = BTreeMap::new();
    let mut names = BTreeSet::new();
    let mut count = 0;
    for message in messages {
        let digest: Value = serde_json::from_str(message.for_protocol("sqs")).unwrap();
        count += digest["inserted"]["count"].as_u64().unwrap();
        let start = digest["window"]["start"].as_str().unwrap();
        *by_window.entry(start.to_owned()).or_default() += 1;
        let items = digest["inserted"]["items"].as_array().unwrap();
        assert!(!items.is_empty(), "{digest}");
        for item in items {
            let name = item["name"].as_str().unwrap().to_owned();
            assert!(names.insert(name), "{item} is named twice");
        }
    }
    assert_eq!(count, rows);
    for (window, messages) in &by_window {
        assert!(
            *messages <= shards,
            "{messages} for {shards} shards and the window {window}"
        );
    }
    (messages.len(), by_window.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_in_the_table_are_told_once_for_each_window() {
    let shards = 2;
    let stack = Stack::start(StackOptions {
        notifier: Some(notifier()),
        stream: StreamMappingOptions {
            shards,
            ..StreamMappingOptions::with_tumbling_window(Duration::from_secs(2))
        },
        ..StackOptions::default()
    })
    .await
    .unwrap();
    let put = |row: u64| {
        let item = json!({ "productId": { "S": format!("P{row}") }, "name": { "S": format!("Product {row}") } });
        json!({ "PutRequest": { "Item": item } })
    };
    for first in (0..ROWS).step_by(25) {
        let batch: Vec<Value> = (first..first + 25).map(put).collect();
        let request = json!({ "RequestItems": { TABLE: batch } });
        let url = &stack.endpoints().dynamodb;
        let (status, answer) =
            client::json(url, "DynamoDB_20120810.BatchWriteItem", &request).await;
        assert_eq!(status, 200, "{answer}");
    }
    stack.wait_idle(LIMIT).await.unwrap();
    let (messages, windows) = check(&stack.inbox(), ROWS, shards);
    println!("{ROWS} rows: {messages} messages in {windows} windows of {shards} shards");
    stack.shutdown().await;
}

/// INSERTs that were written evenly in [`MINUTES`], all of them there to be read.
struct Inserts {
    records: u64,
    next: u64,
}

impl StreamSource for Inserts {
    fn stream_arn(&self) -> String {
        format!(
            "arn:aws:dynamodb:us-east-1:000000000000:table/{TABLE}/stream/2027-01-15T08:00:00.000"
        )
    }

    async fn read(&mut self) -> Result<Vec<StreamRecord>, LocalError> {
        let end = self.records.min(self.next + 1000);
        let records = (self.next..end).map(|row| {
            let key = json!({ "S": format!("P{row:07}") });
            let json = json!({
                "eventID": format!("{row:032x}"),
                "eventName": "INSERT",
                "eventVersion": "1.1",
                "eventSource": "aws:dynamodb",
                "awsRegion": "us-east-1",
                "dynamodb": {
                    "ApproximateCreationDateTime": BEGIN + row * MINUTES * 60 / self.records,
                    "Keys": { "productId": key },
                    "NewImage": {
                        "productId": key,
                        "name": { "S": format!("Product {row}") },
                        "quantity": { "N": "20" },
                        "price": { "N": "1200" },
                    },
                    "SequenceNumber": format!("{row:021}"),
                    "SizeBytes": 60,
                    "StreamViewType": "NEW_AND_OLD_IMAGES",
                },
            });
            StreamRecord::new(json, 150).unwrap()
        });
        let records = records.collect();
        self.next = end;
        Ok(records)
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(BEGIN + MINUTES * 60 + 1)
    }
}

/// The function past its stack, whose stream nobody writes to.
struct Notifier(Function);

impl StreamTarget for Notifier {
    fn function_arn(&self) -> String {
        self.0.program().function_name.clone()
    }

    async fn invoke(&self, event: Value) -> Result<Value, InvokeError> {
        self.0.invoke(event).await
    }

    async fn keep(&self, key: String, content: Bytes) -> Result<(), LocalError> {
        panic!("{key} is given up: {}", String::from_utf8_lossy(&content));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_great_many_records_are_told_once_for_each_window() {
    let records = env::var("INTAKE_TEST_RECORDS").map_or(RECORDS, |text| text.parse().unwrap());
    let shards = 4;
    let stack = client::start().await;
    let mut notifier = notifier();
    notifier.concurrency = shards;
    let topic = (
        "INTAKE_TOPIC_ARN".to_owned(),
        stack.endpoints().topic_arn.clone(),
    );
    notifier.env.extend(stack.endpoints().env());
    notifier.env.push(topic);
    let options = StreamMappingOptions {
        shards,
        ..StreamMappingOptions::default()
    };
    let begun = Instant::now();
    let source = Inserts { records, next: 0 };
    let (mapping, work) =
        StreamMapping::new(source, Notifier(Function::new(notifier)), options).unwrap();
    let work = tokio::spawn(work);
    tokio::time::timeout(LIMIT, mapping.delivered())
        .await
        .unwrap();
    let took = begun.elapsed().as_secs_f64();
    let (messages, windows) = check(&stack.inbox(), records, shards);
    println!(
        "{records} records: {messages} messages in {windows} windows of {shards} shards, {took:.0} s"
    );
    assert_eq!(
        (messages, windows),
        (shards * MINUTES as usize, MINUTES as usize)
    );
    drop(mapping);
    work.await.unwrap();
    stack.shutdown().await;
}
