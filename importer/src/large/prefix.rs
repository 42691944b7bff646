//! Every object under a prefix: a list of them for the state machine, which imports each as it imports any object, and what came
//! of it.

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::documents::StepDocuments;
use super::finish::{GaveUp, end, summary_of};
use super::plan::{LOOKS_MAX, Plan, Planned, answer, claim, or_fail};
use crate::aws::service_error;
use crate::error::Error;
use crate::event::{ObjectCreated, companion};
use crate::function::Context;
use crate::import::Object;
use crate::import::object_writer::{NDJSON, put_object};
use crate::import::summary::{self, Failure};
use crate::jobs::{Changes, Identity, Job, JobKey, Mode, Status};
use crate::table;

/// Most objects under a prefix: the list of more would not fit into the function's memory.
const OBJECTS_MAX: usize = 100_000;
/// Jobs that are looked up at once.
const JOBS_AHEAD: usize = 32;

/// An object in the state machine's list.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Listed {
    bucket: String,
    key: String,
    etag: Option<String>,
    /// When it was put, in RFC 3339.
    time: Option<String>,
    /// Whether to import it though it was imported before.
    #[serde(skip_serializing_if = "Option::is_none")]
    again: Option<bool>,
}

impl Listed {
    fn created(&self) -> ObjectCreated {
        ObjectCreated {
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            version_id: None,
            etag: self.etag.clone(),
            sequencer: None,
            time: self.time.clone(),
            seen: None,
        }
    }

    /// The job that has imported the listed version, if that was the last one.
    async fn job(&self, context: &Context, table_id: &str) -> Result<Option<Job>, Error> {
        let created = self.created();
        let event = Identity::of_event(&created, table_id, &context.config.table);
        let job = match context.jobs.head(&event).await? {
            Some(head) => context.jobs.get(&head.job_key()).await?,
            None => context.jobs.get(&JobKey::legacy(&created)).await?,
        };
        let is_listed =
            |job: &Job| job.etag == self.etag || job.version.as_deref() == Some(&*event.version);
        match job.filter(is_listed) {
            Some(job) => Ok(Some(job)),
            // It was replaced before it was imported.
            None => context.jobs.get(&event.job_key()).await,
        }
    }
}

/// Plans every object under a prefix. The job is the executor's: what is put or removed under the prefix meanwhile is another
/// import's.
pub(super) async fn plan(
    context: &Context,
    plan: &Plan,
    prefix: &str,
    deadline: Instant,
) -> Result<Value, Error> {
    for _ in 0..LOOKS_MAX {
        let (_, table_id) = table::identify(&context.dynamodb, &context.config.table).await?;
        let identity = Identity {
            table_id,
            table: context.config.table.clone(),
            bucket: plan.bucket.clone(),
            key: prefix.to_owned(),
            version: format!("prefix/{}", plan.executor()),
            hint: String::new(),
            time: plan.started.clone(),
            legacy: None,
            again: None,
        };
        let head = context.jobs.head(&identity).await?;
        let Some(planned) = claim(context, plan, deadline, &identity, head.as_ref()).await? else {
            continue;
        };
        let job = match planned {
            Planned::Mine(job) => job,
            Planned::Answer(answer) => return Ok(answer),
        };
        let planned = plan_claimed(context, plan, &job, prefix).await;
        return or_fail(context, &job, planned).await;
    }
    Err(Error::LeaseLost)
}

async fn plan_claimed(
    context: &Context,
    plan: &Plan,
    job: &Job,
    prefix: &str,
) -> Result<Value, Error> {
    let documents = StepDocuments::new(context, job);
    if let (Some(Mode::Prefix), Some(objects)) = (job.mode, job.ranges) {
        // A redrive goes on with the list that there is.
        return Ok(answer(
            plan,
            job,
            Mode::Prefix,
            objects as usize,
            &documents,
        ));
    }
    let (objects, bytes_total) = list(context, plan, prefix).await?;
    documents.write(&documents.plan(), &objects).await?;
    let changes = Changes::none()
        .number("bytes_total", bytes_total)
        .number("ranges", objects.len() as u64);
    let job = context.jobs.plan(job, Mode::Prefix, 0, changes).await?;
    Ok(answer(plan, &job, Mode::Prefix, objects.len(), &documents))
}

