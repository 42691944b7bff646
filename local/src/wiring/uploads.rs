use std::{
    collections::BTreeMap,
    slice,
    sync::{Arc, Mutex},
};

use crate::{
    UPLOAD_PREFIX,
    events::{self, ObjectCreated},
    lock::lock,
    s3::OnCreated,
    sqs::Queue,
};

/// The bucket's notification: object created, under [`UPLOAD_PREFIX`], to a queue.
#[derive(Debug)]
pub(crate) struct Announcements {
    queue: Arc<Queue>,
    /// Every one, oldest first.
    made: Mutex<Vec<ObjectCreated>>,
}

impl Announcements {
    pub(crate) fn new(queue: Arc<Queue>) -> Arc<Self> {
        Arc::new(Self {
            queue,
            made: Mutex::default(),
        })
    }

    /// What S3 calls. The message is in the queue before the uploader has its answer.
    pub(crate) fn on_created(self: &Arc<Self>) -> OnCreated {
        let announcements = Arc::clone(self);
        Arc::new(move |object| {
            if object.key.starts_with(UPLOAD_PREFIX) {
                lock(&announcements.made).push(object.clone());
                announcements.send(&object);
            }
        })
    }

    /// Announces an object, once more if it was before.
    pub(crate) fn send(&self, object: &ObjectCreated) {
        let notification = events::s3_notification(slice::from_ref(object));
        self.queue
            .send(notification.to_string(), BTreeMap::new(), None);
    }

    /// Every object that was announced, oldest first.
    pub(crate) fn made(&self) -> Vec<ObjectCreated> {
        lock(&self.made).clone()
    }
}
