//! What changes amount to: counts, the first names, the rest as a number, and what the watch rules found.
//!
//! A [`Digest`] is a plain value of bounded size, whatever it has counted. Two digests of consecutive batches merge into
//! the digest of both. It travels as JSON: in a tumbling window's state from invocation to invocation, and in the ledger
//! from shard to shard. Pure, and without words for people: those are [`message`](crate::message)'s.

pub(crate) mod parcel;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::parcel::{Parcel, Window};
use crate::change::attribute::{
    ATTRIBUTE_CHARS_MAX, ATTRIBUTES_MAX, AttributeChange, VALUE_CHARS_MAX,
};
use crate::change::image::{Image, Value};
use crate::change::number::{self, Number};
use crate::change::{Change, EventName};
use crate::settings::{NAMES_MAX, Settings};
use crate::text::printable;
use crate::watch::{RULE_CHARS_MAX, RULES_MAX};

/// Items kept for each watch rule; further ones are only counted.
pub const HITS_MAX: usize = 5;

/// Characters of a name that are kept.
pub const NAME_CHARS_MAX: usize = 100;

/// Watched numbers whose range is kept.
pub const RANGES_MAX: usize = 16;

/// Rules that are told apart. A few more than may be configured, because they may be changed while a window is open.
pub(crate) const ALERTS_MAX: usize = RULES_MAX + 5;

/// Stands for whatever comes beyond them.
const OTHER_RULES: &str = "other rules";

const FRAME_BYTES: usize = 100;

/// The longest JSON of a digest that names no items. A character takes at most four bytes: four in UTF-8, or two where it
/// is escaped.
pub const NAMELESS_BYTES_MAX: usize = {
    let alert = 4 * RULE_CHARS_MAX + FRAME_BYTES;
    let range = 4 * RULE_CHARS_MAX + 2 * number::TEXT_BYTES_MAX + FRAME_BYTES;
    ALERTS_MAX * alert + RANGES_MAX * range + 10 * FRAME_BYTES
};

/// The longest JSON of a digest.
pub const DIGEST_BYTES_MAX: usize = {
    let change = 4 * (ATTRIBUTE_CHARS_MAX + 2 * VALUE_CHARS_MAX) + FRAME_BYTES;
    let item = 4 * NAME_CHARS_MAX + ATTRIBUTES_MAX * change + FRAME_BYTES;
    NAMELESS_BYTES_MAX + (3 * NAMES_MAX + ALERTS_MAX * HITS_MAX) * item
};

/// An item that is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What people call it: at most [`NAME_CHARS_MAX`] characters, safe to print on one line.
    pub name: String,
    /// What changed about it, of a MODIFY, and what a rule looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<AttributeChange>,
    /// How many further attributes changed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_changes: u64,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Counts and first items of one kind of change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    count: u64,
    items: Vec<Item>,
}

impl Tally {
    /// Items counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first of them.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    fn add(&mut self, items_max: usize, item: impl FnOnce() -> Item) {
        self.count = self.count.saturating_add(1);
        if self.items.len() < items_max {
            self.items.push(item());
        }
    }

    fn merge(&mut self, later: Self, items_max: usize) {
        self.count = self.count.saturating_add(later.count);
        let room = items_max.saturating_sub(self.items.len());
        self.items.extend(later.items.into_iter().take(room));
    }
}

/// The least and the greatest value of a watched attribute, digit for digit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The least.
    pub min: Number,
    /// The greatest.
    pub max: Number,
}

/// What a watch rule found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Alert {
    /// The rule, as it is configured.
    pub rule: String,
    /// The changes that triggered it.
    #[serde(flatten)]
    pub tally: Tally,
}

