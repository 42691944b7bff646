//! What becomes of a job besides its rows: claims, cancellation, and the one message at its end.

use std::time::Duration;

use importer::function::Config;
use importer::import::MaxRejects;
use importer::jobs::{JobKey, Status};
use local::{BUCKET, Fault, FaultPlan};
use serde_json::{Value, json};

use crate::fixture::{Fixture, TIMEOUT, handed_back, invocation, notification, queued, sample};

const KEY: &str = "uploads/bad-rows.jsonl";

#[tokio::test]
async fn the_end_is_told_once_to_people_and_machines() {
    let bench = Fixture::start().await;
    bench.put(KEY, sample("bad-rows.jsonl")).await;
    let importer = bench.importer(bench.deployed());
    let (event, _) = queued(&[notification(&[KEY])]);
    for _ in 0..2 {
        let answer = importer.handle(event.clone(), invocation(TIMEOUT)).await;
        assert_eq!(answer.unwrap(), handed_back(&[]));
    }
    let messages = bench.stack.inbox();
    let [message] = &messages[..] else {
        panic!("not one message: {messages:?}");
    };
    let job = bench.job().await;
    let subject = message.subject.as_deref();
    assert_eq!(
        subject,
        Some("Import finished with rejected rows: bad-rows.jsonl")
    );
    assert!(message.by_protocol["email"].contains("Rejected    11\n"));
    let machine: Value = serde_json::from_str(&message.by_protocol["sqs"]).unwrap();
    assert_eq!(machine["rows_rejected"], 11);
    assert_eq!(machine["summary"], job.summary.unwrap());
    let attributes: Vec<_> = message
        .attributes
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        attributes,
        [
            ("job", job.job.as_str()),
            ("kind", "import"),
            ("status", "COMPLETED_WITH_REJECTS"),
            ("table", "InventoryTable"),
        ]
    );
}

#[tokio::test]
async fn an_end_that_could_not_be_told_is_told_by_the_next_delivery() {
    let bench = Fixture::start().await;
    bench.put(KEY, sample("bad-rows.jsonl")).await;
    let importer = bench.importer(bench.deployed());
    let denied = FaultPlan::default().fail("Publish", 1.., Fault::AccessDenied);
    bench.stack.faults().set(denied);
    let (event, ids) = queued(&[notification(&[KEY])]);
    let answer = importer.handle(event.clone(), invocation(TIMEOUT)).await;
    assert_eq!(answer.unwrap(), handed_back(&[&ids[0]]));
    let job = bench.job().await;
    assert_eq!(
        (job.status, job.notified),
        (Status::CompletedWithRejects, false)
    );

    bench.stack.faults().clear();
    let answer = importer.handle(event, invocation(TIMEOUT)).await;
    assert_eq!(answer.unwrap(), handed_back(&[]));
    assert_eq!(bench.stack.inbox().len(), 1);
    assert!(bench.job().await.notified);
    // Nothing was read or written again.
    assert_eq!(bench.stack.faults().counts("GetObject").calls, 0);
}

#[tokio::test]
async fn a_job_that_is_cancelled_ends_at_its_next_checkpoint() {
    let bench = Fixture::start().await;
    let rows: String = (0..20_000)
        .map(|n| format!("{{\"productId\":\"P{n}\"}}\n"))
        .collect();
    bench.put(KEY, rows).await;
    let importer = bench.importer(Config {
        checkpoint_every: Duration::from_millis(50),
        max_wcu: std::num::NonZeroU32::new(500),
        ..bench.deployed()
    });
    let (event, _) = queued(&[notification(&[KEY])]);
    let cancel = async {
        // Some batches, of five requests each, are settled: what waits then is dropped.
        bench.stack.faults().reached("BatchWriteItem", 200).await;
        let job = bench.job().await;
        bench.jobs().cancel(&job.job_key()).await.unwrap().unwrap()
    };
    let (answer, asked) = tokio::join!(importer.handle(event.clone(), invocation(TIMEOUT)), cancel);
    assert_eq!(answer.unwrap(), handed_back(&[]));
    assert_eq!(
        (asked.status, asked.cancel_requested),
        (Status::Running, true)
    );
    let job = bench.job().await;
    assert_eq!(job.status, Status::Cancelled);
    assert!(job.counts.rows_written > 0 && job.counts.rows_written < 20_000);
    assert_eq!(job.counts.rows_read, job.counts.rows_settled());
    assert_eq!(bench.summary().await["status"], "CANCELLED");
    assert_eq!(bench.stack.inbox().len(), 1);
    // It has ended: it can neither be cancelled again nor does its event do anything.
    let again = bench.jobs().cancel(&job.job_key()).await.unwrap();
    assert!(again.is_none());
    let answer = importer.handle(event, invocation(TIMEOUT)).await.unwrap();
    assert_eq!(answer, handed_back(&[]));
    assert_eq!(bench.job().await, job);
    let unknown = JobKey {
        owner: "-".to_owned(),
        job: "none".to_owned(),
    };
    assert!(bench.jobs().cancel(&unknown).await.unwrap().is_none());
}

