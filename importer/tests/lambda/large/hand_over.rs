//! The function hands large objects to the state machine.

use std::sync::{Arc, Mutex};

use importer::Importer;
use importer::function::Config;
use serde_json::{Value, json};

use super::machine::config;
use crate::fixture::{Fixture, TIMEOUT, handed_back, invocation, notification, queued};
use crate::support::clients::Services;
use crate::support::scripted::{Reply, Server};

const KEY: &str = "uploads/large.jsonl";
const ARN: &str = "arn:aws:states:us-east-1:000000000000:stateMachine:ImportLarge";

#[tokio::test]
async fn an_object_that_is_large_and_of_unique_keys_is_handed_over() {
    let body = "{\"productId\":\"P1\"}\n";
    for (unique, large_bytes, answer, is_handed_over) in [
        (
            true,
            1,
            Reply::json(200, &json!({ "executionArn": "a", "startDate": 1.0 })),
            true,
        ),
        (
            true,
            1,
            Reply::json(
                400,
                &json!({ "__type": "com.amazonaws.swf#ExecutionAlreadyExists", "message": "m" }),
            ),
            true,
        ),
        (false, 1, Reply::status(500), false),
        (true, 1000, Reply::status(500), false),
    ] {
        let bench = Fixture::start().await;
        let metadata: &[_] = if unique {
            &[("intake-unique-keys", "true")]
        } else {
            &[]
        };
        bench.put_with(KEY, body, metadata).await;
        let inputs = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::clone(&inputs);
        let server = Server::start(move |request| {
            assert_eq!(
                request.headers()["x-amz-target"],
                "AWSStepFunctions.StartExecution"
            );
            let body: Value = serde_json::from_slice(request.body()).unwrap();
            received.lock().unwrap().push(body);
            answer.clone()
        })
        .await;
        let services = Services {
            sfn: server.url.clone(),
            ..bench.services.clone()
        };
        let set_up = Config {
            large_state_machine_arn: Some(ARN.to_owned()),
            large_bytes,
            ..config(&bench)
        };
        let importer = Importer::new(set_up, services.sdk_config());
        let (event, _) = queued(&[notification(&[KEY])]);
        let answer = importer.handle(event, invocation(TIMEOUT)).await.unwrap();
        assert_eq!(answer, handed_back(&[]));
        let inputs = inputs.lock().unwrap().clone();
        if !is_handed_over {
            assert_eq!(inputs, [Value::Null; 0]);
            assert_eq!(bench.items().await.len(), 1);
            continue;
        }
        assert_eq!(bench.items().await, [""; 0]);
        let [input] = &inputs[..] else {
            panic!("{inputs:?}")
        };
        assert_eq!(input["stateMachineArn"], ARN);
        // The plan finds the job that the execution is named after.
        let mut plan: Value = serde_json::from_str(input["input"].as_str().unwrap()).unwrap();
        plan["step"] = json!("plan");
        let plan = importer.handle(plan, invocation(TIMEOUT)).await.unwrap();
        assert_eq!(plan["job"], input["name"]);
        assert_eq!(plan["mode"], "whole");
    }
}

#[tokio::test]
async fn an_execution_that_cannot_be_started_brings_the_message_back() {
    let bench = Fixture::start().await;
    bench
        .put_with(
            KEY,
            "{\"productId\":\"P1\"}\n",
            &[("intake-unique-keys", "true")],
        )
        .await;
    let server = Server::start(|_| {
        Reply::json(
            400,
            &json!({ "__type": "AccessDeniedException", "message": "no" }),
        )
    })
    .await;
    let services = Services {
        sfn: server.url.clone(),
        ..bench.services.clone()
    };
    let set_up = Config {
        large_state_machine_arn: Some(ARN.to_owned()),
        large_bytes: 1,
        ..config(&bench)
    };
    let importer = Importer::new(set_up, services.sdk_config());
    let (event, ids) = queued(&[notification(&[KEY])]);
    let answer = importer.handle(event, invocation(TIMEOUT)).await.unwrap();
    assert_eq!(answer, handed_back(&[&ids[0]]));
    assert_eq!(bench.items().await, [""; 0]);
}
