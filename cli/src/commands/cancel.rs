//! `intake cancel`.

use std::io::Write;
use std::time::SystemTime;

use importer::jobs::{Job, Status};

use super::jobs_table;
use crate::args::CancelArgs;
use crate::jobs::{self, JobItem, Jobs, watch};
use crate::terminal::{Failure, Outcome, Output};

/// Requests that the import of a job's file stops.
pub(super) async fn run(args: &CancelArgs) -> Result<Outcome, Failure> {
    let jobs = jobs_table::open(&args.jobs).await?;
    let found = jobs.find(&args.job).await?;
    let key = found.job.job_key();
    if found.job.status.is_ended() {
        return Err(too_late(&jobs, &found.job));
    }
    let Some(job) = jobs.store().cancel(&key).await? else {
        // It has ended since it was found.
        let ended = jobs.store().get(&key).await?;
        return Err(too_late(&jobs, &ended.unwrap_or(found.job)));
    };
    let mut out = Output::new();
    writeln!(out, "cancelling job {} of {}", job.job, job.url())?;
    if !args.wait {
        writeln!(out, "{}", what_happens(&jobs, &job, SystemTime::now()))?;
        return Ok(Outcome::Complete);
    }
    let ended = watch::with_progress(&jobs, JobItem { job, ..found }).await?;
    out.write_all(jobs::describe(&ended.job, SystemTime::now()).as_bytes())?;
    match ended.job.status {
        Status::Cancelled => Ok(Outcome::Complete),
        _ => Err(too_late(&jobs, &ended.job)),
    }
}

fn too_late(jobs: &Jobs, job: &Job) -> Failure {
    let ended_at = match &job.ended_at {
        Some(ended_at) => format!(" at {ended_at}"),
        None => String::new(),
    };
    Failure::new(format!(
        "job {} cannot be cancelled: it has ended as {}{ended_at}",
        job.job, job.status
    ))
    .fix(format!(
        "nothing; see how it ended with: {}",
        jobs.status_command(&job.job)
    ))
}

fn what_happens(jobs: &Jobs, job: &Job, now: SystemTime) -> String {
    let when = if jobs::has_lease(job, now) {
        "It stops at its next checkpoint, within seconds."
    } else {
        "Nobody is at work on it now: it ends when its next message comes."
    };
    format!(
        "{when} Rows written until then stay written, and its reports say which were rejected.\n\
         See it end with: {} --watch",
        jobs.status_command(&job.job)
    )
}
