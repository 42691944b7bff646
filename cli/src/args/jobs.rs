//! `intake status`, `intake cancel` and `intake doctor`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::help::{CANCEL_HELP, DOCTOR_HELP, STATUS_HELP};
use crate::jobs::JobSelector;

/// Which jobs, and where they are.
#[derive(Debug, Args)]
pub struct JobsArgs {
    /// Only the jobs of this Cognito identity, or - for files that nobody signed in uploaded [default: all]
    #[arg(long, value_name = "IDENTITY")]
    pub owner: Option<String>,

    /// The table of jobs [default: $INTAKE_JOBS_TABLE, or else ImportJobs]
    #[arg(long, value_name = "NAME")]
    pub jobs_table: Option<String>,

    /// Use the local stack that `intake local` keeps up
    #[cfg(feature = "local")]
    #[arg(long)]
    pub local: bool,
}

/// What follows `intake status`.
#[derive(Debug, Args)]
#[command(after_long_help = STATUS_HELP)]
pub struct StatusArgs {
    /// One job by its name, or the newest one of an object [default: list the newest jobs]
    #[arg(value_name = "JOB | s3://BUCKET/KEY")]
    pub job: Option<JobSelector>,

    /// Which jobs, and where they are
    #[command(flatten)]
    pub jobs: JobsArgs,

    /// List at most N jobs
    #[arg(long, value_name = "N", default_value_t = JOBS_LISTED, conflicts_with = "job")]
    pub limit: NonZeroUsize,

    /// Follow the job until it has ended; of an object, the job that imports it as it is now
    #[arg(long, requires = "job")]
    pub watch: bool,

    /// Print jobs as they stand in the table, one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Jobs that are listed if nobody says how many.
// Cannot fail: 20 is not 0.
const JOBS_LISTED: NonZeroUsize = NonZeroUsize::new(20).unwrap();

/// What follows `intake cancel`.
#[derive(Debug, Args)]
#[command(after_long_help = CANCEL_HELP)]
pub struct CancelArgs {
    /// The job by its name, or the newest one of an object
    #[arg(value_name = "JOB | s3://BUCKET/KEY")]
    pub job: JobSelector,

    /// Which jobs, and where they are
    #[command(flatten)]
    pub jobs: JobsArgs,

    /// Wait until it has ended
    #[arg(long)]
    pub wait: bool,
}

/// What follows `intake doctor`.
#[derive(Debug, Args)]
#[command(after_long_help = DOCTOR_HELP)]
pub struct DoctorArgs {
    /// The bucket of uploads [default: the one that the queue's policy names]
    #[arg(long, value_name = "NAME")]
    pub bucket: Option<String>,

    /// Where in the bucket files are uploaded to be imported
    #[arg(long, value_name = "PREFIX", default_value = "uploads/")]
    pub prefix: String,

    /// The function that imports: its name or ARN, with an alias or without
    #[arg(long, value_name = "FUNCTION", default_value = "ProcessInventoryFile")]
    pub importer: String,

    /// The function that tells of changes
    #[arg(long, value_name = "FUNCTION", default_value = "NotifyInventoryUpdate")]
    pub notifier: String,

    /// Nobody is to be told of changes: do not look at the notifier and the stream
    #[arg(long, conflicts_with = "notifier")]
    pub no_notifier: bool,

    /// The table that the importer is to write to [default: the one that it does write to]
    #[arg(long, value_name = "NAME")]
    pub table: Option<String>,

    /// The table of jobs [default: the importer's, or else $INTAKE_JOBS_TABLE, or else ImportJobs]
    #[arg(long, value_name = "NAME")]
    pub jobs_table: Option<String>,

    /// Also look whether the first rows of a local file fit the table
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,

    /// Check the local stack that `intake local` keeps up
    #[cfg(feature = "local")]
    #[arg(long)]
    pub local: bool,

    /// Print what was found as JSON, one object a line
    #[arg(long)]
    pub json: bool,
}
