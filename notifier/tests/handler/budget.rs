//! The budget: many shards, one topic, a table that fails, and holders that are killed.

use std::num::NonZeroU32;
use std::time::Duration;

use notifier::budget::ledger::BYTES_MAX;
use notifier::settings::Settings;
use notifier::watch::Watch;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::scripted::{ARN, Call, Reply, TIME_LEFT, Trouble, World, record, reported, shards};

const RECORDS: u64 = 7;

fn settings(per_minute: u32, rules: &str) -> Settings {
    Settings {
        messages_per_minute: NonZeroU32::new(per_minute),
        watch: Watch::parse(rules).unwrap(),
        ..Settings::new(ARN)
    }
}

/// Products of which one a call is scarce.
fn inserts(first: u64) -> Vec<Value> {
    (first..first + RECORDS)
        .map(|number| {
            let quantity = (number - first).to_string();
            let image =
                json!({ "name": { "S": format!("N{number}") }, "quantity": { "N": quantity } });
            record("INSERT", number, &json!({ "NewImage": image }))
        })
        .collect()
}

/// Lets `shard_count` shards end `windows` windows of `length` at the same moments. With `killed`, every third invocation
/// is killed at a random moment, and comes again.
async fn burst(
    world: &World,
    settings: Settings,
    shard_count: u64,
    windows: u64,
    length: Duration,
    killed: bool,
) {
    let start = Instant::now();
    let notifier = &world.notifier(settings);
    shards(shard_count, |shard| async move {
        for window in 0..windows {
            let mut call = Call::new(window, inserts((shard * windows + window) * RECORDS));
            call.shard = format!("shardId-{shard}").into();
            call.last = true;
            sleep_until(start + length * (window as u32 + 1)).await;
            while killed && fastrand::u8(0..3) == 0 {
                let life = Duration::from_millis(fastrand::u64(0..2000));
                if timeout(life, call.once(notifier, TIME_LEFT))
                    .await
                    .is_ok_and(|answer| answer.is_ok())
                {
                    break;
                }
                // Lambda waits a moment, and calls again.
                sleep(Duration::from_secs(1)).await;
            }
            call.until(notifier, TIME_LEFT).await;
        }
    })
    .await;
}

