//! What holds of any bytes: the checks of the fuzz targets in `fuzz`, which `seeds` runs here, too.
//!
//! An input's first byte chooses the table and how the file is read, the rest is the file. Letters from `p` on read JSON
//! with a pointer to `/Items`; see [`setup`].

use std::fmt::Debug;
use std::io::{Cursor, Read};
use std::sync::Arc;

use rows::{Compression, Engine, Error, Format, KeyAttribute, KeyType, Row, decompress, open};

use crate::support::{Chunked, Run, Setup, gzip, plain, run, same_runs, same_tail, zstd};

/// Most memory that decoding takes, beside a few times what the file has.
const MEMORY_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most of that for a byte of a file of some KiB: a short number in a list has eight bytes on the wire, in each of the
/// buffers of an item.
const MEMORY_BYTES_A_BYTE: u64 = 64;
/// Longest file that is decoded in full. What is compressed may be longer by far, and only time would be lost.
const FILE_BYTES_MAX: usize = 32 * 1024;

/// JSON: an array, one under a pointer, or objects one after the other.
pub(crate) fn json(data: &[u8]) {
    decoded(data, Format::Json);
}

/// JSON Lines.
pub(crate) fn jsonl(data: &[u8]) {
    decoded(data, Format::JsonLines);
}

/// DynamoDB JSON.
pub(crate) fn ddb_json(data: &[u8]) {
    decoded(data, Format::DynamoDbJson);
}

/// CSV, its delimiter and perhaps its encoding found out.
pub(crate) fn csv(data: &[u8]) {
    decoded(data, Format::Csv);
}

/// Compressed files, whatever is in them: the bytes as they are; and, packed, cut and damaged.
pub(crate) fn decompress_any(data: &[u8]) {
    let Some((&choice, file)) = data.split_first() else {
        return;
    };
    if file.len() > FILE_BYTES_MAX || unpacked(file, choice) != Some(Compression::None) {
        return;
    }
    for packed in [gzip(file), zstd(file)] {
        repaired_never(choice, file, &packed);
    }
}

fn decoded(data: &[u8], format: Format) {
    let Some((&choice, file)) = data.split_first() else {
        return;
    };
    if file.len() > FILE_BYTES_MAX {
        return;
    }
    let mut setup = setup(choice);
    setup.options.format = Some(format);
    if choice & 0x40 != 0 && format == Format::Json {
        setup = setup.rows_at("/Items");
    }
    same_in_every_way(&setup, file, choice);
}

/// Tables, and what the user declares.
fn setup(choice: u8) -> Setup {
    match choice % 8 {
        0 => plain(),
        1 => plain().key("id", KeyType::N),
        2 => plain().sort("n", KeyType::N),
        3 => plain().index(KeyAttribute::partition("n", KeyType::S)),
        4 => plain().types("n:N,m:BOOL,o:S"),
        5 => plain().types("n:S,m:B"),
        6 => plain().key("id", KeyType::B),
        _ => plain().sort("n", KeyType::S).types("m:N"),
    }
}

/// That the engines agree, however the file comes and from whichever row on, that each row is settled once and in order,
/// and that it takes no more memory than it may.
fn same_in_every_way(setup: &Setup, file: &[u8], choice: u8) {
    let chunk = 1 + usize::from(choice >> 3);
    let reference = setup.clone().engine(Engine::Reference);
    let whole = run(&reference, file);
    for (setup, chunk) in [(&reference, chunk), (setup, usize::MAX), (setup, chunk)] {
        expect(same_runs(&run(setup, Chunked(file, chunk)), &whole));
    }
    settled_in_order(&whole);
    let settled = whole.rows.len() + whole.rejects.len();
    if settled > 0 {
        let index = file.iter().map(|&byte| usize::from(byte)).sum::<usize>() % settled;
        for setup in [setup, &reference] {
            expect(same_tail(setup, file, &whole, index, chunk));
        }
    }
    let memory = allocation_counter::measure(|| drain(setup, file)).bytes_max;
    let most = MEMORY_BYTES_MAX + MEMORY_BYTES_A_BYTE * file.len() as u64;
    assert!(memory <= most, "{memory} bytes for {}", file.len());
}

