use std::collections::BTreeMap;
use std::slice;
use std::sync::{Arc, Mutex};

use super::events::{self, ObjectCreated};
use crate::lock::lock;
use crate::services::s3::OnCreated;
use crate::services::sqs::{Queue, Queues};

/// What the buckets' notifications are sent by.
#[derive(Debug)]
pub(crate) struct Announcements {
    queues: Arc<Queues>,
    imports: Arc<Queue>,
    /// Every one, oldest first.
    sent: Mutex<Vec<ObjectCreated>>,
}

impl Announcements {
    pub(crate) fn new(queues: Arc<Queues>, imports: Arc<Queue>) -> Arc<Self> {
        Arc::new(Self {
            queues,
            imports,
            sent: Mutex::default(),
        })
    }

    /// What S3 calls. The message is in the queue before the uploader has its answer.
    pub(crate) fn on_created(self: &Arc<Self>) -> OnCreated {
        let announcements = Arc::clone(self);
        Arc::new(move |object, queue_arns| {
            // As on AWS, a queue that is gone gets nothing, and no error is reported.
            let queues = queue_arns
                .iter()
                .filter_map(|arn| announcements.queues.by_arn(arn));
            for queue in queues {
                lock(&announcements.sent).push(object.clone());
                send(&queue, &object);
            }
        })
    }

    /// Announces an object to the imports queue, once more if it was before.
    pub(crate) fn send(&self, object: &ObjectCreated) {
        send(&self.imports, object);
    }

    /// Every object that was announced, oldest first.
    pub(crate) fn sent(&self) -> Vec<ObjectCreated> {
        lock(&self.sent).clone()
    }
}

fn send(queue: &Queue, object: &ObjectCreated) {
    let notification = events::s3_notification(slice::from_ref(object));
    queue.send(notification.to_string(), BTreeMap::new(), None);
}
