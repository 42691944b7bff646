//! What the shards have agreed on: who publishes next, when, and what. Pure: no clock, no AWS.
//!
//! One shard at a time holds the ledger and publishes. A shard that finds it held adds its digest to what the holder
//! will publish, and is done: that is how a digest comes to cover more when there are more digests than messages
//! allowed. Whatever was handed over stays in the ledger until it is published, whoever crashes.

use serde::{Deserialize, Serialize};

use crate::digest::{NAMELESS_BYTES_MAX, Parcel};
use crate::text::json;

/// Ids remembered of digests that were published: those of a few minutes, for answers that got lost on their way.
const DONE_MAX: usize = 128;

/// Ids remembered of digests that wait together. Those that were offered last are kept: whoever is called again with a
/// digest offers it again and again.
const HELD_MAX: usize = 1000;

/// Largest ledger in JSON. DynamoDB's items have at most 400 KB:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-items>.
pub const BYTES_MAX: usize = 400 * 1024 - 1024;

/// Bytes of an id in JSON.
const ID_BYTES: usize = 40;

/// Largest load in JSON: two of them and what else there is fit a ledger.
const LOAD_BYTES_MAX: usize = (BYTES_MAX - DONE_MAX * ID_BYTES) / 2 - 1024;

const _: () = assert!(NAMELESS_BYTES_MAX + HELD_MAX * ID_BYTES + 1024 <= LOAD_BYTES_MAX);

/// Who holds the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    id: String,
    /// Unix time in milliseconds at which it certainly is not at work any more.
    until_ms: u64,
}

/// A parcel and the ids of all digests in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Load {
    parcel: Parcel,
    ids: Vec<String>,
}

impl Load {
    /// Forgets names until it takes less than half of a ledger. Counts stay as they are.
    fn fit(&mut self) {
        for items in [5, 1, 0] {
            if json(self).len() <= LOAD_BYTES_MAX {
                break;
            }
            self.parcel.digest.trim(items);
        }
    }
}

/// The state that the shards share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    /// Unix time in milliseconds before which nothing may be published.
    next_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<Holder>,
    /// What waits to be published.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<Load>,
    /// What is being published. It is published again, as it was, when its holder does not come back.
    #[serde(skip_serializing_if = "Option::is_none")]
    sending: Option<Load>,
    /// What was published, oldest first.
    done: Vec<String>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: the digest is published, or is its holder's business.
    Done,
    /// Come back at this Unix time in milliseconds.
    Wait(u64),
    /// Publish this, then say so.
    Send(Box<Parcel>),
}

impl Ledger {
    /// Offers `mine` and says what to do next. Offering the same digest twice is offering it once.
    ///
    /// `now_ms` is the Unix time in milliseconds; at `until_ms` the caller will certainly not be at work any more.
    /// `names` is how many names a merged digest keeps.
    pub fn offer(&mut self, mine: &Parcel, names: usize, now_ms: u64, until_ms: u64) -> Step {
        if self.knows(&mine.id) {
            self.refresh(&mine.id);
        } else {
            self.hold(mine, names);
        }
        let held_by_other = |holder: &Holder| holder.id != mine.id && holder.until_ms > now_ms;
        if self.holder.as_ref().is_some_and(held_by_other) {
            return Step::Done;
        }
        self.holder = Some(Holder {
            id: mine.id.clone(),
            until_ms,
        });
        if self.held.is_none() && self.sending.is_none() {
            self.holder = None;
            return Step::Done;
        }
        if now_ms < self.next_ms {
            return Step::Wait(self.next_ms);
        }
        // What a holder left behind goes first and alone: it may have been published, and only the very same message
        // can be recognised as a duplicate.
        if self.sending.is_none() {
            self.sending = self.held.take();
            // Now, because from here on the id has to mean the same message.
            if let Some(load) = &mut self.sending {
                load.fit();
            }
        }
        match &self.sending {
            Some(load) => Step::Send(Box::new(load.parcel.clone())),
            None => Step::Done,
        }
    }

    /// Notes that the parcel `id`, given out by [`Step::Send`], was published, and that nothing may be published for
    /// `pause_ms`.
    pub fn sent(&mut self, id: &str, now_ms: u64, pause_ms: u64) {
        if let Some(load) = self.sending.take_if(|load| load.parcel.id == id) {
            self.done.extend(load.ids);
            let old = self.done.len().saturating_sub(DONE_MAX);
            self.done.drain(..old);
        }
        self.next_ms = self.next_ms.max(now_ms.saturating_add(pause_ms));
    }

