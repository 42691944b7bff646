//! Import jobs: one for each version of an object, however often its event comes and however many invocations it takes.
//!
//! A job is an item of the table of jobs. An invocation claims it until its deadline (`store`), saves every few seconds how
//! far it is (`journal`), and publishes its end once (`notice`). `states` is the table of a job's states and of the only
//! ways from one to the next.
//!
//! Nothing here imports, decides when to begin or end, or knows the steps of large objects; `ranges` only keeps the jobs of
//! their ranges.

pub(crate) mod head;
pub(crate) mod identity;
pub(crate) mod job;
pub(crate) mod journal;
pub(crate) mod notice;
pub(crate) mod ranges;
pub(crate) mod reports;
pub(crate) mod states;
pub(crate) mod store;
pub(crate) mod update;

pub use head::Head;
pub use identity::{Identity, JobKey, NOBODY};
pub use job::{Job, LEASE, Mode, ReportParts, Saved, TERMINAL};
pub use journal::JobJournal;
pub use notice::Notice;
pub use reports::Reports;
pub use states::{STALLED_ATTEMPTS_MAX, Status, Transition};
pub use store::{Claim, JobStore, Lease, Standing, Updated, attributes};
pub use update::Changes;

pub(crate) use ranges::HELD;
pub(crate) use store::NoticeClaim;
