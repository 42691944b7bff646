//! The files, by name.

use std::io::Write as _;
use std::iter::{once, repeat_n};

use rows::Format;

const MIB: u64 = 1024 * 1024;

/// A file, in pieces.
pub(crate) type Pieces = Box<dyn Iterator<Item = Vec<u8>>>;

#[allow(clippy::too_many_lines, reason = "one line a file")]
pub(crate) fn file(name: &str) -> (Option<Format>, Pieces) {
    use Format::{Csv, DynamoDbJson, Json, JsonLines};
    let array = |middle: Pieces| {
        (
            Some(Json),
            around("[{\"id\":\"a\"},", middle, ",{\"id\":\"b\"}]"),
        )
    };
    let lines = |middle: Pieces| {
        (
            Some(JsonLines),
            around("{\"id\":\"a\"}\n", middle, "\n{\"id\":\"b\"}\n"),
        )
    };
    let typed = |middle: Pieces| {
        let (before, after) = ("{\"id\":{\"S\":\"a\"}}\n", "\n{\"id\":{\"S\":\"b\"}}\n");
        (Some(DynamoDbJson), around(before, middle, after))
    };
    let csv = |middle: Pieces| (Some(Csv), around("id,v\na,1\n", middle, "\nb,2\n"));
    match name {
        // 10 GB of one row that never ends, packed into some 10 MB.
        "bomb of gzip: array" => (None, bomb(gzip, "[{\"id\":\"a\"},{\"id\":\"")),
        "bomb of zstd: array" => (None, bomb(zstd, "[{\"id\":\"a\"},{\"id\":\"")),
        "bomb of gzip: lines" => (None, bomb(gzip, "{\"id\":\"a\"}\n{\"id\":\"")),
        "bomb of zstd: lines" => (None, bomb(zstd, "{\"id\":\"a\"}\n{\"id\":\"")),
        "bomb of gzip: DynamoDB JSON" => (
            None,
            bomb(gzip, "{\"id\":{\"S\":\"a\"}}\n{\"id\":{\"S\":\""),
        ),
        "bomb of gzip: CSV" => (None, bomb(gzip, "id,v\na,1\nb,\"")),
        "bomb of zstd: CSV" => (None, bomb(zstd, "id,v\na,1\nb,\"")),
        "bomb of gzip: blank" => (
            None,
            Box::new(repeat_n(gzip(&b" \n".repeat(MIB as usize)), 5000)),
        ),
        // Nothing is wrong with white space between rows, however much there is.
        "blank lines" => lines(fill("\n \t\r\n", 20 * MIB)),
        "blank lines of CSV" => csv(fill("\n", 40 * MIB)),
        "white space" => array(around("", fill("\n  \r\n", 20 * MIB), "7")),
        "a string of 1 GB" => array(around("{\"id\":\"", fill("x", 1000 * MIB), "\"}")),
        "a string of 70 MB" => array(around("{\"id\":\"", fill("x", 70 * MIB), "\"}")),
        "a string of 1 GB: lines" => lines(around("{\"id\":\"", fill("x", 1000 * MIB), "\"}")),
        "a string of 70 MB: lines" => lines(around("{\"id\":\"", fill("x", 70 * MIB), "\"}")),
        "a string of 1 GB: DynamoDB JSON" => {
            typed(around("{\"id\":{\"S\":\"", fill("x", 1000 * MIB), "\"}}"))
        }
        "a string of 1 GB: CSV" => csv(around("\"", fill("x", 1000 * MIB), "\",1")),
        "a string of 7 MB: CSV" => csv(around("\"", fill("x\"\"", 7 * MIB), "\",1")),
        "a number of 7 MB" => array(around("{\"id\":\"x\",\"v\":", fill("1", 7 * MIB), "}")),
        "a number of 7 MB: lines" => lines(around("{\"id\":\"x\",\"v\":", fill("1", 7 * MIB), "}")),
        "a name of 7 MB" => array(around("{\"id\":\"x\",\"", fill("n", 7 * MIB), "\":1}")),
        "a name of 7 MB: lines" => lines(around("{\"id\":\"x\",\"", fill("n", 7 * MIB), "\":1}")),
        "100,000 arrays" => array(around("{\"id\":\"x\",\"v\":", nested(100_000), "}")),
        "99,000 arrays" => array(around("{\"id\":\"x\",\"v\":", nested(99_000), "}")),
        "100,000 arrays: a row" => array(nested(100_000)),
        "100,000 arrays: lines" => lines(nested(100_000)),
        "100,000 arrays: DynamoDB JSON" => typed(around(
            "{\"id\":{\"S\":\"x\"},\"v\":{\"L\":",
            nested(99_000),
            "}}",
        )),
        "100,000,000 arrays: file" => (Some(Json), fill("[", 100 * MIB)),
        "10,000,000 columns" => (
            Some(Csv),
            around("id", numbered(10_000_000, |n| format!(",c{n}")), "\na\n"),
        ),
        "8,000,000 columns without names" => {
            (Some(Csv), around("id", fill(",", 8_000_000), "\na\n"))
        }
        "65,536 columns" => {
            let row = repeat_n(b",1".to_vec(), 10_000).chain(repeat_n(b",".to_vec(), 55_535));
            let header = around("id", numbered(65_535, |n| format!(",c{n}")), "\nx");
            (
                Some(Csv),
                Box::new(header.chain(row).chain(repeat_n(b"\ny".to_vec(), 20))),
            )
        }
        "a header of 7 MB" => (Some(Csv), around("id,", fill("n", 7 * MIB), "\na,1\n")),
        "8,000,000 cells" => csv(fill(",", 8_000_000)),
        "10,000,000 members" => array(around(
            "{\"id\":\"x\"",
            numbered(10_000_000, |n| format!(",\"m{n}\":1")),
            "}",
        )),
        "10,000,000 members: lines" => lines(around(
            "{\"id\":\"x\"",
            numbered(10_000_000, |n| format!(",\"m{n}\":1")),
            "}",
        )),
        "10,000,000 elements" => array(around(
            "{\"id\":\"x\",\"v\":[1",
            fill(",1", 20_000_000),
            "]}",
        )),
        "10,000,000 members of a set" => {
            let set = around(
                "{\"SS\":[\"\"",
                numbered(10_000_000, |n| format!(",\"{n}\"")),
                "]}",
            );
            (
                Some(Json),
                around(
                    "[{\"id\":{\"S\":\"a\"}},{\"id\":{\"S\":\"x\"},\"v\":",
                    set,
                    "},{\"id\":{\"S\":\"b\"}}]",
                ),
            )
        }
        "names that are long and new in every row" => {
            let name = "n".repeat(60_000);
            lines(numbered(500, move |n| {
                format!("{{\"id\":\"x\",\"{name}{n}\":1}}\n")
            }))
        }
        "names that are new in every row" => lines(numbered(200_000, |n| {
            format!("{{\"id\":\"x\",\"n{n}\":{{\"m{n}\":1}}}}\n")
        })),
        "bytes that are no text" => array(around("\"", fill([0xFF], 20 * MIB), "\"")),
        "lines of bytes that are no text" => lines(fill(b"\xFF\n", MIB)),
        "the largest window of zstd" => {
            let row = format!("{{\"id\":\"{}\"}}\n", "x".repeat(1000));
            (None, largest_window(&row, 36_000))
        }
        "the largest window of zstd and long names" => {
            let row = format!("{{\"id\":\"x\",\"{}\":1}}\n", "n".repeat(7 << 20));
            (Some(JsonLines), largest_window(&row, 6))
        }
        _ => panic!("no file is called {name}"),
    }
}

