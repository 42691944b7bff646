//! The table of jobs.

use std::collections::HashMap;
use std::time::SystemTime;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::get_item::GetItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure,
};
use serde_json::{Map, Value};

use super::job::{Job, JobKey};
use super::states::{Status, Transition};
use super::update::{Changes, Update, milliseconds, rfc3339};
use crate::aws::service_error;
use crate::error::{Class, Error};
use crate::event::ObjectCreated;

/// The jobs of one table of jobs.
#[derive(Debug, Clone)]
pub struct JobStore {
    pub(super) client: Client,
    pub(super) table: String,
}

/// An invocation's hold on a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The invocation: Lambda gives an event that it tries again the same request id.
    pub holder: String,
    /// The message by which the event came, if it came from a queue.
    pub message: Option<String>,
    /// When the invocation has ended, whatever happens.
    pub until: SystemTime,
}

/// What came of claiming a job.
#[derive(Debug)]
pub enum Claim {
    /// It is the caller's until the lease ends.
    Mine(Box<Job>),
    /// Another invocation has it.
    Busy(Box<Job>),
    /// It has ended before.
    Ended(Box<Job>),
}

/// A job after an update, and what the update cost.
#[derive(Debug)]
pub struct Updated {
    /// The job.
    pub job: Job,
    /// WCU consumed.
    pub consumed_wcu: f64,
}

impl JobStore {
    /// The jobs in `table`.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Claims the job of an object for `lease`, if it is neither ended nor another's.
    ///
    /// # Errors
    ///
    /// [`Error::Service`] or [`Error::Throttled`] if the table does not do it.
    pub async fn claim(
        &self,
        created: &ObjectCreated,
        table: &str,
        lease: &Lease,
    ) -> Result<Claim, Error> {
        self.claim_as(&JobKey::of(created), created, table, lease)
            .await
    }

    /// Claims the job `key`, which is about an object or a range of it, for `lease`, as [`JobStore::claim`] does.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::claim`].
    pub async fn claim_as(
        &self,
        key: &JobKey,
        created: &ObjectCreated,
        table: &str,
        lease: &Lease,
    ) -> Result<Claim, Error> {
        let now = SystemTime::now();
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let mut update = Update::default();
        update.set(
            "lease_until",
            AttributeValue::N(milliseconds(lease.until).to_string()),
        );
        update.set("lease_holder", text(&lease.holder));
        update.add_one("attempt");
        update.add_one("stalled_attempts");
        update.set_once("bucket", text(&created.bucket));
        update.set_once("key", text(&created.key));
        update.set_once("table", text(table));
        update.set_once("created_at", text(&rfc3339(now)));
        for count in [
            "bytes_read",
            "rows_read",
            "rows_written",
            "rows_superseded",
            "rows_rejected",
            "consumed_wcu",
            "throttles",
            "retries",
        ] {
            let name = update.name(count);
            update
                .sets
                .push(format!("{name} = if_not_exists({name}, :zero)"));
        }
        for (name, value) in [
            ("version_id", &created.version_id),
            ("sequencer", &created.sequencer),
        ] {
            if let Some(value) = value {
                update.set_once(name, text(value));
            }
        }
        let claimed = Changes::none()
            .transition(Transition::Claim)
            .text_or_none("lease_message", lease.message.as_deref());
        update.changes(claimed);
        let job = update.name("job");
        let (until, holder) = (update.name("lease_until"), update.name("lease_holder"));
        let is_open = update.is_in(Transition::Claim.from());
        let now = update.value("now", AttributeValue::N(milliseconds(now).to_string()));
        // The holder's own claim again: its first answer was lost, or Lambda tries the event again.
        let condition = format!(
            "attribute_not_exists({job}) OR {is_open} \
             AND (attribute_not_exists({until}) OR {until} < {now} OR {holder} = :lease_holder)"
        );
        match self.update(key, update, Some(condition)).await? {
            Ok(updated) => Ok(Claim::Mine(Box::new(updated.job))),
            Err(Some(job)) if job.status.is_ended() => Ok(Claim::Ended(Box::new(job))),
            Err(Some(job)) => Ok(Claim::Busy(Box::new(job))),
            // Removed this very moment: the event comes again.
            Err(None) => Err(Error::LeaseLost),
        }
    }

    /// Changes a job that was claimed and not claimed by another since.
    ///
    /// # Errors
    ///
    /// [`Error::LeaseLost`] if another has claimed it, else as for [`JobStore::claim`].
    pub async fn change(&self, job: &Job, changes: Changes) -> Result<Updated, Error> {
        if let Some(transition) = changes.transition {
            debug_assert!(transition.from().contains(&job.status), "{transition:?}");
        }
        let mut update = Update::default();
        update.changes(changes);
        let attempt = update.name("attempt");
        let mine = update.value("attempt", AttributeValue::N(job.attempt.to_string()));
        let condition = format!("{attempt} = {mine}");
        self.update(&job.job_key(), update, Some(condition))
            .await?
            .map_err(|_| Error::LeaseLost)
    }

