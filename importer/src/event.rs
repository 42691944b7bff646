//! What an invocation's event tells: which objects were created.
//!
//! Accepted are the S3 notification wrapped in SQS (the deployed path), the bare S3 notification (a bucket that invokes
//! the function itself), and EventBridge's `Object Created`, bare or in SQS. `s3:TestEvent`, which S3 sends when a
//! notification is set up, tells of no object.

use std::time::Duration;

use aws_lambda_events::eventbridge::EventBridgeEvent;
use aws_lambda_events::sqs::SqsEvent;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Most bytes of a key.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
const KEY_BYTES_MAX: usize = 1024;

/// What an object is by its key, if that is nothing to import: what programs write beside their files.
pub(crate) fn companion(key: &str) -> Option<&'static str> {
    let name = key.rsplit('/').next().unwrap_or_default();
    let ends = |ending: &str| name.len() > ending.len() && name.ends_with(ending);
    match name {
        "" => Some("it is a folder"),
        "_SUCCESS" | "_started" | "_committed" | "_metadata" | "_common_metadata" => {
            Some("it is a mark beside the files of a job")
        }
        "manifest-summary.json" | "manifest-files.json" | "manifest.json" => {
            Some("it is the list of an export's files")
        }
        ".DS_Store" | "Thumbs.db" | "desktop.ini" => Some("it is a file of a desktop"),
        _ if name.starts_with("._") => Some("it is a file of a desktop"),
        _ if ends(".md5") || ends(".sha1") || ends(".sha256") || ends(".crc") => {
            Some("it is a checksum")
        }
        _ => None,
    }
}

/// An object that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectCreated {
    /// Its bucket.
    pub bucket: String,
    /// Its key, decoded.
    pub key: String,
    /// Its version, in a bucket that keeps them.
    pub version_id: Option<String>,
    /// Its `ETag`, without quotes.
    pub etag: Option<String>,
    /// Orders the events of one key.
    pub sequencer: Option<String>,
    /// When, in RFC 3339.
    pub time: Option<String>,
    /// The job that this message waits for, as it was when the message was sent.
    pub seen: Option<Seen>,
}

/// How a job stood when somebody looked at it who may not go on with it. If it stands like that for longer than a lease, the
/// one that had it is dead. So no clocks are compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The job's name.
    pub job: String,
    /// Its last claim.
    pub attempt: u32,
    /// How often it was saved.
    pub saves: u64,
    /// When it was saved last: versions of Intake before this one did not count.
    #[serde(default)]
    pub updated_at: String,
    /// For how long it has stood like that, by the delays of the messages that waited for it.
    #[serde(default)]
    pub waited_seconds: u64,
    /// Which importer was about to publish its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<String>,
}

impl Seen {
    /// Whether `now` is how the job stood.
    pub fn is(&self, now: &Self) -> bool {
        let of = |seen: &Self| Self {
            waited_seconds: 0,
            ..seen.clone()
        };
        of(self) == of(now)
    }

    /// Whether the job stood like that for so long that its holder is dead.
    pub fn is_dead(&self, now: &Self, takeover: Duration) -> bool {
        self.is(now) && self.waited_seconds >= takeover.as_secs()
    }
}

impl ObjectCreated {
    /// Whether the event is about the object that has this version and `ETag` now, as far as the event knows.
    pub fn is_about(&self, version_id: Option<&str>, etag: Option<&str>) -> bool {
        if let (Some(announced), Some(current)) = (self.version_id.as_deref(), version_id) {
            return announced == current;
        }
        let unquoted = |etag: &str| etag.trim_matches('"').to_owned();
        let announced = self.etag.as_deref().map(unquoted);
        announced.is_none_or(|announced| Some(announced) == etag.map(unquoted))
    }

    /// The notification again, for a message that waits for a job, or goes on with one.
    pub fn waiting_for(&self, seen: Option<Seen>) -> Value {
        let waiting = Self {
            seen,
            ..self.clone()
        };
        waiting.to_event()
    }

    /// The object, as `s3://bucket/key`, for people.
    pub fn url(&self) -> String {
        rows::prose(&format!("s3://{}/{}", self.bucket, self.key))
    }

