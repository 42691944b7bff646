//! What steps are about: a job, and items of it.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::Error;
use crate::jobs::JobKey;

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
}

impl Work {
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
        if let Some(holder) = self.holder {
            answer["holder"] = json!(holder);
        }
        answer
    }
}

/// Reads an item of a step.
pub(super) fn item<T: for<'de> Deserialize<'de>>(value: &Value) -> Result<T, Error> {
    T::deserialize(value).map_err(|e| Error::Unusable {
        problem: format!("an item of the step cannot be read: {e}"),
        fix: "give the items as the step before has written them".to_owned(),
    })
}
