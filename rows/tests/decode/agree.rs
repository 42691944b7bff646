//! The hot path and the reference give the same rows, rejects, positions and errors.
//!
//! Files are put together from rows that are good, wrong in every way that the reference knows, or unusual, under tables
//! and declared types that differ. (`every_way` compares the two on every other case of this suite, and `fuzz` on changed
//! bytes; here it is many rows in one file, so that the two take turns.)

use std::fmt::Write as _;

use proptest::prelude::*;
use rows::Format::{Csv, DynamoDbJson, JsonLines};
use rows::{Engine, KeyAttribute, KeyType};

use crate::support::{Chunked, Setup, plain, run, same_runs, same_tails};

/// Values of plain JSON, good and not.
const VALUES: &[&str] = &[
    "1",
    "-0",
    "1.50",
    "0.001",
    "100",
    "1e5",
    "-1.5E-10",
    "12E+125",
    "1e126",
    "0e126",
    "1e-131",
    "9007199254740993",
    "99999999999999999999999999999999999999",
    "999999999999999999999999999999999999999",
    "0.000000000000000000000000000000000000001",
    "00",
    "01",
    "1.",
    ".5",
    "+1",
    "-",
    "1e",
    "1x",
    "0x1",
    "NaN",
    "true",
    "false",
    "null",
    "tru",
    "nul",
    "truee",
    "True",
    "\"\"",
    "\"a\"",
    "\"ä€😀\"",
    "\"a b c d e f g h\"",
    "\"\\u0041\"",
    "\"\\u00e4\\uD83D\\uDE00\"",
    "\"\\ud800\"",
    "\"\\ude00x\"",
    "\"\\ud83d\\u0041\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\x\"",
    "\"\\u12\"",
    "\"a\tb\"",
    "\"a\nb\"",
    "\"\u{7f}\"",
    "\"\u{0}\"",
    "[]",
    "[1,\"a\",[],{}]",
    "[1,]",
    "[,]",
    "[1 2]",
    "{}",
    "{\"a\":1}",
    "{\"a\":{\"b\":[{\"a\":1},{\"a\":2}]}}",
    "{\"a\":1,\"a\":2}",
    "{\"a\":1,\"\\u0061\":2}",
    "{\"\":1}",
    "{\"a\" 1}",
    "{a:1}",
    "{\"a\":1,}",
    "[ ]",
    "{ }",
    " 1 ",
    "\"AAE=\"",
    "\"AAE\"",
    "\"TRUE\"",
    "\"1e5\"",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
];

/// Values of DynamoDB JSON, good and not.
const TYPED: &[&str] = &[
    r#"{"S":"a"}"#,
    r#"{"S":""}"#,
    r#"{"S":"\u0041\n"}"#,
    r#"{"N":"1.50"}"#,
    r#"{"N":"+1"}"#,
    r#"{"N":"1e126"}"#,
    r#"{"N":"\u0031"}"#,
    r#"{"N":1}"#,
    r#"{"N":""}"#,
    r#"{"B":"AAE="}"#,
    r#"{"B":"AAE"}"#,
    r#"{"B":""}"#,
    r#"{"BOOL":true}"#,
    r#"{"BOOL":"true"}"#,
    r#"{"NULL":true}"#,
    r#"{"NULL":false}"#,
    r#"{"M":{}}"#,
    r#"{"M":{"a":{"S":"x"},"b":{"L":[]}}}"#,
    r#"{"M":{"a":{"S":"x"},"a":{"S":"y"}}}"#,
    r#"{"L":[{"N":"1"},{"M":{"x":{"BOOL":false}}}]}"#,
    r#"{"L":[1]}"#,
    r#"{"SS":["a","b"]}"#,
    r#"{"SS":["a","a"]}"#,
    r#"{"SS":["a","\u0061"]}"#,
    r#"{"SS":[]}"#,
    r#"{"SS":["a",1]}"#,
    r#"{"NS":["1","2"]}"#,
    r#"{"NS":["1","1.0"]}"#,
    r#"{"NS":["x"]}"#,
    r#"{"BS":["AA==","AQ=="]}"#,
    r#"{"BS":["AA==","AA=="]}"#,
    r#"{"X":"a"}"#,
    "{}",
    r#"{"S":"a","N":"1"}"#,
    r#"{"S":"a",}"#,
    "\"a\"",
    "1",
    r#"{"S" :"a" }"#,
    r#"{"\u0053":"a"}"#,
    r#" { "S" : "a" } "#,
];

