//! `intake validate`.

use std::sync::Arc;

use importer::decode::DecodeOptions;
use importer::pipeline::ImportOptions;
use importer::schema::Schema;
use importer::table;

use crate::args::ValidateArgs;
use crate::aws::Clients;
use crate::input::Input;
use crate::job::Job;
use crate::outcome::{Failure, Outcome};
use crate::stack::LocalStack;

/// What the table is called where none is named.
const NO_TABLE: &str = "-";

/// Checks files one after the other. One that fails does not keep the next from being checked.
///
/// # Errors
///
/// Whatever keeps all files from being checked.
pub async fn run(args: ValidateArgs) -> Result<Outcome, Failure> {
    if args.rejects.is_some() && args.sources.len() > 1 {
        return Err(Failure::usage("--rejects is for one file at a time")
            .fix("validate the files one by one"));
    }
    let needs_clients = args.table.is_some()
        || args
            .sources
            .iter()
            .any(|input| matches!(input, Input::Object { .. }));
    if !needs_clients {
        return validate(args, None).await;
    }
    if !args.local {
        let clients = Clients::from_environment().await?;
        return validate(args, Some(&clients)).await;
    }
    let stack = LocalStack::find_or_start().await?;
    let ended = validate(args, Some(&Clients::for_local(stack.endpoints()))).await;
    stack.release().await;
    ended
}

async fn validate(args: ValidateArgs, clients: Option<&Clients>) -> Result<Outcome, Failure> {
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
        let job = Job {
            input,
            schema: Arc::clone(&schema),
            options: options.clone(),
            rejects: args.rejects.clone(),
            quiet: args.quiet,
        };
        match (job.check(clients.map(|clients| &clients.s3)).await, outcome) {
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