    /// The ledger's JSON, at most [`BYTES_MAX`] long.
    pub fn to_json(&mut self) -> String {
        if let Some(load) = &mut self.held {
            load.fit();
        }
        json(self)
    }

    fn knows(&self, id: &str) -> bool {
        let loads = self.held.iter().chain(&self.sending);
        let mut ids = self.done.iter().chain(loads.flat_map(|load| &load.ids));
        ids.any(|known| known == id)
    }

    /// Moves an id that waits to where it is kept longest.
    fn refresh(&mut self, id: &str) {
        if let Some(load) = &mut self.held
            && let Some(at) = load.ids.iter().position(|known| known == id)
        {
            let id = load.ids.remove(at);
            load.ids.push(id);
        }
    }

    fn hold(&mut self, mine: &Parcel, names: usize) {
        match &mut self.held {
            Some(load) => {
                if load.ids.len() == HELD_MAX {
                    load.ids.remove(0);
                }
                load.ids.push(mine.id.clone());
                load.parcel.merge(mine.clone(), names);
            }
            None => {
                self.held = Some(Load {
                    parcel: mine.clone(),
                    ids: vec![mine.id.clone()],
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Change, EventName};
    use crate::digest::Digest;
    use crate::settings::Settings;

    const NAMES: usize = 10;
    /// Everybody in these tests has until then.
    const LATE: u64 = 1_000_000;

    fn parcel(id: &str, products: u64) -> Parcel {
        let settings = Settings::new("arn:t");
        let mut digest = Digest::default();
        for _ in 0..products {
            digest.add(&Change::new(EventName::Insert, id.to_owned()), &settings);
        }
        Parcel {
            id: id.into(),
            digests: 1,
            digest,
            ..Parcel::default()
        }
    }

    fn sent(step: &Step) -> (&str, u64) {
        match step {
            Step::Send(parcel) => (&parcel.id, parcel.digest.count()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_one_publishes_at_once_and_the_second_waits() {
        let mut ledger = Ledger::default();
        let a = ledger.offer(&parcel("a", 1), NAMES, 100, LATE);
        assert_eq!(sent(&a), ("a", 1));
        ledger.sent("a", 110, 1000);
        assert_eq!(
            ledger.offer(&parcel("a", 1), NAMES, 111, LATE),
            Step::Done,
            "it is published"
        );
        assert_eq!(
            ledger.offer(&parcel("b", 2), NAMES, 200, LATE),
            Step::Wait(1110)
        );
        assert_eq!(
            ledger.offer(&parcel("b", 2), NAMES, 1109, LATE),
            Step::Wait(1110)
        );
        assert_eq!(
            sent(&ledger.offer(&parcel("b", 2), NAMES, 1110, LATE)),
            ("b", 2)
        );
    }

    #[test]
    fn who_finds_it_held_hands_over() {
        let mut ledger = Ledger::default();
        ledger.offer(&parcel("a", 1), NAMES, 100, LATE);
        for id in ["b", "c", "b"] {
            assert_eq!(
                ledger.offer(&parcel(id, 10), NAMES, 101, LATE),
                Step::Done,
                "{id}"
            );
        }
        ledger.sent("a", 110, 1000);
        // The holder goes on with what came in meanwhile.
        assert_eq!(
            ledger.offer(&parcel("a", 1), NAMES, 110, LATE),
            Step::Wait(1110)
        );
        assert_eq!(
            ledger.offer(&parcel("d", 100), NAMES, 500, LATE),
            Step::Done
        );
        let both = ledger.offer(&parcel("a", 1), NAMES, 1110, LATE);
        assert_eq!(sent(&both), ("b", 120));
        ledger.sent("b", 1110, 1000);
        assert_eq!(ledger.offer(&parcel("a", 1), NAMES, 1111, LATE), Step::Done);
        for id in ["a", "b", "c", "d"] {
            assert_eq!(
                ledger.offer(&parcel(id, 1), NAMES, 9999, LATE),
                Step::Done,
                "{id} is published"
            );
        }
        assert_eq!(
            sent(&ledger.offer(&parcel("e", 5), NAMES, 9999, LATE)),
            ("e", 5)
        );
    }

    #[test]
    fn what_a_holder_leaves_behind_is_published_again_as_it_was() {
        let mut ledger = Ledger::default();
        let first = ledger.offer(&parcel("a", 1), NAMES, 100, 200);
        assert_eq!(sent(&first), ("a", 1));
        assert_eq!(
            ledger.offer(&parcel("b", 10), NAMES, 199, LATE),
            Step::Done,
            "a may be at work"
        );
        // It is gone. Its message comes first, by itself: b was not in it.
        assert_eq!(ledger.offer(&parcel("c", 100), NAMES, 200, LATE), first);
        // The holder of old comes back: its digest is the new holder's business.
        assert_eq!(ledger.offer(&parcel("a", 1), NAMES, 201, LATE), Step::Done);
        ledger.sent("a", 210, 1000);
        assert_eq!(
            sent(&ledger.offer(&parcel("c", 100), NAMES, 1210, LATE)),
            ("b", 110)
        );
    }

    #[test]
    fn a_holder_that_is_called_again_goes_on_where_it_was() {
        let mut ledger = Ledger::default();
        let first = ledger.offer(&parcel("a", 1), NAMES, 100, LATE);
        assert_eq!(ledger.offer(&parcel("b", 10), NAMES, 101, LATE), Step::Done);
        assert_eq!(ledger.offer(&parcel("a", 1), NAMES, 102, LATE), first);
    }

    #[test]
    fn a_report_that_comes_too_late_changes_nothing() {
        let mut ledger = Ledger::default();
        ledger.offer(&parcel("a", 1), NAMES, 100, 200);
        ledger.offer(&parcel("c", 100), NAMES, 200, LATE);
        ledger.sent("a", 210, 1000);
        ledger.offer(&parcel("c", 100), NAMES, 1210, LATE);
        let before = ledger.clone();
        ledger.sent("a", 220, 10);
        assert_eq!(ledger, before);
    }

    #[test]
    fn a_ledger_fits_its_item_and_keeps_its_counts() {
        let long = |count: usize| "👕".repeat(count);
        let mut settings = Settings::new("arn:t");
        settings.names = crate::settings::NAMES_MAX;
        let rules: Vec<String> = (0..20)
            .map(|number| format!("{}{number} changed AND b rose AND c rose", long(160)))
            .collect();
        settings.watch = crate::watch::Watch::parse(&rules.join(";")).unwrap();
        let event_names = [EventName::Insert, EventName::Modify, EventName::Remove];
        settings.event_names = event_names.to_vec();
        let watched = settings.watch.attributes().len();
        let image = |number: &str| {
            let value = || Some(crate::change::image::Value::N(number.to_owned().into()));
            let watched = (0..watched).map(|_| value()).collect();
            Some(crate::change::image::Image {
                name: None,
                watched,
            })
        };
        let name = long(100);
        let worst = |id: String| {
            let mut digest = Digest::default();
            for event_name in event_names {
                for _ in 0..30 {
                    let mut change = Change::new(event_name, name.as_str());
                    let changed = crate::change::attribute::AttributeChange {
                        attribute: long(40),
                        old: Some(long(40)),
                        new: Some(long(40)),
                    };
                    change.attributes = vec![changed; 3];
                    (change.old, change.new) = (image("1"), image("2"));
                    digest.add(&change, &settings);
                }
            }
            Parcel {
                id,
                digests: 1,
                digest,
                ..Parcel::default()
            }
        };
        let mut ledger = Ledger::default();
        let (first, last) = (worst(format!("{:032}", 0)), worst(format!("{:032}", 1)));
        let whole = json(&first).len();
        assert!(
            whole > LOAD_BYTES_MAX,
            "{whole}: nothing would have to be forgotten"
        );
        assert!(whole <= crate::digest::DIGEST_BYTES_MAX + 1000, "{whole}");
        ledger.offer(&first, 25, 100, LATE);
        ledger.offer(&last, 25, 101, LATE);
        assert!(ledger.to_json().len() <= BYTES_MAX);
        for number in 2..=2 * HELD_MAX {
            ledger.offer(&parcel(&format!("{number:032}"), 1), 25, 101, LATE);
            // Whoever comes back all the time is remembered, however many came after it.
            ledger.offer(&last, 25, 101, LATE);
        }
        let json = ledger.to_json();
        assert!(json.len() <= BYTES_MAX, "{}", json.len());
        let mut read: Ledger = serde_json::from_str(&json).unwrap();
        assert_eq!(read, ledger);
        read.sent(&first.id, 102, 0);
        let Step::Send(due) = read.offer(&first, 25, 102, LATE) else {
            panic!()
        };
        assert_eq!(due.digest.inserted().count(), 30 + 2 * HELD_MAX as u64 - 1);
    }
}
