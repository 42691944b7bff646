//! What a client sees of each fault, and whether its call was done.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use http::{Method, Response};
use local::{BUCKET, Fault, FaultCounts, FaultPlan, Operation, Stack, TABLE, faults::CLOCK_SKEW};
use serde_json::{Value, json};

use crate::client::{self, json as call, json_headers, s3, sdk};

pub(crate) fn batch(ids: std::ops::Range<usize>) -> Value {
    let put = |id| json!({ "PutRequest": { "Item": { "productId": { "S": format!("P{id}") } } } });
    json!({ "RequestItems": { TABLE: ids.map(put).collect::<Vec<_>>() } })
}

pub(crate) type Answer = Result<Response<Bytes>, Broken>;

/// The connection ended before the answer did.
#[derive(Debug)]
pub(crate) struct Broken;

/// Calls to each service that do something, and whether it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    DynamoDb,
    S3,
    Sqs,
    Sns,
}

const SERVICES: [Service; 4] = [Service::DynamoDb, Service::S3, Service::Sqs, Service::Sns];

impl Service {
    fn operation(self) -> &'static str {
        match self {
            Self::DynamoDb => "BatchWriteItem",
            Self::S3 => "DeleteObject",
            Self::Sqs => "SendMessage",
            Self::Sns => "Publish",
        }
    }

    /// Writes 3 items, deletes the object `doomed`, sends a message or publishes one.
    pub(crate) async fn call(self, stack: &Stack) -> Answer {
        let endpoints = stack.endpoints();
        match self {
            Self::DynamoDb => {
                let headers = json_headers("DynamoDB_20120810.BatchWriteItem");
                let body = batch(0..3).to_string();
                whole(Method::POST, &endpoints.dynamodb, &headers, body).await
            }
            Self::S3 => {
                let delete = s3(endpoints).delete_object().bucket(BUCKET).key("doomed");
                let presigned = delete.presigned(soon()).await.unwrap();
                whole(Method::DELETE, presigned.uri(), &[], "").await
            }
            Self::Sqs => {
                let message = json!({ "QueueUrl": endpoints.dlq_url, "MessageBody": "m" });
                let headers = json_headers("AmazonSQS.SendMessage");
                whole(Method::POST, &endpoints.sqs, &headers, message.to_string()).await
            }
            Self::Sns => {
                let form = format!("Action=Publish&TopicArn={}&Message=m", endpoints.topic_arn);
                let headers = [("content-type", "application/x-www-form-urlencoded")];
                whole(Method::POST, &endpoints.sns, &headers, form).await
            }
        }
    }

    async fn was_done(self, stack: &Stack) -> bool {
        match self {
            Self::DynamoDb => count(stack).await == 3,
            Self::S3 => {
                let head = s3(stack.undisturbed()).head_object().bucket(BUCKET);
                head.key("doomed").send().await.is_err()
            }
            Self::Sqs => stack.dead_letter_count() == 1,
            Self::Sns => stack.inbox().len() == 1,
        }
    }

    fn header(self) -> &'static str {
        match self {
            Self::S3 => "x-amz-request-id",
            _ => "content-type",
        }
    }
}

fn soon() -> aws_sdk_s3::presigning::PresigningConfig {
    aws_sdk_s3::presigning::PresigningConfig::expires_in(Duration::from_mins(5)).unwrap()
}

/// The whole answer, if the connection lasts for it.
async fn whole(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    client::try_send(method, url, headers, body)
        .await
        .map_err(|_| Broken)
}

/// A stack with the object that [`Service::call`] deletes.
async fn start() -> Stack {
    let stack = client::start().await;
    stack.put_object("doomed", "d").await.unwrap();
    stack
}

pub(crate) async fn write(stack: &Stack, batch: &Value) -> (u16, Value) {
    let target = "DynamoDB_20120810.BatchWriteItem";
    call(&stack.endpoints().dynamodb, target, batch).await
}

/// How many items the table has, asked without faults.
pub(crate) async fn count(stack: &Stack) -> u64 {
    let scan = json!({ "TableName": TABLE, "Select": "COUNT", "ConsistentRead": true });
    let (_, answer) = call(
        &stack.undisturbed().dynamodb,
        "DynamoDB_20120810.Scan",
        &scan,
    )
    .await;
    answer["Count"].as_u64().unwrap()
}

pub(crate) fn counts(calls: u64, injected: u64) -> FaultCounts {
    FaultCounts { calls, injected }
}

