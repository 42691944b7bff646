//! Faults between the clients and S3, DynamoDB, SQS and SNS: any call of any operation can be made to fail in the
//! ways the real services fail, on a connection that breaks, or with the function that made it killed. All of it happens
//! in front of the services, whose own errors are theirs.
//!
//! Calls are counted, also while nothing is planned, so that a test can count those of an undisturbed run and then hit
//! the first, the middle and the last. [`Stack::undisturbed`](crate::Stack::undisturbed) says where the same services
//! are without faults and without counting: for what the test itself uploads and reads. A test in a browser asks by HTTP:
//! `POST /local/faults` where Cognito is, with `{"faults": [{"operation": "UpdateItem", "calls": [1, 5], "fault":
//! "ResetAfter"}]}`, which [`Faults::set`] takes up, and `GET` for the counts.
//!
//! ```
//! use local::{Fault, FaultPlan, Operation, Stack, StackOptions};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), local::LocalError> {
//! let stack = Stack::start(StackOptions::default()).await?;
//! let faults = stack.faults();
//! faults.set(
//!     FaultPlan::default()
//!         .fail("BatchWriteItem", 3, Fault::Throttle)
//!         .fail("UpdateItem", [1, 5], Fault::ResetAfter)
//!         .fail(Operation::new("PutObject").on("reports/"), 2.., Fault::AccessDenied)
//!         .fail("BatchWriteItem", 7, Fault::KillAfter)
//!         .replace_object("uploads/catalog.csv", 4, "another file"),
//! );
//! // … run an import …
//! assert_eq!(faults.counts("BatchWriteItem").injected, 0);
//! faults.clear();
//! # stack.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod answer;
mod call;
mod fault;
mod guard;
mod injector;
mod json;
mod plan;

pub(crate) use self::answer::access_denied;
pub use self::fault::{CLOCK_SKEW, Fault};
pub(crate) use self::guard::guard;
pub use self::injector::{FaultCounts, Faults};
pub use self::plan::{FaultPlan, Operation, When};
