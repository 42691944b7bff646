use std::process::Stdio;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use generator::{Format, Generator, Shape};
use importer::jobs::{Changes, Claim, Identity, Job, JobStore, Lease, Transition};
use intake::aws::Clients;
use local::{Endpoints, Stack};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::support::{Fixture, LIMIT, sample, scan, stack, stack_with_importer, until, wait};

const IDENTITY: &str = "eu-west-1:12345678-1234-1234-1234-123456789012";

/// Keeps the import of [`catalog`] busy for minutes, with few rows under way.
const SLOW: [(&str, &str); 3] = [
    ("INTAKE_MAX_WCU", "100"),
    ("INTAKE_LANES", "2"),
    ("INTAKE_CHECKPOINT_SECONDS", "0.1"),
];

fn catalog() -> Vec<u8> {
    let mut bytes = Vec::new();
    let generator = Generator::new(20_000, Shape::Small, Format::Jsonl);
    generator.write_to(&mut bytes).unwrap();
    bytes
}

fn store(endpoints: &Endpoints) -> JobStore {
    let dynamodb = Clients::for_local(endpoints).dynamodb;
    JobStore::new(dynamodb, endpoints.jobs_table.clone())
}

/// Begins the job of an object as an importer does.
async fn begin(store: &JobStore, key: &str, time: &str) -> Job {
    let object = Identity {
        table_id: "id".to_owned(),
        table: "InventoryTable".to_owned(),
        bucket: "bucket".to_owned(),
        key: key.to_owned(),
        version: format!("etag@{time}"),
        hint: "etag".to_owned(),
        time: Some(time.to_owned()),
        legacy: None,
        again: None,
    };
    let lease = Lease {
        holder: "invocation".to_owned(),
        message: None,
        duration: Duration::from_mins(15),
        seen: None,
    };
    let head = store.head(&object).await.unwrap();
    match store.begin(&object, head.as_ref(), &lease).await.unwrap() {
        Claim::Mine(job) => *job,
        other => panic!("{other:?}"),
    }
}

/// Standard output by lines, each with single spaces.
fn lines(stdout: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    stdout.lines().map(words).collect()
}

fn url(stack: &Stack, key: &str) -> String {
    format!("s3://{}/{key}", stack.endpoints().bucket)
}

