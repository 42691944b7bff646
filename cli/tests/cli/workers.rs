//! `intake import --workers`: the same as one importer does, by several processes.

use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::Client;
use generator::{Format, Generator, Shape};
use intake::aws::Clients;
use local::{BUCKET, Fault, FaultPlan, Stack, StackOptions};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::process::Child;

use crate::support::{Ended, Fixture, LIMIT, scan, signal, stack, until, wait};

const URL: &str = "s3://inventory-upload-local/uploads/catalog";
const ROWS: u64 = 3_000;

fn file(format: Format) -> Vec<u8> {
    let mut bytes = Vec::new();
    let generator = Generator::new(ROWS, Shape::Small, format);
    generator.write_to(&mut bytes).unwrap();
    bytes
}

fn s3(stack: &Stack) -> Client {
    Clients::for_local(stack.endpoints()).s3
}

async fn put(stack: &Stack, body: Vec<u8>, is_unique: bool) {
    let mut put = s3(stack).put_object().bucket(BUCKET).key("uploads/catalog");
    if is_unique {
        put = put.metadata("intake-unique-keys", "true");
    }
    put.body(body.into()).send().await.unwrap();
}

fn import<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["import", URL, "--table", "InventoryTable", "--local"];
    args.extend(more);
    args
}

/// Everything up to the time that it took.
fn accounts(ended: &Ended) -> &str {
    ended.stdout.split(" (").next().unwrap()
}

/// The name of the job that a command tells of.
fn job(ended: &Ended) -> &str {
    let (_, job) = ended.stderr.split_once("job ").unwrap();
    job.split_whitespace().next().unwrap().trim_end_matches(';')
}

