//! Files made to exhaust memory or patience. Each is decoded by both engines, in a process of its own whose peak is
//! asserted.
//!
//! The files are generated while they are read. Only Linux tells a process's peak in a way that is worth asserting.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests may")]
#![allow(clippy::print_stdout, reason = "this is how a child reports")]

use std::cell::Cell;
use std::io::{self, Read, Write as _};
use std::iter::{once, repeat_n};
use std::process::Command;
use std::sync::Arc;

use importer::decode::{DecodeOptions, Engine, Format, open};
use importer::error::Error;
use importer::row::Row;
use importer::schema::{KeyAttribute, KeyType, Schema};

const MIB: u64 = 1024 * 1024;
/// Most memory of a process that decodes. An importer of 128 MiB needs the rest for reading ahead and for batches.
const PEAK_BYTES_MAX: u64 = 64 * MIB;
/// In the environment of a child: the file and the engine.
const CASE: &str = "INTAKE_TEST_HOSTILE_CASE";
const TOO_LONG: &str = "the row is longer than 268435456 bytes; an item may have 409,600";
const CSV_TOO_LONG: &str = "the row is longer than 16777216 bytes; an item may have 409,600";

/// A file, in pieces.
type Pieces = Box<dyn Iterator<Item = Vec<u8>>>;

#[allow(clippy::too_many_lines, reason = "one line a file")]
fn file(name: &str) -> (Option<Format>, Pieces) {
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
        "blank lines" => lines(fill("\n \t\r\n", 64 * MIB)),
        "blank lines of CSV" => csv(fill("\n", 64 * MIB)),
        "white space" => array(around("", fill("\n  \r\n", 64 * MIB), "7")),
        "a string of 1 GB" => array(around("{\"id\":\"", fill("x", 1000 * MIB), "\"}")),
        "a string of 70 MB" => array(around("{\"id\":\"", fill("x", 70 * MIB), "\"}")),
        "a string of 1 GB: lines" => lines(around("{\"id\":\"", fill("x", 1000 * MIB), "\"}")),
        "a string of 70 MB: lines" => lines(around("{\"id\":\"", fill("x", 70 * MIB), "\"}")),
        "a string of 1 GB: DynamoDB JSON" => {
            typed(around("{\"id\":{\"S\":\"", fill("x", 1000 * MIB), "\"}}"))
        }
        "a string of 1 GB: CSV" => csv(around("\"", fill("x", 1000 * MIB), "\",1")),
        "a string of 15 MB: CSV" => csv(around("\"", fill("x\"\"", 15 * MIB), "\",1")),
        "a number of 15 MB" => array(around("{\"id\":\"x\",\"v\":", fill("1", 15 * MIB), "}")),
        "a number of 15 MB: lines" => {
            lines(around("{\"id\":\"x\",\"v\":", fill("1", 15 * MIB), "}"))
        }
        "a name of 15 MB" => array(around("{\"id\":\"x\",\"", fill("n", 15 * MIB), "\":1}")),
        "a name of 15 MB: lines" => lines(around("{\"id\":\"x\",\"", fill("n", 15 * MIB), "\":1}")),
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
        "10,000,000 columns without names" => {
            (Some(Csv), around("id", fill(",", 10_000_000), "\na\n"))
        }
        "65,536 columns" => {
            let row = repeat_n(b",1".to_vec(), 10_000).chain(repeat_n(b",".to_vec(), 55_535));
            let header = around("id", numbered(65_535, |n| format!(",c{n}")), "\nx");
            (
                Some(Csv),
                Box::new(header.chain(row).chain(repeat_n(b"\ny".to_vec(), 20))),
            )
        }
        "a header of 15 MB" => (Some(Csv), around("id,", fill("n", 15 * MIB), "\na,1\n")),
        "10,000,000 cells" => csv(fill(",", 10_000_000)),
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
        "names that are new in every row" => lines(numbered(300_000, |n| {
            format!("{{\"id\":\"x\",\"n{n}\":{{\"m{n}\":1}}}}\n")
        })),
        "bytes that are no text" => array(around("\"", fill([0xFF], 20 * MIB), "\"")),
        "lines of bytes that are no text" => lines(fill(b"\xFF\n", MIB)),
        "the largest window of zstd" => {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.window_log(25).unwrap();
            let row = format!("{{\"id\":\"{}\"}}\n", "x".repeat(1000));
            for _ in 0..36_000 {
                encoder.write_all(row.as_bytes()).unwrap();
            }
            (None, Box::new(once(encoder.finish().unwrap())))
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

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 1).unwrap()
}

