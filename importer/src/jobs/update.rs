//! What a request changes in a job: attributes, and the expressions that say so.

use std::collections::HashMap;
use std::fmt::Display;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::types::AttributeValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::job::{Job, Saved};
use super::states::{Status, Transition};
use crate::progress::Counts;

/// How long a job is kept after it was saved last.
const KEPT: Duration = Duration::from_hours(90 * 24);

/// What a new job counts from 0.
pub(super) const COUNTS: [&str; 10] = [
    "bytes_read",
    "rows_read",
    "rows_written",
    "rows_superseded",
    "rows_rejected",
    "consumed_wcu",
    "throttles",
    "retries",
    "stalled_attempts",
    "saves",
];

/// Attributes that are sentences. They are bounded here, once more: an item that is too large cannot be saved, and its job
/// would never end.
const SENTENCES: &[&str] = &["reason", "fix", "why"];

/// Changes of a job's attributes.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    set: Vec<(&'static str, AttributeValue)>,
    remove: Vec<&'static str>,
}

impl Changes {
    /// Nothing but the time.
    pub fn none() -> Self {
        let now = SystemTime::now();
        Self::default()
            .text("updated_at", rfc3339(now))
            .number("expires_at", seconds(now + KEPT))
    }

    /// Sets a text.
    #[must_use]
    pub fn text(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let mut value = value.into();
        if SENTENCES.contains(&name) {
            value = rows::prose(&value);
        }
        self.set.push((name, AttributeValue::S(value)));
        self
    }

    /// Sets a text if there is one, and removes it if not.
    #[must_use]
    pub fn text_or_none(mut self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        if let Some(value) = value {
            return self.text(name, value);
        }
        self.remove.push(name);
        self
    }

    /// Sets a number.
    #[must_use]
    pub fn number(mut self, name: &'static str, value: impl Display) -> Self {
        self.set.push((name, AttributeValue::N(value.to_string())));
        self
    }

    /// Removes an attribute.
    #[must_use]
    pub fn removed(mut self, name: &'static str) -> Self {
        self.remove.push(name);
        self
    }

    /// Sets how the file is to be read, as its metadata says: `options`, by names without `intake-`.
    #[must_use]
    pub fn options(mut self, metadata: &HashMap<String, String>) -> Self {
        let option = |(name, value): (&String, &String)| {
            let name = name.strip_prefix("intake-")?.to_owned();
            Some((name, AttributeValue::S(value.clone())))
        };
        let options = metadata.iter().filter_map(option).collect();
        self.set.push(("options", AttributeValue::M(options)));
        self
    }

    /// Sets a flag.
    #[must_use]
    pub fn flag(mut self, name: &'static str, value: bool) -> Self {
        self.set.push((name, AttributeValue::Bool(value)));
        self
    }

    /// Takes the job to its next state. Without a claim it has no lease.
    #[must_use]
    pub fn transition(mut self, transition: Transition) -> Self {
        if transition != Transition::Claim {
            self.remove.extend(["lease_until", "lease_message"]);
        }
        self.text("status", transition.to().name())
    }

    /// Whether the job has no holder afterwards.
    pub(super) fn ends_claim(&self) -> bool {
        self.remove.contains(&"lease_until")
    }

    /// Sets how far the job is, and the counters of that.
    ///
    /// # Panics
    ///
    /// Never: a checkpoint is plain data.
    #[must_use]
    pub fn saved(self, saved: &Saved) -> Self {
        let json = serde_json::to_string(saved).expect("a checkpoint is plain JSON");
        self.text("checkpoint", json)
            .counts(&saved.checkpoint.counts)
    }

    /// Sets the counters.
    #[must_use]
    pub fn counts(self, counts: &Counts) -> Self {
        self.number("bytes_read", counts.bytes_read)
            .number("rows_read", counts.rows_read)
            .number("rows_written", counts.rows_written)
            .number("rows_superseded", counts.rows_superseded)
            .number("rows_rejected", counts.rows_rejected)
            .number("consumed_wcu", counts.consumed_wcu)
            .number("throttles", counts.throttles)
            .number("retries", counts.retries)
    }
}

