//! Stands in front of a service: counts its calls and does to them what the plan says.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use serde_json::{Map, Value};
use tower::ServiceExt as _;

use super::answer::refusal;
use super::batch::{count, nothing_written, take_some};
use super::call::{Call, Service, header as header_value};
use super::injector::Drawn;
use super::{Fault, Faults, add_unprocessed};
use crate::server::{MAX_BODY_BYTES, read_body_up_to};

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// The connection is to be closed without an answer.
#[derive(Debug)]
pub(crate) struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an injected fault closes this connection")
    }
}

impl StdError for Dropped {}

/// Puts `faults` in front of `inner`, which is `service`.
pub(crate) fn guard<S, B>(
    faults: Faults,
    service: Service,
    inner: S,
) -> impl tower::Service<Request<Body>, Response = Response<Body>, Error = BoxError, Future: Send>
+ Clone
+ Send
+ 'static
where
    S: tower::Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    tower::service_fn(move |request| {
        let (faults, inner) = (faults.clone(), inner.clone());
        let next = async move |request| -> Result<Response<Body>, BoxError> {
            let answer = inner.oneshot(request).await.map_err(Into::into)?;
            Ok(answer.map(Body::new))
        };
        pass(faults, service, request, next)
    })
}

/// Lets one call pass, or not.
async fn pass<F>(
    faults: Faults,
    service: Service,
    request: Request<Body>,
    next: impl FnOnce(Request<Body>) -> F + Send + 'static,
) -> Result<Response<Body>, BoxError>
where
    F: Future<Output = Result<Response<Body>, BoxError>> + Send + 'static,
{
    let (head, mut body) = request.into_parts();
    let mut read = Bytes::new();
    // Objects can be larger than memory; the others say in their bodies what they are.
    if service != Service::S3 {
        // Twice what any of them takes, so that it is the service that refuses a body.
        let whole = read_body_up_to(2 * MAX_BODY_BYTES, body).await;
        read = whole.ok_or(Dropped)?;
        body = Body::from(read.clone());
    }
    let call = Call::of(service, &head, &read);
    let drawn = faults.draw(&call);
    let request = Request::from_parts(head, body);
    if drawn.is_nothing() {
        return next(request).await;
    }
    let disturbed = Disturbed {
        faults,
        service,
        call,
        drawn,
    };
    // A task of its own is not given up when the caller hangs up, as it does when it is killed.
    tokio::spawn(disturbed.answer(request, read, next)).await?
}

/// A call to which something is to happen.
struct Disturbed {
    faults: Faults,
    service: Service,
    call: Call,
    drawn: Drawn,
}

impl Disturbed {
    async fn answer<F>(
        mut self,
        request: Request<Body>,
        read: Bytes,
        next: impl FnOnce(Request<Body>) -> F,
    ) -> Result<Response<Body>, BoxError>
    where
        F: Future<Output = Result<Response<Body>, BoxError>>,
    {
        for hook in &self.drawn.before {
            hook().await;
        }
        for (key, content) in std::mem::take(&mut self.drawn.replacements) {
            self.faults.replace(&key, content).await;
        }
        let answer = match self.drawn.fault {
            None => next(request).await,
            Some(fault) => self.fail(fault, request, read, next).await,
        };
        for hook in &self.drawn.after {
            hook().await;
        }
        answer
    }

    async fn fail<F>(
        &self,
        fault: Fault,
        request: Request<Body>,
        read: Bytes,
        next: impl FnOnce(Request<Body>) -> F,
    ) -> Result<Response<Body>, BoxError>
    where
        F: Future<Output = Result<Response<Body>, BoxError>>,
    {
        let Call {
            operation,
            resource,
        } = &self.call;
        tracing::debug!(operation, resource, %fault, "injecting a fault");
        if let Some(refusal) = refusal(self.service, fault, &self.call, self.drawn.earlier) {
            // A client that is still sending would not look for an answer.
            let mut body = request.into_body();
            while let Some(Ok(_)) = body.frame().await {}
            return Ok(refusal);
        }
        match fault {
            Fault::ResetBefore => return Err(Dropped.into()),
            Fault::KillBefore => {
                self.faults.kill().await;
                return Err(Dropped.into());
            }
            Fault::Unprocessed => return self.write_some(request, &read, next).await,
            _ => {}
        }
        let answer = next(request).await?;
        match fault {
            Fault::ResetAfter => Err(Dropped.into()),
            Fault::KillAfter => {
                self.faults.kill().await;
                Err(Dropped.into())
            }
            Fault::Slow(delay) => {
                tokio::time::sleep(delay).await;
                Ok(answer)
            }
            Fault::TruncatedBody => truncated(answer).await,
            Fault::WrongChecksum => Ok(with_wrong_checksum(self.service, answer)),
            _ => Ok(answer),
        }
    }

