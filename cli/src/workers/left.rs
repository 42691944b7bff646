//! Jobs whose command is gone: they have no message that would go on with them, so that the command that cancels one ends it.

use std::time::{Duration, Instant, SystemTime};

use importer::function::Config;
use importer::jobs::Job;
use importer::{Importer, Invocation, diagnostic};
use serde_json::json;

use super::FUNCTION_VARIABLES;
use crate::jobs::{self, Jobs};
use crate::terminal::{Failure, causes};

/// How often the job is looked at while its lease lasts.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long it may take to make the reports.
const LIMIT: Duration = Duration::from_mins(3);

/// Waits until the command that has `job` has let go of it, or must be dead.
pub async fn await_free(jobs: &Jobs, job: &Job) {
    let key = job.job_key();
    let (mut seen, mut since) = (job.seen(), Instant::now());
    let mut now = Some(job.clone());
    loop {
        // What cannot be read now is read the next time. One that has ended is not waited for here.
        if let Some(job) = now.filter(|job| !job.status.is_ended()) {
            if job.seen() != seen {
                (seen, since) = (job.seen(), Instant::now());
            }
            // By this machine's clock, too: that of the machine where the command was may be ahead.
            let is_dead = since.elapsed() >= job.takeover();
            if is_dead || jobs::held_for(&job, SystemTime::now()).is_none() {
                return;
            }
        }
        tokio::time::sleep(INTERVAL).await;
        now = jobs.store().get(&key).await.ok().flatten();
    }
}

/// Ends a job that was cancelled and that no command has any more: with the counts of its ranges, its reports, and the notice.
///
/// # Errors
///
/// It cannot be ended now, or another command has taken it over.
pub async fn end(jobs: &Jobs, job: &Job) -> Result<Job, Failure> {
    let config = Config::from_env(|name| match name {
        "INTAKE_TABLE" => Some(job.table.clone()),
        "INTAKE_JOBS_TABLE" => Some(jobs.table().to_owned()),
        name if FUNCTION_VARIABLES.contains(&name) => None,
        name => std::env::var(name).ok(),
    })?;
    let importer = Importer::new(config, jobs.config().clone());
    let finish = json!({
        "step": "finish",
        "owner": job.owner,
        "job": job.job,
        // It is ended in the name of the command that had it.
        "holder": job.lease_holder,
    });
    let invocation = Invocation {
        request_id: format!("cancel-{}", std::process::id()),
        deadline: SystemTime::now() + LIMIT,
    };
    let finished = importer.handle(finish, invocation).await;
    let now = jobs.store().get(&job.job_key()).await;
    let now = now.map_err(|error| Failure::new(causes(&error)))?;
    // If another command did the same meanwhile, that is as good.
    if let Some(ended) = now.filter(|job| job.status.is_ended()) {
        return Ok(ended);
    }
    let why = match finished {
        Err(error) => diagnostic(&error).error_message,
        Ok(_) => "it is gone".to_owned(),
    };
    Err(Failure::new(format!(
        "job {} is to be cancelled, but could not be ended: {why}",
        job.job
    ))
    .fix("run the same command again"))
}
