//! Which errors of AWS services are worth another try, and how long to wait before it.
//!
//! How often to try, and until when, is each function's own policy.

use std::time::Duration;

use fastrand::Rng;

/// Error codes by which a service asks to slow down. In no other list.
///
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>,
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
pub const THROTTLING_CODES: &[&str] = &[
    "KMSThrottling",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "SlowDown",
    "Throttled",
    "Throttling",
    "ThrottlingException",
];

/// Error codes of a service whose cause may be gone at the next try, other than [`THROTTLING_CODES`].
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>,
/// <https://docs.aws.amazon.com/sns/latest/api/CommonErrors.html>
pub const TRANSIENT_CODES: &[&str] = &[
    // Damaged on the way there.
    "BadDigest",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "ReplicatedWriteConflictException",
    // It took too long to arrive, or was signed by a clock that the SDK corrects.
    "RequestExpired",
    "RequestTimeTooSkewed",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "TransactionInProgressException",
];

/// Whether a service asks to slow down by this error code.
pub fn is_throttling(code: &str) -> bool {
    THROTTLING_CODES.contains(&code)
}

/// Whether the cause of this error code may be gone at the next try, though the service does not ask to slow down.
pub fn is_transient(code: &str) -> bool {
    TRANSIENT_CODES.contains(&code)
}

/// Whether a service that answered so may answer otherwise to the same request. An answer without a code has an empty
/// one; of a call that had no answer, whose `status` is `None`, only the caller knows whether to send it again.
pub fn is_retryable(code: &str, status: Option<u16>) -> bool {
    is_throttling(code)
        || is_transient(code)
        || status.is_some_and(|status| status >= 500 || status == 429)
}

/// Exponential backoff with full jitter: the wait before the next attempt after `failed_attempts` failed ones, drawn
/// from nothing to a ceiling, both inclusive. The ceiling is `base` after the first failure and doubles with each further
/// one up to `cap`.
///
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>
pub fn full_jitter(base: Duration, cap: Duration, failed_attempts: u32, rng: &mut Rng) -> Duration {
    let doublings = failed_attempts.saturating_sub(1);
    let ceiling = base
        .saturating_mul(2_u32.saturating_pow(doublings))
        .min(cap);
    Duration::from_micros(rng.u64(0..=ceiling.as_micros() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_is_listed_twice() {
        let codes = [THROTTLING_CODES, TRANSIENT_CODES].concat();
        for (index, code) in codes.iter().enumerate() {
            assert!(!codes[..index].contains(code), "{code}");
            assert!(is_throttling(code) != is_transient(code), "{code}");
        }
    }

    #[test]
    fn verdicts_follow_from_the_code_or_the_status() {
        for (code, status, expected) in [
            ("ThrottlingException", Some(400), true),
            ("RequestTimeout", Some(400), true),
            ("SlowDown", None, true),
            ("", Some(429), true),
            ("AccessDenied", Some(500), true),
            ("", Some(503), true),
            ("AccessDenied", Some(403), false),
            ("", Some(404), false),
            // What helps is other credentials, not time.
            ("ExpiredToken", Some(400), false),
            ("", None, false),
        ] {
            assert_eq!(is_retryable(code, status), expected, "{code:?} {status:?}");
        }
    }

    #[test]
    fn full_jitter_doubles_its_ceiling_up_to_the_cap() {
        let (base, cap) = (Duration::from_millis(100), Duration::from_secs(5));
        let mut rng = Rng::new();
        for (failed_attempts, ceiling) in [
            (1, base),
            (2, base * 2),
            (4, base * 8),
            (7, cap),
            (u32::MAX, cap),
        ] {
            let waits: Vec<Duration> = (0..1000)
                .map(|_| full_jitter(base, cap, failed_attempts, &mut rng))
                .collect();
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
