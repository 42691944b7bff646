//! DynamoDB JSON: lines of `{"Item": …}` as exports have them, and typed rows without that wrapper.

use rows::{Format, KeyType};

use crate::support::{check, plain, rows};

/// One typed value of a row, wrapped and not: it passes as it is, comes out as `expected`, or is refused.
#[track_caller]
fn typed(value: &str, expected: &str) {
    let item = format!("{{\"id\":{{\"S\":\"a\"}},\"v\":{value}}}");
    let wire = format!("{{\"id\":{{\"S\":\"a\"}},\"v\":{expected}}}");
    let expected = if expected.starts_with('!') {
        expected
    } else {
        &wire
    };
    let good =
        |record: u64, byte: usize| format!("{record}@{record}:{byte} {{\"id\":{{\"S\":\"g\"}}}}");
    let wrapped = format!("{{\"Item\":{item}}}");
    for (before, row) in [
        ("{\"Item\":{\"id\":{\"S\":\"g\"}}}", &wrapped),
        ("{\"id\":{\"S\":\"g\"}}", &item),
    ] {
        let at = before.len() + 1;
        let events = [
            good(1, 0),
            format!("2@2:{at} {expected}"),
            good(3, at + row.len() + 1),
            "end".to_owned(),
        ];
        check(
            &plain(),
            format!("{before}\n{row}\n{before}\n"),
            &events.each_ref().map(String::as_str),
        );
    }
}

