use std::collections::BTreeSet;

use bytes::Bytes;
use http::{Method, Response};
use local::{FaultCounts, FaultPlan, Rate, Stack, StackOptions, TABLE};
use serde_json::{Value, json};

use crate::client::{json as call, json_headers, send};

async fn start(plan: FaultPlan) -> Stack {
    Stack::start(StackOptions {
        faults: Some(plan),
        ..StackOptions::default()
    })
    .await
    .unwrap()
}

fn batch(ids: std::ops::Range<usize>) -> Value {
    let put = |id| json!({ "PutRequest": { "Item": { "productId": { "S": format!("P{id}") } } } });
    json!({ "RequestItems": { TABLE: ids.map(put).collect::<Vec<_>>() } })
}

async fn write(stack: &Stack, batch: &Value) -> (u16, Value) {
    call(
        &stack.endpoints().dynamodb,
        "DynamoDB_20120810.BatchWriteItem",
        batch,
    )
    .await
}

/// The whole response, or the error if the connection ended without one.
async fn try_write(
    stack: &Stack,
    batch: &Value,
) -> Result<Response<Bytes>, hyper_util::client::legacy::Error> {
    let headers = json_headers("DynamoDB_20120810.BatchWriteItem");
    send(
        Method::POST,
        &stack.endpoints().dynamodb,
        &headers,
        batch.to_string(),
    )
    .await
}

/// How many items the table has, asked without faults.
async fn count(stack: &Stack) -> u64 {
    let upstream = stack.faults().unwrap().upstream();
    let scan = json!({ "TableName": TABLE, "Select": "COUNT", "ConsistentRead": true });
    call(upstream, "DynamoDB_20120810.Scan", &scan).await.1["Count"]
        .as_u64()
        .unwrap()
}

#[tokio::test]
async fn some_items_come_back_unprocessed_and_are_not_written() {
    let stack = start(FaultPlan {
        unprocessed: Rate::Every(1),
        seed: 3,
        ..FaultPlan::default()
    })
    .await;
    let (status, answer) = write(&stack, &batch(0..25)).await;
    assert_eq!(status, 200);
    let unprocessed = answer["UnprocessedItems"][TABLE].as_array().unwrap();
    let ids: BTreeSet<&str> = unprocessed
        .iter()
        .map(|put| {
            put["PutRequest"]["Item"]["productId"]["S"]
                .as_str()
                .unwrap()
        })
        .collect();
    assert!(
        (1..=25).contains(&ids.len()) && ids.len() == unprocessed.len(),
        "{ids:?}"
    );
    assert_eq!(count(&stack).await, 25 - ids.len() as u64);
    let counts = stack.faults().unwrap().counts();
    assert_eq!(
        (counts.unprocessed_batches, counts.unprocessed_items),
        (1, ids.len() as u64)
    );
    // The checksum would be of the body that was.
    let rewritten = try_write(&stack, &batch(50..75)).await.unwrap();
    assert!(!rewritten.headers().contains_key("x-amz-crc32"));
    // A batch of one has nothing left to write.
    let (status, answer) = write(&stack, &batch(100..101)).await;
    assert_eq!(
        (
            status,
            answer["UnprocessedItems"][TABLE].as_array().unwrap().len()
        ),
        (200, 1)
    );
}

#[tokio::test]
async fn throttling_and_server_errors_write_nothing() {
    let throttling = FaultPlan {
        throttle: Rate::Every(1),
        ..FaultPlan::default()
    };
    let failing = FaultPlan {
        server_error: Rate::Every(1),
        ..FaultPlan::default()
    };
    for (plan, expected) in [
        (
            throttling,
            [
                (400, "ThrottlingException"),
                (400, "ProvisionedThroughputExceededException"),
            ],
        ),
        (
            failing,
            [(500, "InternalServerError"), (500, "InternalServerError")],
        ),
    ] {
        let stack = start(plan).await;
        for expected in expected {
            let (status, error) = write(&stack, &batch(0..3)).await;
            let exception = error["__type"]
                .as_str()
                .unwrap()
                .rsplit('#')
                .next()
                .unwrap()
                .to_owned();
            assert_eq!((status, exception.as_str()), expected);
        }
        assert_eq!(count(&stack).await, 0);
        let counts = stack.faults().unwrap().counts();
        assert_eq!(
            (counts.requests, counts.throttles + counts.server_errors),
            (2, 2)
        );
    }
}