const CELLS: &[&str] = &[
    "",
    "a",
    "1",
    "-0",
    "1.50",
    "00123",
    "+5",
    "1e5",
    "1e126",
    "99999999999999999999999999999999999999",
    "999999999999999999999999999999999999999",
    "\"\"",
    "\"a\"",
    "\"a,b\"",
    "\"a\"\"b\"",
    "\"\"\"\"",
    "\"two\nlines\"",
    "\"two\r\nlines\"",
    "\"two\rlines\"",
    "a\"b",
    "\"a\"b",
    "\"a",
    "\"a\" ",
    " \"a\"",
    "a\\b",
    "ä€😀",
    "true",
    "TRUE",
    "AAE=",
    "AAE",
    "tab\there",
    "\u{0}",
    "\u{7f}",
    " ",
    "x,y",
];

fn text(choices: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(choices)
}

fn space() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["", "", "", "", " ", "\t", "\r"][..])
}

/// A row of up to four attributes; the first is mostly the key, with a value that mostly fits.
fn object(
    values: &'static [&'static str],
    keys: &'static [&'static str],
) -> impl Strategy<Value = String> {
    let name =
        prop::sample::select(&["id", "n", "m", "o", "ä", "\\u006e", "a longer name", ""][..]);
    let key = (prop::bool::weighted(0.9), text(keys));
    (
        key,
        prop::collection::vec((name, text(values), space()), 0..4),
        space(),
    )
        .prop_map(|((has_key, key), members, end)| {
            let mut row = String::from("{");
            if has_key {
                write!(row, "\"id\":{key}").unwrap();
            }
            for (name, value, space) in members {
                let comma = if row.len() > 1 { "," } else { "" };
                write!(row, "{comma}{space}\"{name}\":{value}{space}").unwrap();
            }
            row + end + "}"
        })
}

/// Mostly rows that are good, so that the hot path is on its way when something comes that is not for it.
fn plain_row() -> impl Strategy<Value = String> {
    const KEYS: &[&str] = &["\"a\"", "\"b\"", "\"k\\u0041\"", "1", "1.0", "\"\"", "null"];
    const GOOD: &[&str] = &[
        "{\"id\":\"a\",\"n\":1}",
        "{ \"id\" : \"b\" , \"n\":\"x\"}",
        "{\"id\":7,\"n\":-1.5}",
    ];
    prop_oneof![
        5 => text(GOOD).prop_map(str::to_owned),
        5 => object(VALUES, KEYS),
        1 => text(VALUES).prop_map(str::to_owned),
    ]
}

fn typed_row() -> impl Strategy<Value = String> {
    const KEYS: &[&str] = &[
        r#"{"S":"a"}"#,
        r#"{"S":"b\n"}"#,
        r#"{"N":"1"}"#,
        r#"{"B":"AAE="}"#,
        r#"{"S":""}"#,
    ];
    const GOOD: &[&str] = &[
        r#"{"id":{"S":"a"},"n":{"N":"1"}}"#,
        r#"{"id":{"N":"1"},"n":{"SS":["a"]}}"#,
    ];
    let item = prop_oneof![2 => text(GOOD).prop_map(str::to_owned), 3 => object(TYPED, KEYS)];
    (item, 0..20_u8).prop_map(|(item, around)| match around {
        0 => item,
        1 => format!("{{\"Item\":{item},\"Item\":{item}}}"),
        2 => format!("{{\"item\":{item}}}"),
        3 => format!("{{\"Item\":{item},\"x\":1}}"),
        4 => format!(" {{ \"Item\" : {item} }} "),
        5 => "{\"Item\":1}".to_owned(),
        _ => format!("{{\"Item\":{item}}}"),
    })
}

/// Rows with what stands between them, which mostly is what must.
fn joined(
    row: impl Strategy<Value = String>,
    separator: &'static str,
    others: &'static [&'static str],
) -> impl Strategy<Value = String> {
    let between = prop_oneof![30 => Just(separator), 1 => text(others)];
    prop::collection::vec((row, between), 0..12).prop_map(|rows| {
        let mut file = String::new();
        for (row, between) in rows {
            file += &row;
            file += between;
        }
        file
    })
}

/// Tables, and what the user declares.
fn setups() -> impl Strategy<Value = Setup> {
    (0..8_usize).prop_map(|choice| match choice {
        0..=2 => plain(),
        3 => plain().key("id", KeyType::N),
        4 => plain().sort("n", KeyType::N),
        5 => plain().index(KeyAttribute::partition("n", KeyType::S)),
        6 => plain().types("n:N,m:BOOL,o:S"),
        _ => plain().types("n:S,m:B"),
    })
}

