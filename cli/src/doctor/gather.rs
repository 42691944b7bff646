//! Finds the facts out: reads only, one after the other, each at most once.

mod file;
mod functions;
mod permissions;
mod services;

use aws_config::SdkConfig;
use local::Endpoints;

use self::services::Services;
use super::facts::{Fact, Facts, Named};
use super::policy;
use super::signed::Signed;
use crate::args::DoctorArgs;
use crate::aws;
use crate::outcome::Failure;
use crate::stack;

/// What the lab's template calls things, and so the functions if no variable says otherwise.
const TABLE: &str = "InventoryTable";
const JOBS_TABLE: &str = "ImportJobs";
const JOBS_TABLE_VARIABLE: &str = "INTAKE_JOBS_TABLE";

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
        services,
        signed,
        local,
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
    let notifier = match args.no_notifier {
        true => None,
        false => Some(functions::function(signed, &args.notifier, &mappings).await),
    };
    let variable = |name: &str| {
        let configuration = importer.configuration.known()?;
        configuration.variable(name).map(str::to_owned)
    };

    let started_by = importer.mappings.known().into_iter().flatten();
    let mut started_by = started_by.filter(|mapping| mapping.source_arn.contains(":sqs:"));
    let queue_name = started_by
        .next()
        .map(|mapping| last(&mapping.source_arn).to_owned());
    let queue_name = queue_name
        .or_else(|| variable("INTAKE_QUEUE_URL").map(|url| last(&url).to_owned()))
        .or_else(|| {
            local
                .as_ref()
                .map(|local| last(&local.queue_url).to_owned())
        });
    let queue = match queue_name {
        Some(name) => Some(services.queue(&name).await),
        None => None,
    };
    let redrive = queue
        .as_ref()
        .and_then(|queue| queue.fact.known()?.redrive.clone());
    let dead_letters = match redrive {
        Some(redrive) => Some(services.dead_letters(redrive.target_arn).await),
        None => None,
    };

    let told_bucket = || {
        let queue = queue.as_ref()?.fact.known()?;
        policy::bucket_of(queue.policy.as_deref()?)
    };
    let bucket = args
        .bucket
        .clone()
        .or_else(|| local.as_ref().map(|local| local.bucket.clone()))
        .or_else(told_bucket);
    let bucket = match bucket {
        Some(name) => Some(services.bucket(name).await),
        None => None,
    };

    let table = args.table.clone().or_else(|| variable("INTAKE_TABLE"));
    let table = services
        .table(table.unwrap_or_else(|| TABLE.to_owned()))
        .await;
    let jobs_table = args
        .jobs_table
        .clone()
        .or_else(|| variable(JOBS_TABLE_VARIABLE))
        .or_else(|| {
            std::env::var(JOBS_TABLE_VARIABLE)
                .ok()
                .filter(|name| !name.is_empty())
        });
    let jobs_table = services
        .jobs_table(jobs_table.unwrap_or_else(|| JOBS_TABLE.to_owned()))
        .await;

    let told_topic = notifier
        .as_ref()
        .and_then(|notifier| notifier.configuration.known());
    let told_topic = told_topic.and_then(|notifier| notifier.variable("INTAKE_TOPIC_ARN"));
    let topic = told_topic
        .map(str::to_owned)
        .or_else(|| variable("INTAKE_TOPIC_ARN"))
        .or_else(|| local.as_ref().map(|local| local.topic_arn.clone()));
    let topic = match topic {
        Some(arn) => Some(services.topic(arn).await),
        None => None,
    };

    let file = match &args.file {
        Some(path) => table.fact.known().map(|table| Named {
            name: path.display().to_string(),
            fact: Fact::Known(file::check(path, &table.schema)),
        }),
        None => None,
    };
    let mut facts = Facts {
        prefix: args.prefix.clone(),
        bucket,
        queue,
        dead_letters,
        importer,
        table_wanted: args.table.clone(),
        table,
        jobs_table,
        notifier,
        topic,
        permissions: Vec::new(),
        file,
    };
    facts.permissions = permissions::of(signed, &facts).await;
    Ok(facts)
}

impl Clients {
    async fn open(args: &DoctorArgs) -> Result<Self, Failure> {
        let local = match args.local {
            true => Some(stack::running().ok_or_else(|| {
                Failure::new("no local stack is running, so there is nothing to check")
                    .fix("keep one up in another terminal with: intake local")
            })?),
            false => None,
        };
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
}

/// The last part of an ARN or a URL.
fn last(arn: &str) -> &str {
    arn.rsplit([':', '/']).next().unwrap_or(arn)
}
