//! Rows and files of any length: what is read of one row is bounded, and a row that is too long costs what it must.

use std::cell::Cell;
use std::io::{self, Read};

use rows::{Engine, REJECT_TEXT_BYTES_MAX};

use crate::support::{Run, gzip, plain, run, zstd};

const MIB: u64 = 1024 * 1024;

/// `before`, then `count` bytes of `fill` over and over, then `after`, without holding them.
fn filled<'a>(before: &'a str, fill: &'a str, count: u64, after: &'a str) -> impl Read + 'a {
    before
        .as_bytes()
        .chain(Fill(fill.as_bytes(), 0).take(count))
        .chain(after.as_bytes())
}

struct Fill<'a>(&'a [u8], usize);

impl Read for Fill<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        for byte in out.iter_mut() {
            *byte = self.0[self.1];
            self.1 = (self.1 + 1) % self.0.len();
        }
        Ok(out.len())
    }
}

/// Counts what is read.
struct Counted<'a, R>(R, &'a Cell<u64>);

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(out)?;
        self.1.set(self.1.get() + read as u64);
        Ok(read)
    }
}

/// That the middle row of three is rejected for `reason`, and that next to nothing of it is kept.
#[track_caller]
fn costs_one_row(run: &Run, reason: &str) {
    let events: Vec<_> = run
        .events
        .iter()
        .map(|event| event.split(' ').next_back().unwrap())
        .collect();
    assert_eq!(
        events,
        [
            r#"{"id":{"S":"a"}}"#,
            &format!("!{reason}"),
            r#"{"id":{"S":"b"}}"#,
            "end"
        ]
    );
    assert_eq!(run.rejects[0].text.len(), REJECT_TEXT_BYTES_MAX);
    assert!(run.rejects[0].truncated);
    assert!(
        run.rows
            .iter()
            .all(|row| row.item.capacity() < MIB as usize)
    );
}

#[test]
fn a_string_of_any_length_in_json_costs_its_row() {
    let length = 64 * MIB;
    let row = |end: u64, line: u64| format!("3@{line}:{end} {{\"id\":{{\"S\":\"b\"}}}}");
    let array = run(
        &plain(),
        filled(
            "[{\"id\":\"a\"},{\"id\":\"",
            "x",
            length,
            "\"},{\"id\":\"b\"}]",
        ),
    );
    costs_one_row(&array, "row-too-long");
    assert_eq!(array.events[2], row(length + 22, 1));
    assert!(array.rejects[0].text.starts_with(b"{\"id\":\"xxxxxx"));
}

#[test]
fn text_of_any_kind_over_8_mib_costs_its_row_of_json() {
    let length = 9 * MIB;
    for (before, fill, after) in [
        ("{\"id\":\"x\",\"v\":\"", "\\u00e4\\n😀", "\"}"),
        ("{\"id\":\"x\",\"v\":[", "[1,\"x\"],", "1]}"),
        ("{\"id\":\"x\",\"v\":[", "                \n", "]}"),
        ("[", "[[1],{\"k\":null}],", "1]"),
        ("{\"id\":\"x\",\"id\":\"y\",\"", "k", "\":1}"),
        ("{\"id\":7,\"v\":", "1", "}"),
    ] {
        let length = length / fill.len() as u64 * fill.len() as u64;
        let (start, end) = (
            format!("[{{\"id\":\"a\"}},{before}"),
            format!("{after},{{\"id\":\"b\"}}]"),
        );
        let run = run(&plain(), filled(&start, fill, length, &end));
        costs_one_row(&run, "row-too-long");
    }
}

#[test]
fn a_row_over_256_mib_is_no_row() {
    let run = run(
        &plain(),
        filled("[{\"id\":\"a\"},{\"id\":\"", "x", 257 * MIB, "\"}]"),
    );
    assert_eq!(
        run.events[1..],
        ["2@1:12 #the row is longer than 268435456 bytes; an item may have 409,600"]
    );
}

#[test]
fn a_name_is_kept_no_longer_than_a_row_may_be() {
    let length = 9 * MIB;
    let long_name = "#the row is longer than 8388608 bytes; an item may have 409,600";
    let long_row = "!row-too-long";
    for (setup, before, after, event) in [
        (plain(), "[{\"id\":\"a\",\"", "\":1}]", long_row),
        (plain(), "[7,{\"id\":\"a\",\"", "\":1}]", long_row),
        (
            plain().rows_at("/Items"),
            "{\"",
            "\":1,\"Items\":[]}",
            long_name,
        ),
        (
            plain().rows_at("/Items"),
            "{\"Items\":[],\"",
            "\":1}",
            "end",
        ),
        (
            plain(),
            "[{\"Item\":{\"id\":{\"S\":\"a\"}},\"x\":1,\"",
            "\":1}]",
            long_row,
        ),
    ] {
        let run = run(&setup, filled(before, "n", length, after));
        let found = run.events.iter().any(|e| e.ends_with(event));
        assert!(found, "{:?}", run.events);
    }
}

