//! Jobs as people read them.

use std::fmt::{Display, Write as _};
use std::time::{Duration, SystemTime};

use importer::jobs::{Job, NOBODY, Status};
use indicatif::{HumanBytes, HumanCount, HumanDuration};

use super::lookup::JobItem;
use crate::terminal::columns::align;
use crate::terminal::progress::{Rates, Snapshot, bytes_read, fraction, time_left, waits, whole};

/// Ranges that are listed at most.
const RANGES_LISTED: usize = 100;
/// Characters of the bar.
const BAR_CHARACTERS: usize = 24;

/// The counters of a job, as imports show them.
pub(super) fn snapshot(job: &Job) -> Snapshot {
    Snapshot::new(&job.counts, job.bytes_total)
}

/// Rates over all the time that was spent on a job.
pub(super) fn average_rates(job: &Job) -> Rates {
    Rates::between(&Snapshot::default(), &snapshot(job), job.duration_seconds)
}

/// A table of jobs, a line each.
pub fn list(items: &[JobItem]) -> String {
    let has_owners = items.iter().any(|item| item.job.owner != NOBODY);
    let mut columns = vec!["JOB", "STATUS", "READ", "ROWS", "REJECTED", "FILE"];
    if has_owners {
        columns.insert(1, "OWNER");
    }
    let row = |JobItem { job, .. }: &JobItem| {
        let read = match job.bytes_total {
            Some(_) if !is_broken_off(job) => {
                format!("{:.0}%", (fraction(&snapshot(job)) * 100.0).floor())
            }
            Some(_) | None => String::new(),
        };
        let mut cells = vec![
            job.job.clone(),
            job.status.to_string(),
            read,
            job.counts.rows_read.to_string(),
            job.counts.rows_rejected.to_string(),
            job.url(),
        ];
        if has_owners {
            cells.insert(1, job.owner.clone());
        }
        cells
    };
    align(&columns, items.iter().map(row).collect())
}

/// All there is to know about a job.
pub fn describe(job: &Job, now: SystemTime) -> String {
    let mut text = format!("{}\n\n", job.url());
    let mut line = |name: &str, value: &dyn Display| {
        // Writing to a string does not fail.
        writeln!(text, "{name:<12}{value}").ok();
    };
    let is_ended = job.status.is_ended();
    line("Status", &job.status);
    if let Some(reason) = &job.reason {
        line("Reason", &rows::prose(reason));
    }
    if let Some(fix) = &job.fix {
        line("Fix", &rows::prose(fix));
    }
    if job.cancel_requested && !is_ended {
        line("Cancelled", &"at its next checkpoint");
    }
    if let Some(left) = job.waits_for(now) {
        line("Waits", &waits(left));
    }
    line("Progress", &progress(job));
    line("Table", &job.table);
    line("Rows", &rows(job));
    line("Rate", &rate(job));
    line("Capacity", &capacity(job));
    line(
        "Duration",
        &format_args!("{:.1} s", job.duration_seconds.max(0.0)),
    );
    line("Attempt", &job.attempt);
    if let Some(lease) = lease(job, now) {
        line("Lease", &lease);
    }
    line("Begun", &job.created_at);
    match &job.ended_at {
        Some(ended_at) if is_ended => line("Ended", ended_at),
        _ => line("Saved", &job.updated_at),
    }
    if let Some(rejects) = &job.rejects {
        line("Rejects", rejects);
    }
    if let Some(summary) = &job.summary {
        line("Summary", summary);
    }
    line("Job", &job.job);
    if job.owner != NOBODY {
        line("Owner", &job.owner);
    }
    text
}

