//! The Lambda function's handler, given the events that AWS sends, against S3 and DynamoDB on the wire.

#![allow(clippy::unwrap_used, reason = "a panic is how a test reports")]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "shared: each suite uses its part")]
mod support;

mod deadline;
mod errors;
mod events;
mod files;
mod fixture;
mod jobs;
mod large;
mod meeting;
mod metadata;
mod outward;
mod sharing;
