//! Clients of a stack.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use local::{Endpoints, Stack, StackOptions};
use serde_json::Value;

/// Longer than anything here takes; reached only if something is broken.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);

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

/// One HTTP request with a body of text or bytes.
pub(crate) async fn send(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Response<Bytes>, hyper_util::client::legacy::Error> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    let (head, body) = client.request(request).await?.into_parts();
    Ok(Response::from_parts(
        head,
        body.collect().await.unwrap().to_bytes(),
    ))
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
    let response = send(Method::POST, url, &json_headers(target), body.to_string())
        .await
        .unwrap();
    (
        response.status().as_u16(),
        serde_json::from_slice(response.body()).unwrap(),
    )
}
