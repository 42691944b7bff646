//! SQS: standard queues with visibility timeouts, delays and dead-letter queues, over the
//! [AWS JSON protocol](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-json-apis.html).

mod actions;
mod attributes;
mod error;
mod queue;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use http::{HeaderValue, Request, Response, StatusCode};
use serde_json::Value;
use uuid::Uuid;

use self::error::SqsError;
pub use self::queue::Delivery;
#[cfg(test)]
pub(crate) use self::queue::MessageAttribute;
pub(crate) use self::queue::{Queue, QueueSettings, Redrive, arn};
use crate::ACCOUNT_ID;
use crate::lock::lock;
use crate::server::read_body;

/// The queues of one endpoint.
#[derive(Debug)]
pub(crate) struct Queues {
    endpoint: String,
    queues: Mutex<BTreeMap<String, Arc<Queue>>>,
}

impl Queues {
    /// No queues yet; `endpoint` is the URL that clients use.
    pub(crate) fn new(endpoint: String) -> Self {
        Self {
            endpoint,
            queues: Mutex::default(),
        }
    }

    /// Adds a queue, or returns the one that has the name.
    pub(crate) fn create(&self, name: &str, settings: QueueSettings) -> Arc<Queue> {
        let mut queues = lock(&self.queues);
        let queue = queues
            .entry(name.to_owned())
            .or_insert_with(|| Queue::new(name.to_owned(), settings));
        Arc::clone(queue)
    }

    /// The URL that names `queue` in requests.
    pub(crate) fn url(&self, queue: &Queue) -> String {
        format!("{}/{ACCOUNT_ID}/{}", self.endpoint, queue.name())
    }

    /// Forgets a queue. Who holds it still has it; nobody else finds it.
    fn delete(&self, name: &str) {
        lock(&self.queues).remove(name);
    }

    /// The queue with this ARN.
    pub(crate) fn by_arn(&self, arn: &str) -> Option<Arc<Queue>> {
        let queue = self.find(arn.rsplit(':').next()?)?;
        (queue.arn() == arn).then_some(queue)
    }

    fn find(&self, name: &str) -> Option<Arc<Queue>> {
        lock(&self.queues).get(name).cloned()
    }

    /// The queue with this URL, whatever host it was reached by.
    fn by_url(&self, url: &str) -> Result<Arc<Queue>, SqsError> {
        let name = url.rsplit('/').next().unwrap_or_default();
        self.find(name).ok_or_else(SqsError::no_such_queue)
    }

    /// The queues whose names begin with `prefix`, in order.
    fn with_prefix(&self, prefix: &str) -> Vec<Arc<Queue>> {
        lock(&self.queues)
            .values()
            .filter(|queue| queue.name().starts_with(prefix))
            .cloned()
            .collect()
    }

    /// Answers one HTTP request.
    pub(crate) async fn handle(
        self: Arc<Self>,
        request: Request<Body>,
    ) -> Result<Response<Body>, Infallible> {
        let (status, query_error, body) = match self.answer(request).await {
            Ok(body) => (StatusCode::OK, None, body),
            Err(error) => (
                StatusCode::BAD_REQUEST,
                Some(error.query_error()),
                error.body(),
            ),
        };
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            "content-type",
            HeaderValue::from_static("application/x-amz-json-1.0"),
        );
        let request_id = HeaderValue::try_from(Uuid::new_v4().to_string());
        // Both are ASCII, which is all that a header value asks for.
        headers.extend(
            request_id
                .ok()
                .map(|id| (http::HeaderName::from_static("x-amzn-requestid"), id)),
        );
        let query_error = query_error.and_then(|error| HeaderValue::try_from(error).ok());
        headers.extend(
            query_error.map(|error| (http::HeaderName::from_static("x-amzn-query-error"), error)),
        );
        Ok(response)
    }

    async fn answer(&self, request: Request<Body>) -> Result<Value, SqsError> {
        let target = request
            .headers()
            .get("x-amz-target")
            .and_then(|target| target.to_str().ok());
        let action = target
            .and_then(|target| target.strip_prefix("AmazonSQS."))
            .map(str::to_owned);
        let Some(action) = action else {
            return Err(SqsError::not_json_protocol());
        };
        let body = read_body(request.into_body())
            .await
            .ok_or_else(SqsError::body_too_large)?;
        self.act(&action, &body).await
    }
}
