//! A digest on its way: what it says, and where and when that happened.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Digest;

/// Characters of a table's name: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>.
const TABLE_CHARS_MAX: usize = 255;

/// When the records were written, as Lambda tells it: from `start`, inclusive, to `end`, exclusive, in RFC 3339, UTC.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-windows.html>
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// When it begins.
    pub start: String,
    /// When it ends.
    pub end: String,
}

/// A digest ready to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    /// The same for the same changes, however often they are published: 32 hexadecimal digits.
    pub id: String,
    /// Digests in it: of windows, or of batches where there are no windows.
    pub digests: u64,
    /// The table, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The time it covers, when Lambda told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// What happened.
    pub digest: Digest,
}

impl Parcel {
    /// Adds a parcel that goes along with this one, which keeps its id.
    pub fn merge(&mut self, other: Self, names: usize) {
        self.digests = self.digests.saturating_add(other.digests);
        if self.table.is_none() {
            self.table = other.table;
        }
        self.window = match (self.window.take(), other.window) {
            // RFC 3339 in UTC sorts as text.
            (Some(one), Some(two)) => Some(Window {
                start: one.start.min(two.start),
                end: one.end.max(two.end),
            }),
            (one, two) => one.or(two),
        };
        self.digest.merge(other.digest, names);
    }
}

/// The id of the changes from one sequence number to another of a shard's window, or of a stream where there are no
/// windows.
///
/// Both ends count: if Lambda ever called with more records than it did the time before, the id would be another one, and
/// the changes would be told twice rather than not at all.
/// Changes without any number cannot be recognised; their id is another one each time.
pub(crate) fn id(source: &str, window: Option<&Window>, first: &str, last: &str) -> String {
    if first.is_empty() {
        return format!("{:032x}", fastrand::u128(..));
    }
    let start = window.map_or("", |window| window.start.as_str());
    let mut hash = Sha256::new();
    for part in [source, start, first, last] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let mut id = hex::encode(hash.finalize());
    id.truncate(32);
    id
}

/// The table of a stream's ARN, `arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/stream/LABEL`.
pub(crate) fn table(stream_arn: &str) -> Option<String> {
    let (_, resource) = stream_arn.split_once(":table/")?;
    let table = resource.split('/').next()?;
    let named = !table.is_empty()
        && table.chars().count() <= TABLE_CHARS_MAX
        && table.chars().all(|c| c.is_ascii_graphic());
    named.then(|| table.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_streams_arn() {
        for (arn, expected) in [
            (
                "arn:aws:dynamodb:eu-central-1:123456789012:table/InventoryTable/stream/2026-11-23T08:58:02.345",
                Some("InventoryTable"),
            ),
            (
                "arn:aws-cn:dynamodb:cn-north-1:123456789012:table/a.b-c_d/stream/x",
                Some("a.b-c_d"),
            ),
            ("arn:aws:dynamodb:eu-central-1:123456789012:table/", None),
            (
                "arn:aws:dynamodb:eu-central-1:123456789012:table/a\nb/stream/x",
                None,
            ),
            ("", None),
        ] {
            assert_eq!(table(arn).as_deref(), expected, "{arn}");
        }
    }

    #[test]
    fn ids_tell_apart_what_is_not_the_same() {
        let window = |start: &str| Window {
            start: start.into(),
            end: String::new(),
        };
        let one = window("2026-11-23T09:00:00Z");
        let ids = [
            id("s", Some(&one), "1", "2"),
            id("s", Some(&window("2026-11-23T09:01:00Z")), "1", "2"),
            id("t", Some(&one), "1", "2"),
            id("s", None, "1", "2"),
            id("s", Some(&one), "1", "3"),
            id("s", Some(&one), "12", ""),
        ];
        let different: std::collections::BTreeSet<&String> = ids.iter().collect();
        assert_eq!(different.len(), ids.len());
        assert!(ids.iter().all(|id| id.len() == 32));
        assert_eq!(ids[0], id("s", Some(&one), "1", "2"));
        assert_ne!(id("s", Some(&one), "", ""), id("s", Some(&one), "", ""));
    }

    #[test]
    fn merged_parcels_cover_both_times() {
        let parcel = |id: &str, start: &str, end: &str| Parcel {
            id: id.into(),
            digests: 1,
            window: Some(Window {
                start: start.into(),
                end: end.into(),
            }),
            ..Parcel::default()
        };
        let mut merged = parcel("a", "2026-11-23T09:01:00Z", "2026-11-23T09:02:00Z");
        merged.merge(
            parcel("b", "2026-11-23T09:00:00Z", "2026-11-23T09:01:00Z"),
            10,
        );
        merged.merge(
            Parcel {
                digests: 3,
                table: Some("T".into()),
                ..Parcel::default()
            },
            10,
        );
        let mut expected = parcel("a", "2026-11-23T09:00:00Z", "2026-11-23T09:02:00Z");
        expected.digests = 5;
        expected.table = Some("T".into());
        assert_eq!(merged, expected);
    }
}
