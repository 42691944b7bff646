//! A digest as an SNS message: text for people, JSON for machines, inside SNS' limits.

use serde_json::{Map, Value, json};

use crate::{
    digest::{Digest, NAME_CHARS_MAX, NAMES_MAX, Tally},
    record::EventName,
};

/// Bytes of a message that every topic accepts, all protocols' variants together.
///
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
pub const MESSAGE_BYTES_MAX: usize = 262_144;

/// Characters of a subject ("less than 100 characters long").
///
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
pub const SUBJECT_CHARS_MAX: usize = 99;

/// Characters of a single SMS in ASCII; a longer text is sent, and paid, as several.
///
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
pub const SMS_ASCII_CHARS: usize = 140;

/// UTF-16 code units of a single SMS in any other script.
///
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
pub const SMS_UCS2_CHARS: usize = 70;

/// The lab's subject.
pub const SUBJECT: &str = "Inventory Update";

/// Version of the JSON that machines get. It grows by one when a field changes meaning or goes away.
pub const VERSION: u32 = 1;

/// Protocols whose subscribers are people. `default` serves any protocol that is not listed.
const TEXT_PROTOCOLS: [&str; 2] = ["default", "email"];
/// Protocols whose subscribers are programs.
const JSON_PROTOCOLS: [&str; 6] = ["email-json", "firehose", "http", "https", "lambda", "sqs"];

/// The longest body a [`Digest`] can render to. A character takes at most four bytes in a body: four in
/// UTF-8, or a quote or backslash escaped twice (once in the JSON for machines, once in the body).
const BODY_BYTES_MAX: usize = {
    let separator_bytes = 8;
    let names_bytes = 3 * NAMES_MAX * (4 * NAME_CHARS_MAX + separator_bytes);
    let counts_and_words_bytes = 1024;
    (TEXT_PROTOCOLS.len() + 1 + JSON_PROTOCOLS.len()) * (names_bytes + counts_and_words_bytes)
};
const _: () = assert!(BODY_BYTES_MAX <= MESSAGE_BYTES_MAX);

/// What is published: a subject, and a body for `MessageStructure=json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    subject: String,
    body: String,
}

impl Message {
    /// The subject: printable ASCII that begins with a letter, at most [`SUBJECT_CHARS_MAX`] long.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The body: a JSON object with one string for each protocol, at most [`MESSAGE_BYTES_MAX`] bytes.
    pub fn body(&self) -> &str {
        &self.body
    }
}

impl From<&Digest> for Message {
    fn from(digest: &Digest) -> Self {
        let text = text(digest, NAMES_MAX);
        let machine = machine(digest);
        let mut body = Map::new();
        for protocol in TEXT_PROTOCOLS {
            body.insert(protocol.into(), Value::from(text.as_str()));
        }
        for protocol in JSON_PROTOCOLS {
            body.insert(protocol.into(), Value::from(machine.as_str()));
        }
        body.insert("sms".into(), Value::from(sms(digest)));
        Self {
            subject: subject(digest),
            body: Value::Object(body).to_string(),
        }
    }
}

/// The lab's subject for one insert; the counts are added when there is more to tell.
fn subject(digest: &Digest) -> String {
    let counts: Vec<String> = reported(digest)
        .map(|(event_name, tally)| format!("{} {}", grouped(tally.count()), verb(event_name)))
        .collect();
    let subject = format!("{SUBJECT}: {}", counts.join(", "));
    if counts == ["1 added"] || subject.len() > SUBJECT_CHARS_MAX {
        SUBJECT.into()
    } else {
        subject
    }
}

/// One line for each kind of change, with at most `names_max` names each.
fn text(digest: &Digest, names_max: usize) -> String {
    let mut lines: Vec<String> = reported(digest)
        .map(|(event_name, tally)| line(event_name, tally, names_max))
        .collect();
    if digest.malformed() > 0 {
        let records = counted(digest.malformed(), "stream record");
        lines.push(format!(
            "{records} could not be read; see the notifier's log"
        ));
    }
    lines.join("\n")
}

