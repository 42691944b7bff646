//! What every HTTP server here shares: binding to loopback, serving, stopping.

use std::error::Error;
use std::net::Ipv4Addr;

use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tower::{Service, ServiceExt as _};

use crate::LocalError;

/// The largest request body accepted by the services that read it whole. DynamoDB's limit is the largest of
/// them: [16 MB](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html).
pub(crate) const MAX_BODY_BYTES: usize = 16 << 20;

/// A port that is listened on, and the URL that leads there.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) listener: TcpListener,
    pub(crate) url: String,
}

/// Listens on 127.0.0.1; port 0 takes a free one.
pub(crate) async fn bind(service: &'static str, port: u16) -> Result<Bound, LocalError> {
    let error = |source| LocalError::Bind {
        service,
        port,
        source,
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(error)?;
    let url = format!("http://{}", listener.local_addr().map_err(error)?);
    Ok(Bound { listener, url })
}

/// The whole body of a request, or `None` if it is too large or broke off.
pub(crate) async fn read_body(body: Body) -> Option<bytes::Bytes> {
    read_body_up_to(MAX_BODY_BYTES, body).await
}

/// As [`read_body`], with a limit of the caller's.
pub(crate) async fn read_body_up_to(limit_bytes: usize, body: Body) -> Option<bytes::Bytes> {
    let limited = http_body_util::Limited::new(body, limit_bytes);
    limited
        .collect()
        .await
        .ok()
        .map(http_body_util::Collected::to_bytes)
}

/// A server at work. It and its connections stop when this is dropped.
#[derive(Debug)]
pub(crate) struct Server(JoinHandle<()>);

impl Server {
    /// Serves connections of `listener` with `service`; an error of the service closes the connection.
    pub(crate) fn start<S, B>(listener: TcpListener, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: HttpBody + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let service = service.map_request(|request: Request<Incoming>| request.map(Body::new));
        let service = TowerToHyperService::new(service);
        Self(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => {
                            let service = service.clone();
                            connections.spawn(async move {
                                // Small answers must not wait for more to send.
                                let nodelay = stream.set_nodelay(true);
                                let builder = auto::Builder::new(TokioExecutor::new());
                                let served = builder.serve_connection(TokioIo::new(stream), service).await;
                                // A client that hung up is not this server's problem.
                                tracing::trace!(?nodelay, ?served, "connection closed");
                            });
                        }
                        // Such as too many open files: the connections that exist may end and free some.
                        Err(error) => {
                            tracing::warn!(%error, "cannot accept a connection");
                            if connections.join_next().await.is_none() {
                                return;
                            }
                        }
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
        }))
    }

    /// Stops and waits until it has.
    pub(crate) async fn stop(mut self) {
        self.0.abort();
        // The only error is that it was aborted.
        let _aborted = (&mut self.0).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}
