//! `intake`: see [`intake::args`] for its commands.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    intake::commands::dispatch(intake::args::Cli::parse())
}
