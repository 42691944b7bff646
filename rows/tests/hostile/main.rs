//! Files made to exhaust memory or patience. Each is decoded in a process of its own whose peak is asserted.
//!
//! The files are generated while they are read. Only Linux tells a process's peak in a way that is worth asserting.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests may")]
#![allow(clippy::print_stdout, reason = "this is how a child reports")]

use std::cell::Cell;
use std::io::{self, Read};
use std::process::Command;
use std::sync::Arc;

use rows::{DecodeOptions, Engine, Error, KeyAttribute, KeyType, Row, Schema, open};

use files::{Pieces, file};

mod files;

const MIB: u64 = 1024 * 1024;
/// Most memory of a process that decodes. An importer of 128 MiB needs the rest for reading ahead and for batches.
const PEAK_BYTES_MAX: u64 = 64 * MIB;
/// In the environment of a child: the file and the engine.
const CASE: &str = "INTAKE_TEST_HOSTILE_CASE";
const TOO_LONG: &str = "the row is longer than 268435456 bytes; an item may have 409,600";
const CSV_TOO_LONG: &str = "the row is longer than 8388608 bytes; an item may have 409,600";

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

#[test]
#[ignore = "run by the other tests, with a case in its environment"]
fn child() {
    let case = std::env::var(CASE).unwrap();
    let (name, engine) = case.rsplit_once('/').unwrap();
    let (what, read_bytes) = decode(name, engine.parse().unwrap());
    println!("\noutcome={what}\nread={read_bytes}\npeak={}", peak_bytes());
}

fn outcome(name: &str, engine: &str) -> Outcome {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "child",
            "--exact",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
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
fn check(engines: &[&str], cases: &[(&str, &str, u64)]) {
    let mut wrong = Vec::new();
    for &(name, what, read_bytes_max) in cases {
        for engine in engines {
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
const BOTH: &[&str] = &["fast", "reference"];
/// Where the hot path leaves to the reference whatever takes long.
const FAST: &[&str] = &["fast"];

#[test]
fn a_bomb_is_bounded_by_what_a_row_may_have() {
    check(
        FAST,
        &[
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
        ],
    );
}

#[test]
fn white_space_between_rows_costs_time_only() {
    check(
        BOTH,
        &[
            ("blank lines", "2 rows, 0 : end", ANY),
            ("blank lines of CSV", "2 rows, 0 : end", ANY),
            ("white space", "2 rows, 1 not-an-object: end", ANY),
        ],
    );
}

#[test]
fn text_of_any_length_is_not_kept() {
    let most = 257 * MIB;
    check(
        FAST,
        &[
            ("a string of 1 GB", &format!("1 rows, 0 : {TOO_LONG}"), most),
            ("a string of 70 MB", "2 rows, 1 row-too-long: end", most),
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
                9 * MIB,
            ),
            ("a string of 7 MB: CSV", "2 rows, 1 key-too-long: end", ANY),
            ("a number of 7 MB", "2 rows, 1 number-precision: end", ANY),
            (
                "a number of 7 MB: lines",
                "2 rows, 1 number-precision: end",
                ANY,
            ),
            (
                "a name of 7 MB",
                "2 rows, 1 attribute-name-too-long: end",
                ANY,
            ),
            (
                "a name of 7 MB: lines",
                "2 rows, 1 attribute-name-too-long: end",
                ANY,
            ),
            ("bytes that are no text", "2 rows, 1 row-too-long: end", ANY),
            (
                "lines of bytes that are no text",
                "2 rows, 530000 not-text: end",
                ANY,
            ),
        ],
    );
}

#[test]
fn nesting_is_bounded() {
    check(
        BOTH,
        &[
            ("100,000 arrays", "2 rows, 1 broken-json: end", MIB),
            ("99,000 arrays", "2 rows, 1 too-deep: end", ANY),
            ("100,000 arrays: a row", "2 rows, 1 not-an-object: end", MIB),
            ("100,000 arrays: lines", "2 rows, 1 not-an-object: end", ANY),
            (
                "100,000 arrays: DynamoDB JSON",
                "2 rows, 1 not-dynamodb-json: end",
                ANY,
            ),
            (
                "100,000,000 arrays: file",
                "0 rows, 0 : the file ends inside a value",
                ANY,
            ),
        ],
    );
}

#[test]
fn rows_and_headers_of_any_width_are_not_kept() {
    check(
        FAST,
        &[
            (
                "10,000,000 columns",
                &format!("0 rows, 0 : {CSV_TOO_LONG}"),
                9 * MIB,
            ),
            (
                "8,000,000 columns without names",
                "0 rows, 0 : the header has 8000001 columns; Intake reads 65536 at most",
                ANY,
            ),
            ("65,536 columns", "1 rows, 20 ragged-row: end", ANY),
            (
                "a header of 7 MB",
                "0 rows, 0 : the header has 7350003 bytes; Intake reads 1048576 at most",
                ANY,
            ),
            ("8,000,000 cells", "2 rows, 0 : end", ANY),
            ("10,000,000 members", "2 rows, 1 row-too-long: end", ANY),
            (
                "10,000,000 members: lines",
                "2 rows, 1 row-too-long: end",
                ANY,
            ),
            ("10,000,000 elements", "2 rows, 1 row-too-long: end", ANY),
            (
                "10,000,000 members of a set",
                "2 rows, 1 row-too-long: end",
                ANY,
            ),
        ],
    );
}

#[test]
fn names_that_are_never_the_same_are_forgotten() {
    check(
        FAST,
        &[
            (
                "names that are long and new in every row",
                "502 rows, 0 : end",
                ANY,
            ),
            (
                "names that are new in every row",
                "200002 rows, 0 : end",
                ANY,
            ),
        ],
    );
}

#[test]
fn the_largest_window_fits() {
    check(
        BOTH,
        &[
            ("the largest window of zstd", "36000 rows, 0 : end", ANY),
            (
                "the largest window of zstd and long names",
                "0 rows, 6 attribute-name-too-long: end",
                ANY,
            ),
        ],
    );
}
