//! `intake import` and `intake validate`.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use encoding_rs::Encoding;
use importer::import::MaxRejects;
use importer::write::WriterKind;
use rows::{DecodeOptions, Engine, Format, KeyAttribute, KeyType, Types};

use super::help::{IMPORT_HELP, VALIDATE_HELP};
use super::workers::{WorkersArgs, up_to};
use crate::input::Input;

/// What follows `intake import`.
#[derive(Debug, Args)]
#[command(after_long_help = IMPORT_HELP)]
pub struct ImportArgs {
    /// A file, an object as s3://bucket/key, or - for standard input
    #[arg(value_name = "PATH | s3://BUCKET/KEY | -")]
    pub source: Input,

    /// The table to write to: its name or ARN
    #[arg(long)]
    pub table: String,

    /// Use the local stack: the one that `intake local` keeps up, or else one for this import only
    #[cfg(feature = "local")]
    #[arg(long)]
    pub local: bool,

    /// Write at most N write capacity units a second [default: no cap; backs off when throttled]
    #[arg(long, value_name = "N")]
    pub max_wcu: Option<NonZeroU32>,

    /// The table of jobs, through which all imports of the table share the cap of --max-wcu, deployed ones too [default:
    /// $INTAKE_JOBS_TABLE, or else the cap is this import's own, and with --workers ImportJobs]
    #[arg(long, value_name = "NAME")]
    pub jobs_table: Option<String>,

    /// Write with N requests at a time
    #[arg(long, value_name = "N", value_parser = up_to::<LANES_MAX>)]
    pub lanes: Option<NonZeroUsize>,

    /// How requests get to DynamoDB; both write the same rows
    #[arg(long, value_enum, default_value_t)]
    pub writer: Writer,

    /// Write rejected rows to FILE, one JSON object a line [default: the first ones are shown]
    ///
    /// FILE may not be the input. It is replaced when the import ends, also by Ctrl-C or a failure; until then the rows are in a
    /// file intake-rejects-….partial beside it. What is no regular file, such as /dev/stdout, is written to at once.
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,

    /// Fail once more than this many rows, or this share of them, are rejected: 1000 or 5% [default: any number may be]
    #[arg(long, value_name = "ROWS | PERCENT%", value_parser = MaxRejects::from_str)]
    pub max_rejects: Option<MaxRejects>,

    /// Read and check everything against the table's key, write nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Show no progress
    #[arg(long, short)]
    pub quiet: bool,

    /// By how many processes
    #[command(flatten)]
    pub workers: WorkersArgs,

    /// How to read the rows
    #[command(flatten)]
    pub reading: ReadingArgs,
}

/// How requests get to DynamoDB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Writer {
    /// Intake signs and sends requests itself, with a connection for each lane: a fraction of the CPU time
    #[default]
    Wire,
    /// Through the AWS SDK's client: to compare, if you suspect the other one, or where it says that it cannot
    Sdk,
}

impl From<Writer> for WriterKind {
    fn from(writer: Writer) -> Self {
        match writer {
            Writer::Wire => Self::Wire,
            Writer::Sdk => Self::Sdk,
        }
    }
}

/// More than a thousand connections at once help no table, and may well exceed what the system allows.
const LANES_MAX: usize = 1024;

/// What follows `intake validate`.
#[derive(Debug, Args)]
#[command(after_long_help = VALIDATE_HELP)]
pub struct ValidateArgs {
    /// Files, objects as s3://bucket/key, or - for standard input
    #[arg(value_name = "PATH | s3://BUCKET/KEY | -", required = true)]
    pub sources: Vec<Input>,

    /// The table's key: NAME:TYPE of the partition key, then of the sort key if there is one; types are S, N, B
    #[arg(
        long,
        value_name = "NAME:TYPE[,NAME:TYPE]",
        default_value = "productId:S"
    )]
    pub key: Key,

    /// Take the key from this table instead
    #[arg(long, conflicts_with = "key")]
    pub table: Option<String>,

    /// Use the local stack
    #[cfg(feature = "local")]
    #[arg(long)]
    pub local: bool,

    /// Write rejected rows to FILE, one JSON object a line [default: the first ones are shown]
    ///
    /// FILE may not be the input. It is replaced when the import ends, also by Ctrl-C or a failure; until then the rows are in a
    /// file intake-rejects-….partial beside it. What is no regular file, such as /dev/stdout, is written to at once.
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,

    /// Fail once more than this many rows, or this share of them, are rejected: 1000 or 5% [default: any number may be]
    #[arg(long, value_name = "ROWS | PERCENT%", value_parser = MaxRejects::from_str)]
    pub max_rejects: Option<MaxRejects>,

    /// Show no progress
    #[arg(long, short)]
    pub quiet: bool,

    /// How to read the rows
    #[command(flatten)]
    pub reading: ReadingArgs,
}

