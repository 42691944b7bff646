//! The step `finish`: adds up what the ranges did, makes one report of it, and ends the job.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use super::documents::StepDocuments;
use super::plan::{EXECUTOR, LOOKS_MAX, Plan};
use super::work::Name;
use crate::error::{Error, StopReason};
use crate::event::Seen;
use crate::function::ending::{self, Unbegun, ended, log};
use crate::function::keeper::WATCH_EVERY;
use crate::function::{Context, Deadlines};
use crate::import::summary::{self, Failure, Summary};
use crate::jobs::ranges::total;
use crate::jobs::reports::Merging;
use crate::jobs::{Claim, Job, Lease, Mode, Status};

/// How long the report of a job may take that another import ends in passing. Then its parts are listed.
const REPORT_WITHIN: Duration = Duration::from_secs(10);

/// Which job to end, and why if the steps before could not be taken.
#[derive(Debug, Deserialize)]
pub(super) struct Finish {
    #[serde(flatten)]
    pub(super) name: Name,
    /// Who has the steps taken.
    pub(super) holder: Option<String>,
    pub(super) error: Option<GaveUp>,
}

/// An import whose plan could not be made.
#[derive(Debug, Deserialize)]
pub(super) struct Unplanned {
    #[serde(flatten)]
    plan: Plan,
    error: GaveUp,
}

/// Why the state machine gave up.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct GaveUp {
    #[serde(rename = "Error")]
    error: Option<String>,
    #[serde(rename = "Cause")]
    cause: Option<String>,
    /// What to do about it, from a terminal: there is no execution.
    #[serde(rename = "Fix")]
    fix: Option<String>,
}

impl GaveUp {
    /// For people. The cause is what Lambda says of the function's error, as JSON, or a sentence.
    pub(super) fn failure(&self) -> Failure {
        let cause = self.cause.as_deref().unwrap_or_default();
        let said: Option<Value> = serde_json::from_str(cause).ok();
        let said = said
            .as_ref()
            .and_then(|said| said["errorMessage"].as_str())
            .unwrap_or(cause);
        let error = self.error.as_deref().unwrap_or("the steps");
        // Lambda has one text for both: a long reason must not cut off what to do about it.
        let (said, fix) = match said.rsplit_once(" (fix: ") {
            Some((said, fix)) => (said, Some(fix.strip_suffix(')').unwrap_or(fix))),
            None => (said, None),
        };
        let go_on = "redrive the execution, or import again, to go on where it is";
        let fix = match (&self.fix, fix) {
            (Some(fix), _) => rows::prose(fix),
            (None, Some(fix)) => rows::prose(&format!("{fix}; then {go_on}")),
            (None, None) => format!("look into the state machine's execution; {go_on}"),
        };
        Failure {
            code: "gave-up".to_owned(),
            message: rows::prose(&format!("the import was given up: {error}: {said}")),
            fix: Some(fix),
            position: None,
        }
    }
}

/// Answers once more for a job that has ended.
pub(super) async fn again(
    context: &Context,
    job: Job,
    documents: &StepDocuments,
) -> Result<Value, Error> {
    let url = job.summary.clone();
    // The step that ended it may not have got to publish that.
    notify_surely(context, &job).await?;
    match url {
        Some(_) => documents.read(&documents.reports.summary()).await,
        None => Ok(Value::Null),
    }
}

/// Ends the job of an object.
pub(super) async fn finish(
    context: &Context,
    job: &Job,
    documents: &StepDocuments,
    gave_up: Option<GaveUp>,
    deadlines: Deadlines,
) -> Result<Value, Error> {
    let ranges = context.jobs.ranges(job).await?;
    let tally = RangeTally::new(job, &ranges);
    if gave_up.is_none() && !job.cancel_requested && tally.left > 0 {
        return Err(Error::RangesLeft {
            left: tally.left,
            all: tally.all,
        });
    }
    let mut summary = summary_of(context, job, &ranges);
    let failure = match (tally.failed, &gave_up) {
        (Some(failed), _) => Some(failure_of(failed, documents).await?),
        (None, Some(error)) => Some(error.failure()),
        (None, None) => judge(context, &summary, &ranges),
    };
    summary.status = match &failure {
        Some(_) => summary::Status::Failed,
        None if tally.left > 0 || tally.is_cancelled => summary::Status::Cancelled,
        None if summary.counts.rows_rejected > 0 => summary::Status::CompletedWithRejects,
        None => summary::Status::Completed,
    };
    summary.failure = failure;
    if let (None, Some(bytes)) = (&summary.failure, job.bytes_total) {
        // What is between the ranges, and before and after all of them, was read by those who cut them.
        if summary.status != summary::Status::Cancelled {
            summary.counts.bytes_read = bytes;
        }
    }
    let merging = deadlines.merging(false);
    summary.rejects = merge_rejects(context, documents, &ranges, merging).await?;
    let gave_up = gave_up.is_some() && tally.failed.is_none();
    end(context, job, documents, &summary, gave_up).await
}

