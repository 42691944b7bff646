use std::{
    fmt,
    sync::{Arc, Mutex},
};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use super::{Fault, FaultPlan, Faults, Injector};
use crate::{
    capacity::{Capacity, PARTITION_KEY, throttled},
    lock::lock,
    server::{Server, read_body},
};

/// What the errors say that a fault plan makes.
const INJECTED: &str = "Injected by the local stack";

/// The operations that change items.
const WRITES: [&str; 6] = [
    "BatchWriteItem",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "TransactWriteItems",
    "BatchExecuteStatement",
];

/// Serves DynamoDB at `upstream` with the faults of `plan`, and as much of it as `capacity` admits.
pub(crate) fn start(
    listener: TcpListener,
    upstream: String,
    plan: FaultPlan,
    capacity: Option<Capacity>,
) -> Faults {
    let injector = Arc::new(Mutex::new(Injector::new(plan)));
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let proxy = Proxy {
        upstream: upstream.clone(),
        injector: Arc::clone(&injector),
        capacity,
        client: Client::builder(TokioExecutor::new()).build(connector),
    };
    let service = tower::service_fn(move |request| proxy.clone().answer(request));
    Faults {
        upstream,
        injector,
        server: Server::start(listener, service),
    }
}

/// The connection is to be closed without an answer.
#[derive(Debug)]
struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an injected fault closes this connection")
    }
}

impl std::error::Error for Dropped {}

#[derive(Debug, Clone)]
struct Proxy {
    upstream: String,
    injector: Arc<Mutex<Injector>>,
    capacity: Option<Capacity>,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Proxy {
    async fn answer(self, request: Request<Body>) -> Result<Response<Body>, Dropped> {
        let (head, body) = request.into_parts();
        let Some(body) = read_body(body).await else {
            return Err(Dropped);
        };
        let target = head
            .headers
            .get("x-amz-target")
            .and_then(|target| target.to_str().ok());
        let operation = target
            .and_then(|target| target.strip_prefix("DynamoDB_20120810."))
            .unwrap_or_default();
        if !WRITES.contains(&operation) {
            return self.forward(head, body).await.map(respond);
        }
        let mut parsed: Option<Value> = (operation == "BatchWriteItem")
            .then(|| serde_json::from_slice(&body).ok())
            .flatten();
        let items = parsed
            .as_mut()
            .and_then(|request| request["RequestItems"].as_object_mut());
        let fault = lock(&self.injector).draw(items);
        match fault {
            None => match &self.capacity {
                Some(capacity) if operation == "BatchWriteItem" => {
                    self.admit(capacity, head, parsed.unwrap_or_default()).await
                }
                _ => self.forward(head, body).await.map(respond),
            },
            Some(Fault::DropRequest) => Err(Dropped),
            Some(Fault::DropResponse) => {
                self.forward(head, body).await?;
                Err(Dropped)
            }
            Some(Fault::ServerError) => Ok(error_response(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalServerError",
                INJECTED,
            )),
            Some(Fault::Throttle(exception)) => {
                Ok(error_response(StatusCode::BAD_REQUEST, exception, INJECTED))
            }
            Some(Fault::Unprocessed(unprocessed)) => {
                self.write_some(head, parsed.unwrap_or_default(), unprocessed)
                    .await
            }
        }
    }

    /// Does what the table's capacity admits of a batch.
    async fn admit(
        &self,
        capacity: &Capacity,
        head: Parts,
        mut request: Value,
    ) -> Result<Response<Body>, Dropped> {
        capacity.travel().await;
        let mut none = Map::new();
        let items = request["RequestItems"].as_object_mut();
        let admission = capacity.admit(items.unwrap_or(&mut none), PARTITION_KEY);
        let answer = match admission.exception {
            Some(exception) => Ok(throttled(exception)),
            None => self.write_some(head, request, admission.unprocessed).await,
        };
        capacity.travel().await;
        answer
    }

    /// Does what is left of a batch and adds `unprocessed` to the answer.
    async fn write_some(
        &self,
        head: Parts,
        rest: Value,
        unprocessed: Map<String, Value>,
    ) -> Result<Response<Body>, Dropped> {
        if rest["RequestItems"].as_object().is_none_or(Map::is_empty) {
            let answer = json!({ "UnprocessedItems": unprocessed }).to_string();
            return Ok(json_response(StatusCode::OK, answer));
        }
        let mut answer = self.forward(head, rest.to_string().into()).await?;
        // An error is the answer to the whole batch: nothing of it was written.
        if answer.status().is_success()
            && let Ok(mut parsed) = serde_json::from_slice::<Value>(answer.body())
        {
            parsed["UnprocessedItems"] = unprocessed.into();
            *answer.body_mut() = parsed.to_string().into();
            // Both are of the body that was.
            answer.headers_mut().remove("x-amz-crc32");
            answer.headers_mut().remove(header::CONTENT_LENGTH);
        }
        Ok(respond(answer))
    }

    async fn forward(&self, head: Parts, body: Bytes) -> Result<Response<Bytes>, Dropped> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = head.method;
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = format!("{}{path}", self.upstream)
            .parse()
            .map_err(|_| Dropped)?;
        *request.headers_mut() = end_to_end(head.headers);
        let (head, body) = self
            .client
            .request(request)
            .await
            .map_err(|_| Dropped)?
            .into_parts();
        let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
        Ok(Response::from_parts(head, body))
    }
}

/// The headers that are not about the one connection or the body's length, which may change.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    for name in [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::CONTENT_LENGTH,
    ] {
        headers.remove(name);
    }
    headers
}

fn respond(answer: Response<Bytes>) -> Response<Body> {
    answer.map(Body::from)
}

/// An answer as DynamoDB gives it to a request that failed.
pub(crate) fn error_response(status: StatusCode, exception: &str, message: &str) -> Response<Body> {
    let namespace = match exception {
        "ThrottlingException" => "com.amazon.coral.availability",
        _ => "com.amazonaws.dynamodb.v20120810",
    };
    let body = json!({ "__type": format!("{namespace}#{exception}"), "message": message });
    json_response(status, body.to_string())
}

pub(crate) fn json_response(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("application/x-amz-json-1.0");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}
