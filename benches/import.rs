//! End to end: a file in memory through the whole importer, into the loopback sink.
//!
//! The sink is a process of its own. What is measured is wall-clock time; `make race` measures CPU time.

use std::io::{BufRead, BufReader, Cursor};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use generator::{Format, Generator, Shape};
use importer::import::{Discard, Import, ImportOptions, Source, Status, Stop};
use importer::progress::Progress;
use importer::write::WireWriter;
use rows::{KeyAttribute, KeyType, Schema};

const ROWS: u64 = 20_000;

/// The sink, until it is dropped.
struct Sink {
    process: Child,
    endpoint: String,
}

impl Sink {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_sink"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the sink is built");
        let stdout = process.stdout.take().expect("it is piped");
        let mut endpoint = String::new();
        BufReader::new(stdout)
            .read_line(&mut endpoint)
            .expect("the sink says where it is");
        Self {
            process,
            endpoint: endpoint.trim().to_owned(),
        }
    }

    fn config(&self) -> SdkConfig {
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "bench");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(&self.endpoint)
            .build()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn import(c: &mut Criterion) {
    let sink = Sink::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime of one thread");
    let key = KeyAttribute::partition("productId", KeyType::S);
    let schema = Arc::new(Schema::new("InventoryTable", key, None));
    let writer = runtime
        .block_on(WireWriter::new(&sink.config(), Arc::clone(&schema)))
        .expect("there are credentials");
    let mut group = c.benchmark_group("import");
    group.sample_size(10);
    for shape in [Shape::Small, Shape::Catalog] {
        for format in [Format::Json, Format::Csv] {
            let mut file = Vec::new();
            Generator::new(ROWS, shape, format)
                .write_to(&mut file)
                .expect("a Vec takes every write");
            group.throughput(Throughput::Bytes(file.len() as u64));
            let name = format!("{shape:?} {format:?}").to_lowercase();
            group.bench_function(BenchmarkId::from_parameter(name), |b| {
                b.iter(|| {
                    let import = Import {
                        name: "bench".to_owned(),
                        source: Source::reader(Cursor::new(file.clone()), None),
                        resume: None,
                        schema: Arc::clone(&schema),
                        options: ImportOptions::default(),
                        progress: Arc::new(Progress::default()),
                        stop: Stop::default(),
                    };
                    let summary = runtime
                        .block_on(import.run(writer.clone(), Discard))
                        .summary;
                    assert_eq!(summary.status, Status::Completed);
                    assert_eq!(summary.counts.rows_written, ROWS);
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, import);
criterion_main!(benches);
