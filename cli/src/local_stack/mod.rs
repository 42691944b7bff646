//! The local stack: `intake local`, `--local` of other commands, and the demonstration.
//!
//! Everything that needs the crate `local` is here, so that the command can be built without it. What works on AWS, too,
//! belongs elsewhere: it gets its clients from here.

mod clients;
pub mod demo;
mod inbox;
pub mod serve;
mod stack;
pub mod state;

pub use stack::{LocalStack, running};