/// A file's pieces as they are read, counted.
struct Reader<'a> {
    pieces: Pieces,
    piece: Vec<u8>,
    at: usize,
    read: &'a Cell<u64>,
}

impl Read for Reader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < out.len() {
            if self.at == self.piece.len() {
                self.at = 0;
                let Some(piece) = self.pieces.next() else {
                    self.piece.clear();
                    break;
                };
                self.piece = piece;
            }
            let length = (self.piece.len() - self.at).min(out.len() - filled);
            out[filled..filled + length].copy_from_slice(&self.piece[self.at..self.at + length]);
            self.at += length;
            filled += length;
        }
        self.read.set(self.read.get() + filled as u64);
        Ok(filled)
    }
}

/// What became of a file.
#[derive(Debug)]
struct Outcome {
    /// Rows, codes of rejects, and how it ended.
    what: String,
    read_bytes: u64,
    peak_bytes: u64,
}

fn decode(name: &str, engine: Engine) -> (String, u64) {
    let (format, pieces) = file(name);
    let schema = Arc::new(Schema::new(
        "T",
        KeyAttribute::partition("id", KeyType::S),
        None,
    ));
    let options = DecodeOptions {
        format,
        engine,
        ..DecodeOptions::default()
    };
    let read = Cell::new(0);
    let reader = Reader {
        pieces,
        piece: Vec::new(),
        at: 0,
        read: &read,
    };
    let (mut rows, mut rejects, mut reason) = (0, 0, "");
    let end = || -> Result<(), Error> {
        let mut opened = open(reader, &options, &schema)?;
        let mut row = Row::default();
        loop {
            match opened.decoder.next(&mut row) {
                Ok(true) => rows += 1,
                Ok(false) => return Ok(()),
                Err(Error::Row(reject)) => {
                    rejects += 1;
                    reason = reject.reason.code();
                }
                Err(error) => return Err(error),
            }
        }
    };
    let end = match end() {
        Ok(()) => "end".to_owned(),
        Err(Error::Syntax { problem, .. } | Error::Unusable { problem, .. }) => problem,
        Err(error) => error.to_string(),
    };
    (
        format!("{rows} rows, {rejects} {reason}: {end}"),
        read.get(),
    )
}

fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = peak
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib * 1024
}

/// What a child does. By itself it is no test.
#[test]
fn child() {
    let Ok(case) = std::env::var(CASE) else {
        return;
    };
    let (name, engine) = case.rsplit_once('/').unwrap();
    let (what, read_bytes) = decode(name, engine.parse().unwrap());
    println!("\noutcome={what}\nread={read_bytes}\npeak={}", peak_bytes());
}

fn outcome(name: &str, engine: &str) -> Outcome {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env(CASE, format!("{name}/{engine}"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let value = |key: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(key));
        found
            .unwrap_or_else(|| panic!("{name}: {output:?}"))
            .to_owned()
    };
    Outcome {
        what: value("outcome="),
        read_bytes: value("read=").parse().unwrap(),
        peak_bytes: value("peak=").parse().unwrap(),
    }
}

