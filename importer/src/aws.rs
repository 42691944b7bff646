//! What errors of AWS services mean for an import.

use std::error::Error as StdError;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::http::StatusCode;
use cloud::retry::{is_retryable, is_throttling};

use crate::error::{Class, Error};

/// Codes of errors that one row of a `BatchWriteItem` causes for all of them.
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
    /// The Region of the bucket, where S3 names it.
    pub(crate) bucket_region: Option<String>,
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
    let headers = error.raw_response().map(HttpResponse::headers);
    let refusal = Refusal {
        code: error.code().unwrap_or_default().to_owned(),
        message: error.message().unwrap_or_default().to_owned(),
        status: status.map(StatusCode::as_u16),
        bucket_region: headers
            .and_then(|headers| headers.get("x-amz-bucket-region"))
            .map(rows::quoted),
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
    let fix = fix_for(&refusal, operation, resource);
    let Refusal {
        code,
        message,
        status,
        sent,
        source,
        ..
    } = refusal;
    let reached = source.is_none();
    let class = if operation == "BatchWriteItem" && ROWS_FAULT.contains(&code.as_str()) {
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
    let problem = rows::prose(&problem);
    let is_object = ["HeadObject", "GetObject"].contains(&operation);
    // Only what was there is asked for: it is there no more if its range is not.
    let is_changed = matches!(status, Some(412 | 416));
    let is_gone = status == Some(404) && code != "NoSuchBucket";
    if is_object && code == ARCHIVED {
        // It is there, and another attempt would find the same.
        return Error::Unusable {
            problem: format!("{operation} failed: {problem}"),
            fix,
        };
    }
    if is_object && (is_changed || is_gone) {
        return Error::Object {
            operation,
            problem,
            fix,
        };
    }
    if is_throttling(&code) {
        return Error::Throttled { operation, problem };
    }
    Error::Service {
        operation,
        problem,
        class,
        fix,
        source,
    }
}

/// The code of an object that must be restored before it can be read.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>
const ARCHIVED: &str = "InvalidObjectState";

/// What to do about an object in a storage class that is not read at once.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html>
pub(crate) const ARCHIVED_FIX: &str = "restore it first (aws s3api restore-object), wait until that is done (aws s3api head-object then says \
     ongoing-request=\"false\"), and import it again";

pub(crate) const CREDENTIALS_FIX: &str = "give credentials as for every AWS tool: AWS_PROFILE, AWS_ACCESS_KEY_ID and \
     AWS_SECRET_ACCESS_KEY, or a role";

const EXPIRED_FIX: &str =
    "the credentials have expired: sign in again (aws sso login) or get new ones, and import again";

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

/// What to do about a refusal; empty if nothing is known.
fn fix_for(refusal: &Refusal, operation: &str, resource: &str) -> String {
    let Refusal {
        code,
        message,
        status,
        bucket_region,
        source,
        ..
    } = refusal;
    if source.as_deref().is_some_and(is_credentials_problem) {
        return CREDENTIALS_FIX.to_owned();
    }
    if let Some(fix) = kms_fix(code, message, resource) {
        return fix;
    }
    match (code.as_str(), *status) {
        // https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
        (
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException",
            _,
        )
        | ("", Some(301 | 307)) => region_fix(bucket_region.as_deref(), resource),
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
            | "InvalidToken"
            | "SignatureDoesNotMatch"
            | "InvalidSignatureException",
            _,
        ) => CREDENTIALS_FIX.to_owned(),
        ("ExpiredTokenException" | "ExpiredToken", _) => EXPIRED_FIX.to_owned(),
        // A HEAD is answered without a code; the GET after it had none either.
        ("", Some(400)) if operation == "HeadObject" => format!(
            "S3 does not say why: sign in again if the credentials may have expired, and check the bucket's Region{} and \
             AWS_REGION",
            match bucket_region {
                Some(region) => format!(" ({region})"),
                None => String::new(),
            }
        ),
        (ARCHIVED, _) => ARCHIVED_FIX.to_owned(),
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html
        ("InvalidRequest", _) if message.contains("Server Side Encryption") => format!(
            "{resource} is encrypted with a key that only its owner has (SSE-C), which Intake does not take: copy it with \
             another encryption"
        ),
        ("AccessDeniedException" | "AccessDenied", _) | (_, Some(403)) => {
            let service = match operation {
                "SendMessage" => "sqs",
                "Publish" => "sns",
                "UploadPart"
                | "UploadPartCopy"
                | "CreateMultipartUpload"
                | "CompleteMultipartUpload" => "s3",
                _ if operation.contains("Object") => "s3",
                _ => "dynamodb",
            };
            let gone = match operation {
                "HeadObject" | "GetObject" => {
                    "; if they may, it is gone (without s3:ListBucket, S3 says 403 to that, too), or its bucket is one whose \
                     requester pays, which Intake does not: copy the object into another bucket"
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

/// What to do about a bucket that is in another Region than the one that was asked.
fn region_fix(bucket_region: Option<&str>, resource: &str) -> String {
    match bucket_region {
        Some(region) => format!(
            "the bucket of {resource} is in {region}: set AWS_REGION={region} if the table is there, too; if not, copy the \
             object into a bucket in the table's Region"
        ),
        None => format!(
            "the bucket of {resource} is in another Region (aws s3api get-bucket-location says which): set AWS_REGION to it if \
             the table is there, too; if not, copy the object into a bucket in the table's Region"
        ),
    }
}

/// What to do about a key of KMS that cannot be used. S3 and DynamoDB deny access and name KMS in their words; the codes of
/// others begin with it.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html>,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html>,
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
fn kms_fix(code: &str, message: &str, resource: &str) -> Option<String> {
    let is_coded = code.to_lowercase().starts_with("kms");
    let is_denied = code.contains("AccessDenied");
    if is_denied && (is_coded || message.to_lowercase().contains("kms")) {
        return Some(format!(
            "allow kms:Decrypt and kms:GenerateDataKey with the key that encrypts {resource} for these credentials: in their \
             policy, and in the key's"
        ));
    }
    (is_coded && !is_throttling(code)).then(|| {
        format!(
            "the KMS key that encrypts {resource} cannot be used: enable it, or cancel its deletion (aws kms describe-key says \
             its state)"
        )
    })
}

/// The IAM action that an operation needs, where the names differ.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>
fn permission(operation: &str) -> &str {
    match operation {
        "HeadObject" => "GetObject",
        "CreateMultipartUpload" | "UploadPart" | "UploadPartCopy" | "CompleteMultipartUpload" => {
            "PutObject"
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error of a call to `s3://b/k` or the table T that ended so.
    fn error(
        operation: &'static str,
        status: u16,
        code: &str,
        message: &str,
        region: Option<&str>,
    ) -> Error {
        let resource = if operation.contains("Object") {
            "s3://b/k"
        } else {
            "T"
        };
        let refusal = Refusal {
            code: code.to_owned(),
            message: message.to_owned(),
            status: Some(status),
            bucket_region: region.map(str::to_owned),
            sent: true,
            source: None,
        };
        refused(operation, resource, refusal)
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table")]
    fn each_refusal_has_its_fix() {
        let kms_s3 = "User: arn:aws:iam::1:user/x is not authorized to perform: kms:Decrypt on the resource associated with this \
             ciphertext";
        let set = "the bucket of s3://b/k is in eu-west-1: set AWS_REGION=eu-west-1";
        let other = "is in another Region (aws s3api get-bucket-location";
        let denied = "allow kms:Decrypt and kms:GenerateDataKey with the key that encrypts";
        let disabled = "cannot be used: enable it, or cancel its deletion";
        let (head, get, put, batch) = ("HeadObject", "GetObject", "PutObject", "BatchWriteItem");
        for (operation, status, code, message, region, fix) in [
            (head, 301, "", "", Some("eu-west-1"), set),
            (get, 301, "PermanentRedirect", "", Some("eu-west-1"), set),
            (
                get,
                400,
                "AuthorizationHeaderMalformed",
                "",
                Some("eu-west-1"),
                set,
            ),
            (put, 307, "TemporaryRedirect", "", None, other),
            (get, 301, "PermanentRedirect", "", None, other),
            (
                head,
                400,
                "",
                "",
                Some("eu-west-1"),
                "Region (eu-west-1) and AWS_REGION",
            ),
            (head, 400, "", "", None, "sign in again"),
            (
                get,
                400,
                "ExpiredToken",
                "",
                None,
                "the credentials have expired",
            ),
            (
                batch,
                400,
                "ExpiredTokenException",
                "",
                None,
                "the credentials have expired",
            ),
            (get, 400, "InvalidToken", "", None, "give credentials"),
            (
                get,
                403,
                "SignatureDoesNotMatch",
                "",
                None,
                "give credentials",
            ),
            (get, 403, "AccessDenied", kms_s3, None, denied),
            (
                batch,
                400,
                "AccessDeniedException",
                "KMS key access denied exception.",
                None,
                denied,
            ),
            ("SendMessage", 400, "KmsAccessDenied", "", None, denied),
            ("Publish", 400, "KMSAccessDenied", "", None, denied),
            ("Publish", 400, "KMSDisabled", "", None, disabled),
            (get, 400, "KMS.DisabledException", "", None, disabled),
            (get, 403, ARCHIVED, "", None, "restore it first"),
            (
                get,
                400,
                "InvalidRequest",
                "The object was stored using a form of Server Side Encryption.",
                None,
                "SSE-C",
            ),
            (
                get,
                403,
                "AccessDenied",
                "Access Denied",
                None,
                "requester pays, which Intake does not",
            ),
            (
                head,
                403,
                "",
                "",
                None,
                "allow s3:GetObject on s3://b/k for these credentials; if they may, it is gone",
            ),
            (
                put,
                403,
                "AccessDenied",
                "",
                None,
                "allow s3:PutObject on s3://b/k for these credentials",
            ),
            (head, 404, "NotFound", "", None, "does not exist"),
            (
                get,
                412,
                "PreconditionFailed",
                "",
                None,
                "was replaced during the import",
            ),
            (
                batch,
                400,
                "ResourceNotFoundException",
                "",
                None,
                "there is no table T",
            ),
        ] {
            let error = error(operation, status, code, message, region);
            let found = error.fix().unwrap_or_default();
            assert!(found.contains(fix), "{operation} {status} {code}: {found}");
            let is_kms =
                code.to_lowercase().starts_with("kms") || message.to_lowercase().contains("kms");
            assert!(!(is_kms && found.contains("gone")), "{found}");
        }
    }

    #[test]
    fn an_archived_object_ends_its_job() {
        let error = error("GetObject", 403, ARCHIVED, "", None);
        assert!(error.is_final(), "{error}");
        // It was not deleted: see the handler.
        assert!(!matches!(error, Error::Object { .. }), "{error}");
    }

    #[test]
    fn what_dynamodb_says_of_a_row_is_for_the_report_alone() {
        let words = "The parameter cannot be converted to a numeric value: Jane Doe";
        let error = error("BatchWriteItem", 400, "ValidationException", words, None);
        assert_eq!(error.class(), Class::RejectRow);
        assert_eq!(error.problem(), format!("ValidationException: {words}"));
        let exhausted = Error::RetriesExhausted {
            operation: "BatchWriteItem",
            attempts: 1,
            elapsed: std::time::Duration::ZERO,
            rows_unwritten: 1,
            source: Box::new(error),
        };
        let told = exhausted.chain();
        assert!(
            told.ends_with("BatchWriteItem failed: ValidationException"),
            "{told}"
        );
    }

    #[test]
    fn what_a_request_of_no_row_says_is_told() {
        let words = "Item size has exceeded the maximum allowed size";
        let error = error("UpdateItem", 400, "ValidationException", words, None);
        assert_eq!(error.class(), Class::Fatal);
        assert!(error.to_string().ends_with(words), "{error}");
    }

    #[test]
    fn a_services_words_are_bounded_and_on_one_line() {
        let words = "x\n\u{202e}".repeat(100_000);
        let error = error("UpdateItem", 400, "Odd", &words, None);
        let told = error.to_string();
        assert!(told.len() < rows::PROSE_BYTES_MAX + 100, "{}", told.len());
        assert!(!told.contains(['\n', '\u{202e}']), "{told}");
    }
}
