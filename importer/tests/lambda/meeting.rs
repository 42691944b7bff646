//! Imports that meet: each a named schedule of what the simulation tries at random, with the real pipeline and a real stack.

use std::num::NonZeroU32;
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};
use importer::Importer;
use importer::function::Config;
use importer::jobs::{Job, NOBODY, Status};
use local::events::{self, ObjectCreated};
use local::{BUCKET, Fault, FaultPlan, JOBS_TABLE, TABLE};
use serde_json::{Value, json};

use crate::fixture::{Fixture, TIMEOUT, handed_back, invocation, notification, queued};
use crate::large::machine::Machine;

const KEY: &str = "uploads/prices.jsonl";

/// A file whose rows say which version they are of.
fn file(version: usize, rows: usize) -> String {
    (0..rows)
        .map(|row| format!("{{\"productId\":\"P{row:04}\",\"version\":{version}}}\n"))
        .collect()
}

/// What S3 said about the last upload.
fn last_upload(bench: &Fixture) -> ObjectCreated {
    bench.stack.uploads().last().unwrap().clone()
}

async fn handled(importer: &Importer, event: Value) -> Value {
    importer.handle(event, invocation(TIMEOUT)).await.unwrap()
}

async fn jobs(bench: &Fixture) -> Vec<Job> {
    let mut jobs = bench.jobs().newest(NOBODY, 20).await.unwrap();
    jobs.sort_by(|a, b| a.created_at.cmp(&b.created_at));
    jobs
}

/// How many items are of which version.
async fn versions(bench: &Fixture, version: usize) -> usize {
    let of = format!("version=N:{version}");
    let items = bench.items().await;
    items.iter().filter(|item| item.contains(&of)).count()
}

#[tokio::test]
async fn a_newer_version_waits_until_the_older_one_has_ended() {
    const ROWS: usize = 1000;
    let bench = Fixture::start().await;
    bench.put(KEY, file(1, ROWS)).await;
    let first = last_upload(&bench);
    let importer = bench.importer(Config {
        max_wcu: NonZeroU32::new(400),
        ..bench.deployed()
    });
    let older = handled(&importer, bench.stack.import_event(&first));
    let newer = async {
        bench.stack.faults().reached("BatchWriteItem", 2).await;
        // The older file is read already: it goes on to its end.
        bench.put(KEY, file(2, ROWS)).await;
        let second = last_upload(&bench);
        let other = bench.importer(bench.deployed());
        handled(&other, bench.stack.import_event(&second)).await
    };
    let (older, newer) = tokio::join!(older, newer);
    assert_eq!((older, newer), (handed_back(&[]), handed_back(&[])));
    assert_eq!(versions(&bench, 2).await, 0);
    let waiting = bench.delayed();
    let [message] = &waiting[..] else {
        panic!("not one message: {waiting:?}");
    };
    handled(&importer, queued(std::slice::from_ref(message)).0).await;
    assert_eq!(versions(&bench, 2).await, ROWS);
    let jobs = jobs(&bench).await;
    let ends: Vec<_> = jobs.iter().map(|job| job.status).collect();
    assert_eq!(ends, [Status::Completed, Status::Completed]);
    assert_eq!(bench.stack.inbox().len(), 2);
}

#[tokio::test]
async fn an_object_goes_into_each_table_that_it_is_imported_into() {
    let bench = Fixture::start().await;
    let dynamodb = aws_sdk_dynamodb::Client::new(&bench.services.sdk_config());
    let key = KeySchemaElement::builder()
        .attribute_name("productId")
        .key_type(KeyType::Hash);
    let attribute = AttributeDefinition::builder()
        .attribute_name("productId")
        .attribute_type(ScalarAttributeType::S);
    dynamodb
        .create_table()
        .table_name("Other")
        .key_schema(key.build().unwrap())
        .attribute_definitions(attribute.build().unwrap())
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .unwrap();
    bench.put(KEY, file(1, 10)).await;
    let event = bench.stack.import_event(&last_upload(&bench));
    for table in [TABLE, "Other", TABLE, "Other"] {
        let importer = bench.importer(Config {
            table: table.to_owned(),
            ..bench.deployed()
        });
        handled(&importer, event.clone()).await;
        let count = dynamodb
            .scan()
            .table_name(table)
            .send()
            .await
            .unwrap()
            .count;
        assert_eq!(count, 10, "{table}");
    }
    let jobs = jobs(&bench).await;
    let mut tables: Vec<_> = jobs.iter().map(|job| job.table.as_str()).collect();
    tables.sort_unstable();
    assert_eq!(tables, [TABLE, "Other"]);
    assert!(
        jobs.iter()
            .all(|job| (job.status, job.attempt) == (Status::Completed, 1))
    );
}

