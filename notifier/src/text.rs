//! Text for people: safe to print, cut where it must be, grouped by thousands. And JSON for machines.

use serde::Serialize;

/// Marks text that was cut. ASCII, so that it does not turn an SMS into the costlier UCS-2 encoding.
const CUT_MARK: &str = "...";

/// `text` on one line, without the characters SNS refuses, at most `chars_max` characters long.
///
/// SNS accepts the characters of XML 1.0: <https://aws.amazon.com/sns/faqs/>. Line breaks go too, or a row could forge
/// further lines of a message, and so do overrides of writing direction, which turn what stands behind them.
pub(crate) fn printable(text: &str, chars_max: usize) -> String {
    let text =
        text.trim_matches(|character: char| character.is_whitespace() || character.is_control());
    let mut characters = text.chars().map(|character| match character {
        '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => ' ',
        '\u{fffe}' | '\u{ffff}' => char::REPLACEMENT_CHARACTER,
        other if other.is_control() => ' ',
        other => other,
    });
    let mut kept: String = characters.by_ref().take(chars_max).collect();
    if characters.next().is_some() {
        mark_cut(&mut kept, chars_max);
    }
    kept
}

/// `text` as printable ASCII, at most `chars_max` characters long: `Größe` becomes `Grosse`, and `→` becomes `->`.
/// What has no counterpart becomes `?`.
pub(crate) fn ascii(text: &str, chars_max: usize) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        let counterpart = any_ascii::any_ascii_char(character);
        let before = plain.len();
        plain.extend(
            counterpart
                .chars()
                .filter(|character| (' '..='~').contains(character)),
        );
        if plain.len() == before {
            plain.push(if character.is_whitespace() || character.is_control() {
                ' '
            } else {
                '?'
            });
        }
        if plain.len() > chars_max {
            plain.truncate(chars_max);
            mark_cut(&mut plain, chars_max);
            break;
        }
    }
    plain
}

/// Replaces the last characters of `kept`, of which there are `chars_max`, by the mark.
fn mark_cut(kept: &mut String, chars_max: usize) {
    let keep = chars_max.saturating_sub(CUT_MARK.len());
    if let Some((at, _)) = kept.char_indices().nth(keep) {
        kept.truncate(at);
    }
    kept.push_str(&CUT_MARK[..CUT_MARK.len().min(chars_max)]);
}

/// `1 product`, `12,345 products`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// `12345` as `12,345`.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// JSON of what always is some.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value)
        .expect("strings, numbers and maps with string keys always serialise")
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
            ("a\u{202e}b\u{2066}c", "a b c"),
            ("a\u{fffe}b\u{ffff}c", "a\u{fffd}b\u{fffd}c"),
            ("Übergröße 👕", "Übergröße 👕"),
        ] {
            assert_eq!(printable(name, 100), expected, "{name:?}");
        }
    }

    #[test]
    fn text_is_cut_at_its_limit_and_not_before() {
        for letter in ["x", "ü", "👕"] {
            let whole = letter.repeat(100);
            assert_eq!(printable(&whole, 100), whole);
            let cut = printable(&letter.repeat(101), 100);
            assert_eq!(cut, letter.repeat(97) + "...");
        }
        assert_eq!(ascii(&"x".repeat(99), 99), "x".repeat(99));
        assert_eq!(ascii(&"x".repeat(100), 99), "x".repeat(96) + "...");
        // The last character's counterpart has two letters and would go beyond the limit.
        assert_eq!(ascii(&("x".repeat(98) + "ß"), 99), "x".repeat(96) + "...");
        assert_eq!(ascii(&("x".repeat(97) + "ß"), 99), "x".repeat(97) + "ss");
    }

    #[test]
    fn other_scripts_have_counterparts_in_ascii() {
        for (text, expected) in [
            ("Größe", "Grosse"),
            ("Лампа 灯", "Lampa Deng"),
            ("a\nb\tc\u{0}", "a b c "),
            ("\u{e000}", "?"),
        ] {
            assert_eq!(ascii(text, 99), expected, "{text:?}");
        }
    }

    #[test]
    fn counts_are_grouped_by_thousands() {
        for (count, expected) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345, "12,345"),
            (100_000, "100,000"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(grouped(count), expected);
        }
    }

    proptest! {
        #[test]
        fn any_text_becomes_printable(text in any::<String>(), chars_max in 0_usize..120) {
            let shown = printable(&text, chars_max);
            prop_assert!(shown.chars().count() <= chars_max);
            prop_assert!(!shown.chars().any(char::is_control));
            let plain = ascii(&text, chars_max);
            prop_assert!(plain.len() <= chars_max);
            prop_assert!(plain.chars().all(|character| (' '..='~').contains(&character)));
        }
    }
}
