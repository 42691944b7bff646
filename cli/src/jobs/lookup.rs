//! The jobs of uploaded files, looked up as a person names them.

mod text;

use std::collections::HashMap;
use std::str::FromStr;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use importer::error::Error;
use importer::event::ObjectCreated;
use importer::jobs::store::JobStore;
use importer::jobs::{Job, JobKey, NOBODY};
use importer::source::Object;
use serde_json::{Map, Value};

use crate::args::JobsArgs;
use crate::aws::Clients;
use crate::input::Input;
use crate::outcome::{Failure, causes, tell};
use crate::stack;

pub use text::{average_rates, counts, describe, is_at_work, list, ranges};

/// Names the table of jobs, for the function as for the commands.
pub(crate) const TABLE_VARIABLE: &str = "INTAKE_JOBS_TABLE";
/// What the table of jobs is called if nobody names another.
pub(crate) const TABLE: &str = "ImportJobs";

/// How long an object's event may take to arrive: seconds as a rule.
const EVENT_LIMIT: Duration = Duration::from_mins(1);
const EVENT_INTERVAL: Duration = Duration::from_secs(1);

/// Whose items are no jobs: the notifier keeps its budget in the same table, and importers their shares of the write cap.
const NO_JOBS: &str =
    "#owner <> :notifier AND NOT begins_with(#owner, :cap) AND NOT begins_with(#owner, :ranges)";

/// [`NO_JOBS`]'s values. A range is a job, but part of one that people know.
fn no_jobs() -> HashMap<String, AttributeValue> {
    [
        (":notifier", "notifier"),
        (":cap", "cap/"),
        (":ranges", "ranges/"),
    ]
    .into_iter()
    .map(|(name, owner)| (name.to_owned(), AttributeValue::S(owner.to_owned())))
    .collect()
}

/// What the importer needs to go on, and is of no use to anybody else.
const OPAQUE: &str = "checkpoint";

/// A job as it is typed.
///
/// # Examples
///
/// ```
/// use intake::jobs::Wanted;
///
/// let newest: Wanted = "s3://my-bucket/uploads/catalog.csv".parse().unwrap();
/// assert!(matches!(newest, Wanted::NewestOf { .. }));
/// let one: Wanted = "20261123T101500000Z-0123456789abcdef".parse().unwrap();
/// assert!(matches!(one, Wanted::Named(_)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
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

impl FromStr for Wanted {
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

/// A job that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The job.
    pub job: Job,
    /// Its attributes as they stand in the table, without what only the importer understands.
    pub attributes: Value,
}

/// The table of jobs.
#[derive(Clone, Debug)]
pub struct Jobs {
    client: Client,
    s3: aws_sdk_s3::Client,
    table: String,
    owner: Option<String>,
    /// What another command is to be called with to find the same jobs.
    same_options: String,
}

impl Jobs {
    /// The jobs in the caller's table, or those of the local stack that is running.
    ///
    /// # Errors
    ///
    /// There are no credentials, no Region, or no local stack.
    pub async fn open(args: &JobsArgs) -> Result<Self, Failure> {
        let named = args.jobs_table.clone();
        let (clients, table) = if args.local {
            let endpoints = stack::running().ok_or_else(|| {
                Failure::new("no local stack is running, so there are no jobs")
                    .fix("keep one up in another terminal with: intake local")
            })?;
            let table = named.unwrap_or_else(|| endpoints.jobs_table.clone());
            (Clients::for_local(&endpoints), table)
        } else {
            let set = || {
                let value = std::env::var(TABLE_VARIABLE).ok();
                value.filter(|value| !value.is_empty())
            };
            let table = named.or_else(set).unwrap_or_else(|| TABLE.to_owned());
            (Clients::from_environment().await?, table)
        };
        let local = if args.local { " --local" } else { "" };
        let same_options = match &args.jobs_table {
            Some(table) => format!("{local} --jobs-table {table}"),
            None => local.to_owned(),
        };
        Ok(Self {
            same_options,
            ..Self::new(&clients, table, args.owner.clone())
        })
    }

