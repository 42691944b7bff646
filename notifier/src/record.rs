//! The records of a DynamoDB stream event: which changes, and what to call the items.
//!
//! All records are read in one pass, and only what a digest needs is kept; an item's other attributes are skipped
//! without being parsed. That pass only ever accepts: at the first record it does not take, the rest of the event is
//! read record by record, so that a broken one costs itself and nothing else.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use crate::change::image::{Image, Text, Value, Wanted};
use crate::change::{Change, EventName, attribute};
use crate::error::Error;
use crate::settings::Settings;

/// What there is to know about one record.
#[derive(Debug)]
pub enum Read<'a> {
    /// A change to be counted or watched.
    Change(Change<'a>),
    /// Of a kind nobody asked for.
    Passed,
    /// It cannot be read. With its sequence number, as far as that can be had.
    Malformed(Error, Option<String>),
}

/// Reads the records of an event, in stream order. Of the first `detailed` MODIFYs, what changed is told, too.
///
/// ```
/// use notifier::{record::{self, Read}, settings::Settings};
/// use serde_json::value::RawValue;
///
/// # let settings = Settings::from_variables(|variable| {
/// #     (variable == "INTAKE_TOPIC_ARN").then(|| "arn:aws:sns:eu-central-1:123456789012:t".into())
/// # })?;
/// let records: &RawValue = serde_json::from_str(
///     r#"[{"eventName":"INSERT","dynamodb":{"Keys":{"productId":{"S":"P1001"}},"NewImage":{"name":{"S":"Laptop"}}}}]"#,
/// )?;
/// record::read(records, &settings, 10, |read| match read {
///     Read::Change(change) => assert_eq!(change.name, "Laptop"),
///     other => panic!("{other:?}"),
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`Error::Event`] when `records` is not an array.
pub fn read<'a>(
    records: &'a RawValue,
    settings: &Settings,
    detailed: usize,
    mut take: impl FnMut(Read<'a>),
) -> Result<(), Error> {
    let mut taken = 0;
    let mut reader = Reader { settings, detailed };
    let all = All {
        reader: &mut reader,
        taken: &mut taken,
        take: &mut take,
    };
    if serde_json::Deserializer::from_str(records.get())
        .deserialize_seq(all)
        .is_ok()
    {
        return Ok(());
    }
    let rest: Vec<&RawValue> = serde_json::from_str(records.get()).map_err(|_| Error::Event)?;
    for raw in rest.into_iter().skip(taken) {
        let mut deserializer = serde_json::Deserializer::from_str(raw.get());
        take(match reader.record().deserialize(&mut deserializer) {
            Ok(Some(record)) => reader.change(record),
            Ok(None) => Read::Passed,
            Err(error) => Read::Malformed(Error::record(&error), sequence_number(raw)),
        });
    }
    Ok(())
}

/// The sequence number of the first record, if that much of it can be read.
pub fn first_sequence_number(records: &RawValue) -> Option<String> {
    sequence_number(first(records)?)
}

/// The ARN of the stream that the first record came from, if that much of it can be read.
pub fn event_source_arn(records: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Sourced {
        #[serde(rename = "eventSourceARN")]
        event_source_arn: String,
    }
    let sourced: Sourced = serde_json::from_str(first(records)?.get()).ok()?;
    Some(sourced.event_source_arn)
}

/// The first record, without a look at the megabytes behind it.
fn first(records: &RawValue) -> Option<&RawValue> {
    let rest = records.get().strip_prefix('[')?;
    let mut values = serde_json::Deserializer::from_str(rest).into_iter();
    values.next()?.ok()
}

fn sequence_number(raw: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Numbered {
        dynamodb: Sequence,
    }
    #[derive(Deserialize)]
    struct Sequence {
        #[serde(rename = "SequenceNumber")]
        sequence_number: String,
    }
    let numbered: Numbered = serde_json::from_str(raw.get()).ok()?;
    Some(numbered.dynamodb.sequence_number)
}

struct Reader<'s> {
    settings: &'s Settings,
    /// MODIFYs still to be read with everything that changed.
    detailed: usize,
}

impl<'s> Reader<'s> {
    fn record(&self) -> RecordSeed<'s> {
        RecordSeed {
            settings: self.settings,
            detailed: self.detailed > 0,
        }
    }

    fn change<'a>(&mut self, record: Record<'a>) -> Read<'a> {
        let number = record.sequence_number.as_ref().map(ToString::to_string);
        let modify = record.event_name == EventName::Modify;
        match record.into_change() {
            Ok(change) => {
                self.detailed = self.detailed.saturating_sub(usize::from(modify));
                Read::Change(change)
            }
            Err(error) => Read::Malformed(error, number),
        }
    }
}

/// Visits all records until one cannot be read.
struct All<'r, 's, F> {
    reader: &'r mut Reader<'s>,
    taken: &'r mut usize,
    take: F,
}

impl<'de, F: FnMut(Read<'de>)> Visitor<'de> for All<'_, '_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stream records")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(record) = seq.next_element_seed(self.reader.record())? {
            *self.taken += 1;
            (self.take)(match record {
                Some(record) => self.reader.change(record),
                None => Read::Passed,
            });
        }
        Ok(())
    }
}

/// A record as it is read, before anybody knows what it means.
struct Record<'a> {
    event_name: EventName,
    dynamodb: Dynamodb<'a>,
    sequence_number: Option<Cow<'a, str>>,
}

