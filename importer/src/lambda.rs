//! The importer as a Lambda function: `ProcessInventoryFile`.

mod ending;
mod sharing;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_lambda_events::sqs::SqsBatchResponse;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use tokio::time::Instant;

use self::sharing::Left;
use crate::config::{Config, options_from_metadata};
use crate::error::{Error, StopReason};
use crate::event::{self, Event, ObjectCreated};
use crate::jobs::journal::{JobJournal, Reports};
use crate::jobs::store::{Changes, Claim, JobStore, Lease};
use crate::jobs::{Job, STALLED_ATTEMPTS_MAX, Saved, Status};
use crate::metrics::Metrics;
use crate::pipeline::{Ended, Import, ImportOptions, Resume, Stop};
use crate::progress::Progress;
use crate::source::Object;
use crate::summary::{Failure, Summary};
use crate::wire::{self, WireWriter};
use crate::writer::{SdkWriter, WriterKind};
use crate::{aws, table};

/// Time kept at the end of an invocation to write what has been read; at most a quarter of it.
const DRAIN: Duration = Duration::from_secs(30);
/// Time kept after that to save how far the job is and to tell its end; at most a twentieth.
const FINISH: Duration = Duration::from_secs(5);

/// The function's main loop: what `main` runs.
///
/// # Errors
///
/// If the configuration does not fit, or Lambda's runtime API cannot be reached.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let config = Config::from_env(|name| std::env::var(name).ok())
        .map_err(|e| format!("{}; {}", e.chain(), e.fix().unwrap_or_default()))?;
    let mut importer = Importer::new(config, aws::sdk_config().await);
    importer.metrics = Metrics::init()?;
    // Now there is a whole processor, however small the function is.
    // https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
    wire::warm_up();
    importer.metrics.add("cold_start", 1.0);
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| {
        let invocation = Invocation {
            deadline: event.context.deadline(),
            request_id: event.context.request_id,
        };
        importer.handle(event.payload, invocation)
    }))
    .await
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
    config: Config,
    sdk: SdkConfig,
    s3: aws_sdk_s3::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    sqs: aws_sdk_sqs::Client,
    sns: aws_sdk_sns::Client,
    jobs: JobStore,
    metrics: Metrics,
}

/// When an invocation must be where.
#[derive(Debug, Clone, Copy)]
struct Deadlines {
    stop_reading: Instant,
    give_up: Instant,
    /// Reports that take longer are made by another invocation.
    stop_reporting: Instant,
}

impl Deadlines {
    fn new(end: SystemTime) -> Self {
        let left = end.duration_since(SystemTime::now()).unwrap_or_default();
        let finish = FINISH.min(left / 20);
        let drain = DRAIN.min(left / 4);
        let now = Instant::now();
        Self {
            stop_reading: now + left - finish - drain,
            give_up: now + left - finish,
            stop_reporting: now + left - finish / 2,
        }
    }
}

/// One object in one invocation.
struct Attempt<'a> {
    created: &'a ObjectCreated,
    job: Job,
    /// Whether nobody sees a failure unless the invocation fails.
    is_bare: bool,
    reports: Reports,
    deadlines: Deadlines,
    began: Instant,
}

