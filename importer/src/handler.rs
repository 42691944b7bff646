//! The importer as a Lambda function: `ProcessInventoryFile`. An event's objects are claimed and imported, or handed over to
//! the state machine; a step of a large import is taken.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_lambda_events::sqs::SqsBatchResponse;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use rows::Schema;
use serde_json::Value;
use tokio::time::Instant;

use crate::error::{Error, StopReason};
use crate::event::{self, Event, ObjectCreated, Seen};
use crate::function::ending::{self, Unbegun, failure_text, notify};
use crate::function::keeper::watch;
use crate::function::{Attempt, Config, Context, Deadlines, Found, Invocation, METRICS, object};
use crate::import::{Failure, Object, Stop};
use crate::jobs::{Claim, Identity, Job, LEASE, Lease, Standing};
use crate::large;
use crate::write::wire;

/// How often an object is looked up again because another importer was faster.
const LOOKS_MAX: u32 = 10;
/// How often a message is received before an object that cannot be looked up has failed.
const RECEIVES_MIN: u32 = 3;
/// How long a message waits for another job, at first and at the most. SQS delays messages by up to 15 minutes.
///
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
const WAIT_MIN: Duration = Duration::from_secs(5);
const WAIT_MAX: Duration = Duration::from_mins(1);

/// The function's main loop: what `main` runs.
///
/// # Errors
///
/// If the configuration does not fit, or Lambda's runtime API cannot be reached.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    cloud::init_logs();
    let config = Config::from_env(|name| std::env::var(name).ok())
        .map_err(|e| format!("{}; {}", e.chain(), e.fix().unwrap_or_default()))?;
    let sdk = cloud::sdk_config()
        .await
        .map_err(|e| format!("{e}; {}", e.fix()))?;
    let importer = Importer::new(config, sdk);
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
    pub(crate) context: Context,
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
            duration: LEASE,
            seen: None,
        };
        match event::parse(event)? {
            Event::Objects(objects) => {
                let mut failures = Vec::new();
                for object in &objects {
                    let lease = lease(None);
                    if let Err(failure) = self.object(object, None, &lease, deadlines).await {
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
                    if !self.message(&message, &lease, deadlines).await {
                        response.add_failure(message.id);
                    }
                }
                Ok(serde_json::to_value(response)?)
            }
        }
    }

    /// Imports the objects of a message, and says whether the message is done with.
    async fn message(&self, message: &event::Message, lease: &Lease, deadlines: Deadlines) -> bool {
        let objects = match &message.objects {
            Ok(objects) => objects,
            Err(error) => {
                tracing::error!(%error, "message not understood");
                return false;
            }
        };
        let mut done = true;
        for object in objects {
            let receives = Some(message.receives);
            let taken = self.object(object, receives, lease, deadlines).await;
            if let Err(reason) = taken {
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
        receives: Option<u32>,
        lease: &Lease,
        deadlines: Deadlines,
    ) -> Result<(), String> {
        let url = created.url();
        if created.key.starts_with(&self.context.config.report_prefix) {
            // Reports that were imported would make reports of their own, for ever.
            tracing::warn!(object = url, "not imported: it is under the report prefix");
            return Ok(());
        }
        if created.key.ends_with('/') {
            tracing::info!(object = url, "not imported: it is a folder");
            return Ok(());
        }
        let mut seen = created.seen.clone();
        for _ in 0..LOOKS_MAX {
            if Instant::now() >= deadlines.stop_reading {
                return Err(format!("{url}: no time was left to begin"));
            }
            let event = Announced {
                created,
                receives,
                lease: &Lease {
                    seen: seen.clone(),
                    ..lease.clone()
                },
                deadlines,
                url: &url,
            };
            match Box::pin(self.look(&event)).await? {
                Looked::Done | Looked::Waits => return Ok(()),
                Looked::Changed => {}
                Looked::Dead(watched) => seen = Some(watched),
            }
        }
        Err(format!("{url}: it changes faster than it can be looked up"))
    }

    /// Looks up what the event is about and takes that one step further.
    async fn look(&self, event: &Announced<'_>) -> Result<Looked, String> {
        let context = &self.context;
        let failed = |error: Error| failure_text(event.url, &error);
        let found = context.find(event.created).await.map_err(failed)?;
        let unpublished = context.jobs.unpublished(found.head.as_ref()).await;
        if let Some(job) = unpublished.map_err(failed)? {
            return Ok(match self.publish(event, &job).await? {
                Looked::Done => Looked::Changed,
                looked => looked,
            });
        }
        let object = match &found.object {
            Ok(object) => object,
            Err(error) => return self.missing(event, &found, error).await,
        };
        if !event
            .created
            .is_about(object.version_id.as_deref(), object.etag.as_deref())
        {
            let reason = "the file was replaced before any of its rows was imported";
            if !self.unbegun(event, &found, reason, None).await? {
                return Ok(Looked::Changed);
            }
            // The new file has an event of its own; whichever comes first imports it.
        }
        let identity = found.identity(object, event.created);
        let head = found.head.as_ref();
        let standing = context.jobs.standing(&identity, head).await;
        let job = match standing.map_err(failed)? {
            Standing::Ended(job) => return self.publish(event, &job).await,
            Standing::Forgotten => {
                tracing::info!(
                    object = event.url,
                    "imported before, too long ago for a job"
                );
                return Ok(Looked::Done);
            }
            Standing::Waits(before) => return self.wait_for(event, *before).await,
            Standing::Unpublished(before) => {
                return Ok(match self.publish(event, &before).await? {
                    Looked::Done => Looked::Changed,
                    looked => looked,
                });
            }
            Standing::New => None,
            Standing::Open(job) => Some(*job),
        };
        let is_stepwise = job.as_ref().is_some_and(|job| job.mode.is_some());
        if is_stepwise || large::hand_over::is_large(context, object) {
            return self.hand_over(event, &identity, job).await;
        }
        let claim = match job {
            Some(job) => context.jobs.resume(job, event.lease).await,
            None => context.jobs.begin(&identity, head, event.lease).await,
        };
        let looked_up = found.schema.map(|schema| (object.clone(), schema));
        self.claimed(event, claim.map_err(failed)?, looked_up).await
    }

    /// What an event comes to whose object cannot be looked up.
    async fn missing(
        &self,
        event: &Announced<'_>,
        found: &Found,
        error: &Error,
    ) -> Result<Looked, String> {
        let jobs = &self.context.jobs;
        let failed = |error: Error| failure_text(event.url, &error);
        if found.is_remembered() {
            // The job finds the same, and reports it.
            let current = match &found.head {
                Some(head) => jobs.get(&head.job_key()).await.map_err(failed)?,
                None => None,
            };
            return match current {
                Some(job) if job.mode.is_some() && !job.status.is_ended() => Ok(Looked::Done),
                Some(job) => {
                    let claim = jobs.resume(job, event.lease).await.map_err(failed)?;
                    self.claimed(event, claim, None).await
                }
                None => Ok(Looked::Done),
            };
        }
        let is_gone = matches!(error, Error::Object { .. });
        if !error.is_final()
            && event
                .receives
                .is_some_and(|receives| receives < RECEIVES_MIN)
        {
            // What is denied may be allowed in a moment.
            return Err(failure_text(event.url, error));
        }
        let ended = if is_gone {
            let reason = format!(
                "the file was deleted before any of its rows was imported ({})",
                error.problem()
            );
            self.unbegun(event, found, &reason, None).await?
        } else {
            self.unbegun(event, found, &error.chain(), Some(error))
                .await?
        };
        match (ended, event.lease.message.is_some()) {
            (false, _) => Ok(Looked::Changed),
            (true, true) => Ok(Looked::Done),
            // A failure only shows if the invocation fails.
            (true, false) => Err(failure_text(event.url, error)),
        }
    }

    /// Ends the version of an event of which no row was or will be imported, and publishes that. `false` if something has
    /// changed in between.
    async fn unbegun(
        &self,
        event: &Announced<'_>,
        found: &Found,
        reason: &str,
        error: Option<&Error>,
    ) -> Result<bool, String> {
        let ended = ending::unbegun(&self.context, found, reason, error).await;
        match ended.map_err(|error| failure_text(event.url, &error))? {
            Unbegun::Ended(job) => self.publish(event, &job).await.map(|_| true),
            Unbegun::Known => Ok(true),
            Unbegun::Changed => Ok(false),
        }
    }

    /// Goes on with a job that was claimed, or leaves it to the one who has it.
    async fn claimed(
        &self,
        event: &Announced<'_>,
        claim: Claim,
        found: Option<(Object, Arc<Schema>)>,
    ) -> Result<Looked, String> {
        match claim {
            Claim::Mine(job) => {
                let attempt = Attempt {
                    created: event.created,
                    is_bare: event.lease.message.is_none(),
                    reports: self.context.reports(&job),
                    job: *job,
                    deadlines: event.deadlines,
                    began: Instant::now(),
                    stop: Stop::default(),
                    found,
                    range: None,
                };
                Box::pin(object::import(&self.context, attempt)).await?;
                Ok(Looked::Done)
            }
            Claim::Busy(job) => {
                tracing::info!(
                    job = job.job,
                    object = event.url,
                    "another invocation imports it"
                );
                if event.created.seen.is_some() {
                    // The message by which it was claimed may have become this one while it waited for something else.
                    return self.wait(event, &job).await;
                }
                // The message by which it was claimed goes on with it.
                Ok(Looked::Done)
            }
            Claim::Ended(job) => self.publish(event, &job).await,
            Claim::Changed => Ok(Looked::Changed),
        }
    }

    /// Waits until another version's job has ended. If that one is dead, ends it.
    async fn wait_for(&self, event: &Announced<'_>, before: Job) -> Result<Looked, String> {
        if !event.lease.is_over(&before) {
            return self.wait(event, &before).await;
        }
        let failed = |error: Error| failure_text(event.url, &error);
        if before.mode.is_some() {
            let abandoned = large::abandon(&self.context, before, event.lease);
            abandoned.await.map_err(failed)?;
        } else {
            let claim = self.context.jobs.resume(before, event.lease).await;
            let claimed = self.claimed(event, claim.map_err(failed)?, None).await?;
            if !matches!(claimed, Looked::Done) {
                return Ok(claimed);
            }
        }
        Ok(Looked::Changed)
    }

    /// Has the state machine import a large object, unless it does so.
    async fn hand_over(
        &self,
        event: &Announced<'_>,
        identity: &Identity,
        job: Option<Job>,
    ) -> Result<Looked, String> {
        if let Some(job) = job.as_ref().filter(|job| !event.lease.is_over(job)) {
            if self.context.config.queue_url.is_none() {
                // Its execution goes on with it.
                return Ok(Looked::Done);
            }
            return self.wait(event, job).await;
        }
        let attempt = job.map_or(0, |job| job.attempt);
        let started = large::hand_over::start(&self.context, event.created, identity, attempt);
        started
            .await
            .map_err(|error| failure_text(event.url, &error))?;
        Ok(Looked::Done)
    }

    /// Publishes the end of a job, if that was not done.
    async fn publish(&self, event: &Announced<'_>, job: &Job) -> Result<Looked, String> {
        if job.notified {
            tracing::info!(job = job.job, object = event.url, status = %job.status, "it has ended before");
            return Ok(Looked::Done);
        }
        let seen = event.lease.seen.as_ref();
        let publisher = event.lease.message.as_ref();
        let publisher = publisher.unwrap_or(&event.lease.holder);
        match notify(&self.context, job, publisher, seen).await {
            Ok(()) => Ok(Looked::Done),
            Err(Error::NoticePending) => {
                let job = self.context.jobs.get(&job.job_key()).await;
                match job.map_err(|error| failure_text(event.url, &error))? {
                    Some(job) if !job.notified => self.wait(event, &job).await,
                    _ => Ok(Looked::Done),
                }
            }
            Err(error) => Err(failure_text(event.url, &error)),
        }
    }

    /// Has the event come again when a lease of `job` is over, as a message that knows how the job stood.
    async fn wait(&self, event: &Announced<'_>, job: &Job) -> Result<Looked, String> {
        let Some(queue_url) = &self.context.config.queue_url else {
            let watched = watch(&self.context.jobs, job, event.deadlines.stop_reading).await;
            return watched.map(Looked::Dead).map_err(|_| {
                format!(
                    "{}: job {} is being imported; the event must come again when that has ended",
                    event.url, job.job
                )
            });
        };
        let before = event.lease.seen.as_ref();
        let waited = before.filter(|seen| seen.is(&job.seen()));
        let waited = waited.map_or(Duration::ZERO, |seen| {
            Duration::from_secs(seen.waited_seconds)
        });
        let delay = (waited / 2).clamp(WAIT_MIN, WAIT_MAX);
        let message = event.created.waiting_for(Some(Seen {
            waited_seconds: (waited + delay).as_secs(),
            ..job.seen()
        }));
        let sent = self.context.send(queue_url, &message, delay).await;
        sent.map_err(|error| failure_text(event.url, &error))?;
        tracing::info!(
            job = job.job,
            object = event.url,
            ?delay,
            "waiting for another import"
        );
        Ok(Looked::Waits)
    }
}

/// An event about one object, and the invocation that it came in.
struct Announced<'a> {
    created: &'a ObjectCreated,
    /// How often its message was received, if it came from a queue.
    receives: Option<u32>,
    lease: &'a Lease,
    deadlines: Deadlines,
    url: &'a str,
}

/// What became of an event.
enum Looked {
    /// Nothing more is to be done with it.
    Done,
    /// A message waits in its place.
    Waits,
    /// Another importer was faster: look again.
    Changed,
    /// The job that was in the way stood like that for so long that its importer is dead: look again.
    Dead(Seen),
}
