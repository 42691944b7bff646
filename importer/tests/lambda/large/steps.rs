//! Each step by itself: order, cancellation, continuation, what is refused, how it ends.

use std::num::NonZeroU32;
use std::time::Duration;

use importer::StopReason;
use importer::function::Config;
use importer::import::MaxRejects;
use importer::jobs::{Claim, Lease, Status};
use local::{BUCKET, Fault, FaultPlan, Operation};
use serde_json::{Value, json};

use super::machine::{Machine, config};
use crate::fixture::{Fixture, TIMEOUT, invocation};

const KEY: &str = "uploads/large.jsonl";

fn rows(count: usize) -> String {
    (0..count)
        .map(|n| format!("{{\"productId\":\"P{n:05}\",\"row\":{n}}}\n"))
        .collect()
}

/// Everything before the step `import`: the plan and what is to be imported.
async fn composed(machine: &Machine<'_>) -> (Value, Vec<Value>) {
    let plan = machine.plan(KEY).await;
    let items = machine.items(&plan).await;
    machine.each("scan", &plan, &items, 100).await;
    let composed = machine.good(Machine::named("compose", &plan)).await;
    let ranges = machine.items(&composed).await;
    (plan, ranges)
}

#[tokio::test]
async fn a_file_is_cut_only_if_the_order_of_its_rows_does_not_matter() {
    for (metadata, parallel, mode) in [
        (None, None, "whole"),
        (None, Some(false), "whole"),
        (None, Some(true), "split"),
        (Some("true"), None, "split"),
        (Some("false"), None, "whole"),
    ] {
        let bench = Fixture::start().await;
        let metadata: Vec<_> = metadata
            .map(|m| ("intake-unique-keys", m))
            .into_iter()
            .collect();
        bench.put_with(KEY, rows(100), &metadata).await;
        let machine = Machine::new(&bench);
        let mut input =
            json!({ "step": "plan", "bucket": BUCKET, "key": KEY, "holder": "execution" });
        if let Some(parallel) = parallel {
            input["parallel"] = json!(parallel);
        }
        let plan = machine.good(input.clone()).await;
        assert_eq!(plan["mode"], mode, "{metadata:?} {parallel:?}");
        // Where the order of rows counts, nobody takes over from a worker that may still write.
        let holder = (mode == "split").then_some("execution");
        assert_eq!(plan["holder"], json!(holder));
        if mode == "whole" {
            let why = plan["why"].as_str().unwrap();
            assert!(why.contains("x-amz-meta-intake-unique-keys: true"), "{why}");
        }
        let job = machine.job(&plan).await;
        assert_eq!(
            (job.status, job.bytes_total),
            (Status::Running, Some(rows(100).len() as u64))
        );
        // What was decided holds, whatever is asked for later.
        input["parallel"] = json!(parallel != Some(true));
        input["range_bytes"] = json!(77);
        assert_eq!(machine.good(input).await, plan);
    }
}

#[tokio::test]
async fn a_job_of_the_steps_is_no_other_importers() {
    let bench = Fixture::start().await;
    bench.put(KEY, rows(100)).await;
    let machine = Machine::new(&bench);
    let event = crate::fixture::notification(&[KEY]);
    let object = &event["Records"][0];
    let s3 = &object["s3"]["object"];
    let plan = machine
        .good(json!({
            "step": "plan", "bucket": BUCKET, "key": KEY, "etag": s3["eTag"], "sequencer": s3["sequencer"],
            "time": object["eventTime"], "parallel": true,
        }))
        .await;
    machine
        .importer
        .handle(event.clone(), invocation(TIMEOUT))
        .await
        .unwrap();
    assert_eq!(bench.items().await, [""; 0]);
    assert_eq!(bench.job().await.job, plan["job"].as_str().unwrap());

    // Nor the other way round.
    let bench = Fixture::start().await;
    bench.put(KEY, rows(100)).await;
    let machine = Machine::new(&bench);
    let plan = machine.plan(KEY).await;
    let job = machine.job(&plan).await;
    let lease = Lease {
        holder: "request".to_owned(),
        message: None,
        duration: TIMEOUT,
        seen: None,
    };
    let claim = bench.jobs().resume(job, &lease).await.unwrap();
    assert!(matches!(claim, Claim::Busy(_)), "{claim:?}");
}

