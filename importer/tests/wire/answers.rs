//! What both writers make of DynamoDB's answers: the same.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Response;
use importer::Error;
use importer::import::Status;
use importer::write::WriterKind;
use rows::{KeyAttribute, KeyType, Schema};
use serde_json::{Value, json};

use crate::fixture::{file, import, options, write};
use crate::support::clients::Services;
use crate::support::scripted::{Reply, Server};
use crate::support::{WRITERS, with_each_writer};

pub(crate) fn schema() -> Arc<Schema> {
    Arc::new(Schema::new(
        "T",
        KeyAttribute::partition("id", KeyType::S),
        None,
    ))
}

pub(crate) fn good() -> Reply {
    Reply::json(200, &json!({ "UnprocessedItems": {} }))
}

fn failing(status: u16, code: &str) -> Reply {
    Reply::json(status, &json!({ "__type": code, "message": "as scripted" }))
}

fn html(status: u16) -> Reply {
    let body = Bytes::from("<html>not JSON</html>");
    let response = Response::builder().status(status).body(body);
    Reply::Answer(response.unwrap())
}

/// A good answer with this header.
fn with_header(name: &str, value: &str) -> Response<Bytes> {
    Response::builder()
        .header(name, value)
        .body("{\"UnprocessedItems\":{}}".into())
        .unwrap()
}

/// What an error says and means.
fn reported(error: &Error) -> (String, String, Option<&str>) {
    (
        error.to_string(),
        format!("{:?}", error.class()),
        error.fix(),
    )
}

#[tokio::test]
async fn errors_are_the_same_for_both_writers() {
    let coral = "com.amazon.coral.service#AccessDeniedException";
    let cases = [
        failing(
            400,
            "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException",
        ),
        failing(400, coral),
        failing(400, "com.amazon.coral.validate#ValidationException"),
        failing(400, "ItemCollectionSizeLimitExceededException"),
        failing(
            400,
            "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
        ),
        failing(400, "com.amazon.coral.availability#ThrottlingException"),
        failing(400, "RequestLimitExceeded"),
        failing(400, "InvalidSignatureException"),
        failing(400, "SomethingNewException"),
        failing(500, "InternalServerError"),
        failing(503, "ServiceUnavailable"),
        failing(418, ""),
        Reply::json(400, &json!({ "__type": coral, "Message": "capital" })),
        Reply::json(400, &json!({ "code": "A", "__type": "B" })),
        html(403),
        html(502),
        Reply::status(429),
        Reply::status(301),
    ];
    for reply in cases {
        let answer = reply.clone();
        let server = Server::start(move |_| answer.clone()).await;
        let sdk = Services::dynamodb(&server.url).sdk_config();
        let body = json!({ "RequestItems": { "T": [] } }).to_string();
        let mut errors = Vec::new();
        for writer in WRITERS {
            errors.push(
                write(writer, &sdk, &schema(), body.clone())
                    .await
                    .unwrap_err(),
            );
        }
        assert_eq!(reported(&errors[1]), reported(&errors[0]), "{reply:?}");
    }
}

/// One bad answer, then good ones: the import goes through and counts one retry.
async fn passes(writer: WriterKind, bad: Reply) {
    let name = format!("{bad:?}");
    let calls = Mutex::new(0);
    let server = Server::start(move |_| {
        let mut calls = calls.lock().unwrap();
        *calls += 1;
        if *calls == 1 { bad.clone() } else { good() }
    })
    .await;
    let sdk = Services::dynamodb(&server.url).sdk_config();
    let ended = import(writer, &sdk, &schema(), file("{\"id\":\"a\"}"), options(1)).await;
    let counts = ended.whole().counts;
    assert_eq!((counts.rows_written, counts.retries), (1, 1), "{name}");
}

async fn a_bad_answer_costs_one_retry(writer: WriterKind) {
    for bad in [
        Reply::Cut(with_header("x-test", "cut"), 5),
        Reply::Cut(with_header("x-test", "cut"), 0),
        Reply::Reset,
        failing(500, "InternalServerError"),
        failing(400, "ProvisionedThroughputExceededException"),
        failing(400, "ThrottlingException"),
        html(503),
        Reply::status(429),
    ] {
        passes(writer, bad).await;
    }
}

