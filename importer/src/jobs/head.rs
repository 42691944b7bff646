//! One object at a time: which job has the key of an object, for all of its versions that go to one table.
//!
//! A job begins in one transaction with the change of its object's head. The head has a number that each begin raises, and a
//! begin demands the number that was read before S3 was asked what the object is. So what another importer began in between
//! makes the transaction fail, and everything is looked up again. No clocks are compared, and no sequencers.
//!
//! A head is kept for ever: that the table of jobs forgets ended jobs must not make an old event import an old file.

use std::time::SystemTime;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update as SdkUpdate};
use serde::Deserialize;
use serde_json::Value;

use super::identity::{Identity, JobKey};
use super::job::Job;
use super::states::Transition;
use super::store::{Claim, JobStore, Lease, attributes, random_id};
use super::update::{COUNTS, Changes, Update, rfc3339, rfc3339_milliseconds};
use crate::aws::service_error;
use crate::error::Error;

/// Versions that a head remembers: of older ones it is not known whether they were imported.
const PAST_MAX: usize = 20;

/// What the table of jobs knows of an object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Head {
    /// Raised by each begin.
    pub fence: u64,
    /// The owner of the job that began last.
    pub current_owner: String,
    /// The job that began last.
    pub current: String,
    /// The version that it imports.
    pub version: String,
    /// The job that ended last without having begun.
    pub unbegun: Option<String>,
    /// What events call the versions that were begun, or never will be, the last one first.
    #[serde(default)]
    past: String,
}

impl Head {
    /// The job that began last.
    pub fn job_key(&self) -> JobKey {
        JobKey {
            owner: self.current_owner.clone(),
            job: self.current.clone(),
        }
    }

    /// Whether what events call `hint` was begun, or never will be, as far as that is remembered.
    pub fn remembers(&self, hint: &str) -> bool {
        !hint.is_empty() && self.past.split(' ').any(|past| past == hint)
    }
}

impl JobStore {
    /// Looks up what is known of an object. To be read before S3 is asked what the object is.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::standing`].
    pub async fn head(&self, object: &Identity) -> Result<Option<Head>, Error> {
        let item = self.item(&object.head_key()).await;
        let item = item.map_err(|e| service_error("GetItem", &self.table, e))?;
        let head = item.map(|item| serde_json::from_value(Value::Object(attributes(&item))));
        head.transpose().map_err(|e| self.unreadable("GetItem", &e))
    }

    /// The object's last job that ended without having begun, if that is not published. Each event of the object does that first:
    /// another source's event of the same version may name the job otherwise, so that no event is left that would find it.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::standing`].
    pub async fn unpublished(&self, head: Option<&Head>) -> Result<Option<Job>, Error> {
        let Some((head, job)) = head.and_then(|head| Some((head, head.unbegun.clone()?))) else {
            return Ok(None);
        };
        let owner = head.current_owner.clone();
        let job = self.get(&JobKey { owner, job }).await?;
        Ok(job.filter(|job| !job.notified))
    }

    /// Begins the job of an object that is [`Standing::New`](super::store::Standing::New).
    ///
    /// # Errors
    ///
    /// [`Error::Service`] or [`Error::Throttled`] if the table does not do it.
    pub async fn begin(
        &self,
        object: &Identity,
        head: Option<&Head>,
        lease: &Lease,
    ) -> Result<Claim, Error> {
        let claim_id = random_id();
        let mut job = new_job(object);
        job.changes(lease.claimed(&claim_id));
        job.set("attempt", number(1));
        job.set("run", text(&claim_id));
        self.with_head(object, head, true, job).await?;
        // Also if only the answer was lost.
        let job = self.get(&object.job_key()).await?;
        let mine = job.filter(|job| job.claim_id.as_ref() == Some(&claim_id));
        Ok(mine.map_or(Claim::Changed, |job| Claim::Mine(Box::new(job))))
    }

    /// Ends a version of which no row was or will be read: it is not there any more, or, if there is an `error`, cannot be read.
    /// `None` if another importer was faster.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::begin`].
    pub async fn unbegun(
        &self,
        object: &Identity,
        head: Option<&Head>,
        reason: &str,
        error: Option<&Error>,
    ) -> Result<Option<Job>, Error> {
        let mut job = new_job(object);
        let transition = if error.is_some() {
            Transition::Refuse
        } else {
            Transition::Supersede
        };
        let fix = error
            .and_then(Error::fix)
            .unwrap_or("nothing if the new file has all rows; else upload those that are missing");
        let changes = Changes::none()
            .transition(transition)
            .text("ended_at", rfc3339(SystemTime::now()))
            .flag("notified", false)
            .text("code", error.map_or("changed", Error::code))
            .text("reason", reason)
            .text("fix", fix);
        job.changes(changes);
        job.set("attempt", number(0));
        if !self.with_head(object, head, false, job).await? {
            return Ok(None);
        }
        self.get(&object.job_key()).await
    }

