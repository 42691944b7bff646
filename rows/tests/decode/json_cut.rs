//! Files that are cut off or broken: what stands before is delivered, and the end is an error that says where.

use rows::Error;

use crate::support::{Run, Setup, check, every_way, plain, run};

/// Cuts `file` at every byte. Whole is a file that `is_whole`; every other must end in an error whose place is within
/// the file, after the rows that end before the cut and no others.
#[track_caller]
fn cut_everywhere(setup: &Setup, file: &str, is_whole: fn(&[u8]) -> bool) {
    let all = run(setup, file.as_bytes());
    assert!(all.ended() && all.rejects.is_empty(), "{:?}", all.events);
    let row_ends = row_ends(&all, file);
    for cut in 0..file.len() {
        let bytes = &file.as_bytes()[..cut];
        let cut_run = run(setup, bytes);
        let shown = format!("cut at {cut}: {:?}", cut_run.events);
        let before = row_ends.iter().filter(|&&end| end <= cut).count();
        assert_eq!(cut_run.rows, all.rows[..before], "{shown}");
        assert!(cut_run.rejects.is_empty(), "{shown}");
        assert_eq!(cut_run.ended(), is_whole(bytes), "{shown}");
        match cut_run.error {
            None => {}
            Some(Error::Unusable { .. }) => assert_eq!(before, 0, "{shown}"),
            Some(Error::Syntax { position, fix, .. }) => {
                assert!(position.byte <= cut as u64, "{shown}");
                let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
                let lines = 1 + text.matches(['\r', '\n']).count() as u64;
                assert!(position.line <= lines, "{shown}");
                assert!(
                    [before, before + 1].contains(&(position.record as usize)),
                    "{shown}"
                );
                assert_eq!(fix, "the file is cut off: upload it again", "{shown}");
            }
            Some(_) => panic!("{shown}"),
        }
    }
}

/// Offsets after the last brace of each row.
fn row_ends(all: &Run, file: &str) -> Vec<usize> {
    let starts = all.rows.iter().map(|row| row.position.byte as usize);
    let next = starts.clone().skip(1).chain([file.len()]);
    starts
        .zip(next)
        .map(|(start, next)| {
            let row = file[start..next].trim_end_matches(|c| c != '}');
            // The wrappers around the last row close after it.
            let mut values =
                serde_json::Deserializer::from_str(row).into_iter::<serde_json::Value>();
            values.next().unwrap().unwrap();
            start + values.byte_offset()
        })
        .collect()
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(bytes).is_ok()
}

/// Every line that is not empty is JSON.
fn is_json_lines(bytes: &[u8]) -> bool {
    let mut lines = bytes
        .split(|&b| b == b'\n')
        .filter(|line| !line.trim_ascii().is_empty());
    !bytes.trim_ascii().is_empty() && lines.all(is_json)
}

/// Nothing but whole objects.
fn is_sequence(bytes: &[u8]) -> bool {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<serde_json::Value>();
    !bytes.is_empty() && values.all(|value| value.is_ok())
}

#[test]
fn an_array_cut_anywhere_is_an_error_after_its_whole_rows() {
    let file = "[\n  {\"id\": \"a\", \"n\": -1.5e3, \"t\": true, \"x\": null},\r\n  {\"id\": \"ü\", \"l\": [1, {\"k\": \"\\u0041\\\\\"}]},\n{\"id\":\"😀\"}\n]\n";
    cut_everywhere(&plain(), file, is_json);
}

#[test]
fn a_wrapped_array_cut_anywhere_is_an_error_after_its_whole_rows() {
    let file = "{\"Count\": 2, \"n\": {\"ä\": [1]}, \"Items\": [{\"id\": \"a\"}, {\"id\": \"b\", \"f\": false}], \"Scanned\": null, \"x\": \"y\"}";
    cut_everywhere(&plain().rows_at("/Items"), file, is_json);
}

#[test]
fn a_sequence_cut_anywhere_is_an_error_after_its_whole_rows() {
    let file = "{\n  \"id\": \"a\",\n  \"l\": [\n    1,\n    true\n  ]\n}\n{\n  \"id\": \"ü\",\n  \"n\": null\n}\n";
    cut_everywhere(&plain(), file, is_sequence);
}

#[test]
fn lines_cut_anywhere_are_an_error_after_the_whole_lines() {
    let file = "{\"id\":\"a\",\"n\":-1.5e3,\"t\":true}\r\n\n{\"id\":\"ü\",\"l\":[1,{\"k\":\"\\u0041\\\\\"},null]}\n{\"id\":\"😀\"}\n";
    cut_everywhere(&plain(), file, is_json_lines);
}

#[test]
fn dynamodb_lines_cut_anywhere_are_an_error_after_the_whole_lines() {
    let file = "{\"Item\":{\"id\":{\"S\":\"ä\"},\"n\":{\"N\":\"1.50\"},\"b\":{\"BOOL\":false}}}\n{\"Item\":{\"id\":{\"S\":\"b\"},\"s\":{\"NS\":[\"1\",\"2\"]}}}\n";
    cut_everywhere(&plain(), file, is_json_lines);
    let unwrapped = "{\"id\":{\"S\":\"a\"},\"n\":{\"NULL\":true}}\n{\"id\":{\"S\":\"b\"}}\n";
    cut_everywhere(&plain(), unwrapped, is_json_lines);
}