/// Ends a large job at once: what it needs is not there.
pub(super) async fn fail(context: &Context, job: &Job, error: &Error) -> Result<(), Error> {
    break_off(context, job, Failure::from(error), false)
        .await
        .map(drop)
}

/// Ends a large job as it is: with what its ranges have done so far.
async fn break_off(
    context: &Context,
    job: &Job,
    failure: Failure,
    gave_up: bool,
) -> Result<Value, Error> {
    let ranges = match job.mode {
        Some(Mode::Prefix) => Vec::new(),
        _ => context.jobs.ranges(job).await?,
    };
    let documents = StepDocuments::new(context, job);
    let mut summary = summary_of(context, job, &ranges);
    summary.failure = Some(failure);
    let merging = Merging {
        until: Instant::now() + REPORT_WITHIN,
        or_list: true,
    };
    summary.rejects = merge_rejects(context, &documents, &ranges, merging).await?;
    end(context, job, &documents, &summary, gave_up).await
}

/// Makes one report of the rows that ranges have rejected.
async fn merge_rejects(
    context: &Context,
    documents: &StepDocuments,
    ranges: &[Job],
    merging: Merging,
) -> Result<Option<String>, Error> {
    let mut parts = Vec::new();
    for range in ranges {
        if let Ok(number) = range.job.parse() {
            parts.extend(documents.of_range(number).parts(&range.saved()));
        }
    }
    merging.merge(&context.s3, &documents.reports, parts).await
}

/// Ends a large job whose executor is dead.
pub(crate) async fn abandon(context: &Context, job: Job, lease: &Lease) -> Result<(), Error> {
    let job = match context.jobs.resume(job, lease).await? {
        Claim::Mine(job) => *job,
        Claim::Busy(_) | Claim::Ended(_) | Claim::Changed => return Ok(()),
    };
    let failure = Failure {
        code: "gave-up".to_owned(),
        message: "nothing went on with the import for longer than its lease, and another version of the file is to be imported"
            .to_owned(),
        fix: Some("upload rows again that only this version had".to_owned()),
        position: None,
    };
    break_off(context, &job, failure, false).await.map(drop)
}

/// Ends an import whose plan could not be made: its job, if there is one, else the version.
pub(super) async fn unplanned(context: &Context, unplanned: Unplanned) -> Result<Value, Error> {
    let Unplanned { plan, error } = unplanned;
    let key = plan.key.as_ref().or(plan.prefix.as_ref());
    let created = plan.created(key.map_or("", String::as_str));
    for _ in 0..LOOKS_MAX {
        let found = context.find(&created).await?;
        if let Some(head) = &found.head
            && let Some(job) = context.jobs.get(&head.job_key()).await?
            && job.lease_holder.as_deref() == Some(plan.executor())
            && !job.status.is_ended()
        {
            return break_off(context, &job, error.failure(), true).await;
        }
        let failure = error.failure();
        let problem = Error::Unusable {
            problem: failure.message.clone(),
            fix: failure.fix.clone().unwrap_or_default(),
        };
        match ending::unbegun(context, &found, &failure.message, Some(&problem)).await? {
            Unbegun::Ended(job) => {
                notify_surely(context, &job).await?;
                return Ok(Value::Null);
            }
            Unbegun::Known => return Ok(Value::Null),
            Unbegun::Changed => {}
        }
    }
    Err(Error::LeaseLost)
}

/// Publishes the end of a job, if that was not done: also if another one was about to, and is dead.
pub(super) async fn notify_surely(context: &Context, job: &Job) -> Result<(), Error> {
    if job.notified {
        return Ok(());
    }
    let publisher = job.lease_holder.as_deref().unwrap_or(EXECUTOR);
    let mut seen: Option<Seen> = None;
    loop {
        match ending::notify(context, job, publisher, seen.as_ref()).await {
            Err(Error::NoticePending) => {}
            notified => return notified,
        }
        let Some(now) = context.jobs.get(&job.job_key()).await? else {
            return Ok(());
        };
        let before = seen.take().filter(|seen| seen.is(&now.seen()));
        let waited = before.map_or(0, |seen| seen.waited_seconds);
        tokio::time::sleep(WATCH_EVERY).await;
        seen = Some(Seen {
            waited_seconds: waited + WATCH_EVERY.as_secs(),
            ..now.seen()
        });
    }
}

/// Writes the summary, ends the job and publishes that.
pub(super) async fn end(
    context: &Context,
    job: &Job,
    documents: &StepDocuments,
    summary: &Summary,
    gave_up: bool,
) -> Result<Value, Error> {
    let report = ending::write_summary(context, summary, &documents.reports).await?;
    let changes = ended(summary, Some(report))
        .counts(&summary.counts)
        .flag("notified", false)
        .flag("gave_up", gave_up);
    let ended = context.jobs.change(job, changes).await?.job;
    ending::count(&ended);
    log(&ended);
    notify_surely(context, &ended).await?;
    serde_json::to_value(summary).map_err(|e| Error::Report {
        place: documents.reports.summary(),
        source: Box::new(e),
    })
}

