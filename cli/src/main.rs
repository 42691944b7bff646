//! `intake`: see [`intake::args`] for its commands.

use std::process::ExitCode;

use clap::Parser as _;
use intake::args::Cli;
use intake::terminal::{harmless, tell};

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => intake::commands::dispatch(cli),
        Err(error) if error.use_stderr() => {
            // What was typed is in the error, and must not do anything to the terminal.
            let typed = std::env::args_os().map(|arg| rows::prose(&arg.to_string_lossy()));
            match Cli::try_parse_from(typed) {
                Err(escaped) => escaped.exit(),
                Ok(_) => tell(harmless(error.to_string().trim_end())),
            }
            ExitCode::from(2)
        }
        Err(error) => error.exit(),
    }
}
