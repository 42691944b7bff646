//! The stream's event source mapping, rule by rule, on tokio's paused clock: a stream that is made up, and a function in
//! this process that does as it is told.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use local::{
    LocalError, StreamMappingOptions,
    runtime::InvokeError,
    wiring::{StreamMapping, StreamRecord, StreamSource, StreamTarget},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// The time at which every stream here begins, in seconds; a window of a minute begins then, too.
const BEGIN: u64 = 1_800_000_000;

/// A stream whose records appear when they were created.
struct Script {
    begun: Instant,
    records: VecDeque<(f64, StreamRecord)>,
}

impl Script {
    fn new(records: impl IntoIterator<Item = (f64, StreamRecord)>) -> Self {
        Self {
            begun: Instant::now(),
            records: records.into_iter().collect(),
        }
    }
}

impl StreamSource for Script {
    fn stream_arn(&self) -> String {
        "arn:stream".to_owned()
    }

    async fn read(&mut self) -> Result<Vec<StreamRecord>, LocalError> {
        let passed = self.begun.elapsed().as_secs_f64();
        let mut records = Vec::new();
        while records.len() < 1000 && self.records.front().is_some_and(|(at, _)| *at <= passed) {
            records.extend(self.records.pop_front().map(|(_, record)| record));
        }
        Ok(records)
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(BEGIN) + self.begun.elapsed()
    }
}

/// A record that appears `at` seconds after the beginning, as one of an item `key`.
fn record(number: usize, at: f64, key: &str, event_name: &str) -> (f64, StreamRecord) {
    let json = json!({
        "eventName": event_name,
        "dynamodb": {
            "SequenceNumber": format!("{number:021}"),
            "ApproximateCreationDateTime": BEGIN as f64 + at.floor(),
            "Keys": { "productId": { "S": key } },
        },
    });
    (at, StreamRecord::new(json, 100).unwrap())
}

/// INSERTs with the numbers 0, 1, … at these times.
fn inserts(times: &[f64]) -> Vec<(f64, StreamRecord)> {
    let records = times.iter().enumerate();
    records
        .map(|(number, at)| record(number, *at, &number.to_string(), "INSERT"))
        .collect()
}

/// What the function does with an event: a function of the event and of how many came before.
type Behaviour = Box<dyn Fn(&Value, usize) -> Result<Value, &'static str> + Send + Sync>;

/// A function in this process, what it was given and when, and what was kept of what was given up.
#[derive(Clone)]
struct Scripted {
    begun: Instant,
    behaviour: Arc<Behaviour>,
    takes: Duration,
    events: Arc<Mutex<Vec<(f64, Value)>>>,
    kept: Arc<Mutex<BTreeMap<String, Value>>>,
    at_once: Arc<Mutex<(usize, usize)>>,
}

impl Scripted {
    fn new(
        behaviour: impl Fn(&Value, usize) -> Result<Value, &'static str> + Send + Sync + 'static,
    ) -> Self {
        Self {
            begun: Instant::now(),
            behaviour: Arc::new(Box::new(behaviour)),
            takes: Duration::ZERO,
            events: Arc::default(),
            kept: Arc::default(),
            at_once: Arc::default(),
        }
    }

    /// The events, each as `second: first-last records` and what else is told of it.
    fn reported(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        events.iter().map(|(at, event)| tell(*at, event)).collect()
    }

    fn events(&self) -> Vec<Value> {
        let events = self.events.lock().unwrap();
        events.iter().map(|(_, event)| event.clone()).collect()
    }

    fn kept(&self) -> Vec<(String, Value)> {
        self.kept.lock().unwrap().clone().into_iter().collect()
    }
}

fn numbers(event: &Value) -> Vec<u64> {
    let records = event["Records"].as_array().unwrap().iter();
    let number = |record: &Value| record["dynamodb"]["SequenceNumber"].as_str()?.parse().ok();
    records.map(|record| number(record).unwrap()).collect()
}

fn tell(at: f64, event: &Value) -> String {
    let numbers = numbers(event);
    let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
    let mut reported = vec![format!("{at:.1}: [{}]", numbers.join(" "))];
    if let Some(end) = event["window"]["end"].as_str() {
        reported.push(format!("until {} state {}", &end[14..19], event["state"]));
    }
    for flag in ["isFinalInvokeForWindow", "isWindowTerminatedEarly"] {
        if event[flag] == true {
            reported.push(flag.to_owned());
        }
    }
    reported.join(" ")
}

