//! What can be typed after `intake`: definitions and help only.

#![allow(
    clippy::doc_markdown,
    reason = "the documentation is the text of --help, where backticks only disturb"
)]

mod help;
mod jobs;
mod workers;

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use encoding_rs::Encoding;
use importer::decode::{DecodeOptions, Engine, Format};
use importer::pipeline::MaxRejects;
use importer::schema::{KeyAttribute, KeyType, Types};
use importer::writer::WriterKind;

use self::help::{CLI_HELP, EXIT_CODES, GENERATE_HELP, IMPORT_HELP, LOCAL_HELP, VALIDATE_HELP};
pub use self::jobs::{CancelArgs, DoctorArgs, JobsArgs, StatusArgs};
pub use self::workers::WorkersArgs;
use crate::generate;
use crate::inbox::Protocol;
use crate::input::Input;
use crate::stack::LOCAL_WINDOW;

/// Import product catalogs into DynamoDB tables.
///
/// Without a command, intake shows the whole flow on this machine, with no AWS account: it starts local stand-ins for
/// S3, DynamoDB, SQS, SNS and Lambda, uploads two small files, and prints the jobs, the table and the e-mail that come out.
#[derive(Debug, Parser)]
#[command(name = "intake", version, after_help = EXIT_CODES, after_long_help = CLI_HELP)]
pub struct Cli {
    /// What to do; the local demonstration if nothing is named.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands. Their documentation is here, not at their arguments: clap takes it from here.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Import a file into a DynamoDB table
    ///
    /// The table must exist; its key is read from it. Rows are put in file order for each key, so that the last row of a key
    /// wins. A row that DynamoDB would refuse is rejected with its reason, and the rows around it are written.
    ///
    /// Region and credentials come from where every AWS tool takes them: environment, profile, or the machine's role.
    /// The first Ctrl-C finishes the writes in flight and says where it stopped; the second one aborts.
    Import(ImportArgs),
    /// Check files as import would, without writing anything
    ///
    /// No AWS account is needed: name the key of the table with --key. With --table the key is read from the table.
    Validate(ValidateArgs),
    /// Show how far imports of uploaded files are, or how they ended
    ///
    /// Each uploaded version of a file has a job. Progress is that of the job's last checkpoint, which is saved every few
    /// seconds. Imports by `intake import` have no job, as they run where they were started; with --workers they have. A large
    /// object is imported in ranges, which are shown with it.
    Status(StatusArgs),
    /// Stop the import of an uploaded file
    ///
    /// The import stops at its next checkpoint and ends as CANCELLED. Rows written until then stay written, and its reports
    /// say how many those are.
    Cancel(CancelArgs),
    /// Check a deployment: what is wrong, and how to repair it
    ///
    /// Looks at the bucket and its trigger, the queues, both functions with what starts them and their roles, the tables,
    /// the stream, and the topic with its subscriptions; reads only, with your credentials. What they do not let it look at
    /// is told as not checked. Names that are not given are found out from the functions' own settings.
    Doctor(DoctorArgs),
    /// Keep a local stack running: S3, DynamoDB, SQS, SNS and both functions
    ///
    /// Prints the environment variables that make the AWS CLI, every AWS SDK and intake itself use it. A file put under
    /// uploads/ of its bucket is imported as on AWS. Everything is in memory or in a temporary folder and gone after
    /// Ctrl-C.
    Local(LocalArgs),
    /// Write test data to standard output
    ///
    /// The same arguments give the same bytes on every machine and in every release.
    Generate(GenerateArgs),
    /// Take steps of an import by several workers, from standard input
    #[command(hide = true)]
    Worker,
    /// Be the runtime of a Lambda function
    #[command(hide = true)]
    Lambda {
        /// Which function.
        #[arg(value_enum)]
        function: Function,
    },
}

/// The two Lambda functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Function {
    /// `ProcessInventoryFile`
    Importer,
    /// `NotifyInventoryUpdate`
    Notifier,
}

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
    #[arg(long, value_name = "N", value_parser = lanes)]
    pub lanes: Option<NonZeroUsize>,

    /// How requests get to DynamoDB; both write the same rows
    #[arg(long, value_enum, default_value_t)]
    pub writer: Writer,

    /// Write rejected rows to FILE, one JSON object a line [default: the first ones are shown]
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
    #[arg(long)]
    pub local: bool,

    /// Write rejected rows to FILE, one JSON object a line [default: the first ones are shown]
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
    #[arg(long, value_name = "CHARACTER", value_parser = importer::config::delimiter)]
    pub delimiter: Option<u8>,

    /// The file's encoding by its WHATWG name, such as windows-1252 [default: UTF-8, or UTF-16 by byte order mark]
    #[arg(long, value_name = "NAME", value_parser = importer::text::encoding)]
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

/// What follows `intake local`.
#[derive(Debug, Args)]
#[command(after_long_help = LOCAL_HELP)]
pub struct LocalArgs {
    /// Listen on N (S3), N+1 (DynamoDB), N+2 (SQS), N+3 (SNS), N+4 (Lambda), N+5 (IAM), N+6 (Cognito) and N+7 (the
    /// dashboard) [default: free ports]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=65528))]
    pub port: Option<u16>,

    /// Serve the dashboard that was built into this folder [default: dashboard/dist]
    #[arg(long, value_name = "DIR")]
    pub dashboard: Option<PathBuf>,

    /// Show messages as they come, as subscribers with these protocols get them [default: email]
    #[arg(long, value_name = "PROTOCOL", value_enum, value_delimiter = ',', num_args = 0.., default_missing_value = "email")]
    pub inbox: Option<Vec<Protocol>>,

    /// Tell changes of this many seconds in one message, 0 to 900; 0 for each batch at once. On AWS it is a minute.
    #[arg(long, value_name = "SECONDS", default_value_t = LOCAL_WINDOW.as_secs(), value_parser = clap::value_parser!(u64).range(..=900))]
    pub window: u64,

    /// Run the functions as they are deployed: the folder that `make build` or `sam build` has left them in
    #[arg(long, value_name = "DIR")]
    pub functions: Option<PathBuf>,
}

/// What follows `intake generate`.
#[derive(Debug, Args)]
#[command(after_long_help = GENERATE_HELP)]
pub struct GenerateArgs {
    /// How many rows
    #[arg(long, value_name = "N")]
    pub rows: u64,

    /// What a row holds
    #[arg(long, value_enum)]
    pub shape: generate::Shape,

    /// How rows are written
    #[arg(long, value_enum)]
    pub format: generate::Format,

    /// Another seed gives other values
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,

    /// About this share of the rows repeats the key of an earlier row
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub duplicates: u8,
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

/// More than a thousand connections at once help no table, and may well exceed what the system allows.
const LANES_MAX: usize = 1024;

fn lanes(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .ok()
        .filter(|lanes: &NonZeroUsize| lanes.get() <= LANES_MAX)
        .ok_or_else(|| format!("it must be a number from 1 to {LANES_MAX}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

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
