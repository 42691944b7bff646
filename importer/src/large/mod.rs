//! Imports one large object by many workers at once: the steps that the state machine takes, and `intake import --workers`.
//!
//! | Step | Does |
//! |---|---|
//! | [`plan`] | claims the object's job, cuts the object into ranges of bytes |
//! | [`scan`] | finds out what each range does to the state it begins in, in any order |
//! | [`compose`] | knows by all scans where the first row of each range is |
//! | [`ranges`] | imports ranges, each as a job of its own |
//! | [`finish`] | adds up, makes one report, ends the object's job and tells so |
//!
//! Every step may be run again at any time, and by anybody: after a crash, because an answer was lost, or because the state
//! machine is driven again. What a step writes is the same each time ([`papers`]), and what it changes in the table of jobs is
//! changed under a condition. How an object is cut is decided once, and kept in its job.
//!
//! The first range that fails decides the end of the import, as the first broken row does when one importer reads the file from its
//! beginning: all ranges before it are imported to their ends, and those after it are not wanted any more. So what is reported
//! does not depend on which worker was the fastest.

mod compose;
mod finish;
mod hand_over;
mod papers;
mod plan;
mod prefix;
mod ranges;
mod scan;

use serde::Deserialize;
use serde_json::{Value, json};

use self::papers::Papers;
use crate::error::{Class, Error, cause};
use crate::jobs::{Job, JobKey};
use crate::lambda::{Importer, Invocation};

/// Who holds the job of a large object: no invocation, but all of them.
const HOLDER: &str = "steps";
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
        Error::Service { class, .. } => *class == Class::Retry,
        Error::Read { source, .. } | Error::Compression { source, .. } => {
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
}

/// The job of a large object.
#[derive(Debug, Clone, Deserialize)]
struct Name {
    owner: String,
    job: String,
}

impl Name {
    fn key(&self) -> JobKey {
        JobKey {
            owner: self.owner.clone(),
            job: self.job.clone(),
        }
    }
}

/// Items of a job to work on, one after the other.
#[derive(Debug, Deserialize)]
struct Work {
    #[serde(flatten)]
    name: Name,
    #[serde(rename = "Items")]
    items: Vec<Value>,
    /// Who does it, if its claims are to outlast the invocation: whoever tries again when this one is certainly over.
    holder: Option<String>,
}

impl Work {
    /// The answer: the same step again for what is left.
    fn answer(self, step: &str, done: usize) -> Value {
        let left = &self.items[done..];
        let mut answer = json!({
            "step": step,
            "owner": self.name.owner,
            "job": self.name.job,
            "done": left.is_empty(),
            "Items": left,
        });
        if let Some(holder) = self.holder {
            answer["holder"] = json!(holder);
        }
        answer
    }
}

impl Importer {
    /// Takes a step.
    pub(crate) async fn step(&self, event: Value, invocation: &Invocation) -> Result<Value, Error> {
        match understood(event)? {
            Step::Plan(plan) => Box::pin(self.plan(plan)).await,
            Step::Scan(work) => Box::pin(self.scan(work, invocation)).await,
            Step::Compose(name) => Box::pin(self.compose(&name.key())).await,
            Step::Import(work) => Box::pin(self.ranges(work, invocation)).await,
            Step::Finish(finish) => Box::pin(self.finish_large(finish)).await,
        }
    }

    /// The job of a large object.
    async fn large_job(&self, key: &JobKey) -> Result<Job, Error> {
        let job = self.jobs.get(key).await?;
        job.ok_or_else(|| Error::Unusable {
            problem: format!("there is no job {} of {}", key.job, key.owner),
            fix: "begin with the step plan; check INTAKE_JOBS_TABLE".to_owned(),
        })
    }

    fn papers(&self, job: &Job) -> Papers {
        Papers::new(self.s3.clone(), self.reports(job))
    }
}

/// Reads a step. The state machine puts what all batches have in common beside a batch's items.
fn understood(mut event: Value) -> Result<Step, Error> {
    if let Some(members) = event.as_object_mut()
        && let Some(Value::Object(common)) = members.remove("BatchInput")
    {
        for (name, value) in common {
            members.entry(name).or_insert(value);
        }
    }
    serde_json::from_value(event).map_err(|e| Error::Unusable {
        problem: format!("the step cannot be read: {e}"),
        fix: "the steps are plan, scan, compose, import and finish; docs/ARCHITECTURE.md has what each takes"
            .to_owned(),
    })
}

/// Reads an item of a step.
fn item<T: for<'de> Deserialize<'de>>(value: &Value) -> Result<T, Error> {
    T::deserialize(value).map_err(|e| Error::Unusable {
        problem: format!("an item of the step cannot be read: {e}"),
        fix: "give the items as the step before has written them".to_owned(),
    })
}
