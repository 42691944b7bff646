use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot, watch};
use uuid::Uuid;

use crate::lock::lock;
use crate::server::{Handler, read_body, response};

/// What a function made of an event.
pub(super) type Outcome = Result<Bytes, FunctionError>;

/// An error as a runtime reports it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FunctionError {
    pub(super) error_type: String,
    pub(super) error_message: String,
}

/// An event on its way to the function.
#[derive(Debug)]
pub(super) struct Invocation {
    pub(super) event: Bytes,
    pub(super) timeout: Duration,
    pub(super) outcome: oneshot::Sender<Outcome>,
}

/// The Runtime API of one execution environment.
#[derive(Debug)]
pub(super) struct RuntimeApi {
    function_arn: String,
    invocations: AsyncMutex<mpsc::Receiver<Invocation>>,
    /// The event that the function has, by its request id.
    current: Mutex<Option<(String, oneshot::Sender<Outcome>)>>,
    state: watch::Sender<State>,
}

/// Where an execution environment stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// It is starting, or has an event.
    Busy,
    /// It asked for the next event.
    Ready,
    /// It reported that it cannot start.
    InitFailed(String),
}

impl Handler for RuntimeApi {
    async fn handle(self: Arc<Self>, request: Request<Body>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let path: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (request.method(), path.as_slice()) {
            (&Method::GET, ["2018-06-01", "runtime", "invocation", "next"]) => self.next().await,
            (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "response"]) => {
                match read_body(request.into_body()).await {
                    Some(body) => self.settle(id, Ok(body)),
                    None => refusal(
                        StatusCode::PAYLOAD_TOO_LARGE,
                        "RequestEntityTooLarge",
                        "Response too large",
                    ),
                }
            }
            (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "error"]) => {
                let error = function_error(request.into_body()).await;
                self.settle(id, Err(error))
            }
            (&Method::POST, ["2018-06-01", "runtime", "init", "error"]) => {
                let error = function_error(request.into_body()).await;
                let reason = format!("{}: {}", error.error_type, error.error_message);
                self.state.send_replace(State::InitFailed(reason));
                accepted()
            }
            _ => refusal(
                StatusCode::NOT_FOUND,
                "NotFound",
                "Not a path of the Lambda Runtime API 2018-06-01",
            ),
        }
    }
}

impl RuntimeApi {
    /// The API, the way to give it events, and its state.
    pub(super) fn new(
        function_arn: String,
    ) -> (Arc<Self>, mpsc::Sender<Invocation>, watch::Receiver<State>) {
        let (sender, receiver) = mpsc::channel(1);
        let (state, states) = watch::channel(State::Busy);
        let invocations = AsyncMutex::new(receiver);
        (
            Arc::new(Self {
                function_arn,
                invocations,
                current: Mutex::default(),
                state,
            }),
            sender,
            states,
        )
    }

    /// Waits for an event and hands it over.
    async fn next(&self) -> Response<Body> {
        let mut invocations = self.invocations.lock().await;
        self.state.send_replace(State::Ready);
        let Some(Invocation {
            event,
            timeout,
            outcome,
        }) = invocations.recv().await
        else {
            return refusal(
                StatusCode::GONE,
                "Shutdown",
                "The execution environment is shutting down",
            );
        };
        self.state.send_replace(State::Busy);
        let request_id = Uuid::new_v4();
        *lock(&self.current) = Some((request_id.to_string(), outcome));
        let deadline = SystemTime::now() + timeout;
        let deadline_ms = deadline
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        let trace = Uuid::new_v4().simple().to_string();
        let trace_id = format!("Root=1-{}-{};Sampled=0", &trace[..8], &trace[8..]);
        let mut response = Response::new(Body::from(event));
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("lambda-runtime-aws-request-id", request_id.to_string()),
            ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
            (
                "lambda-runtime-invoked-function-arn",
                self.function_arn.clone(),
            ),
            ("lambda-runtime-trace-id", trace_id),
        ];
        for (name, value) in headers {
            match HeaderValue::try_from(value) {
                Ok(value) => drop(response.headers_mut().insert(name, value)),
                Err(_) => {
                    return refusal(
                        StatusCode::INTERNAL_SERVER_ERROR,
                        "InvalidFunctionName",
                        "The function's name does not fit a header",
                    );
                }
            }
        }
        response
    }

    /// Passes on how the invocation with this id ended.
    fn settle(&self, request_id: &str, outcome: Outcome) -> Response<Body> {
        let mut current = lock(&self.current);
        match current.take() {
            Some((id, invoker)) if id == request_id => {
                // An invoker that is gone needs no answer.
                drop(invoker.send(outcome));
                accepted()
            }
            other => {
                *current = other;
                refusal(
                    StatusCode::BAD_REQUEST,
                    "InvalidRequestID",
                    "Invalid request ID",
                )
            }
        }
    }
}

async fn function_error(body: Body) -> FunctionError {
    let body = read_body(body).await.unwrap_or_default();
    serde_json::from_slice(&body).unwrap_or_else(|_| FunctionError {
        error_type: "Unhandled".to_owned(),
        error_message: String::from_utf8_lossy(&body).into_owned(),
    })
}

fn accepted() -> Response<Body> {
    json_response(StatusCode::ACCEPTED, &json!({ "status": "OK" }))
}

fn refusal(status: StatusCode, error_type: &str, message: &str) -> Response<Body> {
    json_response(
        status,
        &json!({ "errorType": error_type, "errorMessage": message }),
    )
}

fn json_response(status: StatusCode, body: &Value) -> Response<Body> {
    response(status, "application/json", body.to_string())
}