/// The text with as many names as fit a single SMS, if it can be had in one.
fn sms(digest: &Digest) -> String {
    let fits = |text: &String| {
        if text.is_ascii() {
            text.len() <= SMS_ASCII_CHARS
        } else {
            text.encode_utf16().count() <= SMS_UCS2_CHARS
        }
    };
    (1..=NAMES_MAX)
        .rev()
        .map(|names_max| text(digest, names_max))
        .find(fits)
        .unwrap_or_else(|| text(digest, 0))
}

fn machine(digest: &Digest) -> String {
    json!({
        "version": VERSION,
        "inserted": digest.inserted(),
        "modified": digest.modified(),
        "removed": digest.removed(),
        "malformed": digest.malformed(),
    })
    .to_string()
}

/// The kinds of change that happened.
fn reported(digest: &Digest) -> impl Iterator<Item = (EventName, &Tally)> {
    [
        (EventName::Insert, digest.inserted()),
        (EventName::Modify, digest.modified()),
        (EventName::Remove, digest.removed()),
    ]
    .into_iter()
    .filter(|(_, tally)| tally.count() > 0)
}

fn verb(event_name: EventName) -> &'static str {
    match event_name {
        EventName::Insert => "added",
        EventName::Modify => "changed",
        EventName::Remove => "removed",
    }
}

fn line(event_name: EventName, tally: &Tally, names_max: usize) -> String {
    let names = &tally.names()[..tally.names().len().min(names_max)];
    if let (1, [name]) = (tally.count(), names) {
        return match event_name {
            EventName::Insert => format!("New product added: {name}"),
            EventName::Modify => format!("Product changed: {name}"),
            EventName::Remove => format!("Product removed: {name}"),
        };
    }
    let products = format!("{} {}", counted(tally.count(), "product"), verb(event_name));
    let rest = tally.count() - names.len() as u64;
    match (names.join(", "), rest) {
        (_, rest) if rest == tally.count() => products,
        (names, 0) => format!("{products}: {names}"),
        (names, rest) => format!("{products}: {names} and {} more", grouped(rest)),
    }
}