    /// The jobs in `table`, only those of `owner` if there is one.
    pub fn new(clients: &Clients, table: String, owner: Option<String>) -> Self {
        Self {
            client: clients.dynamodb.clone(),
            s3: clients.s3.clone(),
            table,
            owner,
            same_options: String::new(),
        }
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The command that shows `job`, for people to copy.
    pub fn status_command(&self, job: &str) -> String {
        format!("intake status {job}{}", self.same_options)
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
    pub async fn newest(&self, limit: usize) -> Result<Vec<Found>, Failure> {
        let Some(owner) = &self.owner else {
            return self.newest_of_all(limit).await;
        };
        let mut items = self.of_owner(owner).into_paginator().items().send();
        let mut found = Vec::new();
        while found.len() < limit
            && let Some(item) = items.next().await
        {
            found.push(self.parse(&item.map_err(|e| self.failure("Query", &e))?)?);
        }
        Ok(found)
    }

    async fn newest_of_all(&self, limit: usize) -> Result<Vec<Found>, Failure> {
        let scan = self
            .client
            .scan()
            .table_name(&self.table)
            .filter_expression(NO_JOBS)
            .expression_attribute_names("#owner", "owner")
            .set_expression_attribute_values(Some(no_jobs()));
        let mut pages = scan.into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| self.failure("Scan", &e))?;
            for item in page.items() {
                found.push(self.parse(item)?);
            }
            // Names are in the order of the uploads' times.
            found.sort_by(|a: &Found, b| b.job.job.cmp(&a.job.job));
            found.truncate(limit);
        }
        Ok(found)
    }

    /// The job that is wanted.
    ///
    /// # Errors
    ///
    /// There is no such job, or as for [`Jobs::newest`].
    pub async fn find(&self, wanted: &Wanted) -> Result<Found, Failure> {
        let found = match wanted {
            Wanted::Named(job) => self.named(job).await?,
            Wanted::NewestOf { bucket, key } => self.newest_of(bucket, key).await?,
        };
        found.ok_or_else(|| self.none(wanted))
    }

    /// The job that is wanted. That of an object is the one that imports it as it is now: it may have been uploaded a
    /// moment ago, so that its event has yet to come.
    ///
    /// # Errors
    ///
    /// As for [`Jobs::find`], after a while.
    pub async fn await_current(&self, wanted: &Wanted) -> Result<Found, Failure> {
        let Wanted::NewestOf { bucket, key } = wanted else {
            return self.find(wanted).await;
        };
        let object = Object::head(&self.s3, bucket, key).await;
        let patience = match &object {
            // Nothing is there whose event could come.
            Err(Error::Object { .. }) => Duration::ZERO,
            Ok(_) | Err(_) => EVENT_LIMIT,
        };
        // Who may not read the object, or has deleted it, gets its newest job.
        let etag = object.ok().and_then(|object| object.etag);
        let is_current = |Found { job, .. }: &Found| match &etag {
            // A job that has just begun does not know it yet.
            Some(_) if job.etag.is_none() => !job.status.is_ended(),
            Some(_) => job.etag == etag,
            None => true,
        };
        let give_up_at = Instant::now() + patience;
        let mut has_told = false;
        loop {
            let found = self.newest_of(bucket, key).await?;
            let is_over = Instant::now() >= give_up_at;
            match found {
                Some(found) if is_current(&found) => return Ok(found),
                Some(found) if is_over => {
                    tell("no job of the object as it is now has begun: this is the newest one");
                    return Ok(found);
                }
                None if is_over => return Err(self.none(wanted)),
                _ if has_told => {}
                _ => {
                    tell(format!("waiting for the event of s3://{bucket}/{key}"));
                    has_told = true;
                }
            }
            tokio::time::sleep(EVENT_INTERVAL).await;
        }
    }

