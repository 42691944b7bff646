//! The commands: one file each, which hands what was typed to the folder that does the work.
//!
//! Nothing here parses, imports or formats: that belongs to `args`, to `run` and `workers`, and to `terminal`.

mod cancel;
mod doctor;
mod generate;
mod import;
mod jobs_table;
mod lambda;
mod status;
mod validate;

use std::io;
use std::process::ExitCode;

use tokio::runtime::Builder;
use tracing_subscriber::EnvFilter;

use crate::args::{Cli, Command};
#[cfg(feature = "local")]
use crate::local_stack::{demo, serve};
use crate::terminal::{Failure, Outcome, forgive_reader};
use crate::workers::worker;

/// What is logged unless `RUST_LOG` says otherwise: whatever needs attention.
const LOG_FILTER: &str = "error";

/// Runs a command and returns its exit code.
pub fn dispatch(cli: Cli) -> ExitCode {
    // An import decodes on a thread of its own. One more is enough for all of its lanes, and cheaper than several that
    // wake each other.
    let one_thread = Builder::new_current_thread();
    let ended = match cli.command {
        // The services of the local stack do not wait for each other.
        #[cfg(feature = "local")]
        None => run(Builder::new_multi_thread(), Some(LOG_FILTER), demo::run()),
        #[cfg(not(feature = "local"))]
        None => {
            let printed = <Cli as clap::CommandFactory>::command().print_help();
            forgive_reader(printed.map(|()| Outcome::Complete).map_err(Failure::from))
        }
        #[cfg(feature = "local")]
        Some(Command::Local(args)) => {
            let threads = Builder::new_multi_thread();
            run(threads, Some(serve::LOG_FILTER), serve::run(&args))
        }
        Some(Command::Import(args)) => run(one_thread, Some(LOG_FILTER), import::run(args)),
        Some(Command::Validate(args)) => run(one_thread, Some(LOG_FILTER), validate::run(args)),
        Some(Command::Status(args)) => run(one_thread, Some(LOG_FILTER), status::run(&args)),
        Some(Command::Cancel(args)) => run(one_thread, Some(LOG_FILTER), cancel::run(&args)),
        Some(Command::Doctor(args)) => run(one_thread, Some(LOG_FILTER), doctor::run(&args)),
        Some(Command::Generate(args)) => generate::run(&args),
        // The process that started it reports what went wrong.
        Some(Command::Worker) => forgive_reader(run(one_thread, Some("off"), worker::run())),
        // A function sets up its logs itself, as Lambda expects them.
        Some(Command::Lambda { function }) => run(one_thread, None, lambda::run(function)),
    };
    match ended {
        Ok(outcome) => outcome.into(),
        Err(failure) => failure.report(),
    }
}

fn run(
    mut runtime: Builder,
    log_filter: Option<&str>,
    command: impl Future<Output = Result<Outcome, Failure>>,
) -> Result<Outcome, Failure> {
    if let Some(filter) = log_filter {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(filter));
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(io::stderr)
            // Where standard error is closed, to complain of that there would end the command.
            .log_internal_errors(false)
            .init();
    }
    let runtime = runtime
        .enable_all()
        .build()
        .map_err(|error| Failure::caused("cannot start the runtime", &error))?;
    let ended = runtime.block_on(command);
    // An aborted import may have left a thread that waits for its input for ever.
    runtime.shutdown_background();
    ended
}
