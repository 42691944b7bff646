use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower::{ServiceBuilder, service_fn};

use crate::access::refuse_people;
use crate::cors::cors;
use crate::doors::{Doors, SignIn};
use crate::dynamodb::{DynamoDb, Front};
use crate::endpoints::Listeners;
use crate::events::{self, ObjectCreated};
use crate::faults::{Service, guard};
use crate::runtime::{Function, InvokeError};
use crate::s3::{Notifications, ObjectStore};
use crate::server::{Bound, Server};
use crate::sns::Topics;
use crate::sqs::{self, Delivery, Queue, QueueSettings, Queues, Redrive};
use crate::wiring::{
    self, Announcements, ImportsMapping, NotifierTarget, Setup, StreamMapping,
    StreamMappingOptions, TableStream,
};
use crate::{
    BUCKET, Capacity, CapacityPlan, Cognito, CognitoOptions, Endpoints, FaultPlan, Faults,
    IMPORTS_DLQ, IMPORTS_QUEUE, LambdaProgram, LocalError, Message, Ports, SUBSCRIBER, TOPIC,
    UPLOAD_PREFIX,
};

/// Serves what answers requests behind a guard at the first place, and as it is at the second; people have nothing to do
/// there.
macro_rules! serve {
    ($open:expr, $behind:expr, $faults:expr, $service:ident, $handler:expr) => {{
        let handler = Arc::clone(&$handler);
        let inner = service_fn(move |request| Arc::clone(&handler).handle(request));
        let inner = refuse_people(Service::$service, inner);
        let guarded = guard($faults.clone(), Service::$service, inner.clone());
        [
            Server::start($open.listener, guarded),
            Server::start($behind.listener, inner),
        ]
    }};
}

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct StackOptions {
    /// The function that the imports queue invokes; without it messages stay in the queue.
    pub importer: Option<LambdaProgram>,
    /// The function that the table's stream invokes; without it the stream is not read.
    pub notifier: Option<LambdaProgram>,
    /// Faults to inject from the start, until [`Stack::faults`] is given others; none by default.
    pub faults: FaultPlan,
    /// How much DynamoDB takes; everything by default.
    pub capacity: Option<CapacityPlan>,
    /// How long a message of the imports queue that was given to the importer stays hidden, and so when it comes again
    /// after a crash. By default, as in the SAM template, the importer's timeout and [`wiring::VISIBILITY_MARGIN`].
    pub visibility_timeout: Option<Duration>,
    /// How soon a message comes again whose failure the importer itself reported. By default it takes, as
    /// [on AWS](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html), until the visibility
    /// timeout ends; who sits at the keyboard would wait for that in vain.
    pub retry_delay: Option<Duration>,
    /// How often a message of the imports queue is received before it goes to the dead-letter queue; by default
    /// [`wiring::MAX_RECEIVE_COUNT`].
    pub max_receive_count: Option<u32>,
    /// How the table's stream is given to the notifier; by default as in the SAM template.
    pub stream: StreamMappingOptions,
    /// How people sign in.
    pub cognito: CognitoOptions,
    /// A folder with the built dashboard, to be served at [`Endpoints::dashboard`]; without it there is only its
    /// `config.json`. It may be built later.
    pub dashboard: Option<PathBuf>,
    /// Where to listen; free ports by default.
    pub ports: Ports,
}

