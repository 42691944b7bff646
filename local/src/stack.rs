use std::{sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::timeout};
use tower::service_fn;

use crate::{
    ACCESS_KEY_ID, BUCKET, Capacity, CapacityPlan, Endpoints, FaultPlan, Faults, IMPORTS_DLQ,
    IMPORTS_QUEUE, JOBS_TABLE, LambdaProgram, LocalError, Message, REGION, SECRET_ACCESS_KEY,
    TABLE, TOPIC,
    dynamodb::DynamoDb,
    faults,
    runtime::Function,
    s3::ObjectStore,
    server::{Server, bind},
    sns::Topics,
    sqs::{Queue, QueueSettings, Queues, Redrive},
    wiring::{self, StreamMapping},
};

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct StackOptions {
    /// The function that the imports queue invokes; without it messages stay in the queue.
    pub importer: Option<LambdaProgram>,
    /// The function that the table's stream invokes; without it the stream is not read.
    pub notifier: Option<LambdaProgram>,
    /// Faults to inject between DynamoDB's clients and DynamoDB; none by default.
    pub faults: Option<FaultPlan>,
    /// How much DynamoDB takes; everything by default.
    pub capacity: Option<CapacityPlan>,
    /// Where to listen; free ports by default.
    pub ports: Ports,
}

/// Ports on 127.0.0.1; 0 takes a free one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ports {
    /// For S3.
    pub s3: u16,
    /// For DynamoDB and its streams (the fault proxy, if there is one).
    pub dynamodb: u16,
    /// For SQS.
    pub sqs: u16,
    /// For SNS.
    pub sns: u16,
}

/// A running set of services. Dropping it stops everything at once; [`Stack::shutdown`] waits until it has.
#[derive(Debug)]
pub struct Stack {
    endpoints: Endpoints,
    topics: Arc<Topics>,
    imports: Arc<Queue>,
    dead_letters: Arc<Queue>,
    /// Whether something takes messages out of `imports`.
    imports_are_polled: bool,
    stream: Option<StreamMapping>,
    faults: Option<Faults>,
    capacity: Option<Capacity>,
    // In the order in which they are to stop: events first, then what they need.
    pollers: JoinSet<()>,
    functions: Vec<Arc<Function>>,
    s3: ObjectStore,
    sqs: Server,
    sns: Server,
    dynamodb: DynamoDb,
}

impl Stack {
    /// Starts the services and the wiring, and makes bucket, table, queues and topic.
    ///
    /// The functions get [`Endpoints::env`] and, as the SAM template sets them, `INTAKE_TABLE` and
    /// `INTAKE_TOPIC_ARN`; the importer also `INTAKE_JOBS_TABLE` and `INTAKE_QUEUE_URL`. They are started at their
    /// first event.
    ///
    /// # Errors
    ///
    /// A port that is taken, no temporary folder, or a failing embedded service.
    pub async fn start(options: StackOptions) -> Result<Self, LocalError> {
        let StackOptions {
            importer,
            notifier,
            faults,
            capacity,
            ports,
        } = options;
        let capacity = capacity.as_ref().map(Capacity::new);
        let (objects_at, tables, queues_at, topics_at) = tokio::try_join!(
            bind("S3", ports.s3),
            start_dynamodb(ports.dynamodb, faults, capacity.clone()),
            bind("SQS", ports.sqs),
            bind("SNS", ports.sns),
        )?;
        let (dynamodb, faults, dynamodb_url) = tables;

        let topics = Arc::new(Topics::default());
        let topic_arn = topics.create(TOPIC);
        let queues = Arc::new(Queues::new(queues_at.url.clone()));
        let dead_letters = queues.create(IMPORTS_DLQ, QueueSettings::default());
        let imports = queues.create(
            IMPORTS_QUEUE,
            imports_settings(importer.as_ref(), &dead_letters),
        );
        let s3 = ObjectStore::start(
            objects_at.listener,
            BUCKET,
            wiring::announce_uploads(Arc::clone(&imports)),
        )?;

        let endpoints = Endpoints {
            s3: objects_at.url,
            dynamodb: dynamodb_url,
            sqs: queues_at.url,
            sns: topics_at.url,
            region: REGION.to_owned(),
            access_key_id: ACCESS_KEY_ID.to_owned(),
            secret_access_key: SECRET_ACCESS_KEY.to_owned(),
            bucket: BUCKET.to_owned(),
            table: TABLE.to_owned(),
            jobs_table: JOBS_TABLE.to_owned(),
            topic_arn,
            queue_url: queues.url(&imports),
            dlq_url: queues.url(&dead_letters),
        };
        let sqs = Server::start(
            queues_at.listener,
            service_fn(move |request| Arc::clone(&queues).handle(request)),
        );
        let published = Arc::clone(&topics);
        let sns = Server::start(
            topics_at.listener,
            service_fn(move |request| Arc::clone(&published).handle(request)),
        );

        let mut pollers = JoinSet::new();
        let mut functions = Vec::new();
        let imports_are_polled = importer.is_some();
        if let Some(importer) = importer {
            let own = [
                ("INTAKE_JOBS_TABLE", &endpoints.jobs_table),
                ("INTAKE_QUEUE_URL", &endpoints.queue_url),
            ];
            let function = Arc::new(Function::new(configured(importer, &endpoints, &own)));
            pollers.spawn(wiring::poll_imports(
                Arc::clone(&imports),
                Arc::clone(&function),
            ));
            functions.push(function);
        }
        let mut stream = None;
        if let Some(notifier) = notifier {
            let function = Arc::new(Function::new(configured(notifier, &endpoints, &[])));
            let (mapping, poll) =
                StreamMapping::new(dynamodb.tables().clone(), Arc::clone(&function));
            pollers.spawn(poll);
            functions.push(function);
            stream = Some(mapping);
        }
        Ok(Self {
            endpoints,
            topics,
            imports,
            dead_letters,
            imports_are_polled,
            stream,
            faults,
            capacity,
            pollers,
            functions,
            s3,
            sqs,
            sns,
            dynamodb,
        })
    }

