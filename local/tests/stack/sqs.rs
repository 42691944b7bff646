use http::Method;
use local::Stack;
use serde_json::{Value, json};

use crate::client::{self, send};

async fn call(stack: &Stack, action: &str, request: Value) -> (u16, Value) {
    client::json(
        &stack.endpoints().sqs,
        &format!("AmazonSQS.{action}"),
        &request,
    )
    .await
}

/// A call that succeeds.
async fn done(stack: &Stack, action: &str, request: Value) -> Value {
    let (status, answer) = call(stack, action, request).await;
    assert_eq!(status, 200, "{action}: {answer}");
    answer
}

async fn create(stack: &Stack, name: &str, attributes: Value) -> Value {
    done(
        stack,
        "CreateQueue",
        json!({ "QueueName": name, "Attributes": attributes }),
    )
    .await["QueueUrl"]
        .take()
}

async fn receive(stack: &Stack, queue: &Value, wait_seconds: u32) -> Vec<Value> {
    let request = json!({
        "QueueUrl": queue, "MaxNumberOfMessages": 10, "WaitTimeSeconds": wait_seconds,
        "MessageSystemAttributeNames": ["All"], "MessageAttributeNames": ["All"],
    });
    let mut answer = done(stack, "ReceiveMessage", request).await;
    answer["Messages"]
        .as_array_mut()
        .map(std::mem::take)
        .unwrap_or_default()
}

#[tokio::test]
async fn queues_are_found_by_name_prefix_and_url() {
    let stack = client::start().await;
    let endpoints = stack.endpoints();
    let listed = done(
        &stack,
        "ListQueues",
        json!({ "QueueNamePrefix": "intake-imports" }),
    )
    .await;
    assert_eq!(
        listed["QueueUrls"],
        json!([endpoints.queue_url, endpoints.dlq_url])
    );
    let found = done(
        &stack,
        "GetQueueUrl",
        json!({ "QueueName": local::IMPORTS_QUEUE }),
    )
    .await;
    assert_eq!(found["QueueUrl"], json!(endpoints.queue_url));
    // The same queue by another name of this machine.
    let by_name = endpoints.queue_url.replace("127.0.0.1", "localhost");
    let attributes =
        json!({ "QueueUrl": by_name, "AttributeNames": ["QueueArn", "RedrivePolicy"] });
    let attributes = done(&stack, "GetQueueAttributes", attributes).await;
    assert_eq!(
        attributes["Attributes"]["QueueArn"],
        "arn:aws:sqs:us-east-1:000000000000:intake-imports"
    );
    let redrive: Value =
        serde_json::from_str(attributes["Attributes"]["RedrivePolicy"].as_str().unwrap()).unwrap();
    assert_eq!(redrive["maxReceiveCount"], local::wiring::MAX_RECEIVE_COUNT);
}

#[tokio::test]
async fn a_message_comes_as_it_was_sent() {
    let stack = client::start().await;
    let queue = create(&stack, "q", json!({})).await;
    let attributes = json!({
        "kind": { "DataType": "String", "StringValue": "test" },
        "raw": { "DataType": "Binary", "BinaryValue": "AAE=" },
    });
    let request =
        json!({ "QueueUrl": queue, "MessageBody": "hello", "MessageAttributes": attributes });
    let sent = done(&stack, "SendMessage", request).await;
    assert_eq!(sent["MD5OfMessageBody"], "5d41402abc4b2a76b9719d911017c592");
    let received = receive(&stack, &queue, 0).await;
    let message = &received[0];
    assert_eq!(message["MessageId"], sent["MessageId"]);
    assert_eq!(message["Body"], "hello");
    assert_eq!(message["MD5OfBody"], sent["MD5OfMessageBody"]);
    assert_eq!(message["MessageAttributes"], attributes);
    assert_eq!(
        message["MD5OfMessageAttributes"],
        sent["MD5OfMessageAttributes"]
    );
    assert_eq!(message["Attributes"]["ApproximateReceiveCount"], "1");
    done(
        &stack,
        "DeleteMessage",
        json!({ "QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"] }),
    )
    .await;
    let counts = json!({ "QueueUrl": queue, "AttributeNames": ["All"] });
    let counts = done(&stack, "GetQueueAttributes", counts).await;
    assert_eq!(counts["Attributes"]["ApproximateNumberOfMessages"], "0");
    assert_eq!(
        counts["Attributes"]["ApproximateNumberOfMessagesNotVisible"],
        "0"
    );
}

