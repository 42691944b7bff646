//! `intake doctor`.

use crate::args::DoctorArgs;
use crate::aws::Clients;
use crate::doctor;
use crate::doctor::gather::Fallback;
use crate::terminal::{Failure, Outcome};

/// Checks the caller's deployment, or the running local stack.
pub(super) async fn run(args: &DoctorArgs) -> Result<Outcome, Failure> {
    #[cfg(feature = "local")]
    if args.local {
        let endpoints = crate::local_stack::running("there is nothing to check")?;
        let config = Clients::for_local(&endpoints).config;
        let names = Fallback {
            bucket: Some(endpoints.bucket),
            queue_url: Some(endpoints.queue_url),
            topic_arn: Some(endpoints.topic_arn),
        };
        return doctor::run(args, &config, names).await;
    }
    let clients = Clients::from_environment().await?;
    doctor::run(args, &clients.config, Fallback::default()).await
}
