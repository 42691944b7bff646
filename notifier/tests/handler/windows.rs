//! Tumbling windows: replays, lost answers, outages and early ends, and what the counts are then.

use std::time::Duration;

use notifier::change::EventName;
use notifier::settings::Settings;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::scripted::{
    ARN, Call, Reply, TIME_LEFT, TestNotifier, World, insert, record, reported, shards, window,
};

fn inserts(numbers: std::ops::Range<u64>) -> Vec<Value> {
    numbers.map(insert).collect()
}

#[tokio::test(start_paused = true)]
async fn a_window_is_one_message_at_its_end() {
    let world = World::new(&[], Reply::Accept);
    let notifier = world.notifier(Settings::new(ARN));
    let mut call = Call::new(0, inserts(0..3));
    call.state = call.once(&notifier, TIME_LEFT).await.unwrap();
    call.records = inserts(3..5);
    call.state = call.once(&notifier, TIME_LEFT).await.unwrap();
    assert_eq!(world.topic.calls.lock().unwrap().len(), 0, "it goes on");
    (call.records, call.last) = (vec![], true);
    let state = call.once(&notifier, TIME_LEFT).await.unwrap();
    assert_eq!(
        reported(&world),
        (5, (0..5).map(|number| format!("N{number}")).collect())
    );
    let machine = world.topic.accepted()[0].machine();
    assert_eq!(machine["window"], window(0));
    // Whoever gets it counts from nothing.
    assert_eq!(state["digest"]["inserted"]["count"], 0);
}

#[tokio::test(start_paused = true)]
async fn counts_are_exact_however_a_window_is_cut_and_repeated() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        fastrand::seed(seed);
        let world = World::new(&[], Reply::Accept);
        let notifier = world.notifier(Settings::new(ARN));
        let mut next = 0;
        for window in 0..3 {
            let records = inserts(next..next + random.u64(0..40));
            next += records.len() as u64;
            play(&notifier, window, records, &mut random).await;
        }
        let (count, names) = reported(&world);
        assert_eq!(count, next, "seed {seed}");
        assert!(names.len() as u64 <= next);
    }
}

