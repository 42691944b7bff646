//! Signing alone: a request for a batch of 25 rows, as the wire writer makes it.

use std::hint::black_box;
use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hyper::body::Bytes;
use importer::write::{BatchWrite, WireWriter};
use rows::{KeyAttribute, KeyType, Schema};

/// Bytes of a body with 25 small rows.
const BODY_BYTES: usize = 5_000;

fn config() -> SdkConfig {
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "bench");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

fn sign(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime of one thread");
    let key = KeyAttribute::partition("productId", KeyType::S);
    let schema = Arc::new(Schema::new("InventoryTable", key, None));
    let writer = runtime
        .block_on(WireWriter::new(&config(), schema))
        .expect("nothing is connected to");
    let mut lane = writer.lane(0);
    let body = Bytes::from(vec![b'x'; BODY_BYTES]);
    let mut group = c.benchmark_group("sign");
    group.throughput(Throughput::Bytes(BODY_BYTES as u64));
    group.bench_function("a batch", |b| {
        b.iter(|| {
            let request = runtime.block_on(lane.sign(black_box(body.clone())));
            let request = request.expect("there are credentials");
            assert!(request.headers().contains_key("authorization"));
            request
        });
    });
    group.finish();
}

criterion_group!(benches, sign);
criterion_main!(benches);
