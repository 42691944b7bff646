//! Stands in front of a service: counts its calls and does to them what the plan says.

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
use super::call::Call;
use super::fault::Fault;
use super::injector::{Faults, Injection};
use crate::server::{
    BoxError, CloseConnection, MAX_BODY_BYTES, header as header_value, read_body_up_to,
};
use crate::services::Service;
use crate::services::dynamodb::{add_unprocessed, count_items, nothing_written, take_items};

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
        read = whole.ok_or(CloseConnection)?;
        body = Body::from(read.clone());
    }
    let call = Call::of(service, &head, &read);
    let injection = faults.draw(&call);
    let request = Request::from_parts(head, body);
    if injection.is_empty() {
        return next(request).await;
    }
    let faulted = FaultedCall {
        faults,
        service,
        call,
        injection,
    };
    // A task of its own is not given up when the caller hangs up, as it does when it is killed.
    tokio::spawn(faulted.answer(request, read, next)).await?
}

/// A call to which something is to happen.
struct FaultedCall {
    faults: Faults,
    service: Service,
    call: Call,
    injection: Injection,
}

impl FaultedCall {
    async fn answer<F>(
        mut self,
        request: Request<Body>,
        read: Bytes,
        next: impl FnOnce(Request<Body>) -> F,
    ) -> Result<Response<Body>, BoxError>
    where
        F: Future<Output = Result<Response<Body>, BoxError>>,
    {
        for hook in &self.injection.before {
            hook().await;
        }
        for (key, content) in std::mem::take(&mut self.injection.replacements) {
            self.faults.replace(&key, content).await;
        }
        let answer = match self.injection.fault {
            None => next(request).await,
            Some(fault) => self.fail(fault, request, read, next).await,
        };
        for hook in &self.injection.after {
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
        if let Some(refusal) = refusal(self.service, fault, &self.call, self.injection.earlier) {
            // A client that is still sending would not look for an answer.
            let mut body = request.into_body();
            while let Some(Ok(_)) = body.frame().await {}
            return Ok(refusal);
        }
        match fault {
            Fault::ResetBefore => return Err(CloseConnection.into()),
            Fault::KillBefore => {
                self.faults.kill().await;
                return Err(CloseConnection.into());
            }
            Fault::Unprocessed => return self.write_some(request, &read, next).await,
            _ => {}
        }
        let answer = next(request).await?;
        match fault {
            Fault::ResetAfter => Err(CloseConnection.into()),
            Fault::KillAfter => {
                self.faults.kill().await;
                Err(CloseConnection.into())
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
        let mut rng = fastrand::Rng::with_seed(self.injection.seed);
        let unprocessed = items.map_or_else(Map::new, |items| take_some(items, &mut rng));
        self.faults
            .add_unprocessed(count_items(&unprocessed) as u64);
        if batch["RequestItems"].as_object().is_some_and(Map::is_empty) {
            return Ok(nothing_written(&unprocessed));
        }
        let mut rest = request.map(|_| Body::from(batch.to_string()));
        rest.headers_mut().remove(header::CONTENT_LENGTH);
        Ok(add_unprocessed(next(rest).await?, unprocessed).await?)
    }
}

/// Takes a random choice of a batch's items out of its `RequestItems`: one at least, all at most.
fn take_some(items: &mut Map<String, Value>, rng: &mut fastrand::Rng) -> Map<String, Value> {
    let mut left = count_items(items);
    let mut left_to_take = if left > 0 { rng.usize(1..=left) } else { 0 };
    // Of what is left, each item is as likely as the others.
    take_items(items, || {
        let take = rng.usize(0..left) < left_to_take;
        left -= 1;
        left_to_take -= usize::from(take);
        take
    })
}

/// The answer with half of its body, and the connection closed.
async fn truncated(answer: Response<Body>) -> Result<Response<Body>, BoxError> {
    let (mut head, mut body) = answer.into_parts();
    let length = header_value(&head.headers, "content-length");
    let length = length.and_then(|length| length.parse().ok());
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
        Poll::Ready(Some(Err(CloseConnection.into())))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

/// The answer with a checksum that is not its body's.
fn with_wrong_checksum(service: Service, mut answer: Response<Body>) -> Response<Body> {
    let headers = answer.headers_mut();
    if service == Service::DynamoDb {
        let right = header_value(headers, "x-amz-crc32").and_then(|right| right.parse().ok());
        let wrong = right.map_or(1, |right: u32| right.wrapping_add(1));
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn batch(items: usize) -> Map<String, Value> {
        let requests: Vec<Value> = (0..items).map(|n| json!({ "PutRequest": n })).collect();
        Map::from_iter([("T".to_owned(), requests.into())])
    }

    #[test]
    fn unprocessed_items_and_the_rest_make_the_batch() {
        let mut rng = fastrand::Rng::with_seed(1);
        for size in [1, 2, 25] {
            let mut rest = batch(size);
            let taken = take_some(&mut rest, &mut rng);
            assert!(count_items(&taken) >= 1);
            assert_eq!(count_items(&taken) + count_items(&rest), size);
            assert_eq!(
                rest.is_empty(),
                count_items(&rest) == 0,
                "an empty list must not be sent on"
            );
        }
    }
}
