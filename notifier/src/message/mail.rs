//! What people read.

use crate::change::EventName;
use crate::digest::{Alert, Digest, Item, Parcel, Tally, Window};
use crate::settings::NAMES_MAX;
use crate::text::{ascii, counted, grouped, printable};

/// Characters of a subject ("less than 100 characters long").
///
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
pub const SUBJECT_CHARS_MAX: usize = 99;

/// The lab's subject.
pub const SUBJECT: &str = "Inventory Update";

/// The subject of alerts.
pub const ALERT_SUBJECT: &str = "Inventory Alert";

/// Characters of a single SMS in ASCII; a longer text is sent, and paid, as several.
///
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
pub const SMS_ASCII_CHARS: usize = 140;

/// UTF-16 code units of a single SMS in any other script.
///
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
pub const SMS_UCS2_CHARS: usize = 70;

/// Characters of a moment as Lambda writes it; longer ones are cut.
const MOMENT_CHARS_MAX: usize = 40;

/// The lab's subject for one insert; the counts are added when there is more to tell.
pub(crate) fn subject(digest: &Digest) -> String {
    let counts: Vec<String> = digest
        .reported()
        .map(|(event_name, tally)| format!("{} {}", grouped(tally.count()), verb(event_name)))
        .collect();
    let subject = format!("{SUBJECT}: {}", counts.join(", "));
    if counts == ["1 added"] || subject.len() > SUBJECT_CHARS_MAX {
        SUBJECT.into()
    } else {
        subject
    }
}

/// The item and the rule if there is one of each, else how many.
pub(crate) fn alert_subject(alerts: &[Alert]) -> String {
    let subject = if let [Alert { rule, tally }] = alerts {
        match (tally.count(), tally.items()) {
            (1, [item]) => format!("{ALERT_SUBJECT}: {}: {rule}", item.name),
            (count, _) => format!("{ALERT_SUBJECT}: {}: {rule}", counted(count, "product")),
        }
    } else {
        let matches = alerts.iter().map(|alert| alert.tally.count());
        let matches = grouped(matches.fold(0, u64::saturating_add));
        format!(
            "{ALERT_SUBJECT}: {matches} matches of {} rules",
            alerts.len()
        )
    };
    ascii(&subject, SUBJECT_CHARS_MAX)
}

/// One line for each kind of change, with at most `shown` names each.
pub(crate) fn plain(digest: &Digest, shown: usize) -> String {
    let mut lines: Vec<String> = digest
        .reported()
        .map(|(event_name, tally)| line(event_name, tally, shown))
        .collect();
    lines.extend(unreadable(digest));
    lines.join("\n")
}

/// One line for each rule, with at most `shown` items each.
pub(crate) fn alert_plain(alerts: &[Alert], shown: usize) -> String {
    let line = |Alert { rule, tally }: &Alert| {
        let items = first(tally, shown);
        match (tally.count(), items) {
            (1, [item]) => format!("{rule}: {}", describe(item)),
            (count, items) => format!(
                "{rule}: {}",
                listed(&counted(count, "product"), count, items)
            ),
        }
    };
    alerts.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// An e-mail: the lab's words for one insert, and a list for more.
pub(crate) fn email(parcel: &Parcel, shown: usize) -> String {
    let digest = &parcel.digest;
    if digest.count() == 1 && digest.malformed() == 0 {
        return plain(digest, shown);
    }
    let mut blocks: Vec<String> = digest
        .reported()
        .map(|(event_name, tally)| {
            if tally.count() == 1 {
                return line(event_name, tally, shown);
            }
            block(
                &format!("{} {}", counted(tally.count(), "product"), verb(event_name)),
                tally,
                shown,
            )
        })
        .collect();
    let ranges: Vec<String> = digest
        .ranges()
        .iter()
        .map(|(attribute, range)| {
            let (min, max) = (&range.min, &range.max);
            let attribute = printable(attribute, crate::watch::RULE_CHARS_MAX);
            if min == max {
                format!("{attribute}: {min}")
            } else {
                format!("{attribute}: {min} to {max}")
            }
        })
        .collect();
    if !ranges.is_empty() {
        blocks.push(ranges.join("\n"));
    }
    blocks.extend(unreadable(digest));
    blocks.extend(origin(parcel));
    blocks.join("\n\n")
}

/// An e-mail about what the watch rules found.
pub(crate) fn alert_email(parcel: &Parcel, shown: usize) -> String {
    let alerts = parcel.digest.alerts();
    if let [Alert { tally, .. }] = alerts
        && tally.count() == 1
    {
        return alert_plain(alerts, shown);
    }
    let mut blocks: Vec<String> = alerts
        .iter()
        .map(|Alert { rule, tally }| {
            if tally.count() == 1 && shown > 0 {
                return alert_plain(
                    &[Alert {
                        rule: rule.clone(),
                        tally: tally.clone(),
                    }],
                    shown,
                );
            }
            block(
                &format!("{rule}: {}", counted(tally.count(), "product")),
                tally,
                shown,
            )
        })
        .collect();
    blocks.extend(origin(parcel));
    blocks.join("\n\n")
}

/// The text that names most items and that a single SMS holds, else `otherwise`, which has to.
pub(crate) fn sms(text: impl Fn(usize) -> String, otherwise: String) -> String {
    let fits = |text: &String| {
        if text.is_ascii() {
            text.len() <= SMS_ASCII_CHARS
        } else {
            text.encode_utf16().count() <= SMS_UCS2_CHARS
        }
    };
    // The arrow alone would halve what an SMS holds.
    (0..=NAMES_MAX)
        .rev()
        .map(|shown| text(shown).replace('→', "->"))
        .find(fits)
        .unwrap_or(otherwise)
}

fn verb(event_name: EventName) -> &'static str {
    match event_name {
        EventName::Insert => "added",
        EventName::Modify => "changed",
        EventName::Remove => "removed",
    }
}

