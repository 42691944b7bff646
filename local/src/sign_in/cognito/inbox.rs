//! What was published to SNS and mailed by Cognito, in one list.

use axum::body::Body;
use http::header::ACCEPT;
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::answer::json;
use super::mail::Mail;
use super::pool::Cognito;
use crate::server::header;
use crate::services::sns::Message;

impl Cognito {
    /// What was published and mailed, oldest first: JSON, or a page for people.
    pub(super) fn inbox(&self, head: &Parts) -> Response<Body> {
        let messages = messages(&self.topics.inbox(), &self.mails());
        let accept = header(&head.headers, ACCEPT.as_str());
        if accept.is_some_and(|accept| accept.contains("text/html")) {
            return self.inbox_page(&messages);
        }
        json(StatusCode::OK, &json!({ "messages": messages }))
    }
}

/// All messages, oldest first: `id`, `time`, `from`, `to`, `subject`, `text` and `attributes`.
fn messages(published: &[Message], mails: &[Mail]) -> Vec<Value> {
    let published = published.iter().map(|message| {
        let topic = message.topic_arn.rsplit(':').next().unwrap_or_default();
        json!({
            "id": message.id,
            "time": message.timestamp,
            "from": topic,
            "to": "",
            "subject": message.subject.as_deref().unwrap_or_default(),
            "text": message.for_protocol("email"),
            "attributes": message.attributes,
        })
    });
    let mails = mails.iter().map(|mail| {
        json!({
            "id": mail.id,
            "time": mail.timestamp,
            "from": "email",
            "to": mail.to,
            "subject": mail.subject,
            "text": mail.text,
            "attributes": {},
        })
    });
    let mut all: Vec<Value> = published.chain(mails).collect();
    // Both write the same format, in UTC.
    all.sort_by(|one, other| one["time"].as_str().cmp(&other["time"].as_str()));
    all
}
