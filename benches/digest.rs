//! An invocation of the notifier with the largest event that Lambda hands over: 10,000 records, 6 MB.
//!
//! From the event's bytes to the answer's, as the function does it, but for the network. In CPU time.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use notifier::Error;
use notifier::budget::Store;
use notifier::change::EventName;
use notifier::function::{Event, Notifier};
use notifier::message::Message;
use notifier::publish::{Publish, UndeliveredStore};
use notifier::settings::Settings;
use notifier::watch::Watch;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Most records of an invocation: <https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html>.
const RECORDS: u64 = 10_000;
/// Two images of an item are larger: that many records fit.
const RECORDS_MODIFIED: u64 = 8_000;
/// Most bytes of an invocation: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
const EVENT_BYTES_MAX: usize = 6 << 20;

/// Takes everything and keeps nothing.
struct Nowhere;

impl Publish for Nowhere {
    async fn publish(&self, messages: &[&Message]) -> Vec<Result<String, Error>> {
        messages
            .iter()
            .map(|message| Ok(message.id().to_owned()))
            .collect()
    }
}

impl UndeliveredStore for Nowhere {
    async fn store(&self, message: &Message) -> Result<String, Error> {
        Ok(message.id().to_owned())
    }
}

impl Store for Nowhere {
    async fn load(&self) -> Result<Option<(String, u64)>, Error> {
        Ok(None)
    }

    async fn save(&self, _json: String, _version: Option<u64>) -> Result<bool, Error> {
        Ok(true)
    }
}

fn image(number: u64, quantity: u64, description_bytes: usize) -> Value {
    json!({
        "productId": { "S": format!("P{number:07}") },
        "name": { "S": format!("Laptop 14\" no. {number}") },
        "quantity": { "N": quantity.to_string() },
        "price": { "N": format!("{}.50", 100 + number % 900) },
        "description": { "S": "x".repeat(description_bytes) },
    })
}

/// An event of one kind of record, nearly as large as Lambda makes them.
fn event(event_name: &str, last: bool) -> String {
    let modified = event_name == "MODIFY";
    let count = if modified { RECORDS_MODIFIED } else { RECORDS };
    let build = |description_bytes: usize| {
        let records: Vec<Value> = (0..count)
            .map(|number| {
                let mut dynamodb = json!({
                    "ApproximateCreationDateTime": 1_795_424_400.0,
                    "Keys": { "productId": { "S": format!("P{number:07}") } },
                    "NewImage": image(number, number % 100, description_bytes),
                    "SequenceNumber": format!("4421584500000000{number:012}"),
                    "SizeBytes": 500,
                    "StreamViewType": "NEW_AND_OLD_IMAGES",
                });
                if modified {
                    dynamodb["OldImage"] = image(number, (number + 5) % 100, description_bytes);
                }
                json!({
                    "eventID": format!("{number:032x}"),
                    "eventName": event_name,
                    "eventVersion": "1.1",
                    "eventSource": "aws:dynamodb",
                    "awsRegion": "eu-central-1",
                    "dynamodb": dynamodb,
                    "eventSourceARN": "arn:aws:dynamodb:eu-central-1:123456789012:table/InventoryTable/stream/2026-11-23T08:58:02.345",
                })
            })
            .collect();
        json!({
            "Records": records,
            "window": { "start": "2026-11-23T09:00:00Z", "end": "2026-11-23T09:01:00Z" },
            "state": {},
            "shardId": "shardId-1",
            "isFinalInvokeForWindow": last,
            "isWindowTerminatedEarly": false,
        })
        .to_string()
    };
    let frame_bytes = build(0).len();
    let room_bytes = EVENT_BYTES_MAX.saturating_sub(frame_bytes) / count as usize;
    build(if modified { room_bytes / 2 } else { room_bytes })
}

fn settings(event_names: &[EventName], rules: &str) -> Settings {
    Settings {
        event_names: event_names.to_vec(),
        watch: Watch::parse(rules).expect("rules that can be read"),
        ..Settings::new("arn:aws:sns:eu-central-1:123456789012:inventory-alerts")
    }
}

/// What this process has used of the processors.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).expect("time that has passed")
}

fn digest(c: &mut Criterion) {
    use EventName::{Insert, Modify};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let rules = "quantity < 10; price changed by > 20%";
    let mut group = c.benchmark_group("digest");
    group.sample_size(50);
    for (name, kind, last, settings) in [
        ("INSERT, 10 names", "INSERT", false, settings(&[Insert], "")),
        (
            "INSERT, the window's end",
            "INSERT",
            true,
            settings(&[Insert], ""),
        ),
        (
            "INSERT, two watch rules",
            "INSERT",
            false,
            settings(&[Insert], rules),
        ),
        (
            "MODIFY, what changed",
            "MODIFY",
            false,
            settings(&[Modify], ""),
        ),
        (
            "MODIFY, two watch rules",
            "MODIFY",
            false,
            settings(&[Modify], rules),
        ),
        (
            "MODIFY, nobody asked",
            "MODIFY",
            false,
            settings(&[Insert], ""),
        ),
    ] {
        let event = event(kind, last);
        let most = EVENT_BYTES_MAX * 9 / 10..=EVENT_BYTES_MAX;
        assert!(most.contains(&event.len()), "{name}: {} bytes", event.len());
        let notifier = Notifier::new(settings, Nowhere, Nowhere, Nowhere);
        let invoke = || {
            let event: Event = serde_json::from_slice(event.as_bytes()).expect("an event");
            let deadline = Instant::now() + Duration::from_secs(29);
            let answer = runtime.block_on(notifier.handle(&event, deadline));
            serde_json::to_vec(&answer.expect("nothing fails")).expect("an answer is JSON")
        };
        group.throughput(Throughput::Bytes(event.len() as u64));
        group.bench_function(name, |b| {
            b.iter_custom(|times| {
                let start = cpu_time();
                for _ in 0..times {
                    black_box(invoke());
                }
                cpu_time().saturating_sub(start)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, digest);
criterion_main!(benches);
