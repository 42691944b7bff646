//! What goes over the wire: the SDK's request, SNS' answers, and the deployed program as a whole.

mod fake;

use std::{process::Stdio, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use notifier::{
    Error,
    digest::Digest,
    message::Message,
    publish::{Publish as _, Topic},
    record::{Change, EventName},
};
use serde_json::{Value, json};
use tokio::time::timeout;

const ARN: &str = "arn:aws:sns:eu-central-1:123456789012:inventory-alerts";
const PATIENCE: Duration = Duration::from_mins(1);

fn topic(address: &str) -> Topic {
    let credentials = Credentials::builder()
        .access_key_id("AKIDEXAMPLE")
        .secret_access_key("secret")
        .provider_name("test")
        .build();
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(format!("http://{address}"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Topic::new(&config, ARN)
}

fn message() -> Message {
    let mut digest = Digest::default();
    digest.add(&Change {
        event_name: EventName::Insert,
        name: "Größe & \"Maß\" 👕".into(),
    });
    Message::from(&digest)
}

#[tokio::test]
async fn publish_sends_subject_and_body_for_each_protocol() {
    let mut fake = fake::start(&[], &[]).await;
    let message = message();
    assert_eq!(topic(&fake.address).publish(&message).await.unwrap(), "m-1");

    let sent = fake.published.recv().await.unwrap();
    for (field, expected) in [
        ("Action", "Publish"),
        ("TopicArn", ARN),
        ("Subject", "Inventory Update"),
        ("MessageStructure", "json"),
        ("Message", message.body()),
    ] {
        assert_eq!(
            sent.form.get(field).map(String::as_str),
            Some(expected),
            "{field}"
        );
    }
    assert_eq!(
        sent.headers["content-type"],
        "application/x-www-form-urlencoded"
    );
    let body: Value = serde_json::from_str(&sent.form["Message"]).unwrap();
    assert_eq!(body["email"], "New product added: Größe & \"Maß\" 👕");
}

#[tokio::test]
async fn answers_are_classified() {
    for (status, code, expected) in [
        (429, "Throttled", "Unavailable"),
        (400, "Throttling", "Unavailable"),
        (400, "KMSThrottling", "Unavailable"),
        (500, "InternalError", "Unavailable"),
        (503, "ServiceUnavailable", "Unavailable"),
        (404, "NotFound", "TopicNotFound"),
        (403, "AuthorizationError", "AccessDenied"),
        (400, "KMSAccessDenied", "AccessDenied"),
        (400, "InvalidParameter", "Refused"),
        (403, "InvalidClientTokenId", "Refused"),
    ] {
        let mut fake = fake::start(&[(status, code)], &[]).await;
        let error = topic(&fake.address).publish(&message()).await.unwrap_err();
        let found = match &error {
            Error::Unavailable { .. } => "Unavailable",
            Error::TopicNotFound { .. } => "TopicNotFound",
            Error::AccessDenied { .. } => "AccessDenied",
            Error::Refused { .. } => "Refused",
            other => panic!("{other:?}"),
        };
        assert_eq!(found, expected, "{status} {code}");
        assert!(error.to_string().contains(ARN), "{error}");
        assert!(error.chain().contains("told so"), "{}", error.chain());
        fake.published.recv().await.unwrap();
        assert!(
            fake.published.is_empty(),
            "the SDK must not retry by itself"
        );
    }
}

#[tokio::test]
async fn no_answer_is_worth_another_try() {
    // A port nobody listens on: bound once, then given back.
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = topic(&closed.to_string())
        .publish(&message())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
}

/// The very program that is deployed, run as Lambda runs it.
#[tokio::test]
async fn the_function_turns_stream_events_into_messages() {
    let events = [
        include_str!("../../samples/events/dynamodb-insert.json"),
        include_str!("../../samples/events/dynamodb-malformed.json"),
        r#"{"Records":[]}"#,
        include_str!("../../samples/events/dynamodb-mixed.json"),
        r#"{"key1":"value1"}"#,
    ];
    // The first event's message goes out at the second attempt.
    let answers = [(500, "InternalError")];
    let mut fake = fake::start(&answers, &events).await;
    let mut function = tokio::process::Command::new(env!("CARGO_BIN_EXE_notifier"))
        .env_clear()
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", fake.address.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "NotifyInventoryUpdate"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("INTAKE_TOPIC_ARN", ARN),
        ])
        .env("AWS_ENDPOINT_URL_SNS", format!("http://{}", fake.address))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();

    let mut responses = Vec::new();
    for _ in events {
        let response = timeout(PATIENCE, fake.responses.recv())
            .await
            .unwrap()
            .unwrap();
        responses.push(serde_json::from_str::<Value>(&response).unwrap());
    }
    function.kill().await.unwrap();
    let log = function.wait_with_output().await.unwrap().stdout;
    let log: Vec<Value> = String::from_utf8(log)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();

    let nothing_failed = json!({"batchItemFailures": []});
    assert_eq!(responses[..4], vec![nothing_failed; 4]);
    let complaint = responses[4]["errorMessage"].as_str().unwrap();
    assert!(complaint.contains("Records"), "{complaint}");

    let mut texts = Vec::new();
    while let Ok(sent) = fake.published.try_recv() {
        let body: Value = serde_json::from_str(&sent.form["Message"]).unwrap();
        texts.push(body["default"].as_str().unwrap().to_owned());
    }
    let malformed = "2 products added: Laptop, Desk lamp\n1 stream record could not be read; see the notifier's log";
    assert_eq!(
        texts,
        [
            "New product added: Laptop",
            "New product added: Laptop",
            malformed,
            "2 products added: Laptop, Mouse"
        ]
    );

    let logged = |message: &str| {
        log.iter()
            .filter(|line| line["fields"]["message"] == message)
            .count()
    };
    assert_eq!(logged("publishing will be tried again"), 1);
    assert_eq!(logged("malformed record left out"), 1);
    assert_eq!(logged("digested"), 4);
    assert!(
        !log.iter().any(|line| line.to_string().contains("Laptop")),
        "row contents in the log"
    );
}

#[tokio::test]
async fn the_function_without_a_topic_says_what_is_missing() {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_notifier"))
        .env_clear()
        .output();
    let output = timeout(PATIENCE, output).await.unwrap().unwrap();
    assert!(!output.status.success());
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(complaint.contains("INTAKE_TOPIC_ARN"), "{complaint}");
}