#[test]
fn a_broken_row_costs_itself_and_says_where() {
    // `^` marks where the parser meets what is wrong with the second element.
    let (malformed, comma) = ("text that is not JSON", "a comma where none may stand");
    let name = "something else where a name in quotes or } must stand";
    for (element, problem) in [
        ("{\"id\":\"b\"^,}", "a comma after the last element"),
        ("{\"id\":\"b\" ^\"v\":1}", "a missing comma"),
        ("{\"id\":\"b\"^\"v\":1}", "a missing comma"),
        ("{\"id\" ^\"b\"}", "a missing colon after a name"),
        ("{\"id\":^,}", comma),
        ("{\"id\":1,\"v\":[1,^,2]}", comma),
        ("^", comma),
        ("{^id:\"b\"}", name),
        ("{^'id':\"b\"}", name),
        ("{\"id\":^'b'}", malformed),
        ("{\"id\":\"b\",\r\n\"v\":^NaN}", malformed),
        ("{\"id\":\"ä\",\"v\":^True}", malformed),
        ("{\"id\":\"b\",\"v\":^-Infinity}", "a malformed number"),
        (
            "{\"id\":\"b\",\"v\":^truth}",
            "a word that is neither true, false nor null",
        ),
        (
            "{\"id\":\"b\",\"v\":^nullx}",
            "text directly after true, false or null",
        ),
        ("{\"id\":\"b\",\"v\":^01}", "a malformed number"),
        ("{\"id\":\"b\",\"v\":^1.}", "a malformed number"),
        ("7 ^8", "a missing comma"),
        (
            "^// no\n{\"id\":\"b\"}",
            "a comment, which JSON does not have",
        ),
        (
            "{\"id\":\"b^\n\"}",
            "a line break or control character inside a string (an unclosed quote?)",
        ),
    ] {
        let start = "[\n{\"id\":\"a\"},";
        let marked = format!("{start}{element},\n{{\"id\":\"c\"}}]");
        let (before, after) = marked.split_once('^').unwrap();
        let file = format!("{before}{after}");
        let run = every_way(&plain(), file.as_bytes());
        assert_eq!(run.events[1], "2@2:13 !broken-json", "{file}");
        assert_eq!((run.rows.len(), run.ended()), (2, true), "{file}");
        let line = 1 + before.matches('\n').count();
        assert_eq!(
            run.rejects[0].reason.to_string(),
            format!(
                "the row is not valid JSON: {problem} at line {line}, byte {}",
                before.len()
            ),
            "{file}"
        );
        assert_eq!(run.rejects[0].text, element.replace('^', "").as_bytes());
    }
    check(
        &plain(),
        "[{\"id\":\"a\"},]",
        &[r#"1@1:1 {"id":{"S":"a"}}"#, "2@1:12 !broken-json", "end"],
    );
}

/// Where a quote is lost, text inside of strings would pass for rows.
#[test]
fn a_lost_quote_or_bracket_ends_the_file() {
    // Row 1 is delivered; `^` marks where the error must be found.
    let inside = "the file ends inside a value";
    let (closing, comma) = ("a closing bracket that nothing opened", "a missing comma");
    let another = "another JSON value follows the array of rows";
    for (rest, record, problem) in [
        (
            ",\n{\"id\":\"b,\"^n\":\"}, {\\\"id\\\":\\\"no\\\"}\"},{\"id\":\"c\"}]",
            2,
            "something else where a name in quotes or } must stand",
        ),
        (
            ",\n{\"id\":^b\",\"n\":\"}, {\"},{\"id\":\"c\"}]",
            2,
            "text that is not JSON",
        ),
        (
            ",\n{\"id\":\"5\" ^inch\"},{\"id\":\"c\"}]",
            2,
            "something else where a name in quotes or } must stand",
        ),
        (",\n{\"id\":\"b\"}\n^{\"id\":\"c\"}]", 2, comma),
        (",\n{\"id\":\"b\",\"v\":[1^}]", 2, closing),
        (",\n{\"id\":\"b\"}^},{\"id\":\"c\"}]", 2, closing),
        ("^", 1, inside),
        (",\n^{\"id\":\"b", 2, inside),
        (
            ",\n{\"id\":\"b\",\"v\":{\"k\":1},^{\"id\":\"c\"}]",
            2,
            "something else where a name in quotes or } must stand",
        ),
        ("]\n^]", 1, closing),
        ("]\n^x", 1, "text that is not JSON"),
        ("]\n^[{\"id\":\"b\"}]", 1, another),
        ("]\r\n\r\n^{\"id\":\"b\"}", 1, another),
        ("] ^null", 1, another),
    ] {
        let marked = format!("[\n{{\"id\":\"a\"}}{rest}");
        let (before, after) = marked.split_once('^').unwrap();
        let line = 1 + before.matches('\n').count();
        let error = format!("{record}@{line}:{} #{problem}", before.len());
        check(
            &plain(),
            format!("{before}{after}"),
            &[r#"1@2:2 {"id":{"S":"a"}}"#, &error],
        );
    }
}

#[test]
fn nesting_is_bounded_in_what_is_skipped_too() {
    let nested = |levels: usize| {
        format!(
            "[{{\"id\":\"a\"}},{}{},{{\"id\":\"b\"}}]",
            "[".repeat(levels),
            "]".repeat(levels)
        )
    };
    let deep = run(&plain(), nested(50_000).as_bytes());
    assert_eq!(
        deep.events,
        [
            r#"1@1:1 {"id":{"S":"a"}}"#,
            "2@1:12 !not-an-object",
            r#"3@1:100013 {"id":{"S":"b"}}"#,
            "end"
        ]
    );
    let deeper = run(&plain(), nested(200_000).as_bytes());
    assert_eq!(deeper.events[1], "2@1:12 !broken-json");
    assert_eq!(deeper.rows.len(), 2);
    let message = deeper.rejects[0].reason.to_string();
    assert!(
        message.contains("nested deeper than 100000 levels"),
        "{message}"
    );
}