impl StreamTarget for Scripted {
    fn function_arn(&self) -> String {
        "arn:function".to_owned()
    }

    async fn invoke(&self, event: Value) -> Result<Value, InvokeError> {
        let before = {
            let mut events = self.events.lock().unwrap();
            events.push((self.begun.elapsed().as_secs_f64(), event.clone()));
            events.len() - 1
        };
        {
            let mut at_once = self.at_once.lock().unwrap();
            at_once.0 += 1;
            at_once.1 = at_once.1.max(at_once.0);
        }
        if !self.takes.is_zero() {
            sleep(self.takes).await;
        }
        self.at_once.lock().unwrap().0 -= 1;
        (self.behaviour)(&event, before).map_err(|message| InvokeError::Function {
            function: "scripted".to_owned(),
            error_type: "Error".to_owned(),
            error_message: message.to_owned(),
        })
    }

    async fn keep(&self, key: String, content: Bytes) -> Result<(), LocalError> {
        let content = serde_json::from_slice(&content).unwrap();
        self.kept.lock().unwrap().insert(key, content);
        Ok(())
    }
}

/// Runs a mapping until everything that appears within `seconds` is delivered.
async fn run(
    records: Vec<(f64, StreamRecord)>,
    function: &Scripted,
    options: StreamMappingOptions,
    seconds: u64,
) {
    let (mapping, work) =
        StreamMapping::new(Script::new(records), function.clone(), options).unwrap();
    let work = tokio::spawn(work);
    sleep(Duration::from_secs(seconds)).await;
    mapping.delivered().await;
    drop(mapping);
    work.await.unwrap();
}

/// Counts the records of a window in its state.
fn count(event: &Value) -> Value {
    let counted = event["state"]["n"].as_u64().unwrap_or(0);
    json!({ "state": { "n": counted + numbers(event).len() as u64 } })
}

