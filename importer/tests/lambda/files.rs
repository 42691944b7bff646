//! Good, bad and broken files: what is written, reported and handed back.

use std::time::Duration;

use importer::jobs::{NOBODY, Status};
use local::{BUCKET, Fault, FaultPlan, Operation};
use serde_json::{Value, json};

use crate::fixture::{Fixture, handed_back, invocation, notification, queued, sample};

/// Hands the function a message about one object, with which it is done then, and says whether the job has failed.
async fn fails(bench: &Fixture, key: &str) -> bool {
    let (event, _) = queued(&[notification(&[key])]);
    assert_eq!(bench.handle(event).await.unwrap(), handed_back(&[]));
    let jobs = bench.jobs().newest(NOBODY, 100).await.unwrap();
    let job = jobs.iter().find(|job| job.key == key).unwrap();
    assert!(job.status.is_ended() && job.notified, "{job:?}");
    job.status == Status::Failed
}

#[tokio::test]
async fn a_good_file_is_summed_up() {
    let bench = Fixture::start().await;
    bench
        .put("uploads/inventory.json.gz", sample("inventory.json.gz"))
        .await;
    assert!(!fails(&bench, "uploads/inventory.json.gz").await);
    let mut summary = bench.summary().await;
    let duration = summary["duration_seconds"].take();
    let job = summary["job"].take();
    assert_eq!(job, bench.job().await.job);
    assert!(
        duration.as_f64().is_some_and(|seconds| seconds > 0.0),
        "{duration}"
    );
    let expected = json!({
        "status": "COMPLETED",
        "source": format!("s3://{BUCKET}/uploads/inventory.json.gz"),
        "job": null,
        "attempts": 1,
        "table": "InventoryTable",
        "format": "json",
        "compression": "gzip",
        "bytes_read": sample("inventory.json.gz").len(),
        "rows_read": 2,
        "rows_written": 2,
        "rows_superseded": 0,
        "rows_rejected": 0,
        "rows_unsettled": 0,
        "consumed_wcu": 2.0,
        "throttles": 0,
        "retries": 0,
        "duration_seconds": null,
    });
    assert_eq!(summary, expected);
}

