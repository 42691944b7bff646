//! Lambda: its own API, by which people see how functions are set up, and the runtime that executes them. What feeds the
//! functions with events is [`wiring`](crate::wiring).
//!
//! Nothing here knows queues, streams or buckets.

mod configuration;
pub mod runtime;

pub(crate) use self::configuration::Functions;
