//! Between DynamoDB's clients and `dynoxide`, which serves a listener of its own and cannot be called otherwise.

use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::server::BoxError;

/// Sends requests on to `dynoxide`.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    upstream: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Proxy {
    /// To `dynoxide` at the URL `upstream`.
    pub(crate) fn new(upstream: String) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            upstream,
            client: Client::builder(TokioExecutor::new()).build(connector),
        }
    }

    pub(crate) async fn forward(
        &self,
        head: Parts,
        body: Bytes,
    ) -> Result<Response<Body>, BoxError> {
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
