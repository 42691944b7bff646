use axum::body::Body;
use http::{Request, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::admission::Capacity;
use super::batch::throttled;
use super::plan::CapacityPlan;
use crate::deployment::{PARTITION_KEY, TABLE};
use crate::error::LocalError;
use crate::server::{Server, bind, header, read_body};
use crate::services::dynamodb::{error_response, json_response};

/// A DynamoDB endpoint with the table [`TABLE`], which keeps nothing and takes what a [`CapacityPlan`] says.
///
/// It answers `BatchWriteItem` and `DescribeTable`. Dropping it stops it.
#[derive(Debug)]
pub struct CapacitySink {
    url: String,
    capacity: Capacity,
    server: Server,
}

impl CapacitySink {
    /// Starts one on a free port.
    ///
    /// # Errors
    ///
    /// No port can be bound.
    pub async fn start(plan: &CapacityPlan) -> Result<Self, LocalError> {
        let bound = bind("DynamoDB", 0).await?;
        let capacity = Capacity::new(plan);
        let answering = capacity.clone();
        let service = tower::service_fn(move |request| answer(answering.clone(), request));
        Ok(Self {
            url: bound.url,
            capacity,
            server: Server::start(bound.listener, service),
        })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The capacity at work.
    pub fn capacity(&self) -> &Capacity {
        &self.capacity
    }

    /// Stops and waits until it has.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

async fn answer(
    capacity: Capacity,
    request: Request<Body>,
) -> Result<Response<Body>, std::convert::Infallible> {
    let (head, body) = request.into_parts();
    let body = read_body(body).await.unwrap_or_default();
    let mut request: Value = serde_json::from_slice(&body).unwrap_or_default();
    Ok(match header(&head.headers, "x-amz-target") {
        Some("DynamoDB_20120810.BatchWriteItem") => {
            let items = request["RequestItems"].as_object_mut();
            batch_write(&capacity, items.unwrap_or(&mut Map::new())).await
        }
        Some("DynamoDB_20120810.DescribeTable") => json_response(
            StatusCode::OK,
            json!({ "Table": {
                "TableName": TABLE,
                "TableStatus": "ACTIVE",
                "KeySchema": [{ "AttributeName": PARTITION_KEY, "KeyType": "HASH" }],
                "AttributeDefinitions": [{ "AttributeName": PARTITION_KEY, "AttributeType": "S" }],
            } })
            .to_string(),
        ),
        _ => error_response(
            StatusCode::BAD_REQUEST,
            "UnknownOperationException",
            "this table takes BatchWriteItem only",
        ),
    })
}

async fn batch_write(capacity: &Capacity, items: &mut Map<String, Value>) -> Response<Body> {
    capacity.delay_one_way().await;
    let admission = capacity.admit(items, PARTITION_KEY);
    capacity.delay_one_way().await;
    if let Some(exception) = admission.exception {
        return throttled(exception);
    }
    let answer = json!({
        "UnprocessedItems": admission.unprocessed,
        "ConsumedCapacity": [{ "TableName": TABLE, "CapacityUnits": f64::from(admission.consumed_wcu) }],
    });
    json_response(StatusCode::OK, answer.to_string())
}
