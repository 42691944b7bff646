//! `intake import`.

use std::sync::Arc;

use importer::decode::DecodeOptions;
use importer::pipeline::ImportOptions;
use importer::table;
use local::Endpoints;

use crate::args::ImportArgs;
use crate::aws::Clients;
use crate::job::Job;
use crate::outcome::{Failure, Outcome};
use crate::stack::LocalStack;
use crate::workers;

/// Imports a file, into the caller's table or a local one.
///
/// # Errors
///
/// Whatever keeps the file from being imported to its end.
pub async fn run(args: ImportArgs) -> Result<Outcome, Failure> {
    if !args.local {
        let clients = Clients::from_environment().await?;
        return import(args, &clients, None).await;
    }
    let stack = LocalStack::find_or_start().await?;
    let endpoints = stack.endpoints();
    let ended = import(args, &Clients::for_local(endpoints), Some(endpoints)).await;
    stack.release().await;
    ended
}

async fn import(
    args: ImportArgs,
    clients: &Clients,
    endpoints: Option<&Endpoints>,
) -> Result<Outcome, Failure> {
    if args.workers.workers.is_some() {
        return Box::pin(workers::run(args, clients, endpoints)).await;
    }
    let schema = table::describe(&clients.dynamodb, &args.table).await?;
    let defaults = ImportOptions::default();
    let job = Job {
        input: args.source,
        schema: Arc::new(schema),
        options: ImportOptions {
            decode: DecodeOptions::from(args.reading),
            lanes: args.lanes.unwrap_or(defaults.lanes),
            max_wcu: args.max_wcu,
            max_rejects: args.max_rejects,
            ..defaults
        },
        rejects: args.rejects,
        quiet: args.quiet,
    };
    if args.dry_run {
        job.check(Some(&clients.s3)).await
    } else {
        job.write(clients, args.writer.into()).await
    }
}
