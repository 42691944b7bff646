//! What S3, DynamoDB and the others let people do with the credentials that they got.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use aws_sdk_s3::{
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use local::{BUCKET, JOBS_TABLE, TABLE};
use serde_json::json;

use crate::{
    browser,
    client::{self, sdk},
    person::{Person, add_job, code, field, text},
};

#[tokio::test]
async fn people_upload_below_their_own_prefix_only() {
    let stack = client::start().await;
    let ada = Person::new(&stack, "ada@example.com").await;
    let bob = Person::new(&stack, "bob@example.com").await;
    for (key, expected) in [
        (ada.key("catalog.csv"), "none"),
        (ada.key("folder/ünï <b>.csv"), "none"),
        (bob.key("catalog.csv"), "AccessDenied"),
        ("uploads/catalog.csv".to_owned(), "AccessDenied"),
        (
            format!("uploads/{}x/catalog.csv", ada.identity),
            "AccessDenied",
        ),
        (format!("uploads/{}", ada.identity), "AccessDenied"),
        (format!("reports/{}/x", ada.identity), "AccessDenied"),
        (
            format!("uploads/{}/../{}/x", ada.identity, bob.identity),
            "InvalidArgument",
        ),
    ] {
        assert_eq!(ada.put(&key).await, expected, "{key}");
    }
    let uploads = stack.uploads();
    let keys: Vec<&str> = uploads.iter().map(|upload| upload.key.as_str()).collect();
    assert_eq!(
        keys,
        [ada.key("catalog.csv"), ada.key("folder/ünï <b>.csv")]
    );

    // One's own files can be read.
    let own = ada.key("catalog.csv");
    assert_eq!(ada.get(&own).await, "none");
    assert_eq!(bob.get(&own).await, "AccessDenied");

    // What the role does not have: not even on one's own files.
    let (s3, bucket) = (&ada.s3, BUCKET);
    assert_eq!(
        code(s3.delete_object().bucket(bucket).key(&own).send().await),
        "AccessDenied"
    );
    assert_eq!(
        code(s3.list_objects_v2().bucket(bucket).send().await),
        "AccessDenied"
    );
    assert_eq!(code(s3.list_buckets().send().await), "AccessDenied");
    assert_eq!(
        code(s3.create_bucket().bucket("another").send().await),
        "AccessDenied"
    );
    let copy = bob.s3.copy_object().bucket(bucket).key(bob.key("copy"));
    let copied = copy.copy_source(format!("{bucket}/{own}")).send().await;
    assert_eq!(code(copied), "AccessDenied");

    // The stack's own key may do as before.
    let all_powerful = client::s3(stack.endpoints());
    let listed = all_powerful.list_objects_v2().bucket(bucket).send().await;
    assert_eq!(listed.unwrap().key_count, Some(2));
}

#[tokio::test]
async fn a_large_file_goes_up_in_parts_across_new_credentials() {
    let stack = client::start().await;
    let ada = Person::new(&stack, "ada@example.com").await;
    let bob = Person::new(&stack, "bob@example.com").await;
    let key = ada.key("large.csv");
    let begin = |s3: &aws_sdk_s3::Client, key: &str| {
        s3.create_multipart_upload().bucket(BUCKET).key(key).send()
    };
    assert_eq!(code(begin(&bob.s3, &key).await), "AccessDenied");
    let id = begin(&ada.s3, &key).await.unwrap().upload_id.unwrap();
    let part = async |person: &Person, key: &str| {
        let part = person
            .s3
            .upload_part()
            .bucket(BUCKET)
            .key(key)
            .upload_id(&id);
        part.part_number(1)
            .body(ByteStream::from_static(b"productId\nP1\n"))
            .send()
            .await
    };
    assert_eq!(code(part(&bob, &key).await), "AccessDenied");
    // Not even under an own key, by who knows the ID of the upload.
    assert_eq!(
        code(part(&bob, &bob.key("large.csv")).await),
        "AccessDenied"
    );

    // An hour later, the page has other credentials.
    let later = Person::with(&stack, ada.tokens.clone()).await;
    let etag = part(&later, &key).await.unwrap().e_tag.unwrap();
    let list = later
        .s3
        .list_parts()
        .bucket(BUCKET)
        .key(&key)
        .upload_id(&id);
    assert_eq!(list.send().await.unwrap().parts().len(), 1);
    let list = bob.s3.list_parts().bucket(BUCKET).key(&key).upload_id(&id);
    assert_eq!(code(list.send().await), "AccessDenied");
    let parts = CompletedPart::builder().part_number(1).e_tag(etag).build();
    let parts = CompletedMultipartUpload::builder().parts(parts).build();
    let complete = later
        .s3
        .complete_multipart_upload()
        .bucket(BUCKET)
        .key(&key);
    complete
        .upload_id(&id)
        .multipart_upload(parts)
        .send()
        .await
        .unwrap();
    assert_eq!(stack.uploads()[0].key, key);

    let id = begin(&ada.s3, &key).await.unwrap().upload_id.unwrap();
    let abort = |person: &Person| {
        person
            .s3
            .abort_multipart_upload()
            .bucket(BUCKET)
            .key(&key)
            .upload_id(&id)
            .send()
    };
    assert_eq!(code(abort(&bob).await), "AccessDenied");
    assert_eq!(code(abort(&later).await), "none");
}

