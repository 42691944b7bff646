//! CSV: quoting, line ends, delimiters, cells, ragged and broken rows.

use rows::KeyType;

use crate::support::{check, every_way, plain, rows};

/// `record@line:byte` and an item of `id` and perhaps `v`.
fn row(place: &str, id: &str, v: Option<&str>) -> String {
    let v = v.map(|v| format!(",\"v\":{{\"S\":{}}}", serde_json::to_string(v).unwrap()));
    format!(
        "{place} {{\"id\":{{\"S\":\"{id}\"}}{}}}",
        v.unwrap_or_default()
    )
}

#[test]
fn quoting_follows_rfc_4180() {
    for (cell, text) in [
        ("x", "x"),
        ("\"x\"", "x"),
        ("\"x,y\"", "x,y"),
        ("\"x\"\"y\"", "x\"y"),
        ("\"\"\"\"", "\""),
        ("\"\"\"x\"\"\"", "\"x\""),
        ("\"x\ny\"", "x\ny"),
        ("\"x\r\ny\r\n\"", "x\r\ny\r\n"),
        (" x ", " x "),
        ("24\" monitor", "24\" monitor"),
        ("a\"b\"c", "a\"b\"c"),
        (" \"x\"", "x"),
        ("\"x\" ", "x"),
        ("ä€😀", "ä€😀"),
        ("\\n", "\\n"),
        ("'x'", "'x'"),
    ] {
        let lines = 3 + cell.matches('\n').count();
        let next = row(&format!("2@{lines}:{}", 8 + cell.len()), "b", Some("z"));
        check(
            &plain(),
            format!("id,v\na,{cell}\nb,z\n"),
            &[&row("1@2:5", "a", Some(text)), &next, "end"],
        );
    }
}

#[test]
fn lines_end_in_every_way() {
    let (a, b) = (
        |at: &str| row(at, "a", Some("x")),
        |at: &str| row(at, "b", Some("y")),
    );
    check(
        &plain(),
        "id,v\na,x\nb,y\n",
        &[&a("1@2:5"), &b("2@3:9"), "end"],
    );
    check(
        &plain(),
        "id,v\na,x\nb,y",
        &[&a("1@2:5"), &b("2@3:9"), "end"],
    );
    check(
        &plain(),
        "id,v\r\na,x\r\nb,y\r\n",
        &[&a("1@2:6"), &b("2@3:11"), "end"],
    );
    check(
        &plain(),
        "id,v\r\na,x\r\nb,y",
        &[&a("1@2:6"), &b("2@3:11"), "end"],
    );
    check(
        &plain(),
        "id,v\r\na,x\r\nb,y\r",
        &[&a("1@2:6"), &b("2@3:11"), "end"],
    );
    check(
        &plain(),
        "id,v\ra,x\rb,y\r",
        &[&a("1@2:5"), &b("2@3:9"), "end"],
    );
    check(
        &plain(),
        "id,v\n\n\na,x\n\r\n\nb,y\n",
        &[&a("1@4:7"), &b("2@7:14"), "end"],
    );
    check(&plain(), "\n\r\nid,v\na,x\n", &[&a("1@4:8"), "end"]);
    check(&plain(), "id,v\na,x\n\n\n\r\n\n", &[&a("1@2:5"), "end"]);
    check(&plain(), "\u{feff}id,v\r\na,x\r\n", &[&a("1@2:9"), "end"]);
    check(&plain(), "\u{feff}\"id\",v\na,x\n", &[&a("1@2:10"), "end"]);
    check(&plain(), "id,v\na,\"x\"", &[&a("1@2:5"), "end"]);
    check(&plain(), "id,v\na,\"x\"\r\n", &[&a("1@2:5"), "end"]);
}

#[test]
fn a_header_alone_is_a_file_of_no_rows() {
    for file in [
        "id,v",
        "id,v\n",
        "id,v\r\n",
        "\u{feff}id,v\r\n\r\n\r\n",
        "id",
        "\"id\"\n",
    ] {
        check(&plain(), file, &["end"]);
    }
}

