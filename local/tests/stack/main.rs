//! The local stack from outside: over HTTP and with the AWS SDKs, and its wiring with real child processes.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "clippy.toml allows them in test functions, and all of this crate is for tests"
)]

mod browser;
mod capacity;
mod client;
mod cognito;
mod control;
mod delivery;
mod digest;
mod dynamodb;
mod faults;
mod function;
mod identity;
mod jobs;
mod mapping;
mod page;
mod people;
mod person;
mod plans;
mod runtime;
mod s3;
mod setup;
mod sns;
mod sqs;
mod wiring;
