//! The answers by which each service refuses a call.

use std::time::Duration;

use axum::body::Body;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use uuid::Uuid;

use super::call::{Call, Service};
use super::{CLOCK_SKEW, Fault};
use crate::{ACCOUNT_ID, REGION, dynamodb, iam, sns};

/// What the errors say where the service's own words would not tell that a test is behind them.
const INJECTED: &str = "Injected by the local stack";

const HTTP_DATE: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);
const AMZ_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");
const ISO_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

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
        let date = formatted(service_time(), HTTP_DATE);
        // It is ASCII, which is all that a header value asks for.
        answer.headers_mut().extend(
            HeaderValue::try_from(date)
                .ok()
                .map(|date| (http::header::DATE, date)),
        );
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
            formatted(OffsetDateTime::now_utc(), AMZ_DATE),
            formatted(service_time(), ISO_DATE)
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
    insert(&mut answer, "x-amz-request-id", &request_id);
    Some(answer)
}

/// [Errors of DynamoDB](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html).
fn dynamodb(fault: Fault, call: &Call, earlier: u64) -> Option<Response<Body>> {
    let operation = &call.operation;
    let (status, exception, message) = match fault {
        // Control plane operations know the second only.
        Fault::Throttle if earlier.is_multiple_of(2) && !operation.starts_with("Describe") => (
            400,
            "ProvisionedThroughputExceededException",
            INJECTED.to_owned(),
        ),
        Fault::Throttle => (400, "ThrottlingException", INJECTED.to_owned()),
        Fault::InternalError => (500, "InternalServerError", INJECTED.to_owned()),
        Fault::ExpiredToken => (400, "ExpiredTokenException", TOKEN_EXPIRED.to_owned()),
        Fault::ClockSkew => (400, "InvalidSignatureException", signature_expired()),
        Fault::AccessDenied => (
            400,
            "AccessDeniedException",
            not_authorized(
                &format!("dynamodb:{operation}"),
                &format!(
                    "arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{}",
                    call.resource
                ),
            ),
        ),
        _ => return None,
    };
    let status = StatusCode::from_u16(status).unwrap_or_default();
    Some(dynamodb::error_response(status, exception, &message))
}

/// [Errors of SQS](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html), in the JSON
/// protocol.
fn sqs(fault: Fault, call: &Call) -> Option<Response<Body>> {
    let coral = "com.amazon.coral.service";
    let (status, namespace, exception, code, message) = match fault {
        Fault::Throttle => (
            400,
            "com.amazonaws.sqs",
            "RequestThrottled",
            "RequestThrottled",
            INJECTED.to_owned(),
        ),
        Fault::InternalError => (
            500,
            coral,
            "InternalFailure",
            "InternalFailure",
            INJECTED.to_owned(),
        ),
        Fault::ExpiredToken => (
            400,
            coral,
            "ExpiredTokenException",
            "ExpiredToken",
            TOKEN_EXPIRED.to_owned(),
        ),
        Fault::ClockSkew => (
            400,
            coral,
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            signature_expired(),
        ),
        Fault::AccessDenied => (
            400,
            coral,
            "AccessDeniedException",
            "AccessDenied",
            not_authorized(
                &format!("sqs:{}", call.operation.to_lowercase()),
                &format!("arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{}", call.resource),
            ),
        ),
        _ => return None,
    };
    let body = json!({ "__type": format!("{namespace}#{exception}"), "message": message });
    let mut answer = answer(
        status,
        "application/x-amz-json-1.0",
        Body::from(body.to_string()),
    );
    let side = if status < 500 { "Sender" } else { "Receiver" };
    insert(&mut answer, "x-amzn-query-error", &format!("{code};{side}"));
    insert(&mut answer, "x-amzn-requestid", &Uuid::new_v4().to_string());
    Some(answer)
}