/// The processes that a command has started, by whichever of its threads.
fn workers(command: &Child) -> Vec<i32> {
    let pid = command.id().unwrap();
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let children = threads.filter_map(|thread| {
        // A thread may end meanwhile.
        std::fs::read_to_string(thread.ok()?.path().join("children")).ok()
    });
    let children: String = children.map(|of_one| of_one + " ").collect();
    children
        .split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn several_workers_do_what_one_does() {
    let bench = Fixture::new();
    for format in [Format::Json, Format::Csv] {
        let serial = stack(&bench).await;
        put(&serial, file(format), true).await;
        let one = bench.run(import(&[])).await.expect(0);
        let expected = scan(serial.endpoints()).await;
        serial.shutdown().await;

        let stack = stack(&bench).await;
        put(&stack, file(format), true).await;
        let args = import(&["--workers", "3", "--range-size", "20KiB"]);
        let ended = bench.run(&args).await.expect(0);
        assert_eq!(accounts(&ended), accounts(&one));
        assert_eq!(scan(stack.endpoints()).await, expected);

        let job = job(&ended);
        let status = bench.run(["status", job, "--local"]).await.expect(0).stdout;
        for part in [
            "COMPLETED",
            "3,000 written",
            "Ranges ",
            " ended, 0 under way",
            "RANGE",
            "000000",
        ] {
            assert!(status.contains(part), "{part}: {status}");
        }
        let list = bench.run(["status", "--local"]).await.expect(0).stdout;
        assert_eq!(list.lines().count(), 2, "{list}");
        // An object is imported once.
        let again = bench.run(&args).await.expect(0);
        assert!(
            again.stderr.contains("imported before, as job"),
            "{}",
            again.stderr
        );
        assert_eq!(accounts(&again), accounts(&one));
        stack.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_is_replaced() {
    let bench = Fixture::new();
    let stack = stack(&bench).await;
    put(&stack, file(Format::Json), true).await;
    // A few hundred rows a second, so that there is something left to do when a worker is killed.
    let args = import(&[
        "--workers",
        "3",
        "--range-size",
        "40KiB",
        "--max-wcu",
        "600",
    ]);
    let command = bench.command(args).spawn().unwrap();
    until("rows are written", || async {
        !scan(stack.endpoints()).await.is_empty()
    })
    .await;
    let victim = workers(&command)[0];
    kill_process(Pid::from_raw(victim).unwrap(), Signal::KILL).unwrap();
    let ended = wait(command).await.expect(0);
    let said = "a worker ended with signal: 9 (SIGKILL) at import of range";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    let counts = format!("{ROWS} rows read = {ROWS} written + 0 superseded + 0 rejected");
    assert!(ended.stdout.contains(&counts), "{}", ended.stdout);
    assert_eq!(scan(stack.endpoints()).await.len() as u64, ROWS);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_ctrl_c_the_same_command_goes_on() {
    let bench = Fixture::new();
    let stack = stack(&bench).await;
    put(&stack, file(Format::Jsonl), false).await;
    let more = ["--workers", "2", "--parallel", "--range-size", "40KiB"];
    let slow = import(&[&more[..], &["--max-wcu", "200"]].concat());
    let command = bench.command(slow).spawn().unwrap();
    until("rows are written", || async {
        !scan(stack.endpoints()).await.is_empty()
    })
    .await;
    signal(&command, Signal::INT);
    let ended = wait(command).await.expect(1);
    for part in [
        "stopping: the workers finish",
        "interrupted, ",
        "fix: run the same command again",
    ] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    let written = scan(stack.endpoints()).await.len() as u64;
    assert!(written < ROWS, "{written}");
    let again = bench.run(import(&more)).await.expect(0);
    assert_eq!(job(&again), job(&ended));
    let counts = format!("{ROWS} rows read = {ROWS} written + 0 superseded + 0 rejected");
    assert!(again.stdout.contains(&counts), "{}", again.stdout);
    assert_eq!(scan(stack.endpoints()).await.len() as u64, ROWS);
}

/// The import of a file by workers, so slowly that it is under way for minutes.
fn slow() -> Vec<&'static str> {
    import(&["--workers", "2", "--max-wcu", "5"])
}

async fn begin_slowly(bench: &Fixture, stack: &Stack) -> Child {
    let command = bench.command(slow()).spawn().unwrap();
    until("rows are written", || async {
        !scan(stack.endpoints()).await.is_empty()
    })
    .await;
    command
}

/// The job of the file, as it stands in the table.
async fn item(bench: &Fixture) -> Value {
    let shown = bench.run(["status", URL, "--local", "--json"]).await;
    serde_json::from_str(&shown.expect(0).stdout).unwrap()
}

/// Nothing would ever go on with it, so that `intake cancel` ends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_its_command_let_go_of_is_cancelled_at_once() {
    let bench = Fixture::new();
    let stack = stack(&bench).await;
    put(&stack, file(Format::Csv), false).await;
    let command = begin_slowly(&bench, &stack).await;
    signal(&command, Signal::INT);
    wait(command).await.expect(1);
    // The next command need not wait for a lease.
    assert_eq!(item(&bench).await["status"], "QUEUED");
    let status = bench.run(["status", URL, "--local"]).await.expect(0).stdout;
    assert!(
        status.contains("the same command goes on with it"),
        "{status}"
    );
    assert!(!status.contains("message"), "{status}");

    let cancelled = bench.run(["cancel", URL, "--local"]).await.expect(0);
    let written = scan(stack.endpoints()).await.len();
    for part in [
        "Status      CANCELLED".to_owned(),
        format!("Rows        {written} read = {written} written"),
        "Progress    broken off".to_owned(),
        "Summary     s3://".to_owned(),
    ] {
        assert!(
            cancelled.stdout.contains(&part),
            "{part}: {}",
            cancelled.stdout
        );
    }
    let job = item(&bench).await;
    assert_eq!(
        (&job["rows_written"], &job["notified"]),
        (&json!(written), &json!(true))
    );
    let list = bench.run(["status", "--local"]).await.expect(0).stdout;
    assert!(!list.contains("100%"), "{list}");

    // It says what became of it, and how to import it again.
    let again = bench.run(slow()).await.expect(1);
    for part in [
        format!(
            "was cancelled, as job {}, when {written} rows were written",
            job["job"].as_str().unwrap()
        ),
        ": cancelled; rows written until then stay".to_owned(),
        "with --again".to_owned(),
    ] {
        assert!(again.stderr.contains(&part), "{part}: {}", again.stderr);
    }
    assert!(
        !again.stderr.contains("imported before"),
        "{}",
        again.stderr
    );
    let again = bench.run(import(&["--workers", "2", "--again"])).await;
    assert!(again.expect(0).stdout.contains(&format!("{ROWS} written")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_command_was_killed_is_cancelled_when_its_lease_is_over() {
    let bench = Fixture::new();
    let stack = stack(&bench).await;
    put(&stack, file(Format::Csv), false).await;
    let command = begin_slowly(&bench, &stack).await;
    let processes = workers(&command);
    signal(&command, Signal::KILL);
    for worker in processes {
        kill_process(Pid::from_raw(worker).unwrap(), Signal::KILL).ok();
    }
    wait(command).await.expect(-1);
    let asked = bench.run(["cancel", URL, "--local"]).await.expect(0);
    for part in ["the job is held for ", "--wait ends it then"] {
        assert!(asked.stdout.contains(part), "{part}: {}", asked.stdout);
    }
    let job = item(&bench).await;
    assert_eq!(job["status"], "RUNNING");
    // Most of that time passes. A request of the dead one's may be under way for 23 s after the lease.
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let until = now.as_millis() + 2_000 - 23_000;
    let endpoints = stack.endpoints();
    let text = |name: &str| AttributeValue::S(job[name].as_str().unwrap().to_owned());
    Clients::for_local(endpoints)
        .dynamodb
        .update_item()
        .table_name(&endpoints.jobs_table)
        .key("owner", text("owner"))
        .key("job", text("job"))
        .update_expression("SET lease_until = :until")
        .expression_attribute_values(":until", AttributeValue::N(until.to_string()))
        .send()
        .await
        .unwrap();
    let ended = bench.run(["cancel", URL, "--local", "--wait"]).await;
    let ended = ended.expect(0);
    assert!(
        ended.stdout.contains("Status      CANCELLED"),
        "{}",
        ended.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_job_is_cancelled_says_so() {
    let bench = Fixture::new();
    let stack = stack(&bench).await;
    put(&stack, file(Format::Csv), false).await;
    let command = begin_slowly(&bench, &stack).await;
    bench.run(["cancel", URL, "--local"]).await.expect(0);
    let ended = wait(command).await.expect(1);
    for part in [": cancelled; rows written until then stay", "with --again"] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("failed"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_version_is_told_to_wait_for_the_older_one() {
    let bench = Fixture::new();
    let stack = stack(&bench).await;
    put(&stack, file(Format::Csv), false).await;
    let first = begin_slowly(&bench, &stack).await;
    put(&stack, file(Format::Json), false).await;
    let second = bench.run(slow()).await.expect(1);
    for part in [
        "which imports another version",
        "another version of it is being imported now, as job ",
        "fix: run the same command again when that has ended",
    ] {
        assert!(second.stderr.contains(part), "{part}: {}", second.stderr);
    }
    signal(&first, Signal::INT);
    wait(first).await.expect(1);
    let older = item(&bench).await;
    // Nothing goes on with the older one, so that the newer one does not wait for it either.
    let newer = bench.run(import(&["--workers", "2"])).await.expect(0);
    assert!(!newer.stderr.contains("waiting"), "{}", newer.stderr);
    let older = older["job"].as_str().unwrap();
    let ended = bench.run(["status", older, "--local"]).await.expect(0);
    assert!(
        ended.stdout.contains("Status      FAILED"),
        "{}",
        ended.stdout
    );
    assert!(
        !ended.stdout.contains("Rows        0 read"),
        "{}",
        ended.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn advice_in_a_terminal_is_what_helps_there() {
    let bench = Fixture::new();
    let faults = FaultPlan::default().fail("BatchWriteItem", 1.., Fault::AccessDenied);
    let stack = Stack::start(StackOptions {
        faults,
        ..StackOptions::default()
    });
    let stack = stack.await.unwrap();
    bench.announce(&stack);
    put(&stack, file(Format::Csv), false).await;
    let ended = bench.run(import(&["--workers", "2"])).await.expect(1);
    let (_, fix) = ended.stderr.split_once("\nfix: ").unwrap();
    assert!(fix.contains("dynamodb:BatchWriteItem"), "{}", ended.stderr);
    assert!(
        fix.contains("run the same command again"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("state machine"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_order_matters_is_not_cut() {
    let bench = Fixture::new();
    let stack = stack(&bench).await;
    let bad = "{\"name\":\"no key\"}\n";
    put(&stack, bad.repeat(2).into_bytes(), false).await;
    let ended = bench
        .run(import(&["--workers", "2", "--range-size", "9"]))
        .await
        .expect(3);
    for part in [
        "by one worker: rows of one key",
        "hint: --parallel",
        "rejected rows are in s3://",
    ] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    assert!(
        ended
            .stdout
            .contains("2 rows read = 0 written + 0 superseded + 2 rejected")
    );
    // A file that fails says where, as it does without workers.
    put(
        &stack,
        b"[{\"productId\":\"P1\"},{\"productId\":\"P2\"},}".to_vec(),
        true,
    )
    .await;
    let ended = bench
        .run(import(&["--workers", "2", "--range-size", "9"]))
        .await
        .expect(1);
    assert!(
        ended.stderr.contains("broken at line 1, byte "),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn what_workers_cannot_do_is_wrong_usage() {
    let bench = Fixture::new();
    let path = bench.file("a.json", b"[]");
    let path = path.to_str().unwrap();
    for (args, said) in [
        (
            vec!["import", path, "--table", "T", "--workers", "2", "--local"],
            "upload it and name it as s3://",
        ),
        (
            vec!["import", URL, "--table", "T", "--workers", "0"],
            "a number from 1 to 256",
        ),
        (
            vec!["import", URL, "--table", "T", "--parallel"],
            "--workers <N>",
        ),
        (
            vec!["import", URL, "--table", "T", "--range-size", "1MiB"],
            "--workers <N>",
        ),
        (
            vec![
                "import",
                URL,
                "--table",
                "T",
                "--workers",
                "2",
                "--range-size",
                "1MB",
            ],
            "64MiB",
        ),
        (
            vec!["import", URL, "--table", "T", "--workers", "2", "--dry-run"],
            "cannot be used with",
        ),
        (
            vec![
                "import",
                URL,
                "--table",
                "T",
                "--workers",
                "2",
                "--format",
                "csv",
            ],
            "cannot be used with",
        ),
    ] {
        let ended = tokio::time::timeout(LIMIT + Duration::ZERO, bench.run(&args));
        let ended = ended.await.unwrap().expect(2);
        assert!(ended.stderr.contains(said), "{args:?}: {}", ended.stderr);
    }
    let help = bench.run(["import", "--help"]).await.expect(0).stdout;
    for part in [
        "does not always win",
        "x-amz-meta-intake-unique-keys: true",
        "--workers <N>",
        "have no order",
    ] {
        assert!(help.contains(part), "{part}: {help}");
    }
    assert!(
        !bench
            .run(["--help"])
            .await
            .expect(0)
            .stdout
            .contains("worker")
    );
}
