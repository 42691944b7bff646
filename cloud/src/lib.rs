//! What both Lambda functions share: the SDK's configuration, which errors are worth another try, metrics and logs.
//!
//! Nothing here knows what a function does. The crate answers questions and leaves it to each function what to make of
//! the answers, and it depends on no other crate of this workspace.

pub mod metrics;
pub mod retry;
mod sdk;

pub use sdk::{CONNECT_TIMEOUT, READ_TIMEOUT, Unsupported, sdk_config};

/// Sends the process's logs to Lambda, as JSON if the function's log format is JSON. Call it once, before anything else.
pub fn init_logs() {
    lambda_runtime::tracing::init_default_subscriber();
}
