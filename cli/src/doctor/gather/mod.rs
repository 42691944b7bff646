//! Finds the facts out: reads only, one after the other, each at most once.

mod file;
mod functions;
mod permissions;
mod services;

use aws_config::SdkConfig;
use local::Endpoints;

use self::services::Services;
use super::facts::{Bucket, Fact, Facts, Function, Named, Queue, Subscription};
use super::policy;
use super::signed::Signed;
use crate::args::DoctorArgs;
use crate::aws;
use crate::outcome::Failure;
use crate::stack;

/// What the lab's template calls things, and so the functions if no variable says otherwise.
const TABLE: &str = "InventoryTable";
const JOBS_TABLE: &str = "ImportJobs";
/// Where the functions are told.
const TABLE_VARIABLE: &str = "INTAKE_TABLE";
const JOBS_TABLE_VARIABLE: &str = "INTAKE_JOBS_TABLE";
const QUEUE_VARIABLE: &str = "INTAKE_QUEUE_URL";
const TOPIC_VARIABLE: &str = "INTAKE_TOPIC_ARN";

/// Who is asked.
struct Clients {
    services: Services,
    signed: Signed,
    /// Of the local stack, if it is that one.
    local: Option<Endpoints>,
}

/// Finds out everything.
///
/// # Errors
///
/// There are no credentials, no Region or no local stack, or the credentials are refused.
pub(super) async fn facts(args: &DoctorArgs) -> Result<Facts, Failure> {
    let clients = Clients::open(args).await?;
    let Clients {
        services, signed, ..
    } = &clients;
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
    let queue = clients.queue(&importer).await;
    let redrive = queue
        .as_ref()
        .and_then(|queue| queue.fact.known()?.redrive.clone());
    let dead_letters = match redrive {
        Some(redrive) => Some(services.dead_letters(redrive.target_arn).await),
        None => None,
    };
    let told = |name: &str| variable(&importer, name).map(str::to_owned);
    let table = args.table.clone().or_else(|| told(TABLE_VARIABLE));
    let table = services.table(table.unwrap_or_else(|| TABLE.to_owned()));
    let own = || std::env::var(JOBS_TABLE_VARIABLE).ok();
    let jobs_table = args
        .jobs_table
        .clone()
        .or_else(|| told(JOBS_TABLE_VARIABLE))
        .or_else(|| own().filter(|name| !name.is_empty()));
    let jobs_table = services.jobs_table(jobs_table.unwrap_or_else(|| JOBS_TABLE.to_owned()));
    let mut facts = Facts {
        prefix: args.prefix.clone(),
        bucket: clients.bucket(args, queue.as_ref()).await,
        queue,
        dead_letters,
        table_wanted: args.table.clone(),
        table: table.await,
        jobs_table: jobs_table.await,
        topic: clients.topic([notifier.as_ref(), Some(&importer)]).await,
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
            Fact::Known(file::check(path, &table.schema))
        }),
    });
    Ok(facts)
}

impl Clients {
    async fn open(args: &DoctorArgs) -> Result<Self, Failure> {
        let local = args.local.then(|| {
            stack::running().ok_or_else(|| {
                Failure::new("no local stack is running, so there is nothing to check")
                    .fix("keep one up in another terminal with: intake local")
            })
        });
        let local = local.transpose()?;
        let config: SdkConfig = match &local {
            Some(endpoints) => aws::config_for_local(endpoints),
            None => aws::config_from_environment().await?,
        };
        let own = local
            .as_ref()
            .map(|local| [local.lambda.as_str(), local.iam.as_str()]);
        let signed = Signed::new(&config, own)
            .await
            .map_err(|error| Failure::caused("no AWS credentials were found", &*error))?;
        Ok(Self {
            services: Services::new(&config, local.as_ref()),
            signed,
            local,
        })
    }

    /// The queue that starts the importer, or else the one that it goes on by.
    async fn queue(&self, importer: &Function) -> Option<Named<Queue>> {
        let mut sources = importer.mappings.known().into_iter().flatten();
        let source = sources.find(|mapping| mapping.source_arn.contains(":sqs:"));
        let name = source
            .map(|mapping| mapping.source_arn.as_str())
            .or_else(|| variable(importer, QUEUE_VARIABLE))
            .or(self.local.as_ref().map(|local| local.queue_url.as_str()));
        Some(self.services.queue(last(name?)).await)
    }

    /// The bucket of this name, or else the one that may send to the queue.
    async fn bucket(
        &self,
        args: &DoctorArgs,
        queue: Option<&Named<Queue>>,
    ) -> Option<Named<Bucket>> {
        let of_policy = || policy::bucket_of(queue?.fact.known()?.policy.as_deref()?);
        let local = self.local.as_ref().map(|local| local.bucket.clone());
        let name = args.bucket.clone().or(local).or_else(of_policy);
        Some(self.services.bucket(name?).await)
    }

    /// The topic that the first of the functions publishes to.
    async fn topic(&self, functions: [Option<&Function>; 2]) -> Option<Named<Vec<Subscription>>> {
        let mut functions = functions.into_iter().flatten();
        let told = functions.find_map(|function| variable(function, TOPIC_VARIABLE));
        let local = self.local.as_ref().map(|local| local.topic_arn.as_str());
        Some(self.services.topic(told.or(local)?.to_owned()).await)
    }
}

/// A variable of a function, if that could be looked at.
fn variable<'a>(function: &'a Function, name: &str) -> Option<&'a str> {
    function.configuration.known()?.variable(name)
}

/// The last part of an ARN or a URL.
fn last(arn: &str) -> &str {
    arn.rsplit([':', '/']).next().unwrap_or(arn)
}
