//! `intake local --inbox`: messages as they come, as each protocol's subscriber would get them.

use std::io::{self, Write};

use clap::ValueEnum;
use local::{Message, Stack};

/// A protocol of SNS subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// Text with SNS' footer
    Email,
    /// The notification as JSON
    EmailJson,
    /// A short text
    Sms,
    /// The notification as JSON, as the body of a queue's message
    Sqs,
    /// The event of a function
    Lambda,
    /// The notification as JSON, as the body of a POST
    Http,
    /// The same
    Https,
}

impl Protocol {
    /// As SNS names it.
    fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::EmailJson => "email-json",
            Self::Sms => "sms",
            Self::Sqs => "sqs",
            Self::Lambda => "lambda",
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Writes each message to standard output as it comes, for ever.
///
/// # Errors
///
/// Standard output is closed.
pub async fn follow(stack: &Stack, protocols: &[Protocol]) -> io::Result<()> {
    let mut seen = 0;
    loop {
        for message in stack.published_after(seen).await {
            seen += 1;
            write(&message, seen, protocols, &mut io::stdout().lock())?;
        }
    }
}

fn write(
    message: &Message,
    number: usize,
    protocols: &[Protocol],
    out: &mut impl Write,
) -> io::Result<()> {
    let topic = message.topic_arn.rsplit(':').next().unwrap_or_default();
    writeln!(
        out,
        "\n==== message {number} to {topic}, {} ====",
        message.timestamp
    )?;
    for protocol in protocols.iter().map(|protocol| protocol.name()) {
        let delivered = message.delivered(protocol).unwrap_or_default();
        writeln!(out, "\n---- {protocol} ----\n{delivered}")?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_is_one_that_is_delivered() {
        let names: Vec<&str> = Protocol::value_variants()
            .iter()
            .map(|protocol| protocol.name())
            .collect();
        assert_eq!(names, local::sns::PROTOCOLS);
    }

    #[test]
    fn a_message_is_written_as_each_subscriber_gets_it() {
        let message = Message {
            id: "id-1".to_owned(),
            topic_arn: "arn:aws:sns:us-east-1:000000000000:inventory-alerts".to_owned(),
            subject: Some("Inventory Update".to_owned()),
            message: "New product added: Laptop".to_owned(),
            by_protocol: [("sms".to_owned(), "Laptop".to_owned())].into(),
            attributes: [].into(),
            attribute_types: [].into(),
            timestamp: "2027-01-15T08:00:00.000Z".to_owned(),
        };
        let mut out = Vec::new();
        write(&message, 3, &[Protocol::Sms, Protocol::Email], &mut out).unwrap();
        let written = String::from_utf8(out).unwrap();
        assert!(
            written.starts_with(
                "\n==== message 3 to inventory-alerts, 2027-01-15T08:00:00.000Z ====\n\n---- sms ----\nLaptop\n\n---- email ----\nFrom: "
            ),
            "{written}"
        );
    }
}