/// Gives a window's records as Lambda does when it has a bad day: cut anyhow, with windows that end early, calls that are
/// repeated because their answer got lost, and records that come again although the state has counted them.
async fn play(
    notifier: &TestNotifier<'_>,
    window: u64,
    mut records: Vec<Value>,
    random: &mut fastrand::Rng,
) {
    let mut call = Call::new(window, vec![]);
    let mut before: Vec<Value> = Vec::new();
    loop {
        let rest = records.split_off(random.usize(0..=records.len()));
        call.records = records;
        if random.u8(0..4) == 0 && call.state != json!({}) && !call.early {
            // The shard is read again from a little earlier.
            call.records.splice(0..0, before.iter().cloned());
        }
        call.last = rest.is_empty() && random.bool();
        call.early = !call.last && random.u8(0..5) == 0;
        if random.u8(0..4) == 0 {
            call.once(notifier, TIME_LEFT).await.unwrap();
        }
        let state = call.once(notifier, TIME_LEFT).await.unwrap();
        if call.last {
            return;
        }
        before = std::mem::take(&mut call.records);
        if call.early {
            // A fresh state knows no records before it.
            before.clear();
        }
        (records, call.state) = (rest, state);
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_that_ends_early_says_what_it_has_and_goes_on_from_nothing() {
    let world = World::new(&[], Reply::Accept);
    let notifier = world.notifier(Settings::new(ARN));
    let mut call = Call::new(0, inserts(0..3));
    call.early = true;
    call.state = call.once(&notifier, TIME_LEFT).await.unwrap();
    (call.records, call.early, call.last) = (inserts(3..7), false, true);
    call.once(&notifier, TIME_LEFT).await.unwrap();
    let counts: Vec<Value> = world
        .topic
        .accepted()
        .iter()
        .map(|accepted| accepted.machine()["count"].clone())
        .collect();
    assert_eq!(counts, [3, 4]);
    assert_eq!(
        world.topic.distinct().len(),
        2,
        "two ids, though one window"
    );
}

#[tokio::test(start_paused = true)]
async fn an_end_whose_answer_was_lost_is_told_again_under_the_same_id() {
    // SNS took the message and the invocation never heard so.
    let world = World::new(
        &[Reply::Lose, Reply::Unavailable, Reply::Lose],
        Reply::Accept,
    );
    let notifier = world.notifier(Settings::new(ARN));
    let mut call = Call::new(0, inserts(0..9));
    call.last = true;
    // No time for a second attempt: Lambda calls again, with the same state.
    call.until(&notifier, Duration::from_millis(1)).await;
    assert_eq!(world.topic.accepted().len(), 3);
    assert_eq!(world.topic.distinct().len(), 1);
    assert_eq!(reported(&world).0, 9);
}

#[tokio::test(start_paused = true)]
async fn malformed_records_are_counted_in_their_window_and_block_nothing() {
    let world = World::new(&[], Reply::Accept);
    let notifier = world.notifier(Settings::new(ARN));
    let broken = |number: u64, images: Value| record("INSERT", number, &images);
    let records = vec![
        insert(1),
        broken(2, json!({ "NewImage": 7 })),
        json!("what is this"),
        broken(3, json!({ "NewImage": { "name": { "S": 7 } } })),
        broken(4, json!({ "Keys": {} })),
        insert(5),
    ];
    let mut call = Call::new(0, records);
    call.state = call.once(&notifier, TIME_LEFT).await.unwrap();
    // They come again: only what has no number is counted again.
    call.state = call.once(&notifier, TIME_LEFT).await.unwrap();
    (call.records, call.last) = (vec![], true);
    call.once(&notifier, TIME_LEFT).await.unwrap();
    let machine = world.topic.accepted()[0].machine();
    assert_eq!(
        (&machine["count"], &machine["malformed"]),
        (&json!(2), &json!(5))
    );
}

#[tokio::test(start_paused = true)]
async fn a_state_that_cannot_be_read_costs_what_it_had_counted_and_nothing_else() {
    let world = World::new(&[], Reply::Accept);
    let notifier = world.notifier(Settings::new(ARN));
    let mut call = Call::new(0, inserts(0..4));
    (call.state, call.last) = (json!({ "digest": 7 }), true);
    call.once(&notifier, TIME_LEFT).await.unwrap();
    assert_eq!(reported(&world).0, 4);
}

#[tokio::test(start_paused = true)]
async fn a_window_in_which_nothing_happened_says_nothing() {
    let world = World::new(&[], Reply::Accept);
    let notifier = world.notifier(Settings::new(ARN));
    let mut call = Call::new(0, vec![record("REMOVE", 1, &json!({}))]);
    call.last = true;
    call.once(&notifier, TIME_LEFT).await.unwrap();
    assert_eq!(world.topic.calls.lock().unwrap().len(), 0);
}

/// Four shards, six windows of a minute each; SNS is away for 30 s around the end of the third.
#[tokio::test(start_paused = true)]
async fn an_outage_of_30_s_delays_digests_and_loses_none() {
    const SHARDS: u64 = 4;
    const WINDOWS: u64 = 6;
    const RECORDS: u64 = 50;
    for (time_left, what) in [
        (TIME_LEFT, "one invocation lasts longer than the outage"),
        (Duration::from_secs(7), "Lambda has to call again"),
    ] {
        fastrand::seed(7);
        let world = World::new(&[], Reply::Accept);
        let start = Instant::now();
        let outage = (
            start + Duration::from_secs(170),
            start + Duration::from_secs(200),
        );
        world.topic.fail_between(outage.0, outage.1);
        let notifier = &world.notifier(Settings::new(ARN));
        shards(SHARDS, |shard| async move {
            for window in 0..WINDOWS {
                let first = (shard * WINDOWS + window) * RECORDS;
                let mut call = Call::new(window, inserts(first..first + RECORDS / 2));
                call.shard = format!("shardId-{shard}").into();
                call.state = call.until(notifier, time_left).await;
                sleep_until(start + Duration::from_mins(window + 1)).await;
                call.records = inserts(first + RECORDS / 2..first + RECORDS);
                call.last = true;
                call.until(notifier, time_left).await;
            }
        })
        .await;
        let (count, _) = reported(&world);
        assert_eq!(count, SHARDS * WINDOWS * RECORDS, "{what}");
        let accepted = world.topic.accepted();
        assert_eq!(
            accepted.len() as u64,
            SHARDS * WINDOWS,
            "one a shard and window: {what}"
        );
        let away = accepted
            .iter()
            .filter(|accepted| (outage.0..outage.1).contains(&accepted.at));
        assert_eq!(away.count(), 0);
        let late = accepted.iter().filter(|accepted| {
            (outage.1..outage.1 + Duration::from_secs(10)).contains(&accepted.at)
        });
        assert_eq!(late.count() as u64, SHARDS, "right after it: {what}");
        let attempts = world.topic.calls.lock().unwrap().len();
        assert!(attempts > accepted.len(), "the outage was felt: {what}");
    }
}

/// What bursts do to a topic: at most one message a shard and window, whose counts add up, and no row named twice.
#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_inserts_are_a_message_a_shard_and_window() {
    const SHARDS: u64 = 4;
    const WINDOWS: u64 = 5;
    const CALLS: u64 = 5;
    const RECORDS: u64 = 1000;
    let world = World::new(&[], Reply::Accept);
    let notifier = &world.notifier(Settings::new(ARN));
    shards(SHARDS, |shard| async move {
        for window in 0..WINDOWS {
            let mut call = Call::new(window, vec![]);
            call.shard = format!("shardId-{shard}").into();
            for part in 0..CALLS {
                let first = ((shard * WINDOWS + window) * CALLS + part) * RECORDS;
                call.records = inserts(first..first + RECORDS);
                call.last = part + 1 == CALLS;
                call.state = call.once(notifier, TIME_LEFT).await.unwrap();
            }
        }
    })
    .await;
    let (count, names) = reported(&world);
    assert_eq!(count, SHARDS * WINDOWS * CALLS * RECORDS);
    assert_eq!(names.len() as u64, SHARDS * WINDOWS * 10);
    assert_eq!(world.topic.accepted().len() as u64, SHARDS * WINDOWS);
}

#[tokio::test(start_paused = true)]
async fn a_refused_end_is_kept_and_the_window_is_over() {
    let world = World::new(&[], Reply::Refuse);
    let notifier = world.notifier(Settings {
        event_names: vec![EventName::Insert, EventName::Remove],
        ..Settings::new(ARN)
    });
    let mut call = Call::new(0, inserts(0..9));
    call.last = true;
    for _ in 0..2 {
        call.once(&notifier, TIME_LEFT).await.unwrap();
    }
    let kept = world.shelf.kept.lock().unwrap();
    assert_eq!(kept.len(), 1, "once, however often it is refused");
    let body: Value = serde_json::from_str(kept.values().next().unwrap().body()).unwrap();
    let machine: Value = serde_json::from_str(body["sqs"].as_str().unwrap()).unwrap();
    assert_eq!(machine["count"], 9, "whole");
}