    /// Writes a random choice of a batch and returns the rest.
    async fn write_some<F>(
        &self,
        request: Request<Body>,
        read: &[u8],
        next: impl FnOnce(Request<Body>) -> F,
    ) -> Result<Response<Body>, BoxError>
    where
        F: Future<Output = Result<Response<Body>, BoxError>>,
    {
        // What is no batch is for DynamoDB to refuse.
        let mut batch: Value = serde_json::from_slice(read).unwrap_or_default();
        let items = batch.get_mut("RequestItems").and_then(Value::as_object_mut);
        let mut rng = fastrand::Rng::with_seed(self.drawn.seed);
        let unprocessed = items.map_or_else(Map::new, |items| take_some(items, &mut rng));
        self.faults.add_unprocessed(count(&unprocessed) as u64);
        if batch["RequestItems"].as_object().is_some_and(Map::is_empty) {
            return Ok(nothing_written(&unprocessed));
        }
        let mut rest = request.map(|_| Body::from(batch.to_string()));
        rest.headers_mut().remove(header::CONTENT_LENGTH);
        Ok(add_unprocessed(next(rest).await?, unprocessed).await?)
    }
}

/// The answer with half of its body, and the connection closed.
async fn truncated(answer: Response<Body>) -> Result<Response<Body>, BoxError> {
    let (mut head, mut body) = answer.into_parts();
    let length = header_value(&head.headers, "content-length").parse().ok();
    let length = if let Some(length) = length.or(body.size_hint().exact()) {
        length
    } else {
        let whole = body.collect().await?.to_bytes();
        body = Body::from(whole.clone());
        whole.len() as u64
    };
    head.headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    head.headers.remove(header::TRANSFER_ENCODING);
    let body = Truncated {
        body,
        left_bytes: length / 2,
        length,
        flushed: false,
    };
    Ok(Response::from_parts(head, Body::new(body)))
}

/// A body that ends with an error before its end.
struct Truncated {
    body: Body,
    left_bytes: u64,
    length: u64,
    /// Whether what came before the error was given time to be sent.
    flushed: bool,
}

impl HttpBody for Truncated {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        while self.left_bytes > 0 {
            let Some(frame) = std::task::ready!(Pin::new(&mut self.body).poll_frame(context))
            else {
                break;
            };
            // Trailers are part of what is lost.
            let Ok(mut data) = frame?.into_data() else {
                continue;
            };
            data.truncate(usize::try_from(self.left_bytes)?);
            self.left_bytes -= data.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if !self.flushed {
            // An error throws away what waits to be sent; waiting sends it.
            self.flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(Dropped.into())))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

/// The answer with a checksum that is not its body's.
fn with_wrong_checksum(service: Service, mut answer: Response<Body>) -> Response<Body> {
    let headers = answer.headers_mut();
    if service == Service::DynamoDb {
        let right: Option<u32> = header_value(headers, "x-amz-crc32").parse().ok();
        let wrong = right.map_or(1, |right| right.wrapping_add(1));
        headers.insert("x-amz-crc32", HeaderValue::from(wrong));
        return answer;
    }
    let is_checksum = |name: &&HeaderName| name.as_str().starts_with("x-amz-checksum-");
    let own: Vec<HeaderName> = headers.keys().filter(is_checksum).cloned().collect();
    for name in own {
        headers.remove(name);
    }
    // Base64 of 1; no body that anybody has is likely to have it.
    headers.insert("x-amz-checksum-crc32", HeaderValue::from_static("AAAAAQ=="));
    answer
}