#[tokio::test]
async fn an_object_that_three_sources_announce_is_imported_once() {
    let bench = Fixture::start().await;
    bench.put(KEY, file(1, 10)).await;
    let upload = last_upload(&bench);
    let importer = bench.importer(bench.deployed());
    handled(&importer, bench.stack.import_event(&upload)).await;
    let bridge = events::eventbridge_object_created(&upload);
    handled(&importer, queued(&[bridge]).0).await;
    let machine = Machine::new(&bench);
    let plan = machine
        .good(json!({ "step": "plan", "bucket": BUCKET, "key": KEY, "etag": upload.etag, "holder": "prefix run" }))
        .await;
    let jobs = jobs(&bench).await;
    let [job] = &jobs[..] else {
        panic!("not one job: {jobs:?}");
    };
    assert_eq!(
        (plan["mode"].as_str(), plan["job"].as_str()),
        (Some("ended"), Some(&*job.job))
    );
    assert_eq!(
        (job.status, job.counts.rows_written),
        (Status::Completed, 10)
    );
    assert_eq!(bench.stack.inbox().len(), 1);
}

#[tokio::test]
async fn a_late_event_of_an_older_version_writes_nothing_and_says_so() {
    let bench = Fixture::start().await;
    bench.put(KEY, file(1, 10)).await;
    let older = last_upload(&bench);
    bench.put(KEY, file(2, 5)).await;
    let newer = last_upload(&bench);
    let importer = bench.importer(bench.deployed());
    handled(&importer, bench.stack.import_event(&newer)).await;
    let production = aws_sdk_dynamodb::Client::new(&bench.services.sdk_config());
    production
        .put_item()
        .table_name(TABLE)
        .item("productId", AttributeValue::S("P0001".to_owned()))
        .item("version", AttributeValue::N("3".to_owned()))
        .send()
        .await
        .unwrap();
    // Now and then an event comes twice.
    for _ in 0..2 {
        handled(&importer, bench.stack.import_event(&older)).await;
    }
    assert_eq!(
        (versions(&bench, 2).await, versions(&bench, 3).await),
        (4, 1)
    );
    let jobs = jobs(&bench).await;
    let superseded: Vec<_> = jobs
        .iter()
        .filter(|job| job.status == Status::Superseded)
        .collect();
    let [superseded] = &superseded[..] else {
        panic!("{jobs:?}");
    };
    assert!(
        superseded
            .reason
            .as_ref()
            .unwrap()
            .contains("replaced before any of its rows")
    );
    let subjects: Vec<_> = bench
        .stack
        .inbox()
        .into_iter()
        .filter_map(|message| message.subject)
        .collect();
    assert_eq!(
        subjects,
        [
            "Import finished: prices.jsonl",
            "File NOT IMPORTED: prices.jsonl"
        ]
    );
}

#[tokio::test]
async fn an_end_that_could_not_be_published_is_published_by_another_event_of_the_object() {
    let bench = Fixture::start().await;
    bench.put(KEY, file(1, 10)).await;
    let older = last_upload(&bench);
    bench.put(KEY, file(2, 5)).await;
    let newer = bench.stack.import_event(&last_upload(&bench));
    let importer = bench.importer(bench.deployed());
    handled(&importer, newer.clone()).await;
    let denied = FaultPlan::default().fail("Publish", 1.., Fault::AccessDenied);
    bench.stack.faults().set(denied);
    let answer = handled(&importer, bench.stack.import_event(&older)).await;
    assert_ne!(answer, handed_back(&[]));
    assert_eq!(bench.stack.inbox().len(), 1);
    bench.stack.faults().clear();
    // The message of the older version does not come again: only its successor's, twice.
    for _ in 0..2 {
        handled(&importer, newer.clone()).await;
        let inbox = bench.stack.inbox();
        assert_eq!(inbox.len(), 2);
        let subject = inbox[1].subject.as_deref();
        assert_eq!(subject, Some("File NOT IMPORTED: prices.jsonl"));
    }
    assert!(jobs(&bench).await.iter().all(|job| job.notified));
}

#[tokio::test]
async fn each_event_without_version_of_an_object_that_does_not_exist_fails() {
    let bench = Fixture::start().await;
    let importer = bench.importer(bench.deployed());
    // As people write them by hand.
    let mut event = notification(&[KEY]);
    let object = event["Records"][0]["s3"]["object"].as_object_mut().unwrap();
    object.retain(|name, _| name == "key");
    for _ in 0..2 {
        let answer = importer.handle(event.clone(), invocation(TIMEOUT)).await;
        let error = answer.unwrap_err().to_string();
        assert!(error.contains("does not exist"), "{error}");
    }
}

