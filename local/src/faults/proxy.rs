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
    lock::lock,
    server::{Server, read_body},
};

/// The operations that change items.
const WRITES: [&str; 6] = [
    "BatchWriteItem",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "TransactWriteItems",
    "BatchExecuteStatement",
];

/// Serves DynamoDB at `upstream` with the faults of `plan`.
pub(crate) fn start(listener: TcpListener, upstream: String, plan: FaultPlan) -> Faults {
    let injector = Arc::new(Mutex::new(Injector::new(plan)));
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let proxy = Proxy {
        upstream: upstream.clone(),
        injector: Arc::clone(&injector),
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
            None => self.forward(head, body).await.map(respond),
            Some(Fault::DropRequest) => Err(Dropped),
            Some(Fault::DropResponse) => {
                self.forward(head, body).await?;
                Err(Dropped)
            }
            Some(Fault::ServerError) => Ok(error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalServerError",
            )),
            Some(Fault::Throttle(exception)) => Ok(error(StatusCode::BAD_REQUEST, exception)),
            Some(Fault::Unprocessed(unprocessed)) => {
                self.write_some(head, parsed.unwrap_or_default(), unprocessed)
                    .await
            }
        }
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

fn error(status: StatusCode, exception: &str) -> Response<Body> {
    let namespace = match exception {
        "ThrottlingException" => "com.amazon.coral.availability",
        _ => "com.amazonaws.dynamodb.v20120810",
    };
    let body = json!({ "__type": format!("{namespace}#{exception}"), "message": "Injected by the local stack" });
    json_response(status, body.to_string())
}

fn json_response(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("application/x-amz-json-1.0");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}
