//! `intake lambda`.

use crate::args::Function;
use crate::terminal::{Failure, Outcome};

/// Runs a function's main loop.
pub(super) async fn run(function: Function) -> Result<Outcome, Failure> {
    let ended = match function {
        Function::Importer => importer::run().await,
        Function::Notifier => notifier::function::run().await,
    };
    ended
        .map(|()| Outcome::Complete)
        .map_err(|error| Failure::caused("the function's runtime ended", &*error))
}
