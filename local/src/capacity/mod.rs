//! A model of how much a DynamoDB table takes: token buckets for the table and its partitions, provisioned or on
//! demand, with latency and other clients' writes.
//!
//! [`TableCapacity`] is the model alone, without clock and network. [`Capacity`] runs it in time. A stack puts it in
//! front of its DynamoDB ([`StackOptions::capacity`](crate::StackOptions::capacity)); [`CapacitySink`] is a table that
//! keeps nothing and answers as the model says, for long and fast imports.
//!
//! Simpler than AWS: only `BatchWriteItem` is charged, by the size of the new items (what they replace may have been
//! larger); there are no indexes; no partition is split and none lends to another. Failures of other kinds are in
//! [`faults`](crate::faults).
//!
//! Nothing here keeps items: that is DynamoDB's.

mod admission;
mod batch;
mod plan;
mod sink;
mod table;
mod write_log;

pub use self::admission::Capacity;
pub use self::plan::{CapacityPlan, Latency, Mode, OtherTraffic};
pub use self::sink::CapacitySink;
pub use self::table::{ItemCost, ON_DEMAND_INITIAL_WCU, PARTITION_WCU, TableCapacity, Verdict};
pub use self::write_log::{Attempts, WriteLog};