#[tokio::test]
async fn a_range_takes_as_many_invocations_as_it_needs() {
    let bench = Fixture::start().await;
    bench.put(KEY, rows(1500)).await;
    let machine = Machine {
        importer: bench.importer(Config {
            max_wcu: NonZeroU32::new(200),
            // A lane's batch is settled as a whole: few lanes come on in each invocation.
            lanes: std::num::NonZeroUsize::new(2),
            range_bytes: std::num::NonZeroU64::new(40_000).unwrap(),
            ..config(&bench)
        }),
        ..Machine::new(&bench)
    };
    let (plan, ranges) = composed(&machine).await;
    assert_eq!(ranges.len(), 2);
    let mut payload = Machine::batch("import", &plan, &ranges);
    payload["holder"] = json!("a worker");
    let mut invocations = 0;
    // Too little for 1,500 rows at 200 WCU/s; then more and more, for machines that are busy with other things.
    let mut time = Duration::from_secs(3);
    loop {
        invocations += 1;
        let handled = machine.importer.handle(payload.clone(), invocation(time));
        time = time.mul_f64(1.25).min(Duration::from_mins(1));
        match handled.await {
            Ok(answer) if answer["done"] == true => break,
            Ok(answer) => payload = answer,
            // A machine that is busy with other things does not get to let the job go in time.
            Err(error) => assert!(invocations < 100, "{error}"),
        }
        assert_eq!(payload["holder"], "a worker");
    }
    assert!(invocations > 1);
    let summary = machine.good(Machine::named("finish", &plan)).await;
    assert_eq!(
        (&summary["status"], &summary["rows_written"]),
        (&json!("COMPLETED"), &json!(1500))
    );
    assert_eq!(bench.items().await.len(), 1500);
}

#[tokio::test]
async fn a_job_that_is_cancelled_stops_all_its_ranges() {
    let bench = Fixture::start().await;
    bench.put(KEY, rows(20_000)).await;
    let machine = Machine {
        importer: bench.importer(Config {
            max_wcu: NonZeroU32::new(500),
            range_bytes: std::num::NonZeroU64::new(600_000).unwrap(),
            ..config(&bench)
        }),
        ..Machine::new(&bench)
    };
    let (plan, ranges) = composed(&machine).await;
    let cancel = async {
        // Some batches, of five requests each, are settled: what waits then is dropped.
        bench.stack.faults().reached("BatchWriteItem", 200).await;
        let key = machine.job(&plan).await.job_key();
        bench.jobs().cancel(&key).await.unwrap().unwrap()
    };
    let import = machine.good(Machine::batch("import", &plan, &ranges));
    let (answer, _) = tokio::join!(import, cancel);
    assert_eq!(answer["done"], true);
    let summary = machine.good(Machine::named("finish", &plan)).await;
    assert_eq!(summary["status"], "CANCELLED");
    let job = machine.job(&plan).await;
    assert_eq!(job.status, Status::Cancelled);
    assert!(job.counts.rows_written > 0 && job.counts.rows_written < 20_000);
    assert_eq!(job.counts.rows_read, job.counts.rows_settled());
    // Cancelled before its ranges are known, there is nothing to import.
    let bench = Fixture::start().await;
    bench.put(KEY, rows(100)).await;
    let machine = Machine::new(&bench);
    let plan = machine.plan(KEY).await;
    let key = machine.job(&plan).await.job_key();
    bench.jobs().cancel(&key).await.unwrap().unwrap();
    let (again, summary) = machine.run(KEY).await;
    assert_eq!(again["job"], plan["job"]);
    assert_eq!(summary["status"], "CANCELLED");
    assert_eq!(bench.items().await, [""; 0]);
}