async fn list(context: &Context, plan: &Plan, prefix: &str) -> Result<(Vec<Listed>, u64), Error> {
    let bucket = &plan.bucket;
    let url = format!("s3://{bucket}/{prefix}");
    let (mut objects, mut bytes_total) = (Vec::new(), 0);
    let mut pages = context
        .s3
        .list_objects_v2()
        .bucket(bucket)
        .prefix(prefix)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| service_error("ListObjectsV2", &url, e))?;
        for object in page.contents.unwrap_or_default() {
            let key = object.key.unwrap_or_default();
            if companion(&key).is_some() || key.starts_with(&context.config.report_prefix) {
                continue;
            }
            bytes_total += object.size.unwrap_or_default().unsigned_abs();
            let etag = match object.e_tag {
                Some(etag) => Some(etag),
                // S3 lists it always, and not everything that is called S3 does.
                None => Object::head(&context.s3, bucket, &key).await?.etag,
            };
            // To the second, as everywhere else in S3.
            let time = object.last_modified.map(|t| DateTime::from_secs(t.secs()));
            objects.push(Listed {
                bucket: bucket.clone(),
                key,
                etag,
                again: plan.again,
                time: time.and_then(|time| time.fmt(DateTimeFormat::DateTime).ok()),
            });
        }
        if objects.len() > OBJECTS_MAX {
            return Err(Error::Unusable {
                problem: format!("there are more than {OBJECTS_MAX} objects under {url}"),
                fix: "import them by longer prefixes, one after the other".to_owned(),
            });
        }
    }
    if objects.is_empty() {
        return Err(Error::Unusable {
            problem: format!("there is no object under {url}"),
            fix: "check the prefix; reports and folders are not imported".to_owned(),
        });
    }
    Ok((objects, bytes_total))
}

/// Ends the job of all objects under a prefix.
pub(super) async fn finish(
    context: &Context,
    job: &Job,
    documents: &StepDocuments,
    error: Option<GaveUp>,
) -> Result<Value, Error> {
    let objects: Vec<Listed> = documents.read(&documents.plan()).await?;
    let (_, table_id) = table::identify(&context.dynamodb, &context.config.table).await?;
    let jobs: Vec<(Listed, Option<Job>)> = stream::iter(objects)
        .map(|object| async {
            let job = object.job(context, &table_id).await?;
            Ok::<_, Error>((object, job))
        })
        .buffered(JOBS_AHEAD)
        .try_collect()
        .await?;
    let all = jobs.len();
    let is = |wanted: fn(Status) -> bool| {
        let found = jobs.iter().filter_map(|(_, job)| job.as_ref());
        found.filter(|job| wanted(job.status)).count()
    };
    let left = all - is(Status::is_ended);
    if left > 0 && error.is_none() {
        return Err(Error::RangesLeft { left, all });
    }
    let failed = is(|status| {
        matches!(
            status,
            Status::Failed | Status::Cancelled | Status::Superseded
        )
    });
    let lines: String = jobs
        .iter()
        .map(|(object, job)| line(object, job.as_ref()))
        .collect();
    let key = documents.objects();
    put_object(
        &context.s3,
        &documents.reports.bucket,
        &key,
        NDJSON,
        lines.into_bytes().into(),
    )
    .await?;

    let jobs: Vec<Job> = jobs.into_iter().filter_map(|(_, job)| job).collect();
    let mut summary = summary_of(context, job, &jobs);
    let listed = documents.reports.url(&key);
    summary.failure = match &error {
        _ if failed + left > 0 => Some(Failure {
            code: "objects-left".to_owned(),
            message: format!(
                "{} of {all} objects were not imported: {listed} says which, and why",
                failed + left
            ),
            fix: Some("see to these objects, and upload them again".to_owned()),
            position: None,
        }),
        Some(error) => Some(error.failure()),
        None => None,
    };
    summary.status = match &summary.failure {
        Some(_) => summary::Status::Failed,
        None if summary.counts.rows_rejected > 0 => summary::Status::CompletedWithRejects,
        None => summary::Status::Completed,
    };
    // Each object has a report of its own, by positions in that object.
    summary.rejects = (summary.counts.rows_rejected > 0).then_some(listed);
    let gave_up = error.is_some() && left > 0;
    end(context, job, documents, &summary, gave_up).await
}

/// What became of an object.
fn line(object: &Listed, job: Option<&Job>) -> String {
    let line = match job {
        Some(job) => json!({
            "key": object.key,
            "owner": job.owner,
            "job": job.job,
            "status": job.status,
            "rows_read": job.counts.rows_read,
            "rows_written": job.counts.rows_written,
            "rows_superseded": job.counts.rows_superseded,
            "rows_rejected": job.counts.rows_rejected,
            "rejects": job.rejects,
            "reason": job.reason,
        }),
        None => json!({ "key": object.key, "status": null, "reason": "not begun" }),
    };
    format!("{line}\n")
}
