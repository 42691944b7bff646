//! The importer as a Lambda function: `ProcessInventoryFile`.

pub(crate) mod attempt;
pub(crate) mod ending;
mod sharing;

use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_lambda_events::sqs::SqsBatchResponse;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use self::attempt::{Attempt, Deadlines};
use crate::config::Config;
use crate::error::{Error, StopReason};
use crate::event::{self, Event, ObjectCreated};
use crate::jobs::Job;
use crate::jobs::journal::Reports;
use crate::jobs::store::{Claim, JobStore, Lease};
use crate::limiter::Known;
use crate::metrics::METRICS;
use crate::source::Object;
use crate::summary::Failure;
use crate::{large, wire};

/// The function's main loop: what `main` runs.
///
/// # Errors
///
/// If the configuration does not fit, or Lambda's runtime API cannot be reached.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    cloud::init_logs();
    let config = Config::from_env(|name| std::env::var(name).ok())
        .map_err(|e| format!("{}; {}", e.chain(), e.fix().unwrap_or_default()))?;
    let importer = Importer::new(config, cloud::sdk_config().await);
    METRICS.init()?;
    // Now there is a whole processor, however small the function is.
    // https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
    wire::warm_up();
    METRICS.add("cold_start", 1.0);
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| {
        let invocation = Invocation {
            deadline: event.context.deadline(),
            request_id: event.context.request_id,
        };
        let handled = Box::pin(importer.handle(event.payload, invocation));
        async { handled.await.map_err(|error| diagnostic(&error)) }
    }))
    .await
}

/// An error as Lambda shows it. That of a step has a type by which the state machine knows whether to try again.
pub fn diagnostic(error: &lambda_runtime::Error) -> Diagnostic {
    match error.downcast_ref::<Error>() {
        Some(error) => Diagnostic {
            error_type: large::error_type(error).to_owned(),
            error_message: Failure::from(error).to_string(),
        },
        None => Diagnostic {
            error_type: std::any::type_name::<lambda_runtime::Error>().to_owned(),
            error_message: error.to_string(),
        },
    }
}

/// What is known of an invocation besides its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// Its request id, which is the same when Lambda tries an asynchronous event again.
    pub request_id: String,
    /// When Lambda ends it.
    pub deadline: SystemTime,
}

/// The function, set up for any number of invocations.
pub struct Importer {
    pub(crate) config: Config,
    pub(crate) sdk: SdkConfig,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    sqs: aws_sdk_sqs::Client,
    pub(crate) sfn: aws_sdk_sfn::Client,
    pub(crate) sns: aws_sdk_sns::Client,
    pub(crate) jobs: JobStore,
    /// What its imports have found out about the table.
    known: Known,
    /// Why what it imports is to stop, if it is.
    pub(crate) stopping: watch::Sender<Option<StopReason>>,
}

impl Importer {
    /// The function with the clients of `sdk`.
    pub fn new(config: Config, sdk: SdkConfig) -> Self {
        let dynamodb = aws_sdk_dynamodb::Client::new(&sdk);
        Self {
            jobs: JobStore::new(dynamodb.clone(), config.jobs_table.clone()),
            config,
            s3: aws_sdk_s3::Client::new(&sdk),
            dynamodb,
            sqs: aws_sdk_sqs::Client::new(&sdk),
            sfn: aws_sdk_sfn::Client::new(&sdk),
            sns: aws_sdk_sns::Client::new(&sdk),
            sdk,
            known: Known::default(),
            stopping: watch::Sender::new(None),
        }
    }

    /// Asks what it imports to stop, now and later: for a process that is to end.
    pub fn stop(&self, reason: StopReason) {
        self.stopping.send_replace(Some(reason));
    }

    /// Handles one invocation.
    ///
    /// # Errors
    ///
    /// If a step of a large import fails (an [`Error`]), or an object of a bare event is not done with: it must come again.
    /// From a queue, such a message is in the answer's
    /// `batchItemFailures` instead, and comes again.
    pub async fn handle(
        &self,
        event: Value,
        invocation: Invocation,
    ) -> Result<Value, lambda_runtime::Error> {
        let answer = self.answer(event, &invocation).await;
        let left = invocation.deadline.duration_since(SystemTime::now());
        let left = left.unwrap_or_default().as_secs_f64() * 1000.0;
        METRICS.add("remaining_time_ms", left);
        METRICS.write();
        answer
    }