impl<'a> Record<'a> {
    fn into_change(self) -> Result<Change<'a>, Error> {
        let Dynamodb {
            keys,
            old,
            new,
            raw_old,
            raw_new,
            ..
        } = self.dynamodb;
        let image = match self.event_name {
            EventName::Insert | EventName::Modify => new.as_ref(),
            EventName::Remove => old.as_ref(),
        };
        let name = match image.and_then(|image| image.name.as_ref()) {
            Some(Value::S(name) | Value::N(name)) if shows(name) => name.clone(),
            _ => keyed(keys.ok_or(Error::Unnamed)?)?,
        };
        let (attributes, more_attributes) = match (self.event_name, raw_old, raw_new) {
            (EventName::Modify, Some(old), Some(new)) => {
                attribute::between(old, new).map_err(|error| Error::record(&error))?
            }
            _ => (Vec::new(), 0),
        };
        Ok(Change {
            event_name: self.event_name,
            name,
            sequence_number: self.sequence_number,
            old,
            new,
            attributes,
            more_attributes,
        })
    }
}

#[derive(Clone, Copy)]
struct RecordSeed<'s> {
    settings: &'s Settings,
    detailed: bool,
}

impl<'de> DeserializeSeed<'de> for RecordSeed<'_> {
    /// `None` when nobody asked for this kind of change.
    type Value = Option<Record<'de>>;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RecordSeed<'_> {
    type Value = Option<Record<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a stream record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut event_name = None;
        let mut dynamodb = None;
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match &*key.0 {
                "eventName" => event_name = Some(map.next_value::<EventName>()?),
                "dynamodb" => {
                    dynamodb = map.next_value_seed(DynamodbSeed::new(self, event_name))?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let event_name = event_name.ok_or_else(|| A::Error::missing_field("eventName"))?;
        if !self.settings.wants(event_name) {
            return Ok(None);
        }
        let mut dynamodb: Dynamodb<'de> =
            dynamodb.ok_or_else(|| A::Error::missing_field("dynamodb"))?;
        Ok(Some(Record {
            event_name,
            sequence_number: dynamodb.sequence_number.take(),
            dynamodb,
        }))
    }
}

/// The part of a record that is DynamoDB's.
#[derive(Default)]
struct Dynamodb<'a> {
    keys: Option<&'a RawValue>,
    sequence_number: Option<Cow<'a, str>>,
    old: Option<Image<'a>>,
    new: Option<Image<'a>>,
    raw_old: Option<&'a RawValue>,
    raw_new: Option<&'a RawValue>,
}

struct DynamodbSeed<'s> {
    wanted: Wanted<'s>,
    old: bool,
    new: bool,
    /// Whether the images are kept as they came, too.
    raw: bool,
}

impl<'s> DynamodbSeed<'s> {
    /// What of a record is read when it is of this kind; all that could be wanted when the kind is not known yet.
    fn new(record: RecordSeed<'s>, event_name: Option<EventName>) -> Self {
        let settings = record.settings;
        let wanted = |kind| event_name.is_none_or(|name| name == kind) && settings.wants(kind);
        let modified = wanted(EventName::Modify);
        Self {
            wanted: Wanted {
                name: &settings.name_attribute,
                watched: settings.watch.attributes(),
            },
            new: wanted(EventName::Insert) || modified,
            old: wanted(EventName::Remove) || modified && !settings.watch.is_empty(),
            raw: record.detailed && modified && settings.reports(EventName::Modify),
        }
    }
}

impl<'de> DeserializeSeed<'de> for DynamodbSeed<'_> {
    type Value = Option<Dynamodb<'de>>;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DynamodbSeed<'_> {
    type Value = Option<Dynamodb<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the change to an item")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut read = Dynamodb::default();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match &*key.0 {
                "Keys" => read.keys = Some(map.next_value()?),
                "SequenceNumber" => read.sequence_number = Some(map.next_value::<Text<'de>>()?.0),
                "NewImage" if self.raw => {
                    (read.raw_new, read.new) = self.raw_image(map.next_value()?)?;
                }
                "OldImage" if self.raw => {
                    (read.raw_old, read.old) = self.raw_image(map.next_value()?)?;
                }
                "NewImage" if self.new => read.new = map.next_value_seed(Optional(self.wanted))?,
                "OldImage" if self.old => read.old = map.next_value_seed(Optional(self.wanted))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Some(read))
    }
}

impl DynamodbSeed<'_> {
    fn raw_image<'de, E: serde::de::Error>(
        &self,
        raw: &'de RawValue,
    ) -> Result<(Option<&'de RawValue>, Option<Image<'de>>), E> {
        let mut deserializer = serde_json::Deserializer::from_str(raw.get());
        let image = Optional(self.wanted)
            .deserialize(&mut deserializer)
            .map_err(E::custom)?;
        Ok((image.is_some().then_some(raw), image))
    }
}

/// An image, or null.
struct Optional<'s>(Wanted<'s>);

impl<'de> DeserializeSeed<'de> for Optional<'_> {
    type Value = Option<Image<'de>>;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Optional<'_> {
    type Value = Option<Image<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an image of an item")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        self.0.deserialize(deserializer).map(Some)
    }
}

fn shows(name: &str) -> bool {
    name.chars()
        .any(|character| !character.is_whitespace() && !character.is_control())
}

/// The key's value; of a composite key both, as `P1001/W2`.
fn keyed(keys: &RawValue) -> Result<Cow<'_, str>, Error> {
    // In name order, so that a composite key always reads the same way.
    let attributes: BTreeMap<Text<'_>, Value<'_>> =
        serde_json::from_str(keys.get()).map_err(|error| Error::record(&error))?;
    let mut key: Option<Cow<'_, str>> = None;
    for value in attributes.into_values() {
        let (Value::S(value) | Value::N(value) | Value::B(value)) = value else {
            return Err(Error::Unnamed);
        };
        key = Some(match key {
            None => value,
            Some(first) => Cow::Owned(format!("{first}/{value}")),
        });
    }
    key.ok_or(Error::Unnamed)
}