/// `1 product`, `12,345 products`.
fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// `12345` as `12,345`.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Change;
    use proptest::prelude::*;

    fn digest(event_name: EventName, names: &[&str]) -> Digest {
        let mut digest = Digest::default();
        for name in names {
            digest.add(&Change {
                event_name,
                name: (*name).into(),
            });
        }
        digest
    }

    fn inserts(count: usize) -> Digest {
        let names: Vec<String> = (1..=count).map(|number| format!("P{number}")).collect();
        digest(
            EventName::Insert,
            &names.iter().map(String::as_str).collect::<Vec<_>>(),
        )
    }

    fn variant(message: &Message, protocol: &str) -> String {
        let body: Value = serde_json::from_str(message.body()).unwrap();
        body[protocol].as_str().unwrap().to_owned()
    }

    #[test]
    fn people_read_text() {
        use EventName::{Insert, Modify, Remove};
        let named = ["Laptop", "Mouse"];
        for (digest, subject, text) in [
            (
                digest(Insert, &named[..1]),
                "Inventory Update",
                "New product added: Laptop",
            ),
            (
                digest(Modify, &named[..1]),
                "Inventory Update: 1 changed",
                "Product changed: Laptop",
            ),
            (
                digest(Remove, &named[..1]),
                "Inventory Update: 1 removed",
                "Product removed: Laptop",
            ),
            (
                digest(Insert, &named),
                "Inventory Update: 2 added",
                "2 products added: Laptop, Mouse",
            ),
            (
                inserts(10),
                "Inventory Update: 10 added",
                "10 products added: P1, P2, P3, P4, P5, P6, P7, P8, P9, P10",
            ),
            (
                inserts(11),
                "Inventory Update: 11 added",
                "11 products added: P1, P2, P3, P4, P5, P6, P7, P8, P9, P10 and 1 more",
            ),
            (
                inserts(12_345),
                "Inventory Update: 12,345 added",
                "12,345 products added: P1, P2, P3, P4, P5, P6, P7, P8, P9, P10 and 12,335 more",
            ),
        ] {
            let message = Message::from(&digest);
            assert_eq!(message.subject(), subject);
            for protocol in ["default", "email", "sms"] {
                assert_eq!(variant(&message, protocol), text, "{protocol}");
            }
        }
    }

    #[test]
    fn kinds_and_unreadable_records_have_a_line_each() {
        let mut mixed = digest(EventName::Insert, &["Laptop"]);
        mixed.merge(digest(EventName::Modify, &["Mouse", "Desk"]));
        mixed.merge(digest(EventName::Remove, &["Lamp"]));
        mixed.add_malformed();
        let message = Message::from(&mixed);
        assert_eq!(
            message.subject(),
            "Inventory Update: 1 added, 2 changed, 1 removed"
        );
        assert_eq!(
            variant(&message, "email"),
            "New product added: Laptop\n2 products changed: Mouse, Desk\nProduct removed: Lamp\n\
             1 stream record could not be read; see the notifier's log"
        );
    }

    #[test]
    fn machines_read_json() {
        let mut digest = digest(EventName::Insert, &["Lap\"top", "Mouse"]);
        digest.add_malformed();
        let message = Message::from(&digest);
        for protocol in ["sqs", "lambda", "http", "https", "firehose", "email-json"] {
            let machine: Value = serde_json::from_str(&variant(&message, protocol)).unwrap();
            assert_eq!(
                machine,
                json!({
                    "version": 1,
                    "inserted": {"count": 2, "names": ["Lap\"top", "Mouse"]},
                    "modified": {"count": 0, "names": []},
                    "removed": {"count": 0, "names": []},
                    "malformed": 1,
                }),
                "{protocol}"
            );
        }
    }

    #[test]
    fn an_sms_names_as_many_items_as_one_sms_holds() {
        let names = |name: &str, count| digest(EventName::Insert, &vec![name; count]);
        let forty = "x".repeat(40);
        for (digest, expected) in [
            (
                names(&forty, 4),
                format!("4 products added: {forty}, {forty} and 2 more"),
            ),
            (
                names(&"ü".repeat(40), 2),
                format!("2 products added: {} and 1 more", "ü".repeat(40)),
            ),
            (names(&"ü".repeat(90), 2), "2 products added".to_owned()),
            (names(&"ü".repeat(90), 1), "1 product added".to_owned()),
        ] {
            assert_eq!(variant(&Message::from(&digest), "sms"), expected);
        }
    }

    #[test]
    fn the_longest_names_fit() {
        // The character whose bytes grow most under double escaping, and the longest in UTF-8.
        for letter in ["\\", "\"", "👕"] {
            let name = letter.repeat(1000);
            let mut worst = Digest::default();
            for event_name in [EventName::Insert, EventName::Modify, EventName::Remove] {
                worst.merge(digest(event_name, &[name.as_str(); 20]));
            }
            let message = Message::from(&worst);
            assert!(
                message.body().len() <= BODY_BYTES_MAX,
                "{letter}: {} bytes",
                message.body().len()
            );
        }
    }

    #[test]
    fn counts_are_grouped_by_thousands() {
        for (count, expected) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345, "12,345"),
            (100_000, "100,000"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(grouped(count), expected);
        }
    }

    proptest! {
        #[test]
        fn any_names_and_counts_keep_the_limits(
            names in proptest::collection::vec(any::<String>(), 1..40),
            doublings in 0_u32..70,
        ) {
            let mut digest = Digest::default();
            for (index, name) in names.iter().enumerate() {
                let event_name = [EventName::Insert, EventName::Modify, EventName::Remove][index % 3];
                digest.add(&Change { event_name, name: name.as_str().into() });
            }
            // Doubled until the counters saturate.
            for _ in 0..doublings {
                digest.merge(digest.clone());
            }
            let message = Message::from(&digest);
            prop_assert!(message.subject().chars().count() <= SUBJECT_CHARS_MAX);
            prop_assert!(message.subject().starts_with(SUBJECT));
            prop_assert!(message.subject().chars().all(|character| (' '..='~').contains(&character)));
            prop_assert!(message.body().len() <= MESSAGE_BYTES_MAX);
            for protocol in ["default", "email", "sms", "sqs", "lambda", "https"] {
                let text = variant(&message, protocol);
                prop_assert!(!text.is_empty());
                prop_assert!(!text.chars().any(|character| character.is_control() && character != '\n'));
                prop_assert!(text.lines().count() <= 3);
            }
        }
    }
}
