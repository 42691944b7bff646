//! JSON Lines: a line is a row, and a broken line costs a line.

use crate::support::{check, every_way, plain};

const A: &str = r#"{"id":{"S":"a"}}"#;
const B: &str = r#"{"id":{"S":"b"}}"#;

#[test]
fn lines_end_in_every_way() {
    let (a, b) = (&*format!("1@1:0 {A}"), |at: &str| format!("2@{at} {B}"));
    check(
        &plain(),
        "{\"id\":\"a\"}\n{\"id\":\"b\"}\n",
        &[a, &b("2:11"), "end"],
    );
    check(
        &plain(),
        "{\"id\":\"a\"}\n{\"id\":\"b\"}",
        &[a, &b("2:11"), "end"],
    );
    check(
        &plain(),
        "{\"id\":\"a\"}\r\n{\"id\":\"b\"}\r\n",
        &[a, &b("2:12"), "end"],
    );
    check(
        &plain(),
        "{\"id\":\"a\"}\r\n{\"id\":\"b\"}\r",
        &[a, &b("2:12"), "end"],
    );
    check(
        &plain(),
        "{\"id\":\"a\"}\n\n  \n\r\n{\"id\":\"b\"}\n\n\n",
        &[a, &b("5:17"), "end"],
    );
    check(&plain(), "{\"id\":\"a\"}", &[a, "end"]);
    check(
        &plain(),
        "\u{feff}{\"id\":\"a\"}\n",
        &[&format!("1@1:3 {A}"), "end"],
    );
    check(
        &plain(),
        "\n\n {\"id\" : \"a\"} \t\n",
        &[&format!("1@3:2 {A}"), "end"],
    );
}

#[test]
fn a_broken_line_costs_itself() {
    for (line, reason, message) in [
        (
            r#"{"id":"x""#,
            "broken-line",
            "the line ends inside a value at column 10",
        ),
        (
            r#"{"id":"x"#,
            "broken-line",
            "the line ends inside a value at column 9",
        ),
        (
            r#"{"id":"#,
            "broken-line",
            "the line ends inside a value at column 7",
        ),
        (
            r#"{"id""#,
            "broken-line",
            "the line ends inside a value at column 6",
        ),
        (
            r#"{"id":"x","v":tru"#,
            "broken-line",
            "the line ends inside a value at column 15",
        ),
        (
            r#"{"id":"x","v":-"#,
            "broken-line",
            "the line ends inside a value at column 15",
        ),
        (
            r#"{"id":"x","v":"\u00"#,
            "broken-line",
            "the line ends inside a value at column 16",
        ),
        (
            r#"{"id":"x"}}"#,
            "broken-line",
            "a closing bracket that nothing opened at column 11",
        ),
        (
            r#"{"id":"x"}7"#,
            "broken-line",
            "text after the JSON value at column 11",
        ),
        (
            r#"{"id":"x"},"#,
            "broken-line",
            "a comma where none may stand at column 11",
        ),
        (
            r#"{"id":"ää",}"#,
            "broken-line",
            "a comma after the last element at column 11",
        ),
        (
            "some text",
            "broken-line",
            "text that is not JSON at column 1",
        ),
        (
            "id,name",
            "broken-line",
            "text that is not JSON at column 1",
        ),
        (
            "{\"id\":\"x\ty\"}",
            "broken-line",
            "a line break or control character inside a string",
        ),
        ("12", "not-an-object", "a JSON number, not an object"),
        (
            r#"[{"id":"x"}]"#,
            "not-an-object",
            "a JSON array, not an object",
        ),
        ("null", "not-an-object", "a JSON null, not an object"),
    ] {
        let file = format!("{{\"id\":\"a\"}}\n{line}\r\n{{\"id\":\"b\"}}\n");
        let last = format!("3@3:{} {B}", 13 + line.len());
        check(
            &plain(),
            &file,
            &[
                &format!("1@1:0 {A}"),
                &format!("2@2:11 !{reason}"),
                &last,
                "end",
            ],
        );
        let reject = &every_way(&plain(), file.as_bytes()).rejects[0];
        assert!(
            reject.reason.to_string().contains(message),
            "{line}: {}",
            reject.reason
        );
        assert_eq!(String::from_utf8_lossy(&reject.text), line);
    }
}

