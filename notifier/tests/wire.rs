//! What goes over the wire: the SDK's request, SNS' answers, and the deployed program as a whole.

mod fake;

use std::process::Stdio;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use notifier::Error;
use notifier::change::{Change, EventName};
use notifier::digest::{Digest, Parcel};
use notifier::message::Message;
use notifier::publish::{Bucket, Publish as _, Topic, UndeliveredStore as _};
use notifier::settings::Settings;
use serde_json::{Value, json};
use tokio::time::timeout;

const ARN: &str = "arn:aws:sns:eu-central-1:123456789012:inventory-alerts";
const PATIENCE: Duration = Duration::from_mins(10);

fn config(address: &str) -> SdkConfig {
    let credentials = Credentials::builder()
        .access_key_id("AKIDEXAMPLE")
        .secret_access_key("secret")
        .provider_name("test")
        .build();
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(format!("http://{address}"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

fn topic(address: &str) -> Topic {
    Topic::new(&config(address), ARN)
}

fn message() -> Message {
    let mut digest = Digest::default();
    let name = "Größe & \"Maß\" 👕";
    digest.add(&Change::new(EventName::Insert, name), &Settings::new(ARN));
    let parcel = Parcel {
        id: "0123456789abcdef0123456789abcdef".into(),
        digests: 1,
        table: Some("InventoryTable".into()),
        digest,
        ..Parcel::default()
    };
    Message::all(&parcel).remove(0)
}

/// Publishes one message.
async fn publish(address: &str) -> Result<String, Error> {
    topic(address).publish(&[&message()]).await.remove(0)
}

/// The attributes of a published message by name: type and value.
fn attributes(sent: &fake::Published, prefix: &str) -> Vec<(String, String, String)> {
    let field = |entry: usize, part: &str| {
        sent.form
            .get(&format!("{prefix}MessageAttributes.entry.{entry}.{part}"))
            .cloned()
    };
    let mut attributes: Vec<_> = (1..)
        .map_while(|entry| {
            let value = field(entry, "Value.StringValue")?;
            Some((
                field(entry, "Name")?,
                field(entry, "Value.DataType")?,
                value,
            ))
        })
        .collect();
    attributes.sort();
    attributes
}

fn expected_attributes() -> Vec<(String, String, String)> {
    [
        ("count", "Number", "1"),
        ("digest_id", "String", "0123456789abcdef0123456789abcdef"),
        ("kind", "String", "INSERT"),
        ("table", "String", "InventoryTable"),
    ]
    .map(|(name, kind, value)| (name.to_owned(), kind.to_owned(), value.to_owned()))
    .to_vec()
}

#[tokio::test]
async fn publish_sends_subject_and_body_for_each_protocol() {
    let mut fake = fake::start(&[], &[]).await;
    let message = message();
    assert_eq!(publish(&fake.address).await.unwrap(), "m-1");

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
    assert_eq!(attributes(&sent, ""), expected_attributes());
}

#[tokio::test]
async fn several_messages_go_out_in_one_call_and_fail_apart() {
    let answers = [
        (
            200,
            "1:InvalidParameter 2:Throttled 3:InternalError 4:silent",
        ),
        (400, "Throttled"),
        (403, "AuthorizationError"),
    ];
    let mut fake = fake::start(&answers, &[]).await;
    let message = message();
    let messages = [&message; 5];
    let outcomes = topic(&fake.address).publish(&messages).await;
    assert_eq!(outcomes[0].as_ref().unwrap(), "m-0");
    for (outcome, expected) in
        outcomes[1..]
            .iter()
            .zip(["Refused", "Unavailable", "Unavailable", "Unavailable"])
    {
        assert_eq!(name(outcome.as_ref().unwrap_err()), expected);
    }
    let sent = fake.published.recv().await.unwrap();
    assert_eq!(sent.form["Action"], "PublishBatch");
    for member in 1..=5 {
        let entry = format!("PublishBatchRequestEntries.member.{member}.");
        for (field, expected) in [
            ("Subject", "Inventory Update"),
            ("MessageStructure", "json"),
            ("Message", message.body()),
        ] {
            assert_eq!(
                sent.form
                    .get(&format!("{entry}{field}"))
                    .map(String::as_str),
                Some(expected),
                "{field}"
            );
        }
        assert_eq!(attributes(&sent, &entry), expected_attributes());
    }
    for expected in ["Unavailable", "AccessDenied"] {
        let outcomes = topic(&fake.address).publish(&messages[..2]).await;
        let names: Vec<&str> = outcomes
            .iter()
            .map(|outcome| name(outcome.as_ref().unwrap_err()))
            .collect();
        assert_eq!(names, [expected; 2], "the call as a whole");
    }
}

fn name(error: &Error) -> &'static str {
    match error {
        Error::Unavailable { .. } => "Unavailable",
        Error::TopicNotFound { .. } => "TopicNotFound",
        Error::AccessDenied { .. } => "AccessDenied",
        Error::Refused { .. } => "Refused",
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_kept_message_can_be_published_by_the_command_line() {
    let fake = fake::start(&[], &[]).await;
    let mut settings = Settings::new(ARN);
    settings.failure_bucket = Some("inventory-upload-x".into());
    let bucket = Bucket::new(&config(&fake.address), &settings).unwrap();
    let message = message();
    let key = "inventory-upload-x/undelivered/0123456789abcdef0123456789abcdef.json";
    for _ in 0..2 {
        assert_eq!(bucket.store(&message).await.unwrap(), format!("s3://{key}"));
    }
    let objects = fake.objects.lock().unwrap();
    assert_eq!(objects.keys().collect::<Vec<_>>(), [key], "kept once");
    let kept: Value = serde_json::from_slice(&objects[key]).unwrap();
    assert_eq!(
        kept,
        json!({
            "TopicArn": ARN,
            "Subject": "Inventory Update",
            "MessageStructure": "json",
            "Message": message.body(),
            "MessageAttributes": {
                "kind": {"DataType": "String", "StringValue": "INSERT"},
                "count": {"DataType": "Number", "StringValue": "1"},
                "digest_id": {"DataType": "String", "StringValue": "0123456789abcdef0123456789abcdef"},
                "table": {"DataType": "String", "StringValue": "InventoryTable"},
            },
        })
    );
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
        (400, "RequestTimeout", "Unavailable"),
        (403, "ExpiredToken", "Unavailable"),
        (403, "InvalidClientTokenId", "Refused"),
    ] {
        let mut fake = fake::start(&[(status, code)], &[]).await;
        let error = publish(&fake.address).await.unwrap_err();
        assert_eq!(name(&error), expected, "{status} {code}");
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
    // Bound, but nobody listens: no other test can be given the port.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed = socket.local_addr().unwrap();
    let error = publish(&closed.to_string()).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
}

/// The program with the environment that Lambda would give it.
fn function(address: &str) -> tokio::process::Command {
    let mut function = tokio::process::Command::new(env!("CARGO_BIN_EXE_notifier"));
    function
        .env_clear()
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", address),
            ("AWS_LAMBDA_FUNCTION_NAME", "NotifyInventoryUpdate"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("INTAKE_TOPIC_ARN", ARN),
            ("INTAKE_FAILURE_BUCKET", "inventory-upload-x"),
        ])
        .env("AWS_ENDPOINT_URL_SNS", format!("http://{address}"))
        .env("AWS_ENDPOINT_URL_S3", format!("http://{address}"))
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    function
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
        include_str!("../../samples/events/dynamodb-window.json"),
        include_str!("../../samples/events/dynamodb-window-final.json"),
        include_str!("../../samples/events/dynamodb-window-final.json"),
    ];
    // The first event's message goes out at the second attempt, and the last one's never.
    let answers = [
        (500, "InternalError"),
        (200, ""),
        (200, ""),
        (200, ""),
        (200, ""),
        (403, "AuthorizationError"),
    ];
    let mut fake = fake::start(&answers, &events).await;
    let mut function = function(&fake.address).spawn().unwrap();

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
    assert_eq!(responses[5]["batchItemFailures"], json!([]));
    assert_eq!(responses[5]["state"]["digest"]["inserted"]["count"], 2);
    for response in &responses[6..] {
        assert_eq!(response["batchItemFailures"], json!([]));
        assert!(response["state"].is_object(), "{response}");
    }
    assert_eq!(
        fake.objects.lock().unwrap().len(),
        1,
        "what SNS refused is kept"
    );

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
            "2 products added: Laptop, Mouse",
            "3 products added: Keyboard, Laptop, Mouse",
            "3 products added: Keyboard, Laptop, Mouse"
        ]
    );

    let logged = |message: &str| {
        log.iter()
            .filter(|line| line["fields"]["message"] == message)
            .count()
    };
    assert_eq!(logged("publishing will be tried again"), 1);
    assert_eq!(logged("malformed record left out"), 1);
    assert_eq!(logged("digested"), 5);
    assert_eq!(logged("nothing to tell"), 1);
    assert_eq!(logged("counted"), 1);
    assert_eq!(logged("SNS refuses the message; it is kept"), 1);
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

#[tokio::test]
async fn a_rule_that_cannot_be_read_ends_the_function_at_its_start() {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_notifier"))
        .env_clear()
        .env("INTAKE_TOPIC_ARN", ARN)
        .env("INTAKE_WATCH", "quantity < 10\nprice changed by > lots")
        .output();
    let output = timeout(PATIENCE, output).await.unwrap().unwrap();
    assert!(!output.status.success());
    let complaint = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        complaint.contains(
            "INTAKE_WATCH: line 2, column 20: expected an amount such as 20% or 5, found `lots`"
        ),
        "{complaint}"
    );
}
