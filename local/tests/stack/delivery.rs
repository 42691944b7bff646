//! How the importer gets its events when something goes wrong, and past the queue.

use std::time::{Duration, Instant};

use local::{
    Fault, FaultPlan, LocalError, Stack, StackOptions, TABLE, events::ObjectCreated,
    runtime::InvokeError, wiring::MAX_RECEIVE_COUNT,
};
use serde_json::{Value, json};

use crate::{
    client::{self, LIMIT},
    function::program,
};

const HOUR: Duration = Duration::from_hours(1);
/// When a message comes again: after any handling of it here, on a busy machine, too.
const SOON: Duration = Duration::from_secs(6);
/// How long it is watched that a message does not come again.
const A_WHILE: Duration = Duration::from_secs(1);

/// A stack with an importer only, which writes an item for each object.
async fn start(visibility_timeout: Duration, retry_delay: Option<Duration>) -> Stack {
    let mut importer = program("importer");
    importer.concurrency = 2;
    let options = StackOptions {
        importer: Some(importer),
        visibility_timeout: Some(visibility_timeout),
        retry_delay,
        ..StackOptions::default()
    };
    Stack::start(options).await.unwrap()
}

/// The keys of the table's items, in order.
async fn items(stack: &Stack) -> Vec<String> {
    let scan = json!({ "TableName": TABLE, "ConsistentRead": true });
    let url = &stack.undisturbed().dynamodb;
    let (_, answer) = client::json(url, "DynamoDB_20120810.Scan", &scan).await;
    let items = answer["Items"].as_array().unwrap().iter();
    let mut keys: Vec<String> = items
        .map(|item| item["productId"]["S"].as_str().unwrap().to_owned())
        .collect();
    keys.sort();
    keys
}

fn invocations(stack: &Stack) -> u64 {
    stack.importer().unwrap().invocations()
}

async fn a_message_comes_again_after(fault: Fault, written: u64) {
    // The early retry is for failures that the function reports, which a killed one does not.
    let stack = start(SOON, Some(Duration::ZERO)).await;
    let plan = FaultPlan::default().fail("PutItem", 1, fault);
    let before = std::sync::Arc::new(std::sync::Mutex::new(None));
    let seen = std::sync::Arc::clone(&before);
    let url = stack.undisturbed().dynamodb.clone();
    let plan = plan.before("PutItem", 2, move || {
        let (seen, url) = (std::sync::Arc::clone(&seen), url.clone());
        async move {
            let scan = json!({ "TableName": TABLE, "Select": "COUNT" });
            let (_, answer) = client::json(&url, "DynamoDB_20120810.Scan", &scan).await;
            *seen.lock().unwrap() = answer["Count"].as_u64();
        }
    });
    stack.faults().set(plan);
    let began = Instant::now();
    stack.put_object("uploads/a", "fine").await.unwrap();
    stack.wait_idle(LIMIT).await.unwrap();
    assert!(began.elapsed() >= SOON, "{fault}");
    assert_eq!(invocations(&stack), 2, "{fault}");
    assert_eq!(*before.lock().unwrap(), Some(written), "{fault}");
    assert_eq!(items(&stack).await, ["uploads/a"]);
    assert_eq!(stack.dead_letter_count(), 0);
    stack.shutdown().await;
}

#[tokio::test]
async fn a_message_comes_again_after_a_kill_when_its_visibility_timeout_ends() {
    tokio::join!(
        a_message_comes_again_after(Fault::KillBefore, 0),
        a_message_comes_again_after(Fault::KillAfter, 1),
    );
}

#[tokio::test]
async fn only_failures_that_the_importer_reports_are_retried_early() {
    let stack = start(HOUR, Some(Duration::ZERO)).await;
    stack.put_object("uploads/a", "poison").await.unwrap();
    stack.wait_idle(LIMIT).await.unwrap();
    let receives = u64::from(MAX_RECEIVE_COUNT);
    assert_eq!(
        (stack.dead_letter_count(), invocations(&stack)),
        (1, receives)
    );
    stack.faults().clear();
    stack.put_object("uploads/b", "crash").await.unwrap();
    stack.faults().reached("GetObject", 1).await;
    let busy = stack.wait_idle(A_WHILE).await.unwrap_err();
    assert!(
        matches!(busy, LocalError::Busy { imports: 1, .. }),
        "{busy}"
    );
    assert_eq!(
        (stack.dead_letter_count(), invocations(&stack)),
        (1, receives + 1)
    );
}

