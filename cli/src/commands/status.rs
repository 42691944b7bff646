//! `intake status`.

use std::io::{self, Write};
use std::time::SystemTime;

use importer::jobs::Mode;

use super::jobs_table;
use crate::args::StatusArgs;
use crate::jobs::{self, JobItem, Jobs, watch};
use crate::terminal::{Failure, Outcome, Output, forgive_reader, harmless_json, tell};

/// Shows jobs, or one of them. Only the exit code of `--watch` says more than what is shown.
pub(super) async fn run(args: &StatusArgs) -> Result<Outcome, Failure> {
    let ended = show(args).await;
    if args.watch {
        ended
    } else {
        forgive_reader(ended)
    }
}

async fn show(args: &StatusArgs) -> Result<Outcome, Failure> {
    let jobs = jobs_table::open(&args.jobs).await?;
    let Some(selector) = &args.job else {
        return list(&jobs, args).await;
    };
    let found = if args.watch {
        jobs.await_current(selector).await?
    } else {
        jobs.find(selector).await?
    };
    let show_ranges = async |found: &JobItem, out: &mut dyn Write| -> Result<(), Failure> {
        let is_cut = matches!(found.job.mode, Some(Mode::Split | Mode::Whole));
        if is_cut && !args.json {
            let ranges = jobs.store().ranges(&found.job).await?;
            let text = jobs::ranges(&found.job, &ranges, SystemTime::now());
            out.write_all(text.as_bytes())?;
        }
        Ok(())
    };
    let show = |found: &JobItem, out: &mut dyn Write| -> io::Result<()> {
        if args.json {
            return writeln!(out, "{}", harmless_json(&found.attributes.to_string()));
        }
        out.write_all(jobs::describe(&found.job, SystemTime::now()).as_bytes())
    };
    if !args.watch {
        let mut out = io::stdout();
        show(&found, &mut out)?;
        show_ranges(&found, &mut out).await?;
        return Ok(Outcome::Complete);
    }
    // The job's end is what is waited for, whether or not somebody still reads how it is described.
    let ended = if args.json {
        let show = |found: &JobItem| {
            if found.job.status.is_ended() {
                show(found, &mut Output::new())
            } else {
                show(found, &mut io::stdout())
            }
        };
        watch::each_change(&jobs, found, show).await?
    } else {
        let ended = watch::with_progress(&jobs, found).await?;
        show(&ended, &mut Output::new())?;
        show_ranges(&ended, &mut Output::new()).await?;
        ended
    };
    Ok(Outcome::of(ended.job.status))
}

async fn list(jobs: &Jobs, args: &StatusArgs) -> Result<Outcome, Failure> {
    let found = jobs.newest(args.limit.get()).await?;
    let mut out = io::stdout();
    if args.json {
        for found in &found {
            writeln!(out, "{}", harmless_json(&found.attributes.to_string()))?;
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
