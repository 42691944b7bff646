//! Values one after the other, whatever stands between them, and files that were joined.

use rows::Format;

use crate::support::{check, plain, rows};

#[test]
fn objects_one_after_the_other_are_rows_whatever_stands_between_them() {
    for between in ["", " ", "\t", "\r", "\n", "\r\n", "\n\n", " \r \n "] {
        for format in [None, Some(Format::Json), Some(Format::JsonLines)] {
            let mut setup = plain();
            setup.options.format = format;
            let objects = ["a", "b", "c"].map(|id| format!("{{\"id\":\"{id}\"}}"));
            let found = rows(&setup, objects.join(between));
            assert_eq!(found.len(), 3, "{between:?} {format:?}");
        }
    }
}

#[test]
fn a_comma_between_objects_is_an_error() {
    check(
        &plain(),
        "{\"id\":\"a\"},{\"id\":\"b\"}\n",
        &["1@1:0 !broken-line", "end"],
    );
    check(
        &plain(),
        "{\"id\":\"a\"}{\"id\":\"b\"},{\"id\":\"c\"}",
        &[
            r#"1@1:0 {"id":{"S":"a"}}"#,
            r#"2@1:10 {"id":{"S":"b"}}"#,
            "2@1:20 #a comma where none may stand",
        ],
    );
}

/// As `cat` joins files whose last lines have no line break.
#[test]
fn lines_that_were_joined_are_as_many_rows() {
    check(
        &plain(),
        "{\"id\":\"a\"}\n{\"id\":\"b\"}{\"id\":\"c\"}\n\n{\"id\":7} {\"id\":\"d\"} \r\n{\"id\":\"e\"}",
        &[
            r#"1@1:0 {"id":{"S":"a"}}"#,
            r#"2@2:11 {"id":{"S":"b"}}"#,
            r#"3@2:21 {"id":{"S":"c"}}"#,
            "4@4:33 !key-type",
            r#"5@4:42 {"id":{"S":"d"}}"#,
            r#"6@5:55 {"id":{"S":"e"}}"#,
            "end",
        ],
    );
    // What is not whole costs the line.
    check(
        &plain(),
        "{\"id\":\"a\"}\n{\"id\":\"b\"}{\"id\":}\n{\"id\":\"c\"}\n",
        &[
            r#"1@1:0 {"id":{"S":"a"}}"#,
            "2@2:11 !broken-line",
            r#"3@3:29 {"id":{"S":"c"}}"#,
            "end",
        ],
    );
}

/// The fuzzer found that the last row of a line was reported with another text when an import went on with it.
#[test]
fn a_rejected_row_at_the_end_of_its_line_is_the_same_after_a_resume() {
    let run = crate::support::every_way(
        &plain().format(Format::JsonLines),
        b"{\"id\":\"a\"} {\"n\":1}\t \r\n{\"id\":\"b\"}\n",
    );
    assert_eq!(run.rejects[0].text, b"{\"n\":1}\t ");
}

#[test]
fn a_byte_order_mark_before_a_row_is_dropped() {
    for (format, text) in [
        (
            Some(Format::JsonLines),
            "{\"id\":\"a\"}\n\u{feff}{\"id\":\"b\"}\n\u{feff}\n\u{feff}{\"id\":\"c\"}{\"id\":\"d\"}",
        ),
        (
            None,
            "{\n\"id\":\"a\"}\u{feff}{\"id\":\"b\"}\n\u{feff}\n{\"id\":\"c\"}\u{feff} {\"id\":\"d\"}\u{feff}",
        ),
        (None, "id\na\n\u{feff}b\nc\n\u{feff}\"d\""),
    ] {
        let mut setup = plain();
        setup.options.format = format;
        let found = rows(&setup, text);
        let items: Vec<_> = found.iter().map(|row| row.item.len()).collect();
        assert_eq!(items, [16; 4], "{text:?}");
    }
}

#[test]
fn a_header_that_comes_again_is_no_row() {
    for (header, again) in [
        ("id,v", "id,v"),
        ("id,v", "\u{feff}id,v"),
        ("id,v,,", "id,v,,"),
        ("id,v", " id ,v"),
        ("id,v", "\u{a0}id,\u{200b}v"),
        ("id,v", "\" id\",v"),
        ("id,\"v\"", "\"id\",v"),
        ("\"id\",v", "id,\"v\""),
    ] {
        let run = crate::support::every_way(
            &plain(),
            format!("{header}\na,1\n{again}\nid,2\nb,3\n").as_bytes(),
        );
        let reasons: Vec<_> = run.rejects.iter().map(|r| r.reason.code()).collect();
        assert_eq!(reasons, ["repeated-header"], "{again}");
        assert_eq!(run.rows.len(), 3, "{again}");
    }
    assert_eq!(rows(&plain(), "id\na\n").len(), 1);
    let run = crate::support::every_way(&plain(), b"\"v,\"\"w\",id\n\"v,\"\"w\",id\n1,a\n");
    assert_eq!((run.rejects.len(), run.rows.len()), (1, 1));
}

