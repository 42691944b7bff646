//! The step `plan`: claims an object's job and decides how it is imported.

use std::sync::Arc;
use std::time::Duration;

use rows::split::Syntax;
use rows::{Compression, DecodeOptions, Position, Row, Schema};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::documents::{ByteRange, RowRange, Split, StepDocuments};
use super::finish::{abandon, fail, notify_surely};
use crate::error::Error;
use crate::event::{ObjectCreated, Seen};
use crate::function::Context;
use crate::function::attempt::replaced;
use crate::function::config::{has_unique_keys, options_from_metadata};
use crate::function::ending::{Unbegun, unbegun};
use crate::function::keeper::watch;
use crate::import::Object;
use crate::jobs::{Changes, Claim, HELD, Head, Identity, Job, Lease, Mode, Standing};
use crate::table;

/// Who has the steps taken, if the one who does gives no name.
pub(super) const EXECUTOR: &str = "steps";
/// How often an object is looked up again because another importer was faster.
pub(super) const LOOKS_MAX: u32 = 10;
/// Most ranges of an object. More would be of no use: a terabyte's have 10 MB then.
const RANGES_MAX: u64 = 100_000;

/// What to import: an object, or every object under a prefix.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Plan {
    pub(super) bucket: String,
    pub(super) key: Option<String>,
    pub(super) prefix: Option<String>,
    pub(super) etag: Option<String>,
    pub(super) version_id: Option<String>,
    pub(super) sequencer: Option<String>,
    /// When the object was created, in RFC 3339.
    pub(super) time: Option<String>,
    /// Bytes of a range, if not as the function is set up.
    range_bytes: Option<u64>,
    /// Whether to cut the object though its rows' keys are not declared unique.
    parallel: Option<bool>,
    /// Who has the steps taken, and may take ranges over from its own dead workers.
    pub(super) holder: Option<String>,
    /// For how long the job is the holder's if nothing of it is saved.
    lease_seconds: Option<u64>,
    /// When the holder began, in RFC 3339.
    pub(super) started: Option<String>,
    /// Whether to import what was imported before.
    pub(super) again: Option<bool>,
    /// How a job stood longer than its lease ago.
    seen: Option<Seen>,
    /// Whether the answer may be that another one has the job: who asks watches it.
    watches: Option<bool>,
}

impl Plan {
    /// Who has the steps taken.
    pub(super) fn executor(&self) -> &str {
        self.holder.as_deref().unwrap_or(EXECUTOR)
    }

    fn lease(&self) -> Lease {
        Lease {
            holder: self.executor().to_owned(),
            message: None,
            duration: self.lease_seconds.map_or(HELD, Duration::from_secs),
            seen: self.seen.clone(),
        }
    }

    pub(super) fn created(&self, key: &str) -> ObjectCreated {
        let filled = |member: &Option<String>| member.clone().filter(|text| !text.is_empty());
        ObjectCreated {
            bucket: self.bucket.clone(),
            key: key.to_owned(),
            version_id: filled(&self.version_id),
            etag: filled(&self.etag),
            sequencer: self.sequencer.clone(),
            time: self.time.clone(),
            seen: None,
        }
    }
}

/// What became of the claim of a large job.
pub(super) enum Planned {
    /// It is the executor's.
    Mine(Box<Job>),
    /// Nothing is to be done: the step's answer.
    Answer(Value),
}

/// How an object is imported.
enum Decision {
    Split { syntax: Syntax, first: Position },
    Whole { why: String },
}

/// Plans one object.
pub(super) async fn object(
    context: &Context,
    plan: &Plan,
    key: &str,
    deadline: Instant,
) -> Result<Value, Error> {
    if key.starts_with(&context.config.report_prefix) || key.ends_with('/') {
        return Err(Error::Unusable {
            problem: format!("{} is a report or a folder", plan.created(key).url()),
            fix: "import an object with rows".to_owned(),
        });
    }
    let created = plan.created(key);
    for _ in 0..LOOKS_MAX {
        let found = context.find(&created).await?;
        let object = match &found.object {
            Ok(object)
                if created.is_about(object.version_id.as_deref(), object.etag.as_deref()) =>
            {
                object
            }
            Ok(_) => {
                let reason = "the file was replaced before any of its rows was imported";
                match unbegun(context, &found, reason, None).await? {
                    Unbegun::Ended(job) => return ended(context, *job).await,
                    Unbegun::Known => return Err(replaced(&created.url())),
                    Unbegun::Changed => continue,
                }
            }
            Err(_) => return Err(found.object.err().unwrap_or(Error::LeaseLost)),
        };
        let mut identity = found.identity(object, &created);
        if plan.again == Some(true) {
            identity.again = Some(plan.executor().to_owned());
        }
        let Some(planned) = claim(context, plan, deadline, &identity, found.head.as_ref()).await?
        else {
            continue;
        };
        let job = match planned {
            Planned::Mine(job) => job,
            Planned::Answer(answer) => return Ok(answer),
        };
        let planned = plan_claimed(context, plan, &job, object).await;
        return or_fail(context, &job, planned).await;
    }
    Err(Error::LeaseLost)
}