    /// Asks whoever imports to stop. `None` if there is no such job, or it has ended.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::claim`].
    pub async fn cancel(&self, key: &JobKey) -> Result<Option<Job>, Error> {
        let mut update = Update::default();
        update.set("cancel_requested", AttributeValue::Bool(true));
        let condition = update.is_in(Status::OPEN);
        let updated = self.update(key, update, Some(condition)).await?;
        Ok(updated.ok().map(|updated| updated.job))
    }

    /// Looks a job up.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::claim`].
    pub async fn get(&self, key: &JobKey) -> Result<Option<Job>, Error> {
        let item = self.item(key).await;
        let item = item.map_err(|e| service_error("GetItem", &self.table, e))?;
        item.map(|item| self.parse("GetItem", &item)).transpose()
    }

    /// Looks a job up, as it stands in the table.
    ///
    /// # Errors
    ///
    /// The SDK's.
    pub async fn item(
        &self,
        key: &JobKey,
    ) -> Result<Option<HashMap<String, AttributeValue>>, SdkError<GetItemError>> {
        let get = self.client.get_item().table_name(&self.table);
        let get = get
            .key("owner", AttributeValue::S(key.owner.clone()))
            .key("job", AttributeValue::S(key.job.clone()));
        Ok(get.consistent_read(true).send().await?.item)
    }

    /// The newest jobs of an owner, at most `count`.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::claim`].
    pub async fn newest(&self, owner: &str, count: u32) -> Result<Vec<Job>, Error> {
        let found = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#owner = :owner")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":owner", AttributeValue::S(owner.to_owned()))
            .scan_index_forward(false)
            .limit(i32::try_from(count).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|e| service_error("Query", &self.table, e))?;
        let items = found.items().iter();
        items.map(|item| self.parse("Query", item)).collect()
    }

    /// Updates a job, or gives it as it is if the condition does not hold.
    pub(super) async fn update(
        &self,
        key: &JobKey,
        update: Update,
        condition: Option<String>,
    ) -> Result<Result<Updated, Option<Job>>, Error> {
        let updated = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("owner", AttributeValue::S(key.owner.clone()))
            .key("job", AttributeValue::S(key.job.clone()))
            .update_expression(update.expression())
            .set_condition_expression(condition)
            .set_expression_attribute_names(Some(update.names))
            .set_expression_attribute_values(Some(update.values))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        let updated = match updated {
            Ok(updated) => updated,
            Err(SdkError::ServiceError(error)) => {
                return match error.err() {
                    UpdateItemError::ConditionalCheckFailedException(failed) => {
                        let item = failed.item();
                        let job = item.map(|item| self.parse("UpdateItem", item)).transpose();
                        job.map(Err)
                    }
                    _ => Err(service_error(
                        "UpdateItem",
                        &self.table,
                        SdkError::ServiceError(error),
                    )),
                };
            }
            Err(error) => return Err(service_error("UpdateItem", &self.table, error)),
        };
        let attributes = updated.attributes.unwrap_or_default();
        Ok(Ok(Updated {
            job: self.parse("UpdateItem", &attributes)?,
            consumed_wcu: updated
                .consumed_capacity
                .and_then(|consumed| consumed.capacity_units)
                .unwrap_or(1.0),
        }))
    }

    pub(super) fn parse(
        &self,
        operation: &'static str,
        item: &HashMap<String, AttributeValue>,
    ) -> Result<Job, Error> {
        serde_json::from_value(Value::Object(attributes(item))).map_err(|e| Error::Service {
            operation,
            problem: format!("an item of {} is not a job ({e})", self.table),
            class: Class::Fatal,
            fix: "check INTAKE_JOBS_TABLE: only Intake may write to the table of jobs".to_owned(),
            source: None,
        })
    }
}

/// The attributes of an item that are text, numbers or flags: those of a job.
pub fn attributes<'i>(
    item: impl IntoIterator<Item = (&'i String, &'i AttributeValue)>,
) -> Map<String, Value> {
    let scalar = |value: &AttributeValue| match value {
        AttributeValue::S(text) => Some(Value::String(text.clone())),
        AttributeValue::N(digits) => serde_json::from_str(digits).ok(),
        AttributeValue::Bool(flag) => Some(Value::Bool(*flag)),
        _ => None,
    };
    item.into_iter()
        .filter_map(|(name, value)| Some((name.clone(), scalar(value)?)))
        .collect()
}