    /// An S3 notification that tells of the object, to be put into the queue again.
    pub fn to_event(&self) -> Value {
        let key = percent_encode(self.key.as_bytes(), NON_ALPHANUMERIC).to_string();
        let mut object = json!({ "key": key });
        for (name, value) in [
            ("versionId", &self.version_id),
            ("eTag", &self.etag),
            ("sequencer", &self.sequencer),
        ] {
            if let Some(value) = value {
                object[name] = json!(value);
            }
        }
        let mut record = json!({
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "eventTime": self.time,
            "s3": { "bucket": { "name": self.bucket }, "object": object },
        });
        if let Some(seen) = &self.seen {
            record["intakeSeen"] = json!(seen);
        }
        json!({ "Records": [record] })
    }
}

/// An event, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Straight from S3 or EventBridge.
    Objects(Vec<ObjectCreated>),
    /// From a queue: each message can fail alone.
    Messages(Vec<Message>),
}

/// A message from the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The name by which a failure is reported.
    pub id: String,
    /// How often it was received, this time included.
    pub receives: u32,
    /// The objects it tells of, or why it cannot be read.
    pub objects: Result<Vec<ObjectCreated>, EventError>,
}

/// An event that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the event is not one that Intake knows: {0}; it takes S3 notifications, bare or in SQS, and EventBridge's Object Created"
)]
pub struct EventError(String);

impl EventError {
    /// `problem` may quote the event.
    fn new(problem: impl std::fmt::Display) -> Self {
        Self(rows::prose(&problem.to_string()))
    }
}

/// Reads an event.
///
/// # Errors
///
/// [`EventError`] if it is of no kind that is accepted. A message of a queue that cannot be read is no error of the
/// whole event.
pub fn parse(event: Value) -> Result<Event, EventError> {
    let source = event
        .pointer("/Records/0/eventSource")
        .and_then(Value::as_str);
    if source != Some("aws:sqs") {
        return objects(event).map(Event::Objects);
    }
    let event: SqsEvent = serde_json::from_value(event).map_err(EventError::new)?;
    let messages = event.records.into_iter().map(|message| Message {
        id: message.message_id.unwrap_or_default(),
        // Events written by hand do not say: as if it were the last time.
        receives: message
            .attributes
            .get("ApproximateReceiveCount")
            .and_then(|count| count.parse().ok())
            .unwrap_or(u32::MAX),
        objects: serde_json::from_str(&message.body.unwrap_or_default())
            .map_err(|e| EventError::new(format_args!("a message's body is not JSON ({e})")))
            .and_then(objects),
    });
    Ok(Event::Messages(messages.collect()))
}

/// The objects that an S3 or EventBridge event tells of.
fn objects(event: Value) -> Result<Vec<ObjectCreated>, EventError> {
    let unreadable = |e: serde_json::Error| EventError::new(e);
    if event.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        return Ok(Vec::new());
    }
    if event.get("detail-type").is_some() {
        let event: EventBridgeEvent = serde_json::from_value(event).map_err(unreadable)?;
        if event.source != "aws.s3" || event.detail_type != "Object Created" {
            return Err(EventError::new(format_args!(
                "{} from {}",
                event.detail_type, event.source
            )));
        }
        let detail: Detail = serde_json::from_value(event.detail).map_err(unreadable)?;
        // Unlike S3's own notifications, EventBridge gives keys as they are.
        let key = checked_key(detail.object.key.clone())?;
        let time = event.time.map(|time| time.to_rfc3339());
        return Ok(vec![created(detail.bucket, key, detail.object, time, None)]);
    }
    let Some(Value::Array(records)) = event.get("Records") else {
        return Err(EventError::new("it has neither Records nor detail-type"));
    };
    let mut objects = Vec::new();
    for record in records {
        let record = S3Record::deserialize(record).map_err(unreadable)?;
        // Whoever subscribes to removals, too, has nothing imported by them.
        if record
            .event_name
            .is_some_and(|name| !name.trim_start_matches("s3:").starts_with("ObjectCreated:"))
        {
            continue;
        }
        let key = decode_key(&record.s3.object.key)?;
        let S3Entity { bucket, object } = record.s3;
        objects.push(created(bucket, key, object, record.event_time, record.seen));
    }
    Ok(objects)
}

