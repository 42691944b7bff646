//! A tiny HTTP server in the place of SNS, S3 and the Lambda Runtime API, on a free port of loopback.

#![allow(clippy::unwrap_used, reason = "test support: a panic is the report")]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post, put};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A request to publish, as it came over the wire.
#[derive(Debug)]
pub(crate) struct Published {
    /// Content type and signature.
    pub(crate) headers: HeaderMap,
    /// The form's fields.
    pub(crate) form: HashMap<String, String>,
}

struct Shared {
    /// Answers of SNS: status and body; empty means success.
    answers: Mutex<VecDeque<(u16, String)>>,
    published: mpsc::UnboundedSender<Published>,
    /// Events for the function; when there are none, it waits for ever.
    events: Mutex<VecDeque<String>>,
    responses: mpsc::UnboundedSender<String>,
    objects: Objects,
}

/// Objects by bucket and key.
pub(crate) type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// The server; it stops with the test's runtime.
pub(crate) struct Fake {
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
    /// What SNS was sent.
    pub(crate) published: mpsc::UnboundedReceiver<Published>,
    /// What the function answered to its invocations.
    pub(crate) responses: mpsc::UnboundedReceiver<String>,
    /// What was put into buckets.
    pub(crate) objects: Objects,
}

/// Starts a server that gives SNS' `answers` in turn, then succeeds, and hands `events` to a function.
///
/// An answer is a status and an error code; of status 200, the entries of a batch that fail, as `0:Throttled 1:NotFound`.
pub(crate) async fn start(answers: &[(u16, &str)], events: &[&str]) -> Fake {
    let (published_sender, published) = mpsc::unbounded_channel();
    let (response_sender, responses) = mpsc::unbounded_channel();
    let objects = Objects::default();
    let shared = Arc::new(Shared {
        objects: Arc::clone(&objects),
        answers: Mutex::new(
            answers
                .iter()
                .map(|(status, code)| (*status, (*code).to_owned()))
                .collect(),
        ),
        published: published_sender,
        events: Mutex::new(events.iter().map(|event| (*event).to_owned()).collect()),
        responses: response_sender,
    });
    let router = Router::new()
        .route("/", post(sns))
        .route("/{bucket}/{*key}", put(object))
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route(
            "/2018-06-01/runtime/invocation/{id}/response",
            post(response),
        )
        .route("/2018-06-01/runtime/invocation/{id}/error", post(response))
        .with_state(shared);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    Fake {
        address,
        published,
        responses,
        objects,
    }
}

async fn object(
    State(shared): State<Arc<Shared>>,
    Path((bucket, key)): Path<(String, String)>,
    body: Bytes,
) -> StatusCode {
    let mut objects = shared.objects.lock().unwrap();
    objects.insert(format!("{bucket}/{key}"), body.to_vec());
    StatusCode::OK
}

async fn sns(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let form: HashMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    let entries = (1..)
        .map(|member| {
            form.get(&format!("PublishBatchRequestEntries.member.{member}.Id"))
                .cloned()
        })
        .map_while(|id| id)
        .collect::<Vec<String>>();
    shared.published.send(Published { headers, form }).unwrap();
    let namespace = "http://sns.amazonaws.com/doc/2010-03-31/";
    let metadata = "<ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata>";
    let answer = shared.answers.lock().unwrap().pop_front();
    match answer {
        Some((status @ 300.., code)) => (
            StatusCode::from_u16(status).unwrap(),
            format!(
                r#"<ErrorResponse xmlns="{namespace}"><Error><Type>Sender</Type><Code>{code}</Code><Message>told so</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"#
            ),
        ),
        _ if entries.is_empty() => (
            StatusCode::OK,
            format!(
                r#"<PublishResponse xmlns="{namespace}"><PublishResult><MessageId>m-1</MessageId></PublishResult>{metadata}</PublishResponse>"#
            ),
        ),
        other => {
            let failing = other.map(|(_, failing)| failing).unwrap_or_default();
            let failing: HashMap<&str, &str> = failing
                .split_whitespace()
                .map(|failure| failure.split_once(':').unwrap())
                .collect();
            let (mut successful, mut failed) = (String::new(), String::new());
            for id in &entries {
                match failing.get(id.as_str()) {
                    Some(&"silent") => {}
                    Some(code) => {
                        let sender = *code != "InternalError";
                        write!(
                            failed,
                            "<member><Id>{id}</Id><Code>{code}</Code><Message>told so</Message><SenderFault>{sender}</SenderFault></member>"
                        )
                        .unwrap();
                    }
                    None => {
                        write!(
                            successful,
                            "<member><Id>{id}</Id><MessageId>m-{id}</MessageId></member>"
                        )
                        .unwrap();
                    }
                }
            }
            (
                StatusCode::OK,
                format!(
                    r#"<PublishBatchResponse xmlns="{namespace}"><PublishBatchResult><Successful>{successful}</Successful><Failed>{failed}</Failed></PublishBatchResult>{metadata}</PublishBatchResponse>"#
                ),
            )
        }
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> (HeaderMap, String) {
    let event = shared.events.lock().unwrap().pop_front();
    let Some(event) = event else {
        return std::future::pending().await;
    };
    let deadline = std::time::SystemTime::now() + std::time::Duration::from_mins(10);
    let deadline_ms = deadline
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let mut headers = HeaderMap::new();
    headers.insert(
        "lambda-runtime-aws-request-id",
        "invocation-1".parse().unwrap(),
    );
    headers.insert(
        "lambda-runtime-deadline-ms",
        deadline_ms.to_string().parse().unwrap(),
    );
    headers.insert(
        "lambda-runtime-trace-id",
        "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700".parse().unwrap(),
    );
    let arn = "arn:aws:lambda:eu-central-1:123456789012:function:NotifyInventoryUpdate";
    headers.insert("lambda-runtime-invoked-function-arn", arn.parse().unwrap());
    (headers, event)
}

async fn response(State(shared): State<Arc<Shared>>, body: String) -> StatusCode {
    shared.responses.send(body).unwrap();
    StatusCode::ACCEPTED
}
