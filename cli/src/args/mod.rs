//! What can be typed after `intake`: definitions and their help.
//!
//! Nothing here acts on what was typed: `commands` does, and the folders that take a command's arguments whole.

#![allow(
    clippy::doc_markdown,
    reason = "the documentation is the text of --help, where backticks only disturb"
)]

mod help;
mod import;
mod jobs;
#[cfg(feature = "local")]
mod local;
mod workers;

use clap::{Args, Parser, Subcommand, ValueEnum};

use self::help::{CLI_HELP, EXIT_CODES, GENERATE_HELP};
pub use self::import::{FileFormat, ImportArgs, Key, ReadingArgs, ValidateArgs, Writer};
pub use self::jobs::{CancelArgs, DoctorArgs, JobsArgs, StatusArgs};
#[cfg(feature = "local")]
pub use self::local::{LocalArgs, Protocol};
pub use self::workers::WorkersArgs;
use generator::{Format, Shape};

/// Import product catalogs into DynamoDB tables.
#[cfg_attr(
    feature = "local",
    doc = "",
    doc = "Without a command, intake shows the whole flow on this machine, with no AWS account: it starts local stand-ins for",
    doc = "S3, DynamoDB, SQS, SNS and Lambda, uploads two small files, and prints the jobs, the table and the e-mail that come out."
)]
#[derive(Debug, Parser)]
#[command(name = "intake", version, after_help = EXIT_CODES, after_long_help = CLI_HELP)]
pub struct Cli {
    /// What to do; by default the local demonstration, or else help.
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
    /// The first Ctrl-C finishes the writes in flight, drops the rows that wait, and says within seconds how many those are; the
    /// second one aborts.
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
    /// The import stops at its next checkpoint and ends as CANCELLED. Rows written until then stay written, and its summary
    /// says how many those are. What waits for the write rate is dropped.
    /// The job of an `intake import --workers` that has been stopped ends at once. Of one that was killed, the lease must be over
    /// first: --wait waits for that. That takes the credentials of an import.
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
    #[cfg(feature = "local")]
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

/// What follows `intake generate`.
#[derive(Debug, Args)]
#[command(after_long_help = GENERATE_HELP)]
pub struct GenerateArgs {
    /// How many rows
    #[arg(long, value_name = "N")]
    pub rows: u64,

    /// What a row holds
    #[arg(long, value_enum)]
    pub shape: Shape,

    /// How rows are written
    #[arg(long, value_enum)]
    pub format: Format,

    /// Another seed gives other values
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,

    /// About this share of the rows repeats the key of an earlier row
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub duplicates: u8,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[cfg(not(feature = "local"))]
    #[test]
    fn help_does_not_mention_what_is_not_built() {
        let mut command = Cli::command();
        command.build();
        let mut help = command.render_long_help().to_string();
        for command in command.get_subcommands_mut() {
            help.push_str(&command.render_long_help().to_string());
        }
        for word in [
            "stand-in",
            "--local",
            "intake local",
            "local stack",
            "local table",
            "locally",
        ] {
            assert!(!help.contains(word), "{word} in:\n{help}");
        }
    }
}
