//! Changes to items as values: what a stream record says about an item, and how its values read.
//!
//! Pure. Nothing here knows the settings, or which changes are wanted.

pub mod attribute;
pub mod image;
pub mod number;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use self::attribute::AttributeChange;
use self::image::Image;

/// The kind of change, as the stream names it.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_Record.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EventName {
    /// An item was added to the table.
    Insert,
    /// An existing item was changed.
    Modify,
    /// An item was deleted from the table.
    Remove,
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Insert => "INSERT",
            Self::Modify => "MODIFY",
            Self::Remove => "REMOVE",
        })
    }
}

impl FromStr for EventName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Insert, Self::Modify, Self::Remove]
            .into_iter()
            .find(|name| name.to_string() == text.trim())
            .ok_or(())
    }
}

/// A change that somebody may want to know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// What happened.
    pub event_name: EventName,
    /// What to call the item: its name attribute, else its key; any length, any characters.
    pub name: Cow<'a, str>,
    /// The record's place in its shard, if that can be read.
    pub sequence_number: Option<Cow<'a, str>>,
    /// The item before, as far as it is wanted and known.
    pub old: Option<Image<'a>>,
    /// The item after, as far as it is wanted and known.
    pub new: Option<Image<'a>>,
    /// What differs between the two, of a MODIFY that will be named.
    pub attributes: Vec<AttributeChange>,
    /// How many further attributes differ.
    pub more_attributes: u64,
}

impl<'a> Change<'a> {
    /// A change of which no more is known than this.
    pub fn new(event_name: EventName, name: impl Into<Cow<'a, str>>) -> Self {
        Self {
            event_name,
            name: name.into(),
            sequence_number: None,
            old: None,
            new: None,
            attributes: Vec::new(),
            more_attributes: 0,
        }
    }

    /// Whether the record came without the image that belongs to it, as those of a stream that carries keys only.
    pub fn is_key_only(&self) -> bool {
        match self.event_name {
            EventName::Insert | EventName::Modify => self.new.is_none(),
            EventName::Remove => self.old.is_none(),
        }
    }
}