/// [Errors of SNS](https://docs.aws.amazon.com/sns/latest/api/CommonErrors.html).
fn sns(fault: Fault, call: &Call) -> Option<Response<Body>> {
    let (status, code, message) = match fault {
        Fault::Throttle => (400, "Throttling", "Rate exceeded".to_owned()),
        Fault::InternalError => (500, "InternalError", INJECTED.to_owned()),
        Fault::ExpiredToken => (403, "ExpiredToken", TOKEN_EXPIRED.to_owned()),
        Fault::ClockSkew => (403, "SignatureDoesNotMatch", signature_expired()),
        Fault::AccessDenied => (
            403,
            "AuthorizationError",
            not_authorized(
                &format!("SNS:{}", call.operation),
                &format!("arn:aws:sns:{REGION}:{ACCOUNT_ID}:{}", call.resource),
            ),
        ),
        _ => return None,
    };
    Some(answer(
        status,
        "text/xml",
        Body::from(sns::error_body(code, &message)),
    ))
}

/// [Errors of Lambda](https://docs.aws.amazon.com/lambda/latest/api/CommonErrors.html).
fn lambda(fault: Fault, call: &Call) -> Option<Response<Body>> {
    let (status, name, message) = match fault {
        Fault::Throttle => (429, "TooManyRequestsException", "Rate exceeded".to_owned()),
        Fault::InternalError => (500, "ServiceException", INJECTED.to_owned()),
        Fault::ExpiredToken => (403, "ExpiredTokenException", TOKEN_EXPIRED.to_owned()),
        Fault::ClockSkew => (403, "InvalidSignatureException", signature_expired()),
        Fault::AccessDenied => (
            403,
            "AccessDeniedException",
            not_authorized(
                &format!("lambda:{}", call.operation),
                &format!(
                    "arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{}",
                    call.resource
                ),
            ),
        ),
        _ => return None,
    };
    let body = json!({ "Message": message }).to_string();
    let mut answer = answer(status, "application/json", Body::from(body));
    insert(&mut answer, "x-amzn-errortype", name);
    Some(answer)
}

/// [Errors of IAM](https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html).
fn iam(fault: Fault, call: &Call) -> Option<Response<Body>> {
    let (status, code, message) = match fault {
        Fault::Throttle => (400, "Throttling", "Rate exceeded".to_owned()),
        Fault::InternalError => (500, "ServiceFailure", INJECTED.to_owned()),
        Fault::ExpiredToken => (403, "ExpiredToken", TOKEN_EXPIRED.to_owned()),
        Fault::ClockSkew => (403, "SignatureDoesNotMatch", signature_expired()),
        Fault::AccessDenied => (
            403,
            "AccessDenied",
            not_authorized(
                &format!("iam:{}", call.operation),
                &format!("arn:aws:iam::{ACCOUNT_ID}:role/{}", call.resource),
            ),
        ),
        _ => return None,
    };
    Some(answer(
        status,
        "text/xml",
        Body::from(iam::error_body(code, &message)),
    ))
}

const TOKEN_EXPIRED: &str = "The security token included in the request is expired";

/// As DynamoDB, SQS and SNS say that a request was signed too long ago.
fn signature_expired() -> String {
    const ALLOWED: Duration = Duration::from_mins(5);
    let [signed, oldest, now] = [
        OffsetDateTime::now_utc(),
        service_time() - ALLOWED,
        service_time(),
    ]
    .map(|time| formatted(time, AMZ_DATE));
    format!("Signature expired: {signed} is now earlier than {oldest} ({now} - 5 min.)")
}

fn not_authorized(action: &str, resource: &str) -> String {
    format!(
        "User: arn:aws:sts::{ACCOUNT_ID}:assumed-role/local/denied is not authorized to perform: {action} on \
         resource: {resource} because no identity-based policy allows the {action} action"
    )
}

/// The service's time with [`Fault::ClockSkew`].
fn service_time() -> OffsetDateTime {
    OffsetDateTime::now_utc() + CLOCK_SKEW
}

fn formatted(time: OffsetDateTime, format: &[BorrowedFormatItem<'_>]) -> String {
    // All formats use only parts that every date-time has.
    time.format(format)
        .expect("a date-time has a date and a time")
}

fn answer(status: u16, content_type: &'static str, body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    // All of them are valid.
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    insert(&mut answer, "content-type", content_type);
    answer
}

fn insert(answer: &mut Response<Body>, name: &'static str, value: &str) {
    // All that comes here is ASCII, which is all that a header value asks for.
    if let Ok(value) = HeaderValue::from_str(value) {
        answer
            .headers_mut()
            .insert(HeaderName::from_static(name), value);
    }
}
