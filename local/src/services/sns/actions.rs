use std::sync::Arc;

use axum::body::Body;
use http::{Request, Response, StatusCode};

use super::NAMESPACE;
use super::error::SnsError;
use super::message::{MAX_MESSAGE_BYTES, Message, size_bytes};
use super::topics::{State, Subscription, Topics, topic_arn};
use crate::deployment::ACCOUNT_ID;
use crate::lock::lock;
use crate::server::{Handler, read_body, response};
use crate::services::query::{Element, Form, response_body};

/// Most [entries in a batch](https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html).
const MAX_BATCH: usize = 10;
/// Longest [batch entry id](https://docs.aws.amazon.com/sns/latest/api/API_PublishBatchRequestEntry.html).
const MAX_ENTRY_ID_BYTES: usize = 80;
/// Longest [topic name](https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html).
const MAX_TOPIC_NAME_BYTES: usize = 256;
/// The [protocols](https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html) of subscriptions.
const SUBSCRIPTION_PROTOCOLS: [&str; 9] = [
    "http",
    "https",
    "email",
    "email-json",
    "sms",
    "sqs",
    "application",
    "lambda",
    "firehose",
];
/// The ARN of a subscription whose owner has not confirmed it, as `Subscribe` answers.
const PENDING: &str = "pending confirmation";
/// The same, as it is listed.
const PENDING_LISTED: &str = "PendingConfirmation";

impl Handler for Topics {
    async fn handle(self: Arc<Self>, request: Request<Body>) -> Response<Body> {
        let (status, body) = match self.answer(request).await {
            Ok((action, result)) => (StatusCode::OK, response_body(NAMESPACE, &action, &result)),
            Err(error) => (error.status(), error.body()),
        };
        response(status, "text/xml", body)
    }
}

impl Topics {
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

impl State {
    /// Does one action of the API and returns what goes into its result element.
    fn act(&mut self, action: &str, form: &Form) -> Result<Vec<Element>, SnsError> {
        match action {
            "CreateTopic" => self.create_topic(parameter(form, "Name")?),
            "ListTopics" => {
                let topics = self
                    .topics
                    .keys()
                    .map(|arn| vec![Element::text("TopicArn", arn)]);
                Ok(vec![Element::list("Topics", topics)])
            }
            "GetTopicAttributes" => self.topic_attributes(form),
            "DeleteTopic" => {
                // A topic that is gone already is no error.
                self.topics.remove(parameter(form, "TopicArn")?);
                Ok(Vec::new())
            }
            "Subscribe" => self.subscribe(form),
            "Unsubscribe" => {
                let arn = parameter(form, "SubscriptionArn")?;
                // A subscription that is gone already is no error.
                for subscriptions in self.topics.values_mut() {
                    subscriptions.retain(|subscription| subscription.arn != arn);
                }
                Ok(Vec::new())
            }
            "ListSubscriptionsByTopic" => self.list_subscriptions(form),
            "Publish" => self.publish(form),
            "PublishBatch" => self.publish_batch(form),
            _ => Err(SnsError::unknown_action(action)),
        }
    }

    fn create_topic(&mut self, name: &str) -> Result<Vec<Element>, SnsError> {
        if name.len() > MAX_TOPIC_NAME_BYTES || !name.bytes().all(is_name_byte) {
            return Err(SnsError::invalid("Topic Name"));
        }
        let arn = topic_arn(name);
        self.topics.entry(arn.clone()).or_default();
        Ok(vec![Element::text("TopicArn", arn)])
    }

    /// The topic that a request names, and its subscriptions.
    fn topic<'a>(&mut self, form: &'a Form) -> Result<(&'a str, &mut Vec<Subscription>), SnsError> {
        let arn = parameter(form, "TopicArn")
            .or_else(|missing| parameter(form, "TargetArn").map_err(|_| missing))?;
        let subscriptions = self
            .topics
            .get_mut(arn)
            .ok_or_else(SnsError::no_such_topic)?;
        Ok((arn, subscriptions))
    }