/// A running set of services. Dropping it stops everything at once; [`Stack::shutdown`] waits until it has.
#[derive(Debug)]
pub struct Stack {
    endpoints: Endpoints,
    undisturbed: Endpoints,
    topics: Arc<Topics>,
    cognito: Arc<Cognito>,
    imports: Arc<Queue>,
    dead_letters: Arc<Queue>,
    announcements: Arc<Announcements>,
    importer: Option<Arc<Function>>,
    /// Whether the importer gets messages of `imports`.
    imports_enabled: Arc<watch::Sender<bool>>,
    stream: Option<StreamMapping>,
    faults: Faults,
    capacity: Option<Capacity>,
    // In the order in which they are to stop: events first, then what they need.
    pollers: JoinSet<()>,
    notifier: Option<Arc<Function>>,
    s3: ObjectStore,
    servers: [[Server; 2]; 4],
    front: Server,
    doors: [Server; 2],
    dynamodb: DynamoDb,
}

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
        let visibility_timeout = options.visibility_timeout();
        let max_receive_count = options.max_receive_count;
        let StackOptions {
            importer,
            notifier,
            faults,
            capacity,
            retry_delay,
            stream,
            cognito,
            dashboard,
            ports,
            ..
        } = options;
        let capacity = capacity.as_ref().map(Capacity::new);
        let faults = Faults::new(faults);
        let open = Listeners::bind(ports).await?;
        let behind = Listeners::bind(Ports::default()).await?;
        let doors = Doors::bind(ports).await?;

        let topics = Arc::new(Topics::default());
        let topic_arn = topics.create(TOPIC);
        topics.subscribe(&topic_arn, "email", SUBSCRIBER);
        let queues = Arc::new(Queues::new(open.queues.url.clone()));
        let dead_letters = queues.create(IMPORTS_DLQ, QueueSettings::default());
        let imports = queues.create(
            IMPORTS_QUEUE,
            imports_settings(visibility_timeout, &dead_letters, max_receive_count),
        );
        let names = [topic_arn, queues.url(&imports), queues.url(&dead_letters)];
        let endpoints = open.endpoints(&doors, names.clone());
        let undisturbed = behind.endpoints(&doors, names);
        let sign_in = SignIn { cognito, dashboard };
        let (access, cognito, doors) = sign_in.open(doors, &endpoints, &topics, &faults)?;

        let announcements = Announcements::new(Arc::clone(&queues), Arc::clone(&imports));
        let notifications = Notifications::of_uploads(BUCKET, UPLOAD_PREFIX, imports.arn());
        let s3 = ObjectStore::start(
            open.s3.listener,
            behind.s3.listener,
            faults.clone(),
            BUCKET,
            (access.clone(), notifications),
            announcements.on_created(),
        )?;
        let dynamodb = DynamoDb::start(behind.dynamodb.listener)?;
        let front = Front::new(behind.dynamodb.url, capacity.clone(), access);
        let front = serve_tables(open.dynamodb, faults.clone(), front);
        let topic_arn = endpoints.topic_arn.clone();
        let setup = Setup::new(dynamodb.tables(), imports.arn(), topic_arn);
        let servers = [
            serve!(open.queues, behind.queues, faults, Sqs, queues),
            serve!(open.topics, behind.topics, faults, Sns, topics),
            serve!(open.lambda, behind.lambda, faults, Lambda, setup.functions),
            serve!(open.iam, behind.iam, faults, Iam, setup.roles),
        ];

        let mut pollers = JoinSet::new();
        let (imports_enabled, enabled) = watch::channel(true);
        let imports_enabled = Arc::new(imports_enabled);
        let importer = importer.map(|program| importer_function(program, &endpoints));
        if let Some(function) = &importer {
            setup.add_importer(function.program(), Arc::clone(&imports_enabled));
            let mapping = ImportsMapping {
                queue: Arc::clone(&imports),
                function: Arc::clone(function),
                retry_delay,
            };
            pollers.spawn(wiring::poll_imports(mapping, enabled));
        }
        faults.reach(
            importer.as_ref().map_or_else(Weak::new, Arc::downgrade),
            s3.objects().clone(),
        );
        let notifier =
            notifier.map(|program| notifier_function(program, &endpoints, stream.lanes()));
        if let Some(function) = &notifier {
            setup.add_notifier(function.program(), &stream);
        }
        let stream = map_stream(notifier.as_ref(), stream, &dynamodb, &s3, &mut pollers)?;
        Ok(Self {
            endpoints,
            undisturbed,
            topics,
            cognito,
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
            s3,
            servers,
            front,
            doors,
            dynamodb,
        })
    }

    /// Where the services listen.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Where the same services listen without [faults](Self::faults), without counting and without a limited
    /// [capacity](Self::capacity): for what a test itself uploads and reads. DynamoDB does not ask there who it is.
    pub fn undisturbed(&self) -> &Endpoints {
        &self.undisturbed
    }

    /// The messages published to SNS so far, oldest first.
    pub fn inbox(&self) -> Vec<Message> {
        self.topics.inbox()
    }

    /// The messages published to SNS after the first `seen`, as soon as there are some.
    pub async fn published_after(&self, seen: usize) -> Vec<Message> {
        self.topics.published_after(seen).await
    }

    /// The pools that people sign in with.
    pub fn cognito(&self) -> &Cognito {
        &self.cognito
    }

    /// The table's capacity, if it has one.
    pub fn capacity(&self) -> Option<&Capacity> {
        self.capacity.as_ref()
    }

    /// The faults in front of the services, to be changed at any time, and counts of all calls.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The importer, if there is one: to kill it, and to count its invocations.
    pub fn importer(&self) -> Option<&Function> {
        self.importer.as_deref()
    }

    /// Gives an event to the importer, past the queue. Several at once run in as many environments, up to
    /// [`LambdaProgram::concurrency`].
    ///
    /// # Errors
    ///
    /// As [`Function::invoke`]; [`InvokeError::NoFunction`] if the stack has no importer.
    pub async fn invoke_importer(&self, event: Value) -> Result<Value, InvokeError> {
        match &self.importer {
            Some(importer) => importer.invoke(event).await,
            None => Err(InvokeError::NoFunction),
        }
    }

    /// Stops giving messages of the imports queue to the importer: they stay in the queue. Invocations that have begun
    /// go on.
    pub fn pause_imports(&self) {
        self.imports_enabled.send_replace(false);
    }

    /// Ends [`pause_imports`](Self::pause_imports).
    pub fn resume_imports(&self) {
        self.imports_enabled.send_replace(true);
    }

    /// Deletes all messages of the imports queue, also those that the importer is at work on.
    pub fn purge_imports(&self) {
        self.imports.purge();
    }

    /// Every upload that was announced to the imports queue, oldest first.
    pub fn uploads(&self) -> Vec<ObjectCreated> {
        self.announcements.made()
    }

    /// The event by which the importer hears of an object through the queue, as if it was received for the first time.
    pub fn import_event(&self, object: &ObjectCreated) -> Value {
        let notification = events::s3_notification(std::slice::from_ref(object));
        let delivery = Delivery::first(notification.to_string());
        events::sqs_event(&self.imports.arn(), &[delivery])
    }

    /// Announces an object to the imports queue, once more if it was before.
    pub fn announce(&self, object: &ObjectCreated) {
        self.announcements.send(object);
    }

    /// Puts an object into the bucket, past all faults, and announces it if it is an upload.
    ///
    /// # Errors
    ///
    /// [`LocalError::Put`] if the local S3 cannot have an object of this key.
    pub async fn put_object(&self, key: &str, content: impl Into<Bytes>) -> Result<(), LocalError> {
        self.s3.objects().put(key, content.into()).await
    }

    /// How many messages are in the dead-letter queue: uploads whose import failed for good.
    pub fn dead_letter_count(&self) -> usize {
        *self.dead_letters.held().borrow()
    }

    /// Waits until every event of what was written so far has been handled: no message in the imports queue
    /// (those that failed too often are in its dead-letter queue), every stream record given to the notifier, and its
    /// tumbling window over.
    ///
    /// Without an importer the queue does not count, and without a notifier the stream does not.
    ///
    /// # Errors
    ///
    /// [`LocalError::Busy`] after `limit`.
    pub async fn wait_idle(&self, limit: Duration) -> Result<(), LocalError> {
        let idle = timeout(limit, self.idle()).await;
        idle.map_err(|_| LocalError::Busy {
            waited: limit,
            imports: *self.imports.held().borrow(),
            stream_pending: self.stream.as_ref().is_some_and(StreamMapping::is_pending),
        })
    }

    async fn idle(&self) {
        let mut held = self.imports.held();
        let polled = self.importer.is_some();
        loop {
            if polled {
                // The queue outlives this borrow, so it is not closed.
                drop(held.wait_for(|held| *held == 0).await);
            }
            if let Some(stream) = &self.stream {
                stream.delivered().await;
            }
            // Something may have been uploaded while the stream was read.
            if !polled || *held.borrow_and_update() == 0 {
                return;
            }
        }
    }

    /// Stops the functions and the services, and deletes what they stored.
    pub async fn shutdown(mut self) {
        self.pollers.shutdown().await;
        for function in [self.importer, self.notifier].into_iter().flatten() {
            if let Some(function) = Arc::into_inner(function) {
                function.shutdown().await;
            }
        }
        for server in self.servers.into_iter().flatten().chain(self.doors) {
            server.stop().await;
        }
        tokio::join!(self.s3.stop(), self.front.stop());
        self.dynamodb.stop().await;
    }
}

