//! What every step of an invocation needs: the configuration, the clients, and what outlives an import.

use aws_config::SdkConfig;
use tokio::sync::watch;

use super::config::Config;
use crate::error::{Error, StopReason};
use crate::event::ObjectCreated;
use crate::import::{Object, Stop};
use crate::jobs::{Job, JobStore, Reports};
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
