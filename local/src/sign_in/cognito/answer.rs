use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;

use crate::server::{response, set_header};

/// An answer with a body of some type.
pub(super) fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: String,
) -> Response<Body> {
    let mut response = response(status, content_type, body);
    set_header(&mut response, header::CACHE_CONTROL, "no-store");
    set_header(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}

pub(super) fn json(status: StatusCode, body: &Value) -> Response<Body> {
    answer(status, "application/json;charset=UTF-8", body.to_string())
}

/// An [error](https://www.rfc-editor.org/rfc/rfc6749#section-5.2) of the token endpoint and the like.
pub(super) fn oauth_error(error: &str) -> Response<Body> {
    json(
        StatusCode::BAD_REQUEST,
        &serde_json::json!({ "error": error }),
    )
}

/// The browser is to go on there.
pub(super) fn see_other(location: &str) -> Response<Body> {
    let mut response = answer(StatusCode::SEE_OTHER, "text/plain", String::new());
    set_header(&mut response, header::LOCATION, location);
    response
}

pub(super) fn set_cookie(response: &mut Response<Body>, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}
