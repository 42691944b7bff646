//! The writer that is the AWS SDK's client: the reference for the other one.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, PutRequest, ReturnConsumedCapacity,
};
use aws_smithy_types::body::SdkBody;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use rows::{KeyType, Schema};

use super::writer::{BatchWrite, LaneWrite, Written};
use crate::aws::service_error;
use crate::error::{Class, Error};

/// [`BatchWrite`] by the AWS SDK.
///
/// The SDK signs, sends and reads the answer; the body it would make from `AttributeValue`s is replaced by the batch's
/// own bytes.
#[derive(Debug, Clone)]
pub struct SdkWriter {
    client: aws_sdk_dynamodb::Client,
    schema: Arc<Schema>,
}

impl SdkWriter {
    /// A writer into the table of `schema`. Retries of the SDK's own are off: the importer pays for each attempt.
    pub fn new(config: &aws_config::SdkConfig, schema: Arc<Schema>) -> Self {
        let config = aws_sdk_dynamodb::config::Builder::from(config)
            .retry_config(aws_config::retry::RetryConfig::disabled())
            .build();
        Self {
            client: aws_sdk_dynamodb::Client::from_conf(config),
            schema,
        }
    }
}

impl BatchWrite for SdkWriter {
    type Lane = Self;

    /// All lanes share the SDK's client and its pool of connections.
    fn lane(&self, _index: usize) -> Self {
        self.clone()
    }
}

impl LaneWrite for SdkWriter {
    async fn write(&mut self, body: Bytes) -> Result<Written, Error> {
        let output = self
            .client
            .batch_write_item()
            // The table's name picks the endpoint; its rows are in the body.
            .request_items(&self.schema.table, Vec::new())
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .customize()
            .mutate_request(move |request| {
                // The length is signed, so it must be that of the body that is sent.
                request
                    .headers_mut()
                    .insert("content-length", body.len().to_string());
                *request.body_mut() = SdkBody::from(body.clone());
            })
            .send()
            .await
            .map_err(|e| {
                // Which of these requests were sent, the SDK does not say. A gateway does not know what became of them.
                let is_gateways = e.code().is_none()
                    && e.raw_response()
                        .is_some_and(|answer| answer.status().is_server_error());
                let may_be_sent = is_gateways
                    || matches!(e, SdkError::TimeoutError(_) | SdkError::DispatchFailure(_));
                let mut error = service_error("BatchWriteItem", &self.schema.table, e);
                if let Error::Service { class, .. } = &mut error
                    && may_be_sent
                    && *class == Class::Retry
                {
                    *class = Class::Unanswered;
                }
                error
            })?;
        let mut unprocessed = Vec::new();
        for request in output
            .unprocessed_items()
            .into_iter()
            .flat_map(HashMap::values)
            .flatten()
        {
            let item = request.put_request().map(PutRequest::item);
            let key = item.and_then(|item| {
                let value = |name: &str| item.get(name).and_then(key_value);
                self.schema.key_of(value)
            });
            unprocessed.push(key.unwrap_or_default());
        }
        let consumed = output.consumed_capacity();
        Ok(Written {
            unprocessed,
            consumed_wcu: consumed
                .iter()
                .filter_map(ConsumedCapacity::capacity_units)
                .reduce(|a, b| a + b),
        })
    }
}

/// An attribute's type and value, if it may be part of a key.
fn key_value(value: &AttributeValue) -> Option<(KeyType, Cow<'_, str>)> {
    Some(match value {
        AttributeValue::S(text) => (KeyType::S, text.into()),
        AttributeValue::N(digits) => (KeyType::N, digits.into()),
        AttributeValue::B(blob) => (KeyType::B, STANDARD.encode(blob).into()),
        _ => return None,
    })
}
