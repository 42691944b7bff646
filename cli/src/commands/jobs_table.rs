//! What `intake status` and `intake cancel` share: the table of jobs that their arguments name.

use crate::args::JobsArgs;
use crate::aws::Clients;
use crate::jobs::{self, Jobs};
use crate::terminal::Failure;

/// Opens the caller's table of jobs, or that of the running local stack.
pub(super) async fn open(args: &JobsArgs) -> Result<Jobs, Failure> {
    let open = |clients: &Clients, default: String, flag: &str| {
        let (table, options) = match &args.jobs_table {
            Some(table) => (table.clone(), format!("{flag} --jobs-table {table}")),
            None => (default, flag.to_owned()),
        };
        Jobs::new(clients, table, args.owner.clone(), options)
    };
    #[cfg(feature = "local")]
    if args.local {
        let endpoints = crate::local_stack::running("there are no jobs")?;
        let clients = Clients::for_local(&endpoints);
        return Ok(open(&clients, endpoints.jobs_table, " --local"));
    }
    let clients = Clients::from_environment().await?;
    Ok(open(&clients, jobs::default_table(), ""))
}