/// The most messages that were taken in any minute, wherever it begins.
fn most_in_a_minute(world: &World) -> usize {
    let times: Vec<Instant> = world
        .topic
        .accepted()
        .iter()
        .map(|accepted| accepted.at)
        .collect();
    let within = |from: Instant| {
        let to = from + Duration::from_mins(1);
        times.iter().filter(|at| (from..to).contains(at)).count()
    };
    times.iter().map(|from| within(*from)).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn messages_in_any_minute_stay_under_the_ceiling_and_counts_are_exact() {
    for (per_minute, rules) in [
        (1, ""),
        (6, ""),
        (60, ""),
        (2, "quantity < 1"),
        (7, "quantity < 1"),
    ] {
        fastrand::seed(per_minute.into());
        let world = World::new(&[], Reply::Accept);
        let (shard_count, windows) = (20, 18);
        burst(
            &world,
            settings(per_minute, rules),
            shard_count,
            windows,
            Duration::from_secs(10),
            false,
        )
        .await;
        let most = most_in_a_minute(&world);
        assert!(most <= per_minute as usize, "{per_minute} a minute: {most}");
        // The budget is used: three minutes of more digests than it allows.
        assert!(
            most * 2 >= per_minute.min(20) as usize,
            "{per_minute} a minute: {most}"
        );
        assert_eq!(
            reported(&world).0,
            shard_count * windows * RECORDS,
            "{per_minute} a minute"
        );
        let alerts: u64 = world
            .topic
            .distinct()
            .iter()
            .map(crate::scripted::Accepted::machine)
            .filter(|machine| machine["kind"] == json!(["watch"]))
            .map(|machine| machine["count"].as_u64().unwrap())
            .sum();
        let expected = if rules.is_empty() {
            0
        } else {
            shard_count * windows
        };
        assert_eq!(alerts, expected, "one product of each digest is scarce");
    }
}

#[tokio::test(start_paused = true)]
async fn a_digest_within_the_budget_goes_out_at_once_and_alone() {
    let world = World::new(&[], Reply::Accept);
    burst(
        &world,
        settings(60, ""),
        1,
        5,
        Duration::from_secs(10),
        false,
    )
    .await;
    let digests: Vec<Value> = world
        .topic
        .accepted()
        .iter()
        .map(|accepted| accepted.machine()["digests"].clone())
        .collect();
    assert_eq!(digests, [1; 5]);
    for (index, accepted) in world.topic.accepted().iter().enumerate() {
        let due = Duration::from_secs(10 * (index as u64 + 1));
        let late = accepted.at - (world.start() + due);
        assert!(late < Duration::from_millis(100), "{late:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn counts_are_exact_with_killed_holders_and_a_flaky_table() {
    for seed in 0..8 {
        fastrand::seed(seed);
        let world = World::new(&[], Reply::Accept);
        *world.table.trouble.lock().unwrap() = Trouble::Flaky(20);
        let (shard_count, windows) = (10, 6);
        burst(
            &world,
            settings(12, ""),
            shard_count,
            windows,
            Duration::from_secs(10),
            true,
        )
        .await;
        assert_eq!(
            reported(&world).0,
            shard_count * windows * RECORDS,
            "seed {seed}"
        );
        let (accepted, distinct) = (world.topic.accepted().len(), world.topic.distinct().len());
        let most = most_in_a_minute(&world);
        assert!(
            most <= 12 + accepted - distinct,
            "seed {seed}: {most}, {accepted} of which {distinct} differ"
        );
        assert!(*world.table.largest.lock().unwrap() <= BYTES_MAX);
    }
}

#[tokio::test(start_paused = true)]
async fn without_its_table_the_budget_gives_way_or_waits() {
    for (trouble, published) in [(Trouble::Denied, 5), (Trouble::Down, 0)] {
        let world = World::new(&[], Reply::Accept);
        *world.table.trouble.lock().unwrap() = trouble;
        let notifier = world.notifier(settings(1, ""));
        for window in 0..5 {
            let mut call = Call::new(window, inserts(window * RECORDS));
            call.last = true;
            let answer = call.once(&notifier, TIME_LEFT).await;
            assert_eq!(answer.is_ok(), trouble == Trouble::Denied, "{trouble:?}");
        }
        assert_eq!(world.topic.accepted().len(), published, "{trouble:?}");
        // What could not be published comes again when the table is back.
        *world.table.trouble.lock().unwrap() = Trouble::None;
        for window in 0..5 {
            let mut call = Call::new(window, inserts(window * RECORDS));
            call.last = true;
            call.until(&notifier, TIME_LEFT).await;
        }
        assert_eq!(reported(&world).0, 5 * RECORDS, "{trouble:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_cannot_be_read_begins_anew() {
    let world = World::new(&[], Reply::Accept);
    world.table.put("no ledger");
    burst(
        &world,
        settings(60, ""),
        2,
        2,
        Duration::from_secs(10),
        false,
    )
    .await;
    assert_eq!(reported(&world).0, 4 * RECORDS);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_kept_and_leaves_the_ledger() {
    let world = World::new(&[], Reply::Refuse);
    burst(
        &world,
        settings(60, ""),
        3,
        2,
        Duration::from_secs(10),
        false,
    )
    .await;
    let kept = world.shelf.kept.lock().unwrap();
    let count: u64 = kept
        .values()
        .map(|message| {
            let count = message
                .attributes()
                .iter()
                .find(|attribute| attribute.name == "count");
            count.unwrap().value.parse::<u64>().unwrap()
        })
        .sum();
    assert_eq!(count, 6 * RECORDS);
}
