//! The inside of JSON strings: where one ends, and what its escapes stand for.

/// Whether a string may hold escapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escaped {
    /// It has none: its bytes are its text.
    No,
    /// It has at least one backslash.
    Perhaps,
}

const ONES: u64 = u64::MAX / 255;
const HIGHS: u64 = ONES * 0x80;

/// Index of the first byte that JSON does not take as it is inside a string: a quote, a backslash, or a control
/// character.
#[inline]
pub(crate) fn special(text: &[u8]) -> Option<usize> {
    special_or(text, b'"')
}

/// Index of the first byte that is `other`, or that JSON does not take as it is inside a string.
///
/// Eight bytes at a time: a byte's high bit in `x - ONES & !x & HIGHS` says that it is 0, and of several that are set the
/// lowest is right. See <https://graphics.stanford.edu/~seander/bithacks.html#ZeroInWord>.
#[allow(clippy::inline_always, reason = "CSV is decoded in 7 to 10% less time")]
#[inline(always)]
pub(crate) fn special_or(text: &[u8], other: u8) -> Option<usize> {
    let (words, rest) = text.as_chunks::<8>();
    for (index, &word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(word);
        let zero = |x: u64| x.wrapping_sub(ONES) & !x;
        let same = |byte: u8| zero(word ^ (ONES * u64::from(byte)));
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let found = (same(b'"') | same(b'\\') | same(other) | control) & HIGHS;
        if found != 0 {
            return Some(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let rest_at = text.len() - rest.len();
    let is_special = |&b: &u8| b < 0x20 || b == b'"' || b == b'\\' || b == other;
    rest.iter().position(is_special).map(|at| rest_at + at)
}

/// Appends the string `raw`, which is JSON without its quotes, with the fewest escapes: those that [`serde_json`] writes.
/// Gives the bytes of its text, or `None` if an escape is malformed.
pub(crate) fn write_normal(raw: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let mut rest = raw;
    let mut text_bytes = 0;
    while let Some(at) = special(rest) {
        out.extend_from_slice(&rest[..at]);
        text_bytes += at;
        let escaped = &rest[at..];
        if let [
            b'\\',
            b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't',
            after @ ..,
        ] = escaped
        {
            // The shortest form that there is.
            out.extend_from_slice(&escaped[..2]);
            rest = after;
            text_bytes += 1;
            continue;
        }
        let (character, after) = escape(escaped)?;
        rest = after;
        text_bytes += character.len_utf8();
        write_character(character, out);
    }
    out.extend_from_slice(rest);
    Some(text_bytes + rest.len())
}

/// The text that `raw`, a JSON string without its quotes, stands for. `None` if an escape is malformed.
pub(crate) fn unescape(raw: &[u8]) -> Option<String> {
    let mut text = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = special(rest) {
        text.extend_from_slice(&rest[..at]);
        let (character, after) = escape(&rest[at..])?;
        rest = after;
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    text.extend_from_slice(rest);
    String::from_utf8(text).ok()
}

/// The character of the escape that `text` begins with, and what follows it.
fn escape(text: &[u8]) -> Option<(char, &[u8])> {
    let [b'\\', kind, after @ ..] = text else {
        return None;
    };
    let character = match kind {
        b'"' | b'\\' | b'/' => char::from(*kind),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode_escape(after),
        _ => return None,
    };
    Some((character, after))
}

fn unicode_escape(text: &[u8]) -> Option<(char, &[u8])> {
    let (first, after) = code_unit(text)?;
    // A code unit that is no character begins a pair of surrogates, or is wrong.
    if let Some(character) = char::from_u32(u32::from(first)) {
        return Some((character, after));
    }
    let (second, after) = code_unit(after.strip_prefix(b"\\u")?)?;
    let mut characters = char::decode_utf16([first, second]);
    Some((characters.next()?.ok()?, after))
}

fn code_unit(text: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, after) = text.split_first_chunk::<4>()?;
    let unit = digits.iter().try_fold(0, |unit, &digit| {
        let value = char::from(digit).to_digit(16)?;
        Some(unit << 4 | value as u16)
    })?;
    Some((unit, after))
}

/// Appends a character as JSON has it inside a string.
fn write_character(character: char, out: &mut Vec<u8>) {
    let mut text = [0; 4];
    let text = character.encode_utf8(&mut text);
    if special(text.as_bytes()).is_none() {
        return out.extend_from_slice(text.as_bytes());
    }
    let quoted = out.len();
    write_json_string(out, text);
    // Without its quotes.
    out.pop();
    out.remove(quoted);
}

/// Appends `text` as a JSON string with its quotes.
pub(crate) fn write_json_string(out: &mut Vec<u8>, text: &str) {
    // Cannot fail: a Vec takes every write, and a str is always JSON.
    serde_json::to_writer(out, text).expect("a str serialises into a Vec");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_special_byte_is_found_wherever_it_is() {
        for length in 0..40 {
            for special_byte in [0, 0x1f, b'"', b'\\'] {
                for other in [
                    b'a', 0x20, 0x7f, 0x80, 0xff, b'!', b'#', b'[', b']', b'\xdc', b'\xa2',
                ] {
                    let mut text = vec![other; length];
                    assert_eq!(special(&text), None, "{other:#x}");
                    for at in 0..length {
                        text[at] = special_byte;
                        assert_eq!(special(&text), Some(at), "{text:?}");
                        if at + 1 < length {
                            text[at + 1] = b'"';
                            assert_eq!(special(&text), Some(at), "{text:?}");
                            text[at + 1] = other;
                        }
                        text[at] = other;
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn escapes_agree_with_serde_json(raw in "([a-zä😀 /]|\\\\\\\\[\"\\\\\\\\/bfnrtux]|\\\\\\\\u[0-9a-fA-F]{4}|\\\\\\\\ud[89ab][0-9]{2}\\\\\\\\ud[c-f][0-9]{2}|[\\x00-\\x1f\"])*") {
            let expected: Option<String> = serde_json::from_str(&format!("\"{raw}\"")).ok();
            prop_assert_eq!(unescape(raw.as_bytes()), expected.clone());
            let mut out = Vec::new();
            let written = write_normal(raw.as_bytes(), &mut out);
            prop_assert_eq!(written, expected.as_ref().map(String::len));
            if let Some(text) = expected {
                prop_assert_eq!(format!("\"{}\"", String::from_utf8(out).unwrap()), serde_json::to_string(&text).unwrap());
            }
        }
    }
}