#[tokio::test]
async fn without_an_early_retry_a_reported_failure_waits_for_its_timeout_too() {
    let stack = start(HOUR, None).await;
    stack.put_object("uploads/a", "poison").await.unwrap();
    stack.faults().reached("GetObject", 1).await;
    let busy = stack.wait_idle(A_WHILE).await.unwrap_err();
    assert!(
        matches!(busy, LocalError::Busy { imports: 1, .. }),
        "{busy}"
    );
    assert_eq!(invocations(&stack), 1);
}

#[tokio::test]
async fn events_are_given_twice_at_once_and_out_of_order() {
    let stack = start(HOUR, None).await;
    stack.pause_imports();
    for key in ["uploads/a", "uploads/b"] {
        stack.put_object(key, "fine").await.unwrap();
    }
    let uploads: Vec<ObjectCreated> = stack.uploads();
    let [first, second] = [0, 1].map(|n| stack.import_event(&uploads[n]));
    let notification: Value =
        serde_json::from_str(second["Records"][0]["body"].as_str().unwrap()).unwrap();
    let object = &notification["Records"][0]["s3"]["object"];
    assert_eq!(object["key"], "uploads/b");
    assert_eq!(object["eTag"], uploads[1].etag.as_str());
    let nothing_failed = json!({ "batchItemFailures": [] });
    let answer = stack.invoke_importer(second.clone()).await.unwrap();
    assert_eq!(answer, nothing_failed);
    assert_eq!(items(&stack).await, ["uploads/b"]);
    let (one, other) = tokio::join!(stack.invoke_importer(first), stack.invoke_importer(second));
    assert_eq!(
        [one.unwrap(), other.unwrap()],
        [nothing_failed.clone(), nothing_failed]
    );
    assert_eq!(items(&stack).await, ["uploads/a", "uploads/b"]);
    assert_eq!(invocations(&stack), 3);
    assert!(stack.wait_idle(Duration::from_millis(10)).await.is_err());
    stack.purge_imports();
    stack.resume_imports();
    stack.wait_idle(LIMIT).await.unwrap();
    assert_eq!(invocations(&stack), 3);
    stack.announce(&uploads[0]);
    stack.announce(&uploads[0]);
    stack.wait_idle(LIMIT).await.unwrap();
    assert_eq!(invocations(&stack), 5);
}

#[tokio::test]
async fn a_message_is_received_as_often_as_the_stack_is_told() {
    let options = StackOptions {
        importer: Some(program("importer")),
        retry_delay: Some(Duration::ZERO),
        max_receive_count: Some(5),
        ..StackOptions::default()
    };
    let stack = Stack::start(options).await.unwrap();
    stack.put_object("uploads/a", "poison").await.unwrap();
    stack.wait_idle(LIMIT).await.unwrap();
    assert_eq!((stack.dead_letter_count(), invocations(&stack)), (1, 5));
}

#[tokio::test]
async fn a_paused_queue_keeps_its_messages() {
    let stack = start(HOUR, None).await;
    stack.pause_imports();
    stack.put_object("uploads/a", "fine").await.unwrap();
    assert!(stack.wait_idle(Duration::from_millis(200)).await.is_err());
    assert_eq!(invocations(&stack), 0);
    stack.resume_imports();
    stack.wait_idle(LIMIT).await.unwrap();
    assert_eq!(items(&stack).await, ["uploads/a"]);
}

#[tokio::test]
async fn a_stack_without_an_importer_says_so() {
    let stack = client::start().await;
    assert!(stack.importer().is_none());
    let error = stack.invoke_importer(json!({})).await.unwrap_err();
    assert!(matches!(error, InvokeError::NoFunction), "{error}");
    let error = stack.put_object("/a", "a").await.unwrap_err();
    assert!(error.to_string().contains("/a"), "{error}");
}
