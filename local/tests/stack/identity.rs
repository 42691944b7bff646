//! The identity pool's credentials, and what S3 and DynamoDB let people do with them.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::{
    error::{ProvideErrorMetadata, SdkError},
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use local::{
    BUCKET, CognitoOptions, JOBS_TABLE, Stack, StackOptions, TABLE, cognito::IDENTITY_POOL_ID,
};
use serde_json::{Value, json};

use crate::{
    browser::{self, Browser, claims, identity, logins, tokens},
    client::{self, sdk},
};

/// The code of a failed request, as clients see it.
fn code<T, E: ProvideErrorMetadata>(result: Result<T, SdkError<E>>) -> String {
    let Err(error) = result else {
        return "none".to_owned();
    };
    error.code().unwrap_or("no code").to_owned()
}

/// Somebody who signed in.
struct Person {
    identity: String,
    s3: aws_sdk_s3::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    credentials: Value,
    tokens: Value,
}

impl Person {
    async fn new(stack: &Stack, address: &str) -> Self {
        let tokens = tokens(stack, address).await;
        Self::with(stack, tokens).await
    }

    /// With new credentials for the same tokens.
    async fn with(stack: &Stack, tokens: Value) -> Self {
        let answer = browser::credentials(stack, &tokens).await;
        let credentials = answer["Credentials"].clone();
        Self {
            identity: answer["IdentityId"].as_str().unwrap().to_owned(),
            s3: s3(stack, &credentials),
            dynamodb: dynamodb(stack, &credentials),
            credentials,
            tokens,
        }
    }

    fn key(&self, name: &str) -> String {
        format!("uploads/{}/{name}", self.identity)
    }

    async fn put(&self, key: &str) -> String {
        let put = self.s3.put_object().bucket(BUCKET).key(key);
        code(
            put.body(ByteStream::from_static(b"productId\nP1\n"))
                .send()
                .await,
        )
    }

    async fn get(&self, key: &str) -> String {
        code(self.s3.get_object().bucket(BUCKET).key(key).send().await)
    }

    fn update(
        &self,
        owner: &str,
    ) -> aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder {
        self.dynamodb
            .update_item()
            .table_name(JOBS_TABLE)
            .key("owner", text(owner))
            .key("job", text("j1"))
            .expression_attribute_names("#job", "job")
            .condition_expression("attribute_exists(#job)")
            .expression_attribute_names("#name", "cancel_requested")
            .expression_attribute_values(":value", AttributeValue::Bool(true))
            .update_expression("SET #name = :value")
    }

    fn jobs_of(
        &self,
        owner: &str,
    ) -> aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder {
        self.dynamodb
            .query()
            .table_name(JOBS_TABLE)
            .key_condition_expression("#owner = :owner")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":owner", text(owner))
    }
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// A field of the credentials, changed by the test if it wants.
fn field(credentials: &Value, name: &str) -> String {
    credentials[name].as_str().unwrap_or_default().to_owned()
}

fn s3(stack: &Stack, credentials: &Value) -> aws_sdk_s3::Client {
    let [key, secret, token] =
        ["AccessKeyId", "SecretKey", "SessionToken"].map(|name| field(credentials, name));
    let token = Some(token).filter(|token| !token.is_empty());
    let credentials = aws_sdk_s3::config::Credentials::new(key, secret, token, None, "test");
    sdk!(
        aws_sdk_s3,
        &stack.endpoints().s3,
        force_path_style(true),
        credentials_provider(credentials)
    )
}

fn dynamodb(stack: &Stack, credentials: &Value) -> aws_sdk_dynamodb::Client {
    let [key, secret, token] =
        ["AccessKeyId", "SecretKey", "SessionToken"].map(|name| field(credentials, name));
    let token = Some(token).filter(|token| !token.is_empty());
    let credentials = aws_sdk_dynamodb::config::Credentials::new(key, secret, token, None, "test");
    sdk!(
        aws_sdk_dynamodb,
        &stack.endpoints().dynamodb,
        credentials_provider(credentials)
    )
}

