//! The line that sums an import up.

use std::io::Write;

use importer::import::{Status, Summary};

use super::outcome::{Failure, Outcome};
use super::output::Output;
use super::progress::Work;

/// Prints how many rows were read and what became of them, and turns a failed import into a failure.
///
/// # Errors
///
/// The import failed, or standard output cannot be written to. That its reader has gone changes nothing.
pub fn conclude(summary: &Summary, work: Work) -> Result<Outcome, Failure> {
    let told = if summary.counts.rows_read > 0 || summary.failure.is_none() {
        writeln!(Output::new(), "{}", accounts(summary, work))
    } else {
        Ok(())
    };
    // How the import ended comes first: a line that cannot be written must not hide it.
    match (summary.status, &summary.failure) {
        (Status::Completed, None) => Ok(told.map(|()| Outcome::Complete)?),
        (Status::CompletedWithRejects, None) => Ok(told.map(|()| Outcome::Rejects)?),
        (Status::Cancelled, None) => Err(Failure::new(format!(
            "{}: cancelled; rows written until then stay",
            summary.source
        ))
        .fix("to import it from its beginning, run the command with --again")),
        (_, failure) => {
            let message = failure
                .as_ref()
                .map_or("the import failed", |failure| &failure.message);
            let fix = failure.as_ref().and_then(|failure| failure.fix.as_ref());
            let failure = Failure::new(format!("{}: {message}", summary.source));
            Err(match fix {
                Some(fix) => failure.fix(fix),
                None => failure,
            })
        }
    }
}

/// Every row that was read, by what became of it.
fn accounts(summary: &Summary, work: Work) -> String {
    let counts = &summary.counts;
    let done = match work {
        Work::Writing => "written",
        Work::Checking | Work::Scanning => "good",
    };
    let unsettled = match summary.rows_unsettled {
        0 => String::new(),
        unsettled => format!(" + {unsettled} unsettled"),
    };
    let text = format!(
        "{}: {} rows read = {} {done} + {} superseded + {} rejected{unsettled}",
        summary.source,
        counts.rows_read,
        counts.rows_written,
        counts.rows_superseded,
        counts.rows_rejected
    );
    let mut details = vec![format!("{:.1} s", summary.duration_seconds)];
    if summary.duration_seconds >= 1.0 {
        // Shorter ones say nothing about the rate.
        let rate = counts.rows_read as f64 / summary.duration_seconds;
        details.push(format!("{rate:.0} rows/s"));
    }
    if work == Work::Writing {
        details.push(format!("{} WCU", counts.consumed_wcu));
    }
    format!("{text} ({})", details.join(", "))
}
