//! SNS: topics, subscriptions and publishing over the
//! [query protocol](https://docs.aws.amazon.com/sns/latest/api/CommonParameters.html), with an inbox to read
//! what was published. Nothing is delivered to subscribers: [`Message::delivered`] gives what one would get.

mod actions;
mod delivery;
mod error;
mod message;
mod xml;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use http::{HeaderValue, Request, Response, StatusCode};
use tokio::sync::watch;
use uuid::Uuid;

pub use self::delivery::PROTOCOLS;
use self::error::SnsError;
pub use self::message::Message;
use self::xml::Element;
pub(crate) use self::xml::error as error_body;
use crate::lock::lock;
use crate::server::read_body;
use crate::{ACCOUNT_ID, REGION};

/// The parameters of one request.
type Form = BTreeMap<String, String>;

/// The topics of one endpoint and what was published to them.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    state: Mutex<State>,
    /// How many messages were published.
    published: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    /// Subscriptions of each topic, by its ARN.
    topics: BTreeMap<String, Vec<Subscription>>,
    inbox: Vec<Message>,
}

#[derive(Debug)]
struct Subscription {
    arn: String,
    protocol: String,
    endpoint: String,
    /// Whether its owner has consented. Those of people and of foreign servers wait for that, here for ever.
    confirmed: bool,
}

impl Subscription {
    fn new(topic_arn: &str, protocol: &str, endpoint: &str, confirmed: bool) -> Self {
        Self {
            arn: format!("{topic_arn}:{}", Uuid::new_v4()),
            protocol: protocol.to_owned(),
            endpoint: endpoint.to_owned(),
            confirmed,
        }
    }
}

/// ARN of the topic with this name.
pub(crate) fn topic_arn(name: &str) -> String {
    format!("arn:aws:sns:{REGION}:{ACCOUNT_ID}:{name}")
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

    /// Answers one HTTP request.
    pub(crate) async fn handle(
        self: Arc<Self>,
        request: Request<Body>,
    ) -> Result<Response<Body>, Infallible> {
        let (status, body) = match self.answer(request).await {
            Ok((action, result)) => (StatusCode::OK, xml::response(&action, &result)),
            Err(error) => (error.status(), error.body()),
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert("content-type", HeaderValue::from_static("text/xml"));
        Ok(response)
    }

    async fn answer(&self, request: Request<Body>) -> Result<(String, Vec<Element>), SnsError> {
        let body = read_body(request.into_body()).await;
        let body =
            body.ok_or_else(|| SnsError::invalid("The request body is too large or broke off"))?;
        let form: Form = form_urlencoded::parse(&body).into_owned().collect();
        let action = form.get("Action").ok_or_else(SnsError::no_action)?;
        let (result, published) = {
            let mut state = lock(&self.state);
            (state.act(action, &form), state.inbox.len())
        };
        self.published.send_if_modified(|before| {
            let grown = published > *before;
            *before = published.max(*before);
            grown
        });
        let result = result?;
        Ok((action.clone(), result))
    }
}