#[tokio::test]
async fn a_message_received_too_often_goes_to_the_dead_letter_queue() {
    let stack = client::start().await;
    let dlq = create(&stack, "dlq", json!({})).await;
    let policy = json!({ "deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dlq", "maxReceiveCount": "2" });
    let queue = create(&stack, "q", json!({ "RedrivePolicy": policy.to_string() })).await;
    done(
        &stack,
        "SendMessage",
        json!({ "QueueUrl": queue, "MessageBody": "poison" }),
    )
    .await;
    for count in ["1", "2"] {
        let message = &receive(&stack, &queue, 0).await[0];
        assert_eq!(message["Attributes"]["ApproximateReceiveCount"], count);
        let handle = &message["ReceiptHandle"];
        let visible = json!({ "QueueUrl": queue, "ReceiptHandle": handle, "VisibilityTimeout": 0 });
        done(&stack, "ChangeMessageVisibility", visible).await;
    }
    assert!(receive(&stack, &queue, 0).await.is_empty());
    assert_eq!(receive(&stack, &dlq, 0).await[0]["Body"], "poison");
}

#[tokio::test]
async fn a_hidden_message_comes_back_to_a_receiver_that_waits() {
    let stack = client::start().await;
    let queue = create(&stack, "q", json!({ "VisibilityTimeout": "3" })).await;
    done(
        &stack,
        "SendMessage",
        json!({ "QueueUrl": queue, "MessageBody": "again" }),
    )
    .await;
    assert_eq!(receive(&stack, &queue, 0).await.len(), 1);
    assert_eq!(receive(&stack, &queue, 0).await.len(), 0);
    assert_eq!(
        receive(&stack, &queue, 20).await[0]["Attributes"]["ApproximateReceiveCount"],
        "2"
    );
}

#[tokio::test]
async fn batches_succeed_and_fail_entry_by_entry() {
    let stack = client::start().await;
    let queue = create(&stack, "q", json!({})).await;
    let entries = json!([
        { "Id": "a", "MessageBody": "1" }, { "Id": "b", "MessageBody": "" }, { "Id": "c", "MessageBody": "3" },
    ]);
    let sent = done(
        &stack,
        "SendMessageBatch",
        json!({ "QueueUrl": queue, "Entries": entries }),
    )
    .await;
    assert_eq!(sent["Successful"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&sent["Failed"][0]["Id"], &sent["Failed"][0]["Code"]),
        (&json!("b"), &json!("MissingParameter"))
    );
    let received = receive(&stack, &queue, 0).await;
    let entries = json!([
        { "Id": "a", "ReceiptHandle": received[0]["ReceiptHandle"] }, { "Id": "b", "ReceiptHandle": "nonsense" },
    ]);
    let deleted = done(
        &stack,
        "DeleteMessageBatch",
        json!({ "QueueUrl": queue, "Entries": entries }),
    )
    .await;
    assert_eq!(deleted["Successful"], json!([{ "Id": "a" }]));
    assert_eq!(deleted["Failed"][0]["Code"], "ReceiptHandleIsInvalid");
    done(&stack, "PurgeQueue", json!({ "QueueUrl": queue })).await;
    let gone = json!({ "QueueUrl": queue, "ReceiptHandle": received[1]["ReceiptHandle"], "VisibilityTimeout": 0 });
    let (status, error) = call(&stack, "ChangeMessageVisibility", gone).await;
    assert_eq!(
        (status, &error["__type"]),
        (400, &json!("com.amazonaws.sqs#MessageNotInflight"))
    );
}

