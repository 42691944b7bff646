//! Decoding that goes on in the middle of a file gives what an uninterrupted one gives from there on.
//!
//! (`every_way`, `agree` and `fuzz` go on in the middle of each of their files, too. Here it is at every row.)

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::{self, Read};
use std::sync::Arc;

use rows::Format::{Csv, DynamoDbJson, JsonLines};
use rows::{Engine, KeyType, Position, Row, resume};

use crate::support::{Chunked, Setup, gzip, plain, run, run_from, same_tail, zstd};

/// Goes on at each of the `rows` rows and rejects of `file`, by both engines, in all sizes of chunks.
#[track_caller]
fn same_everywhere(setup: &Setup, file: &[u8], rows: usize, seekable: bool) {
    for engine in [Engine::Fast, Engine::Reference] {
        let setup = setup.clone().engine(engine);
        let whole = run(&setup, file);
        assert_eq!(whole.seekable, seekable, "{:?}", whole.events);
        assert_eq!(whole.events.len(), rows + 1, "{:?}", whole.events);
        for index in 0..rows {
            for chunk in [1, 3, usize::MAX] {
                same_tail(&setup, file, &whole, index, chunk)
                    .unwrap_or_else(|e| panic!("{engine:?}, {e}"));
            }
        }
    }
}

