//! The messages that SNS refuses for good: a bucket stores them until an operator has fixed the cause.

use std::future::Future;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use serde_json::{Value, json};

use crate::aws::{self, Failure};
use crate::error::Error;
use crate::message::Message;
use crate::settings::Settings;

/// What the function's role needs.
const GRANT: &str = "s3:PutObject on the bucket's undelivered messages";

/// Longest time one attempt may take.
const ATTEMPT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// A store for messages that SNS refuses for good.
pub trait UndeliveredStore: Sync {
    /// Stores `message` under its id, once however often it is called, and returns where.
    ///
    /// # Errors
    ///
    /// An error whose [`class`](Error::class) tells whether another attempt can help.
    fn store(&self, message: &Message) -> impl Future<Output = Result<String, Error>> + Send;
}

/// Stores messages as objects in S3.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    name: String,
    prefix: String,
    topic_arn: String,
}

impl Bucket {
    /// The bucket of `settings`, reached as `config` says; `None` when none is set. The SDK's own retries are off.
    pub fn new(config: &aws_config::SdkConfig, settings: &Settings) -> Option<Self> {
        let bucket = settings.failure_bucket.clone()?;
        let builder = aws_sdk_s3::config::Builder::from(&aws::one_attempt(config, ATTEMPT_TIMEOUT))
            // Bucket names in the host's place would not resolve on a local endpoint.
            .force_path_style(
                config.endpoint_url().is_some()
                    || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some(),
            );
        Some(Self {
            client: Client::from_conf(builder.build()),
            name: bucket,
            prefix: settings.failure_prefix.clone(),
            topic_arn: settings.topic_arn.clone(),
        })
    }
}

impl UndeliveredStore for Bucket {
    async fn store(&self, message: &Message) -> Result<String, Error> {
        let key = format!("{}{}.json", self.prefix, message.id());
        let body = publication(&self.topic_arn, message).to_string();
        let place = format!("s3://{}/{key}", self.name);
        self.client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .content_type("application/json")
            .body(ByteStream::from(body.into_bytes()))
            .send()
            .await
            .map_err(|error| Failure::from(error).into_error(format!("keeping {place}"), GRANT))?;
        Ok(place)
    }
}

impl<U: UndeliveredStore> UndeliveredStore for Option<U> {
    async fn store(&self, message: &Message) -> Result<String, Error> {
        match self {
            Some(store) => store.store(message).await,
            None => Err(Error::Setting {
                variable: crate::settings::FAILURE_BUCKET,
                reason: "not set; messages that SNS refuses have nowhere to go".into(),
            }),
        }
    }
}

/// A message in the form that `aws sns publish --cli-input-json` takes.
fn publication(topic_arn: &str, message: &Message) -> Value {
    let attributes: serde_json::Map<String, Value> = message
        .attributes()
        .iter()
        .map(|attribute| {
            let value = json!({ "DataType": attribute.data_type, "StringValue": attribute.value });
            (attribute.name.to_owned(), value)
        })
        .collect();
    json!({
        "TopicArn": topic_arn,
        "Subject": message.subject(),
        "MessageStructure": "json",
        "Message": message.body(),
        "MessageAttributes": attributes,
    })
}
