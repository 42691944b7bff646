//! The answers by which each service refuses a call.

use std::time::Duration;

use axum::body::Body;
use http::header::DATE;
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use uuid::Uuid;

use super::call::Call;
use super::fault::{CLOCK_SKEW, Fault};
use crate::deployment::{self, ACCOUNT_ID};
use crate::server::{response, set_header};
use crate::services::query::error_body;
use crate::services::{Service, dynamodb, iam, sns};
use crate::timestamp::format;

/// What the errors say where the service's own words would not tell that a test is behind them.
const INJECTED: &str = "Injected by the local stack";
/// What SNS, Lambda and IAM say of throttling.
const RATE_EXCEEDED: &str = "Rate exceeded";

const HTTP_DATE: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);
const AMZ_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");
const ISO_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// How a service says that it is not allowed to do what a request asks for; `body` is not needed for S3.
pub(crate) fn access_denied(service: Service, head: &Parts, body: &[u8]) -> Response<Body> {
    let call = Call::of(service, head, body);
    // Every service can say so.
    refusal(service, Fault::AccessDenied, &call, 0).unwrap_or_default()
}

/// The answer that is the fault, if it is one. `earlier` is how many of this fault there were before.
pub(super) fn refusal(
    service: Service,
    fault: Fault,
    call: &Call,
    earlier: u64,
) -> Option<Response<Body>> {
    let mut answer = match service {
        Service::S3 => s3(fault, call),
        Service::DynamoDb => dynamodb(fault, call, earlier),
        Service::Sqs => sqs(fault, call),
        Service::Sns => sns(fault, call),
        Service::Lambda => lambda(fault, call),
        Service::Iam => iam(fault, call),
    }?;
    if fault == Fault::ClockSkew {
        let date = format(service_time(), HTTP_DATE);
        set_header(&mut answer, DATE, &date);
    }
    Some(answer)
}

/// [Errors of S3](https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).
fn s3(fault: Fault, call: &Call) -> Option<Response<Body>> {
    let (status, code, message) = match fault {
        Fault::Throttle => (503, "SlowDown", "Please reduce your request rate."),
        Fault::InternalError => (
            500,
            "InternalError",
            "We encountered an internal error. Please try again.",
        ),
        Fault::ExpiredToken => (400, "ExpiredToken", "The provided token has expired."),
        Fault::ClockSkew => (
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        ),
        Fault::AccessDenied => (403, "AccessDenied", "Access Denied"),
        Fault::WrongChecksum if call.operation != "GetObject" => (
            400,
            "BadDigest",
            "The checksum you specified did not match the calculated checksum.",
        ),
        _ => return None,
    };
    let times = if fault == Fault::ClockSkew {
        format!(
            "<RequestTime>{}</RequestTime><ServerTime>{}</ServerTime>\
             <MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>",
            format(OffsetDateTime::now_utc(), AMZ_DATE),
            format(service_time(), ISO_DATE)
        )
    } else {
        String::new()
    };
    let request_id = Uuid::new_v4().simple().to_string()[..16].to_uppercase();
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
         {times}<RequestId>{request_id}</RequestId><HostId>{INJECTED}</HostId></Error>"
    );
    // A HEAD has no body, and so no code: clients know only the status.
    let body = if call.operation.starts_with("Head") {
        Body::empty()
    } else {
        Body::from(xml)
    };
    let mut answer = answer(status, "application/xml", body);
    set_header(&mut answer, "x-amz-request-id", &request_id);
    Some(answer)
}

/// [Errors of DynamoDB](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html).
fn dynamodb(fault: Fault, call: &Call, earlier: u64) -> Option<Response<Body>> {
    let operation = &call.operation;
    let (status, exception) = match fault {
        // Control plane operations know the second only.
        Fault::Throttle if earlier.is_multiple_of(2) && !operation.starts_with("Describe") => {
            (400, "ProvisionedThroughputExceededException")
        }
        Fault::Throttle => (400, "ThrottlingException"),
        Fault::InternalError => (500, "InternalServerError"),
        Fault::ExpiredToken => (400, "ExpiredTokenException"),
        Fault::ClockSkew => (400, "InvalidSignatureException"),
        Fault::AccessDenied => (400, "AccessDeniedException"),
        _ => return None,
    };
    let arn = deployment::arn("dynamodb", &format!("table/{}", call.resource));
    let message = message(fault, INJECTED, &format!("dynamodb:{operation}"), &arn);
    let status = StatusCode::from_u16(status).unwrap_or_default();
    Some(dynamodb::error_response(status, exception, &message))
}

