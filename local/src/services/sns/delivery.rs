use serde_json::{Map, Value, json};

use super::message::Message;
use crate::deployment::REGION;

/// Protocols whose subscribers [`Message::delivered`] knows.
pub const PROTOCOLS: [&str; 7] = [
    "email",
    "email-json",
    "sms",
    "sqs",
    "lambda",
    "http",
    "https",
];

/// Subject of an e-mail whose message has none.
const DEFAULT_SUBJECT: &str = "AWS Notification Message";
/// Messages are not signed here; where a signature belongs, this stands.
const SIGNATURE: &str = "EXAMPLE";

impl Message {
    /// What a subscriber with this protocol gets, complete with what SNS puts around the text; `None` for a protocol that is
    /// not one of [`PROTOCOLS`]. Signatures are no real ones, as there is nobody here who could sign.
    pub fn delivered(&self, protocol: &str) -> Option<String> {
        match protocol {
            "email" => Some(self.email()),
            "sms" => Some(self.for_protocol(protocol).to_owned()),
            "lambda" => Some(pretty(&self.lambda_event())),
            "email-json" | "sqs" | "http" | "https" => Some(pretty(&self.notification(protocol))),
            _ => None,
        }
    }

    /// An e-mail: its headers, its text, and SNS' footer.
    fn email(&self) -> String {
        let topic = self.topic_arn.rsplit(':').next().unwrap_or_default();
        format!(
            "From: {topic} <no-reply@sns.amazonaws.com>
Subject: {}

{}

--
If you wish to stop receiving notifications from this topic, please click or visit the link below to unsubscribe:
{}

Please do not reply directly to this email. If you have any questions or comments regarding this email, please contact \
us at https://aws.amazon.com/support",
            self.subject.as_deref().unwrap_or(DEFAULT_SUBJECT),
            self.for_protocol("email"),
            self.unsubscribe_url(),
        )
    }

    /// The [notification](https://docs.aws.amazon.com/sns/latest/dg/http-notification-json.html) that machines get.
    fn notification(&self, protocol: &str) -> Value {
        let mut notification = Map::new();
        let mut add = |name: &str, value: Value| notification.insert(name.to_owned(), value);
        add("Type", "Notification".into());
        add("MessageId", self.id.as_str().into());
        add("TopicArn", self.topic_arn.as_str().into());
        if let Some(subject) = &self.subject {
            add("Subject", subject.as_str().into());
        }
        add("Message", self.for_protocol(protocol).into());
        add("Timestamp", self.timestamp.as_str().into());
        add("SignatureVersion", "1".into());
        add("Signature", SIGNATURE.into());
        add("SigningCertURL", signing_certificate_url().into());
        add("UnsubscribeURL", self.unsubscribe_url().into());
        if !self.attributes.is_empty() {
            add("MessageAttributes", self.message_attributes());
        }
        Value::Object(notification)
    }

    /// The [event](https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html) that a function gets.
    fn lambda_event(&self) -> Value {
        json!({
            "Records": [{
                "EventVersion": "1.0",
                "EventSubscriptionArn": self.subscription_arn(),
                "EventSource": "aws:sns",
                "Sns": {
                    "SignatureVersion": "1",
                    "Timestamp": self.timestamp,
                    "Signature": SIGNATURE,
                    "SigningCertUrl": signing_certificate_url(),
                    "MessageId": self.id,
                    "Message": self.for_protocol("lambda"),
                    "MessageAttributes": self.message_attributes(),
                    "Type": "Notification",
                    "UnsubscribeUrl": self.unsubscribe_url(),
                    "TopicArn": self.topic_arn,
                    "Subject": self.subject,
                },
            }],
        })
    }

    fn message_attributes(&self) -> Value {
        let attributes = self.attributes.iter().map(|(name, value)| {
            let data_type = self
                .attribute_types
                .get(name)
                .map_or("String", String::as_str);
            (name.clone(), json!({ "Type": data_type, "Value": value }))
        });
        Value::Object(attributes.collect())
    }