    fn subscribe(&mut self, form: &Form) -> Result<Vec<Element>, SnsError> {
        let protocol = parameter(form, "Protocol")?;
        if !SUBSCRIPTION_PROTOCOLS.contains(&protocol) {
            return Err(SnsError::invalid(format!(
                "Does not support this protocol string: {protocol}"
            )));
        }
        let endpoint = parameter(form, "Endpoint")?;
        let (topic_arn, subscriptions) = self.topic(form)?;
        // Those of people and of foreign servers wait for their consent.
        let waits = matches!(protocol, "email" | "email-json" | "http" | "https");
        let same = |s: &&Subscription| s.protocol == protocol && s.endpoint == endpoint;
        let arn = if let Some(existing) = subscriptions.iter().find(same) {
            existing.arn.clone()
        } else {
            let new = Subscription::new(topic_arn, protocol, endpoint, !waits);
            let arn = new.arn.clone();
            subscriptions.push(new);
            arn
        };
        let has_arn = !waits
            || form
                .get("ReturnSubscriptionArn")
                .is_some_and(|value| value == "true");
        Ok(vec![Element::text(
            "SubscriptionArn",
            if has_arn { &arn } else { PENDING },
        )])
    }

    fn list_subscriptions(&mut self, form: &Form) -> Result<Vec<Element>, SnsError> {
        let (topic_arn, subscriptions) = self.topic(form)?;
        let members = subscriptions.iter().map(|subscription| {
            let arn = if subscription.confirmed {
                &subscription.arn
            } else {
                PENDING_LISTED
            };
            vec![
                Element::text("SubscriptionArn", arn),
                Element::text("Owner", ACCOUNT_ID),
                Element::text("Protocol", &subscription.protocol),
                Element::text("Endpoint", &subscription.endpoint),
                Element::text("TopicArn", topic_arn),
            ]
        });
        Ok(vec![Element::list("Subscriptions", members)])
    }

    fn topic_attributes(&mut self, form: &Form) -> Result<Vec<Element>, SnsError> {
        let (topic_arn, subscriptions) = self.topic(form)?;
        let confirmed = subscriptions.iter().filter(|s| s.confirmed).count();
        let pending = subscriptions.len() - confirmed;
        let attributes = [
            ("TopicArn", topic_arn.to_owned()),
            ("Owner", ACCOUNT_ID.to_owned()),
            ("SubscriptionsConfirmed", confirmed.to_string()),
            ("SubscriptionsPending", pending.to_string()),
        ];
        let entry = |(name, value): (&str, String)| {
            let entry = vec![Element::text("key", name), Element::text("value", value)];
            Element::of("entry", entry)
        };
        let entries = attributes.map(entry).into();
        Ok(vec![Element::of("Attributes", entries)])
    }

    fn publish(&mut self, form: &Form) -> Result<Vec<Element>, SnsError> {
        let (topic_arn, _) = self.topic(form)?;
        let message = Message::from_form(topic_arn, form, "")?;
        let id = Element::text("MessageId", &message.id);
        self.inbox.push(message);
        Ok(vec![id])
    }

    fn publish_batch(&mut self, form: &Form) -> Result<Vec<Element>, SnsError> {
        let (topic_arn, _) = self.topic(form)?;
        let mut entries: Vec<(&str, String)> = Vec::new();
        for number in 1.. {
            let prefix = format!("PublishBatchRequestEntries.member.{number}.");
            let Some(id) = form.get(&format!("{prefix}Id")) else {
                break;
            };
            if id.is_empty() || id.len() > MAX_ENTRY_ID_BYTES || !id.bytes().all(is_name_byte) {
                return Err(SnsError::invalid_entry_id());
            }
            if entries.iter().any(|(earlier, _)| earlier == id) {
                return Err(SnsError::repeated_entry());
            }
            entries.push((id, prefix));
        }
        match entries.len() {
            0 => return Err(SnsError::empty_batch()),
            count if count > MAX_BATCH => return Err(SnsError::too_many_entries()),
            _ => {}
        }
        if entries
            .iter()
            .map(|(_, prefix)| size_bytes(form, prefix))
            .sum::<usize>()
            > MAX_MESSAGE_BYTES
        {
            return Err(SnsError::batch_too_long());
        }
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for (id, prefix) in entries {
            match Message::from_form(topic_arn, form, &prefix) {
                Ok(message) => {
                    successful.push(vec![
                        Element::text("Id", id),
                        Element::text("MessageId", &message.id),
                    ]);
                    self.inbox.push(message);
                }
                Err(error) => failed.push(error.batch_entry(id)),
            }
        }
        Ok(vec![
            Element::list("Successful", successful),
            Element::list("Failed", failed),
        ])
    }
}

fn parameter<'a>(form: &'a Form, name: &'static str) -> Result<&'a str, SnsError> {
    form.get(name)
        .filter(|value| !value.is_empty())
        .map(String::as_str)
        .ok_or_else(|| SnsError::invalid(name))
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}
