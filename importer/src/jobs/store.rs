//! The table of jobs.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::get_item::GetItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure,
};
use serde_json::{Map, Value};

use super::head::{Head, number};
use super::identity::{Identity, JobKey};
use super::job::Job;
use super::states::{Status, Transition};
use super::update::{Changes, Update, milliseconds};
use crate::aws::service_error;
use crate::error::{Class, Error};
use crate::event::Seen;

/// How long it may take to publish an end. Then another importer does it.
const NOTICE_MAX: Duration = Duration::from_mins(2);

/// The jobs of one table of jobs.
#[derive(Debug, Clone)]
pub struct JobStore {
    pub(super) client: Client,
    pub(super) table: String,
}

/// An invocation's hold on a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The invocation: Lambda gives an event that it tries again the same request id. Of a large import, who has its steps
    /// taken.
    pub holder: String,
    /// The message by which the event came, if it came from a queue.
    pub message: Option<String>,
    /// For how long the job is the holder's without a save.
    pub duration: Duration,
    /// How the job stood some time ago, if that is known.
    pub seen: Option<Seen>,
}

impl Lease {
    /// What a claim changes.
    pub(super) fn claimed(&self, claim_id: &str) -> Changes {
        Changes::none()
            .transition(Transition::Claim)
            .number(
                "lease_until",
                milliseconds(SystemTime::now() + self.duration),
            )
            .number("lease_seconds", self.duration.as_secs())
            .text("lease_holder", &self.holder)
            .text_or_none("lease_message", self.message.as_deref())
            .text("claim_id", claim_id)
    }

    /// Whether a job may be claimed that another one has, or had.
    pub(crate) fn may_take(&self, job: &Job) -> bool {
        // A message is received again when its visibility timeout is over, which Lambda wants to be longer than an invocation
        // may take: the one that it came to before is over.
        // https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
        let is_same = job.lease_holder.as_ref() == Some(&self.holder)
            || self.message.is_some() && self.message == job.lease_message;
        job.status == Status::Queued || is_same || self.is_over(job)
    }

    /// Whether a job's importer is dead: the job has not changed for longer than a lease, or a terminal has let go of it, where no
    /// message goes on with it.
    pub(crate) fn is_over(&self, job: &Job) -> bool {
        if job.status == Status::Queued && job.is_of_terminal() {
            return true;
        }
        let seen = self.seen.as_ref();
        seen.is_some_and(|seen| seen.is_dead(&job.seen(), job.takeover()))
    }
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
    /// Another job of the object has begun since the object was looked up: look again.
    Changed,
}

/// How the import of an object stands, before anything is claimed.
#[derive(Debug)]
pub enum Standing {
    /// It may begin.
    New,
    /// It has begun and not ended.
    Open(Box<Job>),
    /// It has ended.
    Ended(Box<Job>),
    /// It has ended so long ago that the table of jobs has forgotten it.
    Forgotten,
    /// Another version of the object is being imported.
    Waits(Box<Job>),
    /// Another version's import has ended, and that is to be published first: no event may be left that would.
    Unpublished(Box<Job>),
}

/// What came of claiming the notice of a job's end.
#[derive(Debug)]
pub(crate) enum NoticeClaim {
    /// The caller publishes it.
    Mine,
    /// Another one has claimed it, and is at work or dead.
    Another,
    /// It is published.
    Done,
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

    /// How the import of an object stands. `head` was read before S3 was asked what the object is.
    ///
    /// # Errors
    ///
    /// [`Error::Service`] or [`Error::Throttled`] if the table cannot be read.
    pub async fn standing(
        &self,
        object: &Identity,
        head: Option<&Head>,
    ) -> Result<Standing, Error> {
        let of = |job: Job| {
            if job.status.is_ended() {
                Standing::Ended(Box::new(job))
            } else {
                Standing::Open(Box::new(job))
            }
        };
        if let Some(job) = self.get(&object.job_key()).await? {
            return Ok(of(job));
        }
        match (head, &object.legacy) {
            (Some(head), _) => {
                if head.version == object.version && object.again.is_none() {
                    return Ok(Standing::Forgotten);
                }
                // A job that the table has forgotten has ended.
                Ok(match self.get(&head.job_key()).await? {
                    Some(before) if !before.status.is_ended() => Standing::Waits(Box::new(before)),
                    Some(before) if !before.notified => Standing::Unpublished(Box::new(before)),
                    Some(_) | None => Standing::New,
                })
            }
            (None, Some(legacy)) => Ok(self.get(legacy).await?.map_or(Standing::New, of)),
            (None, None) => Ok(Standing::New),
        }
    }

