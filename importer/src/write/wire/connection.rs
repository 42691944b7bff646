//! One HTTP/1.1 connection to the endpoint, driven by whoever waits for its answer.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::Response;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::endpoint::Endpoint;
use super::sign::Signed;
use super::tls;
use crate::aws::BoxError;

/// Most bytes of an answer: a request of 16 MiB that comes back whole, and something for what is around it.
const ANSWER_BYTES_MAX: usize = 17 * 1024 * 1024;

/// What reads and writes the socket.
enum Driver {
    Plain(Box<http1::Connection<TokioIo<TcpStream>, Full<Bytes>>>),
    Tls(Box<http1::Connection<TokioIo<TlsStream<TcpStream>>, Full<Bytes>>>),
}

impl Driver {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        match self {
            Self::Plain(connection) => connection.poll_without_shutdown(context),
            Self::Tls(connection) => connection.poll_without_shutdown(context),
        }
    }
}

/// A keep-alive connection with at most one request under way.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// None once the connection has ended.
    driver: Option<Driver>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("ended", &self.driver.is_none())
            .finish_non_exhaustive()
    }
}

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// The connection had ended, and nothing of the request was sent.
    Unsent(Box<Signed>),
    /// It may have been sent, or may not.
    Broken(BoxError),
    /// Its answer has begun and broke off: it is over.
    Cut(BoxError),
}

impl Connection {
    /// Connects to `address`, which is one of `endpoint`'s.
    pub(super) async fn open(endpoint: &Endpoint, address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        // A request is one write; waiting for more to send would only delay its end.
        stream.set_nodelay(true)?;
        if !endpoint.is_tls {
            let (sender, connection) = http1::handshake(TokioIo::new(stream))
                .await
                .map_err(io::Error::other)?;
            return Ok(Self {
                sender,
                driver: Some(Driver::Plain(Box::new(connection))),
            });
        }
        let config = tls::config().map_err(io::Error::other)?;
        let name = ServerName::try_from(endpoint.host.clone()).map_err(io::Error::other)?;
        let stream = TlsConnector::from(Arc::clone(&config))
            .connect(name, stream)
            .await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        Ok(Self {
            sender,
            driver: Some(Driver::Tls(Box::new(connection))),
        })
    }

    /// Sends a request and receives the whole answer. After an error the connection is of no further use.
    pub(super) async fn exchange(&mut self, request: Signed) -> Result<Response<Bytes>, Failed> {
        let Self { sender, driver } = self;
        let mut exchange = pin!(exchange(sender, request));
        poll_fn(|context| {
            // The connection goes first: it may have been closed since the last request, and only it notices.
            if driver
                .as_mut()
                .is_some_and(|driver| driver.poll(context).is_ready())
            {
                // Its end, well or not, reaches the exchange by this.
                *driver = None;
            }
            exchange.as_mut().poll(context)
        })
        .await
    }
}

async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Signed,
) -> Result<Response<Bytes>, Failed> {
    if sender.ready().await.is_err() {
        return Err(Failed::Unsent(Box::new(request)));
    }
    let response = match sender.try_send_request(request).await {
        Ok(response) => response,
        Err(mut error) => {
            return Err(match error.take_message() {
                Some(request) => Failed::Unsent(Box::new(request)),
                None => Failed::Broken(error.into_error().into()),
            });
        }
    };
    let (head, body) = response.into_parts();
    let body = receive(body).await.map_err(Failed::Cut)?;
    Ok(Response::from_parts(head, body))
}

/// A body in one piece; usually it comes as that.
async fn receive(mut body: Incoming) -> Result<Bytes, BoxError> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while !body.is_end_stream()
        && let Some(frame) = body.frame().await
    {
        let Ok(data) = frame?.into_data() else {
            // Trailers, which nobody asked for.
            continue;
        };
        if rest.len() + data.len() > ANSWER_BYTES_MAX {
            return Err(format!("the answer has more than {ANSWER_BYTES_MAX} bytes").into());
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() {
        first
    } else {
        rest.freeze()
    })
}