/// What the importer made of each file is told, by each name that a job has, with the exit code of an import.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_shown_as_they_ended() {
    let bench = Fixture::new();
    let stack = stack_with_importer(&bench, &[]).await;
    let identity = format!("uploads/{IDENTITY}/mine.csv");
    let broken = b"[{\"productId\":\"B1\"},{\"productId\":\"B2}]".to_vec();
    let files = [
        (
            "uploads/good.json",
            std::fs::read(sample("inventory.json")).unwrap(),
        ),
        (
            "uploads/bad rows.jsonl",
            std::fs::read(sample("bad-rows.jsonl")).unwrap(),
        ),
        ("uploads/broken.json", broken),
        (&identity, std::fs::read(sample("inventory.csv")).unwrap()),
    ];
    for (key, content) in files {
        stack.put_object(key, content).await.unwrap();
        stack.wait_idle(LIMIT).await.unwrap();
    }

    let listed = bench.run(["status", "--local"]).await.expect(0);
    let listed = lines(&listed.stdout);
    assert_eq!(listed[0], "JOB OWNER STATUS READ ROWS REJECTED FILE");
    let ends = [
        format!(" {IDENTITY} COMPLETED 100% 2 0 {}", url(&stack, &identity)),
        // What was read of it is not known to be imported.
        format!(" - FAILED 1 0 {}", url(&stack, "uploads/broken.json")),
        format!(
            " - COMPLETED_WITH_REJECTS 100% 16 11 {}",
            url(&stack, "uploads/bad rows.jsonl")
        ),
        format!(" - COMPLETED 100% 2 0 {}", url(&stack, "uploads/good.json")),
    ];
    assert_eq!(listed.len(), ends.len() + 1, "{listed:?}");
    let codes = [0, 1, 3, 0];
    // S3 tells uploads of one second apart by nothing that has an order.
    for (end, code) in ends.iter().zip(codes) {
        let line = listed[1..].iter().find(|line| line.ends_with(end));
        let line = line.unwrap_or_else(|| panic!("none of {listed:?} ends with {end:?}"));
        let job = line.split(' ').next().unwrap();
        // The object's key may hold spaces.
        let object = &line[line.find("s3://").unwrap()..];
        for name in [job, object] {
            let shown = bench.run(["status", name, "--local"]).await.expect(0);
            let watched = bench.run(["status", name, "--local", "--watch"]).await;
            let watched = watched.expect(code);
            assert_eq!(watched.stdout, shown.stdout);
            assert!(
                shown.stdout.ends_with(&format!("{job}\n"))
                    || shown.stdout.ends_with(&format!("{IDENTITY}\n")),
                "{}",
                shown.stdout
            );
        }
    }

    let broken = url(&stack, "uploads/broken.json");
    let reported = bench.run(["status", &broken, "--local"]).await.expect(0);
    for part in [
        "Reason      the file is broken at line 1",
        "Fix         ",
        "Summary     s3://",
    ] {
        assert!(
            reported.stdout.contains(part),
            "{part:?}: {}",
            reported.stdout
        );
    }
    let rejected = url(&stack, "uploads/bad rows.jsonl");
    let args = ["status", &rejected, "--local", "--json", "--watch"];
    let reported = bench.run(args).await.expect(3);
    let job: Value = serde_json::from_str(&reported.stdout).unwrap();
    assert_eq!(job["status"], "COMPLETED_WITH_REJECTS");
    assert_eq!(job["rows_rejected"], 11);
    assert!(job["rejects"].as_str().unwrap().starts_with("s3://"));
    assert_eq!(job.get("checkpoint"), None, "{job}");

    let error = bench
        .run(["cancel", &broken, "--local"])
        .await
        .expect(1)
        .stderr;
    assert!(
        error.contains("cannot be cancelled: it has ended as FAILED at ")
            && error.contains("fix: "),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_jobs_are_listed_first() {
    let bench = Fixture::new();
    let stack = stack(&bench).await;
    let none = bench.run(["status", "--local"]).await.expect(0);
    assert_eq!(none.stdout, "");
    assert!(none.stderr.contains("there are no jobs"), "{}", none.stderr);
    let json = bench.run(["status", "--local", "--json"]).await.expect(0);
    assert_eq!(json.stdout, "");

    // What imports and the notifier keep in the same table is no job.
    let path = sample("inventory.json").display().to_string();
    let capped = [
        "import",
        &path,
        "--local",
        "--table",
        "InventoryTable",
        "--max-wcu",
        "40",
    ];
    bench.run(capped).await.expect(0);
    let endpoints = stack.endpoints();
    let dynamodb = Clients::for_local(endpoints).dynamodb;
    let shares = dynamodb.scan().table_name(&endpoints.jobs_table).send();
    assert_eq!(
        shares.await.unwrap().count(),
        2,
        "pages of the cap's 40 slots"
    );
    let ledger = [("owner", "notifier"), ("job", &endpoints.topic_arn)]
        .map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())));
    Clients::for_local(endpoints)
        .dynamodb
        .put_item()
        .table_name(&endpoints.jobs_table)
        .set_item(Some(ledger.into()))
        .send()
        .await
        .unwrap();

    let store = store(endpoints);
    for minute in 0..25 {
        let owner = if minute % 5 == 0 { IDENTITY } else { "nobody" };
        let key = format!("uploads/{owner}/{minute:02}.csv");
        begin(&store, &key, &format!("2026-11-23T10:{minute:02}:00.000Z")).await;
    }
    let minutes = |stdout: &str| -> Vec<u32> {
        let file = |line: &str| line.rsplit('/').next().unwrap()[..2].parse().unwrap();
        stdout.lines().skip(1).map(file).collect()
    };
    for (args, expected) in [
        (vec![], (5..25).rev().collect()),
        (vec!["--limit", "3"], vec![24, 23, 22]),
        (vec!["--limit", "100"], (0..25).rev().collect()),
        (vec!["--owner", IDENTITY], vec![20, 15, 10, 5, 0]),
        (vec!["--owner", "-", "--limit", "2"], vec![24, 23]),
    ] {
        let ended = bench
            .run(["status", "--local"].iter().chain(&args))
            .await
            .expect(0);
        assert_eq!(minutes(&ended.stdout), expected, "{args:?}");
    }
}

