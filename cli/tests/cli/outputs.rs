//! Where output goes: reports that must not be the input, and standard output that is closed.

use std::fs;
use std::process::Stdio;

use intake::aws::Clients;
use rustix::process::Signal;
use tokio::io::AsyncWriteExt as _;

use crate::support::{Ended, Fixture, LIMIT, signal, stack, stack_with_importer, wait};

const TABLE: [&str; 3] = ["--table", "InventoryTable", "--local"];
const ROWS: &str = "{\"productId\":\"R1\"}\n{\"name\":\"no key\"}\n";

/// The report would destroy the file while it is read: refused whatever it is called, and nothing is touched.
#[tokio::test(flavor = "multi_thread")]
async fn rejects_may_not_be_the_input() {
    let bench = Fixture::new();
    let input = bench.file("rows.jsonl", ROWS.as_bytes());
    fs::hard_link(&input, bench.path("hard")).unwrap();
    std::os::unix::fs::symlink("rows.jsonl", bench.path("soft")).unwrap();
    let absolute = input.to_str().unwrap();
    for command in ["import", "validate"] {
        for (source, rejects) in [
            ("rows.jsonl", "rows.jsonl"),
            ("rows.jsonl", "hard"),
            ("rows.jsonl", "soft"),
            ("soft", "hard"),
            ("rows.jsonl", "./rows.jsonl"),
            ("rows.jsonl", absolute),
            ("-", "rows.jsonl"),
            ("-", "/dev/stdin"),
            ("/dev/stdin", "hard"),
        ] {
            let mut args = vec![command, source, "--rejects", rejects];
            if command == "import" {
                args.extend(TABLE);
            }
            let mut intake = bench.command(&args);
            intake.stdin(fs::File::open(&input).unwrap());
            let ended = wait(intake.spawn().unwrap()).await.expect(2);
            let named = if source == "-" {
                "standard input"
            } else {
                source
            };
            for expected in [rejects, named, "fix: name another file"] {
                let is_told = ended.stderr.contains(expected);
                assert!(is_told, "{args:?}: no {expected} in {}", ended.stderr);
            }
            assert!(!ended.stderr.contains("local stack"), "{}", ended.stderr);
            assert_eq!(fs::read_to_string(&input).unwrap(), ROWS, "{args:?}");
        }
    }
}

/// Nothing is read or written before the report's place is known to be good.
#[tokio::test(flavor = "multi_thread")]
async fn rejects_that_cannot_be_written_are_an_error_before_anything_else() {
    let bench = Fixture::new();
    bench.file("rows.jsonl", ROWS.as_bytes());
    for command in ["import", "validate"] {
        for rejects in [".", "missing/bad.jsonl", "rows.jsonl/bad.jsonl"] {
            let mut args = vec![command, "rows.jsonl", "--rejects", rejects];
            if command == "import" {
                args.extend(TABLE);
            }
            let ended = bench.run(&args).await.expect(1);
            assert!(ended.stderr.contains(rejects), "{}", ended.stderr);
            assert!(ended.stderr.contains("fix: "), "{}", ended.stderr);
            assert!(!ended.stderr.contains("local stack"), "{}", ended.stderr);
            assert_eq!(ended.stdout, "");
        }
    }
    let full = bench.run(["validate", "rows.jsonl", "--rejects", "/dev/full"]);
    let full = full.await.expect(1);
    assert!(
        !full.stderr.contains("rejected rows are in"),
        "{}",
        full.stderr
    );
    for special in ["/dev/null", "/dev/stdout"] {
        let args = ["validate", "rows.jsonl", "--rejects", special];
        let ended = bench.run(args).await.expect(3);
        let is_shown = ended.stdout.contains("missing-key");
        assert_eq!(is_shown, special == "/dev/stdout", "{}", ended.stdout);
        assert!(ended.stdout.contains("2 rows read"), "{}", ended.stdout);
    }
}

/// An import that was aborted leaves its rejects so far, and no other file.
#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_import_leaves_its_rejects() {
    let bench = Fixture::new();
    bench.file("bad.jsonl", b"old\n");
    let args = ["validate", "-", "--rejects", "bad.jsonl"];
    let mut child = bench.command(args).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // More than is read ahead, and then nothing more.
    let rows = "{\"name\":\"no key\"}\n".repeat(20_000);
    stdin.write_all(rows.as_bytes()).await.unwrap();
    crate::support::until("rows are rejected", || async {
        let partial = fs::read_dir(bench.path(".")).unwrap();
        let partial = partial.map(|entry| entry.unwrap());
        let mut partial =
            partial.filter(|entry| entry.path().extension() == Some("partial".as_ref()));
        partial.any(|entry| entry.metadata().unwrap().len() > 0)
    })
    .await;
    for _ in 0..2 {
        signal(&child, Signal::INT);
    }
    wait(child).await.expect(1);
    let left = fs::read_to_string(bench.path("bad.jsonl")).unwrap();
    assert!(
        left.contains("missing-key") && !left.contains("old"),
        "{left}"
    );
    let names = fs::read_dir(bench.path(".")).unwrap().count();
    assert_eq!(names, 1);
}