#[tokio::test]
async fn the_end_waits_for_all_ranges() {
    let bench = Fixture::start().await;
    bench.put(KEY, rows(100)).await;
    let machine = Machine::new(&bench);
    let (plan, ranges) = composed(&machine).await;
    machine.each("import", &plan, &ranges[1..], 100).await;
    let finish = Machine::named("finish", &plan);
    let error = machine.step(finish.clone()).await.unwrap_err();
    assert_eq!(
        error,
        format!("1 of {} ranges have not ended", ranges.len())
    );
    machine.each("import", &plan, &ranges[..1], 1).await;
    let summary = machine.good(finish.clone()).await;
    assert_eq!(summary["status"], "COMPLETED");
    // What has ended stays as it is, and is told once.
    assert_eq!(machine.good(finish).await, summary);
    assert_eq!(bench.stack.inbox().len(), 1);
    assert_eq!(machine.plan(KEY).await["mode"], "ended");
}

#[tokio::test]
async fn what_was_given_up_is_taken_up_again() {
    let bench = Fixture::start().await;
    bench.put(KEY, rows(100)).await;
    let machine = Machine::new(&bench);
    let (plan, ranges) = composed(&machine).await;
    machine.each("import", &plan, &ranges[1..], 100).await;
    let mut finish = Machine::named("finish", &plan);
    let cause = json!({ "errorType": "Intake.Retry", "errorMessage": "the table is away" });
    finish["error"] = json!({ "Error": "Intake.Retry", "Cause": cause.to_string() });
    let summary = machine.good(finish).await;
    assert_eq!(summary["status"], "FAILED");
    let job = machine.job(&plan).await;
    assert_eq!(job.status, Status::Failed);
    assert_eq!(
        job.reason.unwrap(),
        "the import was given up: Intake.Retry: the table is away"
    );
    let written = job.counts.rows_written;
    assert!(written > 0 && written < 100, "{written}");
    // Redriven, it goes on with what is left.
    let (again, summary) = machine.run(KEY).await;
    assert_eq!(again["job"], plan["job"]);
    assert_eq!(summary["status"], "COMPLETED");
    let job = machine.job(&plan).await;
    assert_eq!(
        (job.status, job.reason, job.counts.rows_written),
        (Status::Completed, None, 100)
    );
    assert_eq!(bench.stack.inbox().len(), 2);
}

/// Also rows of batches that were not settled, because the importer was stopped.
#[tokio::test]
async fn a_job_that_is_abandoned_counts_every_row_that_it_wrote() {
    let bench = Fixture::start().await;
    bench.put(KEY, rows(400)).await;
    let machine = Machine {
        importer: bench.importer(Config {
            max_wcu: NonZeroU32::new(5),
            range_bytes: std::num::NonZeroU64::new(1_000_000).unwrap(),
            ..config(&bench)
        }),
        ..Machine::new(&bench)
    };
    let plan = json!({
        "step": "plan", "bucket": BUCKET, "key": KEY, "holder": "first", "lease_seconds": 0, "watches": true,
    });
    let planned = machine.good(plan.clone()).await;
    let ranges = machine.items(&planned).await;
    let stop = async {
        bench.stack.faults().reached("BatchWriteItem", 2).await;
        machine.importer.stop(StopReason::Interrupted);
    };
    let import = machine.step(Machine::batch("import", &planned, &ranges));
    let (stopped, ()) = tokio::join!(import, stop);
    assert!(stopped.unwrap_err().contains("interrupted"));
    let written = bench.items().await.len() as u64;
    let before = machine.job(&planned).await;
    assert!(
        written > 0 && before.counts.rows_written < written,
        "{written}: {before:?}"
    );

    // Another version is to be imported, and nothing went on with this one for longer than its lease.
    bench.put(KEY, rows(3)).await;
    let mut newer = plan;
    newer["holder"] = json!("second");
    newer["seen"] = json!(before.seen());
    newer["seen"]["waited_seconds"] = json!(before.takeover().as_secs());
    assert_eq!(machine.good(newer).await["mode"], "whole");
    let job = machine.job(&planned).await;
    assert_eq!(job.status, Status::Failed);
    assert_eq!(
        (job.counts.rows_read, job.counts.rows_written),
        (written, written)
    );
}

