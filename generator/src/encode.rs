//! Rows as the bytes of each file format.

use std::borrow::Cow;
use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::value::{Row, Value, lookup};

/// How the characters of a JSON string are written. Both are the same text to a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escapes {
    /// Only what JSON requires to be escaped.
    Required,
    /// Everything outside ASCII too, as Python's `json.dumps` does, with surrogate pairs.
    Ascii,
}

/// Writes `row` as a plain JSON object.
pub(super) fn json(row: &Row, escapes: Escapes, out: &mut Vec<u8>) -> io::Result<()> {
    object(row, out, |value, out| plain(value, escapes, out))
}

/// Writes `row` as a DynamoDB JSON line: `{"Item":{…}}`.
pub(super) fn dynamodb_json(row: &Row, escapes: Escapes, out: &mut Vec<u8>) -> io::Result<()> {
    out.extend_from_slice(b"{\"Item\":");
    object(row, out, |value, out| typed(value, escapes, out))?;
    out.push(b'}');
    Ok(())
}

/// The cell of column `path`, by the rule in the documentation of [`super::Generator`].
pub(super) fn cell<'a>(row: &'a Row, path: &str) -> io::Result<Cow<'a, str>> {
    Ok(match lookup(row, path) {
        Some(Value::Text(text)) => Cow::Borrowed(text.as_ref()),
        Some(Value::Number(digits)) => Cow::Borrowed(digits),
        Some(Value::Bool(true)) => Cow::Borrowed("true"),
        Some(Value::Bool(false)) => Cow::Borrowed("false"),
        Some(list @ Value::List(_)) => {
            let mut json = Vec::new();
            plain(list, Escapes::Required, &mut json)?;
            Cow::Owned(String::from_utf8_lossy(&json).into_owned())
        }
        _ => Cow::Borrowed(""),
    })
}

