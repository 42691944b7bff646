//! `intake import`.

use std::sync::Arc;

use importer::function::request_lasts;
use importer::import::{ImportOptions, RejectFile};
use importer::table;
use importer::write::share::Share;
use rows::DecodeOptions;

use crate::args::ImportArgs;
use crate::aws::Clients;
use crate::run::{Run, open_rejects};
use crate::terminal::{Failure, Outcome, tell};
use crate::{jobs, workers};

/// What an import by one process does not do.
const NOT_KEPT_APART: &str = "note: not kept apart from other imports of the same keys at the same time; with --workers, \
                              or by the deployed function, imports of one object are";

/// Imports a file, into the caller's table or a local one.
pub(super) async fn run(mut args: ImportArgs) -> Result<Outcome, Failure> {
    let rejects = open_rejects(args.rejects.as_ref(), &args.source)?;
    let has_job = args.workers.workers.is_some();
    // It is no progress: what may go wrong is said in any case.
    if !has_job && !args.dry_run {
        tell(NOT_KEPT_APART);
    }
    #[cfg(feature = "local")]
    if args.local {
        let stack = crate::local_stack::LocalStack::find_or_start().await?;
        let jobs_table = &stack.endpoints.jobs_table;
        args.jobs_table.get_or_insert_with(|| jobs_table.clone());
        let ended = import(args, rejects, &Clients::for_local(&stack.endpoints)).await;
        stack.release().await;
        return ended;
    }
    let jobs_table = args.jobs_table.or_else(jobs::table_from_environment);
    args.jobs_table = jobs_table.filter(|name| !name.is_empty());
    import(args, rejects, &Clients::from_environment().await?).await
}

async fn import(
    args: ImportArgs,
    rejects: Option<RejectFile>,
    clients: &Clients,
) -> Result<Outcome, Failure> {
    if args.workers.workers.is_some() {
        return Box::pin(workers::run(args, clients)).await;
    }
    let schema = table::describe(&clients.dynamodb, &args.table).await?;
    let defaults = ImportOptions::default();
    let share = share(&args, clients).await?;
    let run = Run {
        input: args.source,
        schema: Arc::new(schema),
        options: ImportOptions {
            decode: DecodeOptions::from(args.reading),
            lanes: args.lanes.unwrap_or(defaults.lanes),
            max_wcu: args.max_wcu,
            share: share.clone(),
            max_rejects: args.max_rejects,
            request_lasts: request_lasts(|name| std::env::var(name).ok())?,
            ..defaults
        },
        rejects,
        quiet: args.quiet,
    };
    if args.dry_run {
        return run.check(Some(&clients.s3)).await;
    }
    let ended = run.write(clients, args.writer.into()).await;
    if let Some(share) = share {
        share.leave().await;
    }
    ended
}

/// A share of the write cap, if there is one to be shared.
async fn share(args: &ImportArgs, clients: &Clients) -> Result<Option<Share>, Failure> {
    let (Some(cap), Some(jobs_table), false) = (args.max_wcu, &args.jobs_table, args.dry_run)
    else {
        return Ok(None);
    };
    let share = Share::of_table(&clients.config, jobs_table, &args.table, cap).await?;
    if share.cap().wcu() == 0 {
        tell("waiting for a share of the write cap: other imports have all of it");
    }
    Ok(Some(share))
}
