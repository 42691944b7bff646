//! The importer as a Lambda function: `ProcessInventoryFile`.

use std::collections::HashMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_lambda_events::sqs::SqsBatchResponse;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::decode::{DecodeOptions, Engine, Format};
use crate::error::Error;
use crate::event::{self, Event, ObjectCreated};
use crate::pipeline::{Import, ImportOptions, Stop};
use crate::progress::Progress;
use crate::report::RejectObject;
use crate::source::Object;
use crate::summary::{Failure, Status, Summary};
use crate::wire::WireWriter;
use crate::writer::{SdkWriter, WriterKind};
use crate::{aws, table, text};

/// Time kept at the end of an invocation to write what has been read; at most a quarter of it.
const DRAIN: Duration = Duration::from_secs(30);
/// Time kept after that to write the summary; at most a twentieth.
const FINISH: Duration = Duration::from_secs(5);

/// How the function is set up, by environment variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `INTAKE_TABLE`: the table's name or ARN. Default `InventoryTable`.
    pub table: String,
    /// `INTAKE_REPORT_PREFIX`: where reports go in the file's bucket. Objects there are never imported.
    /// Default `reports/`.
    pub report_prefix: String,
    /// `INTAKE_MAX_WCU`: cap on the write rate in WCU a second. Default none.
    pub max_wcu: Option<NonZeroU32>,
    /// `INTAKE_LANES`: requests at once. Default 16.
    pub lanes: Option<NonZeroUsize>,
    /// `INTAKE_WRITER`: `wire`, or `sdk` to write through the AWS SDK. Default `wire`.
    pub writer: WriterKind,
}

impl Config {
    /// Reads the configuration from `variable`, which is [`std::env::var`] but in tests.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] that names the variable whose value does not fit.
    pub fn from_env(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        Ok(Self {
            table: set("INTAKE_TABLE").unwrap_or_else(|| "InventoryTable".to_owned()),
            report_prefix: set("INTAKE_REPORT_PREFIX").unwrap_or_else(|| "reports/".to_owned()),
            max_wcu: parsed(
                "INTAKE_MAX_WCU",
                set("INTAKE_MAX_WCU"),
                "a whole number from 1",
            )?,
            lanes: parsed("INTAKE_LANES", set("INTAKE_LANES"), "a whole number from 1")?,
            writer: parsed("INTAKE_WRITER", set("INTAKE_WRITER"), "wire or sdk")?
                .unwrap_or_default(),
        })
    }
}

fn parsed<T: FromStr>(
    name: &str,
    value: Option<String>,
    expected: &str,
) -> Result<Option<T>, Error> {
    let parse = |value: String| value.parse().map_err(|_| unusable(name, &value, expected));
    value.map(parse).transpose()
}

fn unusable(name: &str, value: &str, expected: &str) -> Error {
    Error::Unusable {
        problem: format!("{name} is \"{value}\""),
        fix: format!("set it to {expected}"),
    }
}

/// How an object's metadata says it is to be read: `x-amz-meta-intake-format`, `-types`, `-delimiter`, `-encoding`,
/// `-rows-at`, with the values of the command line's flags of these names.
///
/// # Errors
///
/// [`Error::Unusable`] that names the metadata whose value does not fit.
#[allow(
    clippy::implicit_hasher,
    reason = "the SDK gives metadata with the default one"
)]
pub fn options_from_metadata(metadata: &HashMap<String, String>) -> Result<DecodeOptions, Error> {
    let get = |name: &str| metadata.get(name).map(String::as_str);
    let misfit = |name: &str, problem: String| Error::Unusable {
        problem: format!("object metadata x-amz-meta-{name}: {problem}"),
        fix: "upload the object again with metadata that fits".to_owned(),
    };
    Ok(DecodeOptions {
        format: get("intake-format")
            .map(Format::from_str)
            .transpose()
            .map_err(|e| misfit("intake-format", e))?,
        types: get("intake-types")
            .unwrap_or_default()
            .parse()
            .map_err(|e| misfit("intake-types", e))?,
        delimiter: get("intake-delimiter")
            .map(delimiter)
            .transpose()
            .map_err(|e| misfit("intake-delimiter", e))?,
        encoding: get("intake-encoding")
            .map(text::encoding)
            .transpose()
            .map_err(|e| misfit("intake-encoding", e))?,
        rows_at: get("intake-rows-at").map(str::to_owned),
        // How a file is decoded is for whoever runs the importer to say, not for whoever uploads.
        engine: Engine::default(),
    })
}

/// A CSV delimiter by its character or as `tab`.
///
/// # Errors
///
/// A sentence if it is not one ASCII character.
pub fn delimiter(name: &str) -> Result<u8, String> {
    match name.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
        _ => Err(format!(
            "\"{name}\" is not a delimiter; give one character, such as , or ; or | or tab"
        )),
    }
}

