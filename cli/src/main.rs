//! `intake`: see [`intake::args`] for what it understands.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    intake::run(intake::args::Cli::parse())
}
