//! Imports one large object by many workers at once: the steps that the state machine takes, and `intake import --workers`.
//!
//! | Step | Does |
//! |---|---|
//! | [`plan`] | claims the object's job, cuts the object into ranges of bytes |
//! | [`scan`] | finds out what each range does to the state it begins in, in any order |
//! | [`compose`] | knows by all scans where the first row of each range is |
//! | [`ranges`] | imports ranges, each as a job of its own |
//! | [`finish`] | adds up, makes one report, ends the object's job and publishes that |
//! | `unplanned` | ends the import if no plan could be made |
//!
//! Any worker may run any step again at any time: after a crash, because an answer was lost, or because the state machine is
//! redriven. What a step writes is the same each time ([`documents`]), and what it changes in the table of jobs is changed under
//! a condition. How an object is cut is decided once, and kept in its job.
//!
//! The first range that fails decides the end of the import, as the first broken row does when one importer reads the file from its
//! beginning: all ranges before it are imported to their ends, and those after it are not wanted any more. So what is reported
//! does not depend on which worker was the fastest.
//!
//! Nothing here reads rows or writes them: a range is imported like any object, by `function::attempt`.

mod compose;
mod documents;
mod finish;
pub(crate) mod hand_over;
mod plan;
mod prefix;
mod ranges;
mod scan;
mod work;

use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

pub(crate) use self::finish::abandon;
use self::work::{Name, Work, check_executor};
use crate::error::{Class, Error, cause};
use crate::function::keeper::keep;
use crate::function::{Context, Deadlines, Invocation};
use crate::import::Stop;
use crate::jobs::Mode;

/// Whether an event is a step.
pub(crate) fn is_step(event: &Value) -> bool {
    event.get("step").is_some() || event.pointer("/BatchInput/step").is_some()
}

/// What Lambda calls the error of a step: by this the state machine knows whether to try again.
pub(crate) fn error_type(error: &Error) -> &'static str {
    if may_pass(error) {
        "Intake.Retry"
    } else {
        "Intake.Fatal"
    }
}

/// Whether the same step may succeed later.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Service { class, .. } => matches!(class, Class::Retry | Class::Unanswered),
        Error::File(rows::Error::Read { source, .. } | rows::Error::Compression { source, .. }) => {
            cause(source).map_or(!error.is_final(), may_pass)
        }
        error => !error.is_final(),
    }
}

/// A step, as the state machine or a worker's master asks for it.
#[derive(Debug, Deserialize)]
#[serde(tag = "step", rename_all = "lowercase")]
enum Step {
    Plan(plan::Plan),
    Scan(Work),
    Compose(Name),
    Import(Work),
    Finish(finish::Finish),
    Unplanned(finish::Unplanned),
}

/// Takes a step.
pub(crate) async fn step(
    context: &Context,
    event: Value,
    invocation: &Invocation,
) -> Result<Value, Error> {
    let deadline = Deadlines::new(invocation.deadline).stop_reading;
    match parse_step(event)? {
        Step::Plan(plan) => match (&plan.key, &plan.prefix) {
            (Some(key), None) => Box::pin(plan::object(context, &plan, key, deadline)).await,
            (None, Some(prefix)) => Box::pin(prefix::plan(context, &plan, prefix, deadline)).await,
            _ => Err(Error::Unusable {
                problem: "the step plan has neither a key nor a prefix, or both".to_owned(),
                fix: "give bucket and key, or bucket and prefix".to_owned(),
            }),
        },
        Step::Scan(work) => Box::pin(scan::scan(context, work, invocation)).await,
        Step::Compose(name) => Box::pin(compose::compose(context, &name.key())).await,
        Step::Import(work) => Box::pin(ranges::import(context, work, invocation)).await,
        Step::Finish(finish) => {
            let (job, documents) = documents::of(context, &finish.name.key()).await?;
            if !job.status.is_ended() {
                check_executor(&job, finish.holder.as_deref())?;
            }
            if job.status.is_ended() {
                return Box::pin(finish::again(context, job, &documents)).await;
            }
            let finished = async {
                if job.mode == Some(Mode::Prefix) {
                    Box::pin(prefix::finish(context, &job, &documents, finish.error)).await
                } else {
                    let deadlines = Deadlines::new(invocation.deadline);
                    let error = finish.error;
                    Box::pin(finish::finish(context, &job, &documents, error, deadlines)).await
                }
            };
            keep(
                &context.jobs,
                &job,
                Instant::now(),
                &Stop::default(),
                finished,
            )
            .await
        }
        Step::Unplanned(unplanned) => Box::pin(finish::unplanned(context, unplanned)).await,
    }
}

/// Reads a step. The state machine puts what all batches have in common beside a batch's items.
fn parse_step(mut event: Value) -> Result<Step, Error> {
    if let Some(members) = event.as_object_mut()
        && let Some(Value::Object(common)) = members.remove("BatchInput")
    {
        for (name, value) in common {
            members.entry(name).or_insert(value);
        }
    }
    serde_json::from_value(event).map_err(|e| Error::Unusable {
        problem: format!("the step cannot be read: {e}"),
        fix: "the steps are plan, scan, compose, import, finish and unplanned; docs/ARCHITECTURE.md has what each takes"
            .to_owned(),
    })
}
