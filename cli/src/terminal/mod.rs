//! The terminal: what is written to it, how a command ends there, and the signals that come from it.
//!
//! Nothing here imports, looks anything up or knows the arguments; every other folder may use this one.

pub mod columns;
mod outcome;
mod output;
pub mod progress;
mod signal;
mod summary;

pub use outcome::{Failure, Outcome, causes, harmless, harmless_json, tell};
pub use output::{Output, forgive_reader};
pub use signal::Signals;
pub use summary::conclude;