fn around(before: &str, middle: Pieces, after: &str) -> Pieces {
    let (before, after) = (before.as_bytes().to_vec(), after.as_bytes().to_vec());
    Box::new(once(before).chain(middle).chain(once(after)))
}

/// `text` over and over, about so many bytes.
fn fill(text: impl AsRef<[u8]>, bytes: u64) -> Pieces {
    let piece = text.as_ref().repeat(10_000);
    let count = bytes.div_ceil(piece.len() as u64);
    Box::new(repeat_n(piece, count as usize))
}

fn numbered(count: usize, piece: impl Fn(usize) -> String + 'static) -> Pieces {
    Box::new((0..count).map(move |n| piece(n).into_bytes()))
}

fn nested(count: usize) -> Pieces {
    Box::new([b"[".repeat(count), b"]".repeat(count)].into_iter())
}

/// `begin`, then 10 GB of a letter, packed in pieces.
fn bomb(pack: fn(&[u8]) -> Vec<u8>, begin: &str) -> Pieces {
    let piece = pack(&b"x".repeat(10 * MIB as usize));
    Box::new(once(pack(begin.as_bytes())).chain(repeat_n(piece, 1000)))
}

/// `row` so many times, packed so that unpacking takes as much memory as it may.
fn largest_window(row: &str, count: usize) -> Pieces {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(25).unwrap();
    for _ in 0..count {
        encoder.write_all(row.as_bytes()).unwrap();
    }
    Box::new(once(encoder.finish().unwrap()))
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 1).unwrap()
}
