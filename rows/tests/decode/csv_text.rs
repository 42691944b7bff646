//! CSV in other encodings than UTF-8.

use crate::support::{check, every_way, plain};

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    [0xFEFF]
        .into_iter()
        .chain(text.encode_utf16())
        .flat_map(bytes)
        .collect()
}

#[test]
fn utf16_is_read_by_its_mark() {
    let text = "id\tv\r\nä1\t\"Größe\r\n😀\"\r\nb\t1.50\r\n";
    for file in [utf16(text, u16::to_le_bytes), utf16(text, u16::to_be_bytes)] {
        check(
            &plain(),
            &file,
            &[
                r#"1@2:6 {"id":{"S":"ä1"},"v":{"S":"Größe\r\n😀"}}"#,
                r#"2@4:27 {"id":{"S":"b"},"v":{"N":"1.50"}}"#,
                "end",
            ],
        );
        // An odd byte too few: the last line break is not whole.
        check(
            &plain(),
            &file[..file.len() - 1],
            &[
                r#"1@2:6 {"id":{"S":"ä1"},"v":{"S":"Größe\r\n😀"}}"#,
                r#"2@4:27 {"id":{"S":"b"},"v":{"N":"1.50"}}"#,
                "3@5:34 !not-text",
                "end",
            ],
        );
    }
    // Half of a surrogate pair, between good rows.
    let mut broken = utf16("id\na\n", u16::to_le_bytes);
    broken.extend([0x00, 0xD8, b'x', 0, b'\n', 0, b'b', 0]);
    check(
        &plain(),
        broken,
        &[
            r#"1@2:3 {"id":{"S":"a"}}"#,
            "2@3:5 !not-text",
            r#"3@4:8 {"id":{"S":"b"}}"#,
            "end",
        ],
    );
}

#[test]
fn encodings_are_read_by_name() {
    for (name, bytes, text) in [
        ("windows-1252", &b"caf\xe9 \x80"[..], "café €"),
        ("latin1", b"caf\xe9", "café"),
        ("iso-8859-15", b"\xa4", "€"),
        ("shift_jis", b"\x93d\x92r", "電池"),
        ("utf-16le", b"x\0y\0", "xy"),
    ] {
        let ascii = |text: &str| -> Vec<u8> {
            match name {
                "utf-16le" => text.bytes().flat_map(|b| [b, 0]).collect(),
                _ => text.into(),
            }
        };
        let file = [ascii("id,v\na,"), bytes.to_vec(), ascii("\n")].concat();
        let expected = format!("1@2:5 {{\"id\":{{\"S\":\"a\"}},\"v\":{{\"S\":\"{text}\"}}}}");
        check(&plain().encoding(name), file, &[&expected, "end"]);
    }
    // A mark wins over the name.
    check(
        &plain().encoding("windows-1252"),
        "\u{feff}id,v\na,ä\n",
        &[r#"1@2:8 {"id":{"S":"a"},"v":{"S":"ä"}}"#, "end"],
    );
}

#[test]
fn a_row_that_is_not_utf8_is_rejected_with_its_byte_and_a_hint() {
    let file = b"id,v\na,x\nb,caf\xe9\nc,\"\xff\n\xfe\"\nd,\xc3\ne,y\n";
    let run = every_way(&plain(), file);
    assert_eq!(
        run.events,
        [
            r#"1@2:5 {"id":{"S":"a"},"v":{"S":"x"}}"#,
            "2@3:9 !not-text",
            "3@4:16 !not-text",
            "4@6:24 !not-text",
            r#"5@7:28 {"id":{"S":"e"},"v":{"S":"y"}}"#,
            "end",
        ]
    );
    for (reject, byte) in run.rejects.iter().zip([14, 19, 26]) {
        let message = reject.reason.to_string();
        assert!(message.starts_with(&format!("byte {byte} of the file is not UTF-8; name the encoding, for example --encoding windows-1252")), "{message}");
    }
    assert_eq!(run.rejects[0].text, b"b,caf\xe9");
    assert_eq!(run.rejects[1].text, b"c,\"\xff\n\xfe\"");
}

#[test]
fn bytes_that_are_not_utf8_are_found_behind_any_number_of_others() {
    // Rows b and c are read ahead while row a is: that a has more such bytes than are noted must not hide theirs.
    for bad in [1, 100_000, 131_072, 131_073, 200_000] {
        let file = [b"id\n", &vec![0xFF; bad][..], b"\nb\xff\nc\xff\xff\nd\n"].concat();
        let run = crate::support::run(&plain(), &file[..]);
        let reasons: Vec<_> = run.rejects.iter().map(|r| r.reason.code()).collect();
        assert_eq!(reasons, ["not-text"; 3], "{bad}");
        assert_eq!(run.rows.len(), 1, "{bad}");
    }
}

#[test]
fn a_header_that_is_not_utf8_is_unusable() {
    check(
        &plain(),
        b"id,Gr\xf6\xdfe\na,1\n",
        &[
            "unusable: byte 5 of the header is not UTF-8 | name the encoding, for example --encoding windows-1252",
        ],
    );
    check(
        &plain().encoding("windows-1252"),
        b"id,Gr\xf6\xdfe\na,1\n",
        &[r#"1@2:11 {"id":{"S":"a"},"Größe":{"N":"1"}}"#, "end"],
    );
}