#[test]
fn a_line_over_8_mib_costs_itself() {
    let limit = 8 * MIB;
    for (length, reason) in [
        (limit - 20, "item-too-large"),
        (limit + 1, "row-too-long"),
        (20 * MIB, "row-too-long"),
    ] {
        let run = run(
            &plain(),
            filled(
                "{\"id\":\"a\"}\n{\"id\":\"x\",\"v\":\"",
                "x",
                length,
                "\"}\n{\"id\":\"b\"}\n",
            ),
        );
        costs_one_row(&run, reason);
        assert_eq!(
            run.events[2],
            format!("3@3:{} {{\"id\":{{\"S\":\"b\"}}}}", 11 + 15 + length + 3)
        );
    }
}

#[test]
fn a_csv_cell_over_400_kib_costs_its_row_and_over_8_mib_the_file() {
    // Positions and the report's text hold although the row is longer than the window that is kept.
    let run_of = |length: u64| {
        run(
            &plain(),
            filled("id,v\na,\n\n\nx,\"", "x\n", length, "\"\nb,\n"),
        )
    };
    for length in [500_000, 2 * MIB, 7 * MIB] {
        let run = run_of(length);
        costs_one_row(&run, "item-too-large");
        assert!(run.events[1].starts_with("2@5:10 "), "{:?}", run.events[1]);
        assert!(run.rejects[0].text.starts_with(b"x,\"x\nx\n"));
        assert!(
            run.events[2].starts_with(&format!("3@{}:{} ", 6 + length / 2, 10 + 4 + length + 1)),
            "{:?}",
            run.events[2]
        );
    }
    let events = run_of(9 * MIB).events;
    assert_eq!(
        events[1..],
        ["2@5:10 #the row is longer than 8388608 bytes; an item may have 409,600"]
    );
}

#[test]
fn a_quote_that_is_never_closed_is_not_searched_to_the_end_of_the_file() {
    let read = Cell::new(0);
    let file = filled("id,v\na,x\nb,\"y\n", "c,some text\r\n", 1 << 40, "");
    let run = run(&plain(), Counted(file, &read));
    assert_eq!(run.rows.len(), 1);
    assert_eq!(
        run.events[1..],
        ["2@3:9 #the row is longer than 8388608 bytes; an item may have 409,600"]
    );
    assert!(run.error.unwrap().fix().unwrap().contains("never closed"));
    assert!(read.get() < 9 * MIB, "{}", read.get());
}

#[test]
fn a_bomb_is_bounded_by_its_rows() {
    // A few KiB become 20 MiB of one string.
    let mut text = Vec::new();
    filled(
        "[{\"id\":\"a\"},{\"id\":\"",
        "x",
        20 * MIB,
        "\"},{\"id\":\"b\"}]",
    )
    .read_to_end(&mut text)
    .unwrap();
    for packed in [gzip(&text), zstd(&text)] {
        costs_one_row(&run(&plain(), &packed[..]), "row-too-long");
    }
}

#[test]
fn the_limit_is_8_mib_to_the_byte_however_the_row_is_read() {
    let limit = 8 * MIB;
    // What stands before moves the row within what is read at a time.
    for before in ["", "\n\n\n\n\n\n\n"] {
        for engine in [Engine::Fast, Engine::Reference] {
            let setup = plain().engine(engine);
            let csv = |length| {
                let start = format!("id,v\na,\n{before}x,\"");
                run(&setup, filled(&start, "x", length, "\"\nb,\n"))
            };
            let array = |length| {
                let start = format!("[{{\"id\":\"a\"}},{before}{{\"id\":\"x\"");
                run(&setup, filled(&start, " ", length, "},{\"id\":\"b\"}]"))
            };
            // Quotes, comma and key; braces and key.
            let (csv_bytes, array_bytes) = (4, 10);
            costs_one_row(&csv(limit - csv_bytes), "item-too-large");
            assert_eq!(array(limit - array_bytes).rows.len(), 3);
            let byte = before.len();
            let line = 1 + byte;
            let what = "#the row is longer than 8388608 bytes; an item may have 409,600";
            assert_eq!(
                csv(limit - csv_bytes + 1).events[1..],
                [format!("2@{}:{} {what}", line + 2, byte + 8)]
            );
            let over = array(limit - array_bytes + 1);
            costs_one_row(&over, "row-too-long");
            assert!(over.events[1].starts_with(&format!("2@{line}:{} ", byte + 12)));
        }
    }
}