/// Checks that each call fails with HTTP 400 and the shape given.
async fn assert_refused(stack: &Stack, cases: Vec<(&str, Value, &str)>) {
    for (action, request, expected) in cases {
        let (status, error) = call(stack, action, request).await;
        let shape = error["__type"]
            .as_str()
            .unwrap()
            .rsplit('#')
            .next()
            .unwrap();
        assert_eq!((status, shape), (400, expected), "{action}: {error}");
    }
}

#[tokio::test]
async fn messages_that_sqs_refuses_are_refused() {
    let stack = client::start().await;
    let q = create(&stack, "q", json!({})).await;
    let long = "x".repeat(1_048_577);
    let same = json!([{ "Id": "a", "MessageBody": "1" }, { "Id": "a", "MessageBody": "2" }]);
    let send = |body: Value| ("SendMessage", json!({ "QueueUrl": q, "MessageBody": body }));
    let batch = |entries: Value| {
        (
            "SendMessageBatch",
            json!({ "QueueUrl": q, "Entries": entries }),
        )
    };
    let receive =
        |name: &str, value: i64| ("ReceiveMessage", json!({ "QueueUrl": q, name: value }));
    let delete = (
        "DeleteMessage",
        json!({ "QueueUrl": q, "ReceiptHandle": "x" }),
    );
    let cases = [
        (send(json!("")), "MissingRequiredParameterException"),
        (send(json!(long)), "InvalidParameterValueException"),
        (send(json!("\u{1}")), "InvalidMessageContents"),
        (send(json!(1)), "SerializationException"),
        (batch(same), "BatchEntryIdsNotDistinct"),
        (batch(json!([])), "EmptyBatchRequest"),
        (
            receive("MaxNumberOfMessages", 11),
            "InvalidParameterValueException",
        ),
        (
            receive("MaxNumberOfMessages", 0),
            "InvalidParameterValueException",
        ),
        (
            receive("WaitTimeSeconds", 21),
            "InvalidParameterValueException",
        ),
        (
            receive("VisibilityTimeout", -1),
            "InvalidParameterValueException",
        ),
        (delete, "ReceiptHandleIsInvalid"),
    ];
    let cases = cases.map(|((action, request), expected)| (action, request, expected));
    assert_refused(&stack, cases.into()).await;
}

#[tokio::test]
async fn queues_that_sqs_refuses_are_refused() {
    let stack = client::start().await;
    let q = create(&stack, "q", json!({})).await;
    let nowhere = json!({ "QueueUrl": "http://x/0/none", "MessageBody": "m" });
    let colour = json!({ "QueueUrl": q, "AttributeNames": ["Colour"] });
    let named =
        |name: &str, attributes: Value| json!({ "QueueName": name, "Attributes": attributes });
    let cases = vec![
        ("SendMessage", nowhere, "QueueDoesNotExist"),
        (
            "GetQueueUrl",
            json!({ "QueueName": "none" }),
            "QueueDoesNotExist",
        ),
        ("GetQueueAttributes", colour, "InvalidAttributeName"),
        (
            "CreateQueue",
            named("q.fifo", json!({})),
            "InvalidParameterValueException",
        ),
        (
            "CreateQueue",
            named("q", json!({ "DelaySeconds": "9" })),
            "QueueNameExists",
        ),
        (
            "CreateQueue",
            named("r", json!({ "Colour": "red" })),
            "InvalidAttributeName",
        ),
        (
            "CreateQueue",
            named("r", json!({ "DelaySeconds": "901" })),
            "InvalidParameterValueException",
        ),
        (
            "CreateQueue",
            named("r", json!({ "RedrivePolicy": "{}" })),
            "InvalidParameterValueException",
        ),
        (
            "TagQueue",
            json!({ "QueueUrl": q }),
            "UnknownOperationException",
        ),
    ];
    assert_refused(&stack, cases).await;
    let old_protocol = send(
        Method::POST,
        &stack.endpoints().sqs,
        &[],
        "Action=ListQueues",
    )
    .await;
    assert_eq!(
        old_protocol.headers()["x-amzn-query-error"],
        "InvalidAction;Sender"
    );
}
