//! Imports that are disturbed in every way, on the wire and with real processes, end as undisturbed ones do.
//!
//! By default a part of what there is to disturb, so that it takes a minute; `make chaos` does all of it, prints the
//! figures, and writes the table in `docs/RELIABILITY.md`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on may panic, in its helpers, too; figures are for whoever runs it"
)]

mod duplicates;
mod kills;
mod matrix;
mod memory;
mod world;

/// Whether to do all of it: `INTAKE_CHAOS=all`.
fn is_all() -> bool {
    std::env::var("INTAKE_CHAOS").is_ok_and(|value| value == "all")
}
