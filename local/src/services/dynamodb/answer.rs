use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::json;

use crate::server::response;

/// An answer as DynamoDB gives it to a request that failed.
pub(crate) fn error_response(status: StatusCode, exception: &str, message: &str) -> Response<Body> {
    let namespace = match exception {
        "ThrottlingException" => "com.amazon.coral.availability",
        "ExpiredTokenException"
        | "InvalidSignatureException"
        | "UnrecognizedClientException"
        | "AccessDeniedException" => "com.amazon.coral.service",
        _ => "com.amazonaws.dynamodb.v20120810",
    };
    let body = json!({ "__type": format!("{namespace}#{exception}"), "message": message });
    json_response(status, body.to_string())
}

pub(crate) fn json_response(status: StatusCode, body: String) -> Response<Body> {
    response(status, "application/x-amz-json-1.0", body)
}
