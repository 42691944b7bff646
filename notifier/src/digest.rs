//! What a batch of changes amounts to: counts, the first names, the rest as a number.
//!
//! A [`Digest`] is a plain value of bounded size, whatever it has counted, and two digests of
//! consecutive batches merge into the digest of both.

use serde::Serialize;

use crate::record::{Change, EventName};

/// Names kept for each kind of change; further items are only counted.
pub const NAMES_MAX: usize = 10;

/// Characters of a name that are kept.
pub const NAME_CHARS_MAX: usize = 100;

/// Marks a name that was cut. ASCII, so that it does not turn an SMS into the costlier UCS-2 encoding.
const CUT_MARK: &str = "...";

/// Counts and first names of one kind of change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    count: u64,
    names: Vec<String>,
}

impl Tally {
    /// Items counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The names of the first items, at most [`NAMES_MAX`], each at most [`NAME_CHARS_MAX`] characters
    /// and safe to print on one line.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    fn add(&mut self, name: &str) {
        self.count = self.count.saturating_add(1);
        if self.names.len() < NAMES_MAX {
            self.names.push(printable(name));
        }
    }

    fn merge(&mut self, later: Self) {
        self.count = self.count.saturating_add(later.count);
        let room = NAMES_MAX - self.names.len();
        self.names.extend(later.names.into_iter().take(room));
    }
}

/// The changes of one batch of stream records.
///
/// ```
/// use notifier::{digest::Digest, record::{Change, EventName}};
///
/// let mut digest = Digest::default();
/// for name in ["Laptop", "Mouse"] {
///     digest.add(&Change { event_name: EventName::Insert, name: name.into() });
/// }
/// assert_eq!(digest.inserted().count(), 2);
/// assert_eq!(digest.inserted().names(), ["Laptop", "Mouse"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    inserted: Tally,
    modified: Tally,
    removed: Tally,
    malformed: u64,
}

impl Digest {
    /// Counts a change.
    pub fn add(&mut self, change: &Change<'_>) {
        let tally = match change.event_name {
            EventName::Insert => &mut self.inserted,
            EventName::Modify => &mut self.modified,
            EventName::Remove => &mut self.removed,
        };
        tally.add(&change.name);
    }

    /// Counts a record that could not be read.
    pub fn add_malformed(&mut self) {
        self.malformed = self.malformed.saturating_add(1);
    }

    /// Adds the digest of the records that follow this one's.
    pub fn merge(&mut self, later: Self) {
        self.inserted.merge(later.inserted);
        self.modified.merge(later.modified);
        self.removed.merge(later.removed);
        self.malformed = self.malformed.saturating_add(later.malformed);
    }

    /// Whether there is no change to tell anybody about. Malformed records alone are a matter for the
    /// operator's log, not for the subscribers.
    pub fn is_empty(&self) -> bool {
        self.inserted.count == 0 && self.modified.count == 0 && self.removed.count == 0
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

    /// Records that could not be read.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }
}

/// `name` on one line, without the characters SNS refuses, at most [`NAME_CHARS_MAX`] long.
///
/// SNS accepts the characters of XML 1.0: <https://aws.amazon.com/sns/faqs/>. Line breaks go too, or a
/// row could forge further lines of a message.
fn printable(name: &str) -> String {
    let name =
        name.trim_matches(|character: char| character.is_whitespace() || character.is_control());
    let mut characters = name.chars().map(|character| match character {
        '\u{2028}' | '\u{2029}' => ' ',
        '\u{fffe}' | '\u{ffff}' => char::REPLACEMENT_CHARACTER,
        other if other.is_control() => ' ',
        other => other,
    });
    let mut kept: String = characters.by_ref().take(NAME_CHARS_MAX).collect();
    if characters.next().is_some() {
        let cut = kept.char_indices().nth_back(CUT_MARK.len() - 1);
        kept.truncate(cut.map_or(0, |(at, _)| at));
        kept.push_str(CUT_MARK);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_print_on_one_line() {
        for (name, expected) in [
            ("Laptop", "Laptop"),
            (" Laptop\n\0", "Laptop"),
            ("Lap\r\ntop", "Lap  top"),
            ("a\u{0}b\u{7f}c\u{85}d", "a b c d"),
            ("a\u{2028}b\u{2029}c", "a b c"),
            ("a\u{fffe}b\u{ffff}c", "a\u{fffd}b\u{fffd}c"),
            ("Übergröße 👕", "Übergröße 👕"),
        ] {
            assert_eq!(printable(name), expected, "{name:?}");
        }
    }

    #[test]
    fn a_name_is_cut_at_its_limit_and_not_before() {
        for letter in ["x", "ü", "👕"] {
            let whole = letter.repeat(NAME_CHARS_MAX);
            assert_eq!(printable(&whole), whole);
            let cut = printable(&letter.repeat(NAME_CHARS_MAX + 1));
            assert_eq!(cut, letter.repeat(NAME_CHARS_MAX - 3) + "...");
        }
    }

    fn changes() -> impl Strategy<Value = Vec<Change<'static>>> {
        let event_name = prop_oneof![
            Just(EventName::Insert),
            Just(EventName::Modify),
            Just(EventName::Remove)
        ];
        let change = (event_name, ".{0,3}").prop_map(|(event_name, name)| Change {
            event_name,
            name: name.into(),
        });
        proptest::collection::vec(change, 0..60)
    }

    fn digest(changes: &[Change<'_>]) -> Digest {
        let mut digest = Digest::default();
        for change in changes {
            digest.add(change);
        }
        digest.add_malformed();
        digest
    }

    proptest! {
        #[test]
        fn the_digest_of_two_batches_is_their_merged_digests(first in changes(), second in changes()) {
            let mut merged = digest(&first);
            merged.merge(digest(&second));
            let mut whole = digest(&[first, second].concat());
            whole.add_malformed();
            prop_assert_eq!(merged, whole);
        }
    }
}
