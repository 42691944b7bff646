//! The jobs of uploaded files, looked up as a person names them.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use importer::Error;
use importer::import::Object;
use importer::jobs::{Job, JobKey, JobStore, NOBODY, attributes};
use serde_json::Value;

use crate::aws::Clients;
use crate::input::Input;
use crate::terminal::{Failure, causes, tell};

/// Names the table of jobs, for the function as for the commands.
const TABLE_VARIABLE: &str = "INTAKE_JOBS_TABLE";
/// The table of jobs unless another is named.
pub const TABLE: &str = "ImportJobs";

/// How long an object's event may take to arrive: seconds as a rule.
const EVENT_LIMIT: Duration = Duration::from_mins(1);
const EVENT_INTERVAL: Duration = Duration::from_secs(1);

/// Leaves out items that are not jobs: the notifier keeps its budget in the same table, and importers their shares of the
/// write cap.
const JOBS_ONLY: &str = "#owner <> :notifier AND NOT begins_with(#owner, :cap) AND NOT begins_with(#owner, :ranges) AND NOT begins_with(#owner, :object)";

/// [`JOBS_ONLY`]'s values. A range is a job, but only a part of one that people know.
fn jobs_only() -> HashMap<String, AttributeValue> {
    [
        (":notifier", "notifier"),
        (":cap", "cap/"),
        (":ranges", "ranges/"),
        (":object", "object/"),
    ]
    .into_iter()
    .map(|(name, owner)| (name.to_owned(), AttributeValue::S(owner.to_owned())))
    .collect()
}

/// The table of jobs that the environment names.
pub fn table_from_environment() -> Option<String> {
    let table = std::env::var(TABLE_VARIABLE).ok();
    table.filter(|table| !table.is_empty())
}

/// The table of jobs where no argument names one.
pub fn default_table() -> String {
    table_from_environment().unwrap_or_else(|| TABLE.to_owned())
}

/// What only the importer can use, to continue an import.
const OPAQUE: &str = "checkpoint";

/// A job as it is typed.
///
/// # Examples
///
/// ```
/// use intake::jobs::JobSelector;
///
/// let newest: JobSelector = "s3://my-bucket/uploads/catalog.csv".parse().unwrap();
/// assert!(matches!(newest, JobSelector::NewestOf { .. }));
/// let one: JobSelector = "20261123T101500000Z-0123456789abcdef".parse().unwrap();
/// assert!(matches!(one, JobSelector::Named(_)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobSelector {
    /// The job of this name.
    Named(String),
    /// The newest job of an object, typed as `s3://bucket/key`.
    NewestOf {
        /// The bucket's name.
        bucket: String,
        /// The object's key, unencoded.
        key: String,
    },
}

impl FromStr for JobSelector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse()? {
            Input::Object { bucket, key } => Ok(Self::NewestOf { bucket, key }),
            Input::Stdin | Input::File(_) if text.is_empty() => {
                Err("a job's name has at least one character".to_owned())
            }
            Input::Stdin | Input::File(_) => Ok(Self::Named(text.to_owned())),
        }
    }
}

/// A job with its item in the table.
#[derive(Clone, Debug, PartialEq)]
pub struct JobItem {
    /// The job.
    pub job: Job,
    /// Its attributes as they stand in the table, without those that only the importer can use.
    pub attributes: Value,
}

/// Items of the table of jobs that are not jobs.
#[derive(Default)]
struct Unreadable {
    count: usize,
    first: Option<Failure>,
}

impl Unreadable {
    /// The job, if it is one: an item that is none must not hide all others.
    fn left_out(&mut self, job: Result<JobItem, Failure>) -> Option<JobItem> {
        job.map_err(|failure| {
            self.count += 1;
            self.first.get_or_insert(failure);
        })
        .ok()
    }

    /// The jobs that were found, unless no item can be read.
    fn end(self, found: Vec<JobItem>) -> Result<Vec<JobItem>, Failure> {
        match self.first {
            Some(failure) if found.is_empty() => Err(failure),
            Some(first) => {
                let (count, first) = (self.count, first.message());
                tell(format!(
                    "left out items that are not jobs: {count}; the first: {first}"
                ));
                Ok(found)
            }
            None => Ok(found),
        }
    }
}

/// The table of jobs.
#[derive(Clone, Debug)]
pub struct Jobs {
    config: SdkConfig,
    client: Client,
    s3: aws_sdk_s3::Client,
    table: String,
    owner: Option<String>,
    options: String,
}

