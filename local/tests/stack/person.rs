//! Somebody who signed in, with the credentials that the identity pool gave.

use aws_sdk_dynamodb::{
    operation::{
        query::builders::QueryFluentBuilder, update_item::builders::UpdateItemFluentBuilder,
    },
    types::AttributeValue,
};
use aws_sdk_s3::{
    error::{ProvideErrorMetadata, SdkError},
    primitives::ByteStream,
};
use local::{BUCKET, JOBS_TABLE, Stack};
use serde_json::Value;

use crate::{
    browser::{self, tokens},
    client::sdk,
};

/// The code of a failed request, as clients see it.
pub(crate) fn code<T, E: ProvideErrorMetadata>(result: Result<T, SdkError<E>>) -> String {
    let Err(error) = result else {
        return "none".to_owned();
    };
    error.code().unwrap_or("no code").to_owned()
}

/// Somebody who signed in.
pub(crate) struct Person {
    pub(crate) identity: String,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) credentials: Value,
    pub(crate) tokens: Value,
}

impl Person {
    pub(crate) async fn new(stack: &Stack, address: &str) -> Self {
        let tokens = tokens(stack, address).await;
        Self::with(stack, tokens).await
    }

    /// With new credentials for the same tokens.
    pub(crate) async fn with(stack: &Stack, tokens: Value) -> Self {
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

    pub(crate) fn key(&self, name: &str) -> String {
        format!("uploads/{}/{name}", self.identity)
    }

    pub(crate) async fn put(&self, key: &str) -> String {
        let put = self.s3.put_object().bucket(BUCKET).key(key);
        code(
            put.body(ByteStream::from_static(b"productId\nP1\n"))
                .send()
                .await,
        )
    }

    pub(crate) async fn get(&self, key: &str) -> String {
        code(self.s3.get_object().bucket(BUCKET).key(key).send().await)
    }

    pub(crate) fn update(&self, owner: &str) -> UpdateItemFluentBuilder {
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

    pub(crate) fn jobs_of(&self, owner: &str) -> QueryFluentBuilder {
        self.dynamodb
            .query()
            .table_name(JOBS_TABLE)
            .key_condition_expression("#owner = :owner")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":owner", text(owner))
    }
}

pub(crate) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// A field of the credentials, changed by the test if it wants.
pub(crate) fn field(credentials: &Value, name: &str) -> String {
    credentials[name].as_str().unwrap_or_default().to_owned()
}

pub(crate) fn s3(stack: &Stack, credentials: &Value) -> aws_sdk_s3::Client {
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

pub(crate) fn dynamodb(stack: &Stack, credentials: &Value) -> aws_sdk_dynamodb::Client {
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
pub(crate) async fn add_job(stack: &Stack, owner: &str) {
    let all_powerful = sdk!(aws_sdk_dynamodb, &stack.endpoints().dynamodb);
    let put = all_powerful
        .put_item()
        .table_name(JOBS_TABLE)
        .item("owner", text(owner))
        .item("job", text("j1"))
        .item("status", text("RUNNING"));
    put.send().await.unwrap();
}
