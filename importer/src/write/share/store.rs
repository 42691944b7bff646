//! The pages of a cap as items of the table of jobs.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};

use super::page::{Change, EMPTY, Page, SLOT_PAGES, Value};
use super::pages::Pages;
use crate::aws::service_error;
use crate::error::{Class, Error};

/// Longest time that one attempt of a call, and all of them, may take: a lease is not much longer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(8);

/// How long a page is kept that nobody has changed.
const KEPT: Duration = Duration::from_hours(7 * 24);

const SLOT: &str = "slot/";
const WAIT: &str = "wait/";

/// The pages of one table's cap.
#[derive(Debug, Clone)]
pub struct TablePages {
    client: Client,
    jobs_table: String,
    owner: String,
}

impl TablePages {
    /// The pages in `jobs_table` of the cap of `table`, which is a name or an ARN. Needs `dynamodb:Query` and
    /// `dynamodb:UpdateItem`.
    pub fn new(sdk: &SdkConfig, jobs_table: impl Into<String>, table: &str) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(TIMEOUT)
            .build();
        let config = aws_sdk_dynamodb::config::Builder::from(sdk)
            .timeout_config(timeouts)
            .build();
        let region = sdk.region().map_or("", AsRef::as_ref);
        Self {
            client: Client::from_conf(config),
            jobs_table: jobs_table.into(),
            owner: owner(region, table),
        }
    }

    fn unusable(&self, operation: &'static str, problem: &str) -> Error {
        Error::Service {
            operation,
            problem: format!(
                "an item of {} in {}: {problem}",
                self.owner, self.jobs_table
            ),
            class: Class::Fatal,
            fix: "check INTAKE_JOBS_TABLE: only Intake may write to the table of jobs".to_owned(),
            source: None,
        }
    }

    fn page(
        &self,
        operation: &'static str,
        item: &HashMap<String, AttributeValue>,
    ) -> Result<Page, Error> {
        let mut page = EMPTY;
        for (name, value) in item {
            // All other attributes have names.
            let Ok(register) = name.parse::<usize>() else {
                continue;
            };
            let value: Result<Value, _> = match value {
                AttributeValue::S(text) => text.parse(),
                _ => Err(format!("{name} is no text")),
            };
            let value = value.map_err(|problem| self.unusable(operation, &problem))?;
            match page.get_mut(register) {
                Some(place) => *place = Some(value),
                None => return Err(self.unusable(operation, &format!("there is no {name}"))),
            }
        }
        Ok(page)
    }
}

/// Who owns the pages of a table's cap: the same for the table's name and its ARN, and others in each Region, since a table of
/// jobs may be a global table.
///
/// Versions without the Region in it share a cap among themselves, and so do those with it: while importers of both run, at
/// an upgrade, the table gets twice its cap at most. That ends with the last import of an older version.
fn owner(region: &str, table: &str) -> String {
    // arn:aws:dynamodb:REGION:ACCOUNT:table/NAME
    let name = table.rsplit('/').next().unwrap_or(table);
    let region = match table.split(':').nth(3) {
        Some(region) if table.starts_with("arn:") => region,
        _ => region,
    };
    format!("cap/{region}/{name}")
}

/// A page's sort key.
fn key(page: usize) -> String {
    match page.checked_sub(SLOT_PAGES) {
        None => format!("{SLOT}{page:06}"),
        Some(page) => format!("{WAIT}{page:06}"),
    }
}

/// The page of a sort key.
fn number(key: &str) -> Option<usize> {
    let (first, digits) = match key.strip_prefix(SLOT) {
        Some(digits) => (0, digits),
        None => (SLOT_PAGES, key.strip_prefix(WAIT)?),
    };
    let number: usize = digits.parse().ok()?;
    (number < SLOT_PAGES).then_some(first + number)
}

