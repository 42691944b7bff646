//! Looking at import jobs: finding them as people name them, following them, and printing them.
//!
//! Jobs are only read here. What changes them is the importer's `JobStore`; what was typed is turned into calls by
//! `commands`.

mod lookup;
mod text;
pub mod watch;

pub use lookup::{JobItem, JobSelector, Jobs, TABLE, default_table, table_from_environment};
pub use text::{describe, has_lease, held_for, list, ranges};
