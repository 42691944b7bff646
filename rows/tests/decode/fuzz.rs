//! Valid files with bytes changed, removed, doubled or inserted: decoding ends, does not panic, and does not succeed
//! with less than the file has.
//!
//! What can be proven of a success depends on the format. JSON: the text is JSON as a whole, and has as many elements
//! as rows were settled. JSON Lines: every line that is not blank was settled. CSV: every record that the `csv` crate
//! finds was settled, and no cell was open at the end.

use proptest::prelude::*;
use rows::Engine;

use crate::support::{Chunked, Run, Setup, plain, run, same_runs, same_tails};

#[derive(Debug, Clone)]
enum Change {
    Replace(prop::sample::Index, u8),
    Remove(prop::sample::Index, usize),
    Insert(prop::sample::Index, u8),
    Double(prop::sample::Index, usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let index = any::<prop::sample::Index>;
    // Bytes that mean something, and any other.
    let byte = || {
        prop_oneof![
            prop::sample::select(b"[]{}:,;\"\\\n\r \t0e-.ux\xef\xff".to_vec()),
            any::<u8>()
        ]
    };
    let change = prop_oneof![
        4 => (index(), byte()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        2 => (index(), 1..9_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        2 => (index(), byte()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        1 => (index(), 1..40_usize).prop_map(|(at, length)| Change::Double(at, length)),
    ];
    prop::collection::vec(change, 1..5)
}

fn apply(file: &str, changes: &[Change]) -> Vec<u8> {
    let mut bytes = file.as_bytes().to_vec();
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        match change {
            Change::Replace(at, byte) => *at.get_mut(&mut bytes) = *byte,
            Change::Insert(at, byte) => bytes.insert(at.index(bytes.len()), *byte),
            Change::Remove(at, length) => {
                let at = at.index(bytes.len());
                bytes.drain(at..(at + length).min(bytes.len()));
            }
            Change::Double(at, length) => {
                let at = at.index(bytes.len());
                let part = bytes[at..(at + length).min(bytes.len())].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}

/// Decodes `bytes` by the reference, and one, three and all at a time on the hot path; each must give the same.
fn settle(setup: &Setup, bytes: &[u8]) -> Result<Run, TestCaseError> {
    let whole = run(&setup.clone().engine(Engine::Reference), bytes);
    for chunk in [1, 3, usize::MAX] {
        let again = run(setup, Chunked(bytes, chunk));
        same_runs(&again, &whole).map_err(TestCaseError::fail)?;
        if chunk == 3 {
            same_tails(setup, bytes, &again, chunk).map_err(TestCaseError::fail)?;
        }
    }
    let reference = setup.clone().engine(Engine::Reference);
    same_tails(&reference, bytes, &whole, usize::MAX).map_err(TestCaseError::fail)?;
    // Each is settled once and in order.
    let mut records: Vec<u64> = whole.rows.iter().map(|row| row.position.record).collect();
    records.extend(whole.rejects.iter().map(|reject| reject.position.record));
    records.sort_unstable();
    prop_assert!(
        records.iter().copied().eq(1..=records.len() as u64),
        "{:?}",
        whole.events
    );
    for row in &whole.rows {
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&row.item).is_ok());
    }
    Ok(whole)
}

fn settled(run: &Run) -> usize {
    run.rows.len() + run.rejects.len()
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(3),
        cases: 512,
        ..ProptestConfig::default()
    }
}

const ARRAY: &str = r#"{"n": 1, "Items": [
  {"id": "a", "n": 1.50, "t": [true, null, {"k": "ä\u0041"}]},
  {"id": "b😀", "x": {"y": {"z": []}}}, {"id": "c"},
  {"id": "d", "v": -1e-5}
], "Count": 4}
"#;

const LINES: &str = "{\"id\":\"a\",\"n\":1.50}\n{\"id\":\"bä\",\"l\":[1,\"\\u0041\"]}\r\n\n{\"id\":\"c\",\"t\":true}\n{\"id\":\"d\"}\n";

const DYNAMODB: &str = "{\"Item\":{\"id\":{\"S\":\"a\"},\"n\":{\"N\":\"1.50\"}}}\n{\"Item\":{\"id\":{\"S\":\"bä\"},\"s\":{\"SS\":[\"x\",\"y\"]}}}\n{\"Item\":{\"id\":{\"S\":\"c\"},\"b\":{\"B\":\"AAE=\"},\"m\":{\"M\":{\"k\":{\"NULL\":true}}}}}\n";

const CSV: &str = "id,name,price,note\na,Laptop,1200,\"15\"\" screen\"\r\nb,\"Größe, L\",1.50,\nc,\"two\nlines\",00123,x\nd,,,\n";

#[test]
fn a_quote_too_many_or_too_few_never_loses_a_row_unseen() {
    let whole = run(&plain(), CSV.as_bytes());
    assert!(whole.ended() && whole.rejects.is_empty());
    let inserted = (0..=CSV.len())
        .filter(|&at| CSV.is_char_boundary(at))
        .map(|at| {
            let (before, after) = CSV.split_at(at);
            format!("{before}\"{after}")
        });
    let removed = CSV
        .match_indices('"')
        .map(|(at, _)| format!("{}{}", &CSV[..at], &CSV[at + 1..]));
    for file in inserted.chain(removed) {
        let run = run(&plain(), file.as_bytes());
        let seen = !run.ended() || !run.rejects.is_empty();
        assert!(
            seen || run.rows.len() == whole.rows.len(),
            "{file}: {:?}",
            run.events
        );
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_changed_array_is_settled_whole_or_fails(changes in changes()) {
        let bytes = apply(ARRAY, &changes);
        let run = settle(&plain().rows_at("/Items"), &bytes)?;
        if run.ended() {
            let text = String::from_utf8_lossy(&bytes);
            let value: Result<serde_json::Value, _> = serde_json::from_str(text.trim_start_matches('\u{feff}'));
            // serde_json refuses numbers that no float can hold, so the count is checked if it reads them.
            if let Ok(value) = value {
                prop_assert_eq!(value["Items"].as_array().map(Vec::len), Some(settled(&run)), "{}", text);
            } else {
                prop_assert!(text.contains(['e', 'E']), "{}", text);
            }
        }
    }

    #[test]
    fn changed_lines_are_settled_every_one_or_fail(changes in changes(), dynamodb in any::<bool>()) {
        let bytes = apply(if dynamodb { DYNAMODB } else { LINES }, &changes);
        let format = if dynamodb { rows::Format::DynamoDbJson } else { rows::Format::JsonLines };
        let run = settle(&plain().format(format), &bytes)?;
        if run.ended() {
            let lines = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes).split(|&b| b == b'\n');
            prop_assert_eq!(settled(&run), lines.filter(|line| !line.trim_ascii().is_empty()).count());
        }
    }

    #[test]
    fn changed_csv_is_settled_every_record_or_fails(changes in changes()) {
        let bytes = apply(CSV, &changes);
        let run = settle(&plain().delimiter(b','), &bytes)?;
        if run.ended() {
            let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(&bytes[..]);
            let (mut all, mut empty) = (0, 0);
            for record in reader.byte_records() {
                all += 1;
                empty += usize::from(record.unwrap().iter().all(<[u8]>::is_empty));
            }
            // Only delimiters are an empty line, unless quotes stand between them.
            prop_assert!((all - empty..=all).contains(&settled(&run)), "{:?}", run.events);
        }
    }

    #[test]
    fn any_bytes_as_any_format_end(file in prop::collection::vec(any::<u8>(), 0..200), format in 0..5_usize) {
        use rows::Format::{Csv, DynamoDbJson, Json, JsonLines};
        let mut setup = plain();
        setup.options.format = [None, Some(Json), Some(JsonLines), Some(DynamoDbJson), Some(Csv)][format];
        settle(&setup, &file)?;
    }

    #[test]
    fn a_changed_file_whose_format_is_detected_ends(changes in changes(), file in prop::sample::select(vec![ARRAY, LINES, DYNAMODB, CSV])) {
        settle(&plain(), &apply(file, &changes))?;
    }
}
