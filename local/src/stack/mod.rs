//! The stack itself: what to start, everything put together in [`Stack::start`], and the handle that tests and the command
//! hold. It may use every other folder; none may use it.

mod endpoints;
mod options;
mod serve;
mod start;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use self::endpoints::{Endpoints, Ports};
pub use self::options::StackOptions;
use crate::capacity::Capacity;
use crate::error::LocalError;
use crate::faults::Faults;
use crate::server::Server;
use crate::services::dynamodb::DynamoDb;
use crate::services::lambda::runtime::{Function, InvokeError};
use crate::services::s3::ObjectStore;
use crate::services::sns::{Message, Topics};
use crate::services::sqs::{Delivery, Queue};
use crate::sign_in::cognito::Cognito;
use crate::wiring::events::{self, ObjectCreated};
use crate::wiring::{Announcements, StreamMapping};

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
    servers: Vec<Server>,
    s3: ObjectStore,
    dynamodb: DynamoDb,
}

impl Stack {
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
    /// [`LambdaProgram::concurrency`](crate::LambdaProgram::concurrency).
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

    /// The bodies of messages of the imports queue that were sent with a delay that is not over.
    pub fn delayed_imports(&self) -> Vec<String> {
        self.imports.delayed()
    }

    /// Every upload that was announced to the imports queue, oldest first.
    pub fn uploads(&self) -> Vec<ObjectCreated> {
        self.announcements.sent()
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
        for server in self.servers {
            server.stop().await;
        }
        self.s3.delete();
        self.dynamodb.stop().await;
    }
}
