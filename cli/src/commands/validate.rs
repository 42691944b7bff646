//! `intake validate`.

use std::sync::Arc;

use importer::import::{ImportOptions, RejectFile};
use importer::table;
use rows::{DecodeOptions, Schema};

use crate::args::ValidateArgs;
use crate::aws::Clients;
use crate::input::Input;
use crate::run::{Run, open_rejects};
use crate::terminal::{Failure, Outcome};

/// What the table is called where none is named.
const NO_TABLE: &str = "-";

/// Checks files one after the other. One that fails does not keep the next from being checked.
pub(super) async fn run(args: ValidateArgs) -> Result<Outcome, Failure> {
    if args.rejects.is_some() && args.sources.len() > 1 {
        return Err(Failure::usage("--rejects is for one file at a time")
            .fix("validate the files one by one"));
    }
    // There is one source at least, and one only if there is a file for its rejects.
    let rejects = match args.sources.first() {
        Some(input) => open_rejects(args.rejects.as_ref(), input)?,
        None => None,
    };
    let needs_clients = args.table.is_some()
        || args
            .sources
            .iter()
            .any(|input| matches!(input, Input::Object { .. }));
    if !needs_clients {
        return validate(args, rejects, None).await;
    }
    #[cfg(feature = "local")]
    if args.local {
        let stack = crate::local_stack::LocalStack::find_or_start().await?;
        let clients = Clients::for_local(&stack.endpoints);
        let ended = validate(args, rejects, Some(&clients)).await;
        stack.release().await;
        return ended;
    }
    validate(args, rejects, Some(&Clients::from_environment().await?)).await
}

async fn validate(
    args: ValidateArgs,
    mut rejects: Option<RejectFile>,
    clients: Option<&Clients>,
) -> Result<Outcome, Failure> {
    let schema = Arc::new(match (args.table, clients) {
        (Some(table), Some(clients)) => table::describe(&clients.dynamodb, &table).await?,
        _ => Schema::new(NO_TABLE, args.key.partition, args.key.sort),
    });
    let options = ImportOptions {
        decode: DecodeOptions::from(args.reading),
        max_rejects: args.max_rejects,
        ..ImportOptions::default()
    };
    let mut outcome = Outcome::Complete;
    for input in args.sources {
        let run = Run {
            input,
            schema: Arc::clone(&schema),
            options: options.clone(),
            rejects: rejects.take(),
            quiet: args.quiet,
        };
        match (run.check(clients.map(|clients| &clients.s3)).await, outcome) {
            (Err(failure), _) => {
                failure.report();
                outcome = Outcome::Failed;
            }
            (Ok(Outcome::Rejects), Outcome::Complete) => outcome = Outcome::Rejects,
            (Ok(_), _) => {}
        }
    }
    Ok(outcome)
}
