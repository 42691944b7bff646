//! docs/NOTIFICATIONS.md shows what the code really writes, and the JSON schemas describe all of it.
//!
//! `INTAKE_WRITE_DOCS=1 cargo test -p notifier --test docs` writes the generated blocks anew.

#![allow(clippy::unwrap_used, reason = "test support: a panic is the report")]

use std::fs;
use std::path::PathBuf;

use boon::{Compiler, SchemaIndex, Schemas};
use notifier::change::{Change, EventName};
use notifier::digest::{Digest, Parcel, Window};
use notifier::message::Message;
use notifier::record::{self, Read};
use notifier::settings::{self, Settings};
use notifier::watch::Watch;
use serde_json::value::RawValue;
use serde_json::{Value, json};

const ARN: &str = "arn:aws:sns:eu-central-1:123456789012:inventory-alerts";
const RULES: &str = "quantity < 10; price changed by > 20%";

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

fn settings(event_names: &[EventName], rules: &str) -> Settings {
    Settings {
        event_names: event_names.to_vec(),
        watch: Watch::parse(rules).unwrap(),
        ..Settings::new(ARN)
    }
}

/// A digest of a minute in which this happened.
fn parcel(digest: Digest) -> Parcel {
    Parcel {
        id: "5f2b8a3c9d4e4f61a7b8c9d0e1f20304".into(),
        digests: 1,
        table: Some("InventoryTable".into()),
        window: Some(Window {
            start: "2026-11-23T09:00:00Z".into(),
            end: "2026-11-23T09:01:00Z".into(),
        }),
        digest,
    }
}

fn inserted(names: impl Iterator<Item = String>) -> Parcel {
    let mut digest = Digest::default();
    for name in names {
        digest.add(
            &Change::new(EventName::Insert, name),
            &settings(&[EventName::Insert], ""),
        );
    }
    parcel(digest)
}

/// What a stream's records amount to.
fn counted(records: &Value, settings: &Settings) -> Parcel {
    let records = RawValue::from_string(records.to_string()).unwrap();
    let mut digest = Digest::default();
    record::read(&records, settings, 10, |read| match read {
        Read::Change(change) => digest.add(&change, settings),
        Read::Passed => {}
        Read::Malformed(..) => digest.add_malformed(),
    })
    .unwrap();
    parcel(digest)
}

fn product(name: &str, quantity: &str, price: &str) -> Value {
    json!({ "name": { "S": name }, "quantity": { "N": quantity }, "price": { "N": price } })
}

/// A working day: two products are added, one is changed, one is removed, one record is broken.
fn day() -> Value {
    json!([
        { "eventName": "INSERT", "dynamodb": { "Keys": { "productId": { "S": "P1002" } }, "NewImage": product("Mouse", "100", "20") } },
        { "eventName": "INSERT", "dynamodb": { "Keys": { "productId": { "S": "P1003" } }, "NewImage": product("Desk lamp", "4", "35.50") } },
        { "eventName": "MODIFY", "dynamodb": { "Keys": { "productId": { "S": "P1001" } }, "OldImage": product("Laptop", "12", "1200"), "NewImage": product("Laptop", "9", "899") } },
        { "eventName": "REMOVE", "dynamodb": { "Keys": { "productId": { "S": "P0999" } }, "OldImage": product("Cable", "0", "5") } },
        { "eventName": "INSERT", "dynamodb": { "NewImage": 7 } },
    ])
}

fn everything() -> Parcel {
    use EventName::{Insert, Modify, Remove};
    counted(&day(), &settings(&[Insert, Modify, Remove], RULES))
}