fn created(
    bucket: Bucket,
    key: String,
    object: S3Object,
    time: Option<String>,
    seen: Option<Seen>,
) -> ObjectCreated {
    // Events written by hand have empty members.
    let filled = |member: Option<String>| member.filter(|text| !text.is_empty());
    ObjectCreated {
        bucket: bucket.name,
        key,
        // What is put while versioning is suspended is called null, and so is what replaces it.
        version_id: filled(object.version_id).filter(|version| version != "null"),
        etag: filled(object.etag),
        sequencer: filled(object.sequencer),
        time,
        seen,
    }
}

/// Undoes the encoding of a key in an S3 notification: a space is `+`, everything else is percent-encoded.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
fn decode_key(key: &str) -> Result<String, EventError> {
    let spaced = key.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    let key = decoded.map_err(|_| EventError::new("an object's key is not UTF-8"))?;
    checked_key(key.into())
}

/// A key that S3 may have. A longer one, which only an event that is not S3's has, could make a job that cannot be saved.
fn checked_key(key: String) -> Result<String, EventError> {
    if key.len() <= KEY_BYTES_MAX {
        return Ok(key);
    }
    let length = key.len();
    Err(EventError::new(format_args!(
        "an object's key has {length} bytes, S3 allows {KEY_BYTES_MAX}"
    )))
}

/// The part of an S3 notification that matters here. `aws_lambda_events` demands fields that people who write an event
/// by hand to try a function leave out.
#[derive(Deserialize)]
struct S3Record {
    #[serde(rename = "eventName")]
    event_name: Option<String>,
    #[serde(rename = "eventTime")]
    event_time: Option<String>,
    #[serde(rename = "intakeSeen")]
    seen: Option<Seen>,
    s3: S3Entity,
}

#[derive(Deserialize)]
struct S3Entity {
    bucket: Bucket,
    object: S3Object,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
struct S3Object {
    key: String,
    #[serde(rename = "versionId", alias = "version-id")]
    version_id: Option<String>,
    #[serde(rename = "eTag", alias = "etag")]
    etag: Option<String>,
    sequencer: Option<String>,
}

/// The detail of EventBridge's `Object Created`.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>
#[derive(Deserialize)]
struct Detail {
    bucket: Bucket,
    object: S3Object,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_write_beside_their_files_is_nothing_to_import() {
        for key in [
            "uploads/",
            "uploads/day/",
            "uploads/_SUCCESS",
            "uploads/AWSDynamoDB/01/_started",
            "uploads/AWSDynamoDB/01/manifest-summary.json",
            "uploads/AWSDynamoDB/01/manifest-summary.md5",
            "uploads/.DS_Store",
            "uploads/._catalog.csv",
            "uploads/catalog.csv.sha256",
        ] {
            assert!(companion(key).is_some(), "{key}");
        }
        for key in [
            "uploads/catalog.csv",
            "uploads/_SUCCESS/catalog.csv",
            "uploads/success",
            "uploads/.md5",
            "uploads/manifest.csv",
            "uploads/_catalog.json",
        ] {
            assert_eq!(companion(key), None, "{key}");
        }
    }

    fn s3(key: &str) -> Value {
        json!({"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "eventTime": "2026-11-23T10:00:00.000Z",
            "s3": {"bucket": {"name": "b"}, "object": {"key": key, "eTag": "e", "sequencer": "01"}}})
    }

    fn keys(event: Value) -> Vec<String> {
        match parse(event).unwrap() {
            Event::Objects(objects) => objects.into_iter().map(|o| o.key).collect(),
            Event::Messages(messages) => messages
                .into_iter()
                .flat_map(|m| m.objects.unwrap())
                .map(|o| o.key)
                .collect(),
        }
    }

