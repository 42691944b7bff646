//! Decoding alone: text to rows, for each format and kind of row. Throughput is of the text.

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use generator::{Format, Generator, Shape};
use rows::{DecodeOptions, KeyAttribute, KeyType, Row, Schema, open};

const ROWS: u64 = 1000;

fn decode(c: &mut Criterion) {
    let key = KeyAttribute::partition("productId", KeyType::S);
    let schema = Arc::new(Schema::new("InventoryTable", key, None));
    for shape in [Shape::Small, Shape::Catalog] {
        let mut group = c.benchmark_group(format!("decode/{shape:?}").to_lowercase());
        for format in [Format::Json, Format::Jsonl, Format::DdbJson, Format::Csv] {
            let mut file = Vec::new();
            Generator::new(ROWS, shape, format)
                .write_to(&mut file)
                .expect("a Vec takes every write");
            group.throughput(Throughput::Bytes(file.len() as u64));
            group.bench_function(
                BenchmarkId::from_parameter(format!("{format:?}").to_lowercase()),
                |b| {
                    b.iter(|| {
                        let mut opened = open(&file[..], &DecodeOptions::default(), &schema)
                            .expect("a known format");
                        let mut row = Row::default();
                        let mut rows = 0;
                        while opened
                            .decoder
                            .next(&mut row)
                            .expect("generated rows are good")
                        {
                            rows += 1;
                        }
                        assert_eq!(rows, ROWS);
                    });
                },
            );
        }
        group.finish();
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