#[tokio::test]
async fn people_read_their_own_reports_only() {
    let stack = client::start().await;
    let ada = Person::new(&stack, "ada@example.com").await;
    let bob = Person::new(&stack, "bob@example.com").await;
    let report = |identity: &str, name: &str| format!("reports/{identity}/job/{name}");
    for key in [
        report(&ada.identity, "summary.json"),
        report(&bob.identity, "summary.json"),
        "reports/job/summary.json".to_owned(),
    ] {
        stack.put_object(&key, "{}").await.unwrap();
    }
    for (key, expected) in [
        (report(&ada.identity, "summary.json"), "none"),
        (report(&bob.identity, "summary.json"), "AccessDenied"),
        ("reports/job/summary.json".to_owned(), "AccessDenied"),
        // Who may not list is not told that there is nothing.
        (report(&ada.identity, "missing"), "AccessDenied"),
    ] {
        assert_eq!(ada.get(&key).await, expected, "{key}");
    }
    let head = |key: String| ada.s3.head_object().bucket(BUCKET).key(key).send();
    assert!(head(report(&ada.identity, "summary.json")).await.is_ok());
    for key in [
        report(&bob.identity, "summary.json"),
        report(&ada.identity, "missing"),
    ] {
        let refused = head(key).await.unwrap_err();
        assert_eq!(refused.raw_response().unwrap().status().as_u16(), 403);
    }
    let version = ada
        .s3
        .get_object()
        .bucket(BUCKET)
        .key(report(&ada.identity, "summary.json"));
    assert_eq!(code(version.version_id("v").send().await), "AccessDenied");
    // A report may become an upload: both are one's own.
    let copy = ada
        .s3
        .copy_object()
        .bucket(BUCKET)
        .key(ada.key("again.json"));
    let source = format!("{BUCKET}/{}", report(&ada.identity, "summary.json"));
    assert_eq!(code(copy.copy_source(source).send().await), "none");
    let all_powerful = client::s3(stack.endpoints());
    let missing = all_powerful
        .get_object()
        .bucket(BUCKET)
        .key("reports/missing");
    assert_eq!(code(missing.send().await), "NoSuchKey");
}