/// Decodes files in children: what must become of each, and how many bytes of it may be read.
#[track_caller]
fn check(cases: &[(&str, &str, u64)]) {
    let mut wrong = Vec::new();
    for &(name, what, read_bytes_max) in cases {
        for engine in ["fast", "reference"] {
            let outcome = outcome(name, engine);
            println!("{name}/{engine}: {outcome:?}");
            if outcome.what != what
                || outcome.read_bytes > read_bytes_max
                || outcome.peak_bytes > PEAK_BYTES_MAX
            {
                wrong.push(format!("{name}/{engine}: {outcome:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

const ANY: u64 = u64::MAX;

#[test]
fn a_bomb_is_bounded_by_what_a_row_may_have() {
    check(&[
        (
            "bomb of gzip: array",
            &format!("1 rows, 0 : {TOO_LONG}"),
            MIB / 2,
        ),
        (
            "bomb of zstd: array",
            &format!("1 rows, 0 : {TOO_LONG}"),
            MIB / 2,
        ),
        (
            "bomb of gzip: lines",
            &format!("1 rows, 0 : {TOO_LONG}"),
            MIB / 2,
        ),
        (
            "bomb of zstd: lines",
            &format!("1 rows, 0 : {TOO_LONG}"),
            MIB / 2,
        ),
        (
            "bomb of gzip: DynamoDB JSON",
            &format!("1 rows, 0 : {TOO_LONG}"),
            MIB / 2,
        ),
        (
            "bomb of gzip: CSV",
            &format!("1 rows, 0 : {CSV_TOO_LONG}"),
            MIB / 2,
        ),
        (
            "bomb of zstd: CSV",
            &format!("1 rows, 0 : {CSV_TOO_LONG}"),
            MIB / 2,
        ),
        (
            "bomb of gzip: blank",
            "0 rows, 0 : the file begins with nothing but white space",
            MIB / 2,
        ),
    ]);
}

#[test]
fn white_space_between_rows_costs_time_only() {
    check(&[
        ("blank lines", "2 rows, 0 : end", ANY),
        ("blank lines of CSV", "2 rows, 0 : end", ANY),
        ("white space", "2 rows, 1 not-an-object: end", ANY),
    ]);
}

#[test]
fn text_of_any_length_is_not_kept() {
    let most = 257 * MIB;
    check(&[
        ("a string of 1 GB", &format!("1 rows, 0 : {TOO_LONG}"), most),
        ("a string of 70 MB", "2 rows, 1 item-too-large: end", most),
        (
            "a string of 1 GB: lines",
            &format!("1 rows, 0 : {TOO_LONG}"),
            most + 2 * MIB,
        ),
        (
            "a string of 70 MB: lines",
            "2 rows, 1 row-too-long: end",
            most,
        ),
        (
            "a string of 1 GB: DynamoDB JSON",
            &format!("1 rows, 0 : {TOO_LONG}"),
            most + 2 * MIB,
        ),
        (
            "a string of 1 GB: CSV",
            &format!("1 rows, 0 : {CSV_TOO_LONG}"),
            17 * MIB,
        ),
        ("a string of 15 MB: CSV", "2 rows, 1 key-too-long: end", ANY),
        ("a number of 15 MB", "2 rows, 1 number-precision: end", ANY),
        (
            "a number of 15 MB: lines",
            "2 rows, 1 number-precision: end",
            ANY,
        ),
        (
            "a name of 15 MB",
            "2 rows, 1 attribute-name-too-long: end",
            ANY,
        ),
        (
            "a name of 15 MB: lines",
            "2 rows, 1 attribute-name-too-long: end",
            ANY,
        ),
        ("bytes that are no text", "2 rows, 1 not-text: end", ANY),
        (
            "lines of bytes that are no text",
            "2 rows, 530000 not-text: end",
            ANY,
        ),
    ]);
}

#[test]
fn nesting_is_bounded() {
    check(&[
        (
            "100,000 arrays",
            "1 rows, 0 : values are nested deeper than 100000 levels",
            MIB,
        ),
        ("99,000 arrays", "2 rows, 1 too-deep: end", ANY),
        (
            "100,000 arrays: a row",
            "1 rows, 0 : values are nested deeper than 100000 levels",
            MIB,
        ),
        ("100,000 arrays: lines", "2 rows, 1 not-an-object: end", ANY),
        (
            "100,000 arrays: DynamoDB JSON",
            "2 rows, 1 not-dynamodb-json: end",
            ANY,
        ),
        (
            "100,000,000 arrays: file",
            "0 rows, 0 : values are nested deeper than 100000 levels",
            MIB,
        ),
    ]);
}

#[test]
fn rows_and_headers_of_any_width_are_not_kept() {
    check(&[
        (
            "10,000,000 columns",
            &format!("0 rows, 0 : {CSV_TOO_LONG}"),
            17 * MIB,
        ),
        (
            "10,000,000 columns without names",
            "0 rows, 0 : the header has 10000001 columns; Intake reads 65536 at most",
            ANY,
        ),
        ("65,536 columns", "1 rows, 20 ragged-row: end", ANY),
        (
            "a header of 15 MB",
            "0 rows, 0 : the header has 15730004 bytes; Intake reads 1048576 at most",
            ANY,
        ),
        ("10,000,000 cells", "2 rows, 1 ragged-row: end", ANY),
        ("10,000,000 members", "2 rows, 1 item-too-large: end", ANY),
        (
            "10,000,000 members: lines",
            "2 rows, 1 row-too-long: end",
            ANY,
        ),
        ("10,000,000 elements", "2 rows, 1 item-too-large: end", ANY),
        (
            "10,000,000 members of a set",
            "2 rows, 1 item-too-large: end",
            ANY,
        ),
    ]);
}

#[test]
fn names_that_are_never_the_same_are_forgotten() {
    check(&[
        (
            "names that are long and new in every row",
            "502 rows, 0 : end",
            ANY,
        ),
        (
            "names that are new in every row",
            "300002 rows, 0 : end",
            ANY,
        ),
    ]);
}

#[test]
fn the_largest_window_fits() {
    check(&[("the largest window of zstd", "36000 rows, 0 : end", ANY)]);
}
