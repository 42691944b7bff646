//! Batching alone: rows to request bodies, at 16 lanes.

use std::num::NonZeroUsize;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use generator::{Format, Generator, Shape};
use importer::write::Lanes;
use rows::{DecodeOptions, KeyAttribute, KeyType, Row, Schema, open};

const ROWS: u64 = 10_000;

fn lanes(c: &mut Criterion) {
    let key = KeyAttribute::partition("productId", KeyType::S);
    let schema = Arc::new(Schema::new("InventoryTable", key, None));
    let mut file = Vec::new();
    let generator = Generator::new(ROWS, Shape::Small, Format::Jsonl);
    generator
        .write_to(&mut file)
        .expect("a Vec takes every write");
    let mut opened = open(&file[..], &DecodeOptions::default(), &schema).expect("a known format");
    let mut rows = Vec::new();
    let mut row = Row::default();
    while opened
        .decoder
        .next(&mut row)
        .expect("generated rows are good")
    {
        rows.push(row.clone());
    }
    let mut group = c.benchmark_group("lanes");
    group.throughput(Throughput::Elements(ROWS));
    group.bench_function("fill and close", |b| {
        b.iter(|| {
            let mut lanes = Lanes::new(
                NonZeroUsize::new(16).expect("16 is not 0"),
                "InventoryTable",
            );
            let mut written = 0;
            let mut close = |batches: Vec<(usize, importer::write::Batch)>| {
                for (_, batch) in batches {
                    written += batch.len() as u64;
                }
            };
            for row in &rows {
                close(lanes.push(row).closed);
            }
            close(lanes.finish());
            assert_eq!(written, ROWS);
        });
    });
    group.finish();
}

criterion_group!(benches, lanes);
criterion_main!(benches);
