//! Scanning alone: what one core finds the ends of rows at, beside memchr looking for one byte in the same text.
//!
//! `cargo bench -p rows-benches --bench split` ends with a table of the ratios.

#![allow(clippy::print_stdout, reason = "the table is what it is for")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use generator::{Format, Generator, Shape};
use rows::split::{Scan, Syntax};

/// More than the caches hold, as a range of a file is; little where each bench is only tried once, by `cargo test`.
fn file_bytes() -> usize {
    let is_measured = std::env::args().any(|argument| argument == "--bench");
    if is_measured {
        64 * 1024 * 1024
    } else {
        64 * 1024
    }
}

/// Bytes that are scanned at once, as the parts of an object are read.
const CHUNK_BYTES: usize = 4 * 1024 * 1024;

struct Case {
    name: String,
    syntax: Syntax,
    text: Vec<u8>,
}

fn cases() -> Vec<Case> {
    let delimiter = b',';
    let mut cases = Vec::new();
    for shape in [Shape::Small, Shape::Catalog] {
        for (format, syntax) in [
            (Format::Json, Syntax::JsonArray),
            (Format::Jsonl, Syntax::JsonLines),
            (Format::Csv, Syntax::Csv { delimiter }),
        ] {
            let mut rows = Vec::new();
            Generator::new(file_bytes() as u64 / 512, shape, format)
                .write_to(&mut rows)
                .expect("a Vec takes every write");
            // Without what is around an array, it may come again and again.
            let row = rows.trim_ascii();
            let row = row.strip_prefix(b"[").unwrap_or(row);
            let row = row.strip_suffix(b"]").unwrap_or(row);
            let between: &[u8] = if format == Format::Json { b"," } else { b"\n" };
            let text = [row, between].concat();
            cases.push(Case {
                name: format!("{shape:?}/{format:?}").to_lowercase(),
                syntax,
                text: text.iter().copied().cycle().take(file_bytes()).collect(),
            });
        }
    }
    // The worst for a scanner: every cell is short and quoted.
    let text = b"\"a\",\"b\"\"c\",\"d,e\",\"f\"\n";
    cases.push(Case {
        name: "quoted/csv".to_owned(),
        syntax: Syntax::Csv { delimiter },
        text: text.iter().copied().cycle().take(file_bytes()).collect(),
    });
    cases
}

fn scan(case: &Case) -> Scan {
    let chunks = case.text.chunks(CHUNK_BYTES);
    let scans = chunks.map(|chunk| Scan::of(case.syntax, chunk));
    scans.fold(Scan::none(case.syntax), |all, next| all.then(&next))
}

/// Looks for a byte that the text does not have.
fn memchr(case: &Case) -> Option<usize> {
    memchr::memchr(0, &case.text)
}

fn split(c: &mut Criterion) {
    let cases = cases();
    let mut group = c.benchmark_group("split");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(file_bytes() as u64));
    for case in &cases {
        group.bench_with_input(BenchmarkId::new("scan", &case.name), case, |b, case| {
            b.iter(|| scan(black_box(case)));
        });
    }
    group.bench_with_input(BenchmarkId::new("memchr", ""), &cases[0], |b, case| {
        b.iter(|| memchr(black_box(case)));
    });
    group.finish();
    println!("\n{:20} {:>10} {:>10} {:>8}", "", "scan", "memchr", "ratio");
    for case in &cases {
        let (scan, memchr) = (best(|| scan(case)), best(|| memchr(case)));
        let rate = |time: Duration| case.text.len() as f64 / time.as_secs_f64() / 1e9;
        println!(
            "{:20} {:5.2} GB/s {:5.2} GB/s {:8.2}",
            case.name,
            rate(scan),
            rate(memchr),
            rate(scan) / rate(memchr)
        );
    }
}

/// The shortest of some runs, one after the other.
fn best<T>(run: impl Fn() -> T) -> Duration {
    let time = || {
        let began = Instant::now();
        black_box(run());
        began.elapsed()
    };
    (0..5).map(|_| time()).min().unwrap_or_default()
}

criterion_group!(benches, split);
criterion_main!(benches);
