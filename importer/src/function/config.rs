//! How the function is set up, and how a file says that it is to be read.

use std::collections::HashMap;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::str::FromStr;
use std::time::Duration;

use rows::{DecodeOptions, Engine, Format};

use crate::error::Error;
use crate::import::MaxRejects;
use crate::write::{REQUEST_LASTS, WriterKind};

/// How often a job is saved if nothing else is asked for.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(3);

/// Bytes of an object from which on it is large, if nothing else is asked for.
const LARGE_BYTES: u64 = 10 * 1024 * 1024 * 1024;

/// Bytes of a range, if nothing else is asked for.
const RANGE_BYTES: NonZeroU64 = NonZeroU64::new(256 * 1024 * 1024).unwrap();

/// How the function is set up, by environment variables.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `INTAKE_TABLE`: the table's name or ARN. Default `InventoryTable`.
    pub table: String,
    /// `INTAKE_REPORT_PREFIX`: where reports go in the file's bucket. Objects there are never imported.
    /// Default `reports/`.
    pub report_prefix: String,
    /// `INTAKE_MAX_WCU`: cap on the write rate in WCU a second, of all imports of the table together. Default none.
    pub max_wcu: Option<NonZeroU32>,
    /// `INTAKE_JOBS_TABLE`: the table of jobs. Default `ImportJobs`.
    pub jobs_table: String,
    /// `INTAKE_QUEUE_URL`: the queue by which events come, to go on with a file in another invocation. Without it a file
    /// must be imported in the invocations that its event gets.
    pub queue_url: Option<String>,
    /// `INTAKE_TOPIC_ARN`: the topic that is told when a job ends. Default none.
    pub topic_arn: Option<String>,
    /// `INTAKE_LARGE_STATE_MACHINE_ARN`: the state machine that imports large objects by many importers at once. Default
    /// none: this function imports them by itself, however long that takes.
    pub large_state_machine_arn: Option<String>,
    /// `INTAKE_LARGE_BYTES`: objects larger than this are handed to that state machine, if each of their rows has a key of its
    /// own. Default 10 GiB.
    pub large_bytes: u64,
    /// `INTAKE_RANGE_BYTES`: bytes of the ranges that a large object is cut into. Default 256 MiB.
    pub range_bytes: NonZeroU64,
    /// `INTAKE_LANES`: requests at once. Default 16.
    pub lanes: Option<NonZeroUsize>,
    /// `INTAKE_MAX_REJECTS`: rows, or a percentage of them, that may be rejected before a file has failed. Default all.
    pub max_rejects: Option<MaxRejects>,
    /// `INTAKE_CHECKPOINT_SECONDS`: how often to save how far a job is. Default 3.
    pub checkpoint_every: Duration,
    /// `INTAKE_REQUEST_LASTS_SECONDS`: how long after it was sent a request without an answer may be carried out. Newer rows
    /// of its keys wait for that. Default 630, which AWS' signatures and clocks demand.
    pub request_lasts: Duration,
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
            jobs_table: set("INTAKE_JOBS_TABLE").unwrap_or_else(|| "ImportJobs".to_owned()),
            queue_url: set("INTAKE_QUEUE_URL"),
            topic_arn: set("INTAKE_TOPIC_ARN"),
            large_state_machine_arn: set("INTAKE_LARGE_STATE_MACHINE_ARN"),
            large_bytes: parsed(set, "INTAKE_LARGE_BYTES", "a number of bytes")?
                .unwrap_or(LARGE_BYTES),
            range_bytes: parsed(set, "INTAKE_RANGE_BYTES", "a number of bytes from 1")?
                .unwrap_or(RANGE_BYTES),
            max_rejects: parsed(
                set,
                "INTAKE_MAX_REJECTS",
                "a number of rows, or a percentage such as 5%",
            )?,
            checkpoint_every: seconds(set, "INTAKE_CHECKPOINT_SECONDS")?
                .unwrap_or(CHECKPOINT_EVERY),
            request_lasts: request_lasts(set)?,
            max_wcu: parsed(set, "INTAKE_MAX_WCU", "a whole number from 1")?,
            lanes: parsed(set, "INTAKE_LANES", "a whole number from 1")?,
            writer: parsed(set, "INTAKE_WRITER", "wire or sdk")?.unwrap_or_default(),
        })
    }
}

/// `INTAKE_REQUEST_LASTS_SECONDS`: see [`Config::request_lasts`].
///
/// # Errors
///
/// [`Error::Unusable`] if it is no number of seconds.
pub fn request_lasts(variable: impl Fn(&str) -> Option<String>) -> Result<Duration, Error> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    Ok(seconds(set, "INTAKE_REQUEST_LASTS_SECONDS")?.unwrap_or(REQUEST_LASTS))
}

fn parsed<T: FromStr>(
    variable: impl Fn(&str) -> Option<String>,
    name: &str,
    expected: &str,
) -> Result<Option<T>, Error> {
    let parse = |value: String| value.parse().map_err(|_| unusable(name, &value, expected));
    variable(name).map(parse).transpose()
}

fn seconds(
    variable: impl Fn(&str) -> Option<String>,
    name: &str,
) -> Result<Option<Duration>, Error> {
    let parse = |value: String| {
        let seconds: Option<f64> = value.parse().ok();
        seconds
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .ok_or_else(|| unusable(name, &value, "a number of seconds"))
    };
    variable(name).map(parse).transpose()
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
            .map(rows::encoding)
            .transpose()
            .map_err(|e| misfit("intake-encoding", e))?,
        rows_at: get("intake-rows-at").map(str::to_owned),
        // How a file is decoded is for whoever runs the importer to say, not for whoever uploads.
        engine: Engine::default(),
    })
}

/// The metadata that says of an object that each of its rows has a key of its own: `x-amz-meta-intake-unique-keys: true`.
const UNIQUE_KEYS: &str = "intake-unique-keys";

/// Whether an object's metadata says that each of its rows has a key of its own, so that the order in which they are written
/// does not matter.
///
/// # Errors
///
/// [`Error::Unusable`] if it says neither `true` nor `false`.
#[allow(
    clippy::implicit_hasher,
    reason = "the SDK gives metadata with the default one"
)]
pub fn has_unique_keys(metadata: &HashMap<String, String>) -> Result<bool, Error> {
    match metadata.get(UNIQUE_KEYS).map(String::as_str) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(Error::Unusable {
            problem: format!(
                "object metadata x-amz-meta-{UNIQUE_KEYS}: \"{}\" is neither true nor false",
                rows::quoted(other)
            ),
            fix: "upload the object again with metadata that fits".to_owned(),
        }),
    }
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
            "\"{}\" is not a delimiter; give one character, such as , or ; or | or tab",
            rows::quoted(name)
        )),
    }
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
            ("INTAKE_MAX_REJECTS", "5%"),
            ("INTAKE_CHECKPOINT_SECONDS", "0.5"),
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
        assert_eq!(set.max_rejects, Some(MaxRejects::Percent(5.0)));
        assert_eq!(set.checkpoint_every, Duration::from_millis(500));
        for (name, value) in [
            ("INTAKE_MAX_WCU", "0"),
            ("INTAKE_WRITER", "boto3"),
            ("INTAKE_MAX_REJECTS", "many"),
            ("INTAKE_MAX_REJECTS", "101%"),
            ("INTAKE_CHECKPOINT_SECONDS", "-1"),
        ] {
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
}