/// The changes of one batch of stream records, or of many.
///
/// ```
/// use notifier::{change::{Change, EventName}, digest::Digest, settings::Settings};
///
/// # let settings = Settings::from_variables(|variable| {
/// #     (variable == "INTAKE_TOPIC_ARN").then(|| "arn:aws:sns:eu-central-1:123456789012:t".into())
/// # })?;
/// let mut digest = Digest::default();
/// for name in ["Laptop", "Mouse"] {
///     digest.add(&Change::new(EventName::Insert, name), &settings);
/// }
/// assert_eq!(digest.inserted().count(), 2);
/// assert_eq!(digest.inserted().items()[1].name, "Mouse");
/// # Ok::<(), notifier::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Digest {
    inserted: Tally,
    modified: Tally,
    removed: Tally,
    ranges: BTreeMap<String, Range>,
    alerts: Vec<Alert>,
    malformed: u64,
    key_only: u64,
    incomparable: u64,
}

impl Digest {
    /// Counts a change, as `settings` ask for its kind, and looks whether it is worth an alert.
    pub fn add(&mut self, change: &Change<'_>, settings: &Settings) {
        if settings.reports(change.event_name) {
            let tally = match change.event_name {
                EventName::Insert => &mut self.inserted,
                EventName::Modify => &mut self.modified,
                EventName::Remove => &mut self.removed,
            };
            tally.add(settings.names, || Item {
                name: printable(&change.name, NAME_CHARS_MAX),
                changes: change.attributes.clone(),
                more_changes: change.more_attributes,
            });
            self.key_only = self
                .key_only
                .saturating_add(u64::from(change.is_key_only()));
        }
        // An item that is gone has nothing to be watched.
        if let (EventName::Insert | EventName::Modify, Some(new)) = (change.event_name, &change.new)
            && !settings.watch.is_empty()
        {
            self.watch(change, new, settings);
        }
    }

    fn watch(&mut self, change: &Change<'_>, new: &Image<'_>, settings: &Settings) {
        for (index, attribute) in settings.watch.attributes().iter().enumerate() {
            match new.get(index) {
                Some(Value::N(text)) => self.measure(attribute, text),
                Some(_) if settings.watch.is_numeric(index) => {
                    self.incomparable = self.incomparable.saturating_add(1);
                }
                _ => {}
            }
        }
        for rule in settings.watch.rules() {
            if !rule.triggers(change.old.as_ref(), new) {
                continue;
            }
            self.alert(rule.text()).add(HITS_MAX, || Item {
                name: printable(&change.name, NAME_CHARS_MAX),
                changes: looked_at(rule.attributes(), change, new, settings),
                more_changes: 0,
            });
        }
    }

    /// The tally of a rule.
    fn alert(&mut self, rule: &str) -> &mut Tally {
        let known = self.alerts.iter().position(|alert| alert.rule == rule);
        let index = known.unwrap_or_else(|| {
            let others = self.alerts.len() == ALERTS_MAX - 1 && rule != OTHER_RULES;
            if self.alerts.len() < ALERTS_MAX {
                let rule = if others { OTHER_RULES } else { rule }.to_owned();
                self.alerts.push(Alert {
                    rule,
                    tally: Tally::default(),
                });
            }
            self.alerts.len() - 1
        });
        &mut self.alerts[index].tally
    }

    /// Widens the range of an attribute's values.
    fn measure(&mut self, attribute: &str, text: &str) {
        if let Some(range) = self.ranges.get_mut(attribute) {
            let end = if range.min.compared(text) == Some(Ordering::Less) {
                &mut range.min
            } else if range.max.compared(text) == Some(Ordering::Greater) {
                &mut range.max
            } else {
                return;
            };
            // It was compared, so it is a number.
            if let Some(number) = Number::parse(text) {
                *end = number;
            }
        } else if self.ranges.len() < RANGES_MAX
            && let Some(number) = Number::parse(text)
        {
            let range = Range {
                min: number.clone(),
                max: number,
            };
            self.ranges.insert(attribute.to_owned(), range);
        }
    }

