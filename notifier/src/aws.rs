//! How AWS' services are called, and what they answer when they do not do what was asked.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use cloud::retry::is_retryable;

use crate::Error;
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

impl<E, R> From<SdkError<E, R>> for Failure
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Status + Send + Sync + 'static,
{
    fn from(error: SdkError<E, R>) -> Self {
        let status = match &error {
            SdkError::ConstructionFailure(_) => 400,
            error => error.raw_response().map_or(0, Status::status),
        };
        match error {
            SdkError::ServiceError(answer) => {
                let answer = answer.into_err();
                Self {
                    code: answer.code().unwrap_or_default().to_owned(),
                    status,
                    text: chain(&answer),
                }
            }
            // An answer that cannot be read says nothing, whatever its status.
            error @ SdkError::ResponseError(_) => Self {
                code: String::new(),
                status: 0,
                text: chain(&error),
            },
            error => Self {
                code: String::new(),
                status,
                text: chain(&error),
            },
        }
    }
}

/// Something with an HTTP status.
pub(crate) trait Status {
    fn status(&self) -> u16;
}

impl Status for aws_sdk_sns::config::http::HttpResponse {
    fn status(&self) -> u16 {
        self.status().as_u16()
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