/// An update's expressions. Every name is a placeholder: many of them are reserved words.
#[derive(Default)]
pub(super) struct Update {
    pub(super) sets: Vec<String>,
    removes: Vec<String>,
    pub(super) names: HashMap<String, String>,
    pub(super) values: HashMap<String, AttributeValue>,
    pub(super) condition: Option<String>,
}

impl Update {
    pub(super) fn name(&mut self, name: &str) -> String {
        let placeholder = format!("#{name}");
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    pub(super) fn value(&mut self, name: &str, value: AttributeValue) -> String {
        let placeholder = format!(":{name}");
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    pub(super) fn set(&mut self, name: &str, value: AttributeValue) {
        let set = format!("{} = {}", self.name(name), self.value(name, value));
        self.sets.push(set);
    }

    pub(super) fn add_one(&mut self, name: &str) {
        let name = self.name(name);
        self.values
            .insert(":zero".to_owned(), AttributeValue::N("0".to_owned()));
        self.values
            .insert(":one".to_owned(), AttributeValue::N("1".to_owned()));
        self.sets
            .push(format!("{name} = if_not_exists({name}, :zero) + :one"));
    }

    /// A condition: the job is as it was when it was read.
    pub(super) fn is_at(&mut self, job: &Job) -> String {
        let (attempt, saves) = (self.name("attempt"), self.name("saves"));
        let was = AttributeValue::N(job.attempt.to_string());
        let was = self.value("was_attempt", was);
        let count = self.value("was_saves", AttributeValue::N(job.saves.to_string()));
        let at = format!("{attempt} = {was} AND {saves} = {count}");
        if job.saves == 0 {
            // Versions before this one did not count.
            return format!(
                "{attempt} = {was} AND (attribute_not_exists({saves}) OR {saves} = {count})"
            );
        }
        at
    }

    /// A condition: the job is in one of `states`.
    pub(super) fn is_in(&mut self, states: &[Status]) -> String {
        let attribute = self.name("status");
        let states: Vec<String> = states
            .iter()
            .map(|state| {
                let name = state.name();
                self.value(&name.to_lowercase(), AttributeValue::S(name.to_owned()))
            })
            .collect();
        format!("{attribute} IN ({})", states.join(", "))
    }

    pub(super) fn changes(&mut self, changes: Changes) {
        for (name, value) in changes.set {
            self.set(name, value);
        }
        for name in changes.remove {
            let name = self.name(name);
            self.removes.push(name);
        }
    }

    pub(super) fn expression(&self) -> String {
        let clause = |name: &str, changes: &[String]| {
            (!changes.is_empty()).then(|| format!("{name} {}", changes.join(", ")))
        };
        let clauses = [clause("SET", &self.sets), clause("REMOVE", &self.removes)];
        clauses.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

/// Milliseconds since 1970.
pub(crate) fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

fn seconds(time: SystemTime) -> u64 {
    milliseconds(time) / 1000
}

/// The time in RFC 3339, to the millisecond.
pub(super) fn rfc3339_milliseconds(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let milliseconds = time.replace_millisecond(time.millisecond()).unwrap_or(time);
    // Cannot fail: a time of this system has a year of four digits.
    milliseconds.format(&Rfc3339).unwrap_or_default()
}

/// The time in RFC 3339, to the second.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let seconds = time.replace_nanosecond(0).unwrap_or(time);
    // Cannot fail: a time of this system has a year of four digits.
    seconds.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_bounded_and_data_is_not() {
        let long = "x\n".repeat(300_000);
        let changes = SENTENCES.iter().fold(Changes::default(), |changes, name| {
            changes.text(name, &long)
        });
        for (name, value) in changes.text_or_none("etag", Some(&long)).set {
            let value = value.as_s().unwrap();
            if name == "etag" {
                assert_eq!(*value, long);
            } else {
                assert_eq!(value.len(), rows::PROSE_BYTES_MAX - 1, "{name}");
                assert!(value.starts_with(r"x\nx"), "{name}");
            }
        }
    }
}
