//! One write cap for all imports of a table: the allocation against a model of many workers, the task against pages in memory,
//! and imports at once against the local stack.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on may panic, in its helpers, too"
)]

#[path = "../support/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "shared: each suite uses its part"
)]
mod support;

mod memory;
mod simulation;
mod table;
mod task;
mod world;