fn without_window() -> StreamMappingOptions {
    StreamMappingOptions {
        batching_window: Duration::ZERO,
        maximum_retry_attempts: Some(2),
        ..StreamMappingOptions::without_window()
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_hands_its_state_on_and_ends_with_an_event_without_records() {
    let function = Scripted::new(|event, _| Ok(count(event)));
    let options = StreamMappingOptions::default();
    let times = [1.0, 2.0, 30.0, 59.5, 61.0, 200.0];
    run(inserts(&times), &function, options, 201).await;
    assert_eq!(
        function.reported(),
        [
            // A batch is gathered for 10 s.
            "11.0: [0 1] until 01:00 state {}",
            r#"40.0: [2] until 01:00 state {"n":2}"#,
            // The window's end does not wait for the batching window.
            r#"60.5: [3] until 01:00 state {"n":3}"#,
            r#"60.5: [] until 01:00 state {"n":4} isFinalInvokeForWindow"#,
            "71.0: [4] until 02:00 state {}",
            r#"120.5: [] until 02:00 state {"n":1} isFinalInvokeForWindow"#,
            "210.0: [5] until 04:00 state {}",
            r#"240.5: [] until 04:00 state {"n":1} isFinalInvokeForWindow"#,
        ]
    );
    let event = &function.events()[0];
    assert_eq!(event["window"]["start"], "2027-01-15T08:00:00Z");
    assert_eq!(event["window"]["end"], "2027-01-15T08:01:00Z");
    assert_eq!(event["shardId"], "shardId-00000001-InventoryTable");
    assert_eq!(event["eventSourceARN"], "arn:stream");
    assert_eq!(event["isFinalInvokeForWindow"], false);
}

#[tokio::test(start_paused = true)]
async fn a_record_of_the_next_window_ends_the_one_before() {
    let function = Scripted::new(|event, _| Ok(count(event)));
    let options = StreamMappingOptions {
        batching_window: Duration::from_mins(5),
        ..StreamMappingOptions::default()
    };
    // All there at once, as for a mapping that lags behind.
    let mut records = inserts(&[1.0, 59.0, 60.0, 119.0, 180.0]);
    for (at, _) in &mut records {
        *at = 100.0;
    }
    run(records, &function, options, 100).await;
    assert_eq!(
        function.reported(),
        [
            "100.0: [0 1] until 01:00 state {}",
            r#"100.0: [] until 01:00 state {"n":2} isFinalInvokeForWindow"#,
            "100.0: [2 3] until 02:00 state {}",
            r#"100.0: [] until 02:00 state {"n":2} isFinalInvokeForWindow"#,
            "240.5: [4] until 04:00 state {}",
            r#"240.5: [] until 04:00 state {"n":1} isFinalInvokeForWindow"#,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_late_does_not_open_its_window_again() {
    let function = Scripted::new(|event, _| Ok(count(event)));
    let mut records = inserts(&[1.0, 59.0]);
    records[1].0 = 65.0;
    run(records, &function, StreamMappingOptions::default(), 66).await;
    let reported = function.reported();
    assert_eq!(
        reported[1..3],
        [
            r#"60.5: [] until 01:00 state {"n":1} isFinalInvokeForWindow"#,
            "75.0: [1] until 02:00 state {}",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_state_of_more_than_a_megabyte_ends_the_window_early() {
    let function = Scripted::new(|event, _| {
        let full = numbers(event).contains(&1);
        let state = if full {
            "x".repeat(1_000_000)
        } else {
            "y".to_owned()
        };
        Ok(json!({ "state": { "s": state } }))
    });
    let options = StreamMappingOptions {
        batching_window: Duration::ZERO,
        ..StreamMappingOptions::default()
    };
    run(inserts(&[1.0, 5.0, 10.0]), &function, options, 11).await;
    let reported: Vec<String> = function
        .reported()
        .into_iter()
        .map(|reported| reported.replace(&"x".repeat(1_000_000), "…"))
        .collect();
    assert_eq!(
        reported,
        [
            "1.0: [0] until 01:00 state {}",
            r#"5.0: [1] until 01:00 state {"s":"y"}"#,
            r#"5.0: [] until 01:00 state {"s":"…"} isFinalInvokeForWindow isWindowTerminatedEarly"#,
            "10.0: [2] until 01:00 state {}",
            r#"60.5: [] until 01:00 state {"s":"y"} isFinalInvokeForWindow"#,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_response_of_a_window_without_state_is_a_failure() {
    let function = Scripted::new(|event, before| match before {
        0 => Ok(json!({ "batchItemFailures": [] })),
        1 => Ok(json!({ "state": null })),
        _ => Ok(count(event)),
    });
    run(
        inserts(&[1.0]),
        &function,
        StreamMappingOptions::default(),
        2,
    )
    .await;
    let reported = function.reported();
    assert_eq!(reported.len(), 4, "{reported:?}");
    assert!(
        reported[..3]
            .iter()
            .all(|reported| reported.ends_with("[0] until 01:00 state {}")),
        "{reported:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_last_event_of_a_window_is_offered_again_with_the_same_state() {
    let function = Scripted::new(|event, before| {
        let last = event["isFinalInvokeForWindow"] == true;
        if last && before < 4 {
            Err("no SNS")
        } else {
            Ok(count(event))
        }
    });
    // Those of the next window wait for it.
    let times = [1.0, 61.0];
    run(
        inserts(&times),
        &function,
        StreamMappingOptions::default(),
        62,
    )
    .await;
    let reported = function.reported();
    let last =
        |at: f64| format!(r#"{at:.1}: [] until 01:00 state {{"n":1}} isFinalInvokeForWindow"#);
    assert_eq!(reported[1..5], [60.5, 60.6, 60.8, 61.2].map(last));
    assert_eq!(reported[5], "71.2: [1] until 02:00 state {}");
    assert!(function.kept().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_state_that_is_never_taken_goes_to_the_destination() {
    let function = Scripted::new(|event, _| {
        if event["isFinalInvokeForWindow"] == true {
            Err("no SNS")
        } else {
            Ok(count(event))
        }
    });
    let options = StreamMappingOptions {
        maximum_retry_attempts: Some(2),
        ..StreamMappingOptions::default()
    };
    run(inserts(&[1.0, 2.0]), &function, options, 3).await;
    let kept = function.kept();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let record = &kept[0].1;
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 3);
    assert_eq!(
        record["DDBStreamBatchInfo"]["startSequenceNumber"],
        format!("{:021}", 0)
    );
    assert_eq!(
        record["DDBStreamBatchInfo"]["endSequenceNumber"],
        format!("{:021}", 1)
    );
    let payload: Value = serde_json::from_str(record["payload"].as_str().unwrap()).unwrap();
    assert_eq!(payload["state"], json!({ "n": 2 }));
}

#[tokio::test(start_paused = true)]
async fn batches_are_closed_by_size_bytes_and_time() {
    let ok = |_: &Value, _: usize| Ok(json!({}));
    let at_once = vec![0.0; 25];
    let options = |batch_size, batching_window| StreamMappingOptions {
        batch_size,
        batching_window: Duration::from_secs(batching_window),
        ..without_window()
    };

    let function = Scripted::new(ok);
    run(inserts(&at_once), &function, options(10, 5), 1).await;
    let sizes = function
        .events()
        .iter()
        .map(|event| numbers(event).len())
        .collect::<Vec<_>>();
    assert_eq!(sizes, [10, 10, 5]);
    assert!(
        function.reported()[2].starts_with("5.0"),
        "{:?}",
        function.reported()
    );

    let function = Scripted::new(ok);
    run(
        inserts(&[0.0, 1.0, 4.75, 5.5]),
        &function,
        options(10, 5),
        6,
    )
    .await;
    assert_eq!(function.reported(), ["5.0: [0 1 2]", "10.5: [3]"]);

    // Each takes 1 MB, so that five fit into 6 MB with what surrounds them.
    let function = Scripted::new(ok);
    let large = inserts(&at_once[..12]).into_iter().map(|(at, record)| {
        (
            at,
            StreamRecord::new(record.json().clone(), 1 << 20).unwrap(),
        )
    });
    run(large.collect(), &function, options(10_000, 0), 1).await;
    let sizes = function
        .events()
        .iter()
        .map(|event| numbers(event).len())
        .collect::<Vec<_>>();
    assert_eq!(sizes, [5, 5, 2]);
}

#[tokio::test(start_paused = true)]
async fn records_that_the_filter_leaves_out_do_not_start_the_function() {
    let records = || {
        let names = ["INSERT", "MODIFY", "REMOVE", "INSERT"];
        let records = names.iter().enumerate();
        records
            .map(|(number, name)| record(number, 0.0, "a", name))
            .collect::<Vec<_>>()
    };
    for (names, reported) in [
        (&["INSERT"][..], "[0 3]"),
        (&["MODIFY", "REMOVE"], "[1 2]"),
        (&[], "[0 1 2 3]"),
    ] {
        let function = Scripted::new(|_, _| Ok(json!({})));
        let options = StreamMappingOptions {
            event_names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..without_window()
        };
        run(records(), &function, options, 1).await;
        assert_eq!(function.reported(), [format!("0.0: {reported}")]);
    }
    let function = Scripted::new(|_, _| Ok(json!({})));
    run(
        vec![record(0, 0.0, "a", "REMOVE")],
        &function,
        StreamMappingOptions::default(),
        1,
    )
    .await;
    assert!(function.reported().is_empty());
}

/// What a run says in which every event with record 5 fails.
async fn poisoned(options: StreamMappingOptions) -> Scripted {
    let function = Scripted::new(|event, _| {
        if numbers(event).contains(&5) {
            Err("poison")
        } else {
            Ok(json!({}))
        }
    });
    run(inserts(&[0.0; 8]), &function, options, 1).await;
    function
}

#[tokio::test(start_paused = true)]
async fn a_failed_batch_is_halved_until_the_bad_record_stands_alone() {
    let function = poisoned(without_window()).await;
    let reported: Vec<String> = function
        .events()
        .iter()
        .map(|event| format!("{:?}", numbers(event)))
        .collect();
    assert_eq!(
        reported,
        [
            "[0, 1, 2, 3, 4, 5, 6, 7]",
            "[0, 1, 2, 3]",
            "[4, 5, 6, 7]",
            "[4, 5]",
            "[4]",
            // Two retries, as splitting is none.
            "[5]",
            "[5]",
            "[5]",
            "[6, 7]",
        ]
    );
    let kept = function.kept();
    assert_eq!(kept.len(), 1);
    let (key, record) = &kept[0];
    let parts: Vec<&str> = key.split('/').collect();
    assert_eq!(parts[..2], ["aws", "lambda"]);
    assert_eq!(
        parts[3..7],
        ["shardId-00000001-InventoryTable", "2027", "01", "15"]
    );
    assert!(parts[7].starts_with("2027-01-15T08.00.0"), "{key}");
    assert_eq!(
        record["requestContext"]["condition"],
        "RetryAttemptsExhausted"
    );
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 3);
    assert_eq!(record["requestContext"]["functionArn"], "arn:function");
    assert_eq!(record["responseContext"]["functionError"], "Unhandled");
    let batch = &record["DDBStreamBatchInfo"];
    assert_eq!(batch["batchSize"], 1);
    assert_eq!(batch["startSequenceNumber"], format!("{:021}", 5));
    assert_eq!(batch["endSequenceNumber"], format!("{:021}", 5));
    assert_eq!(
        batch["approximateArrivalOfFirstRecord"],
        "2027-01-15T08:00:00Z"
    );
    assert_eq!(batch["streamArn"], "arn:stream");
    let payload: Value = serde_json::from_str(record["payload"].as_str().unwrap()).unwrap();
    assert_eq!(numbers(&payload), [5]);
}

#[tokio::test(start_paused = true)]
async fn without_halving_the_whole_batch_is_given_up() {
    let function = poisoned(StreamMappingOptions {
        bisect_batch_on_function_error: false,
        on_failure: false,
        ..without_window()
    })
    .await;
    assert_eq!(
        function.reported(),
        ["0.0", "0.1", "0.3"].map(|at| format!("{at}: [0 1 2 3 4 5 6 7]"))
    );
    assert!(function.kept().is_empty());
}

#[tokio::test(start_paused = true)]
async fn records_that_get_too_old_are_given_up() {
    let function = Scripted::new(|event, _| {
        if numbers(event).contains(&0) {
            Err("never")
        } else {
            Ok(json!({}))
        }
    });
    let options = StreamMappingOptions {
        maximum_retry_attempts: None,
        maximum_record_age: Some(Duration::from_mins(1)),
        bisect_batch_on_function_error: false,
        batching_window: Duration::from_secs(1),
        ..without_window()
    };
    let mut records = inserts(&[0.0, 0.5, 30.0]);
    // The second is a minute younger than the first, though in one batch with it.
    records[1] = record(1, 50.0, "1", "INSERT");
    records[1].0 = 0.5;
    run(records, &function, options, 31).await;
    let events = function.events();
    let (first, rest) = events.split_at(events.len() - 2);
    assert!(
        first.len() > 5 && first.iter().all(|event| numbers(event) == [0, 1]),
        "{:?}",
        function.reported()
    );
    assert_eq!([numbers(&rest[0]), numbers(&rest[1])], [[1], [2]]);
    let kept = function.kept();
    assert_eq!(kept.len(), 1);
    assert_eq!(
        kept[0].1["requestContext"]["condition"],
        "RecordAgeExceeded"
    );
    assert_eq!(kept[0].1["DDBStreamBatchInfo"]["batchSize"], 1);
}

fn failed(numbers: &[u64]) -> Value {
    let items = numbers
        .iter()
        .map(|number| json!({ "itemIdentifier": format!("{number:021}") }));
    json!(items.collect::<Vec<_>>())
}

#[tokio::test(start_paused = true)]
async fn reading_goes_on_at_the_lowest_record_that_failed() {
    let function = Scripted::new(|_, before| {
        let failures = if before == 0 {
            failed(&[5, 2, 3])
        } else {
            json!([])
        };
        Ok(json!({ "batchItemFailures": failures }))
    });
    run(inserts(&[0.0; 8]), &function, without_window(), 1).await;
    assert_eq!(
        function.reported(),
        ["0.0: [0 1 2 3 4 5 6 7]", "0.1: [2 3 4 5 6 7]"]
    );

    let function = Scripted::new(|_, _| Ok(json!({ "batchItemFailures": failed(&[2]) })));
    let options = StreamMappingOptions {
        report_batch_item_failures: false,
        ..without_window()
    };
    run(inserts(&[0.0; 8]), &function, options, 1).await;
    assert_eq!(
        function.reported(),
        ["0.0: [0 1 2 3 4 5 6 7]"],
        "the report is not asked for"
    );
}

#[tokio::test(start_paused = true)]
async fn a_report_of_the_first_record_uses_attempts_up_and_is_not_halved() {
    let function = Scripted::new(|event, _| {
        let failures = if numbers(event).contains(&2) {
            failed(&[2])
        } else {
            json!([])
        };
        Ok(json!({ "batchItemFailures": failures }))
    });
    run(inserts(&[0.0; 4]), &function, without_window(), 1).await;
    let reported = function.reported();
    assert_eq!(reported.len(), 4, "{reported:?}");
    assert!(
        reported[1..]
            .iter()
            .all(|reported| reported.ends_with(": [2 3]")),
        "{reported:?}"
    );
    let kept = function.kept();
    assert_eq!(kept[0].1["DDBStreamBatchInfo"]["batchSize"], 2);
    assert_eq!(kept[0].1["responseContext"]["functionError"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_partial_failure_in_a_window_keeps_the_state_of_what_was_handled() {
    let function = Scripted::new(|event, before| match before {
        0 => Ok(json!({ "state": { "n": 2 }, "batchItemFailures": failed(&[2]) })),
        // Nothing of it was handled, so its state is nothing, either.
        1 => Ok(json!({ "state": { "n": 99 }, "batchItemFailures": failed(&[2]) })),
        _ => Ok(count(event)),
    });
    run(
        inserts(&[0.0; 4]),
        &function,
        StreamMappingOptions::default(),
        1,
    )
    .await;
    let reported: Vec<String> = function
        .reported()
        .iter()
        .map(|reported| reported[reported.find('[').unwrap()..].to_owned())
        .collect();
    assert_eq!(
        reported,
        [
            "[0 1 2 3] until 01:00 state {}",
            r#"[2 3] until 01:00 state {"n":2}"#,
            r#"[2 3] until 01:00 state {"n":2}"#,
            r#"[] until 01:00 state {"n":4} isFinalInvokeForWindow"#,
        ]
    );
}

/// Records of 40 items, 25 of each, in turn.
fn of_many_items() -> Vec<(f64, StreamRecord)> {
    let record = |number: usize| record(number, 0.0, &format!("item {}", number % 40), "MODIFY");
    (0..1000).map(record).collect()
}

/// Checks that every record came once, and those of an item in order.
fn check_order(function: &Scripted) {
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for number in function.events().iter().flat_map(numbers) {
        assert!(seen.insert(number), "{number} came twice");
        let before = last.insert(number % 40, number);
        assert!(before < Some(number), "{number} came after {before:?}");
    }
    assert_eq!(seen.len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn lanes_work_at_once_and_keep_the_order_of_each_item() {
    for (factor, at_once) in [(1, 1), (4, 4)] {
        let mut function = Scripted::new(|_, _| Ok(json!({})));
        function.takes = Duration::from_secs(1);
        let options = StreamMappingOptions {
            parallelization_factor: factor,
            batch_size: 50,
            event_names: Vec::new(),
            ..without_window()
        };
        run(of_many_items(), &function, options, 1).await;
        check_order(&function);
        assert_eq!(function.at_once.lock().unwrap().1, at_once, "{factor}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_shard_has_windows_of_its_own() {
    let function = Scripted::new(|event, _| Ok(count(event)));
    let options = StreamMappingOptions {
        shards: 3,
        batch_size: 50,
        event_names: Vec::new(),
        ..StreamMappingOptions::default()
    };
    run(of_many_items(), &function, options, 1).await;
    check_order(&function);
    let events = function.events();
    let last = events
        .iter()
        .filter(|event| event["isFinalInvokeForWindow"] == true);
    let counts: BTreeMap<&str, u64> = last
        .map(|event| {
            (
                event["shardId"].as_str().unwrap(),
                event["state"]["n"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(counts.len(), 3, "{counts:?}");
    assert_eq!(counts.values().sum::<u64>(), 1000, "{counts:?}");
    assert_eq!(
        events
            .iter()
            .filter(|event| event["isFinalInvokeForWindow"] == true)
            .count(),
        3
    );
}

#[tokio::test(start_paused = true)]
async fn a_function_that_is_slow_loses_nothing() {
    // Far more than a worker reads ahead, and than what the log used to keep.
    let records: Vec<_> = (0..120_000)
        .map(|number| record(number, 0.0, "a", "INSERT"))
        .collect();
    let mut function = Scripted::new(|event, _| Ok(count(event)));
    function.takes = Duration::from_secs(7);
    run(records, &function, StreamMappingOptions::default(), 1).await;
    let events = function.events();
    assert!(events.iter().flat_map(numbers).eq(0..120_000));
    assert_eq!(events.last().unwrap()["state"], json!({ "n": 120_000 }));
}

#[test]
fn what_lambda_does_not_take_is_refused() {
    let options = StreamMappingOptions {
        parallelization_factor: 2,
        ..StreamMappingOptions::default()
    };
    let function = Scripted::new(|_, _| Ok(json!({})));
    let refused = StreamMapping::new(Script::new([]), function, options).map(drop);
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("with a tumbling window"), "{error}");
}
