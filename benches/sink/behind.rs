//! What the sink does not answer itself: passed on to services that keep things.

use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::http::uri::{Authority, Scheme};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

/// A service on this machine.
#[derive(Debug)]
pub(crate) struct Behind {
    authority: Authority,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Behind {
    /// The service at `url`, such as `http://127.0.0.1:8000`.
    ///
    /// # Errors
    ///
    /// A sentence if that is no such address.
    pub(crate) fn new(url: &str) -> Result<Self, String> {
        let address = url.strip_prefix("http://").unwrap_or_default();
        let authority = address.trim_end_matches('/').parse();
        Ok(Self {
            authority: authority
                .map_err(|_| format!("\"{url}\" is not like http://127.0.0.1:8000"))?,
            client: Client::builder(TokioExecutor::new()).build_http(),
        })
    }

    /// Passes a request on, with the `Host` that was signed.
    pub(crate) async fn answer(&self, head: Parts, body: Bytes) -> Response<super::Body> {
        let mut request = Request::from_parts(head, Full::new(body));
        let mut uri = std::mem::take(request.uri_mut()).into_parts();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(self.authority.clone());
        *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
        if let Some((head, body)) = self.pass(request).await {
            return Response::from_parts(head, Either::Left(body.into()));
        }
        let mut response = Response::new(Either::Left(Full::default()));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    }

    async fn pass(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Option<(hyper::http::response::Parts, Bytes)> {
        let answer: Response<Incoming> = self.client.request(request).await.ok()?;
        let (head, body) = answer.into_parts();
        Some((head, body.collect().await.ok()?.to_bytes()))
    }
}
