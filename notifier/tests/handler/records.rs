//! Whatever DynamoDB can put into a stream becomes messages that SNS takes.

use notifier::change::EventName;
use notifier::digest::{Digest, Parcel, Window};
use notifier::function::STATE_BYTES_MAX;
use notifier::message::{MESSAGE_BYTES_MAX, Message};
use notifier::record::{self, Read};
use notifier::settings::{NAMES_MAX, Settings};
use notifier::watch::Watch;
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::scripted::{ARN, Call, Reply, TIME_LEFT, World, insert, reported};

const KINDS: [EventName; 3] = [EventName::Insert, EventName::Modify, EventName::Remove];

fn settings(names: usize) -> Settings {
    Settings {
        event_names: KINDS.to_vec(),
        names,
        watch: Watch::parse(
            "price < 10; price changed by > 20%; name changed; 'a' = true; name = ''",
        )
        .unwrap(),
        ..Settings::new(ARN)
    }
}

/// A number as DynamoDB writes it.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?(0|[1-9][0-9]{0,37})",
        "-?[1-9][0-9]{0,18}\\.[0-9]{0,18}[1-9]",
        "-?[1-9]\\.[0-9]{0,36}[1-9]E[+-](12[0-5]|[1-9][0-9]?)",
        Just("0.".to_owned() + &"0".repeat(129) + "1"),
        Just("9.9999999999999999999999999999999999999E+125".to_owned()),
    ]
}

fn binary() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "([A-Za-z0-9+/]{4}){0,8}"]
}

/// All ten types, nested, empty and not.
fn attribute() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        any::<String>().prop_map(|text| json!({ "S": text })),
        number().prop_map(|number| json!({ "N": number })),
        binary().prop_map(|binary| json!({ "B": binary })),
        any::<bool>().prop_map(|value| json!({ "BOOL": value })),
        Just(json!({ "NULL": true })),
        prop::collection::vec(any::<String>(), 1..4).prop_map(|texts| json!({ "SS": texts })),
        prop::collection::vec(number(), 1..4).prop_map(|numbers| json!({ "NS": numbers })),
        prop::collection::vec(binary(), 1..4).prop_map(|binaries| json!({ "BS": binaries })),
    ];
    scalar.prop_recursive(5, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|values| json!({ "L": values })),
            prop::collection::btree_map(any::<String>(), inner, 0..5)
                .prop_map(|values| json!({ "M": values })),
        ]
    })
}

/// An item, or none: `null` and left out are both what a stream without images may send.
fn image() -> impl Strategy<Value = Option<Value>> {
    let name = prop_oneof![
        3 => prop_oneof![Just("name"), Just("price"), Just("a")].prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    prop_oneof![
        5 => prop::collection::btree_map(name, attribute(), 0..6).prop_map(|item| Some(json!(item))),
        1 => Just(None),
        1 => Just(Some(Value::Null)),
    ]
}

fn key() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        any::<String>().prop_map(|text| json!({ "S": text })),
        number().prop_map(|number| json!({ "N": number })),
        binary().prop_map(|binary| json!({ "B": binary })),
    ];
    prop::collection::btree_map(any::<String>(), value, 1..3).prop_map(|key| json!(key))
}

/// A record, its fields in any order.
fn stream_record() -> impl Strategy<Value = String> {
    let order = Just([
        "Keys",
        "NewImage",
        "OldImage",
        "SequenceNumber",
        "SizeBytes",
    ])
    .prop_shuffle();
    (
        0..KINDS.len(),
        key(),
        image(),
        image(),
        order,
        any::<bool>(),
        any::<u64>(),
    )
        .prop_map(|(kind, keys, old, new, order, name_last, number)| {
            let mut dynamodb = Vec::new();
            for field in order {
                let value = match field {
                    "Keys" => Some(keys.clone()),
                    "NewImage" => new.clone(),
                    "OldImage" => old.clone(),
                    "SequenceNumber" => Some(json!(number.to_string())),
                    _ => Some(json!(1)),
                };
                dynamodb.extend(value.map(|value| format!("\"{field}\":{value}")));
            }
            let dynamodb = format!("\"dynamodb\":{{{}}}", dynamodb.join(","));
            let name = format!("\"eventName\":\"{}\"", KINDS[kind]);
            if name_last {
                format!("{{{dynamodb},\"x\":[{{}}],{name}}}")
            } else {
                format!("{{{name},{dynamodb}}}")
            }
        })
}

/// Counts records, and fails if one cannot be read.
fn counted(records: &str, settings: &Settings) -> Digest {
    let records = RawValue::from_string(records.to_owned()).unwrap();
    let mut digest = Digest::default();
    record::read(&records, settings, settings.names, |read| match read {
        Read::Change(change) => digest.add(&change, settings),
        other => panic!("{other:?}"),
    })
    .unwrap();
    digest
}