/// Ends a job whose plan can never be made.
pub(super) async fn or_fail(
    context: &Context,
    job: &Job,
    planned: Result<Value, Error>,
) -> Result<Value, Error> {
    if let Err(error) = &planned
        && error.is_final()
    {
        fail(context, job, error).await?;
    }
    planned
}

/// The answer for a job that has ended.
async fn ended(context: &Context, job: Job) -> Result<Value, Error> {
    notify_surely(context, &job).await?;
    Ok(
        json!({ "owner": job.owner, "job": job.job, "bucket": job.bucket, "mode": "ended", "ranges": 0 }),
    )
}

/// Claims the job of a large object, or of many objects. Waits until `deadline` for another one who has it, or has another
/// version's. `None` if another was faster.
pub(super) async fn claim(
    context: &Context,
    plan: &Plan,
    deadline: Instant,
    identity: &Identity,
    head: Option<&Head>,
) -> Result<Option<Planned>, Error> {
    let (jobs, mut lease) = (&context.jobs, plan.lease());
    if let Some(unpublished) = jobs.unpublished(head).await? {
        notify_surely(context, &unpublished).await?;
    }
    let mut standing = jobs.standing(identity, head).await?;
    let version = match &standing {
        Standing::Waits(_) => "other",
        _ => "same",
    };
    let in_the_way = match &standing {
        Standing::Open(job) => Some(job).filter(|job| !lease.may_take(job)),
        // Also one between two invocations: its message goes on with it.
        Standing::Waits(job) => Some(job).filter(|job| !lease.is_over(job)),
        Standing::New | Standing::Ended(_) | Standing::Forgotten | Standing::Unpublished(_) => None,
    };
    if let Some(job) = in_the_way {
        if plan.watches == Some(true) {
            return Ok(Some(Planned::Answer(busy(job, version))));
        }
        lease.seen = Some(watch(jobs, job, deadline).await?);
        standing = jobs.standing(identity, head).await?;
    }
    let claim = match standing {
        Standing::New => jobs.begin(identity, head, &lease).await?,
        Standing::Open(job) => jobs.resume(*job, &lease).await?,
        Standing::Ended(job) if job.gave_up && jobs.reopen(identity, head).await? => {
            return Ok(None);
        }
        Standing::Ended(job) => return Ok(Some(Planned::Answer(ended(context, *job).await?))),
        Standing::Forgotten => {
            return Err(Error::Unusable {
                problem: format!(
                    "{} was imported before, so long ago that its job is not kept any more",
                    identity.url()
                ),
                fix: "ask to import it again (--again, or \"again\": true in the state machine's input)".to_owned(),
            });
        }
        Standing::Unpublished(before) => {
            notify_surely(context, &before).await?;
            return Ok(None);
        }
        Standing::Waits(before) => {
            // Its importer is dead.
            abandon(context, *before, &lease).await?;
            return Ok(None);
        }
    };
    match claim {
        Claim::Mine(job) => Ok(Some(Planned::Mine(job))),
        Claim::Busy(_) => Err(Error::LeaseLost),
        Claim::Ended(_) | Claim::Changed => Ok(None),
    }
}

/// The answer if another one has the job, and who asks watches it. `version` says whether it imports the same one.
fn busy(job: &Job, version: &str) -> Value {
    json!({
        "version": version,
        "owner": job.owner,
        "job": job.job,
        "mode": "busy",
        "holder": job.lease_holder,
        "rows_written": job.counts.rows_written,
        "seen": job.seen(),
        "watch_seconds": job.takeover().as_secs(),
    })
}

async fn plan_claimed(
    context: &Context,
    plan: &Plan,
    job: &Job,
    object: &Object,
) -> Result<Value, Error> {
    if job.etag.is_some() && job.etag != object.etag {
        return Err(replaced(&job.url()));
    }
    let range_bytes = job.range_bytes.or(plan.range_bytes);
    let range_bytes = range_bytes
        .unwrap_or(context.config.range_bytes.get())
        .max(object.size_bytes.div_ceil(RANGES_MAX))
        .max(1);
    let decision = match job.mode {
        Some(Mode::Whole) => Decision::Whole {
            why: job.why.clone().unwrap_or_default(),
        },
        decided => {
            let is_decided = decided.is_some();
            decide(context, object, plan, range_bytes, is_decided).await?
        }
    };
    let documents = StepDocuments::new(context, job);
    let changes = Changes::none()
        .text_or_none("etag", object.etag.as_deref())
        .options(&object.metadata)
        .number("bytes_total", object.size_bytes);
    let (mode, changes) = match &decision {
        Decision::Split { .. } => (Mode::Split, changes),
        Decision::Whole { why } => {
            let changes = changes.text("why", why).number("ranges", 1_u64);
            (Mode::Whole, changes)
        }
    };
    let planned = context.jobs.plan(job, mode, range_bytes, changes).await?;
    if (planned.mode, planned.range_bytes) != (Some(mode), Some(range_bytes)) {
        // Another planner has decided otherwise in between. Its decision holds.
        return Err(Error::LeaseLost);
    }
    let ranges = match decision {
        Decision::Split { syntax, first } => {
            let split = Split {
                etag: object.etag.clone(),
                size_bytes: object.size_bytes,
                syntax,
                first,
            };
            documents.write(&documents.split(), &split).await?;
            let ranges = byte_ranges(first.byte, object.size_bytes, range_bytes);
            documents.write(&documents.plan(), &ranges).await?;
            ranges.len()
        }
        Decision::Whole { why } => {
            tracing::info!(
                job = job.job,
                object = job.url(),
                why,
                "not cut into ranges"
            );
            let ranges = [RowRange::whole()];
            documents.write(&documents.plan(), &ranges).await?;
            ranges.len()
        }
    };
    let mut answer = answer(plan, &planned, mode, ranges, &documents);
    // A worker that is thought dead may write for a little longer. Without ranges the order of rows counts, and it would matter.
    answer["holder"] = json!(plan.holder.as_ref().filter(|_| mode == Mode::Split));
    Ok(answer)
}

