//! The importer as a Lambda function: `ProcessInventoryFile`. An event's objects are claimed and imported, or handed over to
//! the state machine; a step of a large import is taken.

use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_lambda_events::sqs::SqsBatchResponse;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;
use tokio::time::Instant;

use crate::error::{Error, StopReason};
use crate::event::{self, Event, ObjectCreated};
use crate::function::ending::{failure_text, notify};
use crate::function::{Attempt, Config, Context, Deadlines, Invocation, METRICS, object};
use crate::import::Failure;
use crate::jobs::{Claim, Lease};
use crate::large;
use crate::large::hand_over::hand_over;
use crate::write::wire;

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

/// The function, set up for any number of invocations.
pub struct Importer {
    context: Context,
}

impl Importer {
    /// The function with the clients of `sdk`.
    pub fn new(config: Config, sdk: SdkConfig) -> Self {
        Self {
            context: Context::new(config, sdk),
        }
    }

    /// Asks what it imports to stop, now and later: for a process that is to end.
    pub fn stop(&self, reason: StopReason) {
        self.context.stopping.send_replace(Some(reason));
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
            return Ok(Box::pin(large::step(&self.context, event, invocation)).await?);
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

    /// Imports the objects of a message, and says whether the message is done with.
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
        let context = &self.context;
        let url = format!("s3://{}/{}", created.bucket, created.key);
        if created.key.starts_with(&context.config.report_prefix) {
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
        let failed = |error: Error| failure_text(&url, &error);
        let created = &context.identified(created).await.map_err(failed)?;
        if hand_over(context, created).await.map_err(failed)? {
            return Ok(());
        }
        let claim = context.jobs.claim(created, &context.config.table, lease);
        match claim.await.map_err(failed)? {
            Claim::Mine(job) => {
                let attempt = Attempt {
                    created,
                    is_bare: lease.message.is_none(),
                    reports: context.reports(&job),
                    job: *job,
                    deadlines,
                    began: Instant::now(),
                    range: None,
                };
                Box::pin(object::import(context, attempt)).await
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
                // The invocation that ended it did not get to publish that.
                notify(context, *job).await.map_err(failed)
            }
        }
    }
}
