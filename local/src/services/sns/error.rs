use http::StatusCode;

use super::NAMESPACE;
use crate::services::query::{self, Element};

/// An error as SNS answers it; all that are here are the client's.
#[derive(Debug)]
pub(super) struct SnsError {
    code: &'static str,
    message: String,
}

impl SnsError {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub(super) fn no_action() -> Self {
        Self::new(
            "MissingAction",
            "The request must contain the parameter Action; the local SNS speaks the query protocol",
        )
    }

    pub(super) fn unknown_action(action: &str) -> Self {
        Self::new(
            "InvalidAction",
            format!("The action {action} is not implemented by the local SNS"),
        )
    }

    pub(super) fn invalid(reason: impl std::fmt::Display) -> Self {
        Self::new("InvalidParameter", format!("Invalid parameter: {reason}"))
    }

    pub(super) fn no_such_topic() -> Self {
        Self::new("NotFound", "Topic does not exist")
    }

    pub(super) fn empty_batch() -> Self {
        Self::new(
            "EmptyBatchRequest",
            "The batch request doesn't contain any entries.",
        )
    }

    pub(super) fn too_many_entries() -> Self {
        Self::new(
            "TooManyEntriesInBatchRequest",
            "The batch request contains more entries than permissible.",
        )
    }

    pub(super) fn repeated_entry() -> Self {
        Self::new(
            "BatchEntryIdsNotDistinct",
            "Two or more batch entries in the request have the same Id.",
        )
    }

    pub(super) fn invalid_entry_id() -> Self {
        Self::new(
            "InvalidBatchEntryId",
            "The Id of a batch entry in a batch request doesn't abide by the specification.",
        )
    }

    pub(super) fn batch_too_long() -> Self {
        Self::new(
            "BatchRequestTooLong",
            "The length of all the batch messages put together is more than the limit.",
        )
    }

    pub(super) fn status(&self) -> StatusCode {
        if self.code == "NotFound" {
            StatusCode::NOT_FOUND
        } else {
            StatusCode::BAD_REQUEST
        }
    }

    pub(super) fn body(&self) -> String {
        query::error_body(NAMESPACE, self.code, &self.message)
    }

    /// As a member of a batch's `Failed` list.
    pub(super) fn batch_entry(&self, id: &str) -> Vec<Element> {
        vec![
            Element::text("Id", id),
            Element::text("Code", self.code),
            Element::text("Message", self.message.clone()),
            Element::text("SenderFault", "true"),
        ]
    }
}
