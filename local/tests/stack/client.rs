//! Clients of a stack.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use local::{Endpoints, Stack, StackOptions};
use serde_json::Value;

/// Longer than anything here takes; reached only if something is broken.
pub(crate) const LIMIT: Duration = Duration::from_mins(10);

pub(crate) async fn start() -> Stack {
    Stack::start(StackOptions::default()).await.unwrap()
}

/// SDK clients from endpoints: `sdk!(aws_sdk_s3, url)`, with what makes a client of one service special after.
macro_rules! sdk {
    ($sdk:ident, $url:expr $(, $method:ident($($argument:expr),*))*) => {{
        use $sdk::config::{BehaviorVersion, Credentials, Region};
        let credentials =
            Credentials::new(local::ACCESS_KEY_ID, local::SECRET_ACCESS_KEY, None, None, "test");
        let config = $sdk::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(local::REGION))
            .credentials_provider(credentials)
            .endpoint_url($url)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            $(.$method($($argument),*))*
            .build();
        $sdk::Client::from_conf(config)
    }};
}
pub(crate) use sdk;

pub(crate) fn s3(endpoints: &Endpoints) -> aws_sdk_s3::Client {
    sdk!(aws_sdk_s3, &endpoints.s3, force_path_style(true))
}

/// One HTTP request with a body of text or bytes, and the whole answer.
pub(crate) async fn send(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Response<Bytes> {
    try_send(method, url, headers, body).await.unwrap()
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// As [`send`], with the error if the connection does not last for the whole answer.
pub(crate) async fn try_send(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Response<Bytes>, BoxError> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into()))?;
    let (head, body) = client.request(request).await?.into_parts();
    Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
}

/// How many bytes a GET's answer says it has, and how many come before the connection breaks.
pub(crate) async fn received(url: &str) -> (u64, usize) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::get(url).body(Full::new(Bytes::new())).unwrap();
    let (head, mut body) = client.request(request).await.unwrap().into_parts();
    let answered = head.headers["content-length"].to_str().unwrap();
    let mut received = 0;
    while let Some(Ok(frame)) = body.frame().await {
        received += frame.data_ref().map_or(0, Bytes::len);
    }
    (answered.parse().unwrap(), received)
}

/// Headers of a request of the AWS JSON protocol.
pub(crate) fn json_headers(target: &str) -> [(&'static str, &str); 4] {
    // DynamoDB looks for a signature but does not check it.
    let authorization = "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/b/aws4_request, \
                         SignedHeaders=host, Signature=c";
    [
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amz-target", target),
        ("authorization", authorization),
        ("x-amz-date", "20260101T000000Z"),
    ]
}

/// One request of the AWS JSON protocol: its status and its answer.
pub(crate) async fn json(url: &str, target: &str, body: &Value) -> (u16, Value) {
    let response = send(Method::POST, url, &json_headers(target), body.to_string()).await;
    (
        response.status().as_u16(),
        serde_json::from_slice(response.body()).unwrap(),
    )
}

/// A GET whose answer is JSON: its status and the answer.
pub(crate) async fn get(url: &str, headers: &[(&str, &str)]) -> (u16, Value) {
    let answer = send(Method::GET, url, headers, "").await;
    let body = serde_json::from_slice(answer.body()).unwrap();
    (answer.status().as_u16(), body)
}
