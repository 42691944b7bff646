//! What the hot path allocates: nothing for a row, a few times for a batch.
//!
//! This also proves that rows take the hot path: the reference allocates for each.

#![allow(clippy::unwrap_used, reason = "tests may")]

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::sync::Arc;

use importer::write::Lanes;
use rows::{DecodeOptions, Decoder, Engine, KeyAttribute, KeyType, Row, Schema, open};

const WARM_UP_ROWS: usize = 2_000;
const ROWS: usize = 20_000;
/// Of each batch: its body, keys and rows, what makes the body shared, and the list it is handed over in; and keys and
/// body may grow.
const ALLOCATIONS_A_BATCH_MAX: u64 = 8;

/// A file of rows that differ in their values, not in their kind, in each format. Every text stays shorter than the
/// longest of the warm-up.
fn files() -> [(&'static str, String); 5] {
    let rows = WARM_UP_ROWS + ROWS;
    let (mut json, mut lines, mut typed, mut csv) = (
        String::from("["),
        String::new(),
        String::new(),
        String::from("id,name,price,tags\n"),
    );
    for n in 0..rows {
        let text = match n % 3 {
            0 => "two\\nlines \\u00e4\\ud83d\\ude00",
            1 => "plain \u{e4}\u{1f600}",
            _ => r#"\"quoted\""#,
        };
        let separator = if n == 0 { "" } else { "," };
        let row = format!(
            r#"{{"id":"P{n:08}","name":"{text}","price":{}.{:02}E1,"n":-{},"tags":["a",true,null,{{"x":1,"y":[]}}]}}"#,
            n % 1000 + 1,
            n % 100,
            n % 7
        );
        write!(json, "{separator}\n  {row}").unwrap();
        writeln!(lines, "{row}").unwrap();
        writeln!(
            typed,
            r#"{{"Item":{{"id":{{"S":"P{n:08}"}},"name":{{"S":"{text}"}},"price":{{"N":"{}"}},"b":{{"B":"AAEC"}},"s":{{"NS":["1","{}"]}},"m":{{"M":{{"x":{{"BOOL":false}},"l":{{"L":[{{"NULL":true}}]}}}}}}}}}}"#,
            n % 1000,
            n % 7 + 2
        )
        .unwrap();
        writeln!(
            csv,
            "P{n:08},\"a \"\"quoted\"\" cell, and\nmore\",{}.5,",
            n % 1000
        )
        .unwrap();
    }
    json.push_str("\n]");
    let sequence = json[1..json.len() - 1].replace("},\n", "}\n");
    [
        ("json", json),
        ("sequence", sequence.replacen('{', "{\n", 1)),
        ("jsonl", lines),
        ("ddb-json", typed),
        ("csv", csv),
    ]
}

fn decode(decoder: &mut dyn Decoder, row: &mut Row, rows: usize, mut each: impl FnMut(&Row)) {
    for _ in 0..rows {
        assert!(decoder.next(row).unwrap());
        each(row);
    }
}

fn schema() -> Arc<Schema> {
    let key = KeyAttribute::partition("id", KeyType::S);
    Arc::new(Schema::new("T", key, None))
}

#[test]
fn a_row_like_those_before_it_allocates_nothing() {
    for (name, file) in files() {
        let mut opened = open(file.as_bytes(), &DecodeOptions::default(), &schema()).unwrap();
        let mut row = Row::default();
        decode(&mut *opened.decoder, &mut row, WARM_UP_ROWS, |_| {});
        let measured = allocation_counter::measure(|| {
            decode(&mut *opened.decoder, &mut row, ROWS, |_| {});
        });
        assert_eq!(measured.count_total, 0, "{name}");
    }
}

#[test]
fn a_batch_allocates_a_few_times() {
    for (name, file) in files() {
        let mut opened = open(file.as_bytes(), &DecodeOptions::default(), &schema()).unwrap();
        let mut lanes = Lanes::new(NonZeroUsize::new(16).unwrap(), "T");
        let (mut row, mut batches) = (Row::default(), 0);
        let mut push = |row: &Row| batches += lanes.push(row).closed.len() as u64;
        decode(&mut *opened.decoder, &mut row, WARM_UP_ROWS, &mut push);
        let measured = allocation_counter::measure(|| {
            decode(&mut *opened.decoder, &mut row, ROWS, &mut push);
        });
        let most = batches * ALLOCATIONS_A_BATCH_MAX;
        assert!(
            measured.count_total <= most,
            "{name}: {} in {batches} batches",
            measured.count_total
        );
    }
}

#[test]
fn the_reference_is_what_allocates() {
    // Else the tests above would not tell which of the two they ran.
    let options = DecodeOptions {
        engine: Engine::Reference,
        ..DecodeOptions::default()
    };
    for (name, file) in files() {
        let mut opened = open(file.as_bytes(), &options, &schema()).unwrap();
        let mut row = Row::default();
        decode(&mut *opened.decoder, &mut row, WARM_UP_ROWS, |_| {});
        let measured = allocation_counter::measure(|| {
            decode(&mut *opened.decoder, &mut row, ROWS, |_| {});
        });
        assert!(measured.count_total >= ROWS as u64, "{name}");
    }
}