/// How an attempt left a job.
struct Outcome {
    summary: Summary,
    error: Option<Error>,
    /// The journal; none if the import did not begin.
    journal: Option<JobJournal>,
    /// Whether it could not begin because other imports had all of the write cap.
    had_no_share: bool,
    /// The share of the write cap on its way back.
    left: Option<Left>,
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
            sns: aws_sdk_sns::Client::new(&sdk),
            sdk,
            metrics: Metrics::default(),
        }
    }

    /// Handles one invocation.
    ///
    /// # Errors
    ///
    /// If an object of a bare event is not done with: it must come again. From a queue, such a message is in the answer's
    /// `batchItemFailures` instead, and comes again.
    pub async fn handle(
        &self,
        event: Value,
        invocation: Invocation,
    ) -> Result<Value, lambda_runtime::Error> {
        let answer = self.answer(event, &invocation).await;
        let left = invocation.deadline.duration_since(SystemTime::now());
        let left = left.unwrap_or_default().as_secs_f64() * 1000.0;
        self.metrics.add("remaining_time_ms", left);
        self.metrics.write();
        answer
    }

    async fn answer(
        &self,
        event: Value,
        invocation: &Invocation,
    ) -> Result<Value, lambda_runtime::Error> {
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
    async fn identified(&self, created: &ObjectCreated) -> Result<ObjectCreated, Error> {
        let mut created = created.clone();
        if created.etag.is_none() && created.version_id.is_none() && created.sequencer.is_none() {
            let object = Object::head(&self.s3, &created.bucket, &created.key).await?;
            created.etag = object.etag;
            created.time = created.time.or(object.last_modified);
        }
        Ok(created)
    }

    fn reports(&self, job: &Job) -> Reports {
        Reports {
            bucket: job.bucket.clone(),
            prefix: job.job_key().report_prefix(&self.config.report_prefix),
        }
    }

    /// Leaves a job as it is to be left after an attempt.
    async fn conclude(&self, attempt: Attempt<'_>, outcome: Outcome) -> Result<(), String> {
        let url = attempt.job.url();
        let is_stalled =
            outcome.journal.as_ref().is_none_or(JobJournal::is_stalled) && !outcome.had_no_share;
        let is_exhausted = is_stalled && attempt.job.stalled_attempts >= STALLED_ATTEMPTS_MAX;
        let error = match &outcome.error {
            Some(Error::LeaseLost) => return Err(told(&url, &Error::LeaseLost)),
            Some(error) if !error.is_final() && !is_exhausted => error,
            _ => return Box::pin(self.finish(attempt, outcome, is_exhausted)).await,
        };
        let is_out_of_time = matches!(
            error,
            Error::Stopped {
                why: StopReason::Deadline,
                ..
            }
        );
        let failure = told(&url, error);
        let mut changes = Changes::none().status(Status::Queued).released();
        if outcome.had_no_share {
            // Waiting for others is no failure.
            changes = changes.number("stalled_attempts", 0_u64);
        }
        let changes = if is_out_of_time {
            changes
        } else {
            changes
                .text("reason", error.chain())
                .text_or_none("fix", error.fix())
        };
        let released = self.jobs.change(&attempt.job, changes).await;
        released.map_err(|e| format!("{failure}; {}", told(&url, &e)))?;
        if !is_out_of_time {
            tracing::warn!(
                job = attempt.job.job,
                failure,
                "the job will be tried again"
            );
            return Err(failure);
        }
        let Some(queue_url) = &self.config.queue_url else {
            return Err(format!(
                "{failure}; the next delivery of the event goes on (INTAKE_QUEUE_URL lets the function go on by itself)"
            ));
        };
        let sent = self
            .sqs
            .send_message()
            .queue_url(queue_url)
            .message_body(attempt.created.to_event().to_string())
            .delay_seconds(0)
            .send()
            .await;
        sent.map_err(|e| told(&url, &aws::service_error("SendMessage", queue_url, e)))?;
        let rows_read = outcome.summary.counts.rows_read;
        tracing::info!(
            job = attempt.job.job,
            object = url,
            rows_read,
            "goes on in another invocation"
        );
        Ok(())
    }

    async fn import(&self, attempt: &Attempt<'_>) -> Outcome {
        let result = if attempt.job.cancel_requested {
            Err(Error::Stopped {
                position: attempt.job.saved().checkpoint.row.unwrap_or_default(),
                why: StopReason::Cancelled,
            })
        } else if attempt.job.stalled_attempts > STALLED_ATTEMPTS_MAX {
            let reason = attempt.job.reason.as_deref();
            let reason =
                reason.unwrap_or("the function ended without a word, out of memory or killed");
            Err(Error::Stalled {
                attempts: STALLED_ATTEMPTS_MAX,
                reason: reason.to_owned(),
            })
        } else {
            self.run(attempt).await
        };
        result.unwrap_or_else(|error| Outcome {
            summary: Summary::not_begun(
                attempt.job.url(),
                self.config.table.clone(),
                &error,
                attempt.began.elapsed(),
            ),
            error: Some(error),
            journal: None,
            had_no_share: false,
            left: None,
        })
    }

    async fn run(&self, attempt: &Attempt<'_>) -> Result<Outcome, Error> {
        let Attempt {
            created,
            job,
            deadlines,
            ..
        } = attempt;
        let object = Object::head(&self.s3, &created.bucket, &created.key).await?;
        let etag = object.etag.clone().unwrap_or_default();
        if job.etag.as_ref().is_some_and(|before| *before != etag) {
            return Err(Error::Object {
                operation: "HeadObject",
                problem: format!(
                    "the object has changed since the import began: {}",
                    job.url()
                ),
                fix: "nothing: the new object has a job of its own".to_owned(),
            });
        }
        let decode = options_from_metadata(&object.metadata)?;
        let schema = Arc::new(table::describe(&self.dynamodb, &self.config.table).await?);
        let mut saved = job.saved();
        let share = self.share(attempt).await?;
        let default = ImportOptions::default();
        let options = ImportOptions {
            decode,
            lanes: self.config.lanes.unwrap_or(default.lanes),
            max_wcu: self.config.max_wcu,
            share: share.clone(),
            max_rejects: self.config.max_rejects,
            stop_reading_at: Some(deadlines.stop_reading),
            give_up_at: Some(deadlines.give_up),
            ..default
        };
        if !saved.checkpoint.lanes.is_empty() && saved.checkpoint.lanes.len() != options.lanes.get()
        {
            // Rows are spread in another way now: what was settled cannot be told from what was not.
            saved = Saved::default();
        }
        let described = Changes::none()
            .text("etag", &etag)
            .number("bytes_total", object.size_bytes)
            .text_or_none("reason", None::<String>)
            .text_or_none("fix", None::<String>);
        self.jobs.change(job, described).await?;
        let checkpoint = saved.checkpoint.clone();
        let row = checkpoint.row.filter(|_| checkpoint.seekable);
        let progress = Arc::new(Progress::after(&checkpoint));
        let import = Import {
            name: job.url(),
            source: object.source_at(&self.s3, row.map_or(0, |row| row.byte)),
            progress: Arc::clone(&progress),
            resume: Some(Resume {
                beginning: checkpoint.row.map(|_| object.beginning(&self.s3)),
                checkpoint,
            }),
            schema: Arc::clone(&schema),
            options,
            stop: Stop::default(),
        };
        let journal = JobJournal::new(
            self.jobs.clone(),
            self.s3.clone(),
            attempt.reports.clone(),
            job.clone(),
            &saved,
            self.config.checkpoint_every,
        );
        let Ended {
            summary,
            error,
            journal,
            ..
        } = match self.config.writer {
            WriterKind::Wire => {
                let writer = WireWriter::new(&self.sdk, schema).await?;
                let import = import.run(writer, journal);
                Box::pin(self.metrics.follow(&progress, import)).await
            }
            WriterKind::Sdk => {
                let import = import.run(SdkWriter::new(&self.sdk, schema), journal);
                Box::pin(self.metrics.follow(&progress, import)).await
            }
        };
        Ok(Outcome {
            summary,
            error,
            journal: Some(journal),
            had_no_share: share.as_ref().is_some_and(sharing::had_nothing),
            left: share.map(Left::new),
        })
    }
}

/// What went wrong with an object, for people.
fn told(url: &str, error: &Error) -> String {
    format!("{url}: {}", Failure::from(error))
}
