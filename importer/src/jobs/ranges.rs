//! The ranges of a large job: jobs of their own in the same table, under an owner that is no person.

use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::types::AttributeValue;

use super::head::{number, text};
use super::identity::JobKey;
use super::job::{Job, Mode};
use super::states::{Status, Transition};
use super::store::JobStore;
use super::update::{COUNTS, Changes, Update, milliseconds, rfc3339};
use crate::aws::service_error;
use crate::error::Error;
use crate::progress::Counts;

/// How often the counters of a job are brought up to those of its ranges: that means looking at all of them.
const COUNTED_EVERY: Duration = Duration::from_secs(10);
/// For how long a large job is held by a state machine without a step of it being taken: the longest pause before it tries one
/// again is five minutes (`sam/import_large.asl.json`).
pub(crate) const HELD: Duration = Duration::from_mins(8);

impl JobStore {
    /// All ranges of a job that were begun with, in the order of the file.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::standing`].
    pub async fn ranges(&self, job: &Job) -> Result<Vec<Job>, Error> {
        let mut ranges = Vec::new();
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#owner = :owner")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":owner", AttributeValue::S(job.range_key(0).owner))
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
        update.set("mode", text(job.mode.unwrap_or(mode).name()));
        update.set(
            "range_bytes",
            number(job.range_bytes.unwrap_or(range_bytes)),
        );
        update.add_one("saves");
        let attempt = update.name("attempt");
        let mine = update.value("attempt", number(u64::from(job.attempt)));
        let is_open = update.is_in(Status::OPEN);
        update.condition = Some(format!("{attempt} = {mine} AND {is_open}"));
        let updated = self.update(&job.job_key(), update).await?;
        let updated = updated.map_err(|_| Error::LeaseLost)?;
        Ok(updated.job)
    }

    /// A range that does not exist yet, claimed.
    pub(super) fn new_range(parent: &Job, claimed: Changes) -> Update {
        let mut range = Update::default();
        range.changes(claimed);
        for (name, value) in [
            ("bucket", &parent.bucket),
            ("key", &parent.key),
            ("table", &parent.table),
        ] {
            range.set(name, text(value));
        }
        range.set("created_at", text(&rfc3339(SystemTime::now())));
        for count in COUNTS {
            range.set(count, number(0));
        }
        range.set("attempt", number(1));
        let name = range.name("job");
        range.condition = Some(format!("attribute_not_exists({name})"));
        range
    }

    /// Notes that a range of a job has failed, unless one before it has: then that holds.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::standing`].
    pub(crate) async fn range_failed(&self, parent: &JobKey, range: u32) -> Result<(), Error> {
        let mut update = Update::default();
        update.set("failed_range", number(u64::from(range)));
        let failed = update.name("failed_range");
        let is_open = update.is_in(Status::OPEN);
        update.condition = Some(format!(
            "{is_open} AND (attribute_not_exists({failed}) OR {failed} > :failed_range)"
        ));
        self.update(parent, update).await?.ok();
        Ok(())
    }

    /// Brings the counters of a job up to those of its ranges, and keeps it claimed, unless that was done a moment ago or it
    /// has ended.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::standing`].
    pub(crate) async fn add_up(&self, parent: &Job) -> Result<(), Error> {
        let now = SystemTime::now();
        // Times of one form are in the order of their text.
        if parent.updated_at > rfc3339(now - COUNTED_EVERY) {
            return Ok(());
        }
        // Many workers see at once that it is time. One of them does it.
        let mut update = Update::default();
        update.changes(Changes::none());
        update.set("lease_until", number(milliseconds(now + parent.lease())));
        update.add_one("saves");
        let seen = update.value("seen", text(&parent.updated_at));
        let is_running = update.is_in(&[Status::Running]);
        update.condition = Some(format!("{is_running} AND #updated_at = {seen}"));
        if self.update(&parent.job_key(), update).await?.is_err() {
            return Ok(());
        }
        let ranges = self.ranges(parent).await?;
        let mut update = Update::default();
        update.changes(Changes::none().counts(&total(ranges.iter().map(|range| range.counts))));
        update.condition = Some(update.is_in(&[Status::Running]));
        self.update(&parent.job_key(), update).await?.ok();
        Ok(())
    }

    /// Lets go of a large job whose steps `executor` has taken, so that the next one need not wait for the lease. Says whether
    /// it was `executor`'s.
    ///
    /// # Errors
    ///
    /// As for [`JobStore::standing`].
    pub async fn let_go(&self, key: &JobKey, executor: &str) -> Result<bool, Error> {
        let mut update = Update::default();
        update.changes(Changes::none().transition(Transition::Release));
        update.add_one("saves");
        let holder = update.name("lease_holder");
        let mine = update.value("holder", text(executor));
        let is_running = update.is_in(Transition::Release.from());
        update.condition = Some(format!("{holder} = {mine} AND {is_running}"));
        Ok(self.update(key, update).await?.is_ok())
    }

    /// Renews the lease of a large job whose steps the caller has taken.
    ///
    /// # Errors
    ///
    /// [`Error::LeaseLost`] if another has claimed it or it has ended, else as for [`JobStore::standing`].
    pub async fn renew(&self, job: &Job) -> Result<(), Error> {
        self.change(job, Changes::default()).await.map(drop)
    }
}

/// Counters, added up.
pub(crate) fn total(all: impl IntoIterator<Item = Counts>) -> Counts {
    let mut total = Counts::default();
    for counts in all {
        total += counts;
    }
    total
}