/// A parcel of which every part is as large as it gets.
fn largest() -> Parcel {
    use EventName::{Insert, Modify, Remove};
    let rules: Vec<String> = (0..20)
        .map(|number| format!("a{number:02} < 10 AND b{number:02} changed"))
        .collect();
    let mut settings = settings(&[Insert, Modify, Remove], &rules.join(";"));
    settings.names = notifier::settings::NAMES_MAX;
    let image = |number: u64| {
        let mut image = json!({ "name": { "S": "👕\"".repeat(100) } });
        for index in 0..20 {
            image[format!("a{index:02}")] =
                json!({ "N": "-9.9999999999999999999999999999999999999E+125" });
            image[format!("b{index:02}")] = json!({ "N": number.to_string() });
        }
        image
    };
    let records: Vec<Value> = (0..90)
        .map(|number| {
            let event_name = ["INSERT", "MODIFY", "REMOVE"][number % 3];
            let number = number as u64;
            json!({ "eventName": event_name, "dynamodb": { "Keys": { "k": { "N": "1" } }, "OldImage": image(number), "NewImage": image(number + 1) } })
        })
        .collect();
    counted(&Value::from(records), &settings)
}

fn variant(message: &Message, protocol: &str) -> String {
    let body: Value = serde_json::from_str(message.body()).unwrap();
    body[protocol].as_str().unwrap().to_owned()
}

/// An e-mail in a frame.
fn mail(message: &Message) -> String {
    const WIDTH: usize = 66;
    let line = |text: &str| format!("│ {text:<WIDTH$} │");
    let rule = |left: char, right: char| format!("{left}{}{right}", "─".repeat(WIDTH + 2));
    let mut lines = vec![
        rule('┌', '┐'),
        line("From:    inventory-alerts <no-reply@sns.amazonaws.com>"),
        line(&format!("Subject: {}", message.subject())),
        rule('├', '┤'),
    ];
    lines.extend(variant(message, "email").lines().map(line));
    lines.push(rule('└', '┘'));
    lines.join("\n")
}

fn mails(parcel: &Parcel) -> String {
    Message::all(parcel)
        .iter()
        .map(mail)
        .collect::<Vec<_>>()
        .join("\n")
}