    /// Takes a job up again that was given up, if no other has begun since. Says whether it was.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::standing`].
    pub(crate) async fn reopen(
        &self,
        object: &Identity,
        head: Option<&Head>,
    ) -> Result<bool, Error> {
        let key = object.job_key();
        if head.is_none_or(|head| head.job_key() != key) {
            return Ok(false);
        }
        let mut job = Update::default();
        let changes = [
            "ended_at",
            "code",
            "reason",
            "fix",
            "summary",
            "rejects",
            "publisher",
        ]
        .into_iter()
        .fold(Changes::none(), Changes::removed);
        let changes = changes
            .transition(Transition::Reopen)
            .flag("notified", false);
        job.changes(changes.flag("gave_up", false));
        let gave_up = format!(
            "{} = {}",
            job.name("gave_up"),
            job.value("was", AttributeValue::Bool(true))
        );
        let is_failed = job.is_in(Transition::Reopen.from());
        job.condition = Some(format!("{gave_up} AND {is_failed}"));
        self.with_head(object, head, true, job).await
    }

    /// Changes a job and its object's head together. `false` if one of them is not as it was.
    async fn with_head(
        &self,
        object: &Identity,
        head: Option<&Head>,
        is_current: bool,
        job: Update,
    ) -> Result<bool, Error> {
        let key = object.job_key();
        let mut next = Update::default();
        if is_current || head.is_none() {
            next.set("current_owner", text(&key.owner));
            next.set("current", text(&key.job));
            next.set("version", text(&object.version));
        }
        if !is_current {
            next.set("unbegun", text(&key.job));
        }
        // For people who look at the table.
        next.set("object", text(&object.url()));
        next.set("table", text(&object.table));
        let past = head.map_or("", |head| head.past.as_str()).split(' ');
        let past = past.filter(|past| *past != object.hint && !past.is_empty());
        let hint = Some(&*object.hint).filter(|hint| !hint.is_empty());
        let past: Vec<&str> = hint.into_iter().chain(past).take(PAST_MAX).collect();
        next.set("past", text(&past.join(" ")));
        let fence = next.name("fence");
        next.condition = Some(match head {
            Some(head) => format!("{fence} = {}", next.value("was", number(head.fence))),
            None => format!("attribute_not_exists({fence})"),
        });
        next.set("fence", number(head.map_or(1, |head| head.fence + 1)));
        let items = [(object.head_key(), next), (key, job)];
        let written = self
            .client
            .transact_write_items()
            .set_transact_items(Some(
                items.map(|(key, update)| self.item_of(&key, update)).into(),
            ))
            .send()
            .await;
        let Err(error) = written else {
            return Ok(true);
        };
        // https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
        if let SdkError::ServiceError(refused) = &error
            && let TransactWriteItemsError::TransactionCanceledException(cancelled) = refused.err()
            && cancelled.cancellation_reasons().iter().any(|reason| {
                matches!(
                    reason.code(),
                    Some("ConditionalCheckFailed" | "TransactionConflict")
                )
            })
        {
            return Ok(false);
        }
        Err(service_error("TransactWriteItems", &self.table, error))
    }

    fn item_of(&self, key: &JobKey, update: Update) -> TransactWriteItem {
        let update = SdkUpdate::builder()
            .table_name(&self.table)
            .key("owner", text(&key.owner))
            .key("job", text(&key.job))
            .update_expression(update.expression())
            .set_condition_expression(update.condition)
            .set_expression_attribute_names(Some(update.names))
            .set_expression_attribute_values(Some(update.values))
            .build();
        // Cannot fail: it has its table, key and expression.
        TransactWriteItem::builder().set_update(update.ok()).build()
    }
}

/// A job that does not exist yet, without anybody who has it.
fn new_job(object: &Identity) -> Update {
    let mut job = Update::default();
    for (name, value) in [
        ("bucket", &object.bucket),
        ("key", &object.key),
        ("table", &object.table),
        ("version", &object.version),
    ] {
        job.set(name, text(value));
    }
    // By this, uploads of one second are told apart.
    let now = rfc3339_milliseconds(SystemTime::now());
    job.set("created_at", text(&now));
    for count in COUNTS {
        job.set(count, number(0));
    }
    let name = job.name("job");
    job.condition = Some(format!("attribute_not_exists({name})"));
    job
}

pub(super) fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub(super) fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