#[test]
fn requests_to_put_items_are_read() {
    let request =
        |id: &str| format!("{{\"PutRequest\":{{\"Item\":{{\"id\":{{\"S\":\"{id}\"}}}}}}}}");
    let both = format!("{},\n{}", request("a"), request("b"));
    for file in [
        format!("{{\"InventoryTable\":[{both}]}}"),
        format!("[{both}]"),
        format!("{}\n{}\n", request("a"), request("b")),
    ] {
        assert_eq!(rows(&plain(), file).len(), 2);
    }
    check(
        &plain(),
        format!(
            "[{},{{\"DeleteRequest\":{{\"Key\":{{\"id\":{{\"S\":\"b\"}}}}}}}}]",
            request("a")
        ),
        &[
            r#"1@1:1 {"id":{"S":"a"}}"#,
            "2@1:42 !not-dynamodb-json",
            "end",
        ],
    );
}

/// Looking for the kind of such a file had left the parser inside of the row, and it panicked.
#[test]
fn a_request_without_an_item_is_looked_at_to_its_end() {
    for file in [
        "{\"PutRequest\":{\"x\":1},\"y\":2}\n{\"id\":\"a\"}\n",
        "{\"PutRequest\":{},\"y\":2}\n{\"id\":\"a\"}\n",
        "[{\"PutRequest\":{\"x\":1},\"y\":2},{\"id\":\"a\"}]",
    ] {
        let run = crate::support::every_way(&plain(), file.as_bytes());
        let reasons: Vec<_> = run.rejects.iter().map(|r| r.reason.code()).collect();
        assert_eq!(
            (&*reasons, run.rows.len()),
            (&["missing-key"][..], 1),
            "{file}"
        );
    }
}

#[test]
fn pointers_index_arrays() {
    let model = r#"{"DataModel":[{"TableName":"T","TableData":[{"id":{"S":"a"}},{"id":{"S":"b"}}],"x":[]},{"y":1}],"z":0}"#;
    assert_eq!(
        rows(&plain().rows_at("/DataModel/0/TableData"), model).len(),
        2
    );
    assert_eq!(
        rows(&plain().rows_at("/1"), "[7,[{\"id\":\"a\"}],[]]\n").len(),
        1
    );
    check(
        &plain().rows_at("/DataModel/2/TableData"),
        model,
        &[
            "unusable: the array has no element 2 | give the JSON pointer of the array of rows, for example --rows-at /Items",
        ],
    );
    check(
        &plain(),
        model,
        &[
            "unusable: the file is one JSON object whose rows are in an array under \"TableData\" | name that array: \
             --rows-at /DataModel/0/TableData (object metadata x-amz-meta-intake-rows-at)",
        ],
    );
}

#[test]
fn a_wrapper_of_any_size_names_its_rows() {
    let many: Vec<_> = (0..5000)
        .map(|id| format!("{{\"id\":\"{id}\",\"v\":\"{}\"}}", "x".repeat(40)))
        .collect();
    let rows = many.join(",");
    for (file, name, pointer) in [
        (
            format!("{{\"data\":{{\"products\":[{rows}]}}}}"),
            "products",
            "/data/products",
        ),
        (
            format!("{{\"meta\":\"{}\",\"rows\":[{rows}]}}", "m".repeat(70_000)),
            "rows",
            "/rows",
        ),
        (
            format!(
                "{{\n\"meta\":\"{}\",\n\"rows\":[\n{rows}]}}",
                "m".repeat(70_000)
            ),
            "rows",
            "/rows",
        ),
        (
            format!(
                "{{\"meta\":\"{}\",\"rows\":[{rows},{{\"id\":\"{}\"}}]}}",
                "m".repeat(70_000),
                "x".repeat(9_000_000)
            ),
            "rows",
            "/rows",
        ),
    ] {
        let run = crate::support::run(&plain(), file.as_bytes());
        assert_eq!(
            run.events,
            [format!(
                "unusable: the file is one JSON object whose rows are in an array under \"{name}\" | name that array: \
                 --rows-at {pointer} (object metadata x-amz-meta-intake-rows-at)"
            )]
        );
    }
}