fn agree(setup: &Setup, file: &[u8]) -> Result<(), TestCaseError> {
    let reference = run(&setup.clone().engine(Engine::Reference), file);
    for chunk in [1, 3, 50, usize::MAX] {
        let fast = run(setup, Chunked(file, chunk));
        same_runs(&fast, &reference).map_err(TestCaseError::fail)?;
        if chunk == 3 {
            same_tails(setup, file, &fast, chunk).map_err(TestCaseError::fail)?;
        }
    }
    let setup = setup.clone().engine(Engine::Reference);
    same_tails(&setup, file, &reference, usize::MAX).map_err(TestCaseError::fail)
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(11),
        cases: 1024,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn on_arrays(
        setup in setups(),
        rows in joined(plain_row(), ",", &["", ",,", ";", "\n,\r\n", "]", " \r\r\n, ", "x", "\u{c},", "1"]),
        around in 0..4_usize,
    ) {
        // Mostly without the last comma.
        let rows = rows.strip_suffix(',').unwrap_or(&rows);
        let (setup, file) = match around {
            0 => (setup.rows_at("/Items"), format!("{{\"a\":[1],\r\n\"Items\":[{rows}],\"b\":{{}}}}\n")),
            1 => (setup, format!("\u{feff} [\r\n{rows}\n] ")),
            2 => (setup, format!("[{rows}")),
            _ => (setup, format!("[{rows}]")),
        };
        agree(&setup, file.as_bytes())?;
    }

    #[test]
    fn on_sequences(setup in setups(), rows in joined(plain_row(), "\n", &["", " ", ",", "\r\n\r\n", "]", "x"])) {
        agree(&setup, format!("{{\n\"id\":\"first\"}}\n{rows}").as_bytes())?;
    }

    #[test]
    fn on_lines(setup in setups(), rows in joined(plain_row(), "\n", &["\r\n", "\n\n", " \t\r\n", "\u{c}\n", "", ",\n", "\r", "\n\u{b}\n"])) {
        agree(&setup.format(JsonLines), rows.as_bytes())?;
    }

    #[test]
    fn on_dynamodb_json(setup in setups(), rows in joined(typed_row(), "\n", &["\r\n", "\n\n", "", ","])) {
        agree(&setup.format(DynamoDbJson), rows.as_bytes())?;
        agree(&plain().key("id", KeyType::B).format(DynamoDbJson), rows.as_bytes())?;
    }

    #[test]
    fn on_csv(
        setup in setups(),
        rows in prop::collection::vec((prop::collection::vec(text(CELLS), 4), prop_oneof![
            20 => Just("\n"), 5 => Just("\r\n"), 1 => Just("\r"), 1 => Just("\n\n"), 1 => Just("\r\n\r\n"), 1 => Just(""), 1 => Just(",\n")
        ]), 0..12),
        end in prop::bool::ANY,
    ) {
        let mut file = String::from("n,id,m,o\r\n");
        for (cells, line_break) in rows {
            file += &cells.join(",");
            file += line_break;
        }
        if end {
            file.truncate(file.trim_end().len());
        }
        agree(&setup.format(Csv).delimiter(b','), file.as_bytes())?;
    }
}

/// Files of many buffers with rejects here and there. (The hot path lost what it had read ahead when the reference had its
/// turn with more than a window full of bytes: small files never showed it.)
#[test]
fn on_files_longer_than_every_buffer() {
    let mut rng = fastrand::Rng::with_seed(3);
    for bad_in in [1, 3, 40, 900] {
        let mut rows = Vec::new();
        let mut csv = "id,n,text\n".to_owned();
        for n in 0..6000 {
            let long = "ü".repeat(rng.usize(0..80));
            if rng.u32(0..bad_in) == 0 {
                let bad = [
                    "7",
                    "{\"n\":1}",
                    "{\"id\":\"a\",\"id\":\"b\"}",
                    "{\"id\":5}",
                ];
                rows.push(rng.choice(bad).unwrap().to_owned());
                csv += *rng
                    .choice([",1,\n", "a,2\n", "\"a\"b,3,\n"].as_slice())
                    .unwrap();
            } else {
                rows.push(format!("{{\"id\":\"{n}\",\"n\":{n},\"text\":\"{long}\"}}"));
                writeln!(csv, "{n},{n},\"{long}\n\"").unwrap();
            }
        }
        let array = format!("[{}]", rows.join(",\n"));
        let sequence = format!("{{\n\"id\":\"first\"}}\n{}", rows.join(" "));
        for (setup, file) in [
            (plain(), array),
            (plain(), sequence),
            (plain().format(JsonLines), rows.join("\n")),
            (plain().format(Csv).delimiter(b','), csv),
        ] {
            let reference = run(&setup.clone().engine(Engine::Reference), file.as_bytes());
            assert!(reference.ended() && reference.rows.len() + reference.rejects.len() >= 6000);
            for chunk in [usize::MAX, 10_000] {
                let fast = run(&setup, Chunked(file.as_bytes(), chunk));
                let differs = fast
                    .events
                    .iter()
                    .zip(&reference.events)
                    .find(|(a, b)| a != b);
                assert_eq!(differs, None, "one bad row in {bad_in}, by {chunk}");
                assert_eq!(fast.events.len(), reference.events.len());
                assert_eq!(fast.rows, reference.rows);
            }
        }
    }
}
