//! The handler against a topic, a bucket and a table that fail on command.

#![allow(clippy::unwrap_used, reason = "test support: a panic is the report")]

mod batches;
mod budget;
mod records;
mod replays;
mod scripted;
mod windows;
