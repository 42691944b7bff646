//! The function that the tests of the runtime host and of the wiring run: this test binary itself, started
//! again to run the one ignored test below.

use std::{
    env,
    sync::atomic::{AtomicU32, Ordering},
};

use lambda_runtime::{LambdaEvent, service_fn};
use local::{LambdaProgram, TABLE};
use serde_json::{Value, json};

use crate::client::sdk;

/// Says which of the functions below the process is.
const ROLE: &str = "TEST_FUNCTION_ROLE";

/// A function in this role.
pub(crate) fn program(role: &str) -> LambdaProgram {
    let mut program = LambdaProgram::new(role, env::current_exe().unwrap());
    program.args = ["--ignored", "--exact", "function::process", "--nocapture"]
        .map(Into::into)
        .into();
    program.env = vec![(ROLE.to_owned(), role.to_owned())];
    program
}

#[tokio::test]
#[ignore = "the process that other tests start"]
async fn process() {
    let role = env::var(ROLE).unwrap();
    if role == "fails-to-start" {
        eprintln!("no settings");
        std::process::exit(3);
    }
    if role == "never-asks" {
        return std::future::pending().await;
    }
    let handle = |event: LambdaEvent<Value>| async {
        match env::var(ROLE).unwrap().as_str() {
            "importer" => import(event.payload).await,
            "notifier" => notify(event.payload).await,
            "digest" => crate::digest::digest(event.payload).await,
            _ => act(event).await,
        }
    };
    lambda_runtime::run(service_fn(handle)).await.unwrap();
}

/// Does what the event says.
async fn act(event: LambdaEvent<Value>) -> Result<Value, lambda_runtime::Error> {
    let LambdaEvent { payload, context } = event;
    match payload["do"].as_str().unwrap_or_default() {
        "describe" => Ok(json!({
            "pid": std::process::id(),
            "request_id": context.request_id,
            "deadline_ms": context.deadline,
            "arn": context.invoked_function_arn,
            "trace_id": context.xray_trace_id,
            "function_name": context.env_config.function_name,
            "memory_mb": context.env_config.memory,
            "env": env::vars().collect::<std::collections::BTreeMap<_, _>>(),
        })),
        "fail" => Err("told to fail".into()),
        "crash" => {
            eprintln!("about to crash");
            std::process::exit(7);
        }
        "hang" => std::future::pending().await,
        "crash-after" => {
            // After the response, when the next event is asked for, there is nobody.
            tokio::spawn(async {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                std::process::exit(0);
            });
            Ok(json!(std::process::id()))
        }
        _ => Ok(payload),
    }
}

/// Writes one item for each object, named by its key; an object that says `poison` fails, `crash` crashes.
async fn import(event: Value) -> Result<Value, lambda_runtime::Error> {
    use aws_sdk_dynamodb::types::AttributeValue;
    let s3 = sdk!(aws_sdk_s3, env::var("AWS_ENDPOINT_URL_S3")?);
    let dynamodb = sdk!(aws_sdk_dynamodb, env::var("AWS_ENDPOINT_URL_DYNAMODB")?);
    let mut failures = Vec::new();
    for message in event["Records"].as_array().ok_or("no records")? {
        let notification: Value = serde_json::from_str(message["body"].as_str().ok_or("no body")?)?;
        let object = &notification["Records"][0]["s3"];
        let name = object["bucket"]["name"].as_str().ok_or("no bucket")?;
        let key = object["object"]["key"].as_str().ok_or("no key")?;
        let content = s3
            .get_object()
            .bucket(name)
            .key(key)
            .send()
            .await?
            .body
            .collect()
            .await?
            .to_vec();
        match content.as_slice() {
            b"poison" => failures.push(json!({ "itemIdentifier": message["messageId"] })),
            b"crash" => std::process::exit(1),
            _ => {
                let put = dynamodb.put_item().table_name(env::var("INTAKE_TABLE")?);
                put.item("productId", AttributeValue::S(key.to_owned()))
                    .send()
                    .await?;
            }
        }
    }
    Ok(json!({ "batchItemFailures": failures }))
}

/// Publishes the keys of a batch up to the first that fails: `bad` always, `flaky` the first two times.
async fn notify(event: Value) -> Result<Value, lambda_runtime::Error> {
    static FLAKY_FAILURES: AtomicU32 = AtomicU32::new(0);
    let sns = sdk!(aws_sdk_sns, env::var("AWS_ENDPOINT_URL_SNS")?);
    let records = event["Records"].as_array().ok_or("no records")?;
    let mut keys = Vec::new();
    let mut failures = Vec::new();
    for record in records {
        let key = record["dynamodb"]["Keys"]["productId"]["S"]
            .as_str()
            .ok_or("no key")?;
        if key == "bad" || (key == "flaky" && FLAKY_FAILURES.fetch_add(1, Ordering::Relaxed) < 2) {
            failures.push(json!({ "itemIdentifier": record["dynamodb"]["SequenceNumber"] }));
            break;
        }
        keys.push(key);
    }
    if !keys.is_empty() {
        let publish = sns.publish().topic_arn(env::var("INTAKE_TOPIC_ARN")?);
        publish
            .subject(TABLE)
            .message(keys.join(" "))
            .send()
            .await?;
    }
    Ok(json!({ "batchItemFailures": failures }))
}