#[test]
fn positions_count_lines_within_cells() {
    let file = "id,v\r\n\"a\",\"1\r\n2\r\n3\"\r\nb,\"\"\"\n\"\r\n\r\nc\r\nd,x\r\n";
    check(
        &plain(),
        file,
        &[
            &row("1@2:6", "a", Some("1\r\n2\r\n3")),
            &row("2@5:21", "b", Some("\"\n")),
            "3@8:32 !ragged-row",
            &row("4@9:35", "d", Some("x")),
            "end",
        ],
    );
}

#[test]
fn delimiters_are_sniffed_or_given() {
    let expected = row("1@2:5", "a", Some("x"));
    for delimiter in [',', ';', '|', '\t'] {
        check(
            &plain(),
            format!("id{delimiter}v\na{delimiter}x\n"),
            &[&expected, "end"],
        );
        check(
            &plain().delimiter(delimiter as u8),
            format!("id{delimiter}v\na{delimiter}x\n"),
            &[&expected, "end"],
        );
    }
    check(&plain().delimiter(b':'), "id:v\na:x\n", &[&expected, "end"]);
    check(&plain().delimiter(b' '), "id v\na x\n", &[&expected, "end"]);
    for delimiter in [b'"', b'\r', b'\n', 0x80] {
        check(
            &plain().delimiter(delimiter),
            "id,v\na,x\n",
            &[
                "unusable: the delimiter is a quote, a line break or not ASCII | give one character, such as --delimiter ';'",
            ],
        );
    }
    // Those in quotes do not count, nor those below the header.
    let quoted = r#"1@2:17 {"id":{"S":"a"},"a,b,c,d,e":{"S":"x"}}"#;
    check(&plain(), "id;\"a,b,c,d,e\";z\na;x;\n", &[quoted, "end"]);
    check(
        &plain(),
        "id;v\na;1,2,3,4,5\n",
        &[&row("1@2:5", "a", Some("1,2,3,4,5")), "end"],
    );
    check(
        &plain(),
        "\n\nid|v\na|x\n",
        &[&row("1@4:7", "a", Some("x")), "end"],
    );
    check(
        &plain().delimiter(b';'),
        "id,v\na,x\n",
        &[
            "unusable: the header has no column \"id\" | name a column \"id\" in the first line, which must be the header, or give the right --delimiter; the first line has 1 column",
        ],
    );
}