/// A job of somebody's, as the importer would have written it.
async fn add_job(stack: &Stack, owner: &str) {
    let all_powerful = sdk!(aws_sdk_dynamodb, &stack.endpoints().dynamodb);
    let put = all_powerful
        .put_item()
        .table_name(JOBS_TABLE)
        .item("owner", text(owner))
        .item("job", text("j1"))
        .item("status", text("RUNNING"));
    put.send().await.unwrap();
}

#[tokio::test]
async fn an_identity_is_the_users_and_is_given_for_a_valid_token_only() {
    let stack = client::start().await;
    let ada = Person::new(&stack, "ada@example.com").await;
    let bob = Person::new(&stack, "bob@example.com").await;
    let again = Person::with(&stack, ada.tokens.clone()).await;
    assert_eq!(ada.identity, again.identity);
    assert_ne!(ada.identity, bob.identity);
    assert_ne!(
        ada.credentials["AccessKeyId"],
        again.credentials["AccessKeyId"]
    );
    let (region, uuid) = ada.identity.split_once(':').unwrap();
    assert_eq!((region, uuid.len()), ("us-east-1", 36));
    assert!(ada.credentials["Expiration"].is_u64());

    let token = ada.tokens["id_token"].as_str().unwrap();
    let provider = stack.cognito().provider();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let tampered = format!("{}.{}.{signature}", signed.split_once('.').unwrap().0, {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        let mut claims = claims(&ada.tokens["id_token"]);
        claims["sub"] = self::claims(&bob.tokens["id_token"])["sub"].clone();
        URL_SAFE_NO_PAD.encode(claims.to_string())
    });
    let access = ada.tokens["access_token"].as_str().unwrap();
    let other_stack = client::start().await;
    let foreign = tokens(&other_stack, "ada@example.com").await;
    let no_pool = "us-east-1:00000000-0000-4000-8000-000000000001";
    let not_authorized = "NotAuthorizedException";
    for (pool, logins, exception, message) in [
        (
            no_pool,
            logins(&stack, token),
            "ResourceNotFoundException",
            "not found",
        ),
        (
            IDENTITY_POOL_ID,
            json!({}),
            not_authorized,
            "Unauthenticated access",
        ),
        (
            IDENTITY_POOL_ID,
            Value::Null,
            not_authorized,
            "Unauthenticated access",
        ),
        (
            IDENTITY_POOL_ID,
            json!({ "accounts.google.com": token }),
            not_authorized,
            "supported provider",
        ),
        (
            IDENTITY_POOL_ID,
            logins(&stack, &tampered),
            not_authorized,
            "verify signed token",
        ),
        (
            IDENTITY_POOL_ID,
            logins(&stack, signed),
            not_authorized,
            "token",
        ),
        (
            IDENTITY_POOL_ID,
            logins(&stack, "x"),
            not_authorized,
            "OpenId Connect",
        ),
        (
            IDENTITY_POOL_ID,
            logins(&stack, access),
            not_authorized,
            "audience",
        ),
        (
            IDENTITY_POOL_ID,
            json!({ &provider: foreign["id_token"] }),
            not_authorized,
            "verify signed token",
        ),
    ] {
        let request = json!({ "IdentityPoolId": pool, "Logins": logins });
        let (status, answer) = identity(&stack, "GetId", &request).await;
        assert_eq!(
            (status, &answer["__type"]),
            (400, &json!(exception)),
            "{answer}"
        );
        let told = answer["message"].as_str().unwrap();
        assert!(told.contains(message), "{told}");
    }

    let get = async |id: &str| {
        let request = json!({ "IdentityId": id, "Logins": logins(&stack, token) });
        identity(&stack, "GetCredentialsForIdentity", &request)
            .await
            .1
    };
    assert_eq!(
        get(&ada.identity).await["IdentityId"],
        ada.identity.as_str()
    );
    assert_eq!(get(&bob.identity).await["__type"], "NotAuthorizedException");
    assert_eq!(
        get("us-east-1:unknown").await["__type"],
        "ResourceNotFoundException"
    );

    // A token that was revoked or has expired gives no more credentials.
    let refresh = bob.tokens["refresh_token"].as_str().unwrap();
    let client = local::cognito::USER_POOL_CLIENT_ID;
    browser::post(
        &stack,
        "/oauth2/revoke",
        &[("token", refresh), ("client_id", client)],
    )
    .await;
    let expired = Duration::from_hours(1);
    for (person, message) in [(&bob, "revoked"), (&ada, "expired")] {
        if message == "expired" {
            stack.cognito().pass_time(expired);
        }
        let token = person.tokens["id_token"].as_str().unwrap();
        let request =
            json!({ "IdentityPoolId": IDENTITY_POOL_ID, "Logins": logins(&stack, token) });
        let (_, answer) = identity(&stack, "GetId", &request).await;
        assert!(
            answer["message"].as_str().unwrap().contains(message),
            "{answer}"
        );
    }
}

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

    // What the role does not have: not even on one's own files.
    let own = ada.key("catalog.csv");
    assert_eq!(ada.get(&own).await, "AccessDenied");
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
    let copy = s3.copy_object().bucket(bucket).key(ada.key("copy"));
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
    for (values, expected) in [
        (aws_sdk_dynamodb::types::ReturnValue::None, "none"),
        (aws_sdk_dynamodb::types::ReturnValue::AllNew, denied),
    ] {
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

#[tokio::test]
async fn credentials_are_taken_whole_and_until_they_expire() {
    let options = StackOptions {
        cognito: CognitoOptions {
            credentials_validity: Duration::from_mins(15),
            ..CognitoOptions::default()
        },
        ..StackOptions::default()
    };
    let stack = Stack::start(options).await.unwrap();
    let ada = Person::new(&stack, "ada@example.com").await;
    let bob = Person::new(&stack, "bob@example.com").await;
    let key = ada.key("x.csv");
    for (name, value, of_s3, of_dynamodb) in [
        (
            "SessionToken",
            json!(""),
            "InvalidAccessKeyId",
            "UnrecognizedClientException",
        ),
        (
            "SessionToken",
            bob.credentials["SessionToken"].clone(),
            "InvalidToken",
            "UnrecognizedClientException",
        ),
        (
            "SecretKey",
            json!("another"),
            "SignatureDoesNotMatch",
            "InvalidSignatureException",
        ),
        (
            "AccessKeyId",
            json!("ASIAAAAAAAAAAAAAAAAA"),
            "InvalidAccessKeyId",
            "UnrecognizedClientException",
        ),
    ] {
        let mut changed = ada.credentials.clone();
        changed[name] = value;
        let put = s3(&stack, &changed).put_object().bucket(BUCKET).key(&key);
        assert_eq!(code(put.send().await), of_s3, "{name}");
        let scan = dynamodb(&stack, &changed).scan().table_name(TABLE);
        assert_eq!(code(scan.send().await), of_dynamodb, "{name}");
    }
    assert_eq!(ada.put(&key).await, "none");
    stack.cognito().pass_time(Duration::from_mins(15));
    assert_eq!(ada.put(&key).await, "ExpiredToken");
    let scan = ada.dynamodb.scan().table_name(TABLE).send().await;
    assert_eq!(code(scan), "ExpiredTokenException");
    // The token still lasts, so the page fetches new ones and goes on.
    let fresh = Person::with(&stack, ada.tokens.clone()).await;
    assert_eq!(fresh.put(&key).await, "none");
}

#[tokio::test]
async fn a_browser_that_is_signed_in_gets_the_same_identity_again() {
    let stack = client::start().await;
    let password = stack.cognito().add_user("ada@example.com").unwrap();
    let mut browser = Browser::default();
    let mut identities = Vec::new();
    for _ in 0..2 {
        let back = match identities.is_empty() {
            true => browser::sign_in(&stack, &mut browser, "ada@example.com", &password).await,
            false => browser.get(&browser::authorize_url(&stack, &[])).await,
        };
        let code = browser::parameter(&browser::location(&back), "code");
        let (_, tokens) = browser::exchange(&stack, &code).await;
        identities.push(Person::with(&stack, tokens).await.identity);
    }
    assert_eq!(identities[0], identities[1]);
}
