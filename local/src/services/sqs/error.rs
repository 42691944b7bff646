use serde_json::{Value, json};

use super::queue::MAX_MESSAGE_BYTES;

/// An error as SQS answers it. All that are here are the client's: HTTP 400.
#[derive(Debug)]
pub(super) struct SqsError {
    /// The error's shape in the JSON protocol.
    shape: &'static str,
    /// The code it had in the query protocol, which SDKs still report.
    code: &'static str,
    message: String,
}

impl SqsError {
    fn new(shape: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            shape,
            code,
            message: message.into(),
        }
    }

    pub(super) fn no_such_queue() -> Self {
        Self::new(
            "com.amazonaws.sqs#QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
            "The specified queue does not exist.",
        )
    }

    pub(super) fn queue_exists(name: &str, attribute: &str) -> Self {
        let message = format!(
            "A queue named {name} already exists with a different value for attribute {attribute}"
        );
        Self::new(
            "com.amazonaws.sqs#QueueNameExists",
            "QueueAlreadyExists",
            message,
        )
    }

    pub(super) fn unknown_action(action: &str) -> Self {
        let message = format!("The action {action} is not implemented by the local SQS");
        Self::new(
            "com.amazon.coral.service#UnknownOperationException",
            "InvalidAction",
            message,
        )
    }

    pub(super) fn not_json_protocol() -> Self {
        let message = "The request has no x-amz-target header naming an AmazonSQS action; \
                       the local SQS speaks the AWS JSON protocol only (AWS CLI 2.14, boto3 1.33 or newer)";
        Self::new(
            "com.amazon.coral.service#UnknownOperationException",
            "InvalidAction",
            message,
        )
    }

    pub(super) fn body_too_large() -> Self {
        Self::invalid_value("The request body is too large or broke off")
    }

    pub(super) fn malformed(error: &serde_json::Error) -> Self {
        Self::new(
            "com.amazon.coral.service#SerializationException",
            "MalformedInput",
            error.to_string(),
        )
    }

    pub(super) fn missing(parameter: &str) -> Self {
        let message = format!("The request must contain the parameter {parameter}.");
        Self::new(
            "com.amazonaws.sqs#MissingRequiredParameterException",
            "MissingParameter",
            message,
        )
    }

    pub(super) fn invalid_value(message: impl Into<String>) -> Self {
        Self::new(
            "com.amazonaws.sqs#InvalidParameterValueException",
            "InvalidParameterValue",
            message,
        )
    }

    pub(super) fn out_of_range(parameter: &str, value: i64, from: i64, to: i64) -> Self {
        let message = format!(
            "Value {value} for parameter {parameter} is invalid. Reason: Must be between {from} and {to}, if provided."
        );
        Self::invalid_value(message)
    }

    pub(super) fn invalid_attribute(name: &str) -> Self {
        let message = format!("Unknown Attribute {name}.");
        Self::new(
            "com.amazonaws.sqs#InvalidAttributeName",
            "InvalidAttributeName",
            message,
        )
    }

    pub(super) fn invalid_contents() -> Self {
        let message = "Invalid characters found. Valid unicode characters are \
                       #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF";
        Self::new(
            "com.amazonaws.sqs#InvalidMessageContents",
            "InvalidMessageContents",
            message,
        )
    }

    pub(super) fn invalid_handle(handle: &str) -> Self {
        let message =
            format!("The input receipt handle \"{handle}\" is not a valid receipt handle.");
        Self::new(
            "com.amazonaws.sqs#ReceiptHandleIsInvalid",
            "ReceiptHandleIsInvalid",
            message,
        )
    }

    pub(super) fn not_in_flight() -> Self {
        Self::new(
            "com.amazonaws.sqs#MessageNotInflight",
            "AWS.SimpleQueueService.MessageNotInflight",
            "The message is not in flight, or was received again since.",
        )
    }

    pub(super) fn empty_batch() -> Self {
        Self::new(
            "com.amazonaws.sqs#EmptyBatchRequest",
            "AWS.SimpleQueueService.EmptyBatchRequest",
            "There should be at least one entry in the request.",
        )
    }

    pub(super) fn too_many_entries(entries: usize) -> Self {
        Self::new(
            "com.amazonaws.sqs#TooManyEntriesInBatchRequest",
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            format!("Maximum number of entries per request are 10. You have sent {entries}."),
        )
    }

    pub(super) fn repeated_entry(id: &str) -> Self {
        Self::new(
            "com.amazonaws.sqs#BatchEntryIdsNotDistinct",
            "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            format!("Id {id} repeated."),
        )
    }

    pub(super) fn invalid_entry_id() -> Self {
        Self::new(
            "com.amazonaws.sqs#InvalidBatchEntryId",
            "AWS.SimpleQueueService.InvalidBatchEntryId",
            "A batch entry id can only contain alphanumeric characters, hyphens and underscores. \
             It can be at most 80 letters long.",
        )
    }

    pub(super) fn batch_too_long(bytes: usize) -> Self {
        Self::new(
            "com.amazonaws.sqs#BatchRequestTooLong",
            "AWS.SimpleQueueService.BatchRequestTooLong",
            format!(
                "Batch requests cannot be longer than {MAX_MESSAGE_BYTES} bytes. You have sent {bytes} bytes."
            ),
        )
    }

    /// Value of the header `x-amzn-query-error`.
    pub(super) fn query_error(&self) -> String {
        format!("{};Sender", self.code)
    }

    pub(super) fn body(&self) -> Value {
        json!({ "__type": self.shape, "message": self.message })
    }

    /// As an entry of a batch's `Failed` list.
    pub(super) fn batch_entry(&self, id: &str) -> Value {
        json!({ "Id": id, "SenderFault": true, "Code": self.code, "Message": self.message })
    }
}
