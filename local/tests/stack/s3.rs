use aws_sdk_s3::{
    error::{ProvideErrorMetadata, SdkError},
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use http::Method;
use local::{BUCKET, Stack};
use serde_json::{Value, json};

use crate::client::{self, s3, sdk, send};

/// Code and HTTP status of a failed request.
fn failure<T, E: ProvideErrorMetadata>(result: Result<T, SdkError<E>>) -> (String, u16) {
    let Err(error) = result else {
        panic!("it succeeded")
    };
    let status = error.raw_response().unwrap().status().as_u16();
    (error.code().unwrap_or_default().to_owned(), status)
}

/// The S3 parts of the notifications in the imports queue.
async fn notifications(stack: &Stack) -> Vec<Value> {
    let request = json!({ "QueueUrl": stack.endpoints().queue_url, "MaxNumberOfMessages": 10 });
    let (_, answer) =
        client::json(&stack.endpoints().sqs, "AmazonSQS.ReceiveMessage", &request).await;
    let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
    messages
        .iter()
        .map(|message| {
            serde_json::from_str::<Value>(message["Body"].as_str().unwrap()).unwrap()["Records"][0]
                .take()
        })
        .collect()
}

#[tokio::test]
async fn an_object_reads_back_whole_in_ranges_and_with_its_metadata() {
    let stack = client::start().await;
    let s3 = s3(stack.endpoints());
    let put = s3
        .put_object()
        .bucket(BUCKET)
        .key("reports/a b.csv")
        .metadata("intake-types", "price:N");
    let etag = put
        .body(ByteStream::from_static(b"0123456789"))
        .send()
        .await
        .unwrap()
        .e_tag
        .unwrap();

    let head = s3
        .head_object()
        .bucket(BUCKET)
        .key("reports/a b.csv")
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_length, Some(10));
    assert_eq!(head.e_tag.as_ref(), Some(&etag));
    assert_eq!(head.metadata.unwrap()["intake-types"], "price:N");

    let get = || s3.get_object().bucket(BUCKET).key("reports/a b.csv");
    for (range, content, content_range) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
        ("bytes=-1", "9", "bytes 9-9/10"),
    ] {
        let part = get().range(range).if_match(&etag).send().await.unwrap();
        assert_eq!(
            part.content_range.as_deref(),
            Some(content_range),
            "{range}"
        );
        assert_eq!(
            part.body.collect().await.unwrap().into_bytes(),
            content,
            "{range}"
        );
    }
    assert_eq!(
        failure(get().range("bytes=10-").send().await),
        ("InvalidRange".to_owned(), 416)
    );
}

#[tokio::test]
async fn a_stale_etag_is_a_failed_precondition() {
    let stack = client::start().await;
    let s3 = s3(stack.endpoints());
    let put = |body: &'static str| {
        s3.put_object()
            .bucket(BUCKET)
            .key("k")
            .body(ByteStream::from_static(body.as_bytes()))
            .send()
    };
    let old = put("one").await.unwrap().e_tag.unwrap();
    put("two").await.unwrap();
    let get = s3
        .get_object()
        .bucket(BUCKET)
        .key("k")
        .if_match(&old)
        .send()
        .await;
    assert_eq!(failure(get), ("PreconditionFailed".to_owned(), 412));
    let head = s3
        .head_object()
        .bucket(BUCKET)
        .key("k")
        .if_match(&old)
        .send()
        .await;
    assert_eq!(failure(head).1, 412);
}

#[tokio::test]
async fn a_missing_bucket_is_told_from_a_missing_key() {
    let stack = client::start().await;
    let s3 = s3(stack.endpoints());
    let body = || ByteStream::from_static(b"x");
    s3.put_object()
        .bucket(BUCKET)
        .key("folder/object")
        .body(body())
        .send()
        .await
        .unwrap();
    let get = |bucket: &str, key: &str| s3.get_object().bucket(bucket).key(key).send();
    for (bucket, key, code) in [
        (BUCKET, "missing", "NoSuchKey"),
        (BUCKET, "folder", "NoSuchKey"),
        ("no-such-bucket", "key", "NoSuchBucket"),
    ] {
        assert_eq!(
            failure(get(bucket, key).await),
            (code.to_owned(), 404),
            "{bucket}/{key}"
        );
    }
    let put = s3
        .put_object()
        .bucket("no-such-bucket")
        .key("k")
        .body(body())
        .send()
        .await;
    assert_eq!(failure(put).0, "NoSuchBucket");
    s3.delete_object()
        .bucket(BUCKET)
        .key("folder")
        .send()
        .await
        .unwrap();
    get(BUCKET, "folder/object").await.unwrap();
}