fn object(
    members: &Row,
    out: &mut Vec<u8>,
    mut value: impl FnMut(&Value, &mut Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    out.push(b'{');
    let mut first = true;
    for (name, member) in members {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        string(name, Escapes::Required, out)?;
        out.push(b':');
        value(member, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn array<T>(
    elements: &[T],
    out: &mut Vec<u8>,
    mut element: impl FnMut(&T, &mut Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    out.push(b'[');
    for (index, value) in elements.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        element(value, out)?;
    }
    out.push(b']');
    Ok(())
}

fn plain(value: &Value, escapes: Escapes, out: &mut Vec<u8>) -> io::Result<()> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(value) => write!(out, "{value}")?,
        Value::Number(digits) => out.extend_from_slice(digits.as_bytes()),
        Value::Text(text) => string(text, escapes, out)?,
        Value::List(elements) => array(elements, out, |value, out| plain(value, escapes, out))?,
        Value::Map(members) => object(members, out, |value, out| plain(value, escapes, out))?,
        Value::TextSet(_) | Value::NumberSet(_) | Value::Binary(_) | Value::BinarySet(_) => {
            return Err(io::Error::other("plain JSON has no sets and no binary"));
        }
    }
    Ok(())
}

fn typed(value: &Value, escapes: Escapes, out: &mut Vec<u8>) -> io::Result<()> {
    let tag = |tag: &str, out: &mut Vec<u8>| write!(out, "{{\"{tag}\":");
    match value {
        Value::Null => out.extend_from_slice(b"{\"NULL\":true"),
        Value::Bool(value) => write!(out, "{{\"BOOL\":{value}")?,
        Value::Number(digits) => write!(out, "{{\"N\":\"{digits}\"")?,
        Value::Text(text) => {
            tag("S", out)?;
            string(text, escapes, out)?;
        }
        Value::List(elements) => {
            tag("L", out)?;
            array(elements, out, |value, out| typed(value, escapes, out))?;
        }
        Value::Map(members) => {
            tag("M", out)?;
            object(members, out, |value, out| typed(value, escapes, out))?;
        }
        Value::TextSet(texts) => {
            tag("SS", out)?;
            array(texts, out, |text, out| string(text, escapes, out))?;
        }
        Value::NumberSet(numbers) => {
            tag("NS", out)?;
            array(numbers, out, |digits, out| write!(out, "\"{digits}\""))?;
        }
        Value::Binary(bytes) => {
            tag("B", out)?;
            base64_string(bytes, out)?;
        }
        Value::BinarySet(set) => {
            tag("BS", out)?;
            array(set, out, |bytes, out| base64_string(bytes, out))?;
        }
    }
    out.push(b'}');
    Ok(())
}

fn base64_string(bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    write!(out, "\"{}\"", BASE64.encode(bytes))
}

fn string(text: &str, escapes: Escapes, out: &mut Vec<u8>) -> io::Result<()> {
    let start = out.len();
    serde_json::to_writer(&mut *out, text)?;
    if escapes == Escapes::Ascii && !text.is_ascii() {
        let written = String::from_utf8_lossy(&out[start..]).into_owned();
        out.truncate(start);
        for character in written.chars() {
            if character.is_ascii() {
                out.push(character as u8);
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        vec![
            ("t", Value::from("é😀\"\\\n\u{1}")),
            ("n", Value::Number("1.50".to_owned())),
            (
                "l",
                Value::List(vec![Value::Null, Value::Bool(false), "x".into()]),
            ),
            ("m", Value::Map(vec![("k", Value::List(Vec::new()))])),
        ]
    }

    #[test]
    fn json_escapes_as_little_or_as_much_as_asked() {
        let rest = r#""n":1.50,"l":[null,false,"x"],"m":{"k":[]}}"#;
        let cases = [
            (Escapes::Required, r#"{"t":"é😀\"\\\n\u0001","#),
            (Escapes::Ascii, r#"{"t":"\u00e9\ud83d\ude00\"\\\n\u0001","#),
        ];
        for (escapes, start) in cases {
            let mut out = Vec::new();
            json(&row(), escapes, &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), format!("{start}{rest}"));
        }
    }

    #[test]
    fn dynamodb_json_tags_every_type() {
        let row: Row = vec![
            ("s", "x".into()),
            ("n", Value::Number("1.50".to_owned())),
            ("z", Value::Null),
            ("f", Value::Bool(false)),
            ("l", Value::List(vec!["x".into()])),
            ("m", Value::Map(vec![("k", Value::Bool(true))])),
            ("ss", Value::TextSet(vec!["a", "b"])),
            ("ns", Value::NumberSet(vec!["1".to_owned(), "2".to_owned()])),
            ("b", Value::Binary(vec![0, 255])),
            ("bs", Value::BinarySet(vec![vec![1], vec![2]])),
        ];
        let mut out = Vec::new();
        dynamodb_json(&row, Escapes::Required, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            concat!(
                r#"{"Item":{"s":{"S":"x"},"n":{"N":"1.50"},"z":{"NULL":true},"f":{"BOOL":false},"#,
                r#""l":{"L":[{"S":"x"}]},"m":{"M":{"k":{"BOOL":true}}},"ss":{"SS":["a","b"]},"#,
                r#""ns":{"NS":["1","2"]},"b":{"B":"AP8="},"bs":{"BS":["AQ==","Ag=="]}}}"#
            )
        );
    }

    #[test]
    fn cells_hold_text_digits_words_and_lists() {
        let cases = [
            ("t", "é😀\"\\\n\u{1}"),
            ("n", "1.50"),
            ("l", r#"[null,false,"x"]"#),
            ("m.k", "[]"),
            ("m", ""),
            ("missing", ""),
        ];
        for (path, expected) in cases {
            assert_eq!(cell(&row(), path).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn plain_json_refuses_what_it_cannot_say() {
        let row: Row = vec![("b", Value::Binary(vec![1]))];
        assert!(json(&row, Escapes::Required, &mut Vec::new()).is_err());
    }
}