    /// Where the services listen.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The messages published to SNS so far, oldest first.
    pub fn inbox(&self) -> Vec<Message> {
        self.topics.inbox()
    }

    /// The table's capacity, if it has one.
    pub fn capacity(&self) -> Option<&Capacity> {
        self.capacity.as_ref()
    }

    /// The proxy that injects faults, if faults or a capacity were asked for.
    pub fn faults(&self) -> Option<&Faults> {
        self.faults.as_ref()
    }

    /// How many messages are in the dead-letter queue: uploads whose import failed for good.
    pub fn dead_letter_count(&self) -> usize {
        *self.dead_letters.held().borrow()
    }

    /// Waits until every event of what was written so far has been handled: no message in the imports queue
    /// (those that failed too often are in its dead-letter queue) and every stream record given to the notifier.
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
        loop {
            if self.imports_are_polled {
                // The queue outlives this borrow, so it is not closed.
                drop(held.wait_for(|held| *held == 0).await);
            }
            if let Some(stream) = &self.stream {
                stream.delivered().await;
            }
            // Something may have been uploaded while the stream was read.
            if !self.imports_are_polled || *held.borrow_and_update() == 0 {
                return;
            }
        }
    }

    /// Stops the functions and the services, and deletes what they stored.
    pub async fn shutdown(mut self) {
        self.pollers.shutdown().await;
        for function in self.functions.into_iter().filter_map(Arc::into_inner) {
            function.shutdown().await;
        }
        if let Some(faults) = self.faults {
            faults.stop().await;
        }
        tokio::join!(
            self.s3.stop(),
            self.sqs.stop(),
            self.sns.stop(),
            self.dynamodb.stop()
        );
    }
}

/// Starts DynamoDB, behind a proxy if there are faults to inject or its capacity is limited; also returns the URL for clients.
async fn start_dynamodb(
    port: u16,
    faults: Option<FaultPlan>,
    capacity: Option<Capacity>,
) -> Result<(DynamoDb, Option<Faults>, String), LocalError> {
    if faults.is_none() && capacity.is_none() {
        let bound = bind("DynamoDB", port).await?;
        return Ok((DynamoDb::start(bound.listener)?, None, bound.url));
    }
    let upstream = bind("DynamoDB", 0).await?;
    let dynamodb = DynamoDb::start(upstream.listener)?;
    // Clients know the proxy only.
    let proxy = bind("DynamoDB", port).await?;
    let faults = faults::start(
        proxy.listener,
        upstream.url,
        faults.unwrap_or_default(),
        capacity,
    );
    Ok((dynamodb, Some(faults), proxy.url))
}

fn imports_settings(importer: Option<&LambdaProgram>, dead_letters: &Arc<Queue>) -> QueueSettings {
    let mut settings = QueueSettings {
        redrive: Some(Redrive {
            dead_letter_queue: Arc::clone(dead_letters),
            max_receive_count: wiring::MAX_RECEIVE_COUNT,
        }),
        ..QueueSettings::default()
    };
    if let Some(importer) = importer {
        // Longer than any invocation, or a long import would run twice at once; six times is
        // https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
        settings.visibility_timeout = importer.timeout * 6;
    }
    settings
}

/// The function with the variables that point it at this stack, and those that it has alone; what the program sets wins.
fn configured(
    mut program: LambdaProgram,
    endpoints: &Endpoints,
    own: &[(&str, &String)],
) -> LambdaProgram {
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
    program
}
