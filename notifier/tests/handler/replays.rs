//! Batches without windows that fail and come again, cut as before or otherwise.

use std::time::Duration;

use notifier::function::Event;
use notifier::settings::Settings;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::scripted::{ARN, Reply, STREAM, TestNotifier, World, insert, reported};

/// Room for one attempt to publish: whatever fails is handed back.
const TIME_LEFT: Duration = Duration::from_millis(1);

/// Calls the function with a batch, and returns how many of its records, from the first, are done.
async fn deliver(notifier: &TestNotifier<'_>, records: &[Value]) -> usize {
    let event = json!({ "Records": records, "eventSourceARN": STREAM, "shardId": "shardId-1" });
    let event: Event = serde_json::from_str(&event.to_string()).unwrap();
    let deadline = Instant::now() + TIME_LEFT;
    let response = notifier.handle(&event, deadline).await.unwrap();
    match &response.batch_item_failures[..] {
        [] => records.len(),
        [failure] => {
            let failed =
                |record: &Value| record["dynamodb"]["SequenceNumber"] == failure.item_identifier;
            records
                .iter()
                .position(failed)
                .expect("a sequence number of the batch")
        }
        more => panic!("Lambda would take the lowest of {more:?}"),
    }
}

/// A topic that loses some of its answers, and is away for some messages.
fn bad_line(seed: u64) -> World {
    fastrand::seed(seed);
    let script: Vec<Reply> = (0..200)
        .map(|_| match fastrand::u8(0..10) {
            0..3 => Reply::Lose,
            3..5 => Reply::Unavailable,
            _ => Reply::Accept,
        })
        .collect();
    World::new(&script, Reply::Accept)
}

#[tokio::test(start_paused = true)]
async fn without_windows_counts_are_exact_when_batches_come_again_as_they_were() {
    for seed in 0..30 {
        let world = bad_line(seed);
        let notifier = world.notifier(Settings::new(ARN));
        let records: Vec<Value> = (0..500).map(insert).collect();
        for batch in records.chunks(25) {
            let mut done = 0;
            while done < batch.len() {
                done = deliver(&notifier, batch).await;
                assert!(
                    done == 0 || done == batch.len(),
                    "nothing of a batch is published before the rest"
                );
            }
        }
        assert_eq!(reported(&world).0, 500, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_windows_counts_are_never_less_and_at_most_the_failed_batches_more() {
    let mut over = 0;
    for seed in 0..30 {
        let world = bad_line(seed);
        let notifier = world.notifier(Settings::new(ARN));
        let records: Vec<Value> = (0..500).map(insert).collect();
        let (mut done, mut failed) = (0, 0);
        while done < records.len() {
            let size = fastrand::usize(1..=40).min(records.len() - done);
            let batch = &records[done..done + size];
            let settled = deliver(&notifier, batch).await;
            failed += (size - settled) as u64;
            done += settled;
        }
        let count: u64 = world
            .topic
            .distinct()
            .iter()
            .map(|accepted| accepted.machine()["count"].as_u64().unwrap())
            .sum();
        assert!(
            (500..=500 + failed).contains(&count),
            "seed {seed}: {count}, {failed} in failed batches"
        );
        over += u64::from(count > 500);
    }
    assert!(over > 0, "the bound is there for a reason");
}
