//! What a request changes in a job: attributes, and the expressions that say so.

use std::collections::HashMap;
use std::fmt::Display;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::types::AttributeValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::job::Saved;
use super::states::{Status, Transition};
use crate::progress::Counts;

/// How long a job is kept after it was saved last.
const KEPT: Duration = Duration::from_hours(90 * 24);

/// Changes of a job's attributes.
#[derive(Debug, Default)]
pub struct Changes {
    set: Vec<(&'static str, AttributeValue)>,
    remove: Vec<&'static str>,
    pub(super) transition: Option<Transition>,
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
        self.set.push((name, AttributeValue::S(value.into())));
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

    /// Sets a flag.
    #[must_use]
    pub fn flag(mut self, name: &'static str, value: bool) -> Self {
        self.set.push((name, AttributeValue::Bool(value)));
        self
    }

    /// Takes the job to its next state. Without a claim it has no lease.
    #[must_use]
    pub fn transition(mut self, transition: Transition) -> Self {
        self.transition = Some(transition);
        if transition != Transition::Claim {
            self.remove
                .extend(["lease_until", "lease_holder", "lease_message"]);
        }
        self.text("status", transition.to().name())
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

    pub(super) fn set_once(&mut self, name: &str, value: AttributeValue) {
        let (name_is, value_is) = (self.name(name), self.value(name, value));
        let set = format!("{name_is} = if_not_exists({name_is}, {value_is})");
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
        let mut expression = format!("SET {}", self.sets.join(", "));
        if !self.removes.is_empty() {
            expression.push_str(" REMOVE ");
            expression.push_str(&self.removes.join(", "));
        }
        expression
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

/// The time in RFC 3339, to the second.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let seconds = time.replace_nanosecond(0).unwrap_or(time);
    // Cannot fail: a time of this system has a year of four digits.
    seconds.format(&Rfc3339).unwrap_or_default()
}
