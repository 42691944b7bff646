use std::sync::{Arc, Weak};

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Stack;
use super::endpoints::{Endpoints, Listeners, Ports, bind_sign_in};
use super::options::StackOptions;
use super::serve::{TableFront, serve, serve_objects, serve_tables};
use crate::capacity::Capacity;
use crate::deployment::{BUCKET, IMPORTS_DLQ, IMPORTS_QUEUE, SUBSCRIBER, TOPIC, UPLOAD_PREFIX};
use crate::error::LocalError;
use crate::faults::Faults;
use crate::services::Service;
use crate::services::dynamodb::{DynamoDb, Proxy};
use crate::services::lambda::runtime::{Function, LambdaProgram};
use crate::services::s3::{Notifications, ObjectStore};
use crate::services::sns::Topics;
use crate::services::sqs::{QueueSettings, Queues};
use crate::sign_in::SignIn;
use crate::wiring::{
    self, Announcements, ImportsMapping, NotifierTarget, Setup, StreamMapping,
    StreamMappingOptions, TableStream,
};

impl Stack {
    /// Starts the services and the wiring, and makes bucket, tables, queues and topic.
    ///
    /// The functions get [`Endpoints::env`] and, as the SAM template sets them, `INTAKE_TABLE` and
    /// `INTAKE_TOPIC_ARN`; the importer also `INTAKE_JOBS_TABLE` and `INTAKE_QUEUE_URL`. They are started at their
    /// first event.
    ///
    /// # Errors
    ///
    /// A port that is taken, no temporary folder, a mapping of the stream that is not possible, or a failing embedded
    /// service.
    pub async fn start(options: StackOptions) -> Result<Self, LocalError> {
        let open = Listeners::bind(options.ports).await?;
        let behind = Listeners::bind(Ports::default()).await?;
        let sign_in = bind_sign_in(options.ports).await?;

        let topics = Arc::new(Topics::default());
        let topic_arn = topics.create(TOPIC);
        topics.subscribe(&topic_arn, "email", SUBSCRIBER);
        let queues = Arc::new(Queues::new(open.sqs.url.clone()));
        let dead_letters = queues.create(IMPORTS_DLQ, QueueSettings::default());
        let imports = queues.create(IMPORTS_QUEUE, options.imports_queue(&dead_letters));
        let names = [
            topic_arn.clone(),
            queues.url(&imports),
            queues.url(&dead_letters),
        ];
        let endpoints = open.endpoints(&sign_in, names.clone());
        let undisturbed = behind.endpoints(&sign_in, names);

        let capacity = options.capacity.as_ref().map(Capacity::new);
        let faults = Faults::new(options.faults);
        let pages = (options.cognito, options.dashboard);
        let called = [endpoints.s3.as_str(), &endpoints.dynamodb];
        let sign_in = SignIn::start(sign_in, pages, called, &topics, &faults)?;

        let announcements = Announcements::new(Arc::clone(&queues), Arc::clone(&imports));
        let notifications = Notifications::of_uploads(BUCKET, UPLOAD_PREFIX, imports.arn());
        let s3 = ObjectStore::new(BUCKET, notifications, announcements.on_created())?;
        let front = TableFront {
            proxy: Proxy::new(behind.dynamodb.url),
            capacity: capacity.clone(),
            access: sign_in.access.clone(),
        };
        let dynamodb = DynamoDb::start(behind.dynamodb.listener)?;
        let setup = Setup::new(dynamodb.tables(), imports.arn(), topic_arn);
        let servers = [
            sign_in.servers,
            serve_objects([open.s3, behind.s3], &faults, s3.service(sign_in.access)),
            serve([open.sqs, behind.sqs], &faults, Service::Sqs, &queues),
            serve([open.sns, behind.sns], &faults, Service::Sns, &topics),
            serve(
                [open.lambda, behind.lambda],
                &faults,
                Service::Lambda,
                &setup.functions,
            ),
            serve([open.iam, behind.iam], &faults, Service::Iam, &setup.roles),
        ];
        let tables = serve_tables(open.dynamodb, &faults, front);
        let servers = servers.into_iter().flatten().chain([tables]).collect();

        let mut pollers = JoinSet::new();
        let (imports_enabled, enabled) = watch::channel(true);
        let imports_enabled = Arc::new(imports_enabled);
        let importer = options
            .importer
            .map(|program| importer_function(program, &endpoints));
        if let Some(function) = &importer {
            setup.add_importer(function.program(), Arc::clone(&imports_enabled));
            let mapping = ImportsMapping {
                queue: Arc::clone(&imports),
                function: Arc::clone(function),
                retry_delay: options.retry_delay,
            };
            pollers.spawn(wiring::poll_imports(mapping, enabled));
        }
        let killed = importer.as_ref().map_or_else(Weak::new, Arc::downgrade);
        faults.set_targets(killed, s3.objects().clone());
        let lanes = options.stream.lanes();
        let notifier = options
            .notifier
            .map(|program| notifier_function(program, &endpoints, lanes));
        if let Some(function) = &notifier {
            setup.add_notifier(function.program(), &options.stream);
        }
        let stream = map_stream(
            notifier.as_ref(),
            options.stream,
            &dynamodb,
            &s3,
            &mut pollers,
        )?;
        Ok(Self {
            endpoints,
            undisturbed,
            topics,
            cognito: sign_in.cognito,
            imports,
            dead_letters,
            announcements,
            importer,
            imports_enabled,
            stream,
            faults,
            capacity,
            pollers,
            notifier,
            servers,
            s3,
            dynamodb,
        })
    }
}

fn importer_function(program: LambdaProgram, endpoints: &Endpoints) -> Arc<Function> {
    let own = [
        ("INTAKE_JOBS_TABLE", &endpoints.jobs_table),
        ("INTAKE_QUEUE_URL", &endpoints.queue_url),
    ];
    configured(program, endpoints, &own)
}

/// The notifier, in as many environments as Lambda would start for its mapping.
fn notifier_function(
    mut program: LambdaProgram,
    endpoints: &Endpoints,
    lanes: usize,
) -> Arc<Function> {
    program.concurrency = program.concurrency.max(lanes);
    configured(program, endpoints, &[])
}

/// Gives the table's stream to the notifier, if there is one.
fn map_stream(
    notifier: Option<&Arc<Function>>,
    options: StreamMappingOptions,
    dynamodb: &DynamoDb,
    s3: &ObjectStore,
    pollers: &mut JoinSet<()>,
) -> Result<Option<StreamMapping>, LocalError> {
    let Some(function) = notifier else {
        return Ok(None);
    };
    let source = TableStream::new(dynamodb.tables().clone());
    let target = NotifierTarget {
        function: Arc::clone(function),
        bucket: s3.objects().clone(),
    };
    let (mapping, work) = StreamMapping::new(source, target, options)?;
    pollers.spawn(work);
    Ok(Some(mapping))
}

/// The function with the variables that point it at this stack, and those that it has alone; what the program sets wins.
fn configured(
    mut program: LambdaProgram,
    endpoints: &Endpoints,
    own: &[(&str, &String)],
) -> Arc<Function> {
    let both = [
        ("INTAKE_TABLE", &endpoints.table),
        ("INTAKE_TOPIC_ARN", &endpoints.topic_arn),
    ];
    let set = both.iter().chain(own);
    let set = set.map(|(name, value)| ((*name).to_owned(), (*value).clone()));
    let mut env = endpoints.env();
    env.extend(set);
    env.append(&mut program.env);
    program.env = env;
    Arc::new(Function::new(program))
}