/// Status and code of an error in whatever form.
fn refusal(answer: &Response<Bytes>) -> (u16, String) {
    let text = String::from_utf8(answer.body().to_vec()).unwrap();
    let (before, after) = if text.starts_with('{') {
        ("#", "\"")
    } else {
        ("<Code>", "</Code>")
    };
    let code = text.split(before).nth(1).unwrap().split(after).next();
    (answer.status().as_u16(), code.unwrap().to_owned())
}

#[tokio::test]
async fn each_service_refuses_in_its_own_way_and_does_nothing() {
    use Service::{DynamoDb, S3, Sns, Sqs};
    let stack = start().await;
    for (service, fault, status, code) in [
        (
            DynamoDb,
            Fault::Throttle,
            400,
            "ProvisionedThroughputExceededException",
        ),
        (DynamoDb, Fault::InternalError, 500, "InternalServerError"),
        (DynamoDb, Fault::ExpiredToken, 400, "ExpiredTokenException"),
        (DynamoDb, Fault::ClockSkew, 400, "InvalidSignatureException"),
        (DynamoDb, Fault::AccessDenied, 400, "AccessDeniedException"),
        (S3, Fault::Throttle, 503, "SlowDown"),
        (S3, Fault::InternalError, 500, "InternalError"),
        (S3, Fault::ExpiredToken, 400, "ExpiredToken"),
        (S3, Fault::ClockSkew, 403, "RequestTimeTooSkewed"),
        (S3, Fault::AccessDenied, 403, "AccessDenied"),
        (Sqs, Fault::Throttle, 400, "RequestThrottled"),
        (Sqs, Fault::InternalError, 500, "InternalFailure"),
        (Sqs, Fault::ExpiredToken, 400, "ExpiredTokenException"),
        (Sqs, Fault::ClockSkew, 400, "InvalidSignatureException"),
        (Sqs, Fault::AccessDenied, 400, "AccessDeniedException"),
        (Sns, Fault::Throttle, 400, "Throttling"),
        (Sns, Fault::InternalError, 500, "InternalError"),
        (Sns, Fault::ExpiredToken, 403, "ExpiredToken"),
        (Sns, Fault::ClockSkew, 403, "SignatureDoesNotMatch"),
        (Sns, Fault::AccessDenied, 403, "AuthorizationError"),
    ] {
        stack
            .faults()
            .set(FaultPlan::default().fail(service.operation(), 1, fault));
        let answer = service.call(&stack).await.unwrap();
        assert_eq!(
            refusal(&answer),
            (status, code.to_owned()),
            "{service:?} {fault}"
        );
        assert!(
            answer.headers().contains_key(service.header()),
            "{service:?}"
        );
        let ahead = seconds_ahead(&answer).abs_diff(i128::from(CLOCK_SKEW.as_secs()));
        assert_eq!(ahead < 60, fault == Fault::ClockSkew, "{service:?} {fault}");
        assert!(!service.was_done(&stack).await, "{service:?} {fault}");
        assert_eq!(stack.faults().counts(service.operation()), counts(1, 1));
        assert_eq!(stack.faults().injected(fault), 1);
    }
    stack.faults().clear();
    for service in SERVICES {
        assert!(service.call(&stack).await.unwrap().status().is_success());
        assert!(service.was_done(&stack).await, "{service:?}");
    }
}

/// How far the answer's clock is ahead of this one's.
fn seconds_ahead(answer: &Response<Bytes>) -> i128 {
    use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
    let date = answer.headers()["date"].to_str().unwrap();
    let date = DateTime::from_str(date, DateTimeFormat::HttpDate).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i128::from(date.secs()) - i128::from(now.as_secs())
}

#[tokio::test]
async fn a_connection_breaks_before_or_after_the_call_is_done() {
    for (fault, done) in [
        (Fault::ResetBefore, false),
        (Fault::KillBefore, false),
        (Fault::ResetAfter, true),
        (Fault::KillAfter, true),
    ] {
        let stack = start().await;
        for service in SERVICES {
            stack
                .faults()
                .set(FaultPlan::default().fail(service.operation(), 1, fault));
            assert!(service.call(&stack).await.is_err(), "{service:?} {fault}");
            assert_eq!(service.was_done(&stack).await, done, "{service:?} {fault}");
            assert_eq!(stack.faults().counts(service.operation()), counts(1, 1));
        }
    }
}

