//! Events without windows: one invocation against a topic that fails on command.

use std::time::Duration;

use crate::scripted::{ARN, Reply, TIME_LEFT, World, insert, record};
use notifier::change::EventName;
use notifier::function::Event;
use notifier::settings::Settings;
use notifier::watch::Watch;
use serde_json::{Value, json};
use tokio::time::Instant;

const ONE: &str = include_str!("../../../samples/events/dynamodb-insert.json");
const MIXED: &str = include_str!("../../../samples/events/dynamodb-mixed.json");
const MALFORMED: &str = include_str!("../../../samples/events/dynamodb-malformed.json");

/// What came of one invocation.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// Subject and default text of each message.
    published: Vec<(String, String)>,
    calls: usize,
    failures: Vec<String>,
    elapsed: Duration,
}

fn settings(event_names: &[EventName]) -> Settings {
    Settings {
        event_names: event_names.to_vec(),
        ..Settings::new(ARN)
    }
}

async fn invoke_with(
    event: &str,
    settings: Settings,
    world: &World,
    time_left: Duration,
) -> Outcome {
    let event: Event = serde_json::from_str(event).unwrap();
    let start = Instant::now();
    let response = world
        .notifier(settings)
        .handle(&event, start + time_left)
        .await
        .unwrap();
    assert_eq!(response.state, None, "there is no window");
    let accepted = world.topic.accepted();
    let calls = world.topic.calls.lock().unwrap().len();
    Outcome {
        published: accepted
            .iter()
            .map(|accepted| {
                (
                    accepted.message.subject().to_owned(),
                    accepted.variant("default"),
                )
            })
            .collect(),
        calls,
        failures: response
            .batch_item_failures
            .into_iter()
            .map(|failure| failure.item_identifier)
            .collect(),
        elapsed: start.elapsed(),
    }
}

async fn invoke(
    event: &str,
    event_names: &[EventName],
    world: &World,
    time_left: Duration,
) -> Outcome {
    invoke_with(event, settings(event_names), world, time_left).await
}

fn once(subject: &str, text: &str) -> Outcome {
    Outcome {
        published: vec![(subject.into(), text.into())],
        calls: 1,
        failures: vec![],
        elapsed: Duration::ZERO,
    }
}

#[tokio::test(start_paused = true)]
async fn one_insert_reads_as_in_the_lab() {
    let world = World::new(&[], Reply::Accept);
    assert_eq!(
        invoke(ONE, &[EventName::Insert], &world, TIME_LEFT).await,
        once("Inventory Update", "New product added: Laptop")
    );
    assert_eq!(
        world.topic.accepted()[0].variant("email"),
        "New product added: Laptop"
    );
}

