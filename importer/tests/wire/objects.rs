//! Objects in S3: whole and in order, or an error; never a mixture.

use std::collections::BTreeMap;

use importer::import::{Object, Status};
use importer::write::WriterKind;
use local::BUCKET;

use crate::fixture::{Ended, Fixture, file, options};
use crate::support::clients::Services;
use crate::support::scripted::{Bucket, Reply, Server, error};

const KEY: &str = "uploads/large.jsonl";
const MIB: usize = 1024 * 1024;

/// JSON Lines of more than 11 MiB, in three ranges: few rows, each of random text and too large to be told by less.
fn large(version: u32) -> String {
    const ROWS: u32 = 58;
    const TEXT_BYTES: usize = 200_000;
    let mut rng = fastrand::Rng::with_seed(u64::from(version));
    let row = |n| {
        let text: String = std::iter::repeat_with(|| rng.alphanumeric())
            .take(TEXT_BYTES)
            .collect();
        format!("{{\"productId\":\"P{n}\",\"version\":{version},\"text\":\"{text}\"}}\n")
    };
    let file: String = (0..ROWS).map(row).collect();
    assert!(
        (11 * MIB..12 * MIB).contains(&file.len()),
        "{} bytes",
        file.len()
    );
    file
}

/// Texts by key, as a file of [`large`] has them.
fn texts(file: &str) -> BTreeMap<String, String> {
    let row = |line| {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        (text("productId"), text("text"))
    };
    file.lines().map(row).collect()
}

/// Imports [`KEY`] from an S3 that a test serves.
async fn import_from(bench: &Fixture, s3: &Server) -> Ended {
    let services = Services {
        s3: s3.url.clone(),
        ..Services::of(&bench.stack)
    };
    let client = aws_sdk_s3::Client::new(&services.sdk_config());
    let object = Object::head(&client, BUCKET, KEY).await.unwrap();
    let schema = bench.inventory().await;
    bench
        .import(&schema, object.source(&client), options(4))
        .await
}

async fn stored(bench: &Fixture) -> BTreeMap<String, String> {
    let items = bench.scan(&*bench.inventory().await).await;
    let texts = items.iter().map(|item| {
        let text = |name: &str| item[name].as_s().unwrap().clone();
        (text("productId"), text("text"))
    });
    texts.collect()
}

#[tokio::test]
async fn an_object_of_several_ranges_arrives_whole() {
    let bench = Fixture::start(WriterKind::default(), None).await;
    let content = large(1);
    let put = bench.s3.put_object().bucket(BUCKET).key(KEY);
    put.body(content.clone().into_bytes().into())
        .send()
        .await
        .unwrap();
    let object = Object::head(&bench.s3, BUCKET, KEY).await.unwrap();
    assert_eq!(
        (object.size_bytes, object.url()),
        (content.len() as u64, format!("s3://{BUCKET}/{KEY}"))
    );
    let source = object.source(&bench.s3);
    assert_eq!(source.bytes_total, Some(content.len() as u64));
    let schema = bench.inventory().await;
    let ended = bench.import(&schema, source, options(4)).await;
    assert_eq!(ended.whole().counts.bytes_read, content.len() as u64);
    assert_eq!(stored(&bench).await, texts(&content));
}

#[tokio::test]
async fn ranges_that_break_off_are_read_again() {
    let content = large(1);
    let bucket = Bucket::new(content.clone());
    // One of each, then good ones; the SDK tries some of them again itself.
    let s3 = bucket
        .serve(|get, answer| match get {
            1 => Reply::Cut(answer, MIB),
            2 => Reply::Reset,
            3 => Reply::Answer(error(500, "InternalError")),
            4 => Reply::Answer(error(503, "SlowDown")),
            5 => Reply::Cut(answer, 0),
            6 => Reply::Answer(answer.map(|body| body.slice(..body.len() - 1))),
            _ => Reply::Answer(answer),
        })
        .await;
    let bench = Fixture::start(WriterKind::default(), None).await;
    let ended = import_from(&bench, &s3).await;
    assert_eq!(ended.whole().counts.bytes_read, content.len() as u64);
    assert_eq!(stored(&bench).await, texts(&content));
    assert_eq!(bucket.gets(), 3 + 6);
}

