//! A parcel as SNS messages: text for people, JSON for machines, attributes for filter policies, inside SNS' limits.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    digest::{ALERTS_MAX, Item, NAMES_MAX, RANGES_MAX, Range, Tally},
    mail,
    number::TEXT_BYTES_MAX,
    parcel::{Parcel, Window},
    watch::RULE_CHARS_MAX,
};
pub use mail::{ALERT_SUBJECT, SMS_ASCII_CHARS, SMS_UCS2_CHARS, SUBJECT, SUBJECT_CHARS_MAX};

/// Bytes of a message that every topic accepts: all protocols' variants and all attributes together, and the messages of
/// a batch together.
///
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>,
/// <https://docs.aws.amazon.com/sns/latest/api/API_MessageAttributeValue.html>
pub const MESSAGE_BYTES_MAX: usize = 262_144;

/// Version of the JSON that machines get. It grows by one when a field changes meaning or goes away.
pub const VERSION: u32 = 1;

/// The `kind` of alerts.
pub const WATCH: &str = "watch";

/// What a message that names nothing takes at most: as digest, and as alert. Each of the nine protocols' variants has the
/// same contents; a character takes at most four bytes: four in UTF-8, or a quote or backslash escaped twice (once in
/// the JSON for machines, once in the body).
const _: () = {
    let variants = 3 + JSON_PROTOCOLS.len();
    let frame = 100;
    let head_and_words = 2000;
    let ranges = RANGES_MAX * (4 * RULE_CHARS_MAX + 2 * TEXT_BYTES_MAX + frame);
    let rules = ALERTS_MAX * (4 * RULE_CHARS_MAX + frame);
    assert!(variants * (ranges + head_and_words) <= MESSAGE_BYTES_MAX);
    assert!(variants * (rules + head_and_words) <= MESSAGE_BYTES_MAX);
};

/// Protocols whose subscribers are programs. Those that are not listed get `default`, a text.
const JSON_PROTOCOLS: [&str; 6] = ["email-json", "firehose", "http", "https", "lambda", "sqs"];

/// A message attribute.
///
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: &'static str,
    /// `String`, `String.Array` or `Number`.
    pub data_type: &'static str,
    /// Its value, never empty.
    pub value: String,
}

/// What is published: a subject, a body for `MessageStructure=json`, and attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    id: String,
    subject: String,
    body: String,
    attributes: Vec<Attribute>,
}

impl Message {
    /// The messages that `parcel` is due: its digest when anything was counted, and an alert when a rule found something.
    ///
    /// Each has at most [`MESSAGE_BYTES_MAX`] bytes: as many items are named as fit, and counts always do.
    pub fn all(parcel: &Parcel) -> Vec<Self> {
        Self::within(parcel, MESSAGE_BYTES_MAX)
    }

    fn within(parcel: &Parcel, bytes_max: usize) -> Vec<Self> {
        let digest = (parcel.digest.count() > 0)
            .then(|| fitting(bytes_max, |shown| Self::digest(parcel, shown)));
        let alert = (!parcel.digest.alerts().is_empty())
            .then(|| fitting(bytes_max, |shown| Self::alert(parcel, shown)));
        digest.into_iter().chain(alert).collect()
    }

    /// The same for the same changes, however often they are published.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The subject: printable ASCII that begins with a letter, at most [`SUBJECT_CHARS_MAX`] long.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The body: a JSON object with one string for each protocol.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The attributes, for filter policies.
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// What SNS counts against its limit: the body and the attributes with their names and types; and the subject, of
    /// which AWS does not say whether it counts.
    pub fn size_bytes(&self) -> usize {
        let attributes = self.attributes.iter().map(|attribute| {
            attribute.name.len() + attribute.data_type.len() + attribute.value.len()
        });
        self.subject.len() + self.body.len() + attributes.sum::<usize>()
    }

    fn digest(parcel: &Parcel, shown: usize) -> Self {
        let digest = &parcel.digest;
        let kinds: Vec<String> = digest
            .reported()
            .map(|(event_name, _)| event_name.to_string())
            .collect();
        let machine = json(&MachineDigest {
            head: Head::new(parcel, &kinds, digest.count(), &parcel.id),
            inserted: Shown::new(digest.inserted(), shown),
            modified: Shown::new(digest.modified(), shown),
            removed: Shown::new(digest.removed(), shown),
            ranges: digest.ranges(),
            malformed: digest.malformed(),
            key_only: digest.key_only(),
        });
        let subject = mail::subject(digest);
        let sms = mail::sms(
            (0..=shown).rev().map(|shown| mail::plain(digest, shown)),
            subject.clone(),
        );
        Self {
            body: body(
                mail::plain(digest, shown),
                mail::email(parcel, shown),
                sms,
                &machine,
            ),
            attributes: attributes(parcel, &kinds, digest.count(), &parcel.id),
            id: parcel.id.clone(),
            subject,
        }
    }