#[tokio::test]
async fn a_plan_leaves_an_older_version_that_waits_for_its_next_invocation_alone() {
    let bench = Fixture::start().await;
    bench.put(KEY, file(1, 2000)).await;
    let event = bench.stack.import_event(&last_upload(&bench));
    let importer = bench.importer(Config {
        max_wcu: NonZeroU32::new(100),
        ..bench.deployed()
    });
    let short = invocation(Duration::from_secs(12));
    importer.handle(event, short).await.unwrap();
    assert_eq!(bench.job().await.status, Status::Queued);
    bench.put(KEY, file(2, 10)).await;
    let machine = Machine::new(&bench);
    let plan = json!({
        "step": "plan", "bucket": BUCKET, "key": KEY, "parallel": true, "holder": "execution", "watches": true,
    });
    assert_eq!(machine.good(plan).await["mode"], "busy");
    assert_eq!(bench.job().await.status, Status::Queued);
}

#[tokio::test]
async fn a_version_whose_job_is_forgotten_is_not_imported_again() {
    let bench = Fixture::start().await;
    bench.put(KEY, file(1, 10)).await;
    let event = bench.stack.import_event(&last_upload(&bench));
    let importer = bench.importer(bench.deployed());
    handled(&importer, event.clone()).await;
    let job = bench.job().await;
    let dynamodb = aws_sdk_dynamodb::Client::new(&bench.services.sdk_config());
    dynamodb
        .delete_item()
        .table_name(JOBS_TABLE)
        .key("owner", AttributeValue::S(job.owner.clone()))
        .key("job", AttributeValue::S(job.job.clone()))
        .send()
        .await
        .unwrap();
    dynamodb
        .delete_item()
        .table_name(TABLE)
        .key("productId", AttributeValue::S("P0001".to_owned()))
        .send()
        .await
        .unwrap();
    handled(&importer, event).await;
    assert_eq!(bench.items().await.len(), 9);
    assert!(jobs(&bench).await.is_empty());
    // Only who asks for it imports it again.
    let machine = Machine::new(&bench);
    let plan = json!({ "step": "plan", "bucket": BUCKET, "key": KEY, "holder": "execution" });
    let error = machine.step(plan.clone()).await.unwrap_err();
    assert!(error.contains("imported before"), "{error}");
    let mut again = plan;
    again["again"] = json!(true);
    let plan = machine.good(again).await;
    assert_eq!(plan["mode"], "whole");
    assert_ne!(plan["job"].as_str(), Some(&*job.job));
}

#[tokio::test]
async fn a_second_executor_harms_nothing() {
    let bench = Fixture::start().await;
    bench.put(KEY, file(1, 100)).await;
    let machine = Machine::new(&bench);
    let plan = |holder: &str| {
        json!({
            "step": "plan", "bucket": BUCKET, "key": KEY, "parallel": true, "holder": holder, "watches": true,
        })
    };
    let first = machine.good(plan("first")).await;
    assert_eq!(
        (&first["mode"], &first["executor"]),
        (&json!("split"), &json!("first"))
    );
    let second = machine.good(plan("second")).await;
    assert_eq!(
        (&second["mode"], &second["holder"]),
        (&json!("busy"), &json!("first"))
    );
    assert_eq!(second["seen"]["attempt"], 1);
    // Whatever the second one tries, it is refused.
    for error in [
        Value::Null,
        json!({ "Error": "second", "Cause": "gave up" }),
    ] {
        let finish = json!({
            "step": "finish", "owner": first["owner"], "job": first["job"], "holder": "second", "error": error,
        });
        let refused = machine.step(finish).await.unwrap_err();
        assert!(refused.contains("another one imports"), "{refused}");
    }
    let items = machine.items(&first).await;
    let mut scan = Machine::batch("scan", &first, &items);
    scan["executor"] = json!("second");
    assert!(machine.step(scan).await.is_err());
    // The first one goes on as if nothing had been.
    machine.each("scan", &first, &items, 3).await;
    let composed = machine.good(Machine::named("compose", &first)).await;
    let ranges = machine.items(&composed).await;
    machine.each("import", &first, &ranges, 2).await;
    let summary = machine.good(Machine::named("finish", &first)).await;
    assert_eq!(
        (&summary["status"], &summary["rows_written"]),
        (&json!("COMPLETED"), &json!(100))
    );
    // Now the second one finds that it has ended.
    assert_eq!(machine.good(plan("second")).await["mode"], "ended");
    assert_eq!(bench.stack.inbox().len(), 1);
}

