use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::error::LocalError;
use crate::services::lambda::runtime::{Function, InvokeError};
use crate::services::s3::Objects;

/// What a mapping gives events to: the notifier of a stack, or what a test has in its place.
pub trait StreamTarget: Send + Sync + 'static {
    /// The function's ARN.
    fn function_arn(&self) -> String;

    /// Gives an event to the function and returns what it answers.
    ///
    /// # Errors
    ///
    /// The invocation failed.
    fn invoke(&self, event: Value) -> impl Future<Output = Result<Value, InvokeError>> + Send;

    /// Keeps what is given up: the on-failure destination, a bucket.
    ///
    /// # Errors
    ///
    /// The object cannot be stored.
    fn keep(
        &self,
        key: String,
        content: Bytes,
    ) -> impl Future<Output = Result<(), LocalError>> + Send;
}

/// The notifier, and the bucket for what it never handled.
#[derive(Debug)]
pub(crate) struct NotifierTarget {
    pub(crate) function: Arc<Function>,
    pub(crate) bucket: Objects,
}

impl StreamTarget for NotifierTarget {
    fn function_arn(&self) -> String {
        self.function.program().arn()
    }

    async fn invoke(&self, event: Value) -> Result<Value, InvokeError> {
        self.function.invoke(event).await
    }

    async fn keep(&self, key: String, content: Bytes) -> Result<(), LocalError> {
        self.bucket.put(&key, content).await
    }
}
