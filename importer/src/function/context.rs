//! What every step of an invocation needs: the configuration, the clients, and what outlives an import.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use rows::Schema;
use serde_json::Value;
use tokio::sync::watch;

use super::config::Config;
use crate::aws::service_error;
use crate::error::{Class, Error, StopReason};
use crate::event::ObjectCreated;
use crate::import::{Object, Stop};
use crate::jobs::{Head, Identity, Job, JobKey, JobStore, Reports};
use crate::table;
use crate::write::LimiterMemory;

/// The function, set up for any number of invocations.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) sdk: SdkConfig,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) sfn: aws_sdk_sfn::Client,
    pub(crate) sns: aws_sdk_sns::Client,
    pub(crate) jobs: JobStore,
    /// What its imports have learned about the table.
    pub(crate) memory: LimiterMemory,
    /// Why its imports are to stop, if they are.
    pub(crate) stopping: watch::Sender<Option<StopReason>>,
    /// What stands in for the pipeline in a simulation: its threads know no virtual time.
    #[cfg(test)]
    pub(crate) stand_in: Option<StandIn>,
}

/// An attempt as a simulation needs it.
#[cfg(test)]
pub(crate) struct Simulated {
    pub(crate) job: Job,
    pub(crate) etag: Option<String>,
    pub(crate) stop_reading: tokio::time::Instant,
    pub(crate) stop: Stop,
    pub(crate) import: crate::import::Import,
    pub(crate) journal: crate::jobs::JobJournal,
}

/// Imports in place of the pipeline.
#[cfg(test)]
pub(crate) type StandIn =
    for<'a> fn(
        &'a Context,
        Simulated,
    )
        -> futures::future::BoxFuture<'a, crate::import::Ended<crate::jobs::JobJournal>>;

/// What an event is about, as it is now.
pub(crate) struct Found {
    pub(crate) table_id: String,
    /// The table's keys, if it can be described.
    pub(crate) schema: Option<Arc<Schema>>,
    /// By what the event says.
    pub(crate) event: Identity,
    /// The object's jobs so far.
    pub(crate) head: Option<Head>,
    /// What is there now.
    pub(crate) object: Result<Object, Error>,
}

impl Found {
    /// Whether the event's version was begun before, or never will be.
    pub(crate) fn is_remembered(&self) -> bool {
        let head = self.head.as_ref();
        head.is_some_and(|head| head.remembers(&self.event.hint))
    }

    /// The version that is there now, which `created` announces.
    pub(crate) fn identity(&self, object: &Object, created: &ObjectCreated) -> Identity {
        Identity {
            legacy: Some(JobKey::legacy(created)),
            ..Identity::of(object, &self.table_id, &self.event.table)
        }
    }
}

impl Context {
    /// With the clients of `sdk`.
    pub(crate) fn new(config: Config, sdk: SdkConfig) -> Self {
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
            memory: LimiterMemory::default(),
            stopping: watch::Sender::new(None),
            #[cfg(test)]
            stand_in: None,
        }
    }

    /// Looks up what an event is about.
    ///
    /// # Errors
    ///
    /// If trying again may help.
    pub(crate) async fn find(&self, created: &ObjectCreated) -> Result<Found, Error> {
        let table = &self.config.table;
        let described = match table::identify(&self.dynamodb, table).await {
            Err(error) if error.class() == Class::Retry => return Err(error),
            described => described,
        };
        // The import finds that there is no such table, and reports it.
        let table_id = described.as_ref().map_or(table, |(_, id)| id).clone();
        let event = Identity::of_event(created, &table_id, table);
        // Before the object: see `jobs::head`.
        let head = self.jobs.head(&event).await?;
        let object = match Object::head(&self.s3, &created.bucket, &created.key).await {
            Err(error) if error.class() == Class::Retry => return Err(error),
            object => object,
        };
        Ok(Found {
            table_id,
            schema: described.ok().map(|(schema, _)| Arc::new(schema)),
            event,
            head,
            object,
        })
    }

    /// Sends a message to the queue by which events come.
    pub(crate) async fn send(
        &self,
        queue_url: &str,
        message: &Value,
        delay: Duration,
    ) -> Result<(), Error> {
        self.sqs
            .send_message()
            .queue_url(queue_url)
            .message_body(message.to_string())
            .delay_seconds(delay.as_secs() as i32)
            .send()
            .await
            .map(drop)
            .map_err(|e| service_error("SendMessage", queue_url, e))
    }

    /// Where the reports of a job are.
    pub(crate) fn reports(&self, job: &Job) -> Reports {
        Reports {
            bucket: job.bucket.clone(),
            prefix: job.job_key().report_prefix(&self.config.report_prefix),
        }
    }

    /// Runs `import`, and asks `stop` once imports are to stop.
    pub(crate) async fn stopped_by<T>(&self, stop: Stop, import: impl Future<Output = T>) -> T {
        let mut stopping = self.stopping.subscribe();
        let mut import = std::pin::pin!(import);
        tokio::select! {
            ended = &mut import => return ended,
            // The sender lives in `self`, so this is no error.
            why = stopping.wait_for(Option::is_some) => {
                if let Some(why) = why.ok().and_then(|why| *why) {
                    stop.request(why);
                }
            }
        }
        import.await
    }
}
