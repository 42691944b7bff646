//! Plans of faults: which calls they hit, how they change, and what else they can do.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_s3::primitives::ByteStream;
use local::{BUCKET, Fault, FaultPlan, JOBS_TABLE, Operation, Stack, TABLE, When};
use serde_json::json;

use crate::{
    client::{self, json as call, s3, sdk},
    faults::{Service, batch, count, counts, write},
};

#[tokio::test]
async fn some_items_come_back_unprocessed_and_are_not_written() {
    let stack = client::start().await;
    let plan = FaultPlan::default().seed(3);
    let plan = plan.fail("BatchWriteItem", 1.., Fault::Unprocessed);
    stack.faults().set(plan);
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
    assert_eq!(stack.faults().counts("BatchWriteItem"), counts(1, 1));
    assert_eq!(stack.faults().unprocessed_items(), ids.len() as u64);
    // The checksum would be of the body that was.
    let rewritten = Service::DynamoDb.call(&stack).await.unwrap();
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
async fn throttling_of_dynamodb_has_two_names() {
    let stack = client::start().await;
    let plan = FaultPlan::default().fail(Operation::any(), 1.., Fault::Throttle);
    stack.faults().set(plan);
    for expected in [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
    ] {
        let (_, error) = write(&stack, &batch(0..1)).await;
        assert!(
            error["__type"].as_str().unwrap().ends_with(expected),
            "{error}"
        );
    }
    for _ in 0..2 {
        let url = &stack.endpoints().dynamodb;
        let name = json!({ "TableName": TABLE });
        let (_, error) = call(url, "DynamoDB_20120810.DescribeTable", &name).await;
        assert!(
            error["__type"]
                .as_str()
                .unwrap()
                .ends_with("#ThrottlingException"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn calls_are_counted_by_operation_and_by_what_they_are_on() {
    let stack = client::start().await;
    let client = s3(stack.endpoints());
    for key in ["uploads/a b", "reports/r"] {
        let put = client.put_object().bucket(BUCKET).key(key);
        put.body(ByteStream::from_static(b"x"))
            .send()
            .await
            .unwrap();
    }
    client
        .head_object()
        .bucket(BUCKET)
        .key("reports/r")
        .send()
        .await
        .unwrap();
    let upload = client.create_multipart_upload().bucket(BUCKET).key("m");
    let upload = upload.send().await.unwrap();
    let part = client.upload_part().bucket(BUCKET).key("m").part_number(1);
    let part = part.upload_id(upload.upload_id().unwrap());
    part.body(ByteStream::from_static(b"x"))
        .send()
        .await
        .unwrap();
    let abort = client.abort_multipart_upload().bucket(BUCKET).key("m");
    abort
        .upload_id(upload.upload_id().unwrap())
        .send()
        .await
        .unwrap();
    for table in [TABLE, JOBS_TABLE] {
        let url = &stack.endpoints().dynamodb;
        let name = json!({ "TableName": table });
        call(url, "DynamoDB_20120810.DescribeTable", &name).await;
    }
    // What is done past the faults is not counted.
    write_undisturbed(&stack).await;
    let faults = stack.faults();
    assert_eq!(
        faults.operations(),
        [
            "AbortMultipartUpload",
            "CreateMultipartUpload",
            "DescribeTable",
            "HeadObject",
            "PutObject",
            "UploadPart",
        ]
    );
    for (operation, calls) in [
        (Operation::new("PutObject"), 2),
        (Operation::new("PutObject").on("uploads/a b"), 1),
        (Operation::new("DescribeTable").on(JOBS_TABLE), 1),
        (Operation::any().on("reports/"), 2),
        (Operation::any(), 8),
        (Operation::new("GetObject"), 0),
    ] {
        assert_eq!(
            faults.counts(operation.clone()),
            counts(calls, 0),
            "{operation:?}"
        );
    }
    faults.clear();
    assert_eq!(faults.counts(Operation::any()), counts(0, 0));
}

async fn write_undisturbed(stack: &Stack) {
    let url = &stack.undisturbed().dynamodb;
    let (status, _) = call(url, "DynamoDB_20120810.BatchWriteItem", &batch(0..1)).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn what_is_not_hit_passes_unchanged_and_plans_change_at_run_time() {
    let stack = client::start().await;
    let plan = FaultPlan::default().fail("BatchWriteItem", When::every(2), Fault::Throttle);
    stack.faults().set(plan);
    let statuses = async || {
        let mut statuses = Vec::new();
        for _ in 0..4 {
            statuses.push(write(&stack, &batch(0..2)).await.0);
        }
        statuses
    };
    assert_eq!(statuses().await, [200, 400, 200, 400]);
    let plan = FaultPlan::default().fail("BatchWriteItem", 2..=3, Fault::InternalError);
    stack.faults().set(plan);
    assert_eq!(statuses().await, [200, 500, 500, 200]);
    stack.faults().clear();
    assert_eq!(statuses().await, [200; 4]);
    assert_eq!(stack.faults().counts("BatchWriteItem"), counts(4, 0));
}

#[tokio::test]
async fn an_object_is_replaced_when_it_is_read_for_the_nth_time() {
    let stack = client::start().await;
    stack.put_object("uploads/a", "first").await.unwrap();
    stack.put_object("uploads/other", "other").await.unwrap();
    let plan = FaultPlan::default().replace_object("uploads/a", 2, "second");
    stack.faults().set(plan);
    let client = s3(stack.endpoints());
    let get = |key| client.get_object().bucket(BUCKET).key(key);
    let first = get("uploads/a").send().await.unwrap();
    let etag = first.e_tag().unwrap().to_owned();
    get("uploads/other").send().await.unwrap();
    let changed = get("uploads/a").if_match(&etag).send().await.unwrap_err();
    assert_eq!(changed.raw_response().unwrap().status().as_u16(), 412);
    let second = get("uploads/a").send().await.unwrap();
    assert_ne!(second.e_tag(), Some(etag.as_str()));
    assert_eq!(second.body.collect().await.unwrap().to_vec(), b"second");
    // As if it was uploaded: it is announced.
    let uploads = stack.uploads();
    let keys: Vec<&str> = uploads.iter().map(|upload| upload.key.as_str()).collect();
    assert_eq!(keys, ["uploads/a", "uploads/other", "uploads/a"]);
    assert!(uploads[2].sequencer > uploads[0].sequencer);
    assert_eq!(uploads[0].etag, etag.trim_matches('"'));
}

#[tokio::test]
async fn a_test_can_do_something_before_and_after_a_call() {
    let stack = Arc::new(client::start().await);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let look = |moment: &'static str| {
        let (stack, seen) = (Arc::downgrade(&stack), seen.clone());
        move || {
            let (stack, seen) = (stack.upgrade().unwrap(), seen.clone());
            async move {
                let items = count(&stack).await;
                seen.lock().unwrap().push((moment, items));
            }
        }
    };
    stack.faults().set(
        FaultPlan::default()
            .before("BatchWriteItem", 2, look("before"))
            .after("BatchWriteItem", 2, look("after")),
    );
    for first in [0, 10, 20] {
        assert_eq!(write(&stack, &batch(first..first + 5)).await.0, 200);
    }
    assert_eq!(*seen.lock().unwrap(), [("before", 5), ("after", 10)]);
    assert_eq!(stack.faults().counts("BatchWriteItem"), counts(3, 0));
    let reached = stack.faults().reached("BatchWriteItem", 3);
    tokio::time::timeout(client::LIMIT, reached).await.unwrap();
}

/// The SDK retries what may be retried: every item must arrive through all faults at once.
#[tokio::test]
async fn the_sdk_gets_everything_through() {
    use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
    let stack = client::start().await;
    let mut plan = FaultPlan::default().seed(42);
    for fault in [
        Fault::ResetBefore,
        Fault::ResetAfter,
        Fault::InternalError,
        Fault::Throttle,
        Fault::TruncatedBody,
        Fault::ClockSkew,
    ] {
        plan = plan.fail("BatchWriteItem", When::probability(0.05), fault);
    }
    plan = plan.fail("BatchWriteItem", When::probability(0.2), Fault::Unprocessed);
    stack.faults().set(plan);
    let retries = aws_sdk_dynamodb::config::retry::RetryConfig::standard()
        .with_max_attempts(20)
        .with_initial_backoff(Duration::from_millis(1));
    let client = sdk!(
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
    assert_ne!(stack.faults().unprocessed_items(), 0);
}
