use std::process::Stdio;

use generator::{Format, Generator, Shape};
use local::{Fault, FaultPlan, Stack, StackOptions};
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use crate::support::{Fixture, LIMIT, scan, signal, until};

const ROWS: u64 = 20_000;

fn catalog(bench: &Fixture) -> String {
    let mut bytes = Vec::new();
    let generator = Generator::new(ROWS, Shape::Small, Format::Jsonl);
    generator.write_to(&mut bytes).unwrap();
    bench
        .file("small.jsonl", &bytes)
        .to_str()
        .unwrap()
        .to_owned()
}

fn number_before(text: &str, what: &str) -> u64 {
    let (before, _) = text
        .split_once(what)
        .unwrap_or_else(|| panic!("no {what:?} in {text}"));
    before.rsplit(' ').next().unwrap().parse().unwrap()
}

/// The first Ctrl-C finishes what is in flight and drops the rest: what it says is written is what is in the table.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_ctrl_c_settles_what_was_sent_and_says_what_was_not() {
    let bench = Fixture::new();
    let stack = crate::support::stack(&bench).await;
    let path = catalog(&bench);
    // Two hundred rows a second: a hundred seconds, of which a few are waited for.
    let args = [
        "import",
        &path,
        "--table",
        "InventoryTable",
        "--local",
        "--max-wcu",
        "200",
    ];
    let child = bench.command(args).spawn().unwrap();
    until("rows are written", || async {
        !scan(stack.endpoints()).await.is_empty()
    })
    .await;
    signal(&child, Signal::INT);
    let ended = crate::support::wait(child).await.expect(1);
    assert!(
        ended
            .stderr
            .contains("stopping: finishing the writes in flight"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("stopped at line "),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("fix: import the file again"),
        "{}",
        ended.stderr
    );
    let read = number_before(&ended.stdout, " rows read");
    let written = number_before(&ended.stdout, " written");
    let unsettled = number_before(&ended.stdout, " unsettled");
    assert!(
        0 < written && written + unsettled == read && read < ROWS,
        "{}",
        ended.stdout
    );
    assert_eq!(scan(stack.endpoints()).await.len() as u64, written);
}

/// Ctrl-C also ends the program that feeds standard input: a file cut off there must not pass for a whole one.
#[tokio::test(flavor = "multi_thread")]
async fn standard_input_that_ends_after_ctrl_c_is_not_taken_for_complete() {
    let bench = Fixture::new();
    let stack = crate::support::stack(&bench).await;
    let args = ["import", "-", "--table", "InventoryTable", "--local"];
    let mut child = bench.command(args).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    // More than is read ahead to find out the format, so that rows are written while the file is open.
    let mut bytes = Vec::new();
    let generator = Generator::new(ROWS / 10, Shape::Small, Format::Jsonl);
    generator.write_to(&mut bytes).unwrap();
    stdin.write_all(&bytes).await.unwrap();
    until("rows are written", || async {
        !scan(stack.endpoints()).await.is_empty()
    })
    .await;
    signal(&child, Signal::INT);
    let mut said = String::new();
    while !said.contains("Ctrl-C again aborts") {
        assert_ne!(stderr.read_line(&mut said).await.unwrap(), 0, "{said}");
    }
    drop(stdin);
    let status = tokio::time::timeout(LIMIT, child.wait())
        .await
        .unwrap()
        .unwrap();
    stderr.read_to_string(&mut said).await.unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("interrupted"), "{said}");
}

/// The second one ends it at once, though no write ever succeeds and standard input never ends.
#[tokio::test(flavor = "multi_thread")]
async fn the_second_ctrl_c_aborts() {
    let bench = Fixture::new();
    let stack = Stack::start(StackOptions {
        faults: FaultPlan::default().fail("BatchWriteItem", 1.., Fault::Throttle),
        ..StackOptions::default()
    })
    .await
    .unwrap();
    bench.announce(&stack);
    let path = catalog(&bench);
    let args = ["import", &path, "--table", "InventoryTable", "--local"];
    let mut child = bench.command(args).spawn().unwrap();
    tokio::time::timeout(LIMIT, stack.faults().reached("BatchWriteItem", 1))
        .await
        .expect("a write is throttled");

    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    signal(&child, Signal::INT);
    let mut said = String::new();
    while !said.contains("Ctrl-C again aborts") {
        assert_ne!(stderr.read_line(&mut said).await.unwrap(), 0, "{said}");
    }
    signal(&child, Signal::INT);
    let status = tokio::time::timeout(LIMIT, child.wait())
        .await
        .expect("it does not wait for the retries")
        .unwrap();
    stderr.read_to_string(&mut said).await.unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("error: aborted"), "{said}");
}

/// Without a terminal, progress is a plain line every few seconds; `--quiet` has none.
#[tokio::test(flavor = "multi_thread")]
async fn progress_is_plain_lines_without_a_terminal() {
    let bench = Fixture::new();
    let _stack = crate::support::stack(&bench).await;
    let path = catalog(&bench);
    let args = [
        "import",
        &path,
        "--table",
        "InventoryTable",
        "--local",
        "--max-wcu",
        "100",
    ];
    // Started first, so that its first line would be due before the other's.
    let quiet = bench
        .command(args.iter().chain(&["--quiet"]))
        .spawn()
        .unwrap();
    let mut child = bench.command(args).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    let first_line = async {
        loop {
            let line = stderr
                .next_line()
                .await
                .unwrap()
                .expect("a line of progress before the end");
            if line.contains("rows/s") {
                return line;
            }
        }
    };
    let line = tokio::time::timeout(LIMIT, first_line)
        .await
        .expect("progress is told");
    for part in ["KiB of ", "%)", " rows written", " WCU/s", " throttles"] {
        assert!(line.contains(part), "{part:?} is not in {line:?}");
    }
    assert!(!line.contains('\u{1b}'), "{line:?}");
    for child in [&child, &quiet] {
        signal(child, Signal::TERM);
    }
    let quiet = crate::support::wait(quiet).await.expect(1);
    assert!(!quiet.stderr.contains("rows/s"), "{}", quiet.stderr);
    crate::support::wait(child).await.expect(1);
}
