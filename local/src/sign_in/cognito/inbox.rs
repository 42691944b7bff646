//! What was published to SNS and mailed by Cognito, in one list.

use serde_json::{Value, json};

use crate::Message;
use crate::cognito::Mail;

/// All messages, oldest first: `id`, `time`, `from`, `to`, `subject`, `text` and `attributes`.
pub(crate) fn messages(published: &[Message], mails: &[Mail]) -> Vec<Value> {
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