#[tokio::test]
async fn an_answer_is_late_or_broken_off_but_the_call_is_done() {
    const DELAY: Duration = Duration::from_millis(300);
    let stack = start().await;
    for service in SERVICES {
        let operation = service.operation();
        let plan = FaultPlan::default().fail(operation, 1, Fault::Slow(DELAY));
        stack.faults().set(plan);
        let began = Instant::now();
        assert!(service.call(&stack).await.unwrap().status().is_success());
        assert!(began.elapsed() >= DELAY, "{service:?}");
        assert!(service.was_done(&stack).await, "{service:?}");
    }
    let stack = start().await;
    for service in SERVICES {
        let operation = service.operation();
        let plan = FaultPlan::default().fail(operation, 1, Fault::TruncatedBody);
        stack.faults().set(plan);
        // S3 answers a DELETE without a body.
        let has_body = service != Service::S3;
        assert_eq!(service.call(&stack).await.is_err(), has_body, "{service:?}");
        assert!(service.was_done(&stack).await, "{service:?}");
        let counts = stack.faults().counts(operation);
        assert_eq!(counts.injected, u64::from(has_body), "{service:?}");
    }
}

/// The object of the next tests: large enough to come in several pieces.
fn object() -> Vec<u8> {
    (0..1_000_000_u32).map(|n| (n % 251) as u8).collect()
}

#[tokio::test]
async fn an_object_breaks_off_in_the_middle() {
    let stack = client::start().await;
    stack.put_object("o", object()).await.unwrap();
    let plan = FaultPlan::default().fail("GetObject", [1, 2], Fault::TruncatedBody);
    stack.faults().set(plan);
    let get = || s3(stack.endpoints()).get_object().bucket(BUCKET).key("o");
    let presigned = get().presigned(soon()).await.unwrap();
    let (answered_bytes, received_bytes) = client::received(presigned.uri()).await;
    assert_eq!(answered_bytes, 1_000_000);
    assert!(
        (1..=500_000).contains(&received_bytes),
        "{received_bytes} bytes"
    );
    let sent = get().range("bytes=10-199999").send().await.unwrap();
    assert_eq!(sent.content_length(), Some(199_990));
    assert!(sent.body.collect().await.is_err());
    let sent = get().send().await.unwrap();
    assert_eq!(sent.body.collect().await.unwrap().to_vec(), object());
    assert_eq!(stack.faults().counts("GetObject"), counts(3, 2));
}

#[tokio::test]
async fn a_wrong_checksum_is_seen_by_whoever_looks() {
    let stack = client::start().await;
    stack.put_object("o", object()).await.unwrap();
    stack.faults().set(
        FaultPlan::default()
            .fail("GetObject", [1, 2], Fault::WrongChecksum)
            .fail("PutObject", 1, Fault::WrongChecksum)
            .fail("BatchWriteItem", 1, Fault::WrongChecksum),
    );
    let client = s3(stack.endpoints());
    for range in [None, Some("bytes=0-99".to_owned()), None] {
        let get = client.get_object().bucket(BUCKET).key("o");
        let sent = get.set_range(range).send().await.unwrap();
        let third = stack.faults().counts("GetObject").calls == 3;
        let body = sent.body.collect().await;
        assert_eq!(body.is_ok(), third, "{:?}", body.map(|_| ()));
    }
    let put = || {
        let put = client.put_object().bucket(BUCKET).key("p");
        put.body(ByteStream::from_static(b"p")).send()
    };
    let error = put().await.unwrap_err().into_service_error();
    assert_eq!(error.meta().code(), Some("BadDigest"));
    put().await.unwrap();

    let checksums = [Service::DynamoDb, Service::DynamoDb].map(|service| {
        let stack = &stack;
        async move {
            let answer = service.call(stack).await.unwrap();
            let sum: u32 = answer.headers()["x-amz-crc32"]
                .to_str()
                .unwrap()
                .parse()
                .unwrap();
            (sum, answer.into_body())
        }
    });
    let [wrong, right] = checksums;
    let (wrong, body) = wrong.await;
    let (right, same) = right.await;
    assert_eq!(body, same);
    assert_ne!(wrong, right);
    assert_eq!(count(&stack).await, 3);
}

/// The SDK corrects its clock by the answer's date, signs again, and retries.
#[tokio::test]
async fn the_sdk_gets_over_a_clock_that_is_off() {
    let stack = client::start().await;
    stack.put_object("o", "content").await.unwrap();
    let plan = FaultPlan::default().fail(Operation::any(), 1, Fault::ClockSkew);
    for operation in ["GetObject", "DescribeTable"] {
        stack.faults().set(plan.clone());
        if operation == "GetObject" {
            let get = s3(stack.endpoints()).get_object().bucket(BUCKET).key("o");
            get.send().await.unwrap();
        } else {
            let client = sdk!(aws_sdk_dynamodb, &stack.endpoints().dynamodb);
            let describe = client.describe_table().table_name(TABLE);
            describe.send().await.unwrap();
        }
        assert_eq!(stack.faults().counts(operation), counts(2, 1));
    }
}
