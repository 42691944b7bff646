//! The local stack from outside: over HTTP and with the AWS SDKs, and its wiring with real child processes.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "clippy.toml allows them in test functions, and all of this crate is for tests"
)]

mod capacity;
mod client;
mod delivery;
mod digest;
mod dynamodb;
mod faults;
mod function;
mod jobs;
mod mapping;
mod plans;
mod runtime;
mod s3;
mod setup;
mod sns;
mod sqs;
mod wiring;
