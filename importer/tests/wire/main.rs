//! The pipeline with both writers, against S3 and DynamoDB on the wire, well and badly behaved.

#![allow(clippy::unwrap_used, reason = "a panic is how a test reports")]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "shared: each suite uses its part")]
mod support;

mod answers;
mod credentials;
mod faults;
mod fixture;
mod key_limits;
mod keys;
mod limits;
mod objects;
mod refused;
mod tls;
mod transport;
