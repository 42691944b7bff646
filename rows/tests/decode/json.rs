//! JSON arrays and sequences: values, escapes, layout, bad rows.

use crate::support::{check, every_way, plain, rows};

/// One value of a row, in an array and on a line of JSON Lines: what becomes of it on the wire, or why it is refused.
#[track_caller]
fn value(json: &str, expected: &str) {
    let (line, item) = (
        format!("{{\"id\":\"a\",\"v\":{json}}}"),
        format!("{{\"id\":{{\"S\":\"a\"}},\"v\":{expected}}}"),
    );
    let expected = if expected.starts_with('!') {
        expected
    } else {
        &item
    };
    check(
        &plain(),
        format!("[{line}]"),
        &[&format!("1@1:1 {expected}"), "end"],
    );
    check(
        &plain(),
        format!("{line}\n"),
        &[&format!("1@1:0 {expected}"), "end"],
    );
}

#[test]
fn every_type_of_json_has_its_type_of_dynamodb() {
    value("\"x\"", r#"{"S":"x"}"#);
    value("\"\"", r#"{"S":""}"#);
    value("1", r#"{"N":"1"}"#);
    value("true", r#"{"BOOL":true}"#);
    value("false", r#"{"BOOL":false}"#);
    value("null", r#"{"NULL":true}"#);
    value("[]", r#"{"L":[]}"#);
    value("{}", r#"{"M":{}}"#);
    value(
        r#"[1,"x",null,[true],{"k":[]}]"#,
        r#"{"L":[{"N":"1"},{"S":"x"},{"NULL":true},{"L":[{"BOOL":true}]},{"M":{"k":{"L":[]}}}]}"#,
    );
    value(
        r#"{"a":{"b":1},"c":[{}]}"#,
        r#"{"M":{"a":{"M":{"b":{"N":"1"}}},"c":{"L":[{"M":{}}]}}}"#,
    );
}

#[test]
fn numbers_keep_every_digit() {
    for number in [
        "0",
        "-0",
        "1.50",
        "1e5",
        "-1E-5",
        "1.0e+2",
        "100",
        "9.99E125",
        "1E-130",
        "0.1",
        &"9".repeat(38),
        "12345678901234567890.123456789012345678",
    ] {
        value(number, &format!("{{\"N\":\"{number}\"}}"));
    }
    for (number, reason) in [
        ("1e400", "!number-range"),
        ("1e-400", "!number-range"),
        ("1e99999999999999999999", "!number-range"),
        (&*"9".repeat(39), "!number-precision"),
        (&*"9".repeat(2000), "!number-precision"),
    ] {
        value(number, reason);
    }
}

#[test]
fn text_is_unescaped_and_escaped_again() {
    value(r#""a\"b\\c\/d""#, r#"{"S":"a\"b\\c/d"}"#);
    value(r#""\b\f\n\r\t""#, r#"{"S":"\b\f\n\r\t"}"#);
    value(r#""\u0041\u00e4\u20AC""#, r#"{"S":"Aä€"}"#);
    value(r#""\uD83D\uDE00 \ud834\udd1e""#, r#"{"S":"😀 𝄞"}"#);
    value(
        r#""Größe – 10 €, 電池, 😀""#,
        r#"{"S":"Größe – 10 €, 電池, 😀"}"#,
    );
    value(
        r#""\u0000\u001f\u007f""#,
        "{\"S\":\"\\u0000\\u001f\u{7f}\"}",
    );
    value(r#"{"\u0041\n":1}"#, r#"{"M":{"A\n":{"N":"1"}}}"#);
}

#[test]
fn broken_text_is_broken_json() {
    for (text, problem) in [
        (
            r#""\uD83D""#,
            "half of a surrogate pair (\\uD800 to \\uDFFF)",
        ),
        (
            r#""\uDE00\uD83D""#,
            "half of a surrogate pair (\\uD800 to \\uDFFF)",
        ),
        (
            r#""\uD83Dx""#,
            "half of a surrogate pair (\\uD800 to \\uDFFF)",
        ),
        (r#""\x41""#, "an unknown escape sequence"),
        (r#""\u00g1""#, "a malformed escape sequence"),
        (
            "\"a\nb\"",
            "a line break or control character inside a string (an unclosed quote?)",
        ),
        (
            "\"a\tb\"",
            "a line break or control character inside a string (an unclosed quote?)",
        ),
    ] {
        let at = 15 + text.find(['\\', '\n', '\t']).unwrap();
        let file = format!("[{{\"id\":\"a\",\"v\":{text}}},{{\"id\":\"b\"}}]");
        let run = every_way(&plain(), file.as_bytes());
        assert_eq!(run.events[0], "1@1:1 !broken-json");
        assert_eq!(run.rows.len(), 1, "{:?}", run.events);
        assert_eq!(
            run.rejects[0].reason.to_string(),
            format!("the row is not valid JSON: {problem} at line 1, byte {at}")
        );
    }
}

#[test]
fn layout_does_not_matter_but_positions_tell_it() {
    check(&plain(), "[]", &["end"]);
    check(&plain(), " \n[ \r\n ]\t\n", &["end"]);
    check(
        &plain(),
        r#"[{"id":"a"},{"id":"b"}]"#,
        &[
            r#"1@1:1 {"id":{"S":"a"}}"#,
            r#"2@1:12 {"id":{"S":"b"}}"#,
            "end",
        ],
    );
    check(
        &plain(),
        "\n[\n  {\n    \"id\": \"a\"\n  },\n  {\n    \"id\" : \"b\"\n  }\n]\n",
        &[
            r#"1@3:5 {"id":{"S":"a"}}"#,
            r#"2@6:28 {"id":{"S":"b"}}"#,
            "end",
        ],
    );
    check(
        &plain(),
        "[\r\n{\"id\":\"a\"}\r\n,\r\n{\"id\":\"b\"}]\r\n",
        &[
            r#"1@2:3 {"id":{"S":"a"}}"#,
            r#"2@4:18 {"id":{"S":"b"}}"#,
            "end",
        ],
    );
    check(
        &plain(),
        "\u{feff}[{\"id\":\"a\"}]",
        &[r#"1@1:4 {"id":{"S":"a"}}"#, "end"],
    );
    check(
        &plain(),
        "[{\"id\":\"ä\"},{\"id\":\"€\"}]",
        &[
            r#"1@1:1 {"id":{"S":"ä"}}"#,
            r#"2@1:13 {"id":{"S":"€"}}"#,
            "end",
        ],
    );
}

#[test]
fn a_bad_row_costs_itself() {
    let good =
        |row: u64, byte: u64, id: &str| format!("{row}@1:{byte} {{\"id\":{{\"S\":\"{id}\"}}}}");
    for (bad, reason) in [
        ("1", "!not-an-object"),
        ("\"id\"", "!not-an-object"),
        ("null", "!not-an-object"),
        ("true", "!not-an-object"),
        (r#"[{"id":"x"}]"#, "!not-an-object"),
        ("{}", "!missing-key"),
        (r#"{"ID":"x"}"#, "!missing-key"),
        (r#"{"id":1}"#, "!key-type"),
        (r#"{"id":null}"#, "!key-type"),
        (r#"{"id":["x"]}"#, "!key-type"),
        (r#"{"id":""}"#, "!empty-key"),
        (r#"{"id":"x","id":"x"}"#, "!duplicate-attribute"),
        (r#"{"id":"x","a":1,"\u0061":2}"#, "!duplicate-attribute"),
        (
            r#"{"id":"x","m":{"l":[{"k":1,"k":[{"deeper":{}}]},{"k":1}]}}"#,
            "!duplicate-attribute",
        ),
        (r#"{"id":"x","":1}"#, "!empty-attribute-name"),
        (r#"{"id":"x","m":{"":1}}"#, "!empty-attribute-name"),
    ] {
        let (expected, after) = (format!("2@1:12 {reason}"), 13 + bad.len() as u64);
        let expected = [&*good(1, 1, "a"), &*expected, &*good(3, after, "b"), "end"];
        check(
            &plain(),
            format!(r#"[{{"id":"a"}},{bad},{{"id":"b"}}]"#),
            &expected,
        );
    }
    check(
        &plain(),
        r#"[{"id":"a","m":{"k":1},"l":[{"k":1},{"k":1}]}]"#,
        &[
            r#"1@1:1 {"id":{"S":"a"},"m":{"M":{"k":{"N":"1"}}},"l":{"L":[{"M":{"k":{"N":"1"}}},{"M":{"k":{"N":"1"}}}]}}"#,
            "end",
        ],
    );
}

#[test]
fn a_rejected_row_is_reported_as_the_file_has_it() {
    let run = crate::support::every_way(
        &plain(),
        b"[ {\"id\": \"a\"},\n  {\"x\" :\t\"\\u0041\xc3\xa4\"} ,\n 7 ]",
    );
    let texts: Vec<_> = run
        .rejects
        .iter()
        .map(|r| String::from_utf8_lossy(&r.text))
        .collect();
    assert_eq!(texts, ["{\"x\" :\t\"\\u0041ä\"}", "7"]);
    let message = run.rejects[0].reason.to_string();
    assert!(message.contains("\"id\" is missing"), "{message}");
}

#[test]
fn declared_types_hold_in_json_too() {
    let setup = plain().types("sku:S,price:N,on:BOOL,raw:B");
    let one = |value: &str| format!("[{{\"id\":\"a\",{value}}}]");
    for (given, wire) in [
        (r#""sku":123"#, r#""sku":{"S":"123"}"#),
        (r#""sku":1.50"#, r#""sku":{"S":"1.50"}"#),
        (r#""sku":true"#, r#""sku":{"S":"true"}"#),
        (r#""sku":null"#, r#""sku":{"NULL":true}"#),
        (r#""price":"1.50""#, r#""price":{"N":"1.50"}"#),
        (r#""on":"TRUE""#, r#""on":{"BOOL":true}"#),
        (r#""on":false"#, r#""on":{"BOOL":false}"#),
        (r#""raw":"AAE=""#, r#""raw":{"B":"AAE="}"#),
        (r#""other":{"sku":1}"#, r#""other":{"M":{"sku":{"N":"1"}}}"#),
    ] {
        let expected = format!("1@1:1 {{\"id\":{{\"S\":\"a\"}},{wire}}}");
        check(&setup, one(given), &[&expected, "end"]);
    }
    for given in [
        r#""sku":[1]"#,
        r#""sku":{}"#,
        r#""price":"1,50""#,
        r#""price":true"#,
        r#""price":"1e400""#,
        r#""price":[]"#,
        r#""on":"yes""#,
        r#""on":1"#,
        r#""raw":"AAE""#,
        r#""raw":1"#,
    ] {
        check(&setup, one(given), &["1@1:1 !declared-type", "end"]);
    }
}

#[test]
fn objects_one_after_the_other_as_jq_prints_them() {
    let jq = "{\n  \"id\": \"a\",\n  \"l\": [\n    1\n  ]\n}\n{\n  \"id\": \"b\"\n}\n{\n  \"id\": 1\n}\n7\n{\n  \"id\": \"c\"\n}\n";
    check(
        &plain(),
        jq,
        &[
            r#"1@1:0 {"id":{"S":"a"},"l":{"L":[{"N":"1"}]}}"#,
            r#"2@7:36 {"id":{"S":"b"}}"#,
            "3@10:52 !key-type",
            "4@13:66 !not-an-object",
            r#"5@14:68 {"id":{"S":"c"}}"#,
            "end",
        ],
    );
    check(
        &plain(),
        "{\n\"id\":\"a\"}{\"id\":\"b\"} {\"id\":\"c\"}",
        &[
            r#"1@1:0 {"id":{"S":"a"}}"#,
            r#"2@2:11 {"id":{"S":"b"}}"#,
            r#"3@2:22 {"id":{"S":"c"}}"#,
            "end",
        ],
    );
    check(
        &plain(),
        "{\n\"id\":\"a\"},\n{\"id\":\"b\"}",
        &[
            r#"1@1:0 {"id":{"S":"a"}}"#,
            "1@2:11 #a comma where none may stand",
        ],
    );
    check(
        &plain(),
        "{\n\"id\":\"a\"}\n]",
        &[
            r#"1@1:0 {"id":{"S":"a"}}"#,
            "1@3:12 #a closing bracket that nothing opened",
        ],
    );
    // The first object is past what the format is recognised by.
    let long = format!(
        "{{\n\"id\":\"a\",\n\"v\":\"{}\"\n}}\n{{\"id\":\"b\"}}\n",
        "x".repeat(100_000)
    );
    assert_eq!(rows(&plain(), long).len(), 2);
}

#[test]
fn bytes_that_are_not_utf8_cost_the_row_of_their_string() {
    check(
        &plain(),
        b"[{\"id\":\"a\"},{\"id\":\"caf\xe9\"},{\"id\":\"b\"}]",
        &[
            r#"1@1:1 {"id":{"S":"a"}}"#,
            "2@1:12 !not-text",
            r#"3@1:26 {"id":{"S":"b"}}"#,
            "end",
        ],
    );
    let run = crate::support::every_way(
        &plain(),
        b"[{\"id\":\"a\",\"k\xff\":[\"\xc3(\"]},{\"id\":\"\xed\xa0\x80\"}]",
    );
    let messages: Vec<_> = run.rejects.iter().map(|r| r.reason.to_string()).collect();
    assert!(
        messages[0].starts_with("byte 13 of the file is not UTF-8"),
        "{messages:?}"
    );
    assert!(
        messages[1].starts_with("byte 31 of the file is not UTF-8"),
        "{messages:?}"
    );
    assert!(
        messages[0].contains("--encoding windows-1252"),
        "{messages:?}"
    );
    assert_eq!(run.rejects[0].text, b"{\"id\":\"a\",\"k\xff\":[\"\xc3(\"]}");
    check(
        &plain(),
        b"[{\"id\":\"a\"},\xe9{\"id\":\"b\"}]",
        &[r#"1@1:1 {"id":{"S":"a"}}"#, "2@1:12 !not-text", "end"],
    );
    check(
        &plain(),
        b"[{\"id\":\"a\",\xa0 \"v\":1}]",
        &["1@1:1 !not-text", "end"],
    );
    // A quote is next to it that may be one too many.
    check(
        &plain(),
        b"[{\"id\":\"a\",\xa0\"v\":1}]",
        &["1@1:11 #byte 11 is not UTF-8"],
    );
    check(
        &plain().encoding("windows-1252"),
        b"[{\"id\":\"caf\xe9 \x80\"}]",
        &[r#"1@1:1 {"id":{"S":"café €"}}"#, "end"],
    );
}