    /// Claims a job that exists.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::standing`].
    pub async fn resume(&self, job: Job, lease: &Lease) -> Result<Claim, Error> {
        if job.status.is_ended() {
            return Ok(Claim::Ended(Box::new(job)));
        }
        if !lease.may_take(&job) {
            return Ok(Claim::Busy(Box::new(job)));
        }
        let claim_id = random_id();
        let mut update = Update::default();
        update.changes(lease.claimed(&claim_id));
        update.set("attempt", number(u64::from(job.attempt) + 1));
        update.add_one("saves");
        let as_seen = update.is_at(&job);
        let is_open = update.is_in(Transition::Claim.from());
        update.condition = Some(format!("{as_seen} AND {is_open}"));
        Self::claimed(self.update(&job.job_key(), update).await?, &claim_id)
    }

    /// Claims a range of a job, or begins it.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::standing`].
    pub(crate) async fn claim_range(
        &self,
        parent: &Job,
        number: u32,
        lease: &Lease,
    ) -> Result<Claim, Error> {
        let key = parent.range_key(number);
        if let Some(range) = self.get(&key).await? {
            return self.resume(range, lease).await;
        }
        let claim_id = random_id();
        let update = Self::new_range(parent, lease.claimed(&claim_id));
        Self::claimed(self.update(&key, update).await?, &claim_id)
    }

    fn claimed(updated: Result<Updated, Option<Job>>, claim_id: &str) -> Result<Claim, Error> {
        Ok(match updated {
            Ok(updated) => Claim::Mine(Box::new(updated.job)),
            // The answer was lost, and the SDK has tried again.
            Err(Some(job)) if job.claim_id.as_deref() == Some(claim_id) => {
                Claim::Mine(Box::new(job))
            }
            Err(Some(job)) if job.status.is_ended() => Claim::Ended(Box::new(job)),
            Err(Some(job)) => Claim::Busy(Box::new(job)),
            // Removed this very moment.
            Err(None) => return Err(Error::LeaseLost),
        })
    }

    /// Changes a job that was claimed, neither ended nor claimed by another since, and renews the lease.
    ///
    /// # Errors
    ///
    /// [`Error::LeaseLost`] if another has claimed it or it has ended, else as for [`JobStore::standing`].
    pub async fn change(&self, job: &Job, changes: Changes) -> Result<Updated, Error> {
        let change_id = random_id();
        let mut update = Update::default();
        if !changes.ends_claim() {
            let until = milliseconds(SystemTime::now() + job.lease());
            update.set("lease_until", number(until));
        }
        update.changes(changes.text("change_id", &change_id));
        update.add_one("saves");
        let attempt = update.name("attempt");
        let mine = update.value("attempt", number(u64::from(job.attempt)));
        let is_open = update.is_in(Status::OPEN);
        update.condition = Some(format!("{attempt} = {mine} AND {is_open}"));
        match self.update(&job.job_key(), update).await? {
            Ok(updated) => Ok(updated),
            // The answer was lost, and the SDK has tried again.
            Err(Some(job)) if job.change_id.as_ref() == Some(&change_id) => Ok(Updated {
                job,
                consumed_wcu: 1.0,
            }),
            Err(_) => Err(Error::LeaseLost),
        }
    }

