//! The states of a job, and the only ways from one to the next.
//!
//! | Transition | From | To | Condition | Where |
//! |---|---|---|---|---|
//! | begin | none | `RUNNING` | no other job of the object is open, and none has begun since the object was looked up | `JobStore::begin` |
//! | [`Claim`](Transition::Claim) | `QUEUED`, `RUNNING` | `RUNNING` | not claimed, claimed by the same, or not saved for longer than a lease | [`JobStore::resume`](super::store::JobStore::resume) |
//! | [`Release`](Transition::Release) | `RUNNING` | `QUEUED` | the claimer still has the job | `function::ending`, `JobStore::let_go` |
//! | [`End`](Transition::End) | `QUEUED`, `RUNNING` | one that ends it | the claimer still has the job; `QUEUED` only if a terminal let go of it | `function::ending`, `large::finish` |
//! | [`Supersede`](Transition::Supersede) | none | `SUPERSEDED` | none has begun since the object was looked up | `JobStore::unbegun` |
//! | [`Refuse`](Transition::Refuse) | none | `FAILED` | the same | `JobStore::unbegun` |
//! | [`Reopen`](Transition::Reopen) | `FAILED` | `QUEUED` | it failed because it was given up, and is the object's last one | `JobStore::reopen` |
//!
//! Nothing else writes a job's status. A job that has ended never changes again, but for `Reopen` and for what says that its
//! end was published. A request to cancel sets a flag, and the importer that has the job ends it; a job of
//! a terminal that no command has any more is ended by the one that asks.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::import::summary;

/// Attempts without progress after which a job has failed.
pub const STALLED_ATTEMPTS_MAX: u32 = 3;

/// Where a job is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Between two invocations.
    Queued,
    /// An invocation imports it, or did when it crashed.
    Running,
    /// Every row is written or superseded.
    Completed,
    /// Every row is written, superseded or in the report of rejects.
    CompletedWithRejects,
    /// It did not get to the end of its file.
    Failed,
    /// Somebody has cancelled it.
    Cancelled,
    /// Its object was replaced or deleted before a row of it was read. None of its rows was imported.
    Superseded,
}

impl Status {
    /// The states of a job that has not ended.
    pub(super) const OPEN: &'static [Self] = &[Self::Queued, Self::Running];

    /// Whether nothing more will happen.
    pub fn is_ended(self) -> bool {
        !Self::OPEN.contains(&self)
    }

    /// The status' name, as it stands in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::CompletedWithRejects => "COMPLETED_WITH_REJECTS",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::Superseded => "SUPERSEDED",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<summary::Status> for Status {
    fn from(status: summary::Status) -> Self {
        match status {
            summary::Status::Completed => Self::Completed,
            summary::Status::CompletedWithRejects => Self::CompletedWithRejects,
            summary::Status::Failed => Self::Failed,
            summary::Status::Cancelled => Self::Cancelled,
        }
    }
}

/// A step from one state to the next: the table is in `states`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// An invocation takes the job.
    Claim,
    /// It lets the job go, for the next one.
    Release,
    /// It ends the job.
    End(summary::Status),
    /// A version that is not there any more, and was never begun, ends.
    Supersede,
    /// A version that cannot be read, and was never begun, ends.
    Refuse,
    /// A large job that was given up is taken up again.
    Reopen,
}

impl Transition {
    /// The states that it may begin in.
    pub(super) fn from(self) -> &'static [Status] {
        match self {
            Self::Claim | Self::End(_) => Status::OPEN,
            Self::Release => &[Status::Running],
            Self::Supersede | Self::Refuse => &[],
            Self::Reopen => &[Status::Failed],
        }
    }

    /// The state that it leads to.
    pub(super) fn to(self) -> Status {
        match self {
            Self::Claim => Status::Running,
            Self::Release | Self::Reopen => Status::Queued,
            Self::End(status) => Status::from(status),
            Self::Supersede => Status::Superseded,
            Self::Refuse => Status::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_job_that_was_given_up_leaves_its_end() {
        let ends = [
            summary::Status::Completed,
            summary::Status::CompletedWithRejects,
            summary::Status::Failed,
            summary::Status::Cancelled,
        ]
        .map(Transition::End);
        for end in ends {
            assert!(end.to().is_ended(), "{end:?}");
        }
        for transition in [Transition::Claim, Transition::Release]
            .into_iter()
            .chain(ends)
        {
            let is_open = |status: &Status| !status.is_ended();
            assert!(transition.from().iter().all(is_open), "{transition:?}");
        }
        assert_eq!(Transition::Reopen.from(), [Status::Failed]);
    }
}