/// Looks at the object's beginning. What was decided before, with other options perhaps, is found again.
async fn decide(
    context: &Context,
    object: &Object,
    plan: &Plan,
    range_bytes: u64,
    is_decided: bool,
) -> Result<Decision, Error> {
    let whole = |why: &str| {
        Ok(Decision::Whole {
            why: why.to_owned(),
        })
    };
    let is_unique = has_unique_keys(&object.metadata)?;
    if !(is_decided || is_unique || plan.parallel == Some(true)) {
        return whole(
            "rows of one key must be written in the order of the file; if each row has a key of its own, upload with \
             x-amz-meta-intake-unique-keys: true, or ask for \"parallel\": true",
        );
    }
    if object.size_bytes <= range_bytes {
        return whole("it is not larger than one range");
    }
    let options = match options_from_metadata(&object.metadata) {
        Ok(options) => options,
        // The one that imports it reports that.
        Err(error) => return whole(&error.chain()),
    };
    let schema = Arc::new(table::describe(&context.dynamodb, &context.config.table).await?);
    let beginning = object.beginning(&context.s3);
    let feed = tokio::spawn(beginning.feed);
    let looked =
        tokio::task::spawn_blocking(move || look(beginning.reader, &options, &schema)).await;
    feed.abort();
    match looked {
        Ok(decision) => decision,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// Finds how a file may be cut, and its first row.
fn look(
    reader: Box<dyn std::io::Read + Send>,
    options: &DecodeOptions,
    schema: &Arc<Schema>,
) -> Result<Decision, Error> {
    let whole = |why: String| Ok(Decision::Whole { why });
    let broken = |error: rows::Error| {
        let error = Error::from(error);
        if error.is_final() {
            // The one that imports it finds the same, and reports it.
            whole(error.chain())
        } else {
            Err(error)
        }
    };
    let mut opened = match rows::open(reader, options, schema) {
        Ok(opened) => opened,
        Err(error) => return broken(error),
    };
    let Some(syntax) = opened.syntax else {
        return whole(match opened.compression {
            Compression::None if opened.seekable => {
                "its rows are JSON over several lines without an array: where one ends is known by reading all before it"
                    .to_owned()
            }
            Compression::None => {
                "its text is converted to UTF-8: where a row is in the object is not known".to_owned()
            }
            compression => format!(
                "it is compressed ({}): it can be read from its beginning only",
                compression.name()
            ),
        });
    };
    let mut row = Row::default();
    let first = match opened.decoder.next(&mut row) {
        Ok(true) => row.position,
        Err(rows::Error::Row(reject)) => reject.position,
        Ok(false) => return whole("it has no rows".to_owned()),
        Err(error) => return broken(error),
    };
    Ok(Decision::Split { syntax, first })
}

/// The ranges of the bytes from `begin` to `end`.
fn byte_ranges(begin: u64, end: u64, range_bytes: u64) -> Vec<ByteRange> {
    (begin..end)
        .step_by(range_bytes as usize)
        .zip(0..)
        .map(|(begin, range)| ByteRange {
            range,
            begin,
            end: end.min(begin.saturating_add(range_bytes)),
        })
        .collect()
}

/// The step's answer.
pub(super) fn answer(
    plan: &Plan,
    job: &Job,
    mode: Mode,
    ranges: usize,
    documents: &StepDocuments,
) -> Value {
    json!({
        "executor": plan.executor(),
        "owner": job.owner,
        "job": job.job,
        "bucket": job.bucket,
        "mode": mode,
        "ranges": ranges,
        "why": job.why,
        "items": documents.place(&documents.plan()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_one_another() {
        let ranges = |begin, end, bytes| {
            let ranges = byte_ranges(begin, end, bytes);
            let ranges: Vec<_> = ranges.iter().map(|r| (r.range, r.begin, r.end)).collect();
            ranges
        };
        assert_eq!(ranges(2, 9, 3), [(0, 2, 5), (1, 5, 8), (2, 8, 9)]);
        assert_eq!(ranges(2, 8, 3), [(0, 2, 5), (1, 5, 8)]);
        assert_eq!(ranges(2, 3, u64::MAX), [(0, 2, 3)]);
    }
}
