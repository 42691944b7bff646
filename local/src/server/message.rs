use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, IntoHeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, Collected, Limited};

/// The largest request body accepted by the services that read it whole. DynamoDB's limit is the largest of
/// them: [16 MB](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html).
pub(crate) const MAX_BODY_BYTES: usize = 16 << 20;

/// The whole body of a request, or `None` if it is too large or broke off.
pub(crate) async fn read_body(body: Body) -> Option<Bytes> {
    read_body_up_to(MAX_BODY_BYTES, body).await
}

/// As [`read_body`], with a limit of the caller's.
pub(crate) async fn read_body_up_to(limit_bytes: usize, body: Body) -> Option<Bytes> {
    let read = Limited::new(body, limit_bytes).collect().await;
    read.ok().map(Collected::to_bytes)
}

/// The value of a header, if it is text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

pub(crate) fn response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// Sets a header, unless the value has other characters than a header may: nothing here writes such a value.
pub(crate) fn set_header(response: &mut Response<Body>, name: impl IntoHeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