/// Why the state machine gave up, as it hands it to the last step.
fn given_up(plan: &Value) -> Value {
    let mut finish = Machine::named("finish", plan);
    finish["error"] = json!({ "Error": "Intake.Retry", "Cause": "one of them is too slow" });
    finish
}

#[tokio::test]
async fn a_range_that_is_under_way_when_all_is_given_up_can_be_gone_on_with() {
    let bench = Fixture::start().await;
    bench.put(KEY, rows(6000)).await;
    let machine = Machine {
        importer: bench.importer(Config {
            max_wcu: NonZeroU32::new(100),
            range_bytes: std::num::NonZeroU64::new(150_000).unwrap(),
            ..config(&bench)
        }),
        ..Machine::new(&bench)
    };
    let (plan, ranges) = composed(&machine).await;
    let give_up = async {
        bench.stack.faults().reached("BatchWriteItem", 3).await;
        machine.good(given_up(&plan)).await
    };
    let import = machine.step(Machine::batch("import", &plan, &ranges));
    let (stopped, summary) = tokio::join!(import, give_up);
    // A range takes most of a minute, unless the machine is so busy that it ends before the other step does.
    match stopped {
        Err(error) => assert!(error.contains("interrupted"), "{error}"),
        Ok(answer) => assert_eq!(answer["done"], true),
    }
    assert_eq!(summary["status"], "FAILED");
    // Tried again, there is nothing to do for now.
    let again = machine.good(Machine::batch("import", &plan, &ranges)).await;
    assert_eq!(again["done"], true);
    assert!(bench.items().await.len() < 6000);

    let (again, summary) = Machine::new(&bench).run(KEY).await;
    assert_eq!(again["job"], plan["job"]);
    assert_eq!(
        (&summary["status"], &summary["rows_read"]),
        (&json!("COMPLETED"), &json!(6000))
    );
    assert_eq!(bench.items().await.len(), 6000);
}

#[tokio::test]
async fn too_many_rejects_fail_the_whole_of_a_file() {
    let bad: String = (0..100)
        .map(|n| match n % 10 {
            0 => format!("{{\"row\":{n}}}\n"),
            _ => format!("{{\"productId\":\"P{n}\"}}\n"),
        })
        .collect();
    for (max_rejects, status) in [
        (MaxRejects::Rows(9), "FAILED"),
        (MaxRejects::Rows(10), "COMPLETED_WITH_REJECTS"),
        (MaxRejects::Percent(9.0), "FAILED"),
        (MaxRejects::Percent(10.0), "COMPLETED_WITH_REJECTS"),
    ] {
        let bench = Fixture::start().await;
        bench.put(KEY, bad.clone()).await;
        let machine = Machine {
            importer: bench.importer(Config {
                max_rejects: Some(max_rejects),
                ..config(&bench)
            }),
            ..Machine::new(&bench)
        };
        let (_, summary) = machine.run(KEY).await;
        assert_eq!(summary["status"], status, "{max_rejects:?}");
        assert_eq!(summary["rows_rejected"], 10);
        let rejects = bench.report("/rejects.jsonl").await;
        assert_eq!(String::from_utf8(rejects).unwrap().lines().count(), 10);
    }
}

