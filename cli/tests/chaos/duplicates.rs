//! Events that come more than once, and objects that change.

use std::time::Duration;

use importer::jobs::Status;
use local::FaultPlan;

use crate::memory;
use crate::world::{Format, World, file};

const TIMEOUT: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_times_the_same_event_at_once_is_one_import() {
    const ROWS: usize = 2000;
    let undisturbed = World::start(TIMEOUT, 1, &[]).await;
    undisturbed
        .import("uploads/a", &file(Format::Json, ROWS, 1))
        .await;
    let expected = undisturbed.left().await;
    let writes = undisturbed.stack.faults().counts("BatchWriteItem").calls;

    let world = World::start(TIMEOUT, 10, &[]).await;
    world.stack.pause_imports();
    world
        .stack
        .put_object("uploads/a", file(Format::Json, ROWS, 1))
        .await
        .unwrap();
    let upload = world.stack.uploads().remove(0);
    let mut invocations = Vec::new();
    for _ in 0..10 {
        // Each in a message of its own, as when S3 tells twice.
        let event = world.stack.import_event(&upload);
        invocations.push(world.stack.invoke_importer(event));
    }
    for answer in futures::future::join_all(invocations).await {
        let failures = &answer.unwrap()["batchItemFailures"];
        assert_eq!(failures.as_array().unwrap().len(), 0);
    }
    world.stack.purge_imports();
    assert_eq!(world.left().await, expected);
    let [job] = &world.all_jobs().await[..] else {
        panic!("more than one job");
    };
    assert_eq!(job.attempt, 1);
    // One set of writes: not one request more.
    assert_eq!(world.stack.faults().counts("BatchWriteItem").calls, writes);
    assert_eq!(world.stack.inbox().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_changes_fails_and_the_new_one_is_imported_whole() {
    // More than is read ahead, so that the change falls into the reading.
    let name = "x".repeat(8000);
    let row =
        |n: usize| format!("{{\"productId\":\"old{n}\",\"name\":\"{name}\",\"quantity\":{n}}}\n");
    let old: Vec<u8> = (0..3500).flat_map(|n| row(n).into_bytes()).collect();
    let new = file(Format::Csv, 1500, 2);
    assert!(old.len() > 24 * 1024 * 1024);
    let undisturbed = World::start(TIMEOUT, 1, &[]).await;
    undisturbed.import("uploads/a", &new).await;
    let expected = undisturbed.left().await;

    let world = World::start(TIMEOUT, 2, &[]).await;
    world
        .stack
        .faults()
        .set(FaultPlan::default().replace_object("uploads/a", 3, new));
    world.import("uploads/a", &old).await;
    let jobs = world.all_jobs().await;
    let [newer, older] = &jobs[..] else {
        panic!("not two jobs: {jobs:#?}");
    };
    assert_eq!(older.status, Status::Failed);
    let fix = older.fix.as_ref().unwrap();
    assert!(fix.contains("was replaced during the import"), "{older:#?}");
    assert_eq!(older.attempt, 1);
    assert_eq!(newer.status, Status::CompletedWithRejects, "{newer:#?}");
    let left = world.left_by(newer).await;
    assert_eq!(
        (left.rows, &left.rejects),
        (expected.rows, &expected.rejects)
    );
    memory::peak_bytes();
    // Rows of the old one that were written in time stay; every row of the new one is there.
    for key in expected.items.keys() {
        assert!(left.items.contains_key(key), "{key}");
    }
}