    /// Claims the notice of a job's end for `publisher`, unless another one has claimed it. The one in `seen` may be replaced: it
    /// is dead. The same publisher may claim it again: it died before it was done.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::standing`].
    pub(crate) async fn claim_notice(
        &self,
        job: &Job,
        publisher: &str,
        seen: Option<&Seen>,
    ) -> Result<NoticeClaim, Error> {
        let mut update = Update::default();
        update.set("publisher", AttributeValue::S(publisher.to_owned()));
        let (notified, current) = (update.name("notified"), update.name("publisher"));
        let no = update.value("no", AttributeValue::Bool(false));
        let dead = seen.filter(|seen| seen.waited_seconds >= NOTICE_MAX.as_secs());
        let dead = dead.and_then(|seen| seen.publisher.clone());
        let dead = dead.unwrap_or_else(|| publisher.to_owned());
        let dead = update.value("dead", AttributeValue::S(dead));
        let job_name = update.name("job");
        update.condition = Some(format!(
            "attribute_exists({job_name}) AND (attribute_not_exists({notified}) OR {notified} = {no}) \
             AND (attribute_not_exists({current}) OR {current} = {dead} OR {current} = :publisher)"
        ));
        Ok(match self.update(&job.job_key(), update).await? {
            Ok(_) => NoticeClaim::Mine,
            Err(Some(job)) if !job.notified => NoticeClaim::Another,
            Err(_) => NoticeClaim::Done,
        })
    }

    /// Gives the notice of a job's end back, so that another one may publish it.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::standing`].
    pub(crate) async fn release_notice(&self, job: &Job) -> Result<(), Error> {
        let mut update = Update::default();
        update.changes(Changes::default().removed("publisher"));
        let notified = update.name("notified");
        let no = update.value("no", AttributeValue::Bool(false));
        update.condition = Some(format!("{notified} = {no}"));
        self.update(&job.job_key(), update).await?.ok();
        Ok(())
    }

    /// Notes that the end of a job was published.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::standing`].
    pub(crate) async fn note_published(&self, job: &Job) -> Result<(), Error> {
        let mut update = Update::default();
        update.set("notified", AttributeValue::Bool(true));
        let name = update.name("job");
        update.condition = Some(format!("attribute_exists({name})"));
        self.update(&job.job_key(), update).await?.ok();
        Ok(())
    }

    /// Asks the importer to stop. `None` if there is no such job, or it has ended.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::standing`].
    pub async fn cancel(&self, key: &JobKey) -> Result<Option<Job>, Error> {
        let mut update = Update::default();
        update.set("cancel_requested", AttributeValue::Bool(true));
        update.condition = Some(update.is_in(Status::OPEN));
        let updated = self.update(key, update).await?;
        Ok(updated.ok().map(|updated| updated.job))
    }

    /// Looks a job up.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::standing`].
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
    /// As for [`JobStore::standing`].
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
        let jobs: Result<Vec<Job>, Error> = items.map(|item| self.parse("Query", item)).collect();
        let mut jobs = jobs?;
        jobs.sort_by(|a, b| b.by_time(a));
        Ok(jobs)
    }

    /// Updates a job, or gives it as it is if the condition does not hold.
    pub(super) async fn update(
        &self,
        key: &JobKey,
        update: Update,
    ) -> Result<Result<Updated, Option<Job>>, Error> {
        let updated = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("owner", AttributeValue::S(key.owner.clone()))
            .key("job", AttributeValue::S(key.job.clone()))
            .update_expression(update.expression())
            .set_condition_expression(update.condition)
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
        serde_json::from_value(Value::Object(attributes(item)))
            .map_err(|e| self.unreadable(operation, &e))
    }

    pub(super) fn unreadable(&self, operation: &'static str, error: &serde_json::Error) -> Error {
        Error::Service {
            operation,
            problem: format!("an item of {} is not a job ({error})", self.table),
            class: Class::Fatal,
            fix: "check INTAKE_JOBS_TABLE: only Intake may write to the table of jobs".to_owned(),
            source: None,
        }
    }
}

/// Names a claim or a change.
pub(super) fn random_id() -> String {
    format!("{:016x}", fastrand::u64(..))
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