    fn alert(parcel: &Parcel, shown: usize) -> Self {
        let alerts = parcel.digest.alerts();
        let count = alerts
            .iter()
            .fold(0, |sum: u64, alert| sum.saturating_add(alert.tally.count()));
        let kinds = [WATCH.to_owned()];
        let id = format!("{}-{WATCH}", parcel.id);
        let rules = alerts.iter().map(|alert| MachineRule {
            rule: &alert.rule,
            tally: Shown::new(&alert.tally, shown),
        });
        let machine = json(&MachineAlert {
            head: Head::new(parcel, &kinds, count, &id),
            rules: rules.collect(),
        });
        let subject = mail::alert_subject(alerts);
        let sms = mail::sms(
            (0..=shown)
                .rev()
                .map(|shown| mail::alert_plain(alerts, shown)),
            subject.clone(),
        );
        Self {
            body: body(
                mail::alert_plain(alerts, shown),
                mail::alert_email(parcel, shown),
                sms,
                &machine,
            ),
            attributes: attributes(parcel, &kinds, count, &id),
            id,
            subject,
        }
    }
}

/// The message that names most items and has at most `bytes_max` bytes, or the one that names none.
fn fitting(bytes_max: usize, render: impl Fn(usize) -> Message) -> Message {
    (1..=NAMES_MAX)
        .rev()
        .map(&render)
        .find(|message| message.size_bytes() <= bytes_max)
        .unwrap_or_else(|| render(0))
}

fn body(plain: String, email: String, sms: String, machine: &str) -> String {
    let mut body = Map::new();
    body.insert("default".into(), Value::String(plain));
    body.insert("email".into(), Value::String(email));
    body.insert("sms".into(), Value::String(sms));
    for protocol in JSON_PROTOCOLS {
        body.insert(protocol.into(), Value::from(machine));
    }
    Value::Object(body).to_string()
}

/// One kind is a string, several are an array; a filter policy `{"kind": ["INSERT"]}` takes both.
fn attributes(parcel: &Parcel, kinds: &[String], count: u64, id: &str) -> Vec<Attribute> {
    let attribute = |name, data_type, value| Attribute {
        name,
        data_type,
        value,
    };
    let kind = match kinds {
        [kind] => attribute("kind", "String", kind.clone()),
        kinds => attribute("kind", "String.Array", json(&kinds)),
    };
    let mut attributes = vec![
        kind,
        attribute("count", "Number", count.to_string()),
        attribute("digest_id", "String", id.to_owned()),
    ];
    attributes.extend(
        parcel
            .table
            .clone()
            .map(|table| attribute("table", "String", table)),
    );
    attributes
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value)
        .expect("strings, numbers and maps with string keys always serialise")
}

/// What both kinds of machine messages begin with.
#[derive(Serialize)]
struct Head<'a> {
    version: u32,
    kind: &'a [String],
    digest_id: &'a str,
    /// Windows, or batches where there are none, that it covers.
    digests: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<&'a Window>,
    count: u64,
}

impl<'a> Head<'a> {
    fn new(parcel: &'a Parcel, kind: &'a [String], count: u64, digest_id: &'a str) -> Self {
        Self {
            version: VERSION,
            kind,
            digest_id,
            digests: parcel.digests,
            table: parcel.table.as_deref(),
            window: parcel.window.as_ref(),
            count,
        }
    }
}

#[derive(Serialize)]
struct MachineDigest<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    inserted: Shown<'a>,
    modified: Shown<'a>,
    removed: Shown<'a>,
    ranges: &'a std::collections::BTreeMap<String, Range>,
    malformed: u64,
    key_only: u64,
}

#[derive(Serialize)]
struct MachineAlert<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    rules: Vec<MachineRule<'a>>,
}

#[derive(Serialize)]
struct MachineRule<'a> {
    rule: &'a str,
    #[serde(flatten)]
    tally: Shown<'a>,
}

/// A tally of which not all items are shown.
#[derive(Serialize)]
struct Shown<'a> {
    count: u64,
    items: &'a [Item],
}

impl<'a> Shown<'a> {
    fn new(tally: &'a Tally, shown: usize) -> Self {
        let items = &tally.items()[..tally.items().len().min(shown)];
        Self {
            count: tally.count(),
            items,
        }
    }
}
