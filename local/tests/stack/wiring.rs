use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use local::{BUCKET, LocalError, Stack, StackOptions, StreamMappingOptions, TABLE};
use serde_json::json;

use crate::{
    client::{self, LIMIT, s3},
    function::program,
};

fn options() -> StackOptions {
    StackOptions {
        importer: Some(program("importer")),
        notifier: Some(program("notifier")),
        retry_delay: Some(Duration::ZERO),
        stream: StreamMappingOptions {
            maximum_retry_attempts: Some(4),
            ..StreamMappingOptions::without_window()
        },
        ..StackOptions::default()
    }
}

async fn start() -> Stack {
    Stack::start(options()).await.unwrap()
}

async fn upload(stack: &Stack, key: &str, content: &'static str) {
    let put = s3(stack.endpoints()).put_object().bucket(BUCKET).key(key);
    put.body(ByteStream::from_static(content.as_bytes()))
        .send()
        .await
        .unwrap();
}

/// All keys that were published, in order.
fn published(stack: &Stack) -> Vec<String> {
    stack
        .inbox()
        .iter()
        .flat_map(|message| {
            message
                .message
                .split(' ')
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

#[tokio::test]
async fn an_upload_becomes_an_item_and_an_item_a_message() {
    let stack = start().await;
    upload(&stack, "uploads/a", "fine").await;
    upload(&stack, "elsewhere/b", "fine").await;
    stack.wait_idle(LIMIT).await.unwrap();
    assert_eq!(published(&stack), ["uploads/a"]);
    upload(&stack, "uploads/c", "fine").await;
    upload(&stack, "uploads/d", "fine").await;
    stack.wait_idle(LIMIT).await.unwrap();
    assert_eq!(published(&stack), ["uploads/a", "uploads/c", "uploads/d"]);
    assert_eq!(stack.dead_letter_count(), 0);
    stack.shutdown().await;
}

#[tokio::test]
async fn a_failed_message_is_retried_and_ends_in_the_dead_letter_queue() {
    let stack = start().await;
    upload(&stack, "uploads/bad-file", "poison").await;
    upload(&stack, "uploads/good", "fine").await;
    stack.wait_idle(LIMIT).await.unwrap();
    assert_eq!(stack.dead_letter_count(), 1);
    assert_eq!(published(&stack), ["uploads/good"]);
}

#[tokio::test]
async fn a_crash_of_the_importer_is_retried_too() {
    let options = StackOptions {
        // After any handling of it here, on a busy machine, too.
        visibility_timeout: Some(Duration::from_secs(4)),
        max_receive_count: Some(3),
        ..options()
    };
    let stack = Stack::start(options).await.unwrap();
    upload(&stack, "uploads/a", "crash").await;
    stack.wait_idle(LIMIT).await.unwrap();
    assert_eq!(stack.dead_letter_count(), 1);
    upload(&stack, "uploads/b", "fine").await;
    stack.wait_idle(LIMIT).await.unwrap();
    assert_eq!(published(&stack), ["uploads/b"]);
}

/// Writes items in one request, so that their stream records come in one batch.
async fn write(stack: &Stack, ids: &[&str]) {
    let put = |id: &&str| json!({ "PutRequest": { "Item": { "productId": { "S": id } } } });
    let batch = json!({ "RequestItems": { TABLE: ids.iter().map(put).collect::<Vec<_>>() } });
    let (status, answer) = client::json(
        &stack.endpoints().dynamodb,
        "DynamoDB_20120810.BatchWriteItem",
        &batch,
    )
    .await;
    assert_eq!(status, 200, "{answer}");
}

fn messages(stack: &Stack) -> Vec<String> {
    stack
        .inbox()
        .into_iter()
        .map(|message| message.message)
        .collect()
}

#[tokio::test]
async fn stream_records_are_offered_again_from_the_first_that_failed() {
    let stack = start().await;
    write(&stack, &["a", "b", "flaky", "c"]).await;
    stack.wait_idle(LIMIT).await.unwrap();
    assert_eq!(messages(&stack), ["a b", "flaky c"]);
}

#[tokio::test]
async fn stream_records_that_always_fail_are_given_up_and_do_not_block_the_rest() {
    let stack = start().await;
    write(&stack, &["a", "bad", "b"]).await;
    stack.wait_idle(LIMIT).await.unwrap();
    // As on AWS without bisecting, the rest of the batch is given up with the record that fails.
    assert_eq!(messages(&stack), ["a"]);
    write(&stack, &["c"]).await;
    stack.wait_idle(LIMIT).await.unwrap();
    assert_eq!(messages(&stack), ["a", "c"]);
}

#[tokio::test]
async fn a_busy_stack_says_what_it_is_busy_with() {
    let mut importer = program("echo");
    // Never answers, and never is asked again within the test.
    importer.env[0].1 = "never-asks".to_owned();
    let stack = Stack::start(StackOptions {
        importer: Some(importer),
        ..StackOptions::default()
    })
    .await
    .unwrap();
    upload(&stack, "uploads/a", "fine").await;
    let error = stack
        .wait_idle(Duration::from_millis(200))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            LocalError::Busy {
                imports: 1,
                stream_pending: false,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn two_stacks_do_not_share_anything() {
    let (one, other) = (start().await, start().await);
    assert_ne!(one.endpoints().s3, other.endpoints().s3);
    upload(&one, "uploads/a", "fine").await;
    one.wait_idle(LIMIT).await.unwrap();
    other.wait_idle(LIMIT).await.unwrap();
    assert_eq!((one.inbox().len(), other.inbox().len()), (1, 0));
}

#[tokio::test]
async fn endpoints_are_told_by_json_and_by_environment() {
    let stack = Stack::start(StackOptions::default()).await.unwrap();
    let endpoints = stack.endpoints();
    let json = serde_json::to_string(endpoints).unwrap();
    assert_eq!(
        &serde_json::from_str::<local::Endpoints>(&json).unwrap(),
        endpoints
    );
    let env = endpoints.env();
    assert!(env.contains(&(
        "AWS_ENDPOINT_URL_DYNAMODB_STREAMS".to_owned(),
        endpoints.dynamodb.clone()
    )));
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let ports = local::Ports {
        sns: port,
        ..local::Ports::default()
    };
    let error = Stack::start(StackOptions {
        ports,
        ..StackOptions::default()
    })
    .await
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&format!("127.0.0.1:{port} for SNS")),
        "{error}"
    );
}

/// Eight free ports below the range that the kernel hands out by itself, so that they stay free while nobody has them.
fn free_ports() -> local::Ports {
    let free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    let first = (10_000..32_000)
        .step_by(8)
        .skip(std::process::id() as usize % 1_000)
        .find(|first| (*first..first + 8).all(free))
        .unwrap();
    local::Ports::starting_at(first)
}

#[tokio::test]
async fn a_stack_that_was_shut_down_leaves_its_ports_free_and_nothing_behind() {
    let ports = free_ports();
    let options = || StackOptions {
        ports,
        ..StackOptions::default()
    };
    let first = Stack::start(options()).await.unwrap();
    upload(&first, "uploads/a", "fine").await;
    first.wait_idle(LIMIT).await.unwrap();
    let endpoints = first.endpoints().clone();
    first.shutdown().await;
    let second = Stack::start(options()).await.unwrap();
    assert_eq!(second.endpoints(), &endpoints);
    let listed = s3(&endpoints)
        .list_objects_v2()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    assert!(listed.contents().is_empty());
    let scan = json!({ "TableName": TABLE });
    let (_, items) = client::json(&endpoints.dynamodb, "DynamoDB_20120810.Scan", &scan).await;
    assert_eq!(items["Count"], 0);
}