fn utf16(text: &str) -> Vec<u8> {
    let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

/// A file as it is, compressed, in UTF-16 and, if it can be, in windows-1252.
#[track_caller]
fn same_in_every_file(setup: &Setup, text: &str, rows: usize) {
    same_everywhere(setup, text.as_bytes(), rows, true);
    same_everywhere(setup, format!("\u{feff}{text}").as_bytes(), rows, true);
    for packed in [gzip, zstd] {
        same_everywhere(setup, &packed(text.as_bytes()), rows, false);
        let marked = format!("\u{feff}{text}");
        same_everywhere(setup, &packed(marked.as_bytes()), rows, false);
        same_everywhere(setup, &packed(&utf16(text)), rows, false);
    }
    same_everywhere(setup, &utf16(text), rows, false);
    let (single_bytes, _, is_unmappable) = encoding_rs::WINDOWS_1252.encode(text);
    if !is_unmappable {
        let setup = setup.clone().encoding("windows-1252");
        same_everywhere(&setup, &single_bytes, rows, false);
    }
}

#[test]
fn a_json_array_goes_on_at_every_row() {
    for (rows, text) in [
        (1, "[{\"id\":\"a\"}]"),
        (3, "[{\"id\":\"a\"},{\"id\":\"b\"},{\"id\":\"c\"}]"),
        (
            4,
            " [\r\n{\"id\":\"ä\"}\r\n ,\r\n\n {\"n\":1} , 7,\n{\"id\":\"b\"}\n]\n ",
        ),
        // Rejected for all that costs a row.
        (
            6,
            "[null,{},{\"id\":\"a\",\"id\":\"b\"},{\"id\":\"a\",\"n\":1e999},[[{}]],{\"id\":\"b\"}]",
        ),
        // Broken behind good rows.
        (3, "[{\"id\":\"a\"},{\"id\":\"b\"},\r\n{\"id\" 1}]"),
        (2, "[{\"id\":\"a\"},{\"id\":\"b\"},\r\n{\"id\":\"x}]"),
        (1, "[{\"id\":\"a\"},\r\n{\"id\":\"b\"}\r\n{\"id\":\"c\"}]"),
        (2, "[{\"id\":\"a\"},{\"id\":\"b\"}"),
        (2, "[{\"id\":\"a\"},{\"id\":\"b\"},"),
        (2, "[{\"id\":\"a\"},{\"id\":\"b\"}]]"),
        (2, "[{\"id\":\"a\"},\n{\"id\":\"b\"}]\n{}"),
    ] {
        same_in_every_file(&plain(), text, rows);
    }
}

#[test]
fn an_array_under_a_pointer_goes_on_at_every_row() {
    for (rows, pointer, text) in [
        (
            2,
            "/Items",
            "{\"Items\":[{\"id\":\"a\"},\n{\"id\":\"b\"}],\"n\":[1,{}]}\n",
        ),
        (
            3,
            "/a/b~1c",
            "{\"x\":[{}],\"a\":{\"y\":\"ä\",\"b/c\":[{\"id\":\"a\"},1,{\"id\":\"b\"}],\"z\":{}},\"w\":0}",
        ),
        (2, "/Items", "{\"Items\":[{\"id\":\"a\"},{\"id\":\"b\"}]"),
        (
            2,
            "/Items",
            "{\"Items\":[{\"id\":\"a\"},{\"id\":\"b\"}],\r\n\"n\"}",
        ),
        (
            2,
            "/Items",
            "{\"Items\":[{\"id\":\"a\"},{\"id\":\"b\"}]}\n7",
        ),
    ] {
        same_in_every_file(&plain().rows_at(pointer), text, rows);
    }
    let items = "{\"Count\":2,\"Items\":[{\"id\":{\"S\":\"a\"}},{\"id\":{\"N\":\"1\"}},{\"id\":{\"S\":\"b\"}}]}";
    same_in_every_file(&plain().rows_at("/Items"), items, 3);
}

#[test]
fn a_sequence_goes_on_at_every_row() {
    for (rows, text) in [
        (1, "{\n\"id\":\"a\"}"),
        (3, "{\n\"id\":\"a\"}\r\n{\"id\":\"b\"}{\"id\":\"c\"}"),
        (5, "{\r\n\"id\":\"ä\"} 1 2\r\n[]\n{\n\"id\":\"b\"\n}\n"),
        (2, "{\n\"id\":\"a\"}\n{\"id\":\"b\"}\n,{\"id\":\"c\"}"),
        (2, "{\n\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":"),
    ] {
        same_in_every_file(&plain(), text, rows);
    }
}

#[test]
fn lines_go_on_at_every_row() {
    for (rows, text) in [
        (2, "{\"id\":\"a\"}\n{\"id\":\"b\"}"),
        (
            7,
            "\n \t\r\n  {\"id\":\"ä\"}  \r\n\n{\"id\":\"b\"\n}\n7\n {}\r\n{\"id\":\"a\",\"id\":\"a\"}\n\n\n{\"id\":\"c\"}\n\n",
        ),
        (2, "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c"),
    ] {
        same_in_every_file(&plain().format(JsonLines), text, rows);
    }
    for (rows, text) in [
        (
            4,
            "{\"Item\":{\"id\":{\"S\":\"a\"}}}\n{\"Item\":{}}\r\n\n{\"id\":{\"S\":\"a\"}}\n{\"Item\":{\"id\":{\"S\":\"b\"}}}\n",
        ),
        (2, "{\"id\":{\"S\":\"a\"}}\n{\"id\":{\"S\":\"b\"}}\n"),
    ] {
        same_in_every_file(&plain(), text, rows);
        same_in_every_file(&plain().format(DynamoDbJson), text, rows);
    }
    let array = "[{\"id\":{\"S\":\"a\"}},{\"id\":{}},{\"id\":{\"S\":\"b\"}}]";
    same_in_every_file(&plain().format(DynamoDbJson), array, 3);
}

#[test]
fn csv_goes_on_at_every_row() {
    for (rows, text) in [
        (2, "id,v\na,1\nb,2"),
        (3, "id,v\r\na,1\r\nb,2\r\nc,3\r\n"),
        (3, "id,v\ra,1\rb,2\r\rc,3"),
        // Blank lines, line breaks in quotes, doubled quotes, rows of commas.
        (
            4,
            "\n\nid,v\n\n\r\na,\"1\n\n2\"\r\n\r\n\"b\r\",\"\"\"x\"\"\"\n,\n\"\",\"\"\nc,ä\n\n",
        ),
        // Ragged, text after a quote, a key that is missing.
        (5, "id,v\na\nb,1,2\n\"c\"x,1\n,1\nd,1\n"),
        (2, "id,v\na,1\nb,2\nc,\"3\nd,4"),
        (2, "id;v\na;1\nb;\"2,;\""),
        (2, "id\tv\na\t1\nb\t2\n"),
        // What would be a byte order mark at the beginning of a file.
        (3, "id,v\n\u{feff}a,1\n\u{feff}b,2\n\u{feff}c,3"),
    ] {
        same_in_every_file(&plain(), text, rows);
    }
    same_in_every_file(&plain().format(Csv).types("v:N"), "id,v\na,1\nb,x\nc,3", 3);
}

#[test]
fn bytes_that_are_no_text_do_not_hide_where_a_row_begins() {
    for (setup, rows, file) in [
        (
            plain(),
            3,
            &b"[{\"id\":\"a\xff\"},{\"id\":\"\xc3\"},{\"id\":\"b\"}]"[..],
        ),
        (
            plain(),
            3,
            b"{\"id\":\"a\xff\"}\n{\"id\":\"\xc3\"}\n{\"id\":\"b\"}\n",
        ),
        (
            plain(),
            4,
            b"id,v\n\xffa,1\n\xc3\n\xc3\xa4,1\nb,2\xe2\x82\n",
        ),
    ] {
        same_everywhere(&setup, file, rows, true);
        same_everywhere(&setup, &gzip(file), rows, false);
    }
    same_everywhere(
        &plain().encoding("utf-16le"),
        b"i\0d\0\n\0a\0\x00\xd8\n\0b\0\n\0c",
        3,
        false,
    );
}

#[test]
fn the_key_decides_where_it_did_before() {
    // What tells plain from DynamoDB JSON, and one layout from another, stands before the row.
    let typed = "{\"id\":{\"N\":\"1\"}}\n{\"id\":{\"N\":\"2\"}}\n{\"x\":{\"N\":\"2\"}}\n";
    same_in_every_file(&plain().key("id", KeyType::N), typed, 3);
    let lines = "{\"id\":\"a\"}\n{\n\"id\":\"b\"}\n{\"id\":\"c\"}\n";
    same_in_every_file(&plain(), lines, 4);
}

/// A file of `rows` rows, and its last row's number.
fn long_files() -> [String; 4] {
    let mut files = [
        String::from("{\"n\":[{}],\"Items\":["),
        String::new(),
        String::new(),
        String::from("id,n\r\n"),
    ];
    for n in 0..60_000 {
        let comma = if n == 0 { "" } else { ",\n" };
        write!(files[0], "{comma}{{\"id\":\"{n}\",\"n\":{n}}}").unwrap();
        writeln!(files[1], "{{\"id\":\"{n}\",\"n\":{n}}}").unwrap();
        writeln!(files[2], "{{\"Item\":{{\"id\":{{\"S\":\"{n}\"}}}}}}").unwrap();
        write!(files[3], "\"k\r\n{n}\",{n}\r\n").unwrap();
    }
    files[0].push_str("]}");
    files
}

/// Counts what is read.
struct Counted<'a>(&'a [u8], &'a Cell<usize>);

impl Read for Counted<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(out)?;
        self.1.set(self.1.get() + read);
        Ok(read)
    }
}

