//! One invocation of the notifier against a publisher that fails on command.

#![allow(clippy::unwrap_used, reason = "test support: a panic is the report")]

use std::{collections::VecDeque, sync::Mutex, time::Duration};

use notifier::{
    Error,
    lambda::{Notifier, StreamEvent},
    message::Message,
    publish::Publish,
    record::EventName,
    settings::Settings,
};
use tokio::time::{Instant, sleep};

const ONE: &str = include_str!("../../samples/events/dynamodb-insert.json");
const MIXED: &str = include_str!("../../samples/events/dynamodb-mixed.json");
const MALFORMED: &str = include_str!("../../samples/events/dynamodb-malformed.json");

/// What the publisher does with a call.
#[derive(Clone, Copy, Debug)]
enum Reply {
    Accept,
    Unavailable,
    Refuse,
    /// Answers only after this long.
    Slow(Duration),
}

/// Plays `script`, then `rest` for ever; keeps what it accepted.
struct Scripted {
    script: Mutex<VecDeque<Reply>>,
    rest: Reply,
    calls: Mutex<Vec<Instant>>,
    accepted: Mutex<Vec<Message>>,
}

impl Scripted {
    fn new(script: &[Reply], rest: Reply) -> Self {
        Self {
            script: Mutex::new(script.iter().copied().collect()),
            rest,
            calls: Mutex::default(),
            accepted: Mutex::default(),
        }
    }
}

impl Publish for &Scripted {
    async fn publish(&self, message: &Message) -> Result<String, Error> {
        self.calls.lock().unwrap().push(Instant::now());
        let reply = self.script.lock().unwrap().pop_front().unwrap_or(self.rest);
        let topic = "arn:t".to_owned();
        match reply {
            Reply::Accept => {}
            Reply::Slow(delay) => sleep(delay).await,
            Reply::Unavailable => {
                return Err(Error::Unavailable {
                    topic,
                    source: "Throttled".into(),
                });
            }
            Reply::Refuse => {
                return Err(Error::AccessDenied {
                    topic,
                    source: "AuthorizationError".into(),
                });
            }
        }
        self.accepted.lock().unwrap().push(message.clone());
        Ok("message-id".into())
    }
}

/// What came of one invocation.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// Subject and default text of each message.
    published: Vec<(String, String)>,
    calls: usize,
    failures: Vec<String>,
    elapsed: Duration,
}

async fn invoke(
    event: &str,
    event_names: &[EventName],
    publisher: &Scripted,
    time_left: Duration,
) -> Outcome {
    let settings = Settings {
        topic_arn: "arn:aws:sns:eu-central-1:123456789012:inventory-alerts".into(),
        event_names: event_names.to_vec(),
        name_attribute: "name".into(),
    };
    let event: StreamEvent = serde_json::from_str(event).unwrap();
    let start = Instant::now();
    let response = Notifier::new(settings, publisher)
        .handle(&event, start + time_left)
        .await;
    let accepted = publisher.accepted.lock().unwrap();
    Outcome {
        published: accepted
            .iter()
            .map(|message| {
                let body: serde_json::Value = serde_json::from_str(message.body()).unwrap();
                (
                    message.subject().to_owned(),
                    body["default"].as_str().unwrap().to_owned(),
                )
            })
            .collect(),
        calls: publisher.calls.lock().unwrap().len(),
        failures: response
            .batch_item_failures
            .into_iter()
            .map(|failure| failure.item_identifier.unwrap())
            .collect(),
        elapsed: start.elapsed(),
    }
}

const TIME_LEFT: Duration = Duration::from_secs(29);

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
    let publisher = Scripted::new(&[], Reply::Accept);
    assert_eq!(
        invoke(ONE, &[EventName::Insert], &publisher, TIME_LEFT).await,
        once("Inventory Update", "New product added: Laptop")
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
            "Product changed: Laptop",
        ),
        (
            vec![Remove],
            "Inventory Update: 1 removed",
            "Product removed: Desk lamp",
        ),
        (
            vec![Insert, Modify, Remove],
            "Inventory Update: 2 added, 1 changed, 1 removed",
            "2 products added: Laptop, Mouse\nProduct changed: Laptop\nProduct removed: Desk lamp",
        ),
    ] {
        let publisher = Scripted::new(&[], Reply::Accept);
        assert_eq!(
            invoke(MIXED, &event_names, &publisher, TIME_LEFT).await,
            once(subject, text)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_malformed_record_is_counted_and_blocks_nothing() {
    let publisher = Scripted::new(&[], Reply::Accept);
    assert_eq!(
        invoke(MALFORMED, &[EventName::Insert], &publisher, TIME_LEFT).await,
        once(
            "Inventory Update: 2 added",
            "2 products added: Laptop, Desk lamp\n1 stream record could not be read; see the notifier's log"
        )
    );
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
        let publisher = Scripted::new(&[], Reply::Accept);
        let outcome = invoke(event, &[event_names], &publisher, TIME_LEFT).await;
        assert_eq!((outcome.calls, outcome.failures), (0, vec![]), "{event}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_call_that_succeeds_at_last_publishes_once() {
    for failures in 1..=8 {
        let publisher = Scripted::new(&vec![Reply::Unavailable; failures], Reply::Accept);
        let outcome = invoke(ONE, &[EventName::Insert], &publisher, TIME_LEFT).await;
        assert_eq!(outcome.published.len(), 1);
        assert_eq!(outcome.calls, failures + 1);
        assert!(outcome.failures.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_retried_until_the_deadline_then_the_batch_is_handed_back() {
    let publisher = Scripted::new(&[], Reply::Unavailable);
    let outcome = invoke(MIXED, &[EventName::Insert], &publisher, TIME_LEFT).await;
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
async fn a_refusal_is_not_retried() {
    let publisher = Scripted::new(&[], Reply::Refuse);
    let outcome = invoke(ONE, &[EventName::Insert], &publisher, TIME_LEFT).await;
    assert_eq!(
        outcome,
        Outcome {
            published: vec![],
            calls: 1,
            failures: vec!["4421584500000000017450439091".into()],
            elapsed: Duration::ZERO,
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_is_cut_at_the_deadline() {
    let publisher = Scripted::new(&[], Reply::Slow(TIME_LEFT * 2));
    let outcome = invoke(ONE, &[EventName::Insert], &publisher, TIME_LEFT).await;
    assert_eq!(outcome.published, []);
    assert_eq!(outcome.failures, ["4421584500000000017450439091"]);
    assert_eq!(outcome.elapsed.as_secs(), TIME_LEFT.as_secs());
}

#[tokio::test(start_paused = true)]
async fn without_time_no_call_is_begun() {
    let publisher = Scripted::new(&[], Reply::Accept);
    let outcome = invoke(ONE, &[EventName::Insert], &publisher, Duration::ZERO).await;
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
    let publisher = Scripted::new(&[], Reply::Refuse);
    let outcome = invoke(&event, &[EventName::Insert], &publisher, TIME_LEFT).await;
    assert_eq!((outcome.calls, outcome.failures), (1, vec![String::new()]));
}
