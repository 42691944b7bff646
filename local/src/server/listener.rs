use std::convert::Infallible;
use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::{Body as HttpBody, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tower::{Service, ServiceExt as _, service_fn};

use crate::error::LocalError;

/// Why a service does not answer; it closes the connection.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("an injected fault closes this connection")]
pub(crate) struct CloseConnection;

/// Answers HTTP requests.
pub(crate) trait Handler: Send + Sync + 'static {
    fn handle(
        self: Arc<Self>,
        request: Request<Body>,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// A handler as a service of tower.
pub(crate) fn service<H: Handler>(
    handler: &Arc<H>,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ use<H> {
    let handler = Arc::clone(handler);
    service_fn(move |request| {
        let answer = Arc::clone(&handler).handle(request);
        async { Ok(answer.await) }
    })
}

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

/// A server at work. It and its connections stop when this is dropped.
#[derive(Debug)]
pub(crate) struct Server(JoinHandle<()>);

impl Server {
    /// Serves connections of `listener` with `service`; an error of the service closes the connection.
    pub(crate) fn start<S, B>(listener: TcpListener, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: HttpBody + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
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
