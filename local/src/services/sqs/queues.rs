use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::error::SqsError;
use super::queue::{Queue, QueueSettings};
use crate::deployment::ACCOUNT_ID;
use crate::lock::lock;

/// The queues of one endpoint.
#[derive(Debug)]
pub(crate) struct Queues {
    endpoint: String,
    queues: Mutex<BTreeMap<String, Arc<Queue>>>,
}

impl Queues {
    /// No queues yet; `endpoint` is the URL that clients use.
    pub(crate) fn new(endpoint: String) -> Self {
        Self {
            endpoint,
            queues: Mutex::default(),
        }
    }

    /// Adds a queue, or returns the one that has the name.
    pub(crate) fn create(&self, name: &str, settings: QueueSettings) -> Arc<Queue> {
        let mut queues = lock(&self.queues);
        let queue = queues
            .entry(name.to_owned())
            .or_insert_with(|| Queue::new(name.to_owned(), settings));
        Arc::clone(queue)
    }

    /// The URL that names `queue` in requests.
    pub(crate) fn url(&self, queue: &Queue) -> String {
        format!("{}/{ACCOUNT_ID}/{}", self.endpoint, queue.name())
    }

    /// Forgets a queue. Who holds it still has it; nobody else finds it.
    pub(super) fn delete(&self, name: &str) {
        lock(&self.queues).remove(name);
    }

    /// The queue with this ARN.
    pub(crate) fn by_arn(&self, arn: &str) -> Option<Arc<Queue>> {
        let queue = self.find(arn.rsplit(':').next()?)?;
        (queue.arn() == arn).then_some(queue)
    }

    pub(super) fn find(&self, name: &str) -> Option<Arc<Queue>> {
        lock(&self.queues).get(name).cloned()
    }

    /// The queue with this URL, whatever host it was reached by.
    pub(super) fn by_url(&self, url: &str) -> Result<Arc<Queue>, SqsError> {
        let name = url.rsplit('/').next().unwrap_or_default();
        self.find(name).ok_or_else(SqsError::no_such_queue)
    }

    /// The queues whose names begin with `prefix`, in order.
    pub(super) fn with_prefix(&self, prefix: &str) -> Vec<Arc<Queue>> {
        lock(&self.queues)
            .values()
            .filter(|queue| queue.name().starts_with(prefix))
            .cloned()
            .collect()
    }
}
