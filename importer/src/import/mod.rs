//! One import: a file's rows go into a table, and those that cannot go into a report.
//!
//! | File | What it does |
//! |---|---|
//! | `source` | reads the object's bytes ahead |
//! | `pipeline` | runs the stages and adds up what they did |
//! | `decoding` | the thread that reads, decodes and fills batches |
//! | `settling` | the tasks that write them, one a lane |
//! | `settled`, `checkpoint` | which rows are settled, and so how far the import is |
//! | `journaling`, `journal` | keep what must outlive it: rejected rows and checkpoints |
//! | `reject_file`, `object_writer` | rejected rows in a local file, and objects in S3 |
//! | `options`, `stop` | how a file is imported, and how to end that early |
//! | `summary` | how it ended |
//! | `tasks` | what the tasks have in common |
//!
//! Nothing here knows jobs, Lambda or the table of jobs: a checkpoint goes wherever the [`Journal`] puts it.

pub(crate) mod checkpoint;
mod decoding;
pub(crate) mod journal;
mod journaling;
mod local_file;
pub(crate) mod object_writer;
pub(crate) mod options;
pub(crate) mod pipeline;
mod reject_file;
pub(crate) mod settled;
mod settling;
pub(crate) mod source;
pub(crate) mod stop;
pub(crate) mod summary;
mod tasks;

pub use checkpoint::Checkpoint;
pub use journal::{Discard, Journal};
pub use options::{ImportOptions, MaxRejects};
pub use pipeline::{Ended, Import, Resume};
pub use reject_file::RejectFile;
pub use source::{Object, Source};
pub use stop::Stop;
pub use summary::{Failure, Status, Summary};

pub(crate) use object_writer::ObjectWriter;
