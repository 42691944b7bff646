use std::time::Duration;

use local::{CapacityPlan, Stack, StackOptions, TABLE, capacity::Attempts};
use serde_json::{Value, json};

use crate::client::json as call;

async fn write(stack: &Stack, items: usize) -> (u16, Value) {
    let put = |id| json!({ "PutRequest": { "Item": { "productId": { "S": format!("P{id}") } } } });
    let batch = json!({ "RequestItems": { TABLE: (0..items).map(put).collect::<Vec<_>>() } });
    let target = "DynamoDB_20120810.BatchWriteItem";
    call(&stack.endpoints().dynamodb, target, &batch).await
}

#[tokio::test]
async fn a_table_writes_what_its_capacity_admits() {
    let stack = Stack::start(StackOptions {
        // Ten WCU are saved, and one a second comes on top.
        capacity: Some(CapacityPlan {
            burst: Duration::from_secs(10_000),
            burst_filled: 10.0 / 10_000.0,
            ..CapacityPlan::provisioned(1)
        }),
        ..StackOptions::default()
    })
    .await
    .unwrap();
    let (status, answer) = write(&stack, 25).await;
    let unprocessed = answer["UnprocessedItems"][TABLE].as_array().unwrap().len();
    assert_eq!((status, unprocessed), (200, 15));

    let scan = json!({ "TableName": TABLE, "Select": "COUNT" });
    let scan = call(&stack.endpoints().dynamodb, "DynamoDB_20120810.Scan", &scan).await;
    assert_eq!(scan.1["Count"], 10);

    let log = stack.capacity().unwrap().write_log();
    let rows = log.rows(Duration::ZERO, Duration::MAX);
    assert_eq!(
        rows,
        Attempts {
            all: 25,
            throttled: 15
        }
    );
    let (status, answer) = write(&stack, 25).await;
    if status == 400 {
        let exception = answer["__type"].as_str().unwrap();
        assert!(exception.ends_with("#ProvisionedThroughputExceededException"));
    } else {
        // A second has passed.
        assert!(answer["UnprocessedItems"][TABLE].as_array().unwrap().len() > 15);
    }
    stack.shutdown().await;
}