    async fn answer(
        &self,
        event: Value,
        invocation: &Invocation,
    ) -> Result<Value, lambda_runtime::Error> {
        if large::is_step(&event) {
            return Ok(Box::pin(self.step(event, invocation)).await?);
        }
        let deadlines = Deadlines::new(invocation.deadline);
        let lease = |message: Option<String>| Lease {
            holder: invocation.request_id.clone(),
            message,
            until: invocation.deadline,
        };
        match event::parse(event)? {
            Event::Objects(objects) => {
                let mut failures = Vec::new();
                for object in &objects {
                    if let Err(failure) = self.object(object, &lease(None), deadlines).await {
                        failures.push(failure);
                    }
                }
                if failures.is_empty() {
                    Ok(Value::Null)
                } else {
                    Err(failures.join("; ").into())
                }
            }
            Event::Messages(messages) => {
                let mut response = SqsBatchResponse::default();
                for message in messages {
                    let lease = lease(Some(message.id.clone()));
                    if !self.message(&message.objects, &lease, deadlines).await {
                        response.add_failure(message.id);
                    }
                }
                Ok(serde_json::to_value(response)?)
            }
        }
    }

    /// Imports what a message tells of, and says whether the message is done with.
    async fn message(
        &self,
        objects: &Result<Vec<ObjectCreated>, event::EventError>,
        lease: &Lease,
        deadlines: Deadlines,
    ) -> bool {
        let objects = match objects {
            Ok(objects) => objects,
            Err(error) => {
                tracing::error!(%error, "message not understood");
                return false;
            }
        };
        let mut done = true;
        for object in objects {
            if let Err(reason) = self.object(object, lease, deadlines).await {
                tracing::warn!(reason, "the message comes again");
                done = false;
            }
        }
        done
    }

    /// Takes an object one step further, unless it is none to import. The error is for people, and says that the event must
    /// come again.
    async fn object(
        &self,
        created: &ObjectCreated,
        lease: &Lease,
        deadlines: Deadlines,
    ) -> Result<(), String> {
        let url = format!("s3://{}/{}", created.bucket, created.key);
        if created.key.starts_with(&self.config.report_prefix) {
            // Reports that were imported would make reports of their own, for ever.
            tracing::warn!(object = url, "not imported: it is under the report prefix");
            return Ok(());
        }
        if created.key.ends_with('/') {
            tracing::info!(object = url, "not imported: it is a folder");
            return Ok(());
        }
        if Instant::now() >= deadlines.stop_reading {
            return Err(format!("{url}: no time was left to begin"));
        }
        let failed = |error: Error| told(&url, &error);
        let created = &self.identified(created).await.map_err(failed)?;
        if self.hand_over(created).await.map_err(failed)? {
            return Ok(());
        }
        let claim = self.jobs.claim(created, &self.config.table, lease).await;
        match claim.map_err(failed)? {
            Claim::Mine(job) => {
                let attempt = Attempt {
                    created,
                    is_bare: lease.message.is_none(),
                    reports: self.reports(&job),
                    job: *job,
                    deadlines,
                    began: Instant::now(),
                    range: None,
                };
                Box::pin(self.attempt(attempt)).await
            }
            Claim::Busy(job) => {
                tracing::info!(job = job.job, object = url, "another invocation imports it");
                // Its own message is back before its lease has ended: it is the only one that goes on with the job.
                if lease.message.is_some() && lease.message == job.lease_message {
                    return Err(format!(
                        "{url}: the job is claimed until {:?}",
                        job.lease_until
                    ));
                }
                Ok(())
            }
            Claim::Ended(job) => {
                tracing::info!(job = job.job, object = url, status = %job.status, "it has ended before");
                if job.notified {
                    return Ok(());
                }
                // Whoever ended it did not get to tell.
                self.notify(*job).await.map_err(failed)
            }
        }
    }

    /// An object by which its job can be named. Events written by hand leave out what tells its versions apart.
    pub(crate) async fn identified(&self, created: &ObjectCreated) -> Result<ObjectCreated, Error> {
        let mut created = created.clone();
        if created.etag.is_none() && created.version_id.is_none() && created.sequencer.is_none() {
            let object = Object::head(&self.s3, &created.bucket, &created.key).await?;
            created.etag = object.etag;
            created.time = created.time.or(object.last_modified);
        }
        Ok(created)
    }

    pub(crate) fn reports(&self, job: &Job) -> Reports {
        Reports {
            bucket: job.bucket.clone(),
            prefix: job.job_key().report_prefix(&self.config.report_prefix),
        }
    }
}

/// What went wrong with an object, for people.
fn told(url: &str, error: &Error) -> String {
    format!("{url}: {}", Failure::from(error))
}
