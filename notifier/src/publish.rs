//! Publishing one message: the SNS call, and trying again until shortly before a deadline.

use std::{future::Future, time::Duration};

use aws_sdk_sns::{
    Client,
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata as _, SdkError},
    operation::publish::PublishError,
};
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::warn;

use crate::{Class, Error, message::Message};

/// Longest wait before the second attempt; each further one may wait twice as long.
const BACKOFF_BASE: Duration = Duration::from_millis(100);

/// Longest wait between two attempts.
const BACKOFF_CAP: Duration = Duration::from_secs(5);

/// Longest time one attempt may take. SNS answers in tens of milliseconds; a connection that has not
/// answered by then is better replaced.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Something that can publish a message.
pub trait Publish: Sync {
    /// Publishes `message` once and returns its SNS message ID.
    ///
    /// # Errors
    ///
    /// An error whose [`class`](Error::class) tells whether another attempt can help.
    fn publish(&self, message: &Message) -> impl Future<Output = Result<String, Error>> + Send;
}

/// Publishes to an SNS topic.
#[derive(Clone, Debug)]
pub struct Topic {
    client: Client,
    arn: String,
}

impl Topic {
    /// The topic `arn`, reached as `config` says. The SDK's own retries are off: [`until`] does that,
    /// with the invocation's deadline in view.
    pub fn new(config: &aws_config::SdkConfig, arn: impl Into<String>) -> Self {
        let config = aws_sdk_sns::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                    .build(),
            )
            .build();
        Self {
            client: Client::from_conf(config),
            arn: arn.into(),
        }
    }

    fn error(&self, error: SdkError<PublishError>) -> Error {
        let topic = self.arn.clone();
        let status = error
            .raw_response()
            .map_or(0, |response| response.status().as_u16());
        let SdkError::ServiceError(answer) = error else {
            let refused = matches!(error, SdkError::ConstructionFailure(_));
            let source = error.into();
            return if refused {
                Error::Refused { topic, source }
            } else {
                // No answer came, or none that can be read.
                Error::Unavailable { topic, source }
            };
        };
        let answer = answer.into_err();
        let code = answer.code().unwrap_or_default().to_owned();
        let source = answer.into();
        match (code.as_str(), status) {
            ("Throttled" | "Throttling" | "ThrottlingException" | "KMSThrottling", _)
            | (_, 429 | 500..) => Error::Unavailable { topic, source },
            ("NotFound", _) => Error::TopicNotFound { topic, source },
            (
                "AuthorizationError" | "AccessDenied" | "AccessDeniedException" | "KMSAccessDenied",
                _,
            ) => Error::AccessDenied { topic, source },
            _ => Error::Refused { topic, source },
        }
    }
}

impl Publish for Topic {
    async fn publish(&self, message: &Message) -> Result<String, Error> {
        let published = self
            .client
            .publish()
            .topic_arn(&self.arn)
            .subject(message.subject())
            .message(message.body())
            .message_structure("json")
            .send()
            .await
            .map_err(|error| self.error(error))?;
        Ok(published.message_id.unwrap_or_default())
    }
}

/// Publishes `message`, trying again after errors of class [`Class::Retry`] with full jitter until
/// `deadline`, and returns its SNS message ID.
///
/// An attempt that times out may have reached SNS all the same: the message can arrive twice, never
/// not at all.
///
/// # Errors
///
/// The publisher's error when it is [`Class::Fatal`], [`Error::DeadlineExceeded`] when time is up.
pub async fn until(
    publisher: &impl Publish,
    message: &Message,
    deadline: Instant,
) -> Result<String, Error> {
    let mut start = Instant::now();
    let mut attempts = 0;
    let mut last = None;
    while start < deadline {
        sleep_until(start).await;
        attempts += 1;
        match timeout_at(deadline, publisher.publish(message)).await {
            Ok(Ok(message_id)) => return Ok(message_id),
            Ok(Err(error)) if error.class() == Class::Fatal => return Err(error),
            Ok(Err(error)) => {
                warn!(
                    attempts,
                    error = error.chain(),
                    "publishing will be tried again"
                );
                last = Some(Box::new(error));
                start = Instant::now() + backoff(attempts);
            }
            Err(_elapsed) => break,
        }
    }
    Err(Error::DeadlineExceeded { attempts, last })
}

/// Full jitter: anywhere between nothing and a ceiling that doubles with each failed attempt.
///
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>
fn backoff(failed_attempts: u32) -> Duration {
    let doublings = failed_attempts.saturating_sub(1);
    let ceiling = BACKOFF_BASE.saturating_mul(2_u32.saturating_pow(doublings));
    ceiling.min(BACKOFF_CAP).mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_its_ceiling_up_to_the_cap() {
        for (failed_attempts, ceiling) in [
            (1, BACKOFF_BASE),
            (2, BACKOFF_BASE * 2),
            (4, BACKOFF_BASE * 8),
            (7, BACKOFF_CAP),
            (u32::MAX, BACKOFF_CAP),
        ] {
            let waits: Vec<Duration> = (0..1000).map(|_| backoff(failed_attempts)).collect();
            assert!(
                waits.iter().all(|wait| *wait <= ceiling),
                "{failed_attempts}"
            );
            // Full jitter uses the whole range: 1,000 draws without one in its upper half do not happen.
            assert!(
                waits.iter().any(|wait| *wait > ceiling / 2),
                "{failed_attempts}"
            );
            assert!(
                waits.iter().any(|wait| *wait < ceiling / 2),
                "{failed_attempts}"
            );
        }
    }
}
