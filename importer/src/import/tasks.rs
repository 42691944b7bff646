//! What the tasks of an import have in common.

use tokio::task::JoinError;
use tokio::time::Instant;

/// A task's result; its panic goes on here.
pub(super) fn join<T>(result: Result<T, JoinError>) -> T {
    match result {
        Ok(value) => value,
        // Cannot be a cancellation: nothing aborts these tasks.
        Err(e) => std::panic::resume_unwind(e.into_panic()),
    }
}

/// Waits until `at`, or for ever.
pub(super) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
