//! What errors of AWS services mean for an import.

use std::error::Error as StdError;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::http::StatusCode;
use cloud::retry::{is_retryable, is_throttling};

use crate::error::{Class, Error};

/// Codes of errors that one row of a request causes for all of them.
const ROWS_FAULT: &[&str] = &[
    "ValidationException",
    "ItemCollectionSizeLimitExceededException",
];

/// How a call to AWS ended if not well.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The service's code of the error; empty if it gave none.
    pub(crate) code: String,
    /// The service's words for people; empty if it gave none.
    pub(crate) message: String,
    /// The HTTP status, if there was an answer.
    pub(crate) status: Option<u16>,
    /// Whether there was a request that could be sent.
    pub(crate) sent: bool,
    /// What broke on the way there or back, unless the service answered with an error of its own.
    pub(crate) source: Option<BoxError>,
}

/// Any error at all.
pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// Turns an SDK error of a call to `resource` into the importer's.
pub(crate) fn service_error<E>(
    operation: &'static str,
    resource: &str,
    error: SdkError<E, HttpResponse>,
) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let status = error.raw_response().map(HttpResponse::status);
    let refusal = Refusal {
        code: error.code().unwrap_or_default().to_owned(),
        message: error.message().unwrap_or_default().to_owned(),
        status: status.map(StatusCode::as_u16),
        sent: !matches!(error, SdkError::ConstructionFailure(_)),
        // The chain of the SDK's errors repeats code and message for an answer; for no answer it is all there is.
        source: match error {
            SdkError::ServiceError(_) => None,
            error => Some(error.into()),
        },
    };
    refused(operation, resource, refusal)
}

/// What a call to `resource` that ended so means for the importer.
pub(crate) fn refused(operation: &'static str, resource: &str, refusal: Refusal) -> Error {
    let Refusal {
        code,
        message,
        status,
        sent,
        source,
    } = refusal;
    let reached = source.is_none();
    let class = if ROWS_FAULT.contains(&code.as_str()) {
        Class::RejectRow
    } else if !reached && sent || is_retryable(&code, status) {
        Class::Retry
    } else {
        Class::Fatal
    };
    let problem = match (code.is_empty(), status) {
        (false, _) if message.is_empty() => code.clone(),
        (false, _) => format!("{code}: {message}"),
        (true, Some(status)) => format!("HTTP status {status}"),
        (true, None) => "no answer".to_owned(),
    };
    let is_object = ["HeadObject", "GetObject"].contains(&operation);
    // Only what was there is asked for: it is there no more if its range is not.
    let is_changed = matches!(status, Some(412 | 416));
    if is_object && (is_changed || status == Some(404) && code != "NoSuchBucket") {
        return Error::Object {
            operation,
            problem,
            fix: fix_for(&code, status, operation, resource),
        };
    }
    if is_throttling(&code) {
        return Error::Throttled { operation, problem };
    }
    let fix = if source.as_deref().is_some_and(is_credentials_problem) {
        CREDENTIALS_FIX.to_owned()
    } else {
        fix_for(&code, status, operation, resource)
    };
    Error::Service {
        operation,
        problem,
        class,
        fix,
        source,
    }
}

pub(crate) const CREDENTIALS_FIX: &str = "give credentials as for every AWS tool: AWS_PROFILE, AWS_ACCESS_KEY_ID and \
     AWS_SECRET_ACCESS_KEY, or a role";

fn is_credentials_problem(error: &(dyn StdError + Send + Sync + 'static)) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.to_string().to_lowercase().contains("credential") {
            return true;
        }
        cause = error.source();
    }
    false
}

fn fix_for(code: &str, status: Option<u16>, operation: &str, resource: &str) -> String {
    match (code, status) {
        ("ResourceNotFoundException", _) => format!(
            "there is no table {resource} in this account and Region: check --table (INTAKE_TABLE) and AWS_REGION"
        ),
        ("NoSuchBucket", _) => {
            format!("there is no bucket for {resource}: check its name and AWS_REGION")
        }
        ("NoSuchKey" | "NotFound", _) | ("", Some(404)) => format!(
            "{resource} does not exist (any more): check the key; without s3:ListBucket, S3 says 403 instead"
        ),
        // S3 says these with status 403, too: they come before access denied.
        (
            "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "InvalidSignatureException",
            _,
        ) => CREDENTIALS_FIX.to_owned(),
        ("ExpiredTokenException" | "ExpiredToken", _) => {
            "the credentials have expired: sign in again (aws sso login) and import again"
                .to_owned()
        }
        ("AccessDeniedException" | "AccessDenied", _) | (_, Some(403)) => {
            let service = match operation {
                "SendMessage" => "sqs",
                "Publish" => "sns",
                "UploadPart" | "CreateMultipartUpload" | "CompleteMultipartUpload" => "s3",
                _ if operation.contains("Object") => "s3",
                _ => "dynamodb",
            };
            let gone = match operation {
                "HeadObject" | "GetObject" => {
                    "; if they may, it is gone: without s3:ListBucket, S3 says 403 to that, too"
                }
                _ => "",
            };
            format!(
                "allow {service}:{} on {resource} for these credentials{gone}",
                permission(operation)
            )
        }
        ("PreconditionFailed" | "InvalidRange", _) | (_, Some(412 | 416)) => format!(
            "{resource} was replaced during the import: import the new version, rows of the old one may be written"
        ),
        ("", None) => "check the network, AWS_REGION and any AWS_ENDPOINT_URL".to_owned(),
        _ => String::new(),
    }
}

/// The IAM action that an operation needs, where the names differ.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>
fn permission(operation: &str) -> &str {
    match operation {
        "HeadObject" => "GetObject",
        "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" => "PutObject",
        other => other,
    }
}