    async fn named(&self, job: &str) -> Result<Option<Found>, Failure> {
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
            .filter_expression(format!("#job = :job AND {NO_JOBS}"))
            .expression_attribute_names("#job", "job")
            .expression_attribute_names("#owner", "owner")
            .set_expression_attribute_values(Some(no_jobs()))
            .expression_attribute_values(":job", AttributeValue::S(job.to_owned()))
            .into_paginator()
            .items()
            .send();
        let item = items.next().await.transpose();
        let item = item.map_err(|e| self.failure("Scan", &e))?;
        item.map(|item| self.parse(&item)).transpose()
    }

    async fn newest_of(&self, bucket: &str, key: &str) -> Result<Option<Found>, Failure> {
        let object = ObjectCreated {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            version_id: None,
            etag: None,
            sequencer: None,
            time: None,
        };
        let owner = JobKey::of(&object).owner;
        let mut items = self
            .of_owner(self.owner.as_ref().unwrap_or(&owner))
            .filter_expression("#bucket = :bucket AND #key = :key")
            .expression_attribute_names("#bucket", "bucket")
            .expression_attribute_names("#key", "key")
            .expression_attribute_values(":bucket", AttributeValue::S(object.bucket))
            .expression_attribute_values(":key", AttributeValue::S(object.key))
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
    pub async fn get(&self, key: &JobKey) -> Result<Option<Found>, Failure> {
        let got = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("owner", AttributeValue::S(key.owner.clone()))
            .key("job", AttributeValue::S(key.job.clone()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| self.failure("GetItem", &e))?;
        got.item().map(|item| self.parse(item)).transpose()
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

    fn parse(&self, item: &HashMap<String, AttributeValue>) -> Result<Found, Failure> {
        let mut attributes = scalars(item);
        let job = serde_json::from_value(Value::Object(attributes.clone())).map_err(|error| {
            let table = &self.table;
            Failure::new(format!("an item of table {table} is not a job ({error})"))
                .fix("name the table of jobs with --jobs-table, or in INTAKE_JOBS_TABLE")
        })?;
        attributes.remove(OPAQUE);
        Ok(Found {
            job,
            attributes: Value::Object(attributes),
        })
    }

    fn none(&self, wanted: &Wanted) -> Failure {
        let of_owner = match &self.owner {
            Some(owner) => format!(" of owner {owner}"),
            None => String::new(),
        };
        let table = &self.table;
        match wanted {
            Wanted::Named(job) => {
                Failure::new(format!("there is no job {job}{of_owner} in table {table}")).fix(
                    "see which there are with: intake status; they are kept for 90 days after their end",
                )
            }
            Wanted::NewestOf { bucket, key } => Failure::new(format!(
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
                Failure::new(format!("the table of jobs {table} does not exist"))
                    .fix("check --jobs-table (INTAKE_JOBS_TABLE), AWS_REGION and AWS_PROFILE; --local is for the local stack")
            }
            Some("AccessDeniedException") => {
                Failure::new(format!("the table of jobs {table} may not be read"))
                    .fix(format!("allow dynamodb:{operation} on it for these credentials"))
            }
            Some(code) => {
                let message = error.message().unwrap_or_default();
                Failure::new(format!("cannot read the table of jobs {table}: {code}: {message}"))
                    .fix("name the table of jobs with --jobs-table, or in INTAKE_JOBS_TABLE")
            }
            None => Failure::new(format!("cannot read the table of jobs {table}: {}", causes(error)))
                .fix("check the network, AWS_REGION and any AWS_ENDPOINT_URL"),
        }
    }
}

/// The attributes of an item that are text, numbers or flags: those of a job.
fn scalars(item: &HashMap<String, AttributeValue>) -> Map<String, Value> {
    let scalar = |value: &AttributeValue| match value {
        AttributeValue::S(text) => Some(Value::String(text.clone())),
        AttributeValue::N(digits) => serde_json::from_str(digits).ok(),
        AttributeValue::Bool(flag) => Some(Value::Bool(*flag)),
        _ => None,
    };
    item.iter()
        .filter_map(|(name, value)| Some((name.clone(), scalar(value)?)))
        .collect()
}