/// How the streams of a command may be lost.
#[derive(Clone, Copy, Debug)]
enum Streams {
    Kept,
    OutGone,
    ErrGone,
    BothGone,
    BothClosed,
}

const STREAMS: [Streams; 5] = [
    Streams::Kept,
    Streams::OutGone,
    Streams::ErrGone,
    Streams::BothGone,
    Streams::BothClosed,
];

/// Runs `intake`, where the readers of its streams have gone before it begins, or its streams are closed.
async fn run(bench: &Fixture, args: &[&str], streams: Streams) -> i32 {
    let gone = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    let mut command = bench.command(args);
    match streams {
        Streams::Kept => {}
        Streams::OutGone => {
            command.stdout(gone());
        }
        Streams::ErrGone => {
            command.stderr(gone());
        }
        Streams::BothGone => {
            command.stdout(gone()).stderr(gone());
        }
        Streams::BothClosed => {
            let env: Vec<_> = command
                .as_std()
                .get_envs()
                .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
                .collect();
            let mut shell = tokio::process::Command::new("sh");
            shell
                .args([
                    "-c",
                    "exec \"$0\" \"$@\" >&- 2>&-",
                    env!("CARGO_BIN_EXE_intake"),
                ])
                .args(args)
                .current_dir(bench.path("."))
                .envs(env)
                .stdin(Stdio::null())
                .kill_on_drop(true);
            command = shell;
        }
    }
    let ended: Ended = wait(command.spawn().unwrap()).await;
    assert!(
        !ended.stderr.contains("panicked"),
        "{args:?}: {}",
        ended.stderr
    );
    ended.code
}

/// The exit code says how it ended, also if the output is closed.
#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_survive_closed_outputs() {
    let bench = Fixture::new();
    let stack = stack_with_importer(&bench, &[]).await;
    let bucket = &stack.endpoints().bucket;
    let mut jobs = Vec::new();
    for (name, body) in [("rejects.jsonl", ROWS), ("broken.json", "[{]")] {
        let key = format!("uploads/{name}");
        let put = Clients::for_local(stack.endpoints()).s3.put_object();
        let put = put
            .bucket(bucket)
            .key(&key)
            .body(body.as_bytes().to_vec().into());
        put.send().await.unwrap();
        jobs.push(format!("s3://{bucket}/{key}"));
    }
    stack.wait_idle(LIMIT).await.unwrap();
    let [rejected, failed] = &jobs[..] else {
        panic!("{jobs:?}")
    };
    bench.file("good.jsonl", b"{\"productId\":\"G1\"}\n");
    bench.file("rejects.jsonl", ROWS.as_bytes());
    bench.file(
        "broken.json",
        b"[\n{\"productId\":\"B1\"},\n{\"productId\":\"B3}]",
    );
    let import = |file: &'static str| vec!["import", file, TABLE[0], TABLE[1], TABLE[2]];
    let cases: Vec<(Vec<&str>, i32)> = vec![
        (import("good.jsonl"), 0),
        (import("rejects.jsonl"), 3),
        (import("broken.json"), 1),
        (import("missing.json"), 1),
        (
            [import("rejects.jsonl"), vec!["--max-rejects", "0"]].concat(),
            1,
        ),
        (vec!["validate", "good.jsonl"], 0),
        (vec!["validate", "rejects.jsonl", "good.jsonl"], 3),
        (vec!["validate", "broken.json", "good.jsonl"], 1),
        (vec!["doctor", "--local"], 1),
        (vec!["cancel", "none", "--local"], 1),
        (vec!["status", "none", "--watch", "--local"], 1),
        (vec!["status", rejected, "--watch", "--local"], 3),
        (vec!["status", rejected, "--watch", "--json", "--local"], 3),
        (vec!["status", failed, "--watch", "--local"], 1),
        (vec!["status", failed, "--watch", "--json", "--local"], 1),
        (vec!["status", failed, "--local"], 0),
        (vec!["cancel", failed, "--wait", "--local"], 1),
        (vec!["status", "none", "--local"], 1),
        (vec!["status", "--local"], 0),
        (
            vec![
                "generate", "--rows", "9", "--shape", "small", "--format", "csv",
            ],
            0,
        ),
        (vec!["import"], 2),
        (vec!["--help"], 0),
    ];
    for (args, code) in cases {
        for streams in STREAMS {
            assert_eq!(
                run(&bench, &args, streams).await,
                code,
                "{args:?} {streams:?}"
            );
        }
    }
}