/// The function's main loop: what `main` runs.
///
/// # Errors
///
/// If the configuration does not fit, or Lambda's runtime API cannot be reached.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let config = Config::from_env(|name| std::env::var(name).ok())
        .map_err(|e| format!("{}; {}", e.chain(), e.fix().unwrap_or_default()))?;
    let importer = Importer::new(config, aws::sdk_config().await);
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| {
        let deadline = event.context.deadline();
        importer.handle(event.payload, deadline)
    }))
    .await
}

/// The function, set up for any number of invocations.
pub struct Importer {
    config: Config,
    sdk: SdkConfig,
    s3: aws_sdk_s3::Client,
    dynamodb: aws_sdk_dynamodb::Client,
}

/// When an invocation must be where.
#[derive(Debug, Clone, Copy)]
struct Deadlines {
    stop_reading: Instant,
    give_up: Instant,
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
        }
    }
}

impl Importer {
    /// The function with the clients of `sdk`.
    pub fn new(config: Config, sdk: SdkConfig) -> Self {
        Self {
            config,
            s3: aws_sdk_s3::Client::new(&sdk),
            dynamodb: aws_sdk_dynamodb::Client::new(&sdk),
            sdk,
        }
    }

    /// Handles one invocation, which ends at `deadline`.
    ///
    /// # Errors
    ///
    /// If an object of a bare event is not imported whole. From a queue, such a message is in the answer's
    /// `batchItemFailures` instead, and comes again.
    pub async fn handle(
        &self,
        event: Value,
        deadline: SystemTime,
    ) -> Result<Value, lambda_runtime::Error> {
        let deadlines = Deadlines::new(deadline);
        match event::parse(event)? {
            Event::Objects(objects) => {
                let mut failures = Vec::new();
                for object in &objects {
                    if let Err(failure) = self.object(object, deadlines).await {
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
                    if !self.message(&message.objects, deadlines).await {
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
            done &= self.object(object, deadlines).await.is_ok();
        }
        done
    }

    /// Imports an object, unless it is none to import. The error is for people.
    async fn object(&self, created: &ObjectCreated, deadlines: Deadlines) -> Result<(), String> {
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
            tracing::warn!(
                object = url,
                "not begun: no time is left in this invocation"
            );
            return Err(format!("{url}: no time was left to begin"));
        }
        let job = job_id(created);
        let began = Instant::now();
        let summary = match self.import(created, &url, &job, deadlines).await {
            Ok(summary) => summary,
            Err(error) => Summary::not_begun(
                url.clone(),
                self.config.table.clone(),
                &error,
                began.elapsed(),
            ),
        };
        let failure = summary.failure.as_ref().map(Failure::to_string);
        match summary.status {
            Status::Failed => tracing::error!(
                job,
                object = url,
                rows_read = summary.counts.rows_read,
                rows_written = summary.counts.rows_written,
                failure,
                "import failed"
            ),
            Status::Completed | Status::CompletedWithRejects => tracing::info!(
                job,
                object = url,
                status = ?summary.status,
                rows_read = summary.counts.rows_read,
                rows_written = summary.counts.rows_written,
                rows_superseded = summary.counts.rows_superseded,
                rows_rejected = summary.counts.rows_rejected,
                consumed_wcu = summary.counts.consumed_wcu,
                throttles = summary.counts.throttles,
                duration_seconds = summary.duration_seconds,
                "import ended"
            ),
        }
        let key = format!("{}{job}/summary.json", self.config.report_prefix);
        let put = self
            .s3
            .put_object()
            .bucket(&created.bucket)
            .key(&key)
            .content_type("application/json");
        if let Err(error) = put.body(summary.to_json().into_bytes().into()).send().await {
            let error = aws::service_error(
                "PutObject",
                &format!("s3://{}/{key}", created.bucket),
                error,
            );
            tracing::error!(
                job,
                error = error.chain(),
                fix = error.fix(),
                "summary not written"
            );
            let unwritten = format!("the summary was not written: {}", Failure::from(&error));
            return Err(match failure {
                Some(failure) => format!("{url}: {failure}; {unwritten}"),
                None => format!("{url}: {unwritten}"),
            });
        }
        match failure {
            Some(failure) => Err(format!("{url}: {failure}")),
            None => Ok(()),
        }
    }

    async fn import(
        &self,
        created: &ObjectCreated,
        url: &str,
        job: &str,
        deadlines: Deadlines,
    ) -> Result<Summary, Error> {
        let version = created.version_id.as_deref();
        let object = Object::head(&self.s3, &created.bucket, &created.key, version).await?;
        let decode = options_from_metadata(&object.metadata)?;
        let schema = Arc::new(table::describe(&self.dynamodb, &self.config.table).await?);
        let default = ImportOptions::default();
        let options = ImportOptions {
            decode,
            lanes: self.config.lanes.unwrap_or(default.lanes),
            max_wcu: self.config.max_wcu,
            stop_reading_at: Some(deadlines.stop_reading),
            give_up_at: Some(deadlines.give_up),
            ..default
        };
        let rejects = format!("{}{job}/rejects.jsonl", self.config.report_prefix);
        let rejects = RejectObject::new(self.s3.clone(), created.bucket.clone(), rejects);
        let import = Import {
            name: url.to_owned(),
            source: object.source(&self.s3),
            schema: Arc::clone(&schema),
            options,
            progress: Arc::new(Progress::default()),
            stop: Stop::default(),
        };
        Ok(match self.config.writer {
            WriterKind::Wire => {
                let writer = WireWriter::new(&self.sdk, schema).await?;
                import.run(writer, rejects).await
            }
            WriterKind::Sdk => import.run(SdkWriter::new(&self.sdk, schema), rejects).await,
        })
    }
}

/// The name of the job that imports an object: the same for the same event however often it comes, and in the order of
/// the events' times.
fn job_id(created: &ObjectCreated) -> String {
    let mut hash = Sha256::new();
    let version = created.version_id.as_ref().or(created.etag.as_ref());
    for part in [
        Some(&created.bucket),
        Some(&created.key),
        version,
        created.sequencer.as_ref(),
    ] {
        hash.update(part.map_or("", String::as_str));
        hash.update([0]);
    }
    let digest = hash.finalize();
    // Eight bytes tell the objects of one moment apart.
    let hash = digest[..8]
        .iter()
        .fold(0, |hash, byte| hash << 8 | u64::from(*byte));
    let time = created.time.as_deref().unwrap_or_default();
    let time: String = time.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{time}-{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_read_or_named() {
        let env = |pairs: &'static [(&str, &str)]| {
            Config::from_env(move |name| {
                pairs
                    .iter()
                    .find(|(n, _)| *n == name)
                    .map(|(_, v)| (*v).to_owned())
            })
        };
        let default = env(&[]).unwrap();
        assert_eq!(default.table, "InventoryTable");
        assert_eq!(default.report_prefix, "reports/");
        assert_eq!(default.max_wcu, None);
        assert_eq!(default.writer, WriterKind::Wire);
        let set = env(&[
            ("INTAKE_TABLE", "T"),
            ("INTAKE_MAX_WCU", "500"),
            ("INTAKE_LANES", "4"),
            ("INTAKE_WRITER", "sdk"),
        ])
        .unwrap();
        assert_eq!(
            (set.table.as_str(), set.max_wcu, set.lanes, set.writer),
            (
                "T",
                NonZeroU32::new(500),
                NonZeroUsize::new(4),
                WriterKind::Sdk
            )
        );
        for (name, value) in [("INTAKE_MAX_WCU", "0"), ("INTAKE_WRITER", "boto3")] {
            let error = Config::from_env(|n| (n == name).then(|| value.to_owned())).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn metadata_sets_how_a_file_is_read() {
        let metadata = |pairs: &[(&str, &str)]| {
            let map = pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect();
            options_from_metadata(&map)
        };
        let options = metadata(&[
            ("intake-format", "csv"),
            ("intake-types", "price:N"),
            ("intake-delimiter", "tab"),
            ("intake-encoding", "windows-1252"),
        ])
        .unwrap();
        assert_eq!(options.format, Some(Format::Csv));
        assert_eq!(options.delimiter, Some(b'\t'));
        assert!(!options.types.is_empty() && options.encoding.is_some());
        for name in [
            "intake-format",
            "intake-types",
            "intake-delimiter",
            "intake-encoding",
        ] {
            assert!(
                metadata(&[(name, "no such thing")])
                    .unwrap_err()
                    .to_string()
                    .contains(name)
            );
        }
    }

    #[test]
    fn a_job_is_named_by_its_event_alone_and_in_order() {
        let created = ObjectCreated {
            bucket: "b".to_owned(),
            key: "uploads/a.json".to_owned(),
            version_id: None,
            etag: Some("e".to_owned()),
            sequencer: Some("01".to_owned()),
            time: Some("2026-11-23T10:00:00.000Z".to_owned()),
        };
        let id = job_id(&created);
        assert_eq!(id, job_id(&created.clone()));
        assert!(id.starts_with("20261123T100000000Z-"), "{id}");
        let later = ObjectCreated {
            time: Some("2026-11-23T10:00:01.000Z".to_owned()),
            ..created.clone()
        };
        assert!(job_id(&later) > id);
        let other = ObjectCreated {
            etag: Some("f".to_owned()),
            ..created
        };
        assert_ne!(job_id(&other), id);
    }
}