#[test]
fn of_the_head_no_more_is_read_than_it_takes_and_of_the_rest_no_more_than_there_is() {
    const HEAD_BYTES_MAX: usize = 200 * 1024;
    for file in long_files() {
        let setup = if file.starts_with("{\"n\"") {
            plain().rows_at("/Items")
        } else {
            plain()
        };
        for engine in [Engine::Fast, Engine::Reference] {
            let setup = setup.clone().engine(engine);
            let whole = run(&setup, file.as_bytes());
            assert_eq!((whole.rows.len(), whole.ended()), (60_000, true));
            let expected = &whole.rows[59_998..];
            let at = expected[0].position;
            let schema = Arc::new(setup.schema.clone());
            for packed in [file.clone().into_bytes(), gzip(file.as_bytes())] {
                let (head, rest) = (Cell::new(0), Cell::new(0));
                let seekable = packed[0] != 0x1f;
                let begin = if seekable { at.byte as usize } else { 0 };
                let mut opened = resume(
                    Counted(&packed, &head),
                    Counted(&packed[begin..], &rest),
                    at,
                    None,
                    &setup.options,
                    &schema,
                )
                .unwrap();
                let mut row = Row::default();
                for expected in expected {
                    assert!(opened.decoder.next(&mut row).unwrap());
                    assert_eq!(&row, expected);
                }
                assert!(!opened.decoder.next(&mut row).unwrap());
                assert!(
                    head.get() <= HEAD_BYTES_MAX.min(packed.len()),
                    "{}",
                    head.get()
                );
                assert_eq!(rest.get(), packed.len() - begin);
            }
        }
    }
}

#[test]
fn a_file_that_no_longer_has_the_row_is_not_taken_for_one_that_ends() {
    let lines = "{\"id\":\"a\"}\n{\"id\":\"b\"}\n";
    let csv = "id,v\na,1\nb,2\n";
    let array = "[{\"id\":\"a\"},{\"id\":\"b\"}]";
    let empty = "unusable: the file is empty | upload a file with rows; a file of no rows is [] in JSON, or a CSV header alone";
    for engine in [Engine::Fast, Engine::Reference] {
        let setup = plain().engine(engine);
        for file in [lines, csv, array] {
            let at = run(&setup, file.as_bytes()).position(2);
            let gone = format!(
                "unusable: the file does not have the row that was to be read next, {at} | the file was replaced; import it from its beginning"
            );
            let shorter = &file.as_bytes()[..at.byte as usize];
            for (file, seekable, event) in [
                (&b""[..], true, empty),
                (b"", false, empty),
                (shorter, true, &gone),
                (&gzip(shorter), false, &gone),
                (&gzip(&shorter[..4]), false, &gone),
            ] {
                let run = run_from(&setup, file, at, seekable, 3);
                let last = run.events.last().unwrap();
                // Of JSON, the beginning must lead to the rows again.
                assert!(run.rows.is_empty() && last == event, "{file:?}: {last}");
            }
            // No row is 0, and one that was made up must not do harm.
            for (byte, line, record) in [(0, 0, 0), (0, 0, 9), (9, 1, 0), (1 << 60, 1, 1)] {
                let at = Position { byte, line, record };
                for seekable in [true, false] {
                    let _ended = run_from(&setup, &gzip(file.as_bytes()), at, seekable, 9);
                    let _ended = run_from(&setup, file.as_bytes(), at, seekable, 9);
                }
            }
        }
        // Compressed when it was begun, and now not.
        let at = run(&setup, lines.as_bytes()).position(2);
        let schema = Arc::new(setup.schema.clone());
        let (packed, reader) = (gzip(lines.as_bytes()), Chunked(lines.as_bytes(), 5));
        let opened = resume(&packed[..], reader, at, None, &setup.options, &schema);
        assert!(
            opened
                .err()
                .unwrap()
                .to_string()
                .contains("does not have the row")
        );
    }
}