impl Jobs {
    /// The jobs in `table`, only those of `owner` if there is one. `options` is what commands need to find the same table.
    pub fn new(clients: &Clients, table: String, owner: Option<String>, options: String) -> Self {
        Self {
            config: clients.config.clone(),
            client: clients.dynamodb.clone(),
            s3: clients.s3.clone(),
            table,
            owner,
            options,
        }
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// What its clients are made of.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// The command that shows `job`, for people to copy.
    pub fn status_command(&self, job: &str) -> String {
        format!("intake status {job}{}", self.options)
    }

    /// The same table as the importer sees it.
    pub fn store(&self) -> JobStore {
        JobStore::new(self.client.clone(), self.table.clone())
    }

    /// At most `limit` jobs, newest first. Without an owner all of the table is read: it is sorted within owners only.
    ///
    /// # Errors
    ///
    /// The table does not exist, may not be read, or holds no jobs.
    pub async fn newest(&self, limit: usize) -> Result<Vec<JobItem>, Failure> {
        let Some(owner) = &self.owner else {
            return self.newest_of_all(limit).await;
        };
        let mut items = self.of_owner(owner).into_paginator().items().send();
        let (mut found, mut unreadable) = (Vec::new(), Unreadable::default());
        while found.len() < limit
            && let Some(item) = items.next().await
        {
            let item = item.map_err(|e| self.failure("Query", &e))?;
            found.extend(unreadable.left_out(self.parse(&item)));
        }
        found.sort_by(|a, b| b.job.by_time(&a.job));
        unreadable.end(found)
    }

    async fn newest_of_all(&self, limit: usize) -> Result<Vec<JobItem>, Failure> {
        let scan = self
            .client
            .scan()
            .table_name(&self.table)
            .filter_expression(JOBS_ONLY)
            .expression_attribute_names("#owner", "owner")
            .set_expression_attribute_values(Some(jobs_only()));
        let mut pages = scan.into_paginator().send();
        let (mut found, mut unreadable) = (Vec::new(), Unreadable::default());
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| self.failure("Scan", &e))?;
            for item in page.items() {
                found.extend(unreadable.left_out(self.parse(item)));
            }
            // Names are in the order of the uploads' times.
            found.sort_by(|a: &JobItem, b| b.job.by_time(&a.job));
            found.truncate(limit);
        }
        unreadable.end(found)
    }

    /// The job of this name, or the newest one of this object.
    ///
    /// # Errors
    ///
    /// There is no such job, or as for [`Jobs::newest`].
    pub async fn find(&self, selector: &JobSelector) -> Result<JobItem, Failure> {
        let found = match selector {
            JobSelector::Named(job) => self.named(job).await?,
            JobSelector::NewestOf { bucket, key } => self.newest_of(bucket, key).await?,
        };
        found.ok_or_else(|| self.not_found(selector))
    }

    /// The same; of an object, the job that imports it as it is now. It may have been uploaded a moment ago, so that its
    /// event has yet to come.
    ///
    /// # Errors
    ///
    /// As for [`Jobs::find`], after a while.
    pub async fn await_current(&self, selector: &JobSelector) -> Result<JobItem, Failure> {
        let JobSelector::NewestOf { bucket, key } = selector else {
            return self.find(selector).await;
        };
        let object = Object::head(&self.s3, bucket, key).await;
        let patience = match &object {
            // Nothing is there whose event could come.
            Err(Error::Object { .. }) => Duration::ZERO,
            Ok(_) | Err(_) => EVENT_LIMIT,
        };
        // Who may not read the object, or has deleted it, gets its newest job.
        let etag = object.ok().and_then(|object| object.etag);
        let is_current = |JobItem { job, .. }: &JobItem| match &etag {
            // A job that has just begun does not know it yet.
            Some(_) if job.etag.is_none() => !job.status.is_ended(),
            Some(_) => job.etag == etag,
            None => true,
        };
        let give_up_at = Instant::now() + patience;
        let mut is_announced = false;
        loop {
            let found = self.newest_of(bucket, key).await?;
            let is_over = Instant::now() >= give_up_at;
            match found {
                Some(found) if is_current(&found) => return Ok(found),
                Some(found) if is_over => {
                    tell("no job of the object as it is now has begun: this is the newest one");
                    return Ok(found);
                }
                None if is_over => return Err(self.not_found(selector)),
                _ if is_announced => {}
                _ => {
                    let url = rows::prose(&format!("s3://{bucket}/{key}"));
                    tell(format!("waiting for the event of {url}"));
                    is_announced = true;
                }
            }
            tokio::time::sleep(EVENT_INTERVAL).await;
        }
    }

    async fn named(&self, job: &str) -> Result<Option<JobItem>, Failure> {
        let owner = self.owner.as_deref().unwrap_or(NOBODY);
        let key = JobKey {
            owner: owner.to_owned(),
            job: job.to_owned(),
        };
        let found = self.get(&key).await?;
        if found.is_some() || self.owner.is_some() {
            return Ok(found);
        }
        // Of whichever owner: only reading them all tells.
        let scan = self.client.scan().table_name(&self.table);
        let mut items = scan
            .filter_expression(format!("#job = :job AND {JOBS_ONLY}"))
            .expression_attribute_names("#job", "job")
            .expression_attribute_names("#owner", "owner")
            .set_expression_attribute_values(Some(jobs_only()))
            .expression_attribute_values(":job", AttributeValue::S(job.to_owned()))
            .into_paginator()
            .items()
            .send();
        let item = items.next().await.transpose();
        let item = item.map_err(|e| self.failure("Scan", &e))?;
        item.map(|item| self.parse(&item)).transpose()
    }

    async fn newest_of(&self, bucket: &str, key: &str) -> Result<Option<JobItem>, Failure> {
        let owner = self.owner.as_deref();
        let owner = owner.unwrap_or_else(|| JobKey::owner_of(key));
        let mut items = self
            .of_owner(owner)
            .filter_expression("#bucket = :bucket AND #key = :key")
            .expression_attribute_names("#bucket", "bucket")
            .expression_attribute_names("#key", "key")
            .expression_attribute_values(":bucket", AttributeValue::S(bucket.to_owned()))
            .expression_attribute_values(":key", AttributeValue::S(key.to_owned()))
            .into_paginator()
            .items()
            .send();
        let item = items.next().await.transpose();
        let item = item.map_err(|e| self.failure("Query", &e))?;
        item.map(|item| self.parse(&item)).transpose()
    }

    /// The job of this key, as of now.
    ///
    /// # Errors
    ///
    /// As for [`Jobs::newest`].
    pub async fn get(&self, key: &JobKey) -> Result<Option<JobItem>, Failure> {
        let item = self.store().item(key).await;
        let item = item.map_err(|e| self.failure("GetItem", &e))?;
        item.map(|item| self.parse(&item)).transpose()
    }

    /// The jobs of an owner, newest first.
    fn of_owner(
        &self,
        owner: &str,
    ) -> aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#owner = :owner")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":owner", AttributeValue::S(owner.to_owned()))
            .scan_index_forward(false)
    }

    fn parse(&self, item: &HashMap<String, AttributeValue>) -> Result<JobItem, Failure> {
        let mut attributes = attributes(item);
        let job = serde_json::from_value(Value::Object(attributes.clone())).map_err(|error| {
            let table = &self.table;
            let item = match attributes.get("job").and_then(Value::as_str) {
                Some(name) => format!("item {}", rows::prose(name)),
                None => "an item".to_owned(),
            };
            Failure::new(format!("{item} of table {table} is not a job ({error})"))
                .fix("name the table of jobs with --jobs-table, or in INTAKE_JOBS_TABLE")
        })?;
        attributes.remove(OPAQUE);
        Ok(JobItem {
            job,
            attributes: Value::Object(attributes),
        })
    }

    fn not_found(&self, selector: &JobSelector) -> Failure {
        let of_owner = match &self.owner {
            Some(owner) => format!(" of owner {owner}"),
            None => String::new(),
        };
        let table = &self.table;
        match selector {
            JobSelector::Named(job) => {
                Failure::new(format!("there is no job {job}{of_owner} in table {table}")).fix(
                    "see which there are with: intake status; they are kept for 90 days after their end",
                )
            }
            JobSelector::NewestOf { bucket, key } => Failure::new(format!(
                "there is no job{of_owner} for s3://{bucket}/{key} in table {table}"
            ))
            .fix(
                "check bucket and key, and that the bucket tells the importer of objects there; if it was uploaded just \
                 now, --watch waits for its event",
            ),
        }
    }

    fn failure<E>(
        &self,
        operation: &str,
        error: &SdkError<E, aws_sdk_dynamodb::config::http::HttpResponse>,
    ) -> Failure
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let table = &self.table;
        match error.code() {
            Some("ResourceNotFoundException") => {
                Failure::new(format!("the table of jobs {table} does not exist")).fix(concat!(
                    "check --jobs-table (INTAKE_JOBS_TABLE), AWS_REGION and AWS_PROFILE",
                    if_local!("; --local is for the local stack")
                ))
            }
            Some("AccessDeniedException") => {
                Failure::new(format!("the table of jobs {table} may not be read")).fix(format!(
                    "allow dynamodb:{operation} on it for these credentials"
                ))
            }
            Some(code) => {
                let message = error.message().unwrap_or_default();
                Failure::new(format!(
                    "cannot read the table of jobs {table}: {code}: {message}"
                ))
                .fix("name the table of jobs with --jobs-table, or in INTAKE_JOBS_TABLE")
            }
            None => Failure::new(format!(
                "cannot read the table of jobs {table}: {}",
                causes(error)
            ))
            .fix("check the network, AWS_REGION and any AWS_ENDPOINT_URL"),
        }
    }
}
