//! Models of the services, and the wire to them that breaks.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::expressions::{Expressions, Item};

/// How long a client waits for an answer.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// How much later a request is done at the most that the client has given up.
pub(super) const HELD_MAX: Duration = Duration::from_secs(3);

/// An object of S3.
#[derive(Clone)]
pub(super) struct Object {
    pub(super) version: usize,
    pub(super) body: String,
    pub(super) etag: String,
    pub(super) last_modified: String,
}

/// A row as it was put: the version of the file that it is of, and its number there.
pub(super) type Row = (usize, usize);

/// All services.
#[derive(Default)]
pub(super) struct World {
    pub(super) object: Option<Object>,
    pub(super) is_versioned: bool,
    pub(super) jobs: BTreeMap<(String, String), Item>,
    pub(super) rows: BTreeMap<String, Row>,
    /// Every row that was put, in their order.
    pub(super) puts: Vec<(String, Row)>,
    /// Messages that the function has sent: when they can be received, and their bodies.
    pub(super) sent: Vec<(Instant, Value)>,
    /// What was published: ids and statuses.
    pub(super) published: Vec<(String, String)>,
    /// Whether an answer to Publish was lost, or somebody who published was killed.
    pub(super) is_publishing_disturbed: bool,
    /// Begins of jobs in the order of their fences: the version that each imports.
    pub(super) begun: Vec<String>,
    /// Calls of each operation.
    pub(super) calls: BTreeMap<String, u32>,
}

/// One invocation's way to the services.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) world: Arc<Mutex<World>>,
    pub(super) fate: Arc<Mutex<Fate>>,
    pub(super) death: Arc<Death>,
}

/// That an invocation was killed.
#[derive(Default, Debug)]
pub(super) struct Death {
    is: AtomicBool,
    pub(super) happened: Notify,
}