#[tokio::test]
async fn a_connection_is_dropped_before_or_after_the_write() {
    let before = FaultPlan {
        drop_request: Rate::Every(1),
        ..FaultPlan::default()
    };
    let after = FaultPlan {
        drop_response: Rate::Every(1),
        ..FaultPlan::default()
    };
    for (plan, written) in [(before, 0), (after, 3)] {
        let stack = start(plan).await;
        assert!(try_write(&stack, &batch(0..3)).await.is_err());
        assert_eq!(count(&stack).await, written);
        let FaultCounts {
            dropped_requests,
            dropped_responses,
            ..
        } = stack.faults().unwrap().counts();
        assert_eq!(
            (dropped_requests, dropped_responses),
            (u64::from(written == 0), u64::from(written == 3))
        );
    }
}

#[tokio::test]
async fn reading_and_what_is_not_hit_pass_unchanged() {
    let plan = FaultPlan {
        throttle: Rate::Every(2),
        ..FaultPlan::default()
    };
    let stack = start(plan).await;
    assert_eq!(write(&stack, &batch(0..2)).await.0, 200);
    for _ in 0..5 {
        let describe = json!({ "TableName": TABLE });
        let (status, table) = call(
            &stack.endpoints().dynamodb,
            "DynamoDB_20120810.DescribeTable",
            &describe,
        )
        .await;
        assert_eq!(
            (status, &table["Table"]["TableStatus"]),
            (200, &json!("ACTIVE"))
        );
    }
    assert_eq!(write(&stack, &batch(2..4)).await.0, 400);
    assert_eq!(stack.faults().unwrap().counts().requests, 2);
}

/// The SDK retries what may be retried: every item must arrive through all faults at once.
#[tokio::test]
async fn the_sdk_gets_everything_through() {
    use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
    let rate = Rate::Probability(0.05);
    let plan = FaultPlan {
        seed: 42,
        drop_request: rate,
        drop_response: rate,
        server_error: rate,
        throttle: rate,
        unprocessed: Rate::Probability(0.2),
    };
    let stack = start(plan).await;
    let retries = aws_sdk_dynamodb::config::retry::RetryConfig::standard()
        .with_max_attempts(20)
        .with_initial_backoff(std::time::Duration::from_millis(1));
    let client = crate::client::sdk!(
        aws_sdk_dynamodb,
        &stack.endpoints().dynamodb,
        retry_config(retries),
        retry_partition(aws_sdk_dynamodb::config::retry::RetryPartition::new(
            "faults"
        ))
    );
    let request = |id: usize| {
        let put = PutRequest::builder()
            .item("productId", AttributeValue::S(format!("P{id}")))
            .build()
            .unwrap();
        WriteRequest::builder().put_request(put).build()
    };
    for first in (0..500).step_by(25) {
        let mut left = vec![(
            TABLE.to_owned(),
            (first..first + 25).map(request).collect::<Vec<_>>(),
        )];
        while !left.is_empty() {
            let write = client
                .batch_write_item()
                .set_request_items(Some(left.drain(..).collect()));
            left = write
                .send()
                .await
                .unwrap()
                .unprocessed_items
                .unwrap_or_default()
                .into_iter()
                .collect();
        }
    }
    assert_eq!(count(&stack).await, 500);
    assert_ne!(stack.faults().unwrap().counts().unprocessed_items, 0);
}
