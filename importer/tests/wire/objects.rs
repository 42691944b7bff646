//! Objects in S3: whole and in order, or an error; never a mixture.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Response;
use importer::import::{Object, Status};
use importer::write::WriterKind;
use importer::{Class, Error};
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

/// What an object is asked for once and in vain: the error's text, and what to do about it.
async fn refused(head: Reply, get: Reply) -> Error {
    let s3 = Server::start(move |request| match request.method().as_str() {
        "HEAD" => head.clone(),
        _ => get.clone(),
    })
    .await;
    let services = Services {
        s3: s3.url.clone(),
        ..Services::dynamodb("http://localhost:1")
    };
    let client = aws_sdk_s3::Client::new(&services.sdk_config());
    Object::head(&client, "b", "k\n\u{202e}").await.unwrap_err()
}

/// An answer without a body, which is all that a HEAD has.
fn mute(status: u16, headers: &[(&str, &str)]) -> Reply {
    let answer = headers.iter().fold(
        Response::builder().status(status),
        |answer, (name, value)| answer.header(*name, *value),
    );
    Reply::Answer(answer.body(Bytes::new()).unwrap())
}

/// The same refusal of a GET, which says why.
fn explained(status: u16, code: &str, headers: &[(&'static str, &str)]) -> Reply {
    let mut answer = error(status, code);
    for (name, value) in headers {
        answer.headers_mut().insert(*name, value.parse().unwrap());
    }
    Reply::Answer(answer)
}

#[tokio::test]
async fn a_head_that_is_refused_without_a_word_is_explained() {
    const REGION: [(&str, &str); 1] = [("x-amz-bucket-region", "eu-west-1")];
    for (head, get, told, fix) in [
        (
            mute(301, &REGION),
            explained(301, "PermanentRedirect", &REGION),
            "PermanentRedirect",
            "set AWS_REGION=eu-west-1",
        ),
        (
            mute(400, &REGION),
            explained(400, "AuthorizationHeaderMalformed", &REGION),
            "AuthorizationHeaderMalformed",
            "set AWS_REGION=eu-west-1",
        ),
        // Nothing but the Region is known.
        (
            mute(301, &REGION),
            mute(301, &REGION),
            "301",
            "set AWS_REGION=eu-west-1",
        ),
        (
            mute(400, &REGION),
            explained(400, "ExpiredToken", &REGION),
            "ExpiredToken",
            "the credentials have expired",
        ),
        (mute(400, &[]), mute(400, &[]), "400", "sign in again"),
        (
            mute(403, &[]),
            explained(403, "AccessDenied", &[]),
            "AccessDenied",
            "allow s3:GetObject on s3://b/k\\n\\u{202e} for",
        ),
        // The GET is allowed: so the HEAD may be, next time.
        (
            mute(403, &[]),
            mute(206, &[]),
            "HeadObject failed: HTTP status 403",
            "requester pays",
        ),
        (
            mute(404, &[]),
            mute(500, &[]),
            "HeadObject",
            "does not exist",
        ),
        (
            mute(200, &[("x-amz-storage-class", "GLACIER")]),
            mute(500, &[]),
            "is archived (GLACIER)",
            "restore it first",
        ),
        (
            mute(
                200,
                &[
                    ("x-amz-storage-class", "DEEP_ARCHIVE"),
                    ("x-amz-restore", "ongoing-request=\"true\""),
                ],
            ),
            mute(500, &[]),
            "is archived (DEEP_ARCHIVE) and not restored yet",
            "wait until that is done",
        ),
        (
            mute(
                200,
                &[
                    ("x-amz-storage-class", "INTELLIGENT_TIERING"),
                    ("x-amz-archive-status", "ARCHIVE_ACCESS"),
                ],
            ),
            mute(500, &[]),
            "is archived (ARCHIVE_ACCESS)",
            "restore it first",
        ),
    ] {
        let error = refused(head, get).await;
        let (text, found) = (error.chain(), error.fix().unwrap_or_default());
        assert!(text.contains(told), "{told}: {text}");
        assert!(found.contains(fix), "{told}: {found}");
        assert!(
            !format!("{text}{found}").contains(['\n', '\u{202e}']),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_head_that_is_refused_is_tried_again_if_the_object_may_be_read() {
    let denied = || mute(403, &[]);
    let still = refused(denied(), explained(403, "AccessDenied", &[])).await;
    assert_eq!(still.class(), Class::Fatal, "{still}");
    let no_more = refused(denied(), mute(206, &[])).await;
    assert_eq!(no_more.class(), Class::Retry, "{no_more}");
}

#[tokio::test]
async fn an_object_that_is_restored_or_read_at_once_is_no_archive() {
    const DONE: &str = "ongoing-request=\"false\", expiry-date=\"Fri, 11 Dec 2026 00:00:00 GMT\"";
    for headers in [
        &[("x-amz-storage-class", "GLACIER"), ("x-amz-restore", DONE)][..],
        &[("x-amz-storage-class", "GLACIER_IR")],
        &[("x-amz-storage-class", "INTELLIGENT_TIERING")],
        &[],
    ] {
        let head = mute(200, headers);
        let s3 = Server::start(move |_| head.clone()).await;
        let services = Services {
            s3: s3.url.clone(),
            ..Services::dynamodb("http://localhost:1")
        };
        let client = aws_sdk_s3::Client::new(&services.sdk_config());
        Object::head(&client, "b", "k").await.unwrap();
    }
}