#[tokio::test]
async fn people_read_the_table_and_see_and_cancel_their_own_jobs_only() {
    let stack = client::start().await;
    let ada = Person::new(&stack, "ada@example.com").await;
    let bob = Person::new(&stack, "bob@example.com").await;
    for owner in [&ada.identity, &bob.identity, "-"] {
        add_job(&stack, owner).await;
    }
    let denied = "AccessDeniedException";
    let db = &ada.dynamodb;
    assert_eq!(
        code(db.describe_table().table_name(TABLE).send().await),
        "none"
    );
    assert_eq!(code(db.scan().table_name(TABLE).send().await), "none");
    let get = db.get_item().table_name(TABLE).key("productId", text("P1"));
    assert_eq!(code(get.send().await), "none");
    let look_up = db
        .query()
        .table_name(TABLE)
        .key_condition_expression("productId = :p");
    let look_up = look_up.expression_attribute_values(":p", text("P1"));
    assert_eq!(code(look_up.send().await), "none");
    let put = db
        .put_item()
        .table_name(TABLE)
        .item("productId", text("P1"));
    assert_eq!(code(put.send().await), denied);
    let delete = db
        .delete_item()
        .table_name(TABLE)
        .key("productId", text("P1"));
    assert_eq!(code(delete.send().await), denied);
    assert_eq!(code(db.list_tables().send().await), denied);
    assert_eq!(
        code(db.delete_table().table_name(TABLE).send().await),
        denied
    );
    let statement = format!("SELECT * FROM \"{JOBS_TABLE}\"");
    assert_eq!(
        code(db.execute_statement().statement(statement).send().await),
        denied
    );

    assert_eq!(ada.jobs_of(&ada.identity).send().await.unwrap().count(), 1);
    for owner in [&bob.identity, "-", ""] {
        assert_eq!(code(ada.jobs_of(owner).send().await), denied, "{owner}");
    }
    assert_eq!(code(db.scan().table_name(JOBS_TABLE).send().await), denied);
    assert_eq!(
        code(db.describe_table().table_name(JOBS_TABLE).send().await),
        denied
    );
    for (owner, expected) in [(&ada.identity, "none"), (&bob.identity, denied)] {
        let get = db
            .get_item()
            .table_name(JOBS_TABLE)
            .key("owner", text(owner))
            .key("job", text("j1"));
        assert_eq!(code(get.send().await), expected, "{owner}");
        assert_eq!(code(ada.update(owner).send().await), expected, "{owner}");
    }
    let cancelled = ada.jobs_of(&ada.identity).send().await.unwrap();
    assert_eq!(
        cancelled.items()[0]["cancel_requested"],
        AttributeValue::Bool(true)
    );

    let other_attribute = ada
        .update(&ada.identity)
        .expression_attribute_names("#name", "status");
    assert_eq!(code(other_attribute.send().await), denied);
    let by_condition = ada
        .update(&ada.identity)
        .condition_expression("#job <> :value AND attempt = :value");
    assert_eq!(code(by_condition.send().await), denied);
    for (values, expected) in [(ReturnValue::None, "none"), (ReturnValue::AllNew, denied)] {
        let update = ada.update(&ada.identity).return_values(values);
        assert_eq!(code(update.send().await), expected);
    }
    let missing = ada.update(&ada.identity).key("job", text("missing"));
    assert_eq!(
        code(missing.send().await),
        "ConditionalCheckFailedException"
    );
}

#[tokio::test]
async fn people_have_nothing_to_do_with_queues_and_topics() {
    let stack = client::start().await;
    let ada = Person::new(&stack, "ada@example.com").await;
    let [key, secret, token] =
        ["AccessKeyId", "SecretKey", "SessionToken"].map(|name| field(&ada.credentials, name));
    let credentials = aws_sdk_sns::config::Credentials::new(key, secret, Some(token), None, "test");
    let sns = sdk!(
        aws_sdk_sns,
        &stack.endpoints().sns,
        credentials_provider(credentials)
    );
    let topic = &stack.endpoints().topic_arn;
    let publish = sns.publish().topic_arn(topic).message("spam").send().await;
    assert_eq!(code(publish), "AuthorizationError");
    assert!(stack.inbox().is_empty());

    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=c",
        field(&ada.credentials, "AccessKeyId")
    );
    let headers = [
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amz-target", "AmazonSQS.ReceiveMessage"),
        ("authorization", authorization.as_str()),
    ];
    let request = json!({ "QueueUrl": stack.endpoints().queue_url }).to_string();
    let answer = client::send(
        http::Method::POST,
        &stack.endpoints().sqs,
        &headers,
        request,
    )
    .await;
    assert_eq!(answer.status(), 400);
    assert!(browser::text(&answer).contains("AccessDenied"));
}