/// What happens to the calls of an invocation.
pub(super) struct Fate {
    pub(super) random: fastrand::Rng,
    /// How many calls until it is killed.
    pub(super) calls_left: Option<u32>,
    /// When its network breaks, and for how long.
    pub(super) broken: Option<(Instant, Duration)>,
    /// Of a thousand calls, how many are disturbed.
    pub(super) disturbed_permille: u32,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

/// What happens to one call.
enum CallFate {
    Done(Duration),
    LostRequest(Duration),
    LostAnswer(Duration),
    /// The client gives up, and the service does it later.
    Held(Duration),
    Throttled,
    Killed {
        is_done: bool,
    },
}

impl Wire {
    fn fate(&self) -> CallFate {
        let mut fate = self.fate.lock().unwrap();
        let Fate { random, .. } = &mut *fate;
        let latency = Duration::from_millis(random.u64(1..200));
        let roll = random.u32(0..1000);
        let kind = random.u32(0..5);
        let is_done = random.bool();
        let held = Duration::from_millis(random.u64(0..HELD_MAX.as_millis() as u64));
        if let Some((from, time)) = fate.broken {
            let now = Instant::now();
            if now >= from && now < from + time {
                return CallFate::LostRequest(READ_TIMEOUT.min(from + time - now));
            }
        }
        if let Some(left) = &mut fate.calls_left {
            if *left == 0 {
                return CallFate::Killed { is_done };
            }
            *left -= 1;
        }
        if roll >= fate.disturbed_permille {
            return CallFate::Done(latency);
        }
        match kind {
            0 => CallFate::LostRequest(latency),
            1 => CallFate::LostAnswer(latency),
            2 => CallFate::Held(held),
            3 => CallFate::Throttled,
            _ => CallFate::Done(READ_TIMEOUT.saturating_sub(latency)),
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    async fn answer(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        if self.death.is.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        let call = Call::of(&request);
        let name = if call.operation.is_empty() {
            call.method.clone()
        } else {
            call.operation.clone()
        };
        *self.world().calls.entry(name).or_default() += 1;
        let fate = self.fate();
        let is_publishing = call.is_about("Publish") || call.notes_that_it_is_published();
        if is_publishing && !matches!(fate, CallFate::Done(_)) {
            self.world().is_publishing_disturbed = true;
        }
        let timed_out = || ConnectorError::timeout("no answer in time".into());
        match fate {
            CallFate::Done(latency) => {
                sleep(latency).await;
                let answer = self.world().act(&call);
                Ok(answer)
            }
            CallFate::LostRequest(time) => {
                sleep(time).await;
                Err(timed_out())
            }
            CallFate::LostAnswer(time) => {
                sleep(time).await;
                self.world().act(&call);
                Err(timed_out())
            }
            CallFate::Held(time) => {
                let world = Arc::clone(&self.world);
                tokio::spawn(async move {
                    sleep(READ_TIMEOUT + time).await;
                    world.lock().unwrap().act(&call);
                });
                sleep(READ_TIMEOUT).await;
                Err(timed_out())
            }
            // S3 has another status for it than the others.
            CallFate::Throttled if call.operation.is_empty() => Ok(refused(503, "SlowDown")),
            CallFate::Throttled => Ok(refused(400, "ThrottlingException")),
            CallFate::Killed { is_done } => {
                if is_done {
                    self.world().act(&call);
                }
                self.world().is_publishing_disturbed = true;
                self.death.is.store(true, Ordering::Relaxed);
                self.death.happened.notify_one();
                std::future::pending().await
            }
        }
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().answer(request))
    }
}

/// A request.
struct Call {
    method: String,
    operation: String,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Call {
    fn of(request: &HttpRequest) -> Self {
        let headers: HashMap<_, _> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let target = headers.get("x-amz-target").cloned().unwrap_or_default();
        Self {
            method: request.method().to_owned(),
            operation: target.rsplit('.').next().unwrap_or_default().to_owned(),
            headers,
            body: request.body().bytes().unwrap_or_default().to_vec(),
        }
    }

    fn notes_that_it_is_published(&self) -> bool {
        let notified = b"#notified";
        self.is_about("UpdateItem")
            && self
                .body
                .windows(notified.len())
                .any(|part| part == notified)
    }

    fn is_about(&self, operation: &str) -> bool {
        self.operation == operation
            || self
                .body
                .starts_with(format!("Action={operation}").as_bytes())
    }
}

fn response(
    status: u16,
    headers: &[(&'static str, String)],
    body: impl Into<SdkBody>,
) -> HttpResponse {
    let mut response = HttpResponse::new(status.try_into().unwrap(), body.into());
    for (name, value) in headers {
        response.headers_mut().insert(*name, value.clone());
    }
    response
}

fn refused(status: u16, code: &str) -> HttpResponse {
    response(
        status,
        &[],
        json!({ "__type": code, "message": "as the model says" }).to_string(),
    )
}

fn answered(body: &Value) -> HttpResponse {
    response(200, &[], body.to_string())
}

impl World {
    fn act(&mut self, call: &Call) -> HttpResponse {
        if call.is_about("Publish") {
            return self.publish(call);
        }
        if call.operation.is_empty() {
            return self.s3(call);
        }
        let request: Value = serde_json::from_slice(&call.body).unwrap();
        match call.operation.as_str() {
            "SendMessage" => self.send(&request),
            "DescribeTable" => answered(&json!({ "Table": {
                "TableId": "table-id",
                "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
                "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
            } })),
            "GetItem" => {
                let item = self.jobs.get(&key(&request));
                answered(&item.map_or(json!({}), |item| json!({ "Item": item })))
            }
            "UpdateItem" => self.update(&request),
            "TransactWriteItems" => self.transact(&request),
            "BatchWriteItem" => self.write(&request),
            other => panic!("{other}"),
        }
    }

    fn s3(&mut self, call: &Call) -> HttpResponse {
        if call.method == "PUT" {
            return response(200, &[("etag", "\"report\"".to_owned())], SdkBody::empty());
        }
        let Some(object) = &self.object else {
            return response(404, &[], SdkBody::empty());
        };
        if call
            .headers
            .get("if-match")
            .is_some_and(|etag| *etag != object.etag)
        {
            let body = "<Error><Code>PreconditionFailed</Code><Message>m</Message></Error>";
            return response(412, &[], body);
        }
        let mut headers = vec![
            ("etag", object.etag.clone()),
            ("last-modified", object.last_modified.clone()),
            ("content-length", object.body.len().to_string()),
        ];
        if self.is_versioned {
            headers.push(("x-amz-version-id", format!("version-{}", object.version)));
        }
        let body = if call.method == "HEAD" {
            String::new()
        } else {
            object.body.clone()
        };
        response(200, &headers, body)
    }

    fn publish(&mut self, call: &Call) -> HttpResponse {
        let form = String::from_utf8(call.body.clone()).unwrap();
        let message = form
            .split('&')
            .find_map(|part| part.strip_prefix("Message="))
            .unwrap();
        let message = message.replace('+', " ");
        let message = percent_decode_str(&message).decode_utf8().unwrap();
        let message: Value = serde_json::from_str(&message).unwrap();
        let machine: Value = serde_json::from_str(message["sqs"].as_str().unwrap()).unwrap();
        let text = |name: &str| machine[name].as_str().unwrap().to_owned();
        self.published.push((text("id"), text("status")));
        let body = "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>";
        response(200, &[], body)
    }

    fn send(&mut self, request: &Value) -> HttpResponse {
        let delay = Duration::from_secs(request["DelaySeconds"].as_u64().unwrap_or_default());
        let body = request["MessageBody"].as_str().unwrap();
        self.sent
            .push((Instant::now() + delay, serde_json::from_str(body).unwrap()));
        answered(&json!({ "MessageId": "m" }))
    }

    fn update(&mut self, request: &Value) -> HttpResponse {
        let key = key(request);
        let expressions = Expressions::of(request);
        let before = self.jobs.get(&key);
        if !expressions.holds(request["ConditionExpression"].as_str(), before) {
            let mut refusal =
                json!({ "__type": "ConditionalCheckFailedException", "message": "m" });
            if let Some(item) = before {
                refusal["Item"] = json!(item);
            }
            return response(400, &[], refusal.to_string());
        }
        let item = self
            .jobs
            .entry(key.clone())
            .or_insert_with(|| new_item(&key));
        expressions.update(request["UpdateExpression"].as_str().unwrap(), item);
        answered(&json!({ "Attributes": item }))
    }

    fn transact(&mut self, request: &Value) -> HttpResponse {
        let updates: Vec<&Value> = request["TransactItems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| &item["Update"])
            .collect();
        let holds = |update: &&Value| {
            let condition = update["ConditionExpression"].as_str();
            Expressions::of(update).holds(condition, self.jobs.get(&key(update)))
        };
        let held: Vec<bool> = updates.iter().map(holds).collect();
        if held.contains(&false) {
            let reasons = held.iter().map(|held| {
                let code = if *held {
                    "None"
                } else {
                    "ConditionalCheckFailed"
                };
                json!({ "Code": code })
            });
            let refusal = json!({
                "__type": "TransactionCanceledException",
                "message": "m",
                "CancellationReasons": reasons.collect::<Vec<_>>(),
            });
            return response(400, &[], refusal.to_string());
        }
        for update in updates {
            let key = key(update);
            let item = self
                .jobs
                .entry(key.clone())
                .or_insert_with(|| new_item(&key));
            Expressions::of(update).update(update["UpdateExpression"].as_str().unwrap(), item);
            if item.get("status") == Some(&json!({ "S": "RUNNING" })) {
                self.begun
                    .push(item["version"]["S"].as_str().unwrap().to_owned());
            }
        }
        answered(&json!({}))
    }

    fn write(&mut self, request: &Value) -> HttpResponse {
        let tables = request["RequestItems"].as_object().unwrap();
        for put in tables
            .values()
            .flat_map(|requests| requests.as_array().unwrap())
        {
            let item = &put["PutRequest"]["Item"];
            let number = |name: &str| item[name]["N"].as_str().unwrap().parse().unwrap();
            let id = item["id"]["S"].as_str().unwrap().to_owned();
            let row = (number("version"), number("row"));
            self.rows.insert(id.clone(), row);
            self.puts.push((id, row));
        }
        answered(&json!({ "UnprocessedItems": {} }))
    }
}

fn key(request: &Value) -> (String, String) {
    let part = |name: &str| request["Key"][name]["S"].as_str().unwrap().to_owned();
    (part("owner"), part("job"))
}

fn new_item((owner, job): &(String, String)) -> Item {
    Item::from([
        ("owner".to_owned(), json!({ "S": owner })),
        ("job".to_owned(), json!({ "S": job })),
    ])
}
