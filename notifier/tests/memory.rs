//! Memory and state depend on what is told, not on how much is counted.

#![allow(clippy::unwrap_used, reason = "test support: a panic is the report")]

use notifier::change::{Change, EventName};
use notifier::digest::{DIGEST_BYTES_MAX, Digest};
use notifier::record::{self, Read};
use notifier::settings::{NAMES_MAX, Settings};
use notifier::watch::Watch;
use serde_json::value::RawValue;
use serde_json::{Value, json};

fn settings() -> Settings {
    Settings {
        event_names: vec![EventName::Insert, EventName::Modify],
        watch: Watch::parse("quantity < 10; price changed by > 20%").unwrap(),
        ..Settings::new("arn:aws:sns:eu-central-1:123456789012:inventory-alerts")
    }
}

fn records(count: u64) -> Box<RawValue> {
    let image = |number: u64| {
        json!({
            "name": { "S": format!("Laptop \"{number}\"") },
            "quantity": { "N": (number % 20).to_string() },
            "price": { "N": "999.50" },
            "description": { "S": "x".repeat(300) },
        })
    };
    let records: Vec<Value> = (0..count)
        .map(|number| {
            let event_name = ["INSERT", "MODIFY"][number as usize % 2];
            let keys = json!({ "productId": { "S": format!("P{number}") } });
            json!({ "eventName": event_name, "dynamodb": {
                "Keys": keys, "OldImage": image(number + 1), "NewImage": image(number), "SequenceNumber": number.to_string(),
            } })
        })
        .collect();
    RawValue::from_string(Value::from(records).to_string()).unwrap()
}

#[test]
fn memory_is_flat_however_many_records_an_event_has() {
    let settings = settings();
    let peak_bytes = |records: &RawValue| {
        let measured = allocation_counter::measure(|| {
            let mut digest = Digest::default();
            record::read(records, &settings, 10, |read| match read {
                Read::Change(change) => digest.add(&change, &settings),
                other => panic!("{other:?}"),
            })
            .unwrap();
        });
        measured.bytes_max
    };
    let (few, many) = (records(100), records(5_000));
    let (few_bytes, many_bytes) = (peak_bytes(&few), peak_bytes(&many));
    println!(
        "{few_bytes} B for {} KiB of records, {many_bytes} B for {} KiB",
        few.get().len() >> 10,
        many.get().len() >> 10
    );
    assert!(many_bytes < 64 << 10, "{many_bytes}");
    assert!(many_bytes <= few_bytes + 1024, "{few_bytes}, {many_bytes}");
}

#[test]
fn a_state_stays_small() {
    let mut settings = settings();
    settings.names = NAMES_MAX;
    let name = "👕".repeat(200);
    let change = Change::new(EventName::Insert, name.as_str());
    let mut digest = Digest::default();
    let mut sizes = Vec::new();
    for count in 1..=1_000_000_u64 {
        digest.add(&change, &settings);
        if [100, 1_000_000].contains(&count) {
            sizes.push(serde_json::to_string(&digest).unwrap().len());
        }
    }
    assert_eq!(digest.count(), 1_000_000);
    let digits = "1000000".len() - "100".len();
    // Of the count, and of the count of records without an image, as these are.
    assert_eq!(sizes[1] - sizes[0], 2 * digits);
    assert!(sizes[1] < DIGEST_BYTES_MAX, "{sizes:?}");
}
