//! The ranges of a large job: jobs of their own in the same table, under an owner that is no person.

use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::types::AttributeValue;

use super::job::{Job, JobKey, Mode};
use super::states::{Status, Transition};
use super::store::JobStore;
use super::update::{Changes, Update, milliseconds, rfc3339};
use crate::aws::service_error;
use crate::error::Error;
use crate::progress::Counts;

/// How often the counters of a job are brought up to those of its ranges: that means looking at all of them.
const COUNTED_EVERY: Duration = Duration::from_secs(10);
/// For how long a job is held by those who import its ranges, unless one of them goes on with it.
pub(crate) const HELD: Duration = Duration::from_hours(24);

impl JobStore {
    /// All ranges of the job `job` that somebody has begun with, in the order of the file.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::claim`].
    pub async fn ranges(&self, job: &str) -> Result<Vec<Job>, Error> {
        let mut ranges = Vec::new();
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#owner = :owner")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":owner", AttributeValue::S(JobKey::range(job, 0).owner))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        while let Some(item) = pages.next().await {
            let item = item.map_err(|e| service_error("Query", &self.table, e))?;
            ranges.push(self.parse("Query", &item)?);
        }
        Ok(ranges)
    }

    /// Says how a job is imported. What was said first holds: it is in the job that is given.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::change`].
    pub(crate) async fn plan(
        &self,
        job: &Job,
        mode: Mode,
        range_bytes: u64,
        changes: Changes,
    ) -> Result<Job, Error> {
        let mut update = Update::default();
        update.changes(changes);
        update.set_once("mode", AttributeValue::S(mode.name().to_owned()));
        update.set_once("range_bytes", AttributeValue::N(range_bytes.to_string()));
        let attempt = update.name("attempt");
        let mine = update.value("attempt", AttributeValue::N(job.attempt.to_string()));
        let condition = format!("{attempt} = {mine}");
        let key = job.job_key();
        let updated = self.update(&key, update, Some(condition)).await?;
        let updated = updated.map_err(|_| Error::LeaseLost)?;
        Ok(updated.job)
    }

    /// Notes that a range of a job has failed, unless one before it has: then that holds.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::claim`].
    pub(crate) async fn range_failed(&self, parent: &JobKey, number: u32) -> Result<(), Error> {
        let mut update = Update::default();
        update.set("failed_range", AttributeValue::N(number.to_string()));
        let (failed, job) = (update.name("failed_range"), update.name("job"));
        let condition = format!(
            "attribute_exists({job}) AND (attribute_not_exists({failed}) OR {failed} > :failed_range)"
        );
        self.update(parent, update, Some(condition)).await?.ok();
        Ok(())
    }

    /// Brings the counters of a job up to those of its ranges, and keeps it claimed, unless that was done a moment ago or it
    /// has ended.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::claim`].
    pub(crate) async fn add_up(&self, parent: &Job) -> Result<(), Error> {
        let now = SystemTime::now();
        // Times of one form are in the order of their text.
        if parent.updated_at > rfc3339(now - COUNTED_EVERY) {
            return Ok(());
        }
        // Many workers see at once that it is time. One of them does it.
        let key = parent.job_key();
        let mut update = Update::default();
        update.changes(Changes::none());
        update.set(
            "lease_until",
            AttributeValue::N(milliseconds(now + HELD).to_string()),
        );
        let seen = AttributeValue::S(parent.updated_at.clone());
        let condition = format!(
            "{} AND #updated_at = {}",
            update.is_in(&[Status::Running]),
            update.value("seen", seen)
        );
        if self.update(&key, update, Some(condition)).await?.is_err() {
            return Ok(());
        }
        let ranges = self.ranges(&parent.job).await?;
        let mut update = Update::default();
        update.changes(Changes::none().counts(&total(&ranges)));
        let condition = update.is_in(&[Status::Running]);
        self.update(&key, update, Some(condition)).await?.ok();
        Ok(())
    }

    /// Takes a job up again that was given up. Tells whether it was.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::claim`].
    pub(crate) async fn reopen(&self, key: &JobKey) -> Result<bool, Error> {
        let mut update = Update::default();
        let changes = ["ended_at", "reason", "fix", "summary", "rejects"]
            .into_iter()
            .fold(Changes::none(), Changes::removed);
        let changes = changes.transition(Transition::Reopen);
        update.changes(changes.flag("notified", false));
        update.set("gave_up", AttributeValue::Bool(false));
        let gave_up = update.name("gave_up");
        let condition = format!(
            "{gave_up} = {} AND {}",
            update.value("was", AttributeValue::Bool(true)),
            update.is_in(Transition::Reopen.from())
        );
        Ok(self.update(key, update, Some(condition)).await?.is_ok())
    }
}

/// The counters of jobs, added up.
pub(crate) fn total<'a>(jobs: impl IntoIterator<Item = &'a Job>) -> Counts {
    let mut total = Counts::default();
    for job in jobs {
        total += job.counts;
    }
    total
}
