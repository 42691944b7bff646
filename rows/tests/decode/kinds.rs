//! Files of other kinds than those that are read: named, or read as what is in them.

use crate::support::{check, every_way, gzip, plain, rows, run};

#[track_caller]
fn named(file: impl AsRef<[u8]>, what: &str) {
    let run = run(&plain(), file.as_ref());
    let expected = format!("unusable: the file is {what}");
    assert!(
        run.events[0].starts_with(&expected),
        "{:?} instead of {what}",
        run.events
    );
}

fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[257..263].copy_from_slice(b"ustar\0");
    let mut file = [&header[..], content].concat();
    file.resize(file.len().next_multiple_of(512) + 1024, 0);
    file
}

#[test]
fn what_is_not_read_is_named() {
    let archive = tar("catalog.csv", b"id,v\na,1\n");
    named(&archive, "a tar archive");
    named(gzip(&archive), "a tar archive");
    named(
        "<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>",
        "a page of HTML",
    );
    named("\n <html lang=\"en\">", "a page of HTML");
    named(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code></Error>",
        "an error of S3 in XML",
    );
    named("<?xml version=\"1.0\"?><products/>", "XML");
    named(
        "------x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nid\r\na\r\n",
        "the body of a multipart form",
    );
    named("// a catalog\n[{\"id\":\"a\"}]", "JSON with comments");
    named("/* a */ {\"id\":\"a\"}", "JSON with comments");
    named("callback([{\"id\":\"a\"}]);", "JSONP");
    named("app.cb( {\"id\":\"a\"} )", "JSONP");
    named(
        r#"{"a":{"name":"x"},"b":{"name":"y"}}"#,
        "one JSON object of objects",
    );
    for (bytes, name) in [
        (u16::to_le_bytes as fn(u16) -> [u8; 2], "utf-16le"),
        (u16::to_be_bytes, "utf-16be"),
    ] {
        let text: Vec<u8> = "id,name\na,Laptop\n"
            .encode_utf16()
            .flat_map(bytes)
            .collect();
        named(&text, "UTF-16 without a byte order mark");
        assert_eq!(rows(&plain().encoding(name), text).len(), 1);
    }
    let four = gzip(&gzip(&gzip(&gzip(b"id\na\n"))));
    named(four, "gzip in gzip");
}

#[test]
fn what_only_looks_alike_is_read() {
    for header in [
        "id,(x)",
        "id,f(x)",
        "--,id",
        "x^2,id",
        "id,<html>",
        "fn(,id",
    ] {
        assert_eq!(rows(&plain(), format!("{header}\n")).len(), 0, "{header}");
    }
}

#[test]
fn layers_of_compression_and_padding_are_undone() {
    let file = b"id\na\nb\n";
    for packed in [
        gzip(&gzip(file)),
        gzip(&crate::support::zstd(file)),
        [&gzip(file)[..], &[0; 5000]].concat(),
        [&crate::support::zstd(file)[..], &[0; 3]].concat(),
    ] {
        let run = run(&plain(), &packed[..]);
        assert!(run.ended() && run.rows.len() == 2, "{:?}", run.events);
    }
    // What is behind the padding is no padding.
    let run = run(&plain(), &[&gzip(file)[..], &[0; 10], b"x"].concat()[..]);
    assert!(!run.ended());
}

#[test]
fn excels_line_that_names_the_delimiter_is_no_header() {
    for (first, delimiter) in [
        ("sep=;", ';'),
        ("SEP=,", ','),
        ("sep=\t", '\t'),
        ("sep=|", '|'),
    ] {
        for line_break in ["\n", "\r\n"] {
            let file =
                format!("{first}{line_break}id{delimiter}v{line_break}a{delimiter}1{line_break}");
            let found = rows(&plain(), &file);
            assert_eq!(
                found[0].item, br#"{"id":{"S":"a"},"v":{"N":"1"}}"#,
                "{file:?}"
            );
            assert_eq!(found[0].position.line, 3);
        }
    }
}

#[test]
fn names_are_read_without_the_white_space_around_them() {
    let item = br#"{"id":{"S":"a"},"my name":{"N":"1"}}"#;
    for header in [
        "id , my name",
        "\u{a0}id,my name\u{a0}",
        "id,\" my name \"",
        "\u{feff}id\t,my name",
        "id,my name,,",
        "id,my name, ",
    ] {
        let found = rows(&plain(), format!("{header}\na,1\n"));
        assert_eq!(found[0].item, item, "{header:?}");
    }
    check(
        &plain(),
        "id,,v\na,1,2\n",
        &[
            "unusable: column 2 of the header has no name | name every column in the first line; a delimiter at its end \
             makes a column, too",
        ],
    );
}

