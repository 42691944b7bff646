//! Where a row ends, whatever is in it. This *defines* rows: `split` computes the same for ranges.
//!
//! Framers look at quotes, brackets and what separates rows only, go on where text was cut, and never fail. So they may be asked of
//! broken text.

use memchr::{memchr, memchr2};

/// Goes through JSON from the beginning of an element of an array on, up to the comma or the closing bracket that is in the array
/// itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ElementFramer {
    in_string: bool,
    escaped: bool,
    depth: u64,
}

impl ElementFramer {
    /// Where in `text` that byte is. None if it is behind it: go on with what comes next.
    pub(super) fn end(&mut self, text: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            if self.escaped {
                self.escaped = false;
                at += 1;
                continue;
            }
            if self.in_string {
                at += memchr2(b'"', b'\\', &text[at..])?;
                match text[at] {
                    b'"' => self.in_string = false,
                    _ => self.escaped = true,
                }
                at += 1;
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'\\' => self.escaped = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' | b',' if self.depth == 0 => return Some(at),
                b'}' | b']' => self.depth -= 1,
                _ => {}
            }
            at += 1;
        }
        None
    }
}

/// Goes through JSON values that stand one after the other, from the end of one up to the last byte of the next: its closing bracket
/// or quote, or white space behind anything else.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ValueFramer {
    kind: Kind,
    in_string: bool,
    escaped: bool,
    depth: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    /// It has not begun.
    #[default]
    None,
    /// It ends where its bracket or its quote is closed.
    Closed,
    Word,
}

impl ValueFramer {
    /// Where in `text` that byte is. None if it is behind it: go on with what comes next.
    pub(super) fn end(&mut self, text: &[u8]) -> Option<usize> {
        for (at, &byte) in text.iter().enumerate() {
            match self.kind {
                Kind::None if is_json_blank(byte) => continue,
                // Of a byte order mark, behind which a value may stand.
                Kind::None if matches!(byte, 0xEF | 0xBB | 0xBF) => continue,
                Kind::None if matches!(byte, b'{' | b'[' | b'"') => self.kind = Kind::Closed,
                Kind::None => self.kind = Kind::Word,
                Kind::Word if is_json_blank(byte) => return Some(at),
                Kind::Word | Kind::Closed => {}
            }
            if self.kind == Kind::Closed && self.closes(byte) {
                return Some(at);
            }
        }
        None
    }

    fn closes(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => {
                self.in_string = !self.in_string;
                return !self.in_string && self.depth == 0;
            }
            _ if self.in_string => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth -= 1;
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }

    /// Whether the file may end here: nothing is open.
    pub(super) fn may_end(self) -> bool {
        self.kind != Kind::Closed
    }
}

/// Whether `byte` is white space in JSON.
///
/// <https://www.rfc-editor.org/rfc/rfc8259#section-2>
pub(super) fn is_json_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Whether broken JSON that was framed as a row is one, so that only it is lost: its quotes stand where they may, its brackets
/// fit each other, and it is one value.
///
/// Where a quote is lost, what is inside of strings and what is outside change places for all that follows. Text then stands next to
/// a quote sooner or later, where JSON has nothing but a comma, a colon, a bracket or white space; no row behind it may be
/// believed.
pub(super) fn is_sound(text: &[u8]) -> bool {
    let mut open = Vec::new();
    let (mut in_string, mut escaped) = (false, false);
    let mut is_closed = false;
    // Whether the byte before is text, or a quote that closes a string.
    let (mut after_text, mut after_string) = (false, false);
    for &byte in text {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => (in_string, after_string) = (false, true),
                _ => {}
            }
            continue;
        }
        let is_text = match byte {
            b'\\' => return false,
            b'"' if after_text => return false,
            b'"' => {
                in_string = true;
                false
            }
            b'{' | b'[' if open.is_empty() && is_closed => return false,
            b'{' => {
                open.push(b'}');
                false
            }
            b'[' => {
                open.push(b']');
                false
            }
            b'}' | b']' if open.pop() != Some(byte) => return false,
            b'}' | b']' => {
                is_closed = true;
                false
            }
            b',' | b':' => false,
            _ if is_json_blank(byte) => false,
            _ if after_string => return false,
            _ => true,
        };
        (after_text, after_string) = (is_text, false);
    }
    open.is_empty() && !in_string
}

/// Goes through CSV from the end of one record up to the first byte of the line break that ends the next, as csv-core does.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct RecordFramer(State);

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Only line breaks have come.
    #[default]
    Record,
    /// Only delimiters have come: with a line break behind them they are an empty line.
    Empty,
    /// A cell begins that is not the first.
    Cell,
    Plain,
    Quoted,
    /// After a quote inside of quotes.
    Quote,
}

impl RecordFramer {
    /// Where in `text` the line break begins that ends the record. None if it is behind it.
    pub(super) fn end(&mut self, text: &[u8], delimiter: u8) -> Option<usize> {
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            self.0 = match (self.0, byte) {
                (State::Quoted, _) => {
                    at += memchr(b'"', &text[at..])?;
                    State::Quote
                }
                (State::Record | State::Empty | State::Cell | State::Quote, b'"') => State::Quoted,
                (State::Record | State::Empty, b'\n' | b'\r') => State::Record,
                (State::Record | State::Empty, byte) if byte == delimiter => State::Empty,
                (_, b'\n' | b'\r') => return Some(at),
                (_, byte) if byte == delimiter => State::Cell,
                _ => State::Plain,
            };
            at += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_quote_makes_a_row_unsound_and_a_wrong_value_does_not() {
        for (text, expected) in [
            (r#"{"a":NaN}"#, true),
            (r#"{"a":1 "b":2}"#, true),
            (r#"{"a":"x" "b":2}"#, true),
            (r#"{"a":"x""b":2}"#, true),
            (r#"{"a":1,,"b":[1,]}"#, true),
            ("{'a':'x'}", true),
            ("{\"a\":\"two\nlines\"}", true),
            (r#"{"a":"\x"}"#, true),
            ("", true),
            ("7 8", true),
            (r#"{"a":"x,"b":"y"}"#, false),
            (r#"{"a":x","b":"y"}"#, false),
            (r#"{"a":"5" nail"}"#, false),
            (r#"{a":1}"#, false),
            (r#"{"a":[1}]"#, false),
            (r#"{"a":1}}"#, false),
            (r#"{"a":1"#, false),
            (r#"{"a":"x}"#, false),
            (r#"{\"a":1}"#, false),
            (r#"{"a":1} {"b":2}"#, false),
        ] {
            assert_eq!(is_sound(text.as_bytes()), expected, "{text}");
        }
    }
}
