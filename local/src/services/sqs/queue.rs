use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use md5::{Digest as _, Md5};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::deployment::{self, ACCOUNT_ID};
use crate::lock::lock;

/// Largest [message, and largest batch of messages](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html):
/// 1 MiB, attributes included.
pub(super) const MAX_MESSAGE_BYTES: usize = 1_048_576;

/// ARN of the queue with this name.
pub(crate) fn arn(name: &str) -> String {
    deployment::arn("sqs", name)
}

/// How a queue behaves.
#[derive(Debug, Clone)]
pub(crate) struct QueueSettings {
    /// How long a received message is hidden from other receivers.
    pub(crate) visibility_timeout: Duration,
    /// How long a new message is hidden at first.
    pub(crate) delay: Duration,
    /// How long a receive waits when it does not say.
    pub(crate) receive_wait: Duration,
    /// Where messages go that were received too often.
    pub(crate) redrive: Option<Redrive>,
    /// Who may do what with it, as JSON. It is kept and told, and not enforced.
    pub(crate) policy: Option<String>,
}

impl Default for QueueSettings {
    /// The [defaults of SQS](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html).
    fn default() -> Self {
        Self {
            visibility_timeout: Duration::from_secs(30),
            delay: Duration::ZERO,
            receive_wait: Duration::ZERO,
            redrive: None,
            policy: None,
        }
    }
}

/// A dead-letter queue and when it gets a message.
#[derive(Debug, Clone)]
pub(crate) struct Redrive {
    pub(crate) dead_letter_queue: Arc<Queue>,
    pub(crate) max_receive_count: u32,
}

/// A message attribute that a sender set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MessageAttribute {
    /// `String`, `Number` or `Binary`, perhaps with a custom suffix.
    pub(crate) data_type: String,
    /// The value: text, or base64 if `data_type` starts with `Binary`.
    pub(crate) value: String,
}

/// A message as one receiver gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The message's id, the same at every receive.
    pub message_id: String,
    /// Names this receive; deleting the message needs it.
    pub receipt_handle: String,
    /// The message.
    pub body: String,
    /// How often it was received, this time included.
    pub receive_count: u32,
    /// When it was sent.
    pub sent: SystemTime,
    /// When it was received for the first time.
    pub first_received: SystemTime,
    pub(crate) attributes: BTreeMap<String, MessageAttribute>,
}

impl Delivery {
    /// A message sent and received now, for the first time: for samples and tests.
    pub fn first(body: impl Into<String>) -> Self {
        let now = SystemTime::now();
        Self {
            message_id: Uuid::new_v4().to_string(),
            receipt_handle: Uuid::new_v4().to_string(),
            body: body.into(),
            receive_count: 1,
            sent: now,
            first_received: now,
            attributes: BTreeMap::new(),
        }
    }

    /// MD5 of the body, in hexadecimal.
    pub(crate) fn md5_of_body(&self) -> String {
        md5_hex(self.body.as_bytes())
    }

    /// The attributes that SQS itself sets, by name.
    pub(crate) fn system_attributes(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("ApproximateReceiveCount", self.receive_count.to_string()),
            ("SentTimestamp", unix_millis(self.sent)),
            (
                "ApproximateFirstReceiveTimestamp",
                unix_millis(self.first_received),
            ),
            ("SenderId", ACCOUNT_ID.to_owned()),
        ])
    }
}

fn unix_millis(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis()
        .to_string()
}

pub(crate) fn md5_hex(bytes: &[u8]) -> String {
    format!("{:x}", Bytes::copy_from_slice(&Md5::digest(bytes)))
}

#[derive(Debug)]
struct StoredMessage {
    id: String,
    body: String,
    attributes: BTreeMap<String, MessageAttribute>,
    sent: SystemTime,
    first_received: Option<SystemTime>,
    receive_count: u32,
    visible_at: Instant,
    /// Of the last receive; `None` while it waits for one.
    receipt_handle: Option<String>,
}

/// How many messages a queue holds, by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Depth {
    /// Ready to be received.
    pub(crate) visible: usize,
    /// Received, not deleted, and still hidden.
    pub(crate) in_flight: usize,
    /// Sent with a delay that is not over.
    pub(crate) delayed: usize,
}

/// A standard queue.
#[derive(Debug)]
pub(crate) struct Queue {
    name: String,
    settings: Mutex<QueueSettings>,
    created: SystemTime,
    messages: Mutex<Vec<StoredMessage>>,
    /// Messages in the queue, in whatever state.
    held: watch::Sender<usize>,
    /// A message may have become visible.
    arrived: Notify,
}

