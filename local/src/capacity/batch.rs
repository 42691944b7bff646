use axum::body::Body;
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::{Map, Value};

use super::admission::Capacity;
use crate::deployment::PARTITION_KEY;
use crate::server::BoxError;
use crate::services::dynamodb::{Proxy, add_unprocessed, error_response, nothing_written};

impl Capacity {
    /// Sends on to `table` what is admitted of a batch, and adds the rest to the answer.
    pub(crate) async fn write_batch(
        &self,
        table: &Proxy,
        head: Parts,
        body: &[u8],
    ) -> Result<Response<Body>, BoxError> {
        // What is no batch is for DynamoDB to refuse.
        let mut request: Value = serde_json::from_slice(body).unwrap_or_default();
        self.delay_one_way().await;
        let mut none = Map::new();
        let items = request.get_mut("RequestItems");
        let items = items.and_then(Value::as_object_mut).unwrap_or(&mut none);
        let admission = self.admit(items, PARTITION_KEY);
        let answer = match admission.exception {
            Some(exception) => Ok(throttled(exception)),
            None => write(table, head, &request, admission.unprocessed).await,
        };
        self.delay_one_way().await;
        answer
    }
}

async fn write(
    table: &Proxy,
    head: Parts,
    rest: &Value,
    unprocessed: Map<String, Value>,
) -> Result<Response<Body>, BoxError> {
    if rest["RequestItems"].as_object().is_some_and(Map::is_empty) && !unprocessed.is_empty() {
        return Ok(nothing_written(&unprocessed));
    }
    let answer = table.forward(head, rest.to_string().into()).await?;
    Ok(add_unprocessed(answer, unprocessed).await?)
}

/// The answer to a request of which nothing was written.
pub(super) fn throttled(exception: &'static str) -> Response<Body> {
    error_response(
        StatusCode::BAD_REQUEST,
        exception,
        "The level of configured throughput for the table or a partition was exceeded (capacity model)",
    )
}
