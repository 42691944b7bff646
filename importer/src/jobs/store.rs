//! The table of jobs.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure,
};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Job, JobKey, Saved, Status};
use crate::aws::service_error;
use crate::error::{Class, Error};
use crate::event::ObjectCreated;
use crate::progress::Counts;

/// How long a job is kept after it was saved last.
const KEPT: Duration = Duration::from_hours(90 * 24);

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

/// A number as DynamoDB has it.
#[derive(Debug)]
pub struct Number(String);

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self(number.to_string())
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self(number.to_string())
    }
}

/// Changes of a job's attributes.
#[derive(Debug, Default)]
pub struct Changes {
    set: Vec<(&'static str, AttributeValue)>,
    remove: Vec<&'static str>,
}

impl Changes {
    /// Nothing but the time.
    pub fn none() -> Self {
        let now = SystemTime::now();
        Self::default()
            .text("updated_at", rfc3339(now))
            .number("expires_at", seconds(now + KEPT))
    }

    /// Sets a text.
    #[must_use]
    pub fn text(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.set.push((name, AttributeValue::S(value.into())));
        self
    }

    /// Sets a text if there is one, and removes it if not.
    #[must_use]
    pub fn text_or_none(mut self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        if let Some(value) = value {
            return self.text(name, value);
        }
        self.remove.push(name);
        self
    }

    /// Sets a number.
    #[must_use]
    pub fn number(mut self, name: &'static str, value: impl Into<Number>) -> Self {
        let Number(digits) = value.into();
        self.set.push((name, AttributeValue::N(digits)));
        self
    }

    /// Removes an attribute.
    #[must_use]
    pub fn removed(mut self, name: &'static str) -> Self {
        self.remove.push(name);
        self
    }

    /// Sets a flag.
    #[must_use]
    pub fn flag(mut self, name: &'static str, value: bool) -> Self {
        self.set.push((name, AttributeValue::Bool(value)));
        self
    }

    /// Sets where the job is on its way.
    #[must_use]
    pub fn status(self, status: Status) -> Self {
        self.text("status", status.name())
    }

    /// Sets how far the job is, and the counters of that.
    ///
    /// # Panics
    ///
    /// Never: a checkpoint is plain data.
    #[must_use]
    pub fn saved(self, saved: &Saved) -> Self {
        let json = serde_json::to_string(saved).expect("a checkpoint is plain JSON");
        self.text("checkpoint", json)
            .counts(&saved.checkpoint.counts)
    }

    /// Sets the counters.
    #[must_use]
    pub fn counts(self, counts: &Counts) -> Self {
        self.number("bytes_read", counts.bytes_read)
            .number("rows_read", counts.rows_read)
            .number("rows_written", counts.rows_written)
            .number("rows_superseded", counts.rows_superseded)
            .number("rows_rejected", counts.rows_rejected)
            .number("consumed_wcu", counts.consumed_wcu)
            .number("throttles", counts.throttles)
            .number("retries", counts.retries)
    }

    /// Lets the job go.
    #[must_use]
    pub fn released(mut self) -> Self {
        self.remove
            .extend(["lease_until", "lease_holder", "lease_message"]);
        self
    }
}

/// An update's expressions. Every name is a placeholder: many of them are reserved words.
#[derive(Default)]
pub(super) struct Update {
    sets: Vec<String>,
    removes: Vec<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Update {
    pub(super) fn name(&mut self, name: &str) -> String {
        let placeholder = format!("#{name}");
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    pub(super) fn value(&mut self, name: &str, value: AttributeValue) -> String {
        let placeholder = format!(":{name}");
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    pub(super) fn set(&mut self, name: &str, value: AttributeValue) {
        let set = format!("{} = {}", self.name(name), self.value(name, value));
        self.sets.push(set);
    }

    pub(super) fn set_once(&mut self, name: &str, value: AttributeValue) {
        let (name_is, value_is) = (self.name(name), self.value(name, value));
        let set = format!("{name_is} = if_not_exists({name_is}, {value_is})");
        self.sets.push(set);
    }

    fn add_one(&mut self, name: &str) {
        let name = self.name(name);
        self.values
            .insert(":zero".to_owned(), AttributeValue::N("0".to_owned()));
        self.values
            .insert(":one".to_owned(), AttributeValue::N("1".to_owned()));
        self.sets
            .push(format!("{name} = if_not_exists({name}, :zero) + :one"));
    }

    pub(super) fn changes(&mut self, changes: Changes) {
        for (name, value) in changes.set {
            self.set(name, value);
        }
        for name in changes.remove {
            let name = self.name(name);
            self.removes.push(name);
        }
    }

    fn expression(&self) -> String {
        let mut expression = format!("SET {}", self.sets.join(", "));
        if !self.removes.is_empty() {
            expression.push_str(" REMOVE ");
            expression.push_str(&self.removes.join(", "));
        }
        expression
    }
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
        update.set("status", text(Status::Running.name()));
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
        update.changes(Changes::none().text_or_none("lease_message", lease.message.as_deref()));
        let (job, status) = (update.name("job"), update.name("status"));
        let (until, holder) = (update.name("lease_until"), update.name("lease_holder"));
        let queued = update.value("queued", text(Status::Queued.name()));
        let now = update.value("now", AttributeValue::N(milliseconds(now).to_string()));
        // The holder's own claim again: its first answer was lost, or Lambda tries the event again.
        let condition = format!(
            "attribute_not_exists({job}) OR {status} IN ({queued}, :status) \
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
        let status = update.name("status");
        let text = |status: Status| AttributeValue::S(status.name().to_owned());
        let queued = update.value("queued", text(Status::Queued));
        let running = update.value("running", text(Status::Running));
        let condition = format!("{status} IN ({queued}, {running})");
        let updated = self.update(key, update, Some(condition)).await?;
        Ok(updated.ok().map(|updated| updated.job))
    }

    /// Looks a job up.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::claim`].
    pub async fn get(&self, key: &JobKey) -> Result<Option<Job>, Error> {
        let got = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("owner", AttributeValue::S(key.owner.clone()))
            .key("job", AttributeValue::S(key.job.clone()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| service_error("GetItem", &self.table, e))?;
        got.item()
            .map(|item| self.parse("GetItem", item))
            .transpose()
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
        serde_json::from_value(to_json(item)).map_err(|e| Error::Service {
            operation,
            problem: format!("an item of {} is not a job ({e})", self.table),
            class: Class::Fatal,
            fix: "check INTAKE_JOBS_TABLE: only Intake may write to the table of jobs".to_owned(),
            source: None,
        })
    }
}

/// The scalars of an item as JSON.
fn to_json(item: &HashMap<String, AttributeValue>) -> Value {
    let attributes = item.iter().filter_map(|(name, value)| {
        let value = match value {
            AttributeValue::S(text) => Value::String(text.clone()),
            AttributeValue::N(digits) => serde_json::from_str(digits).ok()?,
            AttributeValue::Bool(flag) => Value::Bool(*flag),
            _ => return None,
        };
        Some((name.clone(), value))
    });
    Value::Object(attributes.collect())
}

/// Milliseconds since 1970.
pub(crate) fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

fn seconds(time: SystemTime) -> u64 {
    milliseconds(time) / 1000
}

/// The time in RFC 3339, to the second.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let seconds = time.replace_nanosecond(0).unwrap_or(time);
    // Cannot fail: a time of this system has a year of four digits.
    seconds.format(&Rfc3339).unwrap_or_default()
}