#[test]
fn empty_cells_behind_the_columns_are_none() {
    check(
        &plain(),
        "id,v,,\na,1\nb,2,\nc,3,,,,\r\nd,4,,x\ne\nf,6,\"\"",
        &[
            r#"1@2:7 {"id":{"S":"a"},"v":{"N":"1"}}"#,
            r#"2@3:11 {"id":{"S":"b"},"v":{"N":"2"}}"#,
            r#"3@4:16 {"id":{"S":"c"},"v":{"N":"3"}}"#,
            "4@5:25 !ragged-row",
            "5@6:32 !ragged-row",
            r#"6@7:34 {"id":{"S":"f"},"v":{"N":"6"}}"#,
            "end",
        ],
    );
}

#[test]
fn a_tail_of_zeros_is_a_lost_end_and_ctrl_z_is_none() {
    for file in ["id\na\n", "{\"id\":\"a\"}\n", "[{\"id\":\"a\"}]"] {
        let ended = every_way(&plain(), format!("{file}\x1a").as_bytes());
        assert!(
            ended.ended() && ended.rejects.is_empty(),
            "{:?}",
            ended.events
        );
        let lost = every_way(&plain(), &[file.as_bytes(), &[0; 4096]].concat());
        assert_eq!(lost.rows.len(), 1, "{file}");
        assert!(
            !lost.ended() && lost.rejects.is_empty(),
            "{:?}",
            lost.events
        );
    }
}

#[test]
fn lines_of_delimiters_are_empty_lines() {
    check(
        &plain(),
        ",,\n\nid,v\n,\na,1\n,,,\r\n,\r,\nb,2\n,\"\"\n,x\n,,\n,",
        &[
            r#"1@5:11 {"id":{"S":"a"},"v":{"N":"1"}}"#,
            r#"2@9:24 {"id":{"S":"b"},"v":{"N":"2"}}"#,
            "3@10:28 !missing-key",
            "4@11:32 !missing-key",
            "end",
        ],
    );
}

#[test]
fn blanks_around_quotes_are_none_of_the_cell() {
    for row in [
        "a, \"b, c\", 1",
        "\"a\" , \"b, c\" ,\" 1\"",
        "a,   \"b, c\",\" 1\"",
    ] {
        let found = rows(&plain(), format!("id, v, n\n{row}\nx,y,z\n"));
        assert_eq!(
            found[0].item, br#"{"id":{"S":"a"},"v":{"S":"b, c"},"n":{"S":" 1"}}"#,
            "{row}"
        );
    }
    // Quotes within text stay.
    let found = rows(&plain(), "id,v\na, 5\" x 7\"\n");
    assert_eq!(found[0].item, br#"{"id":{"S":"a"},"v":{"S":" 5\" x 7\""}}"#);
}

#[test]
fn a_key_that_a_spreadsheet_has_shortened_is_refused() {
    let run = every_way(
        &plain(),
        b"id,ean\n4.00638E+12,1\n4.00638E+12,2\n4E+12,3\nA1E+5,4\n1E5,5\n4.0E-3,6\n",
    );
    let reasons: Vec<_> = run.rejects.iter().map(|r| r.reason.code()).collect();
    assert_eq!(reasons, ["rounded-key"; 3]);
    assert_eq!(run.rows.len(), 3);
    let declared = plain().types("id:S");
    assert_eq!(rows(&declared, "id\n4.00638E+12\n").len(), 1);
}

#[test]
fn the_delimiter_is_the_one_by_which_the_header_has_the_key() {
    for file in [
        "id;Price (net, excl. VAT, EUR);name\na;9.50;Lamp\n",
        "\"id\"|a, b, c, d\na|1\n",
        "a, b, c\tid\n1\ta\n",
    ] {
        assert_eq!(rows(&plain(), file).len(), 1, "{file:?}");
    }
}

#[test]
fn pages_of_a_scan_name_the_way_out() {
    let page = |id: &str| format!("{{\"Items\":[{{\"id\":{{\"S\":\"{id}\"}}}}],\"Count\":1}}");
    for between in ["", "\n", " "] {
        let file = [page("a"), page("b")].join(between);
        let run = run(&plain(), file.as_bytes());
        assert_eq!(
            run.events,
            [
                "unusable: the file is several JSON objects, each with rows in an array under \"Items\" | make the rows a \
              file of their own, for example: jq -c '.Items[]'"
            ]
        );
    }
}
