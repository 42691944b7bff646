use std::collections::BTreeMap;
use std::sync::Mutex;

use tokio::sync::watch;
use uuid::Uuid;

use super::message::Message;
use crate::deployment;
use crate::lock::lock;

/// The topics of one endpoint and what was published to them.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    pub(super) state: Mutex<State>,
    /// How many messages were published.
    pub(super) published: watch::Sender<usize>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Subscriptions of each topic, by its ARN.
    pub(super) topics: BTreeMap<String, Vec<Subscription>>,
    pub(super) inbox: Vec<Message>,
}

#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) arn: String,
    pub(super) protocol: String,
    pub(super) endpoint: String,
    /// Whether its owner has consented. Those of people and of foreign servers wait for that, here for ever.
    pub(super) confirmed: bool,
}

impl Subscription {
    pub(super) fn new(topic_arn: &str, protocol: &str, endpoint: &str, confirmed: bool) -> Self {
        Self {
            arn: format!("{topic_arn}:{}", Uuid::new_v4()),
            protocol: protocol.to_owned(),
            endpoint: endpoint.to_owned(),
            confirmed,
        }
    }
}

/// ARN of the topic with this name.
pub(super) fn topic_arn(name: &str) -> String {
    deployment::arn("sns", name)
}

impl Topics {
    /// Adds a topic, if there is none with the name, and returns its ARN.
    pub(crate) fn create(&self, name: &str) -> String {
        let arn = topic_arn(name);
        lock(&self.state).topics.entry(arn.clone()).or_default();
        arn
    }

    /// Subscribes an address that has confirmed already.
    pub(crate) fn subscribe(&self, topic_arn: &str, protocol: &str, endpoint: &str) {
        if let Some(subscriptions) = lock(&self.state).topics.get_mut(topic_arn) {
            subscriptions.push(Subscription::new(topic_arn, protocol, endpoint, true));
        }
    }

    /// What was published so far, oldest first.
    pub(crate) fn inbox(&self) -> Vec<Message> {
        lock(&self.state).inbox.clone()
    }

    /// The messages after the first `seen`, as soon as there are some.
    pub(crate) async fn published_after(&self, seen: usize) -> Vec<Message> {
        let mut published = self.published.subscribe();
        // The sender lives as long as this does.
        drop(published.wait_for(|published| *published > seen).await);
        self.inbox().split_off(seen)
    }
}