#[test]
fn cells_become_numbers_if_json_and_dynamodb_take_them_for_one() {
    for cell in [
        "0",
        "-0",
        "5",
        "-1.50",
        "1e5",
        "1E-5",
        "0.1",
        &"9".repeat(38),
        "9.99e125",
        "1e-130",
    ] {
        let expected = format!(r#"1@2:5 {{"id":{{"S":"a"}},"v":{{"N":"{cell}"}}}}"#);
        check(&plain(), format!("id,v\na,{cell}\n"), &[&expected, "end"]);
        check(
            &plain(),
            format!("id,v\na,\"{cell}\"\n"),
            &[&expected, "end"],
        );
    }
    for cell in [
        "00123",
        "+5",
        ".5",
        "5.",
        "1 000",
        "1e",
        "0x10",
        "NaN",
        "true",
        "null",
        "-",
        " 1",
        "1,5",
        "٣",
        "2024-01-31",
        "1e126",
        "1e-131",
        &"1".repeat(40),
        &format!("0.{}", "1".repeat(39)),
    ] {
        let cell_quoted = format!("\"{cell}\"");
        check(
            &plain(),
            format!("id,v\na,{cell_quoted}\n"),
            &[&row("1@2:5", "a", Some(cell)), "end"],
        );
    }
}

#[test]
fn empty_cells_are_absent_attributes() {
    check(
        &plain(),
        "id,a,v,z\na,,x,\nb,\"\",y,\"\"\n",
        &[
            &row("1@2:9", "a", Some("x")),
            &row("2@3:15", "b", Some("y")),
            "end",
        ],
    );
    check(
        &plain(),
        "id,v\n,x\n\"\",x\na,\n,\n",
        &[
            "1@2:5 !missing-key",
            "2@3:8 !missing-key",
            &row("3@4:13", "a", None),
            // Only delimiters are an empty line.
            "end",
        ],
    );
    check(
        &plain(),
        "id\na\n\n\"\"\nb\n",
        &[
            &row("1@2:3", "a", None),
            "2@4:6 !missing-key",
            &row("3@5:9", "b", None),
            "end",
        ],
    );
}

#[test]
fn key_columns_take_the_type_of_the_key() {
    check(
        &plain(),
        "id\n42\n00123\ntrue\n",
        &[
            &row("1@2:3", "42", None),
            &row("2@3:6", "00123", None),
            &row("3@4:12", "true", None),
            "end",
        ],
    );
    let number = |place: &str, n: &str| format!("{place} {{\"id\":{{\"N\":\"{n}\"}}}}");
    check(
        &plain().key("id", KeyType::N),
        "id\n42\nabc\n1.50\n00123\n+5\n1e400\n7\n",
        &[
            &number("1@2:3", "42"),
            "2@3:6 !not-a-number",
            &number("3@4:10", "1.50"),
            &number("4@5:15", "00123"),
            &number("5@6:21", "+5"),
            "6@7:24 !number-range",
            &number("7@8:30", "7"),
            "end",
        ],
    );
    check(
        &plain().key("id", KeyType::B),
        "id\nAAE=\nAAE\n",
        &[r#"1@2:3 {"id":{"B":"AAE="}}"#, "2@3:8 !not-base64", "end"],
    );
    check(
        &plain().sort("n", KeyType::N),
        "id,n\n1,2\n1,x\n1,\n",
        &[
            r#"1@2:5 {"id":{"S":"1"},"n":{"N":"2"}}"#,
            "2@3:9 !not-a-number",
            "3@4:13 !missing-key",
            "end",
        ],
    );
    let indexed = plain().index(rows::KeyAttribute::partition("sku", KeyType::S));
    check(
        &indexed,
        "id,sku\na,42\nb,\n",
        &[
            r#"1@2:7 {"id":{"S":"a"},"sku":{"S":"42"}}"#,
            r#"2@3:12 {"id":{"S":"b"}}"#,
            "end",
        ],
    );
}

#[test]
fn declared_types_hold_and_cells_that_do_not_fit_reject_the_row() {
    let setup = plain().types("sku:S,price:N,on:BOOL,raw:B");
    for (cells, attributes) in [
        (
            "12,00.50,TRUE,AAE=",
            r#","sku":{"S":"12"},"price":{"N":"00.50"},"on":{"BOOL":true},"raw":{"B":"AAE="}"#,
        ),
        (
            "true,+5,false,",
            r#","sku":{"S":"true"},"price":{"N":"+5"},"on":{"BOOL":false}"#,
        ),
        ("1e400,,,", r#","sku":{"S":"1e400"}"#),
        (",,,", ""),
    ] {
        let expected = format!("1@2:20 {{\"id\":{{\"S\":\"a\"}}{attributes}}}");
        check(
            &setup,
            format!("id,sku,price,on,raw\na,{cells}\n"),
            &[&expected, "end"],
        );
    }
    for cells in [
        ",abc,,",
        ",1e400,,",
        ",\"1,50\",,",
        ",,yes,",
        ",,1,",
        ",,0,",
        ",,,AAE",
        ",,,x y",
    ] {
        let file = format!("id,sku,price,on,raw\na,{cells}\nb,,,,\n");
        let next = row(&format!("2@3:{}", 23 + cells.len()), "b", None);
        check(&setup, file, &["1@2:20 !declared-type", &next, "end"]);
    }
    let message = every_way(&setup, b"id,sku,price,on,raw\na,,abc,,\n").rejects[0]
        .reason
        .to_string();
    assert_eq!(
        message,
        "\"price\" does not fit its declared type N: not a number"
    );
    check(
        &plain().types("id:N"),
        "id\n42\n",
        &["1@2:3 !key-type", "end"],
    );
}

#[test]
fn ragged_rows_are_rejected_with_both_counts() {
    check(
        &plain(),
        "id,v\na,x,y\nb\nc,z\n,,\n",
        &[
            "1@2:5 !ragged-row",
            "2@3:11 !ragged-row",
            &row("3@4:13", "c", Some("z")),
            // Only delimiters are an empty line.
            "end",
        ],
    );
    let run = every_way(&plain(), b"id,v\r\na,x,\"y\r\n\"\r\nb\n");
    assert_eq!(
        run.rejects[0].reason.to_string(),
        "the row has 3 cells, the header 2; quote a cell that holds the delimiter"
    );
    assert_eq!(run.rejects[0].text, b"a,x,\"y\r\n\"");
    assert_eq!(run.rejects[1].text, b"b");
}

#[test]
fn a_quote_that_is_closed_too_late_rejects_the_rows_it_swallows() {
    let c = |at: &str| row(at, "c", Some("z"));
    // Row b would be lost in a cell of row a, and nobody would know.
    check(
        &plain(),
        "id,v\na,\"x\nb,\"y\"\nc,z\n",
        &["1@2:5 !text-after-quote", &c("2@4:16"), "end"],
    );
    check(
        &plain(),
        "id,v\n\"a,x\n\"b\",y\nc,z\n",
        &["1@2:5 !text-after-quote", &c("2@4:16"), "end"],
    );
    check(
        &plain(),
        "id,v\na,\"x\"y\nc,z\n",
        &["1@2:5 !text-after-quote", &c("2@3:12"), "end"],
    );
    check(
        &plain(),
        "id,v\na,\"x\nb,y\" ,\nc,z\n",
        &["1@2:5 !text-after-quote", &c("2@4:17"), "end"],
    );
    check(
        &plain(),
        "id;v\na;\"x\",\"y\"\nc;z\n",
        &["1@2:5 !text-after-quote", &c("2@3:15"), "end"],
    );
    check(
        &plain(),
        "id,\"v\na,\"x\nb,\"\n",
        &[
            "unusable: text follows the closing quote of a name in the header | close every quote of the header; write a quote inside a name twice",
        ],
    );
    assert_eq!(
        every_way(&plain(), b"id,v\na,\"x\nb,\"y\"\nc,z\n").rejects[0].text,
        b"a,\"x\nb,\"y\""
    );
}

#[test]
fn a_file_that_ends_inside_quotes_fails_at_its_last_row() {
    let a = row("1@2:5", "a", Some("x"));
    let problem = "the file ends inside a quoted cell of this row";
    for rest in [
        "b,\"",
        "b,\"y",
        "b,\"y\n",
        "b,\"y\r\n",
        "b,\"y\nc,z\n",
        "\"",
        "\"b",
        "b,\"y\"\"",
        "b,\"y\"\"\n",
    ] {
        check(
            &plain(),
            format!("id,v\na,x\n{rest}"),
            &[&a, &format!("2@3:9 #{problem}")],
        );
        check(
            &plain(),
            format!("id,v\na,x\n\n\n{rest}"),
            &[&a, &format!("2@5:11 #{problem}")],
        );
    }
    check(&plain(), "id,\"v\n", &[&format!("0@1:0 #{problem}")]);
    check(
        &plain(),
        "\u{feff}\nid,\"v\n",
        &[&format!("0@2:4 #{problem}")],
    );
}

#[test]
fn a_row_cut_at_the_end_of_the_file_is_what_is_left_of_it() {
    let file = "id,v,w\na,x,1\nb,\"y\",2\nc,z,\"3\n4\"\n";
    let all = rows(&plain(), file);
    for cut in 7..file.len() {
        let run = every_way(&plain(), &file.as_bytes()[..cut]);
        // Rows that end with a line break before the cut are all there. Of the row that is cut, CSV cannot tell, unless
        // a cell is missing or still open; what it gives then begins where that row does.
        let ends = [13, 21, 31];
        let whole = ends.iter().filter(|&&end| end <= cut).count();
        assert_eq!(run.rows[..whole], all[..whole], "cut at {cut}");
        assert!(
            run.events.len() <= whole + 2,
            "cut at {cut}: {:?}",
            run.events
        );
        let in_quotes = [15..17, 25..29]
            .iter()
            .any(|quoted| quoted.contains(&(cut - 1)));
        assert_eq!(run.ended(), !in_quotes, "cut at {cut}: {:?}", run.events);
    }
}