#[tokio::test]
async fn bad_rows_are_reported_and_the_message_is_done() {
    let bench = Fixture::start().await;
    bench
        .put("uploads/bad-rows.jsonl", sample("bad-rows.jsonl"))
        .await;
    assert!(!fails(&bench, "uploads/bad-rows.jsonl").await);

    let summary = bench.summary().await;
    assert_eq!(summary["status"], "COMPLETED_WITH_REJECTS");
    assert_eq!(summary["failure"], Value::Null);
    let (read, written) = (&summary["rows_read"], &summary["rows_written"]);
    assert_eq!(
        (read, written, &summary["rows_rejected"]),
        (&json!(16), &json!(5), &json!(11))
    );
    let place = summary["rejects"].as_str().unwrap();
    let key = place.strip_prefix(&format!("s3://{BUCKET}/")).unwrap();
    assert!(
        key.starts_with("reports/") && key.ends_with("/rejects.jsonl"),
        "{key}"
    );

    let file = sample("bad-rows.jsonl");
    let lines: Vec<&str> = std::str::from_utf8(&file).unwrap().lines().collect();
    let rejects = String::from_utf8(bench.get(key).await).unwrap();
    let rejects: Vec<Value> = rejects
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let found: Vec<_> = rejects
        .iter()
        .map(|reject| {
            (
                reject["line"].as_u64().unwrap(),
                reject["reason"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        (2, "broken-line"),
        (3, "missing-key"),
        (5, "key-type"),
        (6, "empty-key"),
        (7, "key-too-long"),
        (9, "number-precision"),
        (10, "number-range"),
        (11, "duplicate-attribute"),
        (13, "too-deep"),
        (14, "not-an-object"),
        (15, "empty-attribute-name"),
    ];
    assert_eq!(found, expected);
    for reject in &rejects {
        let line = reject["line"].as_u64().unwrap() as usize;
        assert_eq!(reject["row"], lines[line - 1], "line {line}");
        assert_eq!(reject["record"], line, "line {line}");
        let before: usize = lines[..line - 1].iter().map(|line| line.len() + 1).sum();
        assert_eq!(reject["byte"], before, "line {line}");
        assert!(!reject["message"].as_str().unwrap().is_empty());
    }
    assert_eq!(bench.items().await.len(), 5);
}

#[tokio::test]
async fn a_job_that_failed_names_its_reason_by_a_code() {
    for (file, code) in [
        (&b""[..], "empty"),
        (b"Product ID\nP1\n", "missing-key"),
        (b"[{\"productId\":\"P1\"},", "cut-off"),
    ] {
        let bench = Fixture::start().await;
        bench.put("uploads/file", file).await;
        assert!(fails(&bench, "uploads/file").await);
        assert_eq!(bench.job().await.code.as_deref(), Some(code));
        assert_eq!(bench.summary().await["failure"]["code"], code);
    }
}

#[tokio::test]
async fn a_broken_file_is_handed_back_with_its_place_and_the_rows_before_it() {
    let bench = Fixture::start().await;
    let file = "[{\"productId\":\"a\"},\n{\"productId\":\"b\"},\n{\"productId\":\"c}]";
    bench.put("uploads/broken.json", file).await;
    assert!(fails(&bench, "uploads/broken.json").await);
    let summary = bench.summary().await;
    assert_eq!(summary["status"], "FAILED");
    assert_eq!(
        (&summary["rows_read"], &summary["rows_written"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(summary["rows_unsettled"], 0);
    let failure = &summary["failure"];
    let byte = file.rfind('{').unwrap();
    assert_eq!(
        failure["position"],
        json!({ "byte": byte, "line": 3, "record": 3 })
    );
    let place = format!("the file is broken at line 3, byte {byte}, row 3");
    assert!(
        failure["message"].as_str().unwrap().starts_with(&place),
        "{failure}"
    );
    assert!(failure["fix"].is_string());
    assert_eq!(bench.items().await, ["productId=S:a", "productId=S:b"]);
}

#[tokio::test]
async fn files_that_cannot_be_read_at_all_fail_with_the_reason() {
    let gzip = sample("inventory.json.gz");
    for (name, file, message) in [
        ("empty.json", &b""[..], "the file is empty"),
        ("blank.csv", b"\n \n", "the file is empty"),
        (
            "cut.json.gz",
            &gzip[..gzip.len() - 9],
            "the gzip data is damaged or cut off",
        ),
        (
            "twice.csv",
            b"productId,name,name\nP1,a,b\n",
            "columns 2 and 3",
        ),
        ("keyless.csv", b"name,price\na,1\n", "productId"),
        (
            "wrapped.json",
            br#"{"Items":[{"productId":{"S":"P1"}}]}"#,
            "/Items",
        ),
    ] {
        let bench = Fixture::start().await;
        let key = format!("uploads/{name}");
        bench.put(&key, file).await;
        assert!(fails(&bench, &key).await, "{name}");
        let summary = bench.summary().await;
        assert_eq!(summary["status"], "FAILED", "{name}");
        let failure = summary["failure"].to_string();
        assert!(failure.contains(message), "{name}: {failure}");
    }
}

#[tokio::test]
async fn an_empty_array_is_a_success() {
    let bench = Fixture::start().await;
    bench.put("uploads/none.json", "[]").await;
    assert!(!fails(&bench, "uploads/none.json").await);
    let summary = bench.summary().await;
    assert_eq!(
        (&summary["status"], &summary["rows_read"]),
        (&json!("COMPLETED"), &json!(0))
    );
}

#[tokio::test]
async fn rejects_of_many_mebibytes_come_back_whole() {
    // Each is kept in full; they take three parts of a multipart upload.
    const ROWS: usize = 4600;
    let padding = "x".repeat(4000);
    let file: String = (0..ROWS)
        .map(|n| format!("{{\"n\":{n},\"padding\":\"{padding}\"}}\n"))
        .collect();
    let bench = Fixture::start().await;
    bench.put("uploads/keyless.jsonl", file.as_str()).await;
    assert!(!fails(&bench, "uploads/keyless.jsonl").await);
    assert_eq!(bench.summary().await["rows_rejected"], ROWS);
    // What is large enough does not come through the function again.
    let copies = bench.stack.faults().counts("UploadPartCopy").calls;
    assert!(copies > 0);

    let report = String::from_utf8(bench.report("/rejects.jsonl").await).unwrap();
    assert!(report.len() > 2 * 8 * 1024 * 1024, "{} bytes", report.len());
    let mut rows = file.lines();
    for line in report.lines() {
        let reject: Value = serde_json::from_str(line).unwrap();
        assert_eq!(reject["row"].as_str(), rows.next());
    }
    assert_eq!(rows.next(), None);
}

#[tokio::test]
async fn a_report_that_cannot_be_made_in_time_is_a_list_of_its_parts() {
    let bench = Fixture::start().await;
    bench
        .put("uploads/keyless.jsonl", "{\"n\":1}\n{\"n\":2}\n")
        .await;
    // Its parts are never found out about.
    let looks = Operation::new("HeadObject").on("reports/");
    let slow = Fault::Slow(Duration::from_hours(1));
    bench
        .stack
        .faults()
        .set(FaultPlan::default().fail(looks, 1.., slow));
    let (event, _) = queued(&[notification(&["uploads/keyless.jsonl"])]);
    let importer = bench.importer(bench.deployed());
    let mut invocations = 0;
    let job = loop {
        let left = importer.handle(event.clone(), invocation(Duration::from_secs(8)));
        left.await.unwrap();
        invocations += 1;
        let job = bench.job().await;
        // On a busy machine an invocation may end before its time for the report begins.
        if job.status.is_ended() || invocations == 4 {
            break job;
        }
    };
    assert_eq!(job.status, Status::CompletedWithRejects, "{job:?}");
    assert_eq!((job.counts.rows_read, job.counts.rows_rejected), (2, 2));
    let url = job.rejects.unwrap();
    assert!(url.ends_with("/rejects.parts.json"), "{url}");
    let summary = bench.summary().await;
    assert_eq!(summary["rejects"], url);
    let list: Value = serde_json::from_slice(&bench.report("/rejects.parts.json").await).unwrap();
    let [part] = &list["parts"].as_array().unwrap()[..] else {
        panic!("not one part: {list}");
    };
    let key = part.as_str().unwrap();
    let key = key.strip_prefix(&format!("s3://{BUCKET}/")).unwrap();
    let part = String::from_utf8(bench.get(key).await).unwrap();
    assert_eq!(part.lines().count(), 2);
}