impl Queue {
    pub(crate) fn new(name: String, settings: QueueSettings) -> Arc<Self> {
        Arc::new(Self {
            name,
            settings: Mutex::new(settings),
            created: SystemTime::now(),
            messages: Mutex::default(),
            held: watch::Sender::new(0),
            arrived: Notify::new(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn settings(&self) -> QueueSettings {
        lock(&self.settings).clone()
    }

    /// Has it behave in another way from now on.
    pub(crate) fn set(&self, settings: QueueSettings) {
        *lock(&self.settings) = settings;
    }

    pub(crate) fn created(&self) -> SystemTime {
        self.created
    }

    pub(crate) fn arn(&self) -> String {
        arn(&self.name)
    }

    /// Adds a message, hidden for `delay`, or for the queue's own without one. Returns its id.
    pub(crate) fn send(
        &self,
        body: String,
        attributes: BTreeMap<String, MessageAttribute>,
        delay: Option<Duration>,
    ) -> String {
        let id = Uuid::new_v4().to_string();
        self.store(StoredMessage {
            id: id.clone(),
            body,
            attributes,
            sent: SystemTime::now(),
            first_received: None,
            receive_count: 0,
            visible_at: Instant::now() + delay.unwrap_or_else(|| self.settings().delay),
            receipt_handle: None,
        });
        id
    }

    /// The bodies of messages that were never received, and are not to be yet.
    pub(crate) fn delayed(&self) -> Vec<String> {
        let now = Instant::now();
        let messages = lock(&self.messages);
        let delayed = messages
            .iter()
            .filter(|message| message.receive_count == 0 && message.visible_at > now);
        delayed.map(|message| message.body.clone()).collect()
    }

    fn store(&self, message: StoredMessage) {
        let mut messages = lock(&self.messages);
        messages.push(message);
        self.held.send_replace(messages.len());
        drop(messages);
        self.arrived.notify_waiters();
    }

    /// Receives up to `max` messages, waiting up to `wait` for the first one.
    pub(crate) async fn receive(
        &self,
        max: usize,
        wait: Duration,
        visibility: Option<Duration>,
    ) -> Vec<Delivery> {
        let deadline = Instant::now() + wait;
        loop {
            // Before looking, so that a message sent in between is not missed.
            let mut arrived = std::pin::pin!(self.arrived.notified());
            arrived.as_mut().enable();
            let settings = self.settings();
            let hidden = visibility.unwrap_or(settings.visibility_timeout);
            let (deliveries, next_visible) = self.take(max, hidden, settings.redrive.as_ref());
            let now = Instant::now();
            if !deliveries.is_empty() || now >= deadline {
                return deliveries;
            }
            let wake = next_visible.map_or(deadline, |at| at.min(deadline));
            tokio::select! {
                () = arrived => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// The messages to deliver now, and when the next hidden one becomes visible.
    fn take(
        &self,
        max: usize,
        visibility: Duration,
        redrive: Option<&Redrive>,
    ) -> (Vec<Delivery>, Option<Instant>) {
        let now = Instant::now();
        let mut messages = lock(&self.messages);
        if let Some(redrive) = redrive {
            let spent = |message: &mut StoredMessage| {
                message.visible_at <= now && message.receive_count >= redrive.max_receive_count
            };
            // The lock of this queue is held, so that a message is always in one of the two. Queues lock in
            // the order source, target; a target is older than its sources, so there is no cycle.
            for mut message in messages.extract_if(.., spent) {
                message.receipt_handle = None;
                tracing::error!(
                    queue = self.name,
                    message = message.id,
                    "moved a message to the dead-letter queue"
                );
                redrive.dead_letter_queue.store(message);
            }
            self.held.send_replace(messages.len());
        }
        let mut deliveries = Vec::new();
        for message in messages
            .iter_mut()
            .filter(|message| message.visible_at <= now)
            .take(max)
        {
            let handle = Uuid::new_v4().to_string();
            message.receive_count += 1;
            message.visible_at = now + visibility;
            message.receipt_handle = Some(handle.clone());
            deliveries.push(Delivery {
                message_id: message.id.clone(),
                receipt_handle: handle,
                body: message.body.clone(),
                receive_count: message.receive_count,
                sent: message.sent,
                first_received: *message.first_received.get_or_insert_with(SystemTime::now),
                attributes: message.attributes.clone(),
            });
        }
        let next_visible = messages.iter().map(|message| message.visible_at).min();
        (deliveries, next_visible)
    }

    /// Deletes the message with this receipt handle. A handle of an earlier receive does nothing, as on SQS.
    pub(crate) fn delete(&self, receipt_handle: &str) {
        let mut messages = lock(&self.messages);
        messages.retain(|message| message.receipt_handle.as_deref() != Some(receipt_handle));
        self.held.send_replace(messages.len());
    }

    /// Hides a message in flight for `timeout` from now; false if it is not in flight.
    pub(crate) fn change_visibility(&self, receipt_handle: &str, timeout: Duration) -> bool {
        let now = Instant::now();
        let mut messages = lock(&self.messages);
        let message = messages
            .iter_mut()
            .find(|message| message.receipt_handle.as_deref() == Some(receipt_handle));
        let Some(message) = message.filter(|message| message.visible_at > now) else {
            return false;
        };
        message.visible_at = now + timeout;
        drop(messages);
        self.arrived.notify_waiters();
        true
    }

    /// Deletes all messages.
    pub(crate) fn purge(&self) {
        lock(&self.messages).clear();
        self.held.send_replace(0);
    }

    /// How many messages it holds now.
    pub(crate) fn depth(&self) -> Depth {
        let now = Instant::now();
        let mut depth = Depth::default();
        for message in lock(&self.messages).iter() {
            match (message.visible_at <= now, message.receive_count) {
                (true, _) => depth.visible += 1,
                (false, 0) => depth.delayed += 1,
                (false, _) => depth.in_flight += 1,
            }
        }
        depth
    }

    /// How many messages it holds, in whatever state, to wait on.
    pub(crate) fn held(&self) -> watch::Receiver<usize> {
        self.held.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(20);

    fn send(queue: &Queue, body: &str) {
        queue.send(body.to_owned(), BTreeMap::new(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_received_message_is_hidden_until_its_timeout() {
        let queue = Queue::new("q".to_owned(), QueueSettings::default());
        send(&queue, "a");
        let first = queue.receive(10, Duration::ZERO, Some(SOON)).await;
        assert_eq!((first.len(), first[0].receive_count), (1, 1));
        assert!(queue.receive(10, Duration::ZERO, None).await.is_empty());
        assert_eq!(
            queue.depth(),
            Depth {
                in_flight: 1,
                ..Depth::default()
            }
        );
        let again = queue.receive(10, LONG, None).await;
        assert_eq!(
            (again[0].receive_count, &again[0].message_id),
            (2, &first[0].message_id)
        );
        queue.delete(&first[0].receipt_handle);
        assert_eq!(
            *queue.held().borrow(),
            1,
            "an old receipt handle deletes nothing"
        );
        queue.delete(&again[0].receipt_handle);
        assert_eq!(*queue.held().borrow(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_receive_gets_a_message_sent_later() {
        let queue = Queue::new("q".to_owned(), QueueSettings::default());
        let (received, ()) =
            tokio::join!(queue.receive(1, LONG, None), async { send(&queue, "late") });
        assert_eq!(received[0].body, "late");
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_receive_gets_a_message_made_visible_again() {
        let queue = Queue::new("q".to_owned(), QueueSettings::default());
        send(&queue, "a");
        let first = queue.receive(1, Duration::ZERO, None).await;
        let (second, changed) = tokio::join!(queue.receive(1, LONG, None), async {
            queue.change_visibility(&first[0].receipt_handle, Duration::ZERO)
        });
        assert!(changed);
        assert_eq!(second[0].receive_count, 2);
        assert!(
            !queue.change_visibility(&first[0].receipt_handle, LONG),
            "its handle is out of date"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_received_too_often_goes_to_the_dead_letter_queue() {
        let dlq = Queue::new("dlq".to_owned(), QueueSettings::default());
        let redrive = Redrive {
            dead_letter_queue: Arc::clone(&dlq),
            max_receive_count: 2,
        };
        let settings = QueueSettings {
            redrive: Some(redrive),
            ..QueueSettings::default()
        };
        let queue = Queue::new("q".to_owned(), settings);
        send(&queue, "poison");
        for count in 1..=2 {
            let received = queue.receive(1, Duration::ZERO, Some(Duration::ZERO)).await;
            assert_eq!(received[0].receive_count, count);
        }
        assert!(queue.receive(1, Duration::ZERO, None).await.is_empty());
        assert_eq!(*queue.held().borrow(), 0);
        assert_eq!(dlq.receive(1, Duration::ZERO, None).await[0].body, "poison");
    }

    #[tokio::test(start_paused = true)]
    async fn a_delayed_message_comes_after_its_delay() {
        let queue = Queue::new("q".to_owned(), QueueSettings::default());
        queue.send("later".to_owned(), BTreeMap::new(), Some(SOON));
        assert!(queue.receive(1, Duration::ZERO, None).await.is_empty());
        assert_eq!(
            queue.depth(),
            Depth {
                delayed: 1,
                ..Depth::default()
            }
        );
        assert_eq!(queue.receive(1, LONG, None).await[0].body, "later");
    }
}
