//! The SNS topic.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sns::Client;
use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry};

use super::Publish;
use crate::aws::{self, Failure, Kind};
use crate::error::Error;
use crate::message::Message;

/// Longest time one attempt may take. SNS answers in tens of milliseconds; a connection that has not
/// answered by then is better replaced.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// What the function's role needs.
const GRANT: &str =
    "sns:Publish on the topic (and kms:GenerateDataKey and kms:Decrypt on its key, if it has one)";

/// Publishes to an SNS topic.
#[derive(Clone, Debug)]
pub struct Topic {
    client: Client,
    arn: String,
}

impl Topic {
    /// The topic `arn`, reached as `config` says. The SDK's own retries are off: [`until`](super::until) does
    /// that, with the invocation's deadline in view.
    pub fn new(config: &aws_config::SdkConfig, arn: impl Into<String>) -> Self {
        Self {
            client: Client::new(&aws::one_attempt(config, ATTEMPT_TIMEOUT)),
            arn: arn.into(),
        }
    }

    async fn one(&self, message: &Message) -> Result<String, Failure> {
        let published = self
            .client
            .publish()
            .topic_arn(&self.arn)
            .subject(message.subject())
            .message(message.body())
            .message_structure("json")
            .set_message_attributes(Some(attributes(message)))
            .send()
            .await?;
        Ok(published.message_id.unwrap_or_default())
    }

    async fn batch(&self, messages: &[&Message]) -> Result<Vec<Result<String, Failure>>, Failure> {
        let entries = messages.iter().enumerate().map(|(index, message)| {
            PublishBatchRequestEntry::builder()
                .id(index.to_string())
                .subject(message.subject())
                .message(message.body())
                .message_structure("json")
                .set_message_attributes(Some(attributes(message)))
                .build()
                .expect("an entry with an id and a message is complete")
        });
        let answer = self
            .client
            .publish_batch()
            .topic_arn(&self.arn)
            .set_publish_batch_request_entries(Some(entries.collect()))
            .send()
            .await?;
        // An entry that the answer leaves out is tried again.
        let silent = Failure {
            code: String::new(),
            status: 0,
            text: "the answer leaves the message out".into(),
        };
        let mut outcomes = vec![Err(silent); messages.len()];
        let mut settle = |id: Option<&str>, outcome| {
            if let Some(place) = id.and_then(|id| outcomes.get_mut(id.parse::<usize>().ok()?)) {
                *place = outcome;
            }
        };
        for entry in answer.successful() {
            settle(
                entry.id(),
                Ok(entry.message_id().unwrap_or_default().to_owned()),
            );
        }
        for entry in answer.failed() {
            let text = format!("{}: {}", entry.code(), entry.message().unwrap_or_default());
            let status = if entry.sender_fault() { 400 } else { 500 };
            settle(
                Some(entry.id()),
                Err(Failure {
                    code: entry.code().to_owned(),
                    status,
                    text,
                }),
            );
        }
        Ok(outcomes)
    }

    fn error(&self, failure: Failure) -> Error {
        if failure.kind() == Kind::NotFound {
            return Error::TopicNotFound {
                topic: self.arn.clone(),
                source: failure.text.into(),
            };
        }
        failure.into_error(format!("publishing to {}", self.arn), GRANT)
    }
}

impl Publish for Topic {
    async fn publish(&self, messages: &[&Message]) -> Vec<Result<String, Error>> {
        let outcomes = match messages {
            [message] => vec![self.one(message).await],
            messages => self
                .batch(messages)
                .await
                .unwrap_or_else(|failure| vec![Err(failure); messages.len()]),
        };
        outcomes
            .into_iter()
            .map(|outcome| outcome.map_err(|failure| self.error(failure)))
            .collect()
    }
}

fn attributes(message: &Message) -> HashMap<String, MessageAttributeValue> {
    let value = |attribute: &crate::message::Attribute| {
        MessageAttributeValue::builder()
            .data_type(attribute.data_type)
            .string_value(&attribute.value)
            .build()
            .expect("an attribute with a type is complete")
    };
    let named = message.attributes().iter();
    named
        .map(|attribute| (attribute.name.to_owned(), value(attribute)))
        .collect()
}