#[test]
fn the_ten_types_pass_as_they_are() {
    for value in [
        r#"{"S":""}"#,
        r#"{"S":"ä \"quoted\""}"#,
        r#"{"N":"1.50"}"#,
        r#"{"N":"-1E-130"}"#,
        r#"{"B":""}"#,
        r#"{"B":"AAECAw=="}"#,
        r#"{"BOOL":true}"#,
        r#"{"BOOL":false}"#,
        r#"{"NULL":true}"#,
        r#"{"SS":["a","","ä"]}"#,
        r#"{"NS":["1","2.50","-3e7"]}"#,
        r#"{"BS":["AA==","","AQ=="]}"#,
        r#"{"L":[]}"#,
        r#"{"L":[{"S":"x"},{"N":"1"},{"L":[{"M":{}}]},{"SS":["a"]}]}"#,
        r#"{"M":{}}"#,
        r#"{"M":{"S":{"S":"S"},"N":{"M":{"N":{"N":"1"}}},"Item":{"BOOL":true}}}"#,
    ] {
        typed(value, value);
    }
    typed(r#" { "S" : "\u0041\/" } "#, r#"{"S":"A/"}"#);
    typed(r#"{"SS": ["\u0041", "B"]}"#, r#"{"SS":["A","B"]}"#);
    typed(r#"{"N":"+5."}"#, r#"{"N":"+5."}"#);
}

#[test]
fn what_dynamodb_refuses_is_refused() {
    for (value, reason) in [
        (r#"{"SS":[]}"#, "!empty-set"),
        (r#"{"NS":[]}"#, "!empty-set"),
        (r#"{"BS":[]}"#, "!empty-set"),
        (r#"{"SS":["a","b","a"]}"#, "!duplicate-in-set"),
        (r#"{"SS":["A","\u0041"]}"#, "!duplicate-in-set"),
        (r#"{"NS":["1","1"]}"#, "!duplicate-in-set"),
        (r#"{"NS":["1","2","1.0"]}"#, "!duplicate-in-set"),
        (r#"{"NS":["10e-1","+1"]}"#, "!duplicate-in-set"),
        (r#"{"NS":["0","-0.0"]}"#, "!duplicate-in-set"),
        (r#"{"BS":["AA==","AA=="]}"#, "!duplicate-in-set"),
        (r#"{"NS":["1","x"]}"#, "!not-a-number"),
        (r#"{"BS":["AA"]}"#, "!not-base64"),
        (r#"{"N":""}"#, "!not-a-number"),
        (r#"{"N":"1,5"}"#, "!not-a-number"),
        (r#"{"N":" 1"}"#, "!not-a-number"),
        (r#"{"N":"1e126"}"#, "!number-range"),
        (r#"{"B":"AAE"}"#, "!not-base64"),
        (r#"{"B":"AAE_"}"#, "!not-base64"),
        (r#"{"B":"AA EC"}"#, "!not-base64"),
        (r#"{"B":"AR=="}"#, "!not-base64"),
        (
            r#"{"M":{"a":{"N":"1"},"a":{"N":"1"}}}"#,
            "!duplicate-attribute",
        ),
        (r#"{"L":[{"SS":[]}]}"#, "!empty-set"),
    ] {
        typed(value, reason);
    }
}

#[test]
fn what_is_not_dynamodb_json_is_refused() {
    for value in [
        r#"{"NULL":false}"#,
        r#"{"NULL":null}"#,
        r#"{"S":"a","N":"1"}"#,
        r#"{"S":"a","S":"a"}"#,
        "{}",
        r#"{"X":"a"}"#,
        r#"{"s":"a"}"#,
        r#"{"":"a"}"#,
        r#"{"S":1}"#,
        r#"{"N":1}"#,
        r#"{"BOOL":"true"}"#,
        r#"{"SS":"a"}"#,
        r#"{"SS":["a",1]}"#,
        r#"{"NS":[1,2]}"#,
        r#"{"L":{}}"#,
        r#"{"M":[]}"#,
        r#"{"M":{"a":"plain"}}"#,
        r#"{"L":["plain"]}"#,
        "\"plain\"",
        "7",
        "null",
        "[]",
    ] {
        typed(value, "!not-dynamodb-json");
    }
}

#[test]
fn the_wrapper_is_item_and_nothing_else() {
    let good =
        |record: u64, byte: usize| format!("{record}@{record}:{byte} {{\"id\":{{\"S\":\"a\"}}}}");
    for (line, reason) in [
        ("{}", "!not-dynamodb-json"),
        (r#"{"item":{"id":{"S":"x"}}}"#, "!not-dynamodb-json"),
        (r#"{"id":{"S":"x"}}"#, "!not-dynamodb-json"),
        (
            r#"{"Item":{"id":{"S":"x"}},"Keys":{}}"#,
            "!not-dynamodb-json",
        ),
        (
            r#"{"Metadata":{"a":[{}]},"Item":{"id":{"S":"x"}}}"#,
            "!not-dynamodb-json",
        ),
        (
            r#"{"Item":{"id":{"S":"x"}},"Item":{"id":{"S":"x"}}}"#,
            "!not-dynamodb-json",
        ),
        (r#"{"Item":null}"#, "!not-dynamodb-json"),
        (r#"{"Item":["id"]}"#, "!not-dynamodb-json"),
        (r#"{"Item":{}}"#, "!missing-key"),
        (r#"{"Item":{"id":{"N":"1"}}}"#, "!key-type"),
        (
            r#"{"Item":{"id":{"S":"x"},"id":{"S":"x"}}}"#,
            "!duplicate-attribute",
        ),
        ("7", "!not-an-object"),
    ] {
        let row = r#"{"Item":{"id":{"S":"a"}}}"#;
        let events = [
            good(1, 0),
            format!("2@2:26 {reason}"),
            good(3, 27 + line.len()),
            "end".to_owned(),
        ];
        check(
            &plain(),
            format!("{row}\n{line}\n{row}\n"),
            &events.each_ref().map(String::as_str),
        );
    }
}

#[test]
fn one_bad_row_does_not_decide_the_format_for_all() {
    let good = r#"{"id":{"S":"b"}}"#;
    let second = |place: &str| format!("2@{place} {good}");
    for (bad, reason) in [
        (
            r#"{"Item":{"id":{"S":"a"},"v":{"S":1}}}"#,
            "!not-dynamodb-json",
        ),
        (
            r#"{"Item":{"v":{"X":1},"id":{"S":"a"}}}"#,
            "!not-dynamodb-json",
        ),
        (r#"{"Item":{"v":{"N":"1"}}}"#, "!missing-key"),
        (r#"{"Item":{}}"#, "!missing-key"),
        (r#"{"Item":{"id":{"S":"a"}"#, "!broken-line"),
    ] {
        let first = format!("1@1:0 {reason}");
        let file = format!("{bad}\n{{\"Item\":{good}}}\n");
        check(
            &plain(),
            file,
            &[&first, &second(&format!("2:{}", bad.len() + 1)), "end"],
        );
    }
    for (bad, reason) in [
        (r#"{"v":{"N":"1"}}"#, "!missing-key"),
        (r#"{"v":{"S":"1"},"w":7}"#, "!not-dynamodb-json"),
    ] {
        let first = format!("1@1:0 {reason}");
        for setup in [plain(), plain().format(Format::DynamoDbJson)] {
            let file = format!("{bad}\n{good}\n");
            check(
                &setup,
                file,
                &[&first, &second(&format!("2:{}", bad.len() + 1)), "end"],
            );
        }
    }
    for (bad, reason) in [
        (r#"{"v":{"N":"1"}}"#, "!missing-key"),
        (r#"{"v":7}"#, "!not-dynamodb-json"),
        ("7", "!not-an-object"),
        ("[{\"id\":\"x\"}]", "!not-an-object"),
    ] {
        let first = format!("1@1:1 {reason}");
        let file = format!("[{bad},{good}]");
        check(
            &plain(),
            file,
            &[&first, &second(&format!("1:{}", bad.len() + 2)), "end"],
        );
    }
}

#[test]
fn plain_rows_may_look_a_little_like_dynamodb_json() {
    check(
        &plain(),
        "{\"Item\":{\"name\":\"x\"},\"id\":\"a\"}\n",
        &[
            r#"1@1:0 {"Item":{"M":{"name":{"S":"x"}}},"id":{"S":"a"}}"#,
            "end",
        ],
    );
    check(
        &plain(),
        "{\"size\":{\"S\":1},\"id\":\"a\"}\n",
        &[
            r#"1@1:0 {"size":{"M":{"S":{"N":"1"}}},"id":{"S":"a"}}"#,
            "end",
        ],
    );
    check(
        &plain(),
        "{\"size\":{\"S\":\"x\"},\"id\":\"a\"}\n",
        &[
            r#"1@1:0 {"size":{"M":{"S":{"S":"x"}}},"id":{"S":"a"}}"#,
            "end",
        ],
    );
    check(
        &plain().key("Item", KeyType::S),
        "{\"Item\":{\"S\":\"a\"}}\n",
        &[r#"1@1:0 {"Item":{"S":"a"}}"#, "end"],
    );
}

#[test]
fn arrays_and_first_rows_of_any_length_are_recognised() {
    check(
        &plain(),
        r#"[{"id":{"S":"a"}},{"id":{"S":"b"}}]"#,
        &[
            r#"1@1:1 {"id":{"S":"a"}}"#,
            r#"2@1:18 {"id":{"S":"b"}}"#,
            "end",
        ],
    );
    check(
        &plain(),
        r#"[{"Item":{"id":{"S":"a"}}}]"#,
        &[r#"1@1:1 {"id":{"S":"a"}}"#, "end"],
    );
    check(&plain().format(Format::DynamoDbJson), "[]", &["end"]);
    let long = "x".repeat(100_000);
    for file in [
        format!("{{\"Item\":{{\"v\":{{\"S\":\"{long}\"}},\"id\":{{\"S\":\"a\"}}}}}}\n"),
        format!("{{\"v\":{{\"S\":\"{long}\"}},\"id\":{{\"S\":\"a\"}}}}\n"),
        format!("[{{\"v\":{{\"S\":\"{long}\"}},\"id\":{{\"S\":\"a\"}}}}]"),
        format!("{{\"v\":\"{long}\",\"id\":\"a\"}}\n"),
    ] {
        let item = &rows(&plain(), file)[0].item;
        assert_eq!(
            item.len(),
            100_000 + r#"{"v":{"S":""},"id":{"S":"a"}}"#.len()
        );
    }
}

#[test]
fn declared_types_do_not_go_with_dynamodb_json() {
    check(
        &plain().types("v:N"),
        "{\"Item\":{\"id\":{\"S\":\"a\"}}}\n",
        &[
            "unusable: types were declared, but DynamoDB JSON names the type of every value itself | leave --types away",
        ],
    );
}