#[test]
fn the_first_line_may_be_the_broken_one() {
    let b = |at: &str| format!("2@{at} {B}");
    check(
        &plain(),
        "{\"id\":\"a\",\n{\"id\":\"b\"}\n",
        &["1@1:0 !broken-line", &b("2:11"), "end"],
    );
    check(
        &plain(),
        "{\"id\":\"a\n{\"id\":\"b\"}\n",
        &["1@1:0 !broken-line", &b("2:9"), "end"],
    );
    check(
        &plain(),
        "{\"id\" \"a\"}\n{\"id\":\"b\"}\n",
        &["1@1:0 !broken-line", &b("2:11"), "end"],
    );
    // With nothing behind it, that is a file cut off, or an object that goes on over lines.
    check(
        &plain(),
        "{\"id\":\"a\"\n",
        &["1@1:0 #the file ends inside a value"],
    );
}

#[test]
fn a_last_line_that_is_cut_off_fails_the_file() {
    let a = &*format!("1@1:0 {A}");
    for (line, byte) in [
        (&b"{"[..], 12),
        (b"{\"id\":\"b", 19),
        (b"{\"id\":\"b\",\"v\":tru", 25),
        (b"{\"id\":\"b\",\"v\":1", 26),
        (b"{\"id\":\"b\",\"v\":1.", 25),
        (b"{\"id\":\"b\",\"v\":\"\\u00", 26),
        (b"{\"id\":\"b\",\"v\":\"\xe2\x82", 26),
        (b"{\"id\":\"b\"  ", 22),
    ] {
        let file = [&b"{\"id\":\"a\"}\n"[..], line].concat();
        check(
            &plain(),
            file,
            &[a, &format!("2@2:{byte} #the file ends inside a value")],
        );
    }
    // What is broken before the end is only a broken line.
    check(
        &plain(),
        "{\"id\":\"a\"}\n{\"id\":,\"b",
        &[a, "2@2:11 !broken-line", "end"],
    );
    check(
        &plain(),
        "{\"id\":\"a\"}\n{\"id\":\"b\"}x",
        &[a, "2@2:11 !broken-line", "end"],
    );
}

#[test]
fn bytes_that_are_not_utf8_cost_their_line() {
    let file =
        b"{\"id\":\"a\"}\n{\"id\":\"caf\xe9\"}\n\xff\xfe\n{\"id\":\"b\xe2\x82\"}\n{\"id\":\"b\"}\n";
    check(
        &plain(),
        file,
        &[
            &format!("1@1:0 {A}"),
            "2@2:11 !not-text",
            "3@3:25 !not-text",
            "4@4:28 !not-text",
            &format!("5@5:41 {B}"),
            "end",
        ],
    );
    let bytes: Vec<_> = every_way(&plain(), file)
        .rejects
        .iter()
        .map(|r| r.reason.to_string())
        .collect();
    for (message, byte) in bytes.iter().zip([21, 25, 36]) {
        assert!(
            message.starts_with(&format!("byte {byte} of the file is not UTF-8")),
            "{message}"
        );
    }
    check(
        &plain().encoding("windows-1252"),
        b"{\"id\":\"\x80\"}\n{\"id\":\"caf\xe9\"}",
        &[
            r#"1@1:0 {"id":{"S":"€"}}"#,
            r#"2@2:13 {"id":{"S":"café"}}"#,
            "end",
        ],
    );
}

#[test]
fn utf16_lines_are_read_by_their_mark() {
    let text = "{\"id\":\"ä😀\"}\r\n{\"id\":\"b\"}\r\n";
    let little: Vec<u8> = [0xFEFF]
        .into_iter()
        .chain(text.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let big: Vec<u8> = [0xFEFF]
        .into_iter()
        .chain(text.encode_utf16())
        .flat_map(u16::to_be_bytes)
        .collect();
    for file in [little, big] {
        check(
            &plain(),
            &file,
            &[r#"1@1:0 {"id":{"S":"ä😀"}}"#, &format!("2@2:17 {B}"), "end"],
        );
        // Half a character at the end.
        check(
            &plain(),
            &file[..file.len() - 5],
            &[
                r#"1@1:0 {"id":{"S":"ä😀"}}"#,
                "2@2:26 #the file ends inside a value",
            ],
        );
    }
}
