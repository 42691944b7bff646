//! `intake status`.

use std::io::{self, Write};
use std::time::SystemTime;

use importer::jobs::Mode;

use crate::args::StatusArgs;
use crate::jobs::{self, Found, Jobs};
use crate::outcome::{Failure, Outcome, tell};
use crate::watch;

/// Shows jobs, or one of them.
///
/// # Errors
///
/// The table of jobs cannot be read, or there is no such job.
pub async fn run(args: &StatusArgs) -> Result<Outcome, Failure> {
    let jobs = Jobs::open(&args.jobs).await?;
    let Some(wanted) = &args.job else {
        return list(&jobs, args).await;
    };
    let found = if args.watch {
        jobs.await_current(wanted).await?
    } else {
        jobs.find(wanted).await?
    };
    let tell_ranges = async |found: &Found| -> Result<(), Failure> {
        let is_cut = matches!(found.job.mode, Some(Mode::Split | Mode::Whole));
        if is_cut && !args.json {
            let ranges = jobs.store().ranges(&found.job.job).await?;
            let text = jobs::ranges(&found.job, &ranges);
            io::stdout().write_all(text.as_bytes())?;
        }
        Ok(())
    };
    let show = |found: &Found| -> io::Result<()> {
        let mut out = io::stdout();
        if args.json {
            return writeln!(out, "{}", found.attributes);
        }
        out.write_all(jobs::describe(&found.job, SystemTime::now()).as_bytes())
    };
    if !args.watch {
        show(&found)?;
        tell_ranges(&found).await?;
        return Ok(Outcome::Complete);
    }
    let ended = if args.json {
        watch::each_change(&jobs, found, show).await?
    } else {
        let ended = watch::with_progress(&jobs, found).await?;
        show(&ended)?;
        tell_ranges(&ended).await?;
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
