//! Every fault at the first, the middle and the last call of every operation.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use importer::jobs::Status;
use local::{Fault, FaultPlan, Operation};
use tokio::sync::{Mutex, Semaphore};

use crate::world::{FinalState, Format, World, file};
use crate::{document, is_all, memory};

const ROWS: usize = 1000;
const AT_A_TIME: usize = 6;
/// How late a slow answer is.
const DELAY: Duration = Duration::from_millis(300);

/// What is called in the course of an import, as the table names it.
fn operations() -> Vec<(&'static str, Operation)> {
    vec![
        ("UpdateItem (job)", Operation::new("UpdateItem")),
        ("HeadObject", Operation::new("HeadObject")),
        ("DescribeTable", Operation::new("DescribeTable")),
        (
            "GetObject (file)",
            Operation::new("GetObject").on("uploads/"),
        ),
        ("BatchWriteItem", Operation::new("BatchWriteItem")),
        ("PutObject (reports)", Operation::new("PutObject")),
        (
            "GetObject (rejects)",
            Operation::new("GetObject").on("reports/"),
        ),
        ("Publish", Operation::new("Publish")),
    ]
}

fn name(operation: &str) -> &str {
    operation.split(' ').next().unwrap_or(operation)
}

/// One square of the matrix, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Square {
    operation: usize,
    fault: Fault,
    /// First, middle, last.
    which: usize,
}

/// Imports with one fault, and says how it went: `=` in one go, `↻` after another delivery, else FAILED.
async fn run(square: &Square, mut call: u64, timeout: Duration, expected: &FinalState) -> String {
    let (label, operation) = operations().swap_remove(square.operation);
    let world = loop {
        let world = World::start(timeout, 1, &[]).await;
        let faults = world.stack.faults();
        faults.set(FaultPlan::default().fail(operation.clone(), call, square.fault));
        world
            .import("uploads/a", &file(Format::Json, ROWS, 1))
            .await;
        let injected = faults.injected(square.fault);
        if injected == 1 {
            break world;
        }
        // Parts of a report are as many as the job was saved before its end, which depends on time: the last of fewer.
        let calls = faults.counts(operation.clone()).calls;
        let what = format!("{label} {} at {call} of {calls}", square.fault);
        assert!(injected == 0 && 0 < calls && calls < call, "{what}");
        call = calls;
    };
    let left = world.left().await;
    let job = world.all_jobs().await.remove(0);
    assert_eq!(world.stack.dead_letter_count(), 0);
    let what = format!("{label}, {} at call {call}: {job:#?}", square.fault);
    let outcome = if job.status == Status::Failed {
        // What the checkpoint counts is in the table, and there is a reason.
        assert!(job.reason.is_some(), "{what}");
        let saved = world.saved(&job).await;
        assert_eq!(
            saved.checkpoint.counts.rows_settled(),
            job.counts.rows_read,
            "{what}"
        );
        "FAILED".to_owned()
    } else {
        assert_eq!(left, *expected, "{what}");
        if job.attempt == 1 { "=" } else { "↻" }.to_owned()
    };
    world.stack.shutdown().await;
    outcome
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_at_every_operation() {
    let (undisturbed, timeout) = World::undisturbed(Format::Json, ROWS).await;
    let expected = Arc::new(undisturbed.left().await);
    let outcomes = Arc::new(Mutex::new(BTreeMap::new()));
    let slots = Arc::new(Semaphore::new(AT_A_TIME));
    let mut tasks = tokio::task::JoinSet::new();
    for (index, (label, operation)) in operations().into_iter().enumerate() {
        let calls = undisturbed.stack.faults().counts(operation).calls;
        assert!(calls > 0, "{label} is not called");
        for (number, fault) in Fault::all(DELAY).into_iter().enumerate() {
            if !fault.applies_to(name(label)) {
                continue;
            }
            // How often a job is saved depends on time: its last calls are counted from the first ones that are sure.
            let last = if label.starts_with("UpdateItem") {
                calls.min(5)
            } else {
                calls
            };
            for (which, call) in [1, last.div_ceil(2), last].into_iter().enumerate() {
                // A third of the calls, in turns, tells in a minute if something is broken.
                let is_chosen = is_all() || (index + number) % 3 == which;
                if !is_chosen
                    || (which > 0 && call == 1)
                    || (which == 2 && call == last.div_ceil(2))
                {
                    continue;
                }
                let square = Square {
                    operation: index,
                    fault,
                    which,
                };
                let (slots, outcomes) = (Arc::clone(&slots), Arc::clone(&outcomes));
                let expected = Arc::clone(&expected);
                tasks.spawn(async move {
                    let _slot = slots.acquire().await.unwrap();
                    let outcome = run(&square, call, timeout, &expected).await;
                    outcomes.lock().await.insert(square, outcome);
                });
            }
        }
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let outcomes = outcomes.lock().await;
    println!(
        "fault matrix: {} imports, each with one fault; {} MiB at most",
        outcomes.len(),
        memory::peak_bytes() >> 20
    );
    let table = table(&outcomes);
    println!("{table}");
    if is_all() {
        document("matrix", &table);
    }
}

/// The outcomes as a table: a row for each fault, a column for each operation.
fn table(outcomes: &BTreeMap<Square, String>) -> String {
    let operations = operations();
    let mut table = "| fault |".to_owned();
    for (label, _) in &operations {
        write!(table, " {label} |").unwrap();
    }
    table.push_str("\n|---|");
    table.push_str(&"---|".repeat(operations.len()));
    table.push('\n');
    for fault in Fault::all(DELAY) {
        write!(table, "| {fault} |").unwrap();
        for operation in 0..operations.len() {
            let cell: Vec<&str> = (0..3)
                .filter_map(|which| {
                    let square = Square {
                        operation,
                        fault,
                        which,
                    };
                    outcomes.get(&square).map(String::as_str)
                })
                .collect();
            write!(table, " {} |", cell.join(" ")).unwrap();
        }
        table.push('\n');
    }
    table
}
