//! Arbitrary rows against a simple model: the item, its size, and the same item from every format.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::keys::{number, written_out};
use crate::support::{Setup, plain, rows, run};

/// A JSON value; numbers are text, so that no digit is lost.
#[derive(Debug, Clone)]
enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// As a file may have it: `style` chooses white space and escapes, byte by byte.
    fn write(&self, style: &mut impl Iterator<Item = u8>, out: &mut String) {
        space(style, out);
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(&value.to_string()),
            Self::Number(number) => out.push_str(number),
            Self::Text(text) => write_text(text, style, out),
            Self::List(values) => {
                out.push('[');
                for (index, value) in values.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    value.write(style, out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    space(style, out);
                    write_text(name, style, out);
                    space(style, out);
                    out.push(':');
                    value.write(style, out);
                }
                space(style, out);
                out.push('}');
            }
        }
        space(style, out);
    }

    /// As DynamoDB JSON.
    fn typed(&self) -> Value {
        match self {
            Self::Null => json!({"NULL": true}),
            Self::Bool(value) => json!({"BOOL": value}),
            Self::Number(number) => json!({"N": number}),
            Self::Text(text) => json!({"S": text}),
            Self::List(values) => json!({"L": values.iter().map(Self::typed).collect::<Vec<_>>()}),
            Self::Object(members) => json!({"M": typed_members(members)}),
        }
    }

    /// Bytes by <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>.
    fn size_bytes(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) => 1,
            Self::Number(number) => number_size_bytes(number),
            Self::Text(text) => text.len(),
            Self::List(values) => {
                3 + values
                    .iter()
                    .map(|value| 1 + value.size_bytes())
                    .sum::<usize>()
            }
            Self::Object(members) => {
                let sizes = members
                    .iter()
                    .map(|(name, value)| 1 + name.len() + value.size_bytes());
                3 + sizes.sum::<usize>()
            }
        }
    }
}

fn typed_members(members: &[(String, Json)]) -> Value {
    let members = members
        .iter()
        .map(|(name, value)| (name.clone(), value.typed()));
    Value::Object(members.collect::<Map<_, _>>())
}

/// A byte for two digits on each side of the point, one more, and one for a minus sign.
fn number_size_bytes(number: &str) -> usize {
    let written = written_out(number);
    let (negative, unsigned) = match written.strip_prefix('-') {
        Some(rest) => (1, rest),
        None => (0, &*written),
    };
    let (mut before, mut after) = unsigned.split_once('.').unwrap();
    if after.is_empty() {
        before = before.trim_end_matches('0');
    }
    if before.is_empty() {
        after = after.trim_start_matches('0');
    }
    before.len().div_ceil(2) + after.len().div_ceil(2) + 1 + negative
}

fn space(style: &mut impl Iterator<Item = u8>, out: &mut String) {
    out.push_str(match style.next() {
        Some(byte @ 0..4) => [" ", "\t", "\r", "  "][usize::from(byte)],
        _ => "",
    });
}

fn write_text(text: &str, style: &mut impl Iterator<Item = u8>, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        let escape = style.next().is_some_and(|byte| byte < 32);
        if escape || c < ' ' || c == '"' || c == '\\' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").unwrap();
            }
        } else {
            out.push(c);
        }
    }
    out.push('"');
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-z0-9 ]{0,8}", 2 => "\\PC{0,6}", 1 => "[\u{0}-\u{1f}\"\\\\/\u{7f}äé€😀\u{2028}]{0,6}"]
}

/// Members whose names differ.
fn members(
    value: impl Strategy<Value = Json>,
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = Vec<(String, Json)>> {
    prop::collection::btree_map("[a-zA-Z_ä. ]{1,6}|\\PC{1,3}", value, count)
        .prop_map(|members| members.into_iter().collect())
}

fn value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        number().prop_map(Json::Number),
        text().prop_map(Json::Text),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::List),
            members(inner, 0..4).prop_map(Json::Object),
        ]
    })
}