/// [Errors of SQS](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html), in the JSON
/// protocol.
fn sqs(fault: Fault, call: &Call) -> Option<Response<Body>> {
    let (status, exception, code) = match fault {
        Fault::Throttle => (400, "RequestThrottled", "RequestThrottled"),
        Fault::InternalError => (500, "InternalFailure", "InternalFailure"),
        Fault::ExpiredToken => (400, "ExpiredTokenException", "ExpiredToken"),
        Fault::ClockSkew => (400, "InvalidSignatureException", "SignatureDoesNotMatch"),
        Fault::AccessDenied => (400, "AccessDeniedException", "AccessDenied"),
        _ => return None,
    };
    let namespace = match fault {
        Fault::Throttle => "com.amazonaws.sqs",
        _ => "com.amazon.coral.service",
    };
    let arn = deployment::arn("sqs", &call.resource);
    let action = format!("sqs:{}", call.operation.to_lowercase());
    let message = message(fault, INJECTED, &action, &arn);
    let body = json!({ "__type": format!("{namespace}#{exception}"), "message": message });
    let mut answer = answer(status, "application/x-amz-json-1.0", body.to_string());
    let side = if status < 500 { "Sender" } else { "Receiver" };
    set_header(&mut answer, "x-amzn-query-error", &format!("{code};{side}"));
    set_header(&mut answer, "x-amzn-requestid", &Uuid::new_v4().to_string());
    Some(answer)
}

/// [Errors of SNS](https://docs.aws.amazon.com/sns/latest/api/CommonErrors.html).
fn sns(fault: Fault, call: &Call) -> Option<Response<Body>> {
    let (status, code) = match fault {
        Fault::Throttle => (400, "Throttling"),
        Fault::InternalError => (500, "InternalError"),
        Fault::ExpiredToken => (403, "ExpiredToken"),
        Fault::ClockSkew => (403, "SignatureDoesNotMatch"),
        Fault::AccessDenied => (403, "AuthorizationError"),
        _ => return None,
    };
    let arn = deployment::arn("sns", &call.resource);
    let message = message(
        fault,
        RATE_EXCEEDED,
        &format!("SNS:{}", call.operation),
        &arn,
    );
    let body = error_body(sns::NAMESPACE, code, &message);
    Some(answer(status, "text/xml", body))
}

/// [Errors of Lambda](https://docs.aws.amazon.com/lambda/latest/api/CommonErrors.html).
fn lambda(fault: Fault, call: &Call) -> Option<Response<Body>> {
    let (status, name) = match fault {
        Fault::Throttle => (429, "TooManyRequestsException"),
        Fault::InternalError => (500, "ServiceException"),
        Fault::ExpiredToken => (403, "ExpiredTokenException"),
        Fault::ClockSkew => (403, "InvalidSignatureException"),
        Fault::AccessDenied => (403, "AccessDeniedException"),
        _ => return None,
    };
    let arn = deployment::arn("lambda", &format!("function:{}", call.resource));
    let action = format!("lambda:{}", call.operation);
    let body = json!({ "Message": message(fault, RATE_EXCEEDED, &action, &arn) });
    let mut answer = answer(status, "application/json", body.to_string());
    set_header(&mut answer, "x-amzn-errortype", name);
    Some(answer)
}

/// [Errors of IAM](https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html).
fn iam(fault: Fault, call: &Call) -> Option<Response<Body>> {
    let (status, code) = match fault {
        Fault::Throttle => (400, "Throttling"),
        Fault::InternalError => (500, "ServiceFailure"),
        Fault::ExpiredToken => (403, "ExpiredToken"),
        Fault::ClockSkew => (403, "SignatureDoesNotMatch"),
        Fault::AccessDenied => (403, "AccessDenied"),
        _ => return None,
    };
    let arn = iam::role_arn(&call.resource);
    let message = message(
        fault,
        RATE_EXCEEDED,
        &format!("iam:{}", call.operation),
        &arn,
    );
    let body = error_body(iam::NAMESPACE, code, &message);
    Some(answer(status, "text/xml", body))
}

/// What every service but S3 says of a fault: of throttling `throttled`, and that `action` on `arn` is not allowed.
fn message(fault: Fault, throttled: &str, action: &str, arn: &str) -> String {
    match fault {
        Fault::Throttle => throttled.to_owned(),
        Fault::ExpiredToken => "The security token included in the request is expired".to_owned(),
        Fault::ClockSkew => signature_expired(),
        Fault::AccessDenied => format!(
            "User: arn:aws:sts::{ACCOUNT_ID}:assumed-role/local/denied is not authorized to perform: {action} on \
             resource: {arn} because no identity-based policy allows the {action} action"
        ),
        _ => INJECTED.to_owned(),
    }
}

/// As DynamoDB, SQS and SNS say that a request was signed too long ago.
fn signature_expired() -> String {
    const ALLOWED: Duration = Duration::from_mins(5);
    let [signed, oldest, now] = [
        OffsetDateTime::now_utc(),
        service_time() - ALLOWED,
        service_time(),
    ]
    .map(|time| format(time, AMZ_DATE));
    format!("Signature expired: {signed} is now earlier than {oldest} ({now} - 5 min.)")
}

/// The service's time with [`Fault::ClockSkew`].
fn service_time() -> OffsetDateTime {
    OffsetDateTime::now_utc() + CLOCK_SKEW
}

fn answer(status: u16, content_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    // All of them are valid.
    let status = StatusCode::from_u16(status).unwrap_or_default();
    response(status, content_type, body)
}