    #[test]
    fn keys_are_decoded() {
        for (encoded, key) in [
            ("uploads/a.json", "uploads/a.json"),
            ("uploads/a+b.json", "uploads/a b.json"),
            ("uploads/a%2Bb.json", "uploads/a+b.json"),
            (
                "uploads/Gr%C3%B6%C3%9Fe+%281%29.csv",
                "uploads/Größe (1).csv",
            ),
            ("100%25.csv", "100%.csv"),
        ] {
            assert_eq!(keys(json!({"Records": [s3(encoded)]})), [key]);
            let body = json!({"Records": [s3(encoded)]}).to_string();
            let sqs =
                json!({"Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": body}]});
            assert_eq!(keys(sqs), [key]);
        }
        assert!(parse(json!({"Records": [s3("%FF")]})).is_err());
    }

    #[test]
    fn every_shape_is_read() {
        let bridge = json!({"detail-type": "Object Created", "source": "aws.s3", "time": "2026-11-23T10:00:00Z",
            "detail": {"bucket": {"name": "b"}, "object": {"key": "uploads/a+b.json", "etag": "e", "version-id": "v"}}});
        assert_eq!(keys(bridge), ["uploads/a+b.json"]);
        assert_eq!(
            keys(json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"})),
            [""; 0]
        );
        assert_eq!(keys(json!({"Records": [s3("a"), s3("b")]})), ["a", "b"]);
        assert_eq!(keys(json!({"Records": []})), [""; 0]);
        let minimal =
            json!({"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "a"}}}]});
        assert_eq!(keys(minimal), ["a"]);
        let mut removed = s3("a");
        removed["eventName"] = json!("ObjectRemoved:Delete");
        assert_eq!(keys(json!({"Records": [removed]})), [""; 0]);
    }

    #[test]
    fn an_object_is_told_of_again_as_it_was() {
        let all = ObjectCreated {
            bucket: "b".to_owned(),
            key: "uploads/Größe (1)+50%.csv".to_owned(),
            version_id: Some("v".to_owned()),
            etag: Some("e".to_owned()),
            sequencer: Some("01".to_owned()),
            time: Some("2026-11-23T10:00:00.000Z".to_owned()),
            seen: None,
        };
        let few = ObjectCreated {
            version_id: None,
            etag: None,
            sequencer: None,
            time: None,
            ..all.clone()
        };
        for object in [all, few] {
            assert_eq!(parse(object.to_event()), Ok(Event::Objects(vec![object])));
        }
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for event in [
            json!({}),
            json!([]),
            json!({"detail-type": "x", "source": "y", "detail": {}}),
            json!({"Records": [{"a": 1}]}),
        ] {
            assert!(parse(event.clone()).is_err(), "{event}");
        }
    }

    #[test]
    fn what_an_event_says_is_bounded_in_an_error() {
        let long = "x\u{202e}\n".repeat(100_000);
        let long_key = "k".repeat(KEY_BYTES_MAX + 1);
        let bridge = |key: &str| {
            json!({"detail-type": "Object Created", "source": "aws.s3",
                "detail": {"bucket": {"name": "b"}, "object": {"key": key}}})
        };
        for event in [
            json!({"detail-type": &long, "source": "y", "detail": {}}),
            json!({"Records": [{"s3": &long}]}),
            json!({"Records": [s3(&long_key)]}),
            bridge(&long_key),
        ] {
            let error = parse(event).unwrap_err().to_string();
            assert!(error.len() < rows::PROSE_BYTES_MAX + 200, "{}", error.len());
            assert!(!error.contains(['\n', '\u{202e}']), "{error}");
        }
        let longest = "k".repeat(KEY_BYTES_MAX);
        assert_eq!(keys(json!({"Records": [s3(&longest)]})), [longest]);
    }

    #[test]
    fn one_unreadable_message_is_not_the_whole_event() {
        let good = json!({"Records": [s3("a")]}).to_string();
        let event = json!({"Records": [
            {"eventSource": "aws:sqs", "messageId": "1", "body": "not json"},
            {"eventSource": "aws:sqs", "messageId": "2", "body": good}]});
        let Event::Messages(messages) = parse(event).unwrap() else {
            panic!()
        };
        assert!(messages[0].objects.is_err() && messages[1].objects.is_ok());
    }
}