#[tokio::test]
async fn an_object_that_is_replaced_is_an_error_and_no_mixture() {
    let bench = Fixture::start().await;
    bench.put(KEY, rows(100)).await;
    let machine = Machine::new(&bench);
    let (plan, ranges) = composed(&machine).await;
    bench.put(KEY, rows(99)).await;
    machine.each("import", &plan, &ranges, 100).await;
    let summary = machine.good(Machine::named("finish", &plan)).await;
    assert_eq!(summary["status"], "FAILED");
    let message = summary["failure"]["message"].as_str().unwrap();
    assert!(message.contains("the object has changed"), "{message}");
    assert_eq!(bench.items().await, [""; 0]);
}

#[tokio::test]
async fn errors_say_whether_to_try_again() {
    let bench = Fixture::start().await;
    bench.put(KEY, rows(100)).await;
    let machine = Machine::new(&bench);
    let (plan, ranges) = composed(&machine).await;
    let import = Machine::batch("import", &plan, &ranges);
    let error_type = |error: &lambda_runtime::Error| importer::diagnostic(error).error_type;
    for (fault, operation, expected) in [
        (
            Fault::AccessDenied,
            Operation::new("BatchWriteItem"),
            "Intake.Fatal",
        ),
        (
            Fault::AccessDenied,
            Operation::new("GetObject"),
            "Intake.Fatal",
        ),
        (
            Fault::InternalError,
            Operation::new("HeadObject"),
            "Intake.Retry",
        ),
        (
            Fault::InternalError,
            Operation::new("UpdateItem"),
            "Intake.Retry",
        ),
    ] {
        bench
            .stack
            .faults()
            .set(FaultPlan::default().fail(operation.clone(), 1.., fault));
        let handled = machine
            .importer
            .handle(import.clone(), invocation(TIMEOUT))
            .await;
        let error = handled.unwrap_err();
        assert_eq!(
            error_type(&error),
            expected,
            "{fault:?} {operation:?}: {error}"
        );
        bench.stack.faults().clear();
    }
    for (payload, said) in [
        (json!({ "step": "jump" }), "jump"),
        (
            json!({ "step": "plan", "bucket": BUCKET }),
            "neither a key nor a prefix",
        ),
        (
            json!({ "step": "plan", "bucket": BUCKET, "key": "reports/a" }),
            "a report or a folder",
        ),
        (
            json!({ "step": "plan", "bucket": BUCKET, "key": "uploads/none" }),
            "does not exist",
        ),
        (
            json!({ "step": "compose", "owner": "-", "job": "none" }),
            "no job none",
        ),
        (
            json!({ "step": "import", "owner": plan["owner"], "job": plan["job"], "Items": [{}] }),
            "an item",
        ),
    ] {
        let handled = machine
            .importer
            .handle(payload.clone(), invocation(TIMEOUT))
            .await;
        let error = handled.unwrap_err();
        assert_eq!(error_type(&error), "Intake.Fatal", "{payload}: {error}");
        let message = importer::diagnostic(&error).error_message;
        assert!(message.contains(said), "{payload}: {message}");
    }
    machine.each("import", &plan, &ranges, 100).await;
    assert_eq!(bench.items().await.len(), 100);
}

#[tokio::test]
async fn a_range_that_another_worker_holds_is_tried_again() {
    let bench = Fixture::start().await;
    bench.put(KEY, rows(100)).await;
    let machine = Machine::new(&bench);
    let (plan, ranges) = composed(&machine).await;
    let key = machine.job(&plan).await.range_key(0);
    let mut payload = Machine::batch("import", &plan, &ranges[..1]);
    payload["holder"] = json!("first");
    let hangs = FaultPlan::default().fail("HeadObject", 1.., Fault::Slow(Duration::from_hours(1)));
    bench.stack.faults().set(hangs);
    tokio::select! {
        _ = machine.importer.handle(payload.clone(), invocation(TIMEOUT)) => panic!("it hangs"),
        () = bench.stack.faults().reached("HeadObject", 1) => {}
    }
    bench.stack.faults().clear();
    let other = Machine::batch("import", &plan, &ranges[..1]);
    // Without the time to watch the first one until its claim has lapsed.
    let handled = machine
        .importer
        .handle(other, invocation(Duration::from_secs(30)));
    let error = handled.await.unwrap_err().to_string();
    assert!(error.contains("another invocation"), "{error}");
    // The same again: whoever asks knows that the first one is over.
    assert_eq!(machine.good(payload).await["done"], true);
    let range = bench.jobs().get(&key).await.unwrap().unwrap();
    assert_eq!((range.status, range.attempt), (Status::Completed, 2));
}