fn settled_in_order(run: &Run) {
    let mut settled = 0;
    for event in run.events.iter().filter(|event| is_row(event)) {
        settled += 1;
        assert!(event.starts_with(&format!("{settled}@")), "{event}");
    }
    assert_eq!(settled, run.rows.len() + run.rejects.len());
    for row in &run.rows {
        let item = serde_json::from_slice::<serde_json::Value>(&row.item);
        assert!(item.is_ok(), "{:?}", String::from_utf8_lossy(&row.item));
        assert!(row.size_bytes <= rows::limits::ITEM_BYTES_MAX);
    }
}

fn is_row(event: &str) -> bool {
    let what = event.split_once(' ').map(|(_, what)| what);
    what.is_some_and(|what| what.starts_with(['{', '!'])) && event.contains('@')
}

/// Decodes without keeping anything.
fn drain(setup: &Setup, file: &[u8]) {
    let schema = Arc::new(setup.schema.clone());
    let Ok(mut opened) = open(file, &setup.options, &schema) else {
        return;
    };
    let mut row = Row::default();
    while matches!(opened.decoder.next(&mut row), Ok(true) | Err(Error::Row(_))) {}
}

/// That a file comes out the same in whatever pieces it is read, and is decoded if it is not too long. Gives what it was
/// taken for.
fn unpacked(file: &[u8], choice: u8) -> Option<Compression> {
    let chunk = 1 + usize::from(choice >> 3);
    let (whole, compression) = unpack(file);
    let (again, _) = unpack(Chunked(file, chunk));
    assert_eq!(whole, again);
    if compression == Some(Compression::None) {
        assert_eq!(whole.as_deref(), Ok(file));
    }
    if whole.is_ok_and(|text| text.len() <= FILE_BYTES_MAX) {
        same_in_every_way(&setup(choice), file, choice);
    }
    compression
}

/// The first of the bytes that a file has when it is unpacked, or that it is damaged before.
fn unpack(file: impl Read) -> (Result<Vec<u8>, ()>, Option<Compression>) {
    let Ok((compression, reader)) = decompress(file) else {
        return (Err(()), None);
    };
    let mut text = Vec::new();
    let read = reader
        .take(2 * FILE_BYTES_MAX as u64)
        .read_to_end(&mut text);
    (read.map(|_| text).map_err(drop), Some(compression))
}

/// That what was packed is `file` again, and that a damage never gives other rows and a success.
fn repaired_never(choice: u8, file: &[u8], packed: &[u8]) {
    let setup = setup(choice);
    let (text, compression) = unpack(packed);
    assert_eq!(text.as_deref(), Ok(file));
    assert_ne!(compression, Some(Compression::None));
    let whole = run(&setup, file);
    let packed_run = run(&setup, packed);
    assert_eq!(packed_run.rows, whole.rows);
    assert_eq!(packed_run.events, whole.events);
    // A part of the file in a member or frame of its own.
    let (before, after) = file.split_at(file.len() / 2);
    let parts = match compression {
        Some(Compression::Gzip) => gzip(before).into_iter().chain(gzip(after)).collect(),
        _ => [zstd(before), zstd(after)].concat(),
    };
    assert_eq!(run(&setup, Cursor::new(parts)).events, whole.events);
    let cut = file.iter().map(|&byte| usize::from(byte)).sum::<usize>() % packed.len();
    let cut_off = run(&setup, Chunked(&packed[..cut], 9));
    assert!(cut == 0 || !cut_off.ended(), "cut at {cut}");
    let mut damaged = packed.to_vec();
    damaged[cut] ^= choice | 1;
    let damaged = run(&setup, &damaged[..]);
    let is_checked = compression == Some(Compression::Gzip);
    assert!(
        !is_checked || !damaged.ended() || damaged.rows == whole.rows || cut < 10,
        "damaged at {cut}: {:?}",
        damaged.events
    );
}

fn expect<E: Debug>(result: Result<(), E>) {
    if let Err(problem) = result {
        panic!("{problem:?}");
    }
}
