//! A small host for Lambda functions: runs a program as a child process and serves it the
//! [Lambda Runtime API](https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html).
//!
//! As on Lambda, an execution environment handles one event at a time and is reused for the next; one that
//! times out is killed, one that crashes is replaced, and the program sees only the variables that are its own.
//!
//! Nothing here knows what the program does or where its events come from.

mod api;
mod environment;
mod error;
mod function;
mod program;

pub use self::error::{InvokeError, Output};
pub use self::function::Function;
pub use self::program::LambdaProgram;