#[tokio::test]
async fn a_file_that_is_plainly_wrong_fails() {
    for (max_rejects, status) in [
        (MaxRejects::Rows(10), Status::Failed),
        (MaxRejects::Rows(11), Status::CompletedWithRejects),
        (MaxRejects::Percent(60.0), Status::Failed),
        (MaxRejects::Percent(70.0), Status::CompletedWithRejects),
    ] {
        let bench = Fixture::start().await;
        bench.put(KEY, sample("bad-rows.jsonl")).await;
        let importer = bench.importer(Config {
            max_rejects: Some(max_rejects),
            ..bench.deployed()
        });
        let (event, _) = queued(&[notification(&[KEY])]);
        let answer = importer.handle(event, invocation(TIMEOUT)).await.unwrap();
        assert_eq!(answer, handed_back(&[]));
        let job = bench.job().await;
        assert_eq!(job.status, status, "{max_rejects:?}");
        if status == Status::Failed {
            assert!(job.reason.unwrap().contains("more rows were rejected"));
            assert!(job.fix.unwrap().contains("INTAKE_MAX_REJECTS"));
        }
        // The rows that it judged by are there to look at.
        assert!(job.rejects.is_some());
    }
}

#[tokio::test]
async fn a_job_that_another_invocation_holds_is_left_alone() {
    // Long enough for what comes while it lasts, on a busy machine, too.
    const CLAIMED: Duration = Duration::from_secs(6);
    let bench = Fixture::start().await;
    bench.put(KEY, sample("bad-rows.jsonl")).await;
    let importer = bench.importer(bench.deployed());
    // It ends without a word when its rows are read.
    let hangs = FaultPlan::default().fail("GetObject", 1.., Fault::Slow(Duration::from_hours(1)));
    bench.stack.faults().set(hangs);
    let (event, _) = queued(&[notification(&[KEY])]);
    let first = importer.handle(event.clone(), invocation(CLAIMED));
    tokio::select! {
        answer = first => panic!("{answer:?}"),
        () = bench.stack.faults().reached("GetObject", 1) => {}
    }
    bench.stack.faults().clear();

    // A second event of the same upload: the first one's message goes on with it.
    let (other, _) = queued(&[event_of(&event)]);
    let answer = importer.handle(other, invocation(TIMEOUT)).await.unwrap();
    assert_eq!(answer, handed_back(&[]));
    assert_eq!(bench.job().await.attempt, 1);
    // When that message comes again, the invocation that had it is over.
    let answer = importer.handle(event, invocation(TIMEOUT)).await.unwrap();
    assert_eq!(answer, handed_back(&[]));
    let job = bench.job().await;
    assert_eq!((job.status, job.attempt), (Status::CompletedWithRejects, 2));
}

/// The S3 notification in an event of the queue.
fn event_of(queued: &Value) -> Value {
    serde_json::from_str(queued["Records"][0]["body"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn events_written_by_hand_import_what_is_there_now() {
    let bench = Fixture::start().await;
    let importer = bench.importer(bench.deployed());
    let event = json!({ "Records": [{ "s3": { "bucket": { "name": BUCKET }, "object": { "key": "uploads/a.jsonl" } } }] });
    for id in ["a", "b", "b"] {
        bench
            .put("uploads/a.jsonl", format!("{{\"productId\":\"{id}\"}}"))
            .await;
        importer
            .handle(event.clone(), invocation(TIMEOUT))
            .await
            .unwrap();
    }
    assert_eq!(bench.items().await, ["productId=S:a", "productId=S:b"]);
}
