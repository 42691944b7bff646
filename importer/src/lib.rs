//! Intake's importer: a catalog file in S3 becomes rows of a DynamoDB table.
//!
//! # Layout
//!
//! Follow a row from top to bottom; each stage hands it to the next:
//!
//! 1. `handler` takes the invocation; [`event`] says which object it is about, [`jobs`] which invocation has it and how far it
//!    has got.
//! 2. [`function`] imports a claimed job's file as far as there is time, and ends the job or hands it on.
//! 3. [`import`] runs the stages: its `source` reads the object's bytes ahead, and one thread decodes them.
//! 4. The crate [`rows`] turns bytes into rows; each [`rows::Row`] holds an item's wire bytes, key and size, checked against
//!    DynamoDB's limits and the table's schema (looked up by [`table`]).
//! 5. [`write`](mod@write) spreads rows by key over lanes and fills each lane's open batch, paces the batches below a cap that
//!    other imports share, sends them, and tries again as [`retry`] says.
//! 6. [`import`] notes what is settled, and reports what must outlive the import: the rows that cannot be written and how far
//!    it is.
//! 7. [`function`] ends the job.
//!
//! A large object goes this way in ranges: `large` has the steps, [`rows::split`] finds out where ranges may begin.

mod aws;
pub mod error;
pub mod event;
pub mod function;
mod handler;
pub mod import;
pub mod jobs;
mod large;
#[cfg(test)]
#[path = "../tests/meeting/mod.rs"]
mod meeting;
pub mod progress;
pub mod retry;
pub mod table;
pub mod write;

pub use error::{Class, Error, StopReason};
pub use function::Invocation;
pub use handler::{Importer, diagnostic, run};
