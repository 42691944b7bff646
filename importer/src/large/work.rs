//! What steps are about: a job, and items of it.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::Error;
use crate::jobs::{Job, JobKey};

/// The job of a large object.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Name {
    owner: String,
    job: String,
}

impl Name {
    pub(super) fn key(&self) -> JobKey {
        JobKey {
            owner: self.owner.clone(),
            job: self.job.clone(),
        }
    }
}

/// Items of a job to work on, one after the other.
#[derive(Debug, Deserialize)]
pub(super) struct Work {
    #[serde(flatten)]
    pub(super) name: Name,
    #[serde(rename = "Items")]
    pub(super) items: Vec<Value>,
    /// Who does it, if its claims are to outlast the invocation, for a retry when this one is certainly over.
    pub(super) holder: Option<String>,
    /// Who has the steps taken.
    pub(super) executor: Option<String>,
}

impl Work {
    /// Checks that no other executor has taken the job over.
    pub(super) fn check_executor(&self, job: &Job) -> Result<(), Error> {
        check_executor(job, self.executor.as_deref())
    }

    /// The answer: the same step again for what is left.
    pub(super) fn answer(self, step: &str, done: usize) -> Value {
        let left = &self.items[done..];
        let mut answer = json!({
            "step": step,
            "owner": self.name.owner,
            "job": self.name.job,
            "done": left.is_empty(),
            "Items": left,
        });
        for (name, value) in [("holder", self.holder), ("executor", self.executor)] {
            if let Some(value) = value {
                answer[name] = json!(value);
            }
        }
        answer
    }
}

/// Checks that a job's steps are taken for `executor`, if that is known.
pub(super) fn check_executor(job: &Job, executor: Option<&str>) -> Result<(), Error> {
    let holder = job.lease_holder.as_deref();
    match (executor, holder) {
        (Some(executor), Some(holder)) if executor != holder => Err(Error::Unusable {
            problem: format!(
                "another one imports {} now, as job {}: {holder}",
                job.url(),
                job.job
            ),
            fix: "nothing: the other one goes on; intake status shows how far it is".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Reads an item of a step.
pub(super) fn item<T: for<'de> Deserialize<'de>>(value: &Value) -> Result<T, Error> {
    T::deserialize(value).map_err(|e| Error::Unusable {
        problem: format!("an item of the step cannot be read: {e}"),
        fix: "give the items as the step before has written them".to_owned(),
    })
}