/// The ranges of a job, a line each; of very many, those that have not ended well.
pub fn ranges(job: &Job, ranges: &[Job], now: SystemTime) -> String {
    let is_listed = |range: &&Job| {
        let is_well = matches!(
            range.status,
            Status::Completed | Status::CompletedWithRejects
        );
        ranges.len() <= RANGES_LISTED || !is_well
    };
    let row = |range: &Job| {
        vec![
            range.job.clone(),
            range.status.to_string(),
            bytes_read(&snapshot(range)),
            range.counts.rows_read.to_string(),
            range.counts.rows_rejected.to_string(),
            rows::prose(range.reason.as_deref().unwrap_or_default()),
        ]
    };
    let ended = ranges.iter().filter(|range| range.status.is_ended());
    let (ended, begun) = (ended.count(), ranges.len());
    let open = if job.status.is_ended() && begun > ended {
        "broken off"
    } else {
        "under way"
    };
    let of = job
        .ranges
        .map_or_else(|| "an unknown number".to_owned(), |all| all.to_string());
    let rows: Vec<_> = ranges
        .iter()
        .filter(is_listed)
        .take(RANGES_LISTED)
        .map(row)
        .collect();
    let mut text = format!(
        "\nRanges      {ended} ended, {} {open}, of {of}\n",
        begun - ended
    );
    let waiting = ranges.iter().filter_map(|range| range.waits_for(now));
    if let Some(left) = waiting.max().filter(|_| !job.status.is_ended()) {
        // Writing to a string does not fail.
        writeln!(text, "Waits       {}", waits(left)).ok();
    }
    if !rows.is_empty() {
        let columns = ["RANGE", "STATUS", "READ", "ROWS", "REJECTED", "REASON"];
        text.push_str(&align(&columns, rows));
    }
    text
}

/// Whether the job has ended before its file was imported to the end. Of what was read then, it is not known how much was
/// imported: bytes are read ahead.
fn is_broken_off(job: &Job) -> bool {
    let is_complete = matches!(job.status, Status::Completed | Status::CompletedWithRejects);
    job.status.is_ended() && !is_complete
}

fn progress(job: &Job) -> String {
    let now = snapshot(job);
    if is_broken_off(job) {
        let read = HumanBytes(now.bytes);
        let of = now
            .bytes_total
            .map_or_else(String::new, |total| format!(" of {}", HumanBytes(total)));
        return format!("broken off: {read}{of} read");
    }
    let mut parts = Vec::new();
    if now.bytes_total.is_some() {
        // A fraction is at most 1, so that no more is filled than there is.
        #[allow(clippy::cast_sign_loss)]
        let filled = (fraction(&now) * BAR_CHARACTERS as f64) as usize;
        let empty = BAR_CHARACTERS.saturating_sub(filled);
        parts.push(format!("{}{}", "█".repeat(filled), "░".repeat(empty)));
    }
    parts.push(bytes_read(&now));
    if !job.status.is_ended()
        && let Some(left) = time_left(&now, &average_rates(job))
    {
        parts.push(format!("{} left", HumanDuration(left)));
    }
    parts.join("  ")
}

fn rows(job: &Job) -> String {
    let counts = &job.counts;
    format!(
        "{} read = {} written + {} superseded + {} rejected",
        HumanCount(counts.rows_read),
        HumanCount(counts.rows_written),
        HumanCount(counts.rows_superseded),
        HumanCount(counts.rows_rejected)
    )
}

fn rate(job: &Job) -> String {
    let rates = average_rates(job);
    format!("{} rows/s  {} WCU/s", whole(rates.rows), whole(rates.wcu))
}

fn capacity(job: &Job) -> String {
    format!(
        "{} WCU  {} throttles  {} retries",
        whole(job.counts.consumed_wcu),
        HumanCount(job.counts.throttles),
        HumanCount(job.counts.retries)
    )
}

/// Whether an invocation imports the job, as far as the table shows.
pub fn has_lease(job: &Job, now: SystemTime) -> bool {
    job.status == Status::Running && lease_end(job).is_some_and(|end| end > now)
}

/// For how long the command in a terminal that has the job may still be at work on it, as far as the table shows; nothing if it
/// has let go of it, or must be dead. The clock of the machine where it runs is not known, so this is for people and for jobs
/// that somebody has cancelled.
pub fn held_for(job: &Job, now: SystemTime) -> Option<Duration> {
    let is_held = job.status == Status::Running;
    // A request of the one that had it may be under way when the lease ends.
    let end = lease_end(job).filter(|_| is_held)?;
    let end = end + cloud::CONNECT_TIMEOUT + cloud::READ_TIMEOUT;
    end.duration_since(now).ok().filter(|left| !left.is_zero())
}