fn first(tally: &Tally, shown: usize) -> &[Item] {
    &tally.items()[..tally.items().len().min(shown)]
}

fn line(event_name: EventName, tally: &Tally, shown: usize) -> String {
    let items = first(tally, shown);
    if let (1, [item]) = (tally.count(), items) {
        let item = describe(item);
        return match event_name {
            EventName::Insert => format!("New product added: {item}"),
            EventName::Modify => format!("Product changed: {item}"),
            EventName::Remove => format!("Product removed: {item}"),
        };
    }
    let heading = format!("{} {}", counted(tally.count(), "product"), verb(event_name));
    listed(&heading, tally.count(), items)
}

/// `3 products added: Laptop, Mouse and 1 more`
fn listed(heading: &str, count: u64, items: &[Item]) -> String {
    let names = items.iter().map(describe).collect::<Vec<_>>().join(", ");
    match count - items.len() as u64 {
        _ if items.is_empty() => heading.to_owned(),
        0 => format!("{heading}: {names}"),
        rest => format!("{heading}: {names} and {} more", grouped(rest)),
    }
}

/// The same as a list, one item a line.
fn block(heading: &str, tally: &Tally, shown: usize) -> String {
    let items = first(tally, shown);
    if items.is_empty() {
        return heading.to_owned();
    }
    let mut block = format!("{heading}:\n");
    for item in items {
        block.push_str("\n  - ");
        block.push_str(&describe(item));
    }
    match tally.count() - items.len() as u64 {
        0 => {}
        rest => {
            block.push_str("\n  and ");
            block.push_str(&grouped(rest));
            block.push_str(" more");
        }
    }
    block
}

/// `Laptop`, `Laptop (price 1200 → 999, quantity 3 → 2 and 1 more)`
fn describe(item: &Item) -> String {
    if item.changes.is_empty() {
        return item.name.clone();
    }
    let changes: Vec<String> = item.changes.iter().map(ToString::to_string).collect();
    let more = match item.more_changes {
        0 => String::new(),
        more => format!(" and {} more", grouped(more)),
    };
    format!("{} ({}{more})", item.name, changes.join(", "))
}

fn unreadable(digest: &Digest) -> Option<String> {
    let malformed = digest.malformed();
    let records = counted(malformed, "stream record");
    (malformed > 0).then(|| format!("{records} could not be read; see the notifier's log"))
}

/// Where and when: `InventoryTable, 2026-11-23 09:00:00 to 09:01:00 UTC`.
fn origin(parcel: &Parcel) -> Option<String> {
    let parts: Vec<String> = parcel
        .table
        .clone()
        .into_iter()
        .chain(parcel.window.as_ref().map(when))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn when(window: &Window) -> String {
    let moment = |text: &str| {
        let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
        Some((
            printable(date, MOMENT_CHARS_MAX),
            printable(time, MOMENT_CHARS_MAX),
        ))
    };
    match (moment(&window.start), moment(&window.end)) {
        (Some((date, start)), Some((last, end))) if date == last => {
            format!("{date} {start} to {end} UTC")
        }
        (Some((first, start)), Some((last, end))) => format!("{first} {start} to {last} {end} UTC"),
        _ => {
            let (start, end) = (
                printable(&window.start, MOMENT_CHARS_MAX),
                printable(&window.end, MOMENT_CHARS_MAX),
            );
            format!("{start} to {end}")
        }
    }
}