impl Pages for TablePages {
    async fn look(&self) -> Result<BTreeMap<usize, Page>, Error> {
        let mut pages = BTreeMap::new();
        let mut from = None;
        loop {
            let found = self
                .client
                .query()
                .table_name(&self.jobs_table)
                .key_condition_expression("#owner = :owner")
                .expression_attribute_names("#owner", "owner")
                .expression_attribute_values(":owner", AttributeValue::S(self.owner.clone()))
                // What the import before has returned a moment ago is to be seen.
                .consistent_read(true)
                .set_exclusive_start_key(from)
                .send()
                .await
                .map_err(|e| service_error("Query", &self.jobs_table, e))?;
            for item in found.items() {
                let key = item.get("job").and_then(|job| job.as_s().ok());
                if let Some(number) = key.and_then(|key| number(key)) {
                    pages.insert(number, self.page("Query", item)?);
                }
            }
            from = found.last_evaluated_key;
            if from.is_none() {
                return Ok(pages);
            }
        }
    }

    async fn change(&self, change: &Change) -> Result<Option<Page>, Error> {
        let mut update = self
            .client
            .update_item()
            .table_name(&self.jobs_table)
            .key("owner", AttributeValue::S(self.owner.clone()))
            .key("job", AttributeValue::S(key(change.page)));
        let mut sets = vec!["#expires_at = :expires_at".to_owned()];
        let (mut removes, mut conditions) = (Vec::new(), Vec::new());
        for swap in &change.swaps {
            let register = swap.register;
            let name = format!("#r{register}");
            let text = |value: Value| AttributeValue::S(value.to_string());
            update = update.expression_attribute_names(&name, register.to_string());
            match swap.to {
                Some(to) => {
                    let value = format!(":to{register}");
                    sets.push(format!("{name} = {value}"));
                    update = update.expression_attribute_values(value, text(to));
                }
                None => removes.push(name.clone()),
            }
            match swap.from {
                Some(from) => {
                    let value = format!(":from{register}");
                    conditions.push(format!("{name} = {value}"));
                    update = update.expression_attribute_values(value, text(from));
                }
                None => conditions.push(format!("attribute_not_exists({name})")),
            }
        }
        let mut expression = format!("SET {}", sets.join(", "));
        if !removes.is_empty() {
            expression.push_str(" REMOVE ");
            expression.push_str(&removes.join(", "));
        }
        let expires_at = (Duration::from_millis(self.wall_ms()) + KEPT).as_secs();
        let updated = update
            .update_expression(expression)
            .condition_expression(conditions.join(" AND "))
            .expression_attribute_names("#expires_at", "expires_at")
            .expression_attribute_values(":expires_at", AttributeValue::N(expires_at.to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match updated {
            Ok(_) => Ok(None),
            Err(SdkError::ServiceError(error)) => match error.err() {
                UpdateItemError::ConditionalCheckFailedException(failed) => {
                    let item = failed.item();
                    let page = item.map(|item| self.page("UpdateItem", item)).transpose();
                    Ok(Some(page?.unwrap_or(EMPTY)))
                }
                _ => Err(service_error(
                    "UpdateItem",
                    &self.jobs_table,
                    SdkError::ServiceError(error),
                )),
            },
            Err(error) => Err(service_error("UpdateItem", &self.jobs_table, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::share::page::PAGES;

    #[test]
    fn each_regions_table_has_a_cap_of_its_own() {
        for (region, table, expected) in [
            ("eu-west-1", "T", "cap/eu-west-1/T"),
            ("us-east-1", "T", "cap/us-east-1/T"),
            (
                "eu-west-1",
                "arn:aws:dynamodb:eu-west-1:123456789012:table/T",
                "cap/eu-west-1/T",
            ),
            (
                "us-east-1",
                "arn:aws-cn:dynamodb:cn-north-1:123456789012:table/T",
                "cap/cn-north-1/T",
            ),
        ] {
            assert_eq!(owner(region, table), expected, "{table} in {region}");
        }
    }

    #[test]
    fn a_page_has_a_key_of_its_own() {
        for page in 0..PAGES {
            assert_eq!(number(&key(page)), Some(page));
        }
        assert_eq!(key(7), "slot/000007");
        assert_eq!(key(SLOT_PAGES + 7), "wait/000007");
        for other in ["slot/000032", "wait/x", "20261123T100000000Z-a"] {
            assert_eq!(number(other), None, "{other}");
        }
    }
}