#[tokio::test]
async fn a_worker_that_was_thought_dead_changes_no_count() {
    let bench = Fixture::start().await;
    bench.put(KEY, rows(100)).await;
    let machine = Machine::new(&bench);
    let (plan, ranges) = composed(&machine).await;
    let mut payload = Machine::batch("import", &plan, &ranges);
    payload["holder"] = json!("execution");
    let slow = Fault::Slow(Duration::from_secs(2));
    bench
        .stack
        .faults()
        .set(FaultPlan::default().fail("BatchWriteItem", 1..=1, slow));
    let mut late = std::pin::pin!(machine.step(payload.clone()));
    tokio::select! {
        _ = &mut late => panic!("its rows are under way"),
        () = bench.stack.faults().reached("BatchWriteItem", 1) => {}
    }
    // However long this takes, the other one cannot end its range before.
    assert_eq!(machine.good(payload.clone()).await["done"], true);
    let error = late.await.unwrap_err();
    assert!(error.contains("another invocation"), "{error}");
    let summary = machine.good(Machine::named("finish", &plan)).await;
    assert_eq!(
        (&summary["status"], &summary["rows_written"]),
        (&json!("COMPLETED"), &json!(100))
    );
    assert_eq!(bench.items().await.len(), 100);
}

#[tokio::test]
async fn every_object_under_a_prefix_has_a_job_of_its_own() {
    let bench = Fixture::start().await;
    let machine = Machine::new(&bench);
    for (key, body) in [
        ("uploads/day/a.jsonl", rows(30)),
        ("uploads/day/b.csv", "productId,row\nX1,1\n,2\n".to_owned()),
        ("uploads/other.jsonl", rows(3)),
    ] {
        bench.put(key, body).await;
    }
    let input = json!({ "step": "plan", "bucket": BUCKET, "prefix": "uploads/day/" });
    let plan = machine.good(input.clone()).await;
    assert_eq!(
        (&plan["mode"], &plan["ranges"]),
        (&json!("prefix"), &json!(2))
    );
    assert_eq!(machine.good(input.clone()).await, plan);
    let finish = Machine::named("finish", &plan);
    let error = machine.step(finish.clone()).await.unwrap_err();
    assert_eq!(error, "2 of 2 ranges have not ended");
    for mut object in machine.items(&plan).await {
        object["step"] = json!("plan");
        let planned = machine.good(object).await;
        let items = machine.items(&planned).await;
        assert_eq!(planned["mode"], "whole");
        machine.each("import", &planned, &items, 1).await;
        machine.good(Machine::named("finish", &planned)).await;
    }
    let summary = machine.good(finish).await;
    assert_eq!(summary["status"], "COMPLETED_WITH_REJECTS");
    assert_eq!(
        (
            &summary["rows_read"],
            &summary["rows_written"],
            &summary["rows_rejected"]
        ),
        (&json!(32), &json!(31), &json!(1))
    );
    let objects = String::from_utf8(bench.report("/objects.jsonl").await).unwrap();
    let objects: Vec<Value> = objects
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(objects[0]["key"], "uploads/day/a.jsonl");
    assert_eq!(objects[1]["rows_rejected"], 1);
    assert_eq!(machine.good(input).await["mode"], "ended");
    let none = json!({ "step": "plan", "bucket": BUCKET, "prefix": "nothing/" });
    let error = machine.step(none).await.unwrap_err();
    assert!(error.contains("no object under"), "{error}");
}
