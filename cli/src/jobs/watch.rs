//! Following a job until it has ended.

use std::io;
use std::time::{Duration, SystemTime};

use importer::jobs::Job;

use super::lookup::{JobItem, Jobs};
use super::text::{average_rates, snapshot};
use crate::terminal::Failure;
use crate::terminal::progress::{Display, Rates, Work};

/// How often a job is looked up. It is saved every few seconds; a look costs one read unit.
const INTERVAL: Duration = Duration::from_secs(1);

/// Calls `show` for the job as it was found and after each change, until it has ended.
///
/// # Errors
///
/// The job cannot be read, or is gone, or `show` fails.
pub async fn each_change(
    jobs: &Jobs,
    mut item: JobItem,
    mut show: impl FnMut(&JobItem) -> io::Result<()>,
) -> Result<JobItem, Failure> {
    let key = item.job.job_key();
    loop {
        show(&item)?;
        if item.job.status.is_ended() {
            return Ok(item);
        }
        item = loop {
            tokio::time::sleep(INTERVAL).await;
            let now = jobs.get(&key).await?;
            let now = now.ok_or_else(|| {
                Failure::new(format!(
                    "job {} is no longer in table {}",
                    key.job,
                    jobs.table()
                ))
            })?;
            if now != item {
                break now;
            }
        };
    }
}

/// Shows the job's progress on standard error until it has ended.
///
/// # Errors
///
/// The job cannot be read, or is gone.
pub async fn with_progress(jobs: &Jobs, item: JobItem) -> Result<JobItem, Failure> {
    let display = Display::on_stderr();
    let mut meter = JobMeter::default();
    let ended = each_change(jobs, item, |JobItem { job, .. }| {
        let rates = meter.rates(job);
        if !job.status.is_ended() {
            let snapshot = snapshot(job).waiting(job.waits_for(SystemTime::now()));
            display.show(&heading(job), Work::Writing, &snapshot, &rates);
        }
        Ok(())
    })
    .await;
    display.clear();
    ended
}

fn heading(job: &Job) -> String {
    let attempt = match job.attempt {
        0 | 1 => String::new(),
        attempt => format!(", attempt {attempt}"),
    };
    let cancel = if job.cancel_requested {
        ", to be cancelled"
    } else {
        ""
    };
    format!("{}{attempt}{cancel}  ", job.status)
}

/// Rates between two saves of a job, by the job's own clock: when it was looked up says little.
#[derive(Debug, Default)]
struct JobMeter {
    before: Option<Job>,
    rates: Rates,
}

impl JobMeter {
    fn rates(&mut self, now: &Job) -> Rates {
        match &self.before {
            None => self.rates = average_rates(now),
            Some(before) => {
                let seconds = now.duration_seconds - before.duration_seconds;
                if seconds <= 0.0 {
                    return self.rates;
                }
                self.rates = Rates::between(&snapshot(before), &snapshot(now), seconds);
            }
        }
        self.before = Some(now.clone());
        self.rates
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(duration_seconds: f64, rows: u64, bytes: u64) -> Job {
        serde_json::from_value(json!({"owner": "-", "job": "j", "status": "RUNNING", "bucket": "b", "key": "k",
            "table": "T", "bytes_read": bytes, "rows_read": rows, "rows_written": rows, "rows_superseded": 0,
            "rows_rejected": 0, "consumed_wcu": 2 * rows, "throttles": 0, "retries": 0,
            "duration_seconds": duration_seconds, "attempt": 1, "stalled_attempts": 0, "created_at": "",
            "updated_at": ""}))
        .unwrap()
    }

    #[test]
    fn rates_are_those_between_two_saves() {
        let mut meter = JobMeter::default();
        let rates = |bytes, rows, wcu| Rates { bytes, rows, wcu };
        for (job, expected) in [
            (job(10.0, 1000, 5000), rates(500.0, 100.0, 200.0)),
            (job(12.0, 2000, 9000), rates(2000.0, 500.0, 1000.0)),
            // Claimed again, and not saved since.
            (job(12.0, 2000, 8000), rates(2000.0, 500.0, 1000.0)),
            (job(14.0, 2000, 8000), rates(0.0, 0.0, 0.0)),
        ] {
            assert_eq!(meter.rates(&job), expected, "{job:?}");
        }
    }
}