fn imports_settings(
    visibility_timeout: Duration,
    dead_letters: &Arc<Queue>,
    max_receive_count: Option<u32>,
) -> QueueSettings {
    QueueSettings {
        visibility_timeout,
        redrive: Some(Redrive {
            dead_letter_queue: Arc::clone(dead_letters),
            max_receive_count: max_receive_count.unwrap_or(wiring::MAX_RECEIVE_COUNT),
        }),
        policy: Some(wiring::queue_policy(&sqs::arn(IMPORTS_QUEUE)).to_string()),
        ..QueueSettings::default()
    }
}

impl StackOptions {
    fn visibility_timeout(&self) -> Duration {
        let queue_default = QueueSettings::default().visibility_timeout;
        let by_function = self.importer.as_ref().map_or(queue_default, |importer| {
            importer.timeout + wiring::VISIBILITY_MARGIN
        });
        self.visibility_timeout.unwrap_or(by_function)
    }
}

fn importer_function(program: LambdaProgram, endpoints: &Endpoints) -> Arc<Function> {
    let own = [
        ("INTAKE_JOBS_TABLE", &endpoints.jobs_table),
        ("INTAKE_QUEUE_URL", &endpoints.queue_url),
    ];
    configured(program, endpoints, &own)
}

/// Serves DynamoDB behind a guard, to pages, too.
fn serve_tables(open: Bound, faults: Faults, front: Front) -> Server {
    let front = service_fn(move |request| front.clone().answer(request));
    let guarded = ServiceBuilder::new()
        .layer(cors(["x-amzn-requestid", "x-amz-crc32"]))
        .service(guard(faults, Service::DynamoDb, front));
    Server::start(open.listener, guarded)
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