#[tokio::test]
async fn keys_that_would_not_be_files_of_their_bucket_are_refused() {
    let stack = client::start().await;
    let s3 = s3(stack.endpoints());
    let put = |key: &str| {
        s3.put_object()
            .bucket(BUCKET)
            .key(key)
            .body(ByteStream::from_static(b"x"))
            .send()
    };
    put("a/b").await.unwrap();
    let long = format!("uploads/{}", "x".repeat(1017));
    for (key, code) in [
        ("../escaped", "InvalidArgument"),
        ("x/../y", "InvalidArgument"),
        ("x/./y", "InvalidArgument"),
        ("x//y", "InvalidArgument"),
        ("/x", "InvalidArgument"),
        ("x/", "InvalidArgument"),
        ("a", "InvalidArgument"),
        ("a/b/c", "InvalidArgument"),
        (long.as_str(), "KeyTooLongError"),
    ] {
        assert_eq!(failure(put(key).await), (code.to_owned(), 400), "{key}");
    }
}

#[tokio::test]
async fn keys_are_as_long_as_s3_takes_them() {
    let stack = client::start().await;
    let s3 = s3(stack.endpoints());
    for name in ["x".repeat(1016), "ü".repeat(508)] {
        let key = format!("uploads/{name}");
        let put = s3.put_object().bucket(BUCKET).key(&key).metadata("a", "b");
        put.body(ByteStream::from_static(b"12345"))
            .send()
            .await
            .unwrap();
        assert_eq!(stack.uploads().last().unwrap().key, key);
        assert_eq!(stack.uploads().last().unwrap().size_bytes, 5);
        let head = s3
            .head_object()
            .bucket(BUCKET)
            .key(&key)
            .send()
            .await
            .unwrap();
        assert_eq!(
            (head.content_length, head.metadata.unwrap()["a"].as_str()),
            (Some(5), "b")
        );
        let copied = format!("copy/{name}");
        let source = format!("{BUCKET}/{}", urlencoded(&key));
        let copy = s3
            .copy_object()
            .bucket(BUCKET)
            .key(&copied)
            .copy_source(source);
        copy.send().await.unwrap();
        let etag = put_in_parts(&s3, &key, &[vec![b'a'; 5 << 20], b"end".to_vec()]).await;
        let get = s3
            .get_object()
            .bucket(BUCKET)
            .key(&key)
            .if_match(&etag)
            .send()
            .await
            .unwrap();
        assert_eq!(get.content_length, Some((5 << 20) + 3));
        let list = s3
            .list_objects_v2()
            .bucket(BUCKET)
            .prefix("copy/")
            .send()
            .await
            .unwrap();
        assert_eq!(list.contents()[0].key(), Some(copied.as_str()));
        s3.delete_object()
            .bucket(BUCKET)
            .key(&copied)
            .send()
            .await
            .unwrap();
        let get = s3.get_object().bucket(BUCKET).key(&copied).send().await;
        assert_eq!(failure(get).0, "NoSuchKey");
    }
}

fn urlencoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Uploads an object with the metadata `a: b` in parts and returns its `ETag`.
async fn put_in_parts(s3: &aws_sdk_s3::Client, key: &str, content: &[Vec<u8>]) -> String {
    let create = s3
        .create_multipart_upload()
        .bucket(BUCKET)
        .key(key)
        .metadata("a", "b");
    let upload_id = create.send().await.unwrap().upload_id.unwrap();
    let mut parts = CompletedMultipartUpload::builder();
    for (number, bytes) in (1..).zip(content) {
        let part = s3
            .upload_part()
            .bucket(BUCKET)
            .key(key)
            .upload_id(&upload_id)
            .part_number(number);
        let etag = part
            .body(bytes.clone().into())
            .send()
            .await
            .unwrap()
            .e_tag
            .unwrap();
        parts = parts.parts(
            CompletedPart::builder()
                .part_number(number)
                .e_tag(etag)
                .build(),
        );
    }
    let complete = s3
        .complete_multipart_upload()
        .bucket(BUCKET)
        .key(key)
        .upload_id(upload_id);
    complete
        .multipart_upload(parts.build())
        .send()
        .await
        .unwrap()
        .e_tag
        .unwrap()
}