#[tokio::test(start_paused = true)]
async fn only_the_kinds_asked_for_are_reported() {
    use EventName::{Insert, Modify, Remove};
    for (event_names, subject, text) in [
        (
            vec![Insert],
            "Inventory Update: 2 added",
            "2 products added: Laptop, Mouse",
        ),
        (
            vec![Modify],
            "Inventory Update: 1 changed",
            "Product changed: Laptop (price 1200 → 999)",
        ),
        (
            vec![Remove],
            "Inventory Update: 1 removed",
            "Product removed: Desk lamp",
        ),
        (
            vec![Insert, Modify, Remove],
            "Inventory Update: 2 added, 1 changed, 1 removed",
            "2 products added: Laptop, Mouse\nProduct changed: Laptop (price 1200 → 999)\nProduct removed: Desk lamp",
        ),
    ] {
        let world = World::new(&[], Reply::Accept);
        assert_eq!(
            invoke(MIXED, &event_names, &world, TIME_LEFT).await,
            once(subject, text)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_malformed_record_is_counted_and_blocks_nothing() {
    let world = World::new(&[], Reply::Accept);
    assert_eq!(
        invoke(MALFORMED, &[EventName::Insert], &world, TIME_LEFT).await,
        once(
            "Inventory Update: 2 added",
            "2 products added: Laptop, Desk lamp\n1 stream record could not be read; see the notifier's log"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn records_without_images_are_counted_by_their_keys() {
    let event =
        json!({ "Records": [record("INSERT", 1, &json!({})), record("INSERT", 2, &json!({}))] });
    let world = World::new(&[], Reply::Accept);
    assert_eq!(
        invoke(&event.to_string(), &[EventName::Insert], &world, TIME_LEFT).await,
        once("Inventory Update: 2 added", "2 products added: P1, P2")
    );
    assert_eq!(world.topic.accepted()[0].machine()["key_only"], 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_to_say_publishes_nothing() {
    let only_malformed =
        r#"{"Records":[7,{"eventName":"INSERT","dynamodb":{"SequenceNumber":"1"}}]}"#;
    for (event, event_names) in [
        (r#"{"Records":[]}"#, EventName::Insert),
        (ONE, EventName::Modify),
        (only_malformed, EventName::Insert),
    ] {
        let world = World::new(&[], Reply::Accept);
        let outcome = invoke(event, &[event_names], &world, TIME_LEFT).await;
        assert_eq!((outcome.calls, outcome.failures), (0, vec![]), "{event}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_call_that_succeeds_at_last_publishes_once() {
    for failures in 1..=8 {
        let world = World::new(&vec![Reply::Unavailable; failures], Reply::Accept);
        let outcome = invoke(ONE, &[EventName::Insert], &world, TIME_LEFT).await;
        assert_eq!(outcome.published.len(), 1);
        assert_eq!(outcome.calls, failures + 1);
        assert!(outcome.failures.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_retried_until_the_deadline_then_the_batch_is_handed_back() {
    let world = World::new(&[], Reply::Unavailable);
    let outcome = invoke(MIXED, &[EventName::Insert], &world, TIME_LEFT).await;
    assert_eq!(outcome.published, []);
    assert_eq!(
        outcome.failures,
        ["4421584500000000017450439092"],
        "the first record of the batch"
    );
    assert!(outcome.elapsed <= TIME_LEFT);
    // The longest waits add up to 100 + 200 + 400 + 800 + 1,600 + 3,200 ms and then 5 s each.
    assert!(outcome.calls >= 10, "{} calls", outcome.calls);
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_is_kept_and_the_shard_goes_on() {
    let world = World::new(&[], Reply::Refuse);
    *world.shelf.failures.lock().unwrap() = 3;
    let outcome = invoke(ONE, &[EventName::Insert], &world, TIME_LEFT).await;
    assert_eq!(
        (outcome.calls, outcome.failures),
        (1, vec![]),
        "not retried, not handed back"
    );
    let kept = world.shelf.kept.lock().unwrap();
    assert_eq!(
        kept.values()
            .map(notifier::message::Message::subject)
            .collect::<Vec<_>>(),
        ["Inventory Update"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_that_cannot_be_kept_is_handed_back() {
    let mut world = World::new(&[], Reply::Refuse);
    world.shelf.denied = true;
    let outcome = invoke(ONE, &[EventName::Insert], &world, TIME_LEFT).await;
    assert_eq!(
        (outcome.calls, outcome.failures),
        (1, vec!["4421584500000000017450439091".to_owned()])
    );
    assert_eq!(outcome.elapsed, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_is_cut_at_the_deadline() {
    let world = World::new(&[], Reply::Slow(TIME_LEFT * 2));
    let outcome = invoke(ONE, &[EventName::Insert], &world, TIME_LEFT).await;
    assert_eq!(outcome.published, []);
    assert_eq!(outcome.failures, ["4421584500000000017450439091"]);
    assert_eq!(outcome.elapsed.as_secs(), TIME_LEFT.as_secs());
}

#[tokio::test(start_paused = true)]
async fn without_time_no_call_is_begun() {
    let world = World::new(&[], Reply::Accept);
    let outcome = invoke(ONE, &[EventName::Insert], &world, Duration::ZERO).await;
    assert_eq!(
        (outcome.calls, outcome.failures),
        (0, vec!["4421584500000000017450439091".to_owned()])
    );
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_first_record_fails_the_whole_batch() {
    // Lambda takes an empty identifier as the failure of the whole batch.
    let event = format!(
        r#"{{"Records":[7,{}"#,
        &ONE[ONE.find("{\n      \"eventID\"").unwrap()..]
    );
    let world = World::new(&[], Reply::Unavailable);
    let outcome = invoke(&event, &[EventName::Insert], &world, TIME_LEFT).await;
    assert_eq!(outcome.failures, vec![String::new()]);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_stream_event_is_an_error() {
    let event: Event = serde_json::from_str(r#"{"Records":{"a":1}}"#).unwrap();
    let world = World::new(&[], Reply::Accept);
    let answer = world
        .notifier(Settings::new(ARN))
        .handle(&event, Instant::now() + TIME_LEFT)
        .await;
    assert_eq!(
        answer.unwrap_err().to_string(),
        "the event's Records are not an array"
    );
}

fn watching(rules: &str) -> Settings {
    Settings {
        watch: Watch::parse(rules).unwrap(),
        ..Settings::new(ARN)
    }
}

fn low(sequence_number: u64, name: &str, old: u64, new: u64) -> Value {
    let image =
        |quantity: u64| json!({ "name": { "S": name }, "quantity": { "N": quantity.to_string() } });
    record(
        "MODIFY",
        sequence_number,
        &json!({ "OldImage": image(old), "NewImage": image(new) }),
    )
}

#[tokio::test(start_paused = true)]
async fn an_alert_comes_for_kinds_that_are_not_reported() {
    let event = json!({ "Records": [low(1, "Laptop", 12, 9), low(2, "Mouse", 9, 8), low(3, "Lamp", 8, 12)] });
    let world = World::new(&[], Reply::Accept);
    assert_eq!(
        invoke_with(
            &event.to_string(),
            watching("quantity < 10"),
            &world,
            TIME_LEFT
        )
        .await,
        once(
            "Inventory Alert: Laptop: quantity < 10",
            "quantity < 10: Laptop (quantity 12 → 9)"
        )
    );
    let alert = &world.topic.accepted()[0];
    assert_eq!(
        alert.variant("sms"),
        "quantity < 10: Laptop (quantity 12 -> 9)"
    );
    assert_eq!(
        alert.variant("email"),
        "quantity < 10: Laptop (quantity 12 → 9)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_digest_and_its_alert_go_out_in_one_call() {
    let images = json!({ "NewImage": { "name": { "S": "Lamp" }, "quantity": { "N": "3" } } });
    let event = json!({ "Records": [insert(1), record("INSERT", 2, &images)] }).to_string();
    for (script, calls) in [
        (vec![], vec![2]),
        // One message of a call fails: only that one comes again.
        (vec![Reply::Accept, Reply::Unavailable], vec![2, 1]),
        (vec![Reply::Unavailable, Reply::Accept], vec![2, 1]),
        (
            vec![Reply::Unavailable, Reply::Unavailable, Reply::Unavailable],
            vec![2, 2, 1],
        ),
    ] {
        let world = World::new(&script, Reply::Accept);
        let outcome = invoke_with(&event, watching("quantity < 10"), &world, TIME_LEFT).await;
        let mut published = outcome.published;
        published.sort();
        assert_eq!(
            published,
            [
                (
                    "Inventory Alert: Lamp: quantity < 10".into(),
                    "quantity < 10: Lamp (quantity 3)".into()
                ),
                (
                    "Inventory Update: 2 added".to_owned(),
                    "2 products added: N1, Lamp".to_owned()
                ),
            ]
        );
        let sizes: Vec<usize> = world
            .topic
            .calls
            .lock()
            .unwrap()
            .iter()
            .map(|(_, messages)| *messages)
            .collect();
        assert_eq!(sizes, calls);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_alert_is_kept_while_its_digest_is_published() {
    let images = json!({ "NewImage": { "name": { "S": "Lamp" }, "quantity": { "N": "3" } } });
    let event = json!({ "Records": [record("INSERT", 2, &images)] }).to_string();
    let world = World::new(&[Reply::Accept, Reply::Refuse], Reply::Accept);
    let outcome = invoke_with(&event, watching("quantity < 10"), &world, TIME_LEFT).await;
    assert_eq!(
        outcome.published,
        [(
            "Inventory Update".to_owned(),
            "New product added: Lamp".to_owned()
        )]
    );
    assert!(outcome.failures.is_empty());
    assert_eq!(world.shelf.kept.lock().unwrap().len(), 1);
}