/// A table's key as `--key` gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The partition key.
    pub partition: KeyAttribute,
    /// The sort key, if there is one.
    pub sort: Option<KeyAttribute>,
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut attributes = text.split(',').map(|pair| {
            // The last colon divides, so that an attribute name may hold one.
            let (name, key_type) = pair
                .trim()
                .rsplit_once(':')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| format!("\"{pair}\" is not NAME:TYPE, for example productId:S"))?;
            Ok::<_, String>((name, key_type.parse::<KeyType>()?))
        });
        // `split` gives at least one part.
        let (name, key_type) = attributes.next().unwrap_or_else(|| Err(String::new()))?;
        let partition = KeyAttribute::partition(name, key_type);
        let sort = attributes
            .next()
            .transpose()?
            .map(|(name, key_type)| KeyAttribute::sort(name, key_type));
        if attributes.next().is_some() {
            return Err("a key has at most two attributes, partition key and sort key".to_owned());
        }
        Ok(Self { partition, sort })
    }
}

/// How to read the rows of a file.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reading")]
pub struct ReadingArgs {
    /// The format [default: found out from the content]
    #[arg(long, value_enum)]
    pub format: Option<FileFormat>,

    /// Types of attributes, as NAME:TYPE with S, N, B or BOOL; a row whose value does not fit is rejected
    ///
    /// In CSV, cells that are JSON numbers are otherwise N and all others S; the table's key decides for itself.
    #[arg(
        long,
        value_name = "NAME:TYPE,…",
        default_value = "",
        hide_default_value = true
    )]
    pub types: Types,

    /// The character between CSV cells: one character, or tab [default: found out from the header]
    #[arg(long, value_name = "CHARACTER", value_parser = importer::function::delimiter)]
    pub delimiter: Option<u8>,

    /// The file's encoding by its WHATWG name, such as windows-1252 [default: UTF-8, or UTF-16 by byte order mark]
    #[arg(long, value_name = "NAME", value_parser = rows::encoding)]
    pub encoding: Option<&'static Encoding>,

    /// Where the array of rows is inside a JSON object, as a JSON pointer such as /Items
    #[arg(long, value_name = "POINTER")]
    pub rows_at: Option<String>,
    /// How the text becomes rows: fast, or reference, which is slower and simpler; the rows are the same
    #[arg(long, value_name = "DECODER", default_value = "fast", value_parser = Engine::from_str)]
    pub decoder: Engine,
}

/// The formats that can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FileFormat {
    /// One JSON array of objects
    Json,
    /// JSON Lines: one object a line
    Jsonl,
    /// DynamoDB JSON: lines {"Item":{…}}, or an array of typed items with --rows-at
    DdbJson,
    /// Comma-separated values with a header
    Csv,
    /// Tab-separated values with a header
    Tsv,
}

impl From<ReadingArgs> for DecodeOptions {
    fn from(args: ReadingArgs) -> Self {
        let is_tsv = args.format == Some(FileFormat::Tsv);
        Self {
            format: args.format.map(|format| match format {
                FileFormat::Json => Format::Json,
                FileFormat::Jsonl => Format::JsonLines,
                FileFormat::DdbJson => Format::DynamoDbJson,
                FileFormat::Csv | FileFormat::Tsv => Format::Csv,
            }),
            types: args.types,
            delimiter: args.delimiter.or(is_tsv.then_some(b'\t')),
            encoding: args.encoding,
            rows_at: args.rows_at,
            engine: args.decoder,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_one_or_two_typed_attributes() {
        let cases = [
            ("productId:S", Ok(("productId", KeyType::S, None))),
            (
                "a:b:N, c:B",
                Ok(("a:b", KeyType::N, Some(("c", KeyType::B)))),
            ),
            ("productId", Err("\"productId\" is not NAME:TYPE")),
            (":S", Err("\":S\" is not NAME:TYPE")),
            ("a:X", Err("X is not a key type")),
            ("a:S,b:S,c:S", Err("a key has at most two")),
            ("", Err("\"\" is not NAME:TYPE")),
        ];
        for (text, expected) in cases {
            match (text.parse::<Key>(), expected) {
                (Ok(key), Ok((name, key_type, sort))) => {
                    assert_eq!(
                        key.partition,
                        KeyAttribute::partition(name, key_type),
                        "{text}"
                    );
                    let sort = sort.map(|(name, key_type)| KeyAttribute::sort(name, key_type));
                    assert_eq!(key.sort, sort, "{text}");
                }
                (Err(error), Err(start)) => assert!(error.starts_with(start), "{text}: {error}"),
                (got, expected) => panic!("{text}: {got:?}, not {expected:?}"),
            }
        }
    }
}
