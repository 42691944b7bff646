//! The `intake` command as a library, so that its parts can be tested and its test data used from other crates.

pub mod args;
pub mod aws;
pub mod cancel;
pub mod demo;
pub mod doctor;
pub mod generate;
pub mod import;
pub mod inbox;
pub mod input;
pub mod job;
pub mod jobs;
pub mod outcome;
pub mod progress;
pub mod signal;
pub mod stack;
pub mod state;
pub mod status;
pub mod table;
pub mod validate;
pub mod watch;
pub mod workers;

use std::io::{self, BufWriter};
use std::process::ExitCode;

use args::{Cli, Command, Function, GenerateArgs};
use generate::Generator;
use outcome::{Failure, Outcome};
use tracing_subscriber::EnvFilter;

/// Bytes collected before they are written to standard output.
const OUTPUT_BUFFER_BYTES: usize = 64 * 1024;

/// What is logged if `RUST_LOG` does not say: whatever needs somebody's attention.
const LOG_FILTER: &str = "error";
/// The same for `intake local`, where what the functions log is part of what one wants to see. What S3 refuses is no error of
/// the stack: its client hears of it.
const LOG_FILTER_LOCAL: &str = "warn,lambda=debug,s3s::ops=off";

/// Does what the command line asks for and says how it ended.
pub fn run(cli: Cli) -> ExitCode {
    match &cli.command {
        // The functions log as Lambda wants it.
        Some(Command::Lambda { .. }) => {}
        // Whoever has started it tells what went wrong.
        Some(Command::Worker) => log("off"),
        Some(Command::Local(_)) => log(LOG_FILTER_LOCAL),
        _ => log(LOG_FILTER),
    }
    let ended = match cli.command {
        Some(Command::Generate(args)) => generate(&args),
        command => run_on_runtime(command),
    };
    match ended {
        Ok(outcome) => outcome.into(),
        Err(failure) => failure.report(),
    }
}

fn log(filter: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(filter));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
}

fn run_on_runtime(command: Option<Command>) -> Result<Outcome, Failure> {
    let mut builder = match &command {
        // The services of the local stack do not wait for each other.
        None | Some(Command::Local(_)) => tokio::runtime::Builder::new_multi_thread(),
        // An import decodes on a thread of its own. One more is enough for all of its lanes, and cheaper than several
        // that wake each other.
        Some(_) => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|error| Failure::caused("cannot start the runtime", &error))?;
    let ended = runtime.block_on(run_async(command));
    // An aborted import may have left a thread that waits for its input for ever.
    runtime.shutdown_background();
    ended
}

async fn run_async(command: Option<Command>) -> Result<Outcome, Failure> {
    match command {
        None => demo::run().await,
        Some(Command::Import(args)) => import::run(args).await,
        Some(Command::Validate(args)) => validate::run(args).await,
        Some(Command::Status(args)) => status::run(&args).await,
        Some(Command::Cancel(args)) => cancel::run(&args).await,
        Some(Command::Doctor(args)) => doctor::run(&args).await,
        Some(Command::Local(args)) => stack::run(&args).await,
        Some(Command::Generate(args)) => generate(&args),
        Some(Command::Worker) => Box::pin(workers::worker::run()).await,
        Some(Command::Lambda { function }) => lambda(function).await,
    }
}

fn generate(args: &GenerateArgs) -> Result<Outcome, Failure> {
    Generator::new(args.rows, args.shape, args.format)
        .seed(args.seed)
        .duplicates_percent(args.duplicates)
        .write_to(&mut BufWriter::with_capacity(
            OUTPUT_BUFFER_BYTES,
            io::stdout().lock(),
        ))?;
    Ok(Outcome::Complete)
}

async fn lambda(function: Function) -> Result<Outcome, Failure> {
    let ended = match function {
        Function::Importer => importer::lambda::run().await,
        Function::Notifier => notifier::lambda::run().await,
    };
    ended
        .map(|()| Outcome::Complete)
        .map_err(|error| Failure::caused("the function's runtime ended", &*error))
}
