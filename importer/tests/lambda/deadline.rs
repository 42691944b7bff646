//! An invocation ends before Lambda ends it, and says how far it came.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::{Duration, SystemTime};

use importer::lambda::{Config, Importer};
use importer::writer::WriterKind;
use local::BUCKET;
use serde_json::{Value, json};

use crate::bench::{Bench, config, handed_back, notification, queued};
use crate::support::clients::Services;
use crate::support::scripted::{Bucket, Reply};
use crate::support::with_each_writer;

const KEY: &str = "uploads/large.jsonl";

fn rows(count: usize) -> String {
    (0..count)
        .map(|n| format!("{{\"productId\":\"P{n}\"}}\n"))
        .collect()
}

fn slow(writer: WriterKind, max_wcu: u32, lanes: usize) -> Config {
    Config {
        writer,
        max_wcu: NonZeroU32::new(max_wcu),
        lanes: NonZeroUsize::new(lanes),
        ..config()
    }
}

/// Hands over a message about [`KEY`] that must be handed back, in the time that there is.
async fn times_out(importer: &Importer, time: Duration) {
    let (event, ids) = queued(&[notification(&[KEY])]);
    let deadline = SystemTime::now() + time;
    let answer = importer.handle(event, deadline).await.unwrap();
    assert!(
        SystemTime::now() < deadline,
        "it took more than its {time:?}"
    );
    assert_eq!(answer, handed_back(&[&ids[0]]));
}

#[track_caller]
fn assert_used_up(summary: &Value) {
    assert_eq!(summary["status"], "FAILED");
    let failure = &summary["failure"];
    let message = failure["message"].as_str().unwrap();
    assert!(message.contains("the time given is used up"), "{failure}");
    assert!(
        failure["fix"]
            .as_str()
            .unwrap()
            .contains("import the file again"),
        "{failure}"
    );
    // The first row that was not read, in a file of one row a line.
    let next = summary["rows_read"].as_u64().unwrap() + 1;
    assert_eq!(failure["position"]["record"], next, "{summary}");
}

#[tokio::test]
async fn a_deadline_that_has_passed_hands_everything_back() {
    let bench = Bench::start().await;
    bench.put(KEY, rows(1)).await;
    let (event, ids) = queued(&[notification(&[KEY]), notification(&[KEY])]);
    let importer = bench.importer(config());
    let answer = importer.handle(event, SystemTime::now()).await.unwrap();
    assert_eq!(answer, handed_back(&[&ids[0], &ids[1]]));
    let bare = importer
        .handle(notification(&[KEY]), SystemTime::now())
        .await;
    let error = bare.unwrap_err().to_string();
    assert_eq!(
        error,
        format!("s3://{BUCKET}/{KEY}: no time was left to begin")
    );
    assert!(bench.items().await.is_empty() && bench.reports().await.is_empty());
}

async fn what_was_read_in_time_is_written(writer: WriterKind) {
    let bench = Bench::start().await;
    bench.put(KEY, rows(5000)).await;
    times_out(
        &bench.importer(slow(writer, 200, 1)),
        Duration::from_secs(4),
    )
    .await;
    let summary = bench.summary().await;
    assert_used_up(&summary);
    assert_eq!(
        (&summary["rows_unsettled"], &summary["rows_written"]),
        (&json!(0), &summary["rows_read"])
    );
    let written = bench.items().await.len();
    assert_eq!(summary["rows_written"], written);
    assert!((100..5000).contains(&written), "{written} rows");
}

async fn what_cannot_be_written_in_time_is_given_up_and_counted(writer: WriterKind) {
    let bench = Bench::start().await;
    bench.put(KEY, rows(5000)).await;
    times_out(
        &bench.importer(slow(writer, 50, 16)),
        Duration::from_secs(2),
    )
    .await;
    let summary = bench.summary().await;
    assert_used_up(&summary);
    let count = |name: &str| summary[name].as_u64().unwrap();
    assert!(
        count("rows_written") > 0 && count("rows_unsettled") > 0,
        "{summary}"
    );
    assert_eq!(
        count("rows_read"),
        count("rows_written") + count("rows_unsettled")
    );
    // A request that was under way may have been done.
    assert!(bench.items().await.len() as u64 >= count("rows_written"));
}

#[tokio::test]
async fn an_object_that_does_not_come_does_not_hold_the_function() {
    let bench = Bench::start().await;
    let bucket = Bucket::new(rows(1));
    let s3 = bucket.serve(|_, _| Reply::Hang).await;
    let services = Services {
        s3: s3.url.clone(),
        ..bench.services.clone()
    };
    let importer = Importer::new(config(), services.sdk_config());
    let time = Duration::from_secs(2);
    let handled = tokio::time::timeout(time * 5, times_out(&importer, time));
    handled.await.expect("the function ends");
    let [summary] = &bucket.put("/summary.json")[..] else {
        panic!("not one summary");
    };
    assert_used_up(&serde_json::from_slice(summary).unwrap());
}

with_each_writer!(
    what_was_read_in_time_is_written,
    what_cannot_be_written_in_time_is_given_up_and_counted,
);
