//! One invocation's work on a claimed job: import its file as far as there is time, then end the job or hand it on.
//!
//! | File | What it does |
//! |---|---|
//! | `config`, `context` | how the function is set up, and its clients |
//! | `invocation` | when an invocation must be where |
//! | `object` | an object's job in one invocation, from its claim to its end or to the next invocation |
//! | `attempt`, `cap` | the import itself, below the cap that is shared with other imports |
//! | `ending` | reports, status, and the message about a job's end |
//! | `metrics` | what CloudWatch gets |
//!
//! Nothing here parses events or knows the steps of large objects: `handler` does, and `large`.

pub(crate) mod attempt;
mod cap;
pub(crate) mod config;
pub(crate) mod context;
pub(crate) mod ending;
pub(crate) mod invocation;
pub(crate) mod keeper;
pub(crate) mod metrics;
pub(crate) mod object;

pub use config::{Config, delimiter, has_unique_keys, options_from_metadata, request_lasts};
pub use invocation::Invocation;

pub(crate) use attempt::Attempt;
pub(crate) use context::{Context, Found};
pub(crate) use invocation::Deadlines;
pub(crate) use metrics::METRICS;
