//! Text of a file as it may stand in a message.
//!
//! Names, cells and keys are the file's. In a message they are bounded and on one line, and nothing in them moves a cursor
//! or turns the direction of the text around them.

/// Most bytes of a name, a header, a cell or a key as a message quotes it, its escapes and its mark of a cut included.
pub const QUOTED_BYTES_MAX: usize = 200;

/// Most bytes of a sentence about a file: a reason, a fix, an object's name. The key of an object has 1,024 bytes at most.
///
/// An item of the table of jobs (400 KB) and a message of SNS's (256 KiB) have room for several of them.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
pub const PROSE_BYTES_MAX: usize = 2048;

/// Marks where text was cut off.
const CUT: char = '…';

/// A name, a header, a cell or a key, escaped and at most [`QUOTED_BYTES_MAX`] bytes long.
///
/// ```
/// assert_eq!(rows::quoted("price"), "price");
/// assert_eq!(rows::quoted("a\nb\u{202e}c"), r"a\nb\u{202e}c");
/// assert_eq!(rows::quoted(&"x".repeat(201)).len(), 200);
/// ```
pub fn quoted(text: &str) -> String {
    bounded(text, QUOTED_BYTES_MAX)
}

/// A sentence, escaped and at most [`PROSE_BYTES_MAX`] bytes long. What is in order stays as it is.
pub fn prose(text: &str) -> String {
    bounded(text, PROSE_BYTES_MAX)
}

/// Escapes what [`is_unsafe`] and cuts the rest off after `bytes_max`, between characters and never inside an escape.
fn bounded(text: &str, bytes_max: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(bytes_max));
    // Where the text ends if it must be cut, so that the mark still fits.
    let mut cut_at = 0;
    for character in text.chars() {
        let before = shown.len();
        if is_unsafe(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
        if before + CUT.len_utf8() <= bytes_max {
            cut_at = before;
        }
        if shown.len() > bytes_max {
            shown.truncate(cut_at);
            shown.push(CUT);
            break;
        }
    }
    shown
}

/// Whether a character does something other than to be read: controls, line and paragraph separators, marks and
/// overrides of direction, the byte order mark, and those that XML, and so SNS, does not have.
///
/// <https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>,
/// <https://www.w3.org/TR/xml/#charsets>
pub fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
                | '\u{fffe}'
                | '\u{ffff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_read_is_escaped() {
        for (text, expected) in [
            ("", ""),
            ("productId", "productId"),
            ("Größe 灯 👕 \"x\" \\", "Größe 灯 👕 \"x\" \\"),
            ("a\nb\rc\td", r"a\nb\rc\td"),
            (
                "a\0b\u{1b}[2Jc\u{7f}d\u{85}e",
                r"a\u{0}b\u{1b}[2Jc\u{7f}d\u{85}e",
            ),
            ("a\u{2028}b\u{2029}c", r"a\u{2028}b\u{2029}c"),
            (
                "a\u{202a}b\u{202e}c\u{2066}d\u{2069}e\u{200f}f\u{61c}",
                r"a\u{202a}b\u{202e}c\u{2066}d\u{2069}e\u{200f}f\u{61c}",
            ),
            ("\u{feff}a\u{ffff}", r"\u{feff}a\u{ffff}"),
        ] {
            assert_eq!(quoted(text), expected, "{text:?}");
        }
    }

    #[test]
    fn text_is_cut_between_characters_and_not_before_its_limit() {
        for (letter, bytes) in [("x", 1), ("ü", 2), ("灯", 3), ("👕", 4)] {
            let fits = letter.repeat(QUOTED_BYTES_MAX / bytes);
            assert_eq!(quoted(&fits), fits);
            let kept = (QUOTED_BYTES_MAX - CUT.len_utf8()) / bytes;
            let cut = letter.repeat(kept) + "…";
            assert_eq!(quoted(&(fits + letter)), cut);
        }
        // An escape is whole or not there.
        let escapes = "\u{202e}".repeat(100);
        assert_eq!(quoted(&escapes), r"\u{202e}".repeat(24) + "…");
        // A mark that would fit before a last character does not push it out.
        let fits = "x".repeat(QUOTED_BYTES_MAX - 2) + "ü";
        assert_eq!(quoted(&fits), fits);
    }

    proptest! {
        #[test]
        fn any_text_is_bounded_safe_and_shown_the_same_again(text in any::<String>(), repeat in 1_usize..40) {
            let text = text.repeat(repeat);
            for (shown, again, max) in [
                (quoted(&text), quoted(&quoted(&text)), QUOTED_BYTES_MAX),
                (prose(&text), prose(&prose(&text)), PROSE_BYTES_MAX),
            ] {
                prop_assert!(shown.len() <= max);
                prop_assert!(!shown.chars().any(is_unsafe));
                prop_assert_eq!(shown, again);
            }
        }
    }
}