/// The SDK takes it for an error of DynamoDB's, and so ends the import.
#[tokio::test]
async fn a_success_that_is_not_dynamodbs_costs_one_retry() {
    passes(WriterKind::Wire, html(200)).await;
}

#[tokio::test]
async fn an_answer_with_a_wrong_checksum_costs_one_retry() {
    // The SDK does not look at it.
    passes(
        WriterKind::Wire,
        Reply::Answer(with_header("x-amz-crc32", "12345")),
    )
    .await;
}

#[tokio::test]
async fn an_answer_with_the_right_checksum_is_good() {
    let sum = crc32fast::hash(b"{\"UnprocessedItems\":{}}").to_string();
    let server = Server::start(move |_| Reply::Answer(with_header("x-amz-crc32", &sum))).await;
    let sdk = Services::dynamodb(&server.url).sdk_config();
    write(WriterKind::Wire, &sdk, &schema(), "{}")
        .await
        .unwrap();
}

/// Runs an import of the rows a, b, c in one batch. `answer` gets the number of each request, from 1.
async fn scripted(
    writer: WriterKind,
    answer: impl Fn(usize) -> Reply + Send + Sync + 'static,
) -> (importer::import::Summary, Vec<Bytes>) {
    let requests: Arc<Mutex<Vec<Bytes>>> = Arc::default();
    let seen = Arc::clone(&requests);
    let server = Server::start(move |request| {
        let mut seen = seen.lock().unwrap();
        seen.push(request.body().clone());
        answer(seen.len())
    })
    .await;
    let sdk = Services::dynamodb(&server.url).sdk_config();
    let rows = file("{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n");
    let ended = import(writer, &sdk, &schema(), rows, options(1)).await;
    let requests = requests.lock().unwrap().clone();
    (ended.summary, requests)
}

/// Rows that come back, spelt as nobody else would.
const RETURNED: &str = r#"{ "T" : [ {"PutRequest":{"Item":{"\u0069d":{"S":"c"}}}},{"PutRequest": {"Item":{"id":{"S":"a"}}}} ] }"#;

fn unprocessed(items: &str) -> Reply {
    let body = format!(
        r#"{{"UnprocessedItems":{items},"ConsumedCapacity":[{{"TableName":"T","CapacityUnits":1.0}}]}}"#
    );
    Reply::Answer(Response::new(body.into()))
}

#[tokio::test]
async fn rows_that_come_back_are_sent_again_alone() {
    let (summary, requests) = scripted(WriterKind::Wire, |number| match number {
        1 => unprocessed(RETURNED),
        // The same rows again after a failure.
        2 => Reply::status(500),
        _ => good(),
    })
    .await;
    assert_eq!(summary.status, Status::Completed);
    let counts = summary.counts;
    assert_eq!(
        (counts.rows_written, counts.retries, counts.throttles),
        (3, 2, 1)
    );
    assert_eq!(requests.len(), 3);
    for again in &requests[1..] {
        assert_eq!(ids(again), ["a", "c"]);
    }
}

/// Ids of the rows in a request that was made of the batch.
fn ids(request: &Bytes) -> Vec<String> {
    let request: Value = serde_json::from_slice(request).unwrap();
    let rows = request["RequestItems"]["T"].as_array().unwrap();
    let id = |row: &Value| {
        row["PutRequest"]["Item"]["id"]["S"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    rows.iter().map(id).collect()
}

async fn a_row_that_comes_back_twice_ends_the_import(writer: WriterKind) {
    let row = r#"{"PutRequest":{"Item":{"id":{"S":"a"}}}}"#;
    let twice = format!("{{\"T\":[{row},{row}]}}");
    let (summary, _) = scripted(writer, move |_| unprocessed(&twice)).await;
    let failure = summary.failure.unwrap();
    assert!(failure.message.contains("a row twice"), "{failure}");
}

with_each_writer!(
    a_bad_answer_costs_one_retry,
    a_row_that_comes_back_twice_ends_the_import,
);
