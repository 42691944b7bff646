//! The `intake` command as people run it: a child process against the local stack.

#![allow(clippy::unwrap_used, reason = "a panic is how a test reports")]

mod demo;
mod doctor;
mod exit;
mod import;
mod interrupt;
mod jobs;
mod outputs;
mod samples;
mod stack;
mod support;
mod workers;
