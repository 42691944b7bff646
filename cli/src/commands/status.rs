//! `intake status`.

use std::io::{self, Write};
use std::time::SystemTime;

use importer::jobs::Mode;

use super::jobs_table;
use crate::args::StatusArgs;
use crate::jobs::{self, JobItem, Jobs, watch};
use crate::terminal::{Failure, Outcome, tell};

/// Shows jobs, or one of them.
pub(super) async fn run(args: &StatusArgs) -> Result<Outcome, Failure> {
    let jobs = jobs_table::open(&args.jobs).await?;
    let Some(selector) = &args.job else {
        return list(&jobs, args).await;
    };
    let found = if args.watch {
        jobs.await_current(selector).await?
    } else {
        jobs.find(selector).await?
    };
    let show_ranges = async |found: &JobItem| -> Result<(), Failure> {
        let is_cut = matches!(found.job.mode, Some(Mode::Split | Mode::Whole));
        if is_cut && !args.json {
            let ranges = jobs.store().ranges(&found.job.job).await?;
            let text = jobs::ranges(&found.job, &ranges);
            io::stdout().write_all(text.as_bytes())?;
        }
        Ok(())
    };
    let show = |found: &JobItem| -> io::Result<()> {
        let mut out = io::stdout();
        if args.json {
            return writeln!(out, "{}", found.attributes);
        }
        out.write_all(jobs::describe(&found.job, SystemTime::now()).as_bytes())
    };
    if !args.watch {
        show(&found)?;
        show_ranges(&found).await?;
        return Ok(Outcome::Complete);
    }
    let ended = if args.json {
        watch::each_change(&jobs, found, show).await?
    } else {
        let ended = watch::with_progress(&jobs, found).await?;
        show(&ended)?;
        show_ranges(&ended).await?;
        ended
    };
    Ok(Outcome::of(ended.job.status))
}

async fn list(jobs: &Jobs, args: &StatusArgs) -> Result<Outcome, Failure> {
    let found = jobs.newest(args.limit.get()).await?;
    let mut out = io::stdout();
    if args.json {
        for found in &found {
            writeln!(out, "{}", found.attributes)?;
        }
    } else if found.is_empty() {
        let table = jobs.table();
        tell(format!(
            "there are no jobs in table {table}: each file that is uploaded to be imported has one"
        ));
    } else {
        out.write_all(jobs::list(&found).as_bytes())?;
    }
    Ok(Outcome::Complete)
}
