//! Rows inside a JSON object: JSON pointers, wrappers, and what the error for such a file suggests.

use rows::Format;

use crate::support::{check, plain, rows};

const A: &str = r#"{"id":{"S":"a"}}"#;

#[test]
fn a_pointer_leads_to_the_rows() {
    for (pointer, file, byte) in [
        ("", r#"[{"id":"a"}]"#, 1),
        ("/Items", r#"{"Items":[{"id":"a"}]}"#, 10),
        (
            "/Items",
            r#"{"Count":1,"x":{"Items":[{"id":"no"}]},"Items":[{"id":"a"}],"y":[1,2],"z":null}"#,
            48,
        ),
        (
            "/a/b/c",
            r#"{"b":1,"a":{"c":[],"b":{"a":{},"c":[{"id":"a"}],"d":[]},"e":1},"f":{}}"#,
            36,
        ),
        ("/a~1b", r#"{"a/b":[{"id":"a"}]}"#, 8),
        ("/m~0n", r#"{"m~n":[{"id":"a"}]}"#, 8),
        ("/~01", r#"{"~1":[{"id":"a"}]}"#, 7),
        ("/", r#"{"":[{"id":"a"}]}"#, 5),
        ("/ä", r#"{"\u00e4":[{"id":"a"}]}"#, 11),
        ("/0", r#"{"0":[{"id":"a"}]}"#, 6),
    ] {
        let event = format!("1@1:{byte} {A}");
        check(&plain().rows_at(pointer), file, &[&event, "end"]);
    }
    check(
        &plain().rows_at("/Items"),
        r#"{"Items":[],"Count":0}"#,
        &["end"],
    );
}

#[test]
fn a_pointer_to_nothing_says_so() {
    let fix = "give the JSON pointer of the array of rows, for example --rows-at /Items";
    for (pointer, file, problem) in [
        ("/Items", r#"{"Rows":[]}"#, "the file has no \"Items\""),
        ("/Items", "{}", "the file has no \"Items\""),
        ("/Items", "[]", "there is no \"Items\" in a JSON array"),
        ("/a/b", r#"{"a":"x"}"#, "there is no \"b\" in a JSON string"),
        (
            "/Items",
            r#"{"Items":{"id":"a"}}"#,
            "rows must be in a JSON array, found a JSON object",
        ),
        (
            "/Items",
            r#"{"Items":null}"#,
            "rows must be in a JSON array, found a JSON null",
        ),
        (
            "",
            r#"{"id":"a"}"#,
            "rows must be in a JSON array, found a JSON object",
        ),
    ] {
        check(
            &plain().rows_at(pointer),
            file,
            &[&format!("unusable: {problem} | {fix}")],
        );
    }
    check(
        &plain().rows_at("Items"),
        "{}",
        &[
            "unusable: \"Items\" is not a JSON pointer | begin it with a slash, for example --rows-at /Items",
        ],
    );
    check(
        &plain().rows_at("/Items"),
        "id,name\na,b\n",
        &["unusable: a JSON pointer was given, but the file is CSV | leave --rows-at away"],
    );
}

#[test]
fn what_stands_around_the_rows_must_be_json_too() {
    let setup = plain().rows_at("/Items");
    check(
        &setup,
        r#"{"a":[1,,2],"Items":[{"id":"a"}]}"#,
        &["0@1:8 #a comma where none may stand"],
    );
    check(
        &setup,
        r#"{"Items":[{"id":"a"}],"b":[1,,2]}"#,
        &[
            &format!("1@1:10 {A}"),
            "1@1:29 #a comma where none may stand",
        ],
    );
    check(
        &setup,
        r#"{"Items":[{"id":"a"}]"#,
        &[
            &format!("1@1:10 {A}"),
            "1@1:21 #the file ends inside a value",
        ],
    );
    check(
        &setup,
        r#"{"Items":[{"id":"a"}]}{"Items":[]}"#,
        &[
            &format!("1@1:10 {A}"),
            "1@1:22 #another JSON value follows the array of rows",
        ],
    );
}

/// `aws dynamodb scan --table-name T` with its default output.
const SCAN: &str = r#"{
    "Items": [
        {
            "id": {
                "S": "a"
            },
            "price": {
                "N": "1.50"
            }
        },
        {
            "id": {
                "S": "b"
            }
        }
    ],
    "Count": 2,
    "ScannedCount": 2,
    "ConsumedCapacity": null
}
"#;

#[test]
fn what_aws_dynamodb_scan_prints_is_read_with_the_pointer_its_error_suggests() {
    check(
        &plain(),
        SCAN,
        &[
            "unusable: the file is one JSON object whose rows are in an array under \"Items\" | \
         name that array: --rows-at /Items (object metadata x-amz-meta-intake-rows-at)",
        ],
    );
    let read = [
        r#"1@3:25 {"id":{"S":"a"},"price":{"N":"1.50"}}"#,
        r#"2@11:171 {"id":{"S":"b"}}"#,
        "end",
    ];
    check(&plain().rows_at("/Items"), SCAN, &read);
    check(
        &plain().rows_at("/Items").format(Format::DynamoDbJson),
        SCAN,
        &read,
    );
}

#[test]
fn the_error_for_an_object_with_an_array_of_objects_suggests_its_pointer() {
    let suggested = |name: &str, pointer: &str| {
        format!(
            "unusable: the file is one JSON object whose rows are in an array under \"{name}\" | name that array: \
             --rows-at {pointer} (object metadata x-amz-meta-intake-rows-at)"
        )
    };
    for (file, name, pointer) in [
        (r#"{"Items":[{"id":"a"}]}"#, "Items", "/Items"),
        (
            r#"{"meta":{"id":1},"tags":["x"],"rows":[{"id":"a"}],"more":[{}]}"#,
            "rows",
            "/rows",
        ),
        (r#"{"a/b":[{"id":"a"}]}"#, "a/b", "/a~1b"),
        (r#"{"m~n":[{"id":"a"}]}"#, "m~n", "/m~0n"),
    ] {
        check(&plain(), file, &[&suggested(name, pointer)]);
        check(
            &plain().format(Format::Json),
            file,
            &[&suggested(name, pointer)],
        );
    }
    // A pointer that is no text to type is left out.
    let long = "x".repeat(201);
    for (name, shown) in [
        ("a\u{202e}b", r"a\u{202e}b".to_owned()),
        (&long, format!("{}…", "x".repeat(197))),
    ] {
        let file = format!(r#"{{"{name}":[{{"id":"a"}}]}}"#);
        check(
            &plain(),
            file,
            &[&suggested(&shown, "with its JSON pointer")],
        );
    }
    // Cut off within its first rows, or longer than what the format is recognised by.
    check(
        &plain(),
        r#"{"Items":[{"id":"a"},{"id""#,
        &[&suggested("Items", "/Items")],
    );
    let long = format!(
        "{{\"Items\":[{{\"id\":\"a\",\"v\":\"{}\"}}]}}",
        "x".repeat(100_000)
    );
    check(&plain(), long, &[&suggested("Items", "/Items")]);
    // A row may hold arrays of objects itself.
    check(
        &plain(),
        r#"{"tags":[{"k":1}],"id":"a"}"#,
        &[
            r#"1@1:0 {"tags":{"L":[{"M":{"k":{"N":"1"}}}]},"id":{"S":"a"}}"#,
            "end",
        ],
    );
    check(
        &plain(),
        "{\"id\":\"a\"}\n{\"tags\":[{}]}\n",
        &[&format!("1@1:0 {A}"), "2@2:11 !missing-key", "end"],
    );
}

#[test]
fn files_of_other_kinds_are_named() {
    for (file, what) in [
        (
            &b"PK\x03\x04\x14\0\x06\0"[..],
            "a zip archive or an Excel workbook",
        ),
        (b"PAR1\x15\x04\x15\x10", "Parquet"),
        (b"Obj\x01\x02\x16avro.schema", "Avro"),
        (b"ORC\x11\0\0\n\x06", "ORC"),
        (b"BZh91AY&SY\0\x01", "bzip2"),
        (b"\xfd7zXZ\0\0\x04", "xz"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook"),
        (b"\xe0\x01\0\xea\xee", "binary Ion"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF"),
    ] {
        let run = crate::support::every_way(&plain(), file);
        assert!(
            run.events[0].starts_with(&format!(
                "unusable: the file is {what}, which Intake does not read | "
            )),
            "{:?}",
            run.events
        );
    }
    for header in ["PAR1,id", "ORC,id", "ORCID;id", "BZh,id"] {
        assert_eq!(rows(&plain(), format!("{header}\n")).len(), 0, "{header}");
    }
}

#[test]
fn a_file_without_anything_is_an_error() {
    let fix = "upload a file with rows; a file of no rows is [] in JSON, or a CSV header alone";
    for file in ["", " ", "\n\r\n\t", "\u{feff}", "\u{feff}\n"] {
        check(
            &plain(),
            file,
            &[&format!("unusable: the file is empty | {fix}")],
        );
    }
    let blank = " ".repeat(100_000);
    check(
        &plain(),
        blank,
        &[&format!(
            "unusable: the file begins with nothing but white space | {fix}"
        )],
    );
}

#[test]
fn a_given_format_is_believed() {
    check(
        &plain().format(Format::Json),
        "id\na\n",
        &[
            "unusable: the file is not a JSON array of objects | begin the file with [ or {, or give its --format",
        ],
    );
    check(
        &plain().format(Format::JsonLines),
        "7\n{\"id\":\"a\"}\n",
        &["1@1:0 !not-an-object", &format!("2@2:2 {A}"), "end"],
    );
    check(
        &plain().format(Format::Csv),
        "{id,\"id\"\nx,a\n",
        &[r#"1@2:9 {"{id":{"S":"x"},"id":{"S":"a"}}"#, "end"],
    );
    check(
        &plain().delimiter(b';'),
        r#"[{"id":"a"}]"#,
        &["unusable: a delimiter was given, but the file is json | leave --delimiter away"],
    );
}
