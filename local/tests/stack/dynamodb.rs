use local::{Stack, TABLE};
use serde_json::{Value, json};

use crate::client;

async fn call(stack: &Stack, operation: &str, request: Value) -> Value {
    let target = match operation {
        "DescribeStream" | "GetShardIterator" | "GetRecords" => {
            format!("DynamoDBStreams_20120810.{operation}")
        }
        _ => format!("DynamoDB_20120810.{operation}"),
    };
    let (status, answer) = client::json(&stack.endpoints().dynamodb, &target, &request).await;
    assert_eq!(status, 200, "{operation}: {answer}");
    answer
}

fn put(id: usize) -> Value {
    json!({ "PutRequest": { "Item": { "productId": { "S": format!("P{id}") }, "stock": { "N": id.to_string() } } } })
}

#[tokio::test]
async fn a_batch_is_written_and_shows_in_the_stream() {
    let stack = client::start().await;
    let table = call(&stack, "DescribeTable", json!({ "TableName": TABLE })).await;
    let table = &table["Table"];
    assert_eq!(table["TableStatus"], "ACTIVE");
    assert_eq!(
        table["KeySchema"],
        json!([{ "AttributeName": "productId", "KeyType": "HASH" }])
    );
    assert_eq!(
        table["StreamSpecification"]["StreamViewType"],
        "NEW_AND_OLD_IMAGES"
    );

    let batch: Vec<Value> = (0..3).map(put).collect();
    let answer = call(
        &stack,
        "BatchWriteItem",
        json!({ "RequestItems": { TABLE: batch } }),
    )
    .await;
    assert_eq!(answer["UnprocessedItems"], json!({}));
    let count = call(
        &stack,
        "Scan",
        json!({ "TableName": TABLE, "Select": "COUNT" }),
    )
    .await;
    assert_eq!(count["Count"], 3);

    let mut stream = Stream::open(&stack).await;
    let records = stream.next(&stack).await;
    let images: Vec<&Value> = records
        .iter()
        .map(|record| &record["dynamodb"]["NewImage"]["stock"])
        .collect();
    assert_eq!(
        images,
        [
            &json!({ "N": "0" }),
            &json!({ "N": "1" }),
            &json!({ "N": "2" })
        ]
    );
}

/// A reader of the table's stream, from its beginning.
struct Stream {
    iterator: Value,
}

impl Stream {
    async fn open(stack: &Stack) -> Self {
        let table = call(stack, "DescribeTable", json!({ "TableName": TABLE })).await;
        let arn = &table["Table"]["LatestStreamArn"];
        let stream = call(stack, "DescribeStream", json!({ "StreamArn": arn })).await;
        let shard = &stream["StreamDescription"]["Shards"][0]["ShardId"];
        let from =
            json!({ "StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
        let mut answer = call(stack, "GetShardIterator", from).await;
        Self {
            iterator: answer["ShardIterator"].take(),
        }
    }

    async fn next(&mut self, stack: &Stack) -> Vec<Value> {
        let mut answer = call(
            stack,
            "GetRecords",
            json!({ "ShardIterator": self.iterator }),
        )
        .await;
        self.iterator = answer["NextShardIterator"].take();
        answer["Records"]
            .as_array_mut()
            .map(std::mem::take)
            .unwrap()
    }
}

/// That the log has its index is tested beside it; this is about the whole path.
#[tokio::test]
async fn thousands_of_items_and_their_stream_are_written_and_read() {
    const ITEMS: usize = 5_000;
    let stack = client::start().await;
    for first in (0..ITEMS).step_by(25) {
        let batch: Vec<Value> = (first..first + 25).map(put).collect();
        call(
            &stack,
            "BatchWriteItem",
            json!({ "RequestItems": { TABLE: batch } }),
        )
        .await;
    }
    let mut stream = Stream::open(&stack).await;
    let mut ids = Vec::new();
    loop {
        let records = stream.next(&stack).await;
        if records.is_empty() {
            break;
        }
        let keys = records.iter().map(|record| {
            record["dynamodb"]["Keys"]["productId"]["S"]
                .as_str()
                .unwrap()
                .to_owned()
        });
        ids.extend(keys);
    }
    let expected: Vec<String> = (0..ITEMS).map(|id| format!("P{id}")).collect();
    assert!(ids == expected, "{} records", ids.len());
}