/// One item that is not a job, by hand or by a later version, hides no other.
#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_is_not_a_job_is_left_out_of_the_list() {
    let bench = Fixture::new();
    let stack = stack(&bench).await;
    let endpoints = stack.endpoints();
    let foreign = [("owner", IDENTITY), ("job", "2026-11-30T00:00:00Z foreign")]
        .map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())));
    let dynamodb = Clients::for_local(endpoints).dynamodb;
    dynamodb
        .put_item()
        .table_name(&endpoints.jobs_table)
        .set_item(Some(foreign.into()))
        .send()
        .await
        .unwrap();
    let empty = bench.run(["status", "--local"]).await.expect(1);
    assert!(
        empty.stderr.contains("foreign of table"),
        "{}",
        empty.stderr
    );

    let store = store(endpoints);
    let key = format!("uploads/{IDENTITY}/a.csv");
    begin(&store, &key, "2026-11-23T10:00:00.000Z").await;
    for owner in [&[][..], &["--owner", IDENTITY]] {
        let listed = bench.run(["status", "--local"].iter().chain(owner)).await;
        let listed = listed.expect(0);
        assert_eq!(listed.stdout.lines().count(), 2, "{}", listed.stdout);
        assert!(listed.stdout.contains("a.csv"), "{}", listed.stdout);
        let note = "left out items that are not jobs: 1; the first: item 2026-11-30T00:00:00Z foreign of table";
        assert!(listed.stderr.contains(note), "{}", listed.stderr);
    }
}