fn lease_end(job: &Job) -> Option<SystemTime> {
    job.lease_until
        .map(|until| SystemTime::UNIX_EPOCH + Duration::from_millis(until))
}

/// Who is at work on the job and for how long; nothing if it has ended.
fn lease(job: &Job, now: SystemTime) -> Option<String> {
    if job.status.is_ended() {
        return None;
    }
    if job.is_of_terminal() {
        return Some(match held_for(job, now) {
            Some(left) => format!("{} left, of a command in a terminal", HumanDuration(left)),
            None if job.cancel_requested => {
                "none: the command that imported it is gone; intake cancel once more ends it".to_owned()
            }
            None => "none: the command that imported it is gone; the same command goes on with it, intake cancel ends it"
                .to_owned(),
        });
    }
    let Some(until) = lease_end(job) else {
        return Some("none: it goes on when its next message comes".to_owned());
    };
    let holder = job.lease_holder.as_deref().unwrap_or("unknown");
    if job.mode.is_some() && until > now {
        return Some("of those who import its ranges".to_owned());
    }
    Some(match until.duration_since(now) {
        Ok(left) => format!("{} left, of invocation {holder}", HumanDuration(left)),
        Err(gone) => format!(
            "over for {}: invocation {holder} ended without a word; the job goes on when its message comes again, \
             unless that is in the dead-letter queue",
            HumanDuration(gone.duration())
        ),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn job(changes: &Value) -> Job {
        let mut job = json!({"owner": "-", "job": "20261123T100000000Z-01", "status": "RUNNING", "bucket": "b",
            "key": "uploads/a.csv", "table": "T", "bytes_total": 4_000_000, "bytes_read": 1_048_576,
            "rows_read": 12_345, "rows_written": 12_000, "rows_superseded": 300, "rows_rejected": 45,
            "consumed_wcu": 12_000, "throttles": 7, "retries": 8, "duration_seconds": 10.04, "attempt": 2,
            "stalled_attempts": 1, "lease_until": 1_060_000, "lease_holder": "r-1",
            "created_at": "2026-11-23T10:00:01Z", "updated_at": "2026-11-23T10:00:11Z"});
        for (name, value) in changes.as_object().unwrap() {
            job[name] = value.clone();
        }
        serde_json::from_value(job).unwrap()
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_running_job_is_described() {
        assert_eq!(
            describe(&job(&json!({})), at(1000)),
            "s3://b/uploads/a.csv\n\n\
             Status      RUNNING\n\
             Progress    ██████░░░░░░░░░░░░░░░░░░  1.00 MiB of 3.81 MiB (26%)  28 seconds left\n\
             Table       T\n\
             Rows        12,345 read = 12,000 written + 300 superseded + 45 rejected\n\
             Rate        1,225 rows/s  1,195 WCU/s\n\
             Capacity    12,000 WCU  7 throttles  8 retries\n\
             Duration    10.0 s\n\
             Attempt     2\n\
             Lease       60 seconds left, of invocation r-1\n\
             Begun       2026-11-23T10:00:01Z\n\
             Saved       2026-11-23T10:00:11Z\n\
             Job         20261123T100000000Z-01\n"
        );
    }

    #[test]
    fn lines_are_there_when_they_say_something() {
        let queued = json!({"status": "QUEUED", "lease_until": null, "bytes_total": null, "reason": "no answer"});
        let ended = json!({"status": "FAILED", "ended_at": "2026-11-23T10:00:12Z", "reason": "broken", "fix": "repair it",
            "rejects": "s3://b/r.jsonl", "summary": "s3://b/s.json", "owner": "r:1", "cancel_requested": true});
        let asked = json!({"cancel_requested": true});
        let cases: [(&Value, &[&str], &[&str]); 4] = [
            (
                &queued,
                &[
                    "Lease       none: ",
                    "Reason      no answer\n",
                    "Progress    1.00 MiB\n",
                ],
                &["Fix ", " left"],
            ),
            (
                &ended,
                &[
                    "Reason      broken\n",
                    "Fix         repair it\n",
                    "Ended       2026-11-23T10:00:12Z\n",
                    "Rejects     s3://b/r.jsonl\n",
                    "Summary     s3://b/s.json\n",
                    "Owner       r:1\n",
                ],
                &["Lease ", "Saved ", " left", "Cancelled "],
            ),
            (&asked, &["Cancelled   at its next checkpoint\n"], &[]),
            (
                &json!({}),
                &["Lease       over for 2 minutes: invocation r-1 ended"],
                &[],
            ),
        ];
        for (changes, present, absent) in cases {
            let text = describe(&job(changes), at(1180));
            for part in present {
                assert!(text.contains(part), "no {part:?} in:\n{text}");
            }
            for part in absent {
                assert!(!text.contains(part), "{part:?} in:\n{text}");
            }
        }
    }

    #[test]
    fn a_job_of_a_terminal_has_no_message_that_it_waits_for() {
        let job = |changes: Value| {
            let mut terminal = json!({"lease_holder": "intake-7-1", "mode": "split"});
            for (name, value) in changes.as_object().unwrap() {
                terminal[name] = value.clone();
            }
            describe(&job(&terminal), at(1180))
        };
        for (changes, said) in [
            (
                json!({}),
                "the same command goes on with it, intake cancel ends it",
            ),
            (
                json!({"status": "QUEUED", "lease_until": null}),
                "the same command goes on with it",
            ),
            (
                json!({"cancel_requested": true}),
                "intake cancel once more ends it",
            ),
            // A request may be under way for 23 seconds after the lease.
            (
                json!({"lease_until": 1_160_000}),
                "3 seconds left, of a command in a terminal",
            ),
        ] {
            let text = job(changes.clone());
            assert!(text.contains(said), "{changes}: {text}");
            assert!(!text.contains("message"), "{changes}: {text}");
        }
    }

    #[test]
    fn what_was_broken_off_is_not_at_its_end() {
        for (status, is_whole) in [
            ("CANCELLED", false),
            ("FAILED", false),
            ("SUPERSEDED", false),
            ("COMPLETED", true),
            ("COMPLETED_WITH_REJECTS", true),
            ("RUNNING", true),
        ] {
            let job = job(&json!({"status": status, "bytes_read": 4_000_000}));
            let text = describe(&job, at(1000));
            assert_eq!(text.contains("100%"), is_whole, "{text}");
            let list = list(&[JobItem {
                job,
                attributes: Value::Null,
            }]);
            assert_eq!(list.contains("100%"), is_whole, "{list}");
        }
    }

    #[test]
    fn what_rows_wait_for_is_said() {
        let checkpoint = |until_ms: u64| {
            let saved = json!({"version": 1, "parts": [], "checkpoint": {"row": null, "seekable": false, "lanes": [],
                "rejects": 0, "counts": importer::progress::Counts::default(), "waits_until_ms": until_ms}});
            job(&json!({"checkpoint": saved.to_string()}))
        };
        let waiting = checkpoint(1_300_000);
        let said =
            "Waits       up to 301 s: a request without an answer may still write older rows";
        assert!(describe(&waiting, at(1000)).contains(said));
        assert!(ranges(&waiting, std::slice::from_ref(&waiting), at(1000)).contains(said));
        assert!(!describe(&checkpoint(900_000), at(1000)).contains("Waits"));
    }

    #[test]
    fn a_list_names_owners_if_somebody_signed_in() {
        let found = |changes: Value| JobItem {
            job: job(&changes),
            attributes: Value::Null,
        };
        let nobodys = found(json!({}));
        let mine = found(
            json!({"owner": "r:1", "job": "20261123T1", "status": "QUEUED", "bytes_total": null}),
        );
        assert_eq!(
            list(std::slice::from_ref(&nobodys)),
            "JOB                     STATUS   READ  ROWS   REJECTED  FILE\n\
             20261123T100000000Z-01  RUNNING  26%   12345  45        s3://b/uploads/a.csv\n"
        );
        assert_eq!(
            list(&[nobodys, mine]),
            "JOB                     OWNER  STATUS   READ  ROWS   REJECTED  FILE\n\
             20261123T100000000Z-01  -      RUNNING  26%   12345  45        s3://b/uploads/a.csv\n\
             20261123T1              r:1    QUEUED         12345  45        s3://b/uploads/a.csv\n"
        );
    }
}
