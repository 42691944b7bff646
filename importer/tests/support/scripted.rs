//! HTTP servers that answer as a test says, and an S3 made of one.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::stream;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Body = BoxBody<Bytes, BoxError>;

/// What a server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Answer(Response<Bytes>),
    /// The answer up to so many bytes of its body, then a reset.
    Cut(Response<Bytes>, usize),
    /// A reset instead of an answer.
    Reset,
    /// No answer, ever.
    Hang,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        Self::Answer(response)
    }

    /// An answer in the AWS JSON protocol.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let response = Response::builder()
            .status(status)
            .header("content-type", "application/x-amz-json-1.0")
            .body(body.to_string().into());
        Self::Answer(response.unwrap())
    }

    async fn send(self) -> Result<Response<Body>, BoxError> {
        match self {
            Self::Answer(response) => {
                let (head, body) = response.into_parts();
                // An answer to HEAD tells the length of a body that it lacks.
                let body = if body.is_empty() {
                    Empty::new().map_err(no_error).boxed()
                } else {
                    Full::new(body).map_err(no_error).boxed()
                };
                Ok(Response::from_parts(head, body))
            }
            Self::Cut(response, length) => {
                let (mut head, body) = response.into_parts();
                head.headers.insert("content-length", body.len().into());
                let frames = [Ok(Frame::data(body.slice(..length))), Err("cut".into())];
                let body = StreamBody::new(stream::iter(frames)).boxed();
                Ok(Response::from_parts(head, body))
            }
            Self::Reset => Err("reset".into()),
            Self::Hang => std::future::pending().await,
        }
    }
}

fn no_error(error: Infallible) -> BoxError {
    match error {}
}

async fn answer(
    script: Arc<impl Fn(&Request<Bytes>) -> Reply>,
    request: Request<Incoming>,
) -> Result<Response<Body>, BoxError> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let reply = script(&Request::from_parts(head, body));
    reply.send().await
}

/// A server on a free port of loopback; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(
        script: impl Fn(&Request<Bytes>) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(script);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // A connection that is dropped is reset, as by a machine that went away.
                stream.set_zero_linger().unwrap();
                let script = Arc::clone(&script);
                let answer = move |request| answer(Arc::clone(&script), request);
                connections.spawn(async move {
                    let service = hyper::service::service_fn(answer);
                    // Fails whenever the script says so.
                    auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await
                        .ok();
                });
            }
        });
        Self { url, task }
    }
}

/// An S3 with one object at every key, and a memory of what was put into it.
#[derive(Debug)]
pub(crate) struct Bucket {
    object: Mutex<(Bytes, &'static str)>,
    gets: AtomicUsize,
    puts: Mutex<Vec<(String, Bytes)>>,
}

impl Bucket {
    pub(crate) fn new(object: impl Into<Bytes>) -> Arc<Self> {
        Arc::new(Self {
            object: Mutex::new((object.into(), "\"first\"")),
            gets: AtomicUsize::new(0),
            puts: Mutex::default(),
        })
    }

    /// Puts another object in its place.
    pub(crate) fn replace(&self, object: impl Into<Bytes>) {
        *self.object.lock().unwrap() = (object.into(), "\"second\"");
    }

    /// Ranges that were asked for.
    pub(crate) fn gets(&self) -> usize {
        self.gets.load(Ordering::SeqCst)
    }

    /// The bodies of what was put under a key that ends like this.
    pub(crate) fn put(&self, key_end: &str) -> Vec<Bytes> {
        let puts = self.puts.lock().unwrap();
        let puts = puts.iter().filter(|(path, _)| path.ends_with(key_end));
        puts.map(|(_, body)| body.clone()).collect()
    }

    /// Serves it. `fault` sees the number of each GET, from 1, and the answer that it would have, and may change that.
    pub(crate) async fn serve(
        self: &Arc<Self>,
        fault: impl Fn(usize, Response<Bytes>) -> Reply + Send + Sync + 'static,
    ) -> Server {
        let bucket = Arc::clone(self);
        Server::start(move |request| match request.method().as_str() {
            "HEAD" => Reply::Answer(bucket.head()),
            "GET" => {
                let number = bucket.gets.fetch_add(1, Ordering::SeqCst) + 1;
                fault(number, bucket.get(request))
            }
            "PUT" => {
                let path = request.uri().path().to_owned();
                bucket
                    .puts
                    .lock()
                    .unwrap()
                    .push((path, request.body().clone()));
                Reply::status(200)
            }
            method => panic!("{method} is not expected"),
        })
        .await
    }

    fn head(&self) -> Response<Bytes> {
        let (object, etag) = self.object.lock().unwrap().clone();
        Response::builder()
            .header("etag", etag)
            .header("content-length", object.len())
            .body(Bytes::new())
            .unwrap()
    }

    fn get(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let (object, etag) = self.object.lock().unwrap().clone();
        let header = |name: &str| request.headers()[name].to_str().unwrap();
        if header("if-match") != etag {
            return error(412, "PreconditionFailed");
        }
        let range = header("range").strip_prefix("bytes=").unwrap();
        let (first, last) = range.split_once('-').unwrap();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        Response::builder()
            .status(206)
            .header("etag", etag)
            .header("content-range", format!("bytes {range}/{}", object.len()))
            .body(object.slice(first..=last))
            .unwrap()
    }
}

/// An error as S3 writes it.
pub(crate) fn error(status: u16, code: &str) -> Response<Bytes> {
    let body = format!("<Error><Code>{code}</Code><Message>as scripted</Message></Error>");
    Response::builder()
        .status(status)
        .header("content-type", "application/xml")
        .body(body.into())
        .unwrap()
}