#[tokio::test]
async fn an_object_replaced_meanwhile_is_an_error_and_never_a_mixture() {
    let (first, second) = (large(1), large(2));
    let bucket = Bucket::new(first.clone());
    let replaced = std::sync::Arc::clone(&bucket);
    let s3 = bucket
        .serve(move |_, answer| {
            replaced.replace(second.clone());
            Reply::Answer(answer)
        })
        .await;
    let bench = Fixture::start(WriterKind::default(), None).await;
    let ended = import_from(&bench, &s3).await;
    assert_eq!(ended.summary.status, Status::Failed);
    let failure = ended.summary.failure.unwrap();
    assert!(failure.message.contains("PreconditionFailed"), "{failure}");
    let fix = failure.fix.unwrap();
    assert!(
        fix.contains(&format!(
            "s3://{BUCKET}/{KEY} was replaced during the import"
        )),
        "{fix}"
    );
    // No more than the rows of the range that came before; each is the first object's.
    let first = texts(&first);
    let stored = stored(&bench).await;
    assert!(stored.len() < first.len(), "{} rows", stored.len());
    for (key, text) in stored {
        assert_eq!(first[&key], text, "{key}");
    }
}

#[tokio::test]
async fn an_object_replaced_after_it_was_looked_up_is_an_error() {
    let bench = Fixture::start(WriterKind::default(), None).await;
    let put = async |version: u32| {
        let body = format!("{{\"productId\":\"P1\",\"version\":{version}}}").into_bytes();
        let put = bench
            .s3
            .put_object()
            .bucket(BUCKET)
            .key(KEY)
            .body(body.into());
        put.send().await.unwrap();
    };
    put(1).await;
    let object = Object::head(&bench.s3, BUCKET, KEY).await.unwrap();
    put(2).await;
    let schema = bench.inventory().await;
    let ended = bench
        .import(&schema, object.source(&bench.s3), options(4))
        .await;
    let failure = ended.summary.failure.unwrap();
    assert!(failure.to_string().contains("was replaced"), "{failure}");
    assert!(bench.scan(&schema).await.is_empty());
}

#[tokio::test]
async fn an_object_deleted_after_it_was_looked_up_is_an_error() {
    let bench = Fixture::start(WriterKind::default(), None).await;
    let put = bench.s3.put_object().bucket(BUCKET).key(KEY);
    put.body(b"{}".to_vec().into()).send().await.unwrap();
    let object = Object::head(&bench.s3, BUCKET, KEY).await.unwrap();
    bench
        .s3
        .delete_object()
        .bucket(BUCKET)
        .key(KEY)
        .send()
        .await
        .unwrap();
    let schema = bench.inventory().await;
    let ended = bench
        .import(&schema, object.source(&bench.s3), options(4))
        .await;
    let failure = ended.summary.failure.unwrap();
    assert!(failure.message.contains("NoSuchKey"), "{failure}");
    assert!(failure.fix.unwrap().contains("does not exist (any more)"));
}

#[tokio::test]
async fn an_empty_object_is_as_an_empty_file() {
    let bench = Fixture::start(WriterKind::default(), None).await;
    bench
        .s3
        .put_object()
        .bucket(BUCKET)
        .key(KEY)
        .send()
        .await
        .unwrap();
    let object = Object::head(&bench.s3, BUCKET, KEY).await.unwrap();
    let schema = bench.inventory().await;
    let ended = bench
        .import(&schema, object.source(&bench.s3), options(4))
        .await;
    let empty = bench.import(&schema, file(""), options(4)).await;
    assert_eq!(ended.summary.status, Status::Failed);
    let failure = ended.summary.failure.unwrap();
    assert!(failure.message.contains("the file is empty"), "{failure}");
    assert_eq!(Some(failure), empty.summary.failure);
}
