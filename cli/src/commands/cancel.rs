//! `intake cancel`.

use std::io::Write;
use std::time::SystemTime;

use importer::jobs::{Job, Status};
use indicatif::HumanDuration;

use super::jobs_table;
use crate::args::CancelArgs;
use crate::jobs::{self, JobItem, Jobs, watch};
use crate::terminal::{Failure, Outcome, Output};
use crate::workers::left;

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
    let held_for = jobs::held_for(&job, SystemTime::now());
    if job.is_of_terminal() && held_for.is_none() {
        return conclude(&jobs, &left::end(&jobs, &job).await?);
    }
    writeln!(out, "cancelling job {} of {}", job.job, job.url())?;
    if !args.wait {
        writeln!(out, "{}", what_happens(&jobs, &job, SystemTime::now()))?;
        return Ok(Outcome::Complete);
    }
    let is_of_terminal = job.is_of_terminal();
    let free = left::await_free(&jobs, &job);
    let watched = watch::with_progress(
        &jobs,
        JobItem {
            job: job.clone(),
            ..found
        },
    );
    let ended = tokio::select! {
        ended = watched => ended?.job,
        // No message and no execution goes on with it.
        () = free, if is_of_terminal => left::end(&jobs, &job).await?,
    };
    conclude(&jobs, &ended)
}

/// Shows how a job has ended that was to be cancelled.
fn conclude(jobs: &Jobs, ended: &Job) -> Result<Outcome, Failure> {
    Output::new().write_all(jobs::describe(ended, SystemTime::now()).as_bytes())?;
    match ended.status {
        Status::Cancelled => Ok(Outcome::Complete),
        _ => Err(too_late(jobs, ended)),
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
    let when = match jobs::held_for(job, now) {
        Some(left) if job.is_of_terminal() => format!(
            "It stops at its next checkpoint, within seconds, if the command that imports it still runs. If not, the job is \
             held for {} more: --wait ends it then.",
            HumanDuration(left)
        ),
        _ if jobs::has_lease(job, now) => {
            "It stops at its next checkpoint, within seconds.".to_owned()
        }
        _ => "No importer is at work on it now: it ends when its next message comes.".to_owned(),
    };
    format!(
        "{when} Rows written until then stay written, and its reports say which were rejected.\n\
         See it end with: {} --watch",
        jobs.status_command(&job.job)
    )
}
