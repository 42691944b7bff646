//! How AWS' services are called, and what they answer when they do not do what was asked.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sns::config::http::HttpResponse;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use cloud::retry::is_retryable;

use crate::error::Error;
use crate::error::chain;

/// `config` for calls that are tried once, for so long: [`crate::retry`] tries again, with the invocation's deadline in view.
pub(crate) fn one_attempt(config: &SdkConfig, timeout: Duration) -> SdkConfig {
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(timeout);
    let builder = config.to_builder().retry_config(RetryConfig::disabled());
    builder.timeout_config(timeouts.build()).build()
}

/// A failed call, as far as it matters what to do about it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// The service's error code; empty when there is none.
    pub(crate) code: String,
    /// The HTTP status; 0 when no answer came, or none that can be read, and 400 when nothing could be asked.
    pub(crate) status: u16,
    /// All that is known, on one line.
    pub(crate) text: String,
}

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Unavailable,
    AccessDenied,
    NotFound,
    Other,
}

impl<E> From<SdkError<E, HttpResponse>> for Failure
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let status = match &error {
            SdkError::ConstructionFailure(_) => 400,
            // An answer that cannot be read says nothing, whatever its status.
            SdkError::ResponseError(_) => 0,
            error => error.raw_response().map_or(0, |r| r.status().as_u16()),
        };
        let (code, text) = match error {
            SdkError::ServiceError(answer) => {
                let answer = answer.into_err();
                (answer.code().unwrap_or_default().to_owned(), chain(&answer))
            }
            error => (String::new(), chain(&error)),
        };
        Self { code, status, text }
    }
}

impl Failure {
    pub(crate) fn kind(&self) -> Kind {
        let code = self.code.as_str();
        // Lambda replaces a function's credentials: the next attempt may be signed with new ones.
        let is_expired = matches!(code, "ExpiredToken" | "ExpiredTokenException");
        if self.status == 0 || is_expired || is_retryable(code, Some(self.status)) {
            return Kind::Unavailable;
        }
        match code {
            "NotFound" | "ResourceNotFoundException" | "NoSuchBucket" => Kind::NotFound,
            "AuthorizationError" | "AccessDenied" | "AccessDeniedException" | "KMSAccessDenied" => {
                Kind::AccessDenied
            }
            _ => Kind::Other,
        }
    }

    /// The error of a call: denied calls name what to grant.
    pub(crate) fn into_error(self, action: String, grant: &'static str) -> Error {
        let kind = self.kind();
        let source = self.text.into();
        match kind {
            Kind::Unavailable => Error::Unavailable { action, source },
            Kind::AccessDenied => Error::AccessDenied {
                action,
                grant,
                source,
            },
            Kind::NotFound | Kind::Other => Error::Refused { action, source },
        }
    }
}
