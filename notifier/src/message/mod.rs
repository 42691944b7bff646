//! A parcel as SNS messages: text for people, JSON for machines, attributes for filter policies, inside SNS' limits.
//!
//! Pure: nothing here sends anything.

mod mail;

use serde::Serialize;
use serde_json::{Map, Value};

pub use self::mail::{ALERT_SUBJECT, SMS_ASCII_CHARS, SMS_UCS2_CHARS, SUBJECT, SUBJECT_CHARS_MAX};
use crate::change::number::TEXT_BYTES_MAX;
use crate::digest::{ALERTS_MAX, Item, Parcel, RANGES_MAX, Range, Tally, Window};
use crate::text::json;
use crate::watch::RULE_CHARS_MAX;

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
        let Parcel { digest, .. } = parcel;
        let mut messages = Vec::new();
        if digest.count() > 0 {
            let sms = mail::sms(|shown| mail::plain(digest, shown), mail::subject(digest));
            let most = most(digest.reported().map(|(_, tally)| tally));
            messages.push(fitting(bytes_max, most, |shown| {
                Self::digest(parcel, shown, &sms)
            }));
        }
        let alerts = digest.alerts();
        if !alerts.is_empty() {
            let subject = mail::alert_subject(alerts);
            let sms = mail::sms(|shown| mail::alert_plain(alerts, shown), subject);
            let most = most(alerts.iter().map(|alert| &alert.tally));
            messages.push(fitting(bytes_max, most, |shown| {
                Self::alert(parcel, shown, &sms)
            }));
        }
        messages
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

    fn digest(parcel: &Parcel, shown: usize, sms: &str) -> Self {
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
        Self {
            body: body(
                mail::plain(digest, shown),
                mail::email(parcel, shown),
                sms,
                &machine,
            ),
            attributes: attributes(parcel, &kinds, digest.count(), &parcel.id),
            id: parcel.id.clone(),
            subject: mail::subject(digest),
        }
    }

    fn alert(parcel: &Parcel, shown: usize, sms: &str) -> Self {
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
        Self {
            body: body(
                mail::alert_plain(alerts, shown),
                mail::alert_email(parcel, shown),
                sms,
                &machine,
            ),
            attributes: attributes(parcel, &kinds, count, &id),
            id,
            subject: mail::alert_subject(alerts),
        }
    }
}

/// The most items that one of the tallies names.
fn most<'t>(tallies: impl Iterator<Item = &'t Tally>) -> usize {
    tallies.map(|tally| tally.items().len()).max().unwrap_or(0)
}

/// The message that names most items, up to `most` of a tally, and has at most `bytes_max` bytes, or the one that names
/// none.
fn fitting(bytes_max: usize, most: usize, render: impl Fn(usize) -> Message) -> Message {
    (1..=most)
        .rev()
        .map(&render)
        .find(|message| message.size_bytes() <= bytes_max)
        .unwrap_or_else(|| render(0))
}

fn body(plain: String, email: String, sms: &str, machine: &str) -> String {
    let mut body = Map::new();
    body.insert("default".into(), Value::String(plain));
    body.insert("email".into(), Value::String(email));
    body.insert("sms".into(), Value::from(sms));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Change, EventName};
    use crate::digest::Digest;
    use crate::settings::Settings;
    use crate::watch::Watch;

    /// Names that a digest keeps.
    const NAMES: usize = 6;

    /// A digest of many products that are called `name`, of which each triggers the rule.
    fn parcel(name: &str, count: u64) -> Parcel {
        let settings = Settings {
            names: NAMES,
            watch: Watch::parse("quantity < 10").unwrap(),
            ..Settings::new("arn:aws:sns:eu-central-1:123456789012:t")
        };
        let mut digest = Digest::default();
        let mut change = Change::new(EventName::Insert, name);
        change.new = Some(crate::change::image::Image {
            name: None,
            watched: vec![Some(crate::change::image::Value::N("9".into()))],
        });
        for _ in 0..count {
            digest.add(&change, &settings);
        }
        Parcel {
            id: "0".repeat(32),
            digests: 1,
            digest,
            ..Parcel::default()
        }
    }

    fn named(message: &Message) -> usize {
        let body: serde_json::Value = serde_json::from_str(&message.body).unwrap();
        let machine: serde_json::Value =
            serde_json::from_str(body["sqs"].as_str().unwrap()).unwrap();
        let tally = if machine["rules"].is_array() {
            &machine["rules"][0]
        } else {
            &machine["inserted"]
        };
        assert_eq!(tally["count"], 100, "counts are never left out");
        tally["items"].as_array().unwrap().len()
    }

    #[test]
    fn limits_are_met_exactly() {
        let parcel = parcel(&"👕\"".repeat(50), 100);
        for (which, most) in [(0, NAMES), (1, crate::digest::HITS_MAX)] {
            let mut bytes_max = MESSAGE_BYTES_MAX;
            let mut shown = Vec::new();
            loop {
                let message = Message::within(&parcel, bytes_max).remove(which);
                let size_bytes = message.size_bytes();
                assert_eq!(
                    Message::within(&parcel, size_bytes)[which],
                    message,
                    "at its exact size it stays whole"
                );
                shown.push(named(&message));
                if shown.last() == Some(&0) {
                    break;
                }
                bytes_max = size_bytes - 1;
            }
            assert_eq!(shown, (0..=most).rev().collect::<Vec<_>>(), "name by name");
        }
    }

    #[test]
    fn subjects_are_cut_at_their_limit_and_not_before() {
        let frame = "Inventory Alert: : quantity < 10".len();
        for (letter, ascii) in [("x", "x"), ("ü", "u"), ("灯", "Deng")] {
            let fitting = (SUBJECT_CHARS_MAX - frame) / ascii.len();
            for (letters, cut) in [(fitting, false), (fitting + 1, true)] {
                let message = Message::all(&parcel(&letter.repeat(letters), 1)).remove(1);
                let subject = message.subject();
                let whole = format!("Inventory Alert: {}: quantity < 10", ascii.repeat(letters));
                if cut {
                    assert_eq!(subject.len(), SUBJECT_CHARS_MAX, "{subject}");
                    assert_eq!(subject, whole[..SUBJECT_CHARS_MAX - 3].to_owned() + "...");
                } else {
                    assert_eq!(subject, whole);
                }
            }
        }
    }

    #[test]
    fn an_sms_holds_what_fits_one() {
        let sms = |name: &str, count| {
            let body: serde_json::Value =
                serde_json::from_str(&Message::all(&parcel(name, count))[0].body).unwrap();
            body["sms"].as_str().unwrap().to_owned()
        };
        let ascii = "New product added: ".len();
        let fits = "x".repeat(SMS_ASCII_CHARS - ascii - 40);
        assert_eq!(sms(&fits, 1), format!("New product added: {fits}"));
        assert_eq!(
            sms(&"ü".repeat(SMS_UCS2_CHARS - ascii), 1)
                .encode_utf16()
                .count(),
            SMS_UCS2_CHARS
        );
        // One letter more, and the name is left out: a single SMS is all it may be.
        assert_eq!(
            sms(&"ü".repeat(SMS_UCS2_CHARS - ascii + 1), 1),
            "1 product added"
        );
        assert_eq!(
            sms("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 9),
            "9 products added: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx, xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx, \
             xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx and 6 more"
        );
    }
}
