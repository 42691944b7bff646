//! Collects the facts: reads only, one after the other, each at most once.
//!
//! What follows from them is not decided here, but in `checks`.

mod file;
mod functions;
mod permissions;
mod services;

use aws_config::SdkConfig;

use self::services::Services;
use super::facts::{Bucket, Fact, Facts, Function, Named, Queue, Subscription, last};
use super::policy;
use super::signed::Signed;
use crate::args::DoctorArgs;
use crate::jobs;
use crate::terminal::Failure;

/// The table of the lab's template, and so the functions' if no variable says otherwise.
const TABLE: &str = "InventoryTable";
/// The functions' settings.
const TABLE_VARIABLE: &str = "INTAKE_TABLE";
const JOBS_TABLE_VARIABLE: &str = "INTAKE_JOBS_TABLE";
const QUEUE_VARIABLE: &str = "INTAKE_QUEUE_URL";
const TOPIC_VARIABLE: &str = "INTAKE_TOPIC_ARN";

/// Names of what the functions do not name.
#[derive(Debug, Default)]
pub struct Fallback {
    /// The bucket of uploads.
    pub bucket: Option<String>,
    /// The queue between the bucket and the importer.
    pub queue_url: Option<String>,
    /// The topic that the functions publish to.
    pub topic_arn: Option<String>,
}

/// What is asked.
struct Sources {
    services: Services,
    signed: Signed,
    fallback: Fallback,
}

/// Collects everything.
///
/// # Errors
///
/// There are no credentials, or they are refused.
pub(super) async fn facts(
    args: &DoctorArgs,
    config: &SdkConfig,
    fallback: Fallback,
) -> Result<Facts, Failure> {
    let sources = Sources {
        services: Services::new(config),
        signed: Signed::new(config)
            .await
            .map_err(|error| Failure::caused("no AWS credentials were found", &*error))?,
        fallback,
    };
    let Sources {
        services, signed, ..
    } = &sources;
    let mappings = functions::mappings(signed).await;
    if let Fact::Unknown(refusal) = &mappings
        && refusal.is_about_credentials()
    {
        return Err(Failure::new(format!("AWS does not accept the credentials: {refusal}")).fix(
            "sign in again (aws sso login), and check AWS_PROFILE, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, \
             AWS_SESSION_TOKEN and this machine's clock",
        ));
    }
    let importer = functions::function(signed, &args.importer, &mappings).await;
    let notifier = if args.no_notifier {
        None
    } else {
        Some(functions::function(signed, &args.notifier, &mappings).await)
    };
    let queue = sources.queue(&importer).await;
    let redrive = queue
        .as_ref()
        .and_then(|queue| queue.fact.known()?.redrive.clone());
    let dead_letters = match redrive {
        Some(redrive) => Some(services.dead_letters(redrive.target_arn).await),
        None => None,
    };
    let setting = |name: &str| variable(&importer, name).map(str::to_owned);
    let table = args.table.clone().or_else(|| setting(TABLE_VARIABLE));
    let table = services.table(table.unwrap_or_else(|| TABLE.to_owned()));
    let jobs_table = args.jobs_table.clone();
    let jobs_table = jobs_table.or_else(|| setting(JOBS_TABLE_VARIABLE));
    let jobs_table = services.jobs_table(jobs_table.unwrap_or_else(jobs::default_table));
    let mut facts = Facts {
        prefix: args.prefix.clone(),
        bucket: sources.bucket(args, queue.as_ref()).await,
        queue,
        dead_letters,
        table_wanted: args.table.clone(),
        table: table.await,
        jobs_table: jobs_table.await,
        topic: sources.topic([notifier.as_ref(), Some(&importer)]).await,
        importer,
        notifier,
        permissions: Vec::new(),
        file: None,
    };
    facts.permissions = permissions::of(signed, &facts).await;
    facts.file = args.file.as_ref().map(|path| Named {
        name: path.display().to_string(),
        // Without the table's key there is nothing to compare with.
        fact: facts.table.fact.known().map_or(Fact::Missing, |table| {
            Fact::Seen(file::check(path, &table.schema))
        }),
    });
    Ok(facts)
}

impl Sources {
    /// The queue that starts the importer, or else the one that it goes on by.
    async fn queue(&self, importer: &Function) -> Option<Named<Queue>> {
        let mut sources = importer.mappings.known().into_iter().flatten();
        let source = sources.find(|mapping| mapping.source_arn.contains(":sqs:"));
        let name = source
            .map(|mapping| mapping.source_arn.as_str())
            .or_else(|| variable(importer, QUEUE_VARIABLE))
            .or(self.fallback.queue_url.as_deref());
        Some(self.services.queue(last(name?)).await)
    }

    /// The bucket of this name, or else the one that may send to the queue.
    async fn bucket(
        &self,
        args: &DoctorArgs,
        queue: Option<&Named<Queue>>,
    ) -> Option<Named<Bucket>> {
        let of_policy = || policy::bucket_of(queue?.fact.known()?.policy.as_deref()?);
        let fallback = self.fallback.bucket.clone();
        let name = args.bucket.clone().or(fallback).or_else(of_policy);
        Some(self.services.bucket(name?).await)
    }

    /// The topic that the first of the functions publishes to.
    async fn topic(&self, functions: [Option<&Function>; 2]) -> Option<Named<Vec<Subscription>>> {
        let mut functions = functions.into_iter().flatten();
        let arn = functions.find_map(|function| variable(function, TOPIC_VARIABLE));
        let arn = arn.or(self.fallback.topic_arn.as_deref());
        Some(self.services.topic(arn?.to_owned()).await)
    }
}

/// A variable of a function, if that could be looked at.
fn variable<'a>(function: &'a Function, name: &str) -> Option<&'a str> {
    function.configuration.known()?.variable(name)
}