/// A row: attributes, the key `id` somewhere among them.
fn row() -> impl Strategy<Value = Vec<(String, Json)>> {
    (
        members(value(), 0..6),
        "[a-z]{1,4}",
        any::<prop::sample::Index>(),
    )
        .prop_map(|(mut members, id, at)| {
            members.retain(|(name, _)| name != "id");
            members.insert(
                at.index(members.len() + 1),
                ("id".to_owned(), Json::Text(id)),
            );
            members
        })
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_object_becomes_the_item_and_the_size_that_the_model_says(
        table in prop::collection::vec(row(), 1..4),
        style in prop::collection::vec(any::<u8>(), 64),
    ) {
        let mut style = style.into_iter().cycle();
        let texts: Vec<String> = table
            .iter()
            .map(|row| {
                let mut text = String::new();
                Json::Object(row.clone()).write(&mut style, &mut text);
                text
            })
            .collect();
        let array = run(&plain(), format!("[{}]", texts.join(",")).as_bytes());
        let lines = run(&plain(), (texts.join("\n") + "\n").as_bytes());
        let typed: Vec<_> = table.iter().map(|row| typed_members(row)).collect();
        let typed_lines: String = typed.iter().map(|item| format!("{{\"Item\":{item}}}\n")).collect();
        let typed_lines = run(&plain(), typed_lines.as_bytes());
        for run in [&array, &lines, &typed_lines] {
            prop_assert!(run.ended() && run.rejects.is_empty(), "{:?}", run.events);
            prop_assert_eq!(run.rows.len(), table.len());
            for ((row, model), members) in run.rows.iter().zip(&typed).zip(&table) {
                let item: Value = serde_json::from_slice(&row.item).unwrap();
                prop_assert_eq!(&item, model);
                let size_bytes: usize = members.iter().map(|(name, value)| name.len() + value.size_bytes()).sum();
                prop_assert_eq!(row.size_bytes, size_bytes);
            }
        }
        for (a, b) in array.rows.iter().zip(&lines.rows) {
            prop_assert_eq!(&a.item, &b.item);
            prop_assert_eq!(&a.key, &b.key);
        }
        for (row, text) in array.rows.iter().zip(&texts) {
            let from = 1 + texts.iter().take(row.position.record as usize - 1).map(|t| t.len() as u64 + 1).sum::<u64>();
            let begin = text.find('{').unwrap() as u64;
            prop_assert_eq!(row.position.byte, from + begin);
        }
    }

    #[test]
    fn flat_rows_are_the_same_items_from_json_lines_and_csv(
        table in prop::collection::vec(
            ("[a-z0-9]{1,6}", prop::option::of("[^\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}]{1,8}"), prop::option::of(number()), prop::option::of(any::<bool>())),
            0..6,
        ),
        delimiter in prop::sample::select(vec![b',', b';', b'|', b'\t']),
        crlf in any::<bool>(),
    ) {
        let mut objects = Vec::new();
        let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter).terminator(terminator).from_writer(Vec::new());
        writer.write_record(["id", "s", "n", "b"]).unwrap();
        for (id, s, n, b) in &table {
            let mut members = vec![("id".to_owned(), Json::Text(id.clone()))];
            members.extend(s.iter().map(|s| ("s".to_owned(), Json::Text(s.clone()))));
            members.extend(n.iter().map(|n| ("n".to_owned(), Json::Number(n.clone()))));
            members.extend(b.iter().map(|b| ("b".to_owned(), Json::Bool(*b))));
            let mut text = String::new();
            Json::Object(members).write(&mut std::iter::empty(), &mut text);
            objects.push(text);
            let b = b.map(|b| b.to_string());
            let cells = [Some(id), s.as_ref(), n.as_ref(), b.as_ref()];
            writer.write_record(cells.map(|cell| cell.map_or("", String::as_str))).unwrap();
        }
        let declared = plain().types("s:S,b:BOOL");
        let items = |setup: &Setup, file: &[u8]| rows(setup, file).into_iter().map(|row| (row.item, row.key, row.size_bytes)).collect::<Vec<_>>();
        let array = items(&plain(), format!("[{}]", objects.join(",\n")).as_bytes());
        let csv = items(&declared, &writer.into_inner().unwrap());
        prop_assert_eq!(&array, &csv);
        if !objects.is_empty() {
            let lines = items(&plain(), objects.join("\r\n").as_bytes());
            prop_assert_eq!(&array, &lines);
        }
    }
}