#[tokio::test]
async fn every_way_to_create_an_upload_is_announced_once_and_in_order() {
    let stack = client::start().await;
    let s3 = s3(stack.endpoints());
    let key = "uploads/ünï 1+1.csv";
    let encoded = "uploads/%C3%BCn%C3%AF+1%2B1.csv";
    let put = s3
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .body(ByteStream::from_static(b"12345"));
    put.send().await.unwrap();
    s3.put_object()
        .bucket(BUCKET)
        .key("reports/r")
        .body(ByteStream::from_static(b"x"))
        .send()
        .await
        .unwrap();
    let source = format!("{BUCKET}/{encoded}").replace('+', "%20");
    s3.copy_object()
        .bucket(BUCKET)
        .key("uploads/copy")
        .copy_source(source)
        .send()
        .await
        .unwrap();

    let etag = put_in_parts(&s3, key, &[vec![b'a'; 5 << 20], b"end".to_vec()]).await;
    assert!(etag.ends_with("-2\""), "{etag}");
    // Also checks that no checksum of the first object is left: the SDK would refuse the content.
    let get = s3
        .get_object()
        .bucket(BUCKET)
        .key(key)
        .if_match(&etag)
        .send()
        .await
        .unwrap();
    assert_eq!(get.metadata().unwrap()["a"], "b");
    assert_eq!(
        get.body.collect().await.unwrap().into_bytes().len(),
        (5 << 20) + 3
    );

    let records = notifications(&stack).await;
    let seen: Vec<(&str, &str, u64)> = records
        .iter()
        .map(|record| {
            let object = &record["s3"]["object"];
            let name = record["eventName"].as_str().unwrap();
            (
                name,
                object["key"].as_str().unwrap(),
                object["size"].as_u64().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("ObjectCreated:Put", encoded, 5),
        ("ObjectCreated:Copy", "uploads/copy", 5),
        (
            "ObjectCreated:CompleteMultipartUpload",
            encoded,
            (5 << 20) + 3,
        ),
    ];
    assert_eq!(seen, expected);
    assert_eq!(records[2]["s3"]["object"]["eTag"], etag.trim_matches('"'));
    let sequencers: Vec<&str> = records
        .iter()
        .map(|record| record["s3"]["object"]["sequencer"].as_str().unwrap())
        .collect();
    assert!(
        sequencers.is_sorted() && sequencers[0] != sequencers[2],
        "{sequencers:?}"
    );
}

#[tokio::test]
async fn a_browser_may_upload_and_read_the_etag() {
    let stack = client::start().await;
    let url = format!("{}/{BUCKET}/uploads/x", stack.endpoints().s3);
    let preflight = [
        ("origin", "http://localhost:3000"),
        ("access-control-request-method", "PUT"),
    ];
    let answer = send(Method::OPTIONS, &url, &preflight, "").await;
    assert_eq!(answer.status(), 200);
    let allowed = answer.headers()["access-control-allow-methods"]
        .to_str()
        .unwrap();
    assert!(allowed.contains("PUT"), "{allowed}");
    let answer = send(Method::GET, &url, &preflight[..1], "").await;
    assert_eq!(
        answer.headers()["access-control-expose-headers"],
        "etag,x-amz-version-id"
    );
}

#[tokio::test]
async fn another_secret_is_refused() {
    use aws_sdk_s3::config::Credentials;
    let stack = client::start().await;
    let other = Credentials::new(local::ACCESS_KEY_ID, "another", None, None, "test");
    let s3 = sdk!(
        aws_sdk_s3,
        &stack.endpoints().s3,
        force_path_style(true),
        credentials_provider(other)
    );
    let list = s3.list_objects_v2().bucket(BUCKET).send().await;
    assert_eq!(failure(list), ("SignatureDoesNotMatch".to_owned(), 403));
}