#[tokio::test]
async fn a_dead_executor_is_taken_over_once_its_lease_is_over() {
    let bench = Fixture::start().await;
    bench.put(KEY, file(1, 100)).await;
    let machine = Machine::new(&bench);
    let mut plan = json!({
        "step": "plan", "bucket": BUCKET, "key": KEY, "parallel": true, "holder": "first", "watches": true,
        "lease_seconds": 60,
    });
    machine.good(plan.clone()).await;
    plan["holder"] = json!("second");
    let busy = machine.good(plan.clone()).await;
    assert_eq!(busy["watch_seconds"], 83);
    plan["seen"] = busy["seen"].clone();
    plan["seen"]["waited_seconds"] = json!(82);
    assert_eq!(machine.good(plan.clone()).await["mode"], "busy");
    plan["seen"]["waited_seconds"] = json!(83);
    let taken = machine.good(plan).await;
    assert_eq!(
        (&taken["mode"], &taken["executor"]),
        (&json!("split"), &json!("second"))
    );
    assert_eq!(
        machine.job(&taken).await.lease_holder.as_deref(),
        Some("second")
    );
}

#[tokio::test]
async fn an_import_whose_plan_fails_ends_and_says_so() {
    let bench = Fixture::start().await;
    bench.put(KEY, file(1, 100)).await;
    let machine = Machine::new(&bench);
    let plan = json!({ "step": "plan", "bucket": BUCKET, "key": KEY, "parallel": true, "holder": "execution" });
    let denied = FaultPlan::default().fail("PutObject", 1.., Fault::AccessDenied);
    bench.stack.faults().set(denied);
    machine.step(plan.clone()).await.unwrap_err();
    bench.stack.faults().clear();
    assert_eq!(bench.job().await.status, Status::Running);
    let mut unplanned = plan;
    unplanned["step"] = json!("unplanned");
    unplanned["error"] =
        json!({ "Error": "Intake.Retry", "Cause": "{\"errorMessage\":\"denied\"}" });
    machine.good(unplanned).await;
    let job = bench.job().await;
    assert_eq!(
        (job.status, job.notified, job.gave_up),
        (Status::Failed, true, true)
    );
    assert!(job.reason.unwrap().contains("denied"));
}

#[tokio::test]
async fn whatever_answers_are_lost_a_job_ends_once_and_as_it_ended() {
    for operation in ["UpdateItem", "TransactWriteItems"] {
        for call in 1..=5 {
            let bench = Fixture::start().await;
            bench.put(KEY, file(1, 10)).await;
            let event = bench.stack.import_event(&last_upload(&bench));
            // As often as the SDK tries.
            let lost: Vec<u64> = (call..call + 3).collect();
            let lost = FaultPlan::default().fail(operation, lost, Fault::ResetAfter);
            bench.stack.faults().set(lost);
            let importer = bench.importer(bench.deployed());
            let mut events = vec![event.clone()];
            while let Some(event) = events.pop() {
                if handled(&importer, event.clone()).await != handed_back(&[]) {
                    events.push(event);
                    continue;
                }
                // Messages that wait, as if they had waited long enough.
                for mut message in bench.delayed() {
                    message["Records"][0]["intakeSeen"]["waited_seconds"] = json!(1000);
                    events.push(queued(&[message]).0);
                }
                if bench.job().await.notified {
                    break;
                }
            }
            let job = bench.job().await;
            assert_eq!(
                (job.status, job.notified),
                (Status::Completed, true),
                "{operation} {call}"
            );
            assert_eq!(job.counts.rows_written, 10);
            assert_eq!(versions(&bench, 1).await, 10);
        }
    }
}

#[tokio::test]
async fn a_small_import_costs_ten_requests_to_the_table_of_jobs() {
    let bench = Fixture::start().await;
    bench.put(KEY, file(1, 10)).await;
    let event = bench.stack.import_event(&last_upload(&bench));
    handled(&bench.importer(bench.deployed()), event.clone()).await;
    let calls = || {
        ["GetItem", "TransactWriteItems", "UpdateItem"]
            .map(|operation| bench.stack.faults().counts(operation).calls)
    };
    let first = calls();
    assert_eq!(first, [4, 1, 5]);
    // The same event once more.
    handled(&bench.importer(bench.deployed()), event).await;
    assert_eq!(calls(), [first[0] + 2, first[1], first[2]]);
}