/// What the parts of a job did. How it ended is to be filled in.
pub(super) fn summary_of(context: &Context, job: &Job, parts: &[Job]) -> Summary {
    let counts = total(parts.iter().map(Job::counts_at_end));
    Summary {
        status: summary::Status::Failed,
        source: job.url(),
        job: Some(job.job.clone()),
        attempts: Some(parts.iter().map(|part| part.attempt).sum()),
        table: context.config.table.clone(),
        format: parts.iter().find_map(|part| part.format.clone()),
        compression: parts.iter().find_map(|part| part.compression.clone()),
        counts,
        rows_unsettled: counts.rows_unsettled(),
        // Few digits: it is read from the summary again, and JSON's readers round the seventeenth.
        duration_seconds: since(&job.created_at).as_millis() as f64 / 1000.0,
        rejects: None,
        failure: None,
    }
}

/// What is wrong with an import of which every range has ended well.
fn judge(context: &Context, summary: &Summary, ranges: &[Job]) -> Option<Failure> {
    let counts = &summary.counts;
    let is_exceeded = context
        .config
        .max_rejects
        .is_some_and(|max| max.is_exceeded(counts, true));
    let error = if counts.rows_unsettled() > 0 {
        Error::Accounting {
            read: counts.rows_read,
            written: counts.rows_written,
            superseded: counts.rows_superseded,
            rejected: counts.rows_rejected,
        }
    } else if is_exceeded {
        let last = ranges.last().and_then(|range| range.saved().checkpoint.row);
        Error::Stopped {
            position: last.unwrap_or_default(),
            why: StopReason::TooManyRejects,
        }
    } else {
        return None;
    };
    Some(Failure::from(&error))
}

/// How the ranges of a job stand.
struct RangeTally<'a> {
    all: usize,
    /// Those that are to be imported and have not ended.
    left: usize,
    /// The first that has failed.
    failed: Option<&'a Job>,
    is_cancelled: bool,
}

impl<'a> RangeTally<'a> {
    /// `ranges` are those that somebody has begun with, in the order of the file.
    fn new(job: &Job, ranges: &'a [Job]) -> Self {
        let failed = ranges
            .iter()
            .position(|range| range.status == Status::Failed);
        // Before they are counted there is at least one.
        let all = job.ranges.map_or(1, |all| all as usize);
        // All ranges before one that has failed were begun with, or are missing among those before it.
        let wanted = failed.map_or(all, |failed| number(&ranges[failed]) + 1);
        let ended = ranges
            .iter()
            .filter(|range| range.status.is_ended() && number(range) < wanted)
            .count();
        Self {
            all,
            left: wanted.saturating_sub(ended),
            failed: failed.map(|failed| &ranges[failed]),
            is_cancelled: ranges.iter().any(|range| range.status == Status::Cancelled),
        }
    }
}

/// A range's number, which is its job's name.
fn number(range: &Job) -> usize {
    range.job.parse().unwrap_or(usize::MAX)
}

/// Why a range has failed: as its own summary says, which has the place.
async fn failure_of(range: &Job, documents: &StepDocuments) -> Result<Failure, Error> {
    #[derive(Deserialize)]
    struct RangeSummary {
        failure: Option<Failure>,
    }
    let range_summary = match range.job.parse() {
        Ok(number) => {
            documents
                .read(&documents.of_range(number).summary())
                .await?
        }
        Err(_) => RangeSummary { failure: None },
    };
    Ok(range_summary.failure.unwrap_or_else(|| Failure {
        code: range.code.clone().unwrap_or_default(),
        message: range.reason.clone().unwrap_or_default(),
        fix: range.fix.clone(),
        position: None,
    }))
}

/// The time since one in RFC 3339.
fn since(time: &str) -> Duration {
    let time = OffsetDateTime::parse(time, &Rfc3339).map(SystemTime::from);
    time.ok()
        .and_then(|time| time.elapsed().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn failure(error: Value) -> (String, String) {
        let gave_up: GaveUp = serde_json::from_value(error).unwrap();
        let failure = gave_up.failure();
        (failure.message, failure.fix.unwrap())
    }

    #[test]
    fn what_to_do_is_not_cut_off_and_fits_the_place() {
        let long = "x".repeat(2 * rows::PROSE_BYTES_MAX);
        let said = format!("{long} (fix: allow it (in IAM))");
        let cause = json!({ "errorType": "Intake.Fatal", "errorMessage": said });
        let (message, fix) =
            failure(json!({ "Error": "Intake.Fatal", "Cause": cause.to_string() }));
        assert!(message.len() <= rows::PROSE_BYTES_MAX);
        assert!(
            fix.starts_with("allow it (in IAM); then redrive the execution"),
            "{fix}"
        );
        let (message, fix) =
            failure(json!({ "Error": "intake import", "Cause": "denied", "Fix": "allow it" }));
        assert_eq!(message, "the import was given up: intake import: denied");
        assert_eq!(fix, "allow it");
        let (_, fix) = failure(json!({ "Error": "States.Timeout" }));
        assert!(
            fix.starts_with("look into the state machine's execution; redrive"),
            "{fix}"
        );
    }
}