/// A key may hold what a terminal obeys; the same JSON without it says the same.
#[tokio::test(flavor = "multi_thread")]
async fn json_on_a_terminal_shows_every_character() {
    let bench = Fixture::new();
    let stack = stack(&bench).await;
    let key = "uploads/a\u{202e}vsc.b";
    begin(&store(stack.endpoints()), key, "2026-11-23T10:00:00.000Z").await;
    let listed = bench.run(["status", "--local", "--json"]).await.expect(0);
    assert!(!listed.stdout.contains('\u{202e}'), "{}", listed.stdout);
    let job: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(job["key"], key);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_shown_is_explained() {
    let bench = Fixture::new();
    let alone = bench.run(["status", "--local"]).await.expect(1);
    assert!(
        alone.stderr.contains("no local stack is running") && alone.stderr.contains("intake local"),
        "{}",
        alone.stderr
    );
    let stack = stack(&bench).await;
    let job = begin(
        &store(stack.endpoints()),
        "uploads/a.csv",
        "2026-11-23T10:00:00.000Z",
    )
    .await;
    let cases: [(&[&str], &str); 8] = [
        (
            &["status", "nope"],
            "there is no job nope in table ImportJobs",
        ),
        (
            &["cancel", "nope"],
            "there is no job nope in table ImportJobs",
        ),
        (
            &["status", "s3://bucket/nope.csv"],
            "there is no job for s3://bucket/nope.csv",
        ),
        (
            &["status", "s3://inventory-upload-local/nope.csv", "--watch"],
            "there is no job for s3://inventory-upload-local/nope.csv",
        ),
        (
            &["status", &job.job, "--owner", IDENTITY],
            "of owner eu-west-1:",
        ),
        (
            &["status", "--jobs-table", "Nope"],
            "the table of jobs Nope does not exist",
        ),
        (
            &["status", "nope", "--jobs-table", "Nope"],
            "the table of jobs Nope does not exist",
        ),
        (
            &["cancel", "nope", "--jobs-table", "InventoryTable"],
            "cannot read the table of jobs InventoryTable",
        ),
    ];
    for (args, expected) in cases {
        let ended = bench.run(args.iter().chain(&["--local"])).await.expect(1);
        assert!(
            ended.stderr.contains(expected) && ended.stderr.contains("fix: "),
            "{args:?}: {}",
            ended.stderr
        );
    }
    // Without --local, the table is that of the function's variable.
    let mut command = bench.command(["status", "--json"]);
    let command = command
        .envs(stack.endpoints().env())
        .env("INTAKE_JOBS_TABLE", "Elsewhere");
    let ended = wait(command.spawn().unwrap()).await.expect(1);
    assert!(ended.stderr.contains("Elsewhere"), "{}", ended.stderr);
}

/// A running import stops at its next checkpoint, and what it has written by then is what it says.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_import_stops_and_says_what_it_has_written() {
    let bench = Fixture::new();
    let stack = stack_with_importer(&bench, &SLOW).await;
    stack
        .put_object("uploads/slow.jsonl", catalog())
        .await
        .unwrap();
    let object = url(&stack, "uploads/slow.jsonl");
    let mut watching = bench
        .command(["status", &object, "--watch", "--local"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It waits for the job to begin, and then tells of each checkpoint.
    let mut stderr = BufReader::new(watching.stderr.take().unwrap()).lines();
    let progress = async {
        while let Some(line) = stderr.next_line().await.unwrap() {
            if line.starts_with("RUNNING ") && line.contains(" rows written") {
                return;
            }
        }
        panic!("no progress was told");
    };
    tokio::time::timeout(LIMIT, progress).await.unwrap();

    let cancelled = bench
        .run(["cancel", &object, "--wait", "--local"])
        .await
        .expect(0);
    let text = &cancelled.stdout;
    assert!(text.contains("Status      CANCELLED\n"), "{text}");
    // Nobody needs to read the rest of what it says.
    drop(stderr);
    let watched = wait(watching).await.expect(1);
    assert!(
        watched.stdout.contains("Status      CANCELLED\n"),
        "{}",
        watched.stdout
    );
    let job = bench
        .run(["status", &object, "--json", "--local"])
        .await
        .expect(0);
    let job: Value = serde_json::from_str(&job.stdout).unwrap();
    let written = job["rows_written"].as_u64().unwrap();
    assert!(written < 20_000, "{job}");
    assert_eq!(scan(stack.endpoints()).await.len() as u64, written);
}

/// Whether or not somebody is at work on it, the request stands, and is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_nobody_works_on_is_cancelled_when_its_message_comes() {
    let bench = Fixture::new();
    let stack = stack(&bench).await;
    let store = store(stack.endpoints());
    let running = begin(&store, "uploads/a.csv", "2026-11-23T10:00:00.000Z").await;
    let queued = begin(&store, "uploads/b.csv", "2026-11-23T10:01:00.000Z").await;
    let changes = Changes::none().transition(Transition::Release);
    store.change(&queued, changes).await.unwrap();
    for (job, expected) in [
        (&running, "stops at its next checkpoint"),
        (&queued, "ends when its next message comes"),
    ] {
        // Asking twice is as good as once.
        for _ in 0..2 {
            let ended = bench.run(["cancel", &job.job, "--local"]).await.expect(0);
            let next = format!("intake status {} --local --watch", job.job);
            for expected in [expected, &next] {
                assert!(ended.stdout.contains(expected), "{}", ended.stdout);
            }
        }
        let now = store.get(&job.job_key()).await.unwrap().unwrap();
        assert!(now.cancel_requested);
        let shown = bench.run(["status", &job.job, "--local"]).await.expect(0);
        assert!(
            shown.stdout.contains("Cancelled   at its next checkpoint"),
            "{}",
            shown.stdout
        );
    }
}

/// Whoever uploads a corrected file and watches it does not see how the broken one ended.
#[tokio::test(flavor = "multi_thread")]
async fn watching_an_object_means_its_current_version() {
    let bench = Fixture::new();
    let stack = stack_with_importer(&bench, &[]).await;
    let object = url(&stack, "uploads/a.json");
    let args = ["status", &object, "--watch", "--local"];
    stack.put_object("uploads/a.json", "[{]").await.unwrap();
    bench.run(args).await.expect(1);

    stack.pause_imports();
    let corrected = std::fs::read(sample("inventory.json")).unwrap();
    stack.put_object("uploads/a.json", corrected).await.unwrap();
    let mut watching = bench.command(args).spawn().unwrap();
    let mut stderr = BufReader::new(watching.stderr.take().unwrap()).lines();
    let waits = async {
        while let Some(line) = stderr.next_line().await.unwrap() {
            if line.contains("waiting for the event of s3://") {
                return;
            }
        }
        panic!("it did not wait");
    };
    tokio::time::timeout(LIMIT, waits).await.unwrap();
    stack.resume_imports();
    wait(watching).await.expect(0);
    until("both versions have a job", || async {
        let jobs = store(stack.endpoints()).newest("-", 10).await.unwrap();
        jobs.len() == 2
    })
    .await;
}