    /// Counts a record that could not be read.
    pub fn add_malformed(&mut self) {
        self.malformed = self.malformed.saturating_add(1);
    }

    /// Adds the digest of records that follow this one's, keeping at most `names` names of a kind.
    pub fn merge(&mut self, later: Self, names: usize) {
        self.inserted.merge(later.inserted, names);
        self.modified.merge(later.modified, names);
        self.removed.merge(later.removed, names);
        for (attribute, range) in later.ranges {
            if let Some(known) = self.ranges.get_mut(&attribute) {
                if range.min < known.min {
                    known.min = range.min;
                }
                if range.max > known.max {
                    known.max = range.max;
                }
            } else if self.ranges.len() < RANGES_MAX {
                self.ranges.insert(attribute, range);
            }
        }
        for alert in later.alerts {
            self.alert(&alert.rule).merge(alert.tally, HITS_MAX);
        }
        self.malformed = self.malformed.saturating_add(later.malformed);
        self.key_only = self.key_only.saturating_add(later.key_only);
        self.incomparable = self.incomparable.saturating_add(later.incomparable);
    }

    /// Forgets all but the first `items` of everything that is named. Counts stay as they are.
    pub fn trim(&mut self, items: usize) {
        let tallies = [&mut self.inserted, &mut self.modified, &mut self.removed];
        let alerts = self.alerts.iter_mut().map(|alert| &mut alert.tally);
        for tally in tallies.into_iter().chain(alerts) {
            tally.items.truncate(items);
        }
    }

    /// Whether there is nothing to tell anybody about. Malformed records alone are a matter for the operator's log, not
    /// for the subscribers.
    pub fn is_empty(&self) -> bool {
        self.count() == 0 && self.alerts.is_empty()
    }

    /// Changes counted, of all kinds.
    pub fn count(&self) -> u64 {
        [&self.inserted, &self.modified, &self.removed]
            .iter()
            .fold(0, |sum: u64, tally| sum.saturating_add(tally.count))
    }

    /// Items added.
    pub fn inserted(&self) -> &Tally {
        &self.inserted
    }

    /// Items changed.
    pub fn modified(&self) -> &Tally {
        &self.modified
    }

    /// Items removed.
    pub fn removed(&self) -> &Tally {
        &self.removed
    }

    /// The kinds of change that happened, with what happened.
    pub fn reported(&self) -> impl Iterator<Item = (EventName, &Tally)> {
        [
            (EventName::Insert, &self.inserted),
            (EventName::Modify, &self.modified),
            (EventName::Remove, &self.removed),
        ]
        .into_iter()
        .filter(|(_, tally)| tally.count > 0)
    }

    /// The least and greatest values of watched numbers among items that were added or changed.
    pub fn ranges(&self) -> &BTreeMap<String, Range> {
        &self.ranges
    }

    /// What the watch rules found, in the order they first found something.
    pub fn alerts(&self) -> &[Alert] {
        &self.alerts
    }

    /// Records that could not be read.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }

    /// Counted records that came without an image, so that their items are called by their keys.
    pub fn key_only(&self) -> u64 {
        self.key_only
    }

    /// Watched values that a rule compares with a number and that are none.
    pub fn incomparable(&self) -> u64 {
        self.incomparable
    }
}

/// What a rule looked at, before and after, each attribute once.
fn looked_at(
    attributes: impl Iterator<Item = usize>,
    change: &Change<'_>,
    new: &Image<'_>,
    settings: &Settings,
) -> Vec<AttributeChange> {
    let mut indexes: Vec<usize> = attributes.collect();
    indexes.sort_unstable();
    indexes.dedup();
    let old = change.old.as_ref();
    indexes
        .into_iter()
        .take(ATTRIBUTES_MAX)
        .map(|index| {
            let name = &settings.watch.attributes()[index];
            AttributeChange::new(name, old.and_then(|old| old.get(index)), new.get(index))
        })
        .collect()
}
