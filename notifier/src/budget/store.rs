//! The ledger as an item of the jobs table.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

use super::Store;
use crate::aws::{self, Failure};
use crate::error::Error;
use crate::settings::Settings;

/// Longest time one attempt may take.
const ATTEMPT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(3);

/// What the function's role needs.
const GRANT: &str = "dynamodb:GetItem and dynamodb:PutItem on the jobs table";

/// Partition key of the items that are the notifier's: neither a Cognito identity nor `-`, as those of imports.
const OWNER: &str = "notifier";

/// Keeps the ledger of a topic in the jobs table.
#[derive(Clone, Debug)]
pub struct Table {
    client: Client,
    name: String,
    topic_arn: String,
}

impl Table {
    /// The table that `settings` name, reached as `config` says. The SDK's own retries are off.
    pub fn new(config: &aws_config::SdkConfig, settings: &Settings) -> Self {
        Self {
            client: Client::new(&aws::one_attempt(config, ATTEMPT_TIMEOUT)),
            name: settings.jobs_table.clone(),
            topic_arn: settings.topic_arn.clone(),
        }
    }

    fn error(&self, failure: Failure) -> Error {
        failure.into_error(format!("using the ledger in table {}", self.name), GRANT)
    }
}

impl Store for Table {
    async fn load(&self) -> Result<Option<(String, u64)>, Error> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.name)
            .key("owner", AttributeValue::S(OWNER.into()))
            .key("job", AttributeValue::S(self.topic_arn.clone()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| self.error(error.into()))?;
        let Some(item) = answer.item else {
            return Ok(None);
        };
        let ledger = item
            .get("ledger")
            .and_then(|value| value.as_s().ok())
            .cloned()
            .unwrap_or_default();
        let version = item
            .get("version")
            .and_then(|value| value.as_n().ok()?.parse().ok())
            .unwrap_or(0);
        Ok(Some((ledger, version)))
    }

    async fn save(&self, json: String, version: Option<u64>) -> Result<bool, Error> {
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .item("owner", AttributeValue::S(OWNER.into()))
            .item("job", AttributeValue::S(self.topic_arn.clone()))
            .item(
                "version",
                AttributeValue::N((version.unwrap_or(0) + 1).to_string()),
            )
            .item("ledger", AttributeValue::S(json));
        let put = match version {
            None => put.condition_expression("attribute_not_exists(version)"),
            Some(version) => put
                .condition_expression("version = :seen")
                .expression_attribute_values(":seen", AttributeValue::N(version.to_string())),
        };
        match put.send().await.map_err(Failure::from) {
            Ok(_) => Ok(true),
            Err(failure) if failure.code == "ConditionalCheckFailedException" => Ok(false),
            Err(failure) => Err(self.error(failure)),
        }
    }
}