fn attributes(message: &Message) -> String {
    let lines = message.attributes().iter().map(|attribute| {
        format!(
            "{:<10} {:<13} {}",
            attribute.name, attribute.data_type, attribute.value
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn machine(message: &Message) -> String {
    let json: Value = serde_json::from_str(&variant(message, "sqs")).unwrap();
    serde_json::to_string_pretty(&json).unwrap()
}

/// Rules, what happens, and what they say to it.
fn rules() -> String {
    let rows = [
        ("quantity < 10", "quantity 12 → 9"),
        ("quantity < 10", "quantity 9 → 8"),
        ("quantity < 10", "new, quantity 3"),
        ("price changed by > 20%", "price 100 → 120"),
        ("price changed by > 20%", "price 100 → 121"),
        ("price fell by 5", "price 20 → 15"),
        ("price changed", "price 20 → 20.00"),
        (
            "quantity = 0 AND active = true",
            "quantity 1 → 0, active true → true",
        ),
        ("status = 'sold out'", "status in stock → sold out"),
        (
            "'stock level' <= 5 AND price rose",
            "stock level 4 → 4, price 1 → 2",
        ),
    ];
    let typed = |text: &str| match text {
        "true" => json!({ "BOOL": true }),
        text if text.parse::<f64>().is_ok() => json!({ "N": text }),
        text => json!({ "S": text }),
    };
    let alerts = |rule: &str, happened: &str| {
        let (mut old, mut new) = (json!({}), json!({}));
        let event_name = if let Some(image) = happened.strip_prefix("new, ") {
            let (attribute, value) = image.rsplit_once(' ').unwrap();
            new[attribute] = typed(value);
            "INSERT"
        } else {
            for change in happened.split(", ") {
                let (left, after) = change.split_once(" → ").unwrap();
                // `in stock` has a blank, too.
                let (attribute, before) = match left.strip_suffix(" in stock") {
                    Some(attribute) => (attribute, "in stock"),
                    None => left.rsplit_once(' ').unwrap(),
                };
                (old[attribute], new[attribute]) = (typed(before), typed(after));
            }
            "MODIFY"
        };
        let mut dynamodb = json!({ "Keys": { "k": { "S": "x" } }, "NewImage": new });
        if event_name == "MODIFY" {
            dynamodb["OldImage"] = old;
        }
        let records = json!([{ "eventName": event_name, "dynamodb": dynamodb }]);
        let parcel = counted(&records, &settings(&[EventName::Insert], rule));
        if parcel.digest.alerts().is_empty() {
            "-"
        } else {
            "alert"
        }
    };
    let lines = rows
        .map(|(rule, happened)| format!("{rule:<34} {happened:<36} {}", alerts(rule, happened)));
    lines.join("\n")
}

fn errors() -> String {
    let texts = [
        "quantity",
        "quantity < ten",
        "quantity < 10 OR price fell",
        "price changed by < 5",
        "name < 'M'",
        "quantity < 10; price is low",
    ];
    let lines = texts.map(|text| format!("{text}\n    {}", Watch::parse(text).unwrap_err()));
    lines.join("\n")
}

/// The page's generated blocks.
fn blocks() -> Vec<(&'static str, String)> {
    let first = [
        "Laptop",
        "Mouse",
        "Keyboard",
        "Monitor",
        "Desk lamp",
        "Headset",
        "Webcam",
        "Dock",
        "Cable",
        "Chair",
    ];
    let one = || inserted(["Laptop".to_owned()].into_iter());
    let three = || inserted(first[..3].iter().map(|name| (*name).to_owned()));
    let many = inserted((0..12_345).map(|number| {
        first
            .get(number)
            .map_or_else(|| format!("Product {number}"), |name| (*name).to_owned())
    }));
    let everything = Message::all(&everything());
    let [digest, alert] = &everything[..] else {
        panic!("{everything:?}")
    };
    vec![
        ("one", mails(&one())),
        ("three", mails(&three())),
        ("many", mails(&many)),
        ("all kinds", mail(digest)),
        ("alert", mail(alert)),
        ("default", variant(digest, "default")),
        ("sms", variant(digest, "sms")),
        ("digest json", machine(digest)),
        ("alert json", machine(alert)),
        ("attributes", attributes(digest)),
        ("rules", rules()),
        ("errors", errors()),
    ]
}

#[test]
fn the_page_shows_what_is_sent() {
    let path = page().join("NOTIFICATIONS.md");
    let before = fs::read_to_string(&path).unwrap();
    let mut after = before.clone();
    for (name, block) in blocks() {
        let mark = format!("<!-- generated: {name} -->\n");
        let start = after.find(&mark).unwrap_or_else(|| panic!("no {mark:?}")) + mark.len();
        let fence = after[start..].find('\n').unwrap() + start + 1;
        let end = after[fence..].find("```").unwrap() + fence;
        after.replace_range(fence..end, &(block + "\n"));
    }
    if std::env::var_os("INTAKE_WRITE_DOCS").is_some() {
        fs::write(&path, after).unwrap();
    } else {
        assert!(
            before == after,
            "docs/NOTIFICATIONS.md is out of date; write it anew with INTAKE_WRITE_DOCS=1. It should be:\n{after}"
        );
    }
}

#[test]
fn one_insert_is_mailed_exactly_as_in_the_lab() {
    let messages = Message::all(&inserted(["Laptop".to_owned()].into_iter()));
    let [message] = &messages[..] else {
        panic!("{messages:?}")
    };
    assert_eq!(message.subject(), "Inventory Update");
    for protocol in ["default", "email", "sms"] {
        assert_eq!(
            variant(message, protocol),
            "New product added: Laptop",
            "{protocol}"
        );
    }
}

#[test]
fn the_page_has_every_setting() {
    let page = fs::read_to_string(page().join("NOTIFICATIONS.md")).unwrap();
    let defaults = Settings::new(ARN);
    for (variable, default) in [
        (settings::TOPIC_ARN, "required".to_owned()),
        (
            settings::EVENT_NAMES,
            format!("`{}`", defaults.event_names[0]),
        ),
        (
            settings::NAME_ATTRIBUTE,
            format!("`{}`", defaults.name_attribute),
        ),
        (settings::NAMES, format!("`{}`", defaults.names)),
        (settings::WATCH, "none".to_owned()),
        (settings::MESSAGES_PER_MINUTE, "no limit".to_owned()),
        (settings::JOBS_TABLE, format!("`{}`", defaults.jobs_table)),
        (settings::FAILURE_BUCKET, "none".to_owned()),
        (
            settings::FAILURE_PREFIX,
            format!("`{}`", defaults.failure_prefix),
        ),
    ] {
        let row = format!("| `{variable}` | {default} |");
        assert!(page.contains(&row), "no {row:?}");
    }
}

/// The schemas; with `strict`, fields that they do not name are errors.
fn schemas(strict: bool) -> (Schemas, [SchemaIndex; 2]) {
    fn forbid(schema: &mut Value) {
        match schema {
            Value::Object(fields) => {
                fields.values_mut().for_each(forbid);
                if fields.contains_key("properties") && fields.get("type") == Some(&json!("object"))
                {
                    fields.insert("additionalProperties".into(), false.into());
                }
            }
            Value::Array(schemas) => schemas.iter_mut().for_each(forbid),
            _ => {}
        }
    }
    let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
    let files = ["digest-v1.json", "watch-v1.json"];
    for file in files {
        let text = fs::read_to_string(page().join("schemas").join(file)).unwrap();
        let mut schema: Value = serde_json::from_str(&text).unwrap();
        if strict {
            forbid(&mut schema);
        }
        compiler
            .add_resource(&format!("https://intake.invalid/schemas/{file}"), schema)
            .unwrap();
    }
    let indexes = files.map(|file| {
        compiler
            .compile(
                &format!("https://intake.invalid/schemas/{file}"),
                &mut schemas,
            )
            .unwrap()
    });
    (schemas, indexes)
}

#[test]
fn what_machines_get_is_what_the_schemas_say() {
    let (schemas, [digest, watch]) = schemas(true);
    let parcels = [
        everything(),
        largest(),
        inserted((0..3).map(|number| number.to_string())),
    ];
    let mut seen = 0;
    for message in parcels.iter().flat_map(Message::all) {
        for protocol in ["email-json", "firehose", "http", "https", "lambda", "sqs"] {
            let json: Value = serde_json::from_str(&variant(&message, protocol)).unwrap();
            let schema = if json["kind"] == json!(["watch"]) {
                watch
            } else {
                digest
            };
            if let Err(error) = schemas.validate(&json, schema) {
                panic!("{protocol}: {error}\n{json:#}");
            }
            seen += 1;
        }
    }
    assert_eq!(
        seen,
        5 * 6,
        "digests and alerts of all but the last, and its digest"
    );
}

#[test]
fn the_schemas_refuse_what_is_not_sent() {
    let (strict, [digest, _]) = schemas(true);
    let (lenient, [lenient_digest, _]) = schemas(false);
    let message = &Message::all(&everything())[0];
    let good: Value = serde_json::from_str(&variant(message, "sqs")).unwrap();
    for (field, value, also_lenient) in [
        ("version", json!(2), true),
        ("kind", json!("INSERT"), true),
        ("kind", json!(["watch"]), true),
        ("count", json!(-1), true),
        ("inserted", json!({ "count": 1 }), true),
        ("ranges", json!({ "price": { "min": 1, "max": 2 } }), true),
        ("surprise", json!(1), false),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        assert!(strict.validate(&bad, digest).is_err(), "{field}");
        // Readers have to put up with fields that come later.
        assert_eq!(
            lenient.validate(&bad, lenient_digest).is_err(),
            also_lenient,
            "{field}"
        );
    }
}
