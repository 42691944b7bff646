//! The function beside a stack of its own.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::types::AttributeValue;
use importer::function::Config;
use importer::jobs::{Job, JobStore, NOBODY};
use importer::{Importer, Invocation};
use local::events::{self, ObjectCreated};
use local::sqs::Delivery;
use local::{BUCKET, JOBS_TABLE, Stack, StackOptions, TABLE};
use serde_json::{Value, json};

use crate::support::clients::Services;

/// The function's time in tests that are not about it: Lambda's longest.
pub(crate) const TIMEOUT: Duration = Duration::from_mins(15);

pub(crate) const LAPTOP: &str = "name=S:Laptop price=N:1200 productId=S:P1001 quantity=N:20";
pub(crate) const MOUSE: &str = "name=S:Mouse price=N:20 productId=S:P1002 quantity=N:100";

pub(crate) fn config() -> Config {
    Config::from_env(|_| None).unwrap()
}

/// A new invocation that has so much time.
pub(crate) fn invocation(time: Duration) -> Invocation {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    Invocation {
        request_id: format!("request-{}", COUNT.fetch_add(1, Ordering::Relaxed)),
        deadline: SystemTime::now() + time,
    }
}

/// A file of `samples/`.
pub(crate) fn sample(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../samples/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// An event of `samples/events/`.
pub(crate) fn sample_event(name: &str) -> Value {
    serde_json::from_slice(&sample(&format!("events/{name}"))).unwrap()
}

/// What S3 sends about new objects in the stack's bucket.
pub(crate) fn notification(keys: &[&str]) -> Value {
    let objects: Vec<_> = keys
        .iter()
        .map(|key| ObjectCreated::put(BUCKET, key, 1))
        .collect();
    events::s3_notification(&objects)
}

/// An event of the queue with messages of these bodies, and the messages' ids.
pub(crate) fn queued(bodies: &[Value]) -> (Value, Vec<String>) {
    let messages: Vec<_> = bodies
        .iter()
        .map(|body| Delivery::first(body.to_string()))
        .collect();
    let ids = messages
        .iter()
        .map(|message| message.message_id.clone())
        .collect();
    (
        events::sqs_event(
            "arn:aws:sqs:us-east-1:000000000000:intake-imports",
            &messages,
        ),
        ids,
    )
}

/// The answer that hands these messages back to the queue.
pub(crate) fn handed_back(ids: &[&String]) -> Value {
    let failures: Vec<_> = ids
        .iter()
        .map(|id| json!({ "itemIdentifier": id }))
        .collect();
    json!({ "batchItemFailures": failures })
}

/// The stack and its clients.
pub(crate) struct Fixture {
    pub(crate) stack: Stack,
    pub(crate) services: Services,
    pub(crate) s3: aws_sdk_s3::Client,
    dynamodb: aws_sdk_dynamodb::Client,
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        let stack = Stack::start(StackOptions::default()).await.unwrap();
        let services = Services::of(&stack);
        let sdk = services.sdk_config();
        Self {
            stack,
            s3: aws_sdk_s3::Client::new(&sdk),
            dynamodb: aws_sdk_dynamodb::Client::new(&sdk),
            services,
        }
    }

    /// The function as it is deployed: it can go on by itself, and tells a topic.
    pub(crate) fn deployed(&self) -> Config {
        Config {
            queue_url: Some(self.stack.endpoints().queue_url.clone()),
            topic_arn: Some(self.stack.endpoints().topic_arn.clone()),
            ..config()
        }
    }

    /// The table of jobs.
    pub(crate) fn jobs(&self) -> JobStore {
        JobStore::new(self.dynamodb.clone(), JOBS_TABLE.to_owned())
    }

    /// Messages of the queue that wait for their time.
    pub(crate) fn delayed(&self) -> Vec<Value> {
        let bodies = self.stack.delayed_imports();
        let bodies = bodies.iter().map(|body| serde_json::from_str(body));
        bodies.collect::<Result<_, _>>().unwrap()
    }

    /// The items of the table of jobs.
    pub(crate) async fn saved(&self) -> Vec<HashMap<String, AttributeValue>> {
        let pages = self.dynamodb.scan().table_name(JOBS_TABLE).into_paginator();
        pages
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await
            .unwrap()
    }

    /// The one job that there is.
    pub(crate) async fn job(&self) -> Job {
        let mut jobs = self.jobs().newest(NOBODY, 10).await.unwrap();
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        jobs.remove(0)
    }

    pub(crate) fn importer(&self, config: Config) -> Importer {
        Importer::new(config, self.services.sdk_config())
    }

    /// Hands an event to the function as it is deployed. An error is given as Lambda shows it.
    pub(crate) async fn handle(&self, event: Value) -> Result<Value, String> {
        let importer = self.importer(config());
        let handled = importer.handle(event, invocation(TIMEOUT));
        handled.await.map_err(|error| error.to_string())
    }

    pub(crate) async fn put(&self, key: &str, body: impl Into<Vec<u8>>) {
        self.put_with(key, body, &[]).await;
    }

    pub(crate) async fn put_with(
        &self,
        key: &str,
        body: impl Into<Vec<u8>>,
        metadata: &[(&str, &str)],
    ) {
        let metadata: HashMap<String, String> = metadata
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let put = self
            .s3
            .put_object()
            .bucket(BUCKET)
            .key(key)
            .set_metadata(Some(metadata));
        put.body(body.into().into()).send().await.unwrap();
    }

    pub(crate) async fn get(&self, key: &str) -> Vec<u8> {
        let object = self
            .s3
            .get_object()
            .bucket(BUCKET)
            .key(key)
            .send()
            .await
            .unwrap();
        object.body.collect().await.unwrap().to_vec()
    }

    /// Keys of the objects under the report prefix.
    pub(crate) async fn reports(&self) -> Vec<String> {
        let list = self
            .s3
            .list_objects_v2()
            .bucket(BUCKET)
            .prefix("reports/")
            .send()
            .await
            .unwrap();
        list.contents()
            .iter()
            .map(|object| object.key().unwrap().to_owned())
            .collect()
    }

    /// The one report whose key ends like this.
    pub(crate) async fn report(&self, key_end: &str) -> Vec<u8> {
        let mut keys = self.reports().await;
        keys.retain(|key| key.ends_with(key_end));
        let [key] = &keys[..] else {
            panic!("not one report: {keys:?}");
        };
        self.get(key).await
    }

    /// The summary of the one import that there was.
    pub(crate) async fn summary(&self) -> Value {
        serde_json::from_slice(&self.report("/summary.json").await).unwrap()
    }

    /// The table's items, as [`shown`] and in the order of their keys.
    pub(crate) async fn items(&self) -> Vec<String> {
        let pages = self
            .dynamodb
            .scan()
            .table_name(TABLE)
            .into_paginator()
            .items()
            .send();
        let items = pages.collect::<Result<Vec<_>, _>>().await.unwrap();
        let mut shown: Vec<_> = items.iter().map(shown).collect();
        shown.sort();
        shown
    }
}

/// An item of scalars on one line, such as `price=N:20 productId=S:P1`.
fn shown(item: &HashMap<String, AttributeValue>) -> String {
    let sorted: BTreeMap<_, _> = item.iter().collect();
    let attributes = sorted.into_iter().map(|(name, value)| match value {
        AttributeValue::S(text) => format!("{name}=S:{text}"),
        AttributeValue::N(digits) => format!("{name}=N:{digits}"),
        AttributeValue::L(_) => format!("{name}=L"),
        other => panic!("{name} is {other:?}"),
    });
    attributes.collect::<Vec<_>>().join(" ")
}