/// Checks what SNS and Lambda would refuse.
fn check(digest: Digest) {
    assert!(serde_json::to_string(&digest).unwrap().len() < STATE_BYTES_MAX);
    let parcel = Parcel {
        id: "0".repeat(32),
        digests: 1,
        table: Some("t".repeat(255)),
        window: Some(Window {
            start: "2026-11-23T09:00:00Z".into(),
            end: "2026-11-23T09:01:00Z".into(),
        }),
        digest,
    };
    for message in Message::all(&parcel) {
        let subject = message.subject();
        assert!((1..=100).contains(&subject.len()), "{subject}");
        assert!(
            subject.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{subject:?}"
        );
        assert!(
            subject.starts_with(|first: char| first.is_ascii_alphanumeric()),
            "{subject:?}"
        );
        assert!(message.size_bytes() <= MESSAGE_BYTES_MAX);
        let body: Map<String, Value> = serde_json::from_str(message.body()).unwrap();
        for (protocol, text) in &body {
            let text = text.as_str().unwrap();
            // SNS takes the characters of XML: https://aws.amazon.com/sns/faqs/
            let printable = |character: char| character == '\n' || !character.is_control();
            assert!(
                !text.is_empty() && text.chars().all(printable),
                "{protocol}: {text:?}"
            );
        }
        for attribute in message.attributes() {
            assert!(!attribute.value.is_empty());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_record_that_dynamodb_can_make_is_digested(
        records in prop::collection::vec(stream_record(), 1..12),
        names in 1..=NAMES_MAX,
    ) {
        let settings = settings(names);
        let digest = counted(&format!("[{}]", records.join(",")), &settings);
        prop_assert_eq!(digest.count(), records.len() as u64);
        prop_assert_eq!(digest.malformed(), 0);
        check(digest);
    }

    #[test]
    fn digests_of_parts_are_the_digest_of_all(
        records in prop::collection::vec(stream_record(), 1..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let settings = settings(25);
        let whole = counted(&format!("[{}]", records.join(",")), &settings);
        let (first, rest) = records.split_at(cut.index(records.len()));
        let mut parts = counted(&format!("[{}]", first.join(",")), &settings);
        // On its way it was a window's state.
        let rest = serde_json::to_string(&counted(&format!("[{}]", rest.join(",")), &settings)).unwrap();
        parts.merge(serde_json::from_str(&rest).unwrap(), settings.names);
        prop_assert_eq!(parts, whole);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// Broken records among good ones, cut into invocations anyhow.
    #[test]
    fn malformed_records_are_counted_and_never_block(
        broken in prop::collection::vec(any::<bool>(), 1..60),
        cuts in prop::collection::vec(1_usize..20, 60),
        how in prop::sample::select(vec![
            json!(null), json!(7), json!("x"), json!([]), json!({}),
            json!({ "eventName": "INSERT" }), json!({ "eventName": "DROP", "dynamodb": {} }),
            json!({ "eventName": "INSERT", "dynamodb": { "Keys": {} } }),
            json!({ "eventName": "INSERT", "dynamodb": { "Keys": { "k": { "L": [] } } } }),
            json!({ "eventName": "INSERT", "dynamodb": { "NewImage": { "name": { "S": "x", "N": "1" } } } }),
            json!({ "eventName": ["INSERT"], "dynamodb": 1 }),
        ]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = World::new(&[], Reply::Accept);
            let notifier = world.notifier(Settings::new(ARN));
            let mut records: Vec<Value> = broken
                .iter()
                .enumerate()
                .map(|(number, broken)| if *broken { how.clone() } else { insert(number as u64) })
                .collect();
            let mut call = Call::new(0, vec![]);
            for cut in cuts {
                let rest = records.split_off(cut.min(records.len()));
                (call.records, records) = (records, rest);
                call.state = call.once(&notifier, TIME_LEFT).await.unwrap();
            }
            assert!(records.is_empty());
            let state = call.state.clone();
            (call.records, call.last) = (vec![], true);
            call.once(&notifier, TIME_LEFT).await.unwrap();
            let bad = broken.iter().filter(|broken| **broken).count();
            assert_eq!(state["digest"]["malformed"], bad);
            assert_eq!(reported(&world).0, (broken.len() - bad) as u64);
        });
    }
}

/// The longest of everything, in every kind of character.
#[test]
fn messages_stay_within_their_limits() {
    for letter in ["x", "👕", "\"", "\u{0}"] {
        let long = letter.repeat(1000);
        let rules: Vec<String> = (0..20)
            .map(|number| {
                format!(
                    "'{0}{number}' != '' AND b rose AND c changed",
                    "ü".repeat(150)
                )
            })
            .collect();
        let settings = Settings {
            watch: Watch::parse(&rules.join(";")).unwrap(),
            ..settings(NAMES_MAX)
        };
        let item = |number: u64| {
            let mut item = json!({ "name": { "S": long }, "b": { "N": number.to_string() }, "c": { "S": format!("{number}{long}") } });
            for other in 0..9 {
                item[format!("{other}{long}")] = json!({ "S": format!("{number}{long}") });
            }
            for rule in 0..20 {
                item[format!("{}{rule}", "ü".repeat(150))] = json!({ "S": long });
            }
            item
        };
        let records: Vec<Value> = (0..75)
            .map(|number| {
                let kind = KINDS[number % 3].to_string();
                let (old, new) = (item(number as u64), item(number as u64 + 1));
                json!({ "eventName": kind, "dynamodb": { "Keys": { "k": { "S": long } }, "OldImage": old, "NewImage": new } })
            })
            .collect();
        check(counted(&json!(records).to_string(), &settings));
    }
}

#[test]
fn an_item_of_400_kb_and_32_levels_is_digested() {
    let mut nested = json!({ "S": "deep" });
    for level in 0..31 {
        nested = if level % 2 == 0 {
            json!({ "L": [nested] })
        } else {
            json!({ "M": { "m": nested } })
        };
    }
    let item = json!({ "name": { "S": "ä".repeat(200_000) }, "price": nested, "a": { "B": "AAAA".repeat(1000) } });
    let records = json!([
        { "eventName": "INSERT", "dynamodb": { "Keys": { "k": { "S": "k" } }, "NewImage": item } },
        { "eventName": "MODIFY", "dynamodb": { "Keys": { "k": { "S": "k" } }, "OldImage": item, "NewImage": { "price": { "N": "1" } } } },
    ]);
    let digest = counted(&records.to_string(), &settings(10));
    assert_eq!(digest.count(), 2);
    assert_eq!(digest.inserted().items()[0].name, "ä".repeat(97) + "...");
    check(digest);
}
