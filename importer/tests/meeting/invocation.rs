//! An invocation of the function whose pipeline puts row after row.

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use futures::FutureExt as _;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::aws::{HELD_MAX, READ_TIMEOUT, Wire};
use crate::aws::service_error;
use crate::error::{Error, StopReason};
use crate::function::context::Simulated;
use crate::function::{Config, Context, Invocation};
use crate::handler::Importer;
use crate::import::summary::{Failure, Status, Summary};
use crate::import::{Checkpoint, Ended, Journal};
use crate::jobs::JobJournal;

/// How long the pipeline tries to put a row.
const RETRIES_MAX: Duration = Duration::from_mins(2);

tokio::task_local! {
    /// The way to the services of the invocation that calls.
    pub(super) static WIRE: Wire;
}

/// Calls of whichever invocation it is.
#[derive(Debug)]
struct AnyWire;

impl HttpConnector for AnyWire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        WIRE.with(|wire| wire.call(request))
    }
}

/// Hands an event to the function, whose calls go by `wire`.
pub(super) async fn handle(
    function: Rc<Importer>,
    wire: Wire,
    payload: Value,
    invocation: Invocation,
) -> Result<Value, lambda_runtime::Error> {
    WIRE.scope(wire, function.handle(payload, invocation)).await
}

/// The function, for all invocations of a schedule: its clients take longer to make than an invocation.
pub(super) fn function() -> Importer {
    let client = http_client_fn(|_, _| SharedHttpConnector::new(AnyWire));
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    let sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(client)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url("http://127.0.0.1:1")
        .build();
    let config = Config::from_env(|name| match name {
        "INTAKE_TABLE" => Some("T".to_owned()),
        "INTAKE_QUEUE_URL" => Some("http://127.0.0.1:1/queue".to_owned()),
        "INTAKE_TOPIC_ARN" => Some("arn:aws:sns:us-east-1:1:topic".to_owned()),
        _ => None,
    });
    let mut importer = Importer::new(config.unwrap(), sdk);
    importer.context.stand_in = Some(|context, attempt| pipeline(context, attempt).boxed());
    importer
}

pub(super) fn invocation(number: usize, time: Duration) -> Invocation {
    Invocation {
        request_id: format!("request-{number}"),
        deadline: SystemTime::now() + time,
    }
}

/// An event of the queue with one message.
pub(super) fn event(message: &str, body: &Value, receives: u32) -> Value {
    serde_json::json!({ "Records": [{
        "eventSource": "aws:sqs",
        "messageId": message,
        "attributes": { "ApproximateReceiveCount": receives.to_string() },
        "body": body.to_string(),
    }] })
}

/// What stands in for the pipeline: puts the object's rows one after the other and saves now and then.
async fn pipeline(context: &Context, mut attempt: Simulated) -> Ended<JobJournal> {
    let resume = attempt.import.resume.take();
    let mut checkpoint = resume.unwrap_or_default().checkpoint;
    let error = rows(context, &mut attempt, &mut checkpoint).await.err();
    let counts = checkpoint.counts;
    let status = match &error {
        None => Status::Completed,
        Some(Error::Stopped {
            why: StopReason::Cancelled,
            ..
        }) => Status::Cancelled,
        Some(_) => Status::Failed,
    };
    Ended {
        summary: Summary {
            status,
            source: attempt.import.name,
            job: None,
            attempts: None,
            table: "T".to_owned(),
            format: None,
            compression: None,
            counts,
            rows_unsettled: counts.rows_unsettled(),
            duration_seconds: 0.0,
            rejects: None,
            failure: error.as_ref().map(Failure::from),
        },
        error,
        checkpoint,
        journal: attempt.journal,
    }
}

async fn rows(
    context: &Context,
    attempt: &mut Simulated,
    checkpoint: &mut Checkpoint,
) -> Result<(), Error> {
    let Simulated {
        job, stop, journal, ..
    } = attempt;
    let get = context.s3.get_object().bucket(&job.bucket).key(&job.key);
    let got = get.set_if_match(attempt.etag.clone()).send().await;
    let got = got.map_err(|e| service_error("GetObject", &job.url(), e))?;
    let body = got.body.collect().await.unwrap().into_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let mut random = fastrand::Rng::with_seed(body.len() as u64 ^ u64::from(job.attempt));
    for line in body.lines().skip(checkpoint.counts.rows_settled() as usize) {
        sleep(Duration::from_millis(random.u64(10..6_000))).await;
        if Instant::now() >= attempt.stop_reading {
            stop.request(StopReason::Deadline);
        }
        if let Some(why) = stop.requested() {
            let position = rows::Position::default();
            return Err(Error::Stopped { position, why });
        }
        put(context, line).await?;
        checkpoint.counts.rows_read += 1;
        checkpoint.counts.rows_written += 1;
        if random.bool()
            && let Some(why) = journal.save(checkpoint).await?
        {
            stop.request(why);
        }
    }
    journal.finish(checkpoint).await
}

async fn put(context: &Context, line: &str) -> Result<(), Error> {
    let row: Value = serde_json::from_str(line).unwrap();
    let number = |name: &str| AttributeValue::N(row[name].to_string());
    let put = PutRequest::builder()
        .item(
            "id",
            AttributeValue::S(row["id"].as_str().unwrap().to_owned()),
        )
        .item("version", number("version"))
        .item("row", number("row"))
        .build()
        .unwrap();
    let write = WriteRequest::builder().put_request(put).build();
    let begun = Instant::now();
    let give_up_at = begun + RETRIES_MAX;
    loop {
        let written = context
            .dynamodb
            .batch_write_item()
            .request_items("T", vec![write.clone()])
            .send()
            .await;
        match written {
            Ok(_) => {
                if begun.elapsed() >= READ_TIMEOUT {
                    // A try before this one may have been without an answer, and be done late. As in the pipeline, no newer
                    // row of the key is sent until that is over.
                    sleep(READ_TIMEOUT + HELD_MAX).await;
                }
                return Ok(());
            }
            Err(error) if Instant::now() >= give_up_at => {
                return Err(service_error("BatchWriteItem", "T", error));
            }
            Err(_) => sleep(Duration::from_secs(1)).await,
        }
    }
}