/// SIGHUP and SIGTERM in the masks of a process.
const HANGUP: u64 = 1;
const TERMINATE: u64 = 1 << 14;

/// Whether a signal is in a process's mask of this name.
fn has(pid: u32, mask: &str, signal: u64) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let signals = status.lines().find_map(|line| line.strip_prefix(mask));
    let signals = u64::from_str_radix(signals.unwrap().trim(), 16).unwrap();
    signals & signal != 0
}

/// A pipe that stays open and sends nothing must not hold an import that has failed or is to stop.
#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_standard_input_holds_nothing() {
    let bench = Fixture::new();
    let denied =
        local::FaultPlan::default().fail("BatchWriteItem", 1.., local::Fault::AccessDenied);
    let stack = local::Stack::start(local::StackOptions {
        faults: denied,
        ..local::StackOptions::default()
    });
    let stack = stack.await.unwrap();
    bench.announce(&stack);
    let rows: String = (0..20_000)
        .map(|n| format!("{{\"productId\":\"Q{n}\"}}\n"))
        .collect();
    for (input, by, told) in [
        (rows.as_str(), None, "AccessDenied"),
        ("", Some(Signal::INT), "interrupted"),
        ("", Some(Signal::TERM), "interrupted"),
        ("", Some(Signal::HUP), "interrupted"),
    ] {
        if by == Some(Signal::HUP) && has(std::process::id(), "SigIgn:", HANGUP) {
            // Under `nohup` it is ignored, here as in the command.
            continue;
        }
        let args = ["import", "-", TABLE[0], TABLE[1], TABLE[2]];
        let mut child = bench.command(args).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.ok();
        if let Some(by) = by {
            // Until it listens, a signal ends it by itself.
            let pid = child.id().unwrap();
            let last = if by == Signal::HUP { HANGUP } else { TERMINATE };
            crate::support::until("it reads", || async move { has(pid, "SigCgt:", last) }).await;
            signal(&child, by);
        }
        let ended = wait(child).await.expect(1);
        assert!(ended.stderr.contains(told), "{told}: {}", ended.stderr);
        drop(stdin);
    }
}

/// A request whose answer is lost may still be carried out: newer rows of its keys wait, which is said, and not for longer than
/// the environment says.
#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_late_requests_is_said_and_as_long_as_the_environment_says() {
    let bench = Fixture::new();
    let lost = local::FaultPlan::default().fail("BatchWriteItem", 1..=1, local::Fault::ResetAfter);
    let stack = local::Stack::start(local::StackOptions {
        faults: lost,
        ..local::StackOptions::default()
    });
    let stack = stack.await.unwrap();
    bench.announce(&stack);
    // More of one key than fit into a batch, so that newer rows of it are in another one.
    let rows: String = (0..60)
        .flat_map(|n| {
            [
                format!("{{\"productId\":\"L{n}\"}}\n"),
                "{\"productId\":\"L\"}\n".to_owned(),
            ]
        })
        .collect();
    bench.file("rows.jsonl", rows.as_bytes());
    let args = [
        "import",
        "rows.jsonl",
        TABLE[0],
        TABLE[1],
        TABLE[2],
        "-q",
        "--lanes",
        "1",
    ];
    let mut command = bench.command(args);
    let command = command.env("INTAKE_REQUEST_LASTS_SECONDS", "4");
    let ended = wait(command.spawn().unwrap()).await.expect(0);
    let said = ended.stderr.matches("waiting up to ").count();
    assert_eq!(said, 1, "{}", ended.stderr);
}

/// Another import of the same rows is not kept apart, which a job would do.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_without_a_job_says_so() {
    let bench = Fixture::new();
    let _stack = stack(&bench).await;
    bench.file("good.jsonl", b"{\"productId\":\"G1\"}\n");
    for (extra, is_told) in [
        (&[][..], true),
        // It is no progress.
        (&["--quiet"], true),
        (&["--dry-run"], false),
    ] {
        let args = ["import", "good.jsonl", TABLE[0], TABLE[1], TABLE[2]];
        let ended = bench.run(args.iter().chain(extra)).await.expect(0);
        let note = "note: not kept apart from other imports";
        assert_eq!(ended.stderr.contains(note), is_told, "{}", ended.stderr);
    }
}