    /// The same for every protocol, as nobody is subscribed.
    fn subscription_arn(&self) -> String {
        format!("{}:00000000-0000-0000-0000-000000000000", self.topic_arn)
    }

    fn unsubscribe_url(&self) -> String {
        let subscription = self.subscription_arn();
        format!(
            "https://sns.{REGION}.amazonaws.com/?Action=Unsubscribe&SubscriptionArn={subscription}"
        )
    }
}

fn signing_certificate_url() -> String {
    format!("https://sns.{REGION}.amazonaws.com/SimpleNotificationService-{SIGNATURE}.pem")
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
            id: "id-1".to_owned(),
            topic_arn: "arn:aws:sns:us-east-1:000000000000:inventory-alerts".to_owned(),
            subject: Some("Inventory Update".to_owned()),
            message: "New product added: Laptop".to_owned(),
            by_protocol: [
                ("sqs", r#"{"count":1}"#),
                ("email", "Laptop, in full"),
                ("sms", "Laptop"),
            ]
            .map(|(protocol, text)| (protocol.to_owned(), text.to_owned()))
            .into(),
            attributes: [("count".to_owned(), "1".to_owned())].into(),
            attribute_types: [("count".to_owned(), "Number".to_owned())].into(),
            timestamp: "2027-01-15T08:00:00.000Z".to_owned(),
        }
    }

    #[test]
    fn people_get_text() {
        let email = message().delivered("email").unwrap();
        assert!(
            email.starts_with(
                "From: inventory-alerts <no-reply@sns.amazonaws.com>\nSubject: Inventory Update\n\nLaptop, in full\n\n--\n"
            ),
            "{email}"
        );
        let mut without_subject = message();
        without_subject.subject = None;
        let email = without_subject.delivered("email").unwrap();
        assert!(
            email.contains("\nSubject: AWS Notification Message\n"),
            "{email}"
        );
        assert_eq!(message().delivered("sms").unwrap(), "Laptop");
        assert_eq!(message().delivered("pigeon"), None);
    }

    #[test]
    fn machines_get_an_envelope() {
        for (protocol, text) in [
            ("sqs", r#"{"count":1}"#),
            ("https", "New product added: Laptop"),
            ("email-json", "New product added: Laptop"),
        ] {
            let envelope: Value =
                serde_json::from_str(&message().delivered(protocol).unwrap()).unwrap();
            let expected = json!({
                "Type": "Notification",
                "MessageId": "id-1",
                "TopicArn": "arn:aws:sns:us-east-1:000000000000:inventory-alerts",
                "Subject": "Inventory Update",
                "Message": text,
                "Timestamp": "2027-01-15T08:00:00.000Z",
                "SignatureVersion": "1",
                "Signature": "EXAMPLE",
                "SigningCertURL": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-EXAMPLE.pem",
                "UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=arn:aws:sns:us-east-1:000000000000:inventory-alerts:00000000-0000-0000-0000-000000000000",
                "MessageAttributes": { "count": { "Type": "Number", "Value": "1" } },
            });
            assert_eq!(envelope, expected, "{protocol}");
        }
        let mut plain = message();
        plain.subject = None;
        plain.attributes.clear();
        let envelope: Value = serde_json::from_str(&plain.delivered("sqs").unwrap()).unwrap();
        assert_eq!(
            envelope
                .get("Subject")
                .or(envelope.get("MessageAttributes")),
            None
        );
    }

    #[test]
    fn functions_get_an_event() {
        let event: Value = serde_json::from_str(&message().delivered("lambda").unwrap()).unwrap();
        let record = &event["Records"][0];
        assert_eq!(record["EventSource"], "aws:sns");
        assert_eq!(record["Sns"]["Message"], "New product added: Laptop");
        assert_eq!(record["Sns"]["Subject"], "Inventory Update");
        assert_eq!(
            record["Sns"]["MessageAttributes"],
            json!({ "count": { "Type": "Number", "Value": "1" } })
        );
    }
}
