use std::{collections::BTreeMap, slice, sync::Arc};

use crate::{UPLOAD_PREFIX, events, s3::OnCreated, sqs::Queue};

/// The bucket's notification: object created, under [`UPLOAD_PREFIX`], to `queue`.
///
/// The message is in the queue before the uploader has its answer.
pub(crate) fn announce_uploads(queue: Arc<Queue>) -> OnCreated {
    Box::new(move |object| {
        if object.key.starts_with(UPLOAD_PREFIX) {
            let notification = events::s3_notification(slice::from_ref(&object));
            queue.send(notification.to_string(), BTreeMap::new(), None);
        }
    })
}
