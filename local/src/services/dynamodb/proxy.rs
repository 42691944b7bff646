//! What stands between DynamoDB's clients and `dynoxide`: its connections, and how much a table takes.
//!
//! `dynoxide` serves a listener of its own and cannot be called otherwise.

use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Map, Value, json};

use crate::access::Access;
use crate::capacity::{Capacity, PARTITION_KEY, throttled};
use crate::faults::{BoxError, Dropped, add_unprocessed, header as header_value, nothing_written};
use crate::server::{MAX_BODY_BYTES, read_body_up_to};

/// DynamoDB at `upstream`, and as much of it as `capacity` admits.
#[derive(Debug, Clone)]
pub(crate) struct Front {
    upstream: String,
    capacity: Option<Capacity>,
    access: Access,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Front {
    pub(crate) fn new(upstream: String, capacity: Option<Capacity>, access: Access) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            upstream,
            capacity,
            access,
            client: Client::builder(TokioExecutor::new()).build(connector),
        }
    }

    /// Answers one HTTP request.
    pub(crate) async fn answer(self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let (head, body) = request.into_parts();
        // Twice what DynamoDB takes, so that it is DynamoDB that refuses a body.
        let body = read_body_up_to(2 * MAX_BODY_BYTES, body).await;
        let body = body.ok_or(Dropped)?;
        if let Some(refusal) = self.access.refuse_table_request(&head, &body) {
            return Ok(refusal);
        }
        let target = header_value(&head.headers, "x-amz-target");
        match &self.capacity {
            Some(capacity) if target.ends_with(".BatchWriteItem") => {
                self.admit(capacity, head, &body).await
            }
            _ => self.forward(head, body).await,
        }
    }

    /// Does what the table's capacity admits of a batch.
    async fn admit(
        &self,
        capacity: &Capacity,
        head: Parts,
        body: &[u8],
    ) -> Result<Response<Body>, BoxError> {
        // What is no batch is for DynamoDB to refuse.
        let mut request: Value = serde_json::from_slice(body).unwrap_or_default();
        capacity.travel().await;
        let mut none = Map::new();
        let items = request
            .get_mut("RequestItems")
            .and_then(Value::as_object_mut);
        let admission = capacity.admit(items.unwrap_or(&mut none), PARTITION_KEY);
        let answer = match admission.exception {
            Some(exception) => Ok(throttled(exception)),
            None => self.write(head, &request, admission.unprocessed).await,
        };
        capacity.travel().await;
        answer
    }

    /// Does what is left of a batch and adds `unprocessed` to the answer.
    async fn write(
        &self,
        head: Parts,
        rest: &Value,
        unprocessed: Map<String, Value>,
    ) -> Result<Response<Body>, BoxError> {
        if rest["RequestItems"].as_object().is_some_and(Map::is_empty) && !unprocessed.is_empty() {
            return Ok(nothing_written(&unprocessed));
        }
        let answer = self.forward(head, rest.to_string().into()).await?;
        Ok(add_unprocessed(answer, unprocessed).await?)
    }

    async fn forward(&self, head: Parts, body: Bytes) -> Result<Response<Body>, BoxError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = head.method;
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = format!("{}{path}", self.upstream).parse()?;
        *request.headers_mut() = end_to_end(head.headers);
        let answer = self.client.request(request).await?;
        let (head, body) = answer.into_parts();
        // Whole, because a connection that breaks off here is not one that the client sees.
        let body = body.collect().await?.to_bytes();
        Ok(Response::from_parts(head, Body::from(body)))
    }
}

/// The headers that are not about the one connection or the body's length, which may change, nor about the page that
/// calls: `dynoxide` would let any page read the answer.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    for name in [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::CONTENT_LENGTH,
        header::ORIGIN,
    ] {
        headers.remove(name);
    }
    headers
}

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
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("application/x-amz-json-1.0");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}
