//! `intake local --inbox`: messages as they come, as each protocol's subscriber would get them.

use std::io::{self, Write};

use clap::ValueEnum;
use local::{Mail, Message, Stack};

use crate::args::Protocol;

/// Writes each message to standard output as it comes, for ever.
pub(super) async fn follow(stack: &Stack, protocols: &[Protocol]) -> io::Result<()> {
    let (mut seen, mut mails_seen) = (0, 0);
    loop {
        tokio::select! {
            messages = stack.published_after(seen) => for message in messages {
                seen += 1;
                write(&message, seen, protocols, &mut io::stdout().lock())?;
            },
            mails = stack.cognito().mails_after(mails_seen) => for mail in mails {
                mails_seen += 1;
                write_mail(&mail, &mut io::stdout().lock())?;
            },
        }
    }
}

/// Writes what Cognito mailed, whatever the protocols: it is no message of the topic.
fn write_mail(mail: &Mail, out: &mut impl Write) -> io::Result<()> {
    let Mail {
        to,
        subject,
        text,
        timestamp,
        ..
    } = mail;
    writeln!(
        out,
        "\n==== mail to {to}, {timestamp} ====\n\nSubject: {subject}\n\n{text}"
    )?;
    out.flush()
}

fn write(
    message: &Message,
    number: usize,
    protocols: &[Protocol],
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(
        out,
        "\n==== message {number} to {}, {} ====",
        topic(message),
        message.timestamp
    )?;
    for protocol in protocols.iter().copied().map(name) {
        let delivered = message.delivered(&protocol).unwrap_or_default();
        writeln!(out, "\n---- {protocol} ----\n{delivered}")?;
    }
    out.flush()
}

/// The name of a message's topic.
pub(super) fn topic(message: &Message) -> &str {
    message.topic_arn.rsplit(':').next().unwrap_or_default()
}

/// What SNS calls a protocol: it is typed in the same way.
fn name(protocol: Protocol) -> String {
    let value = protocol.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_is_one_that_is_delivered() {
        let names: Vec<String> = Protocol::value_variants()
            .iter()
            .copied()
            .map(name)
            .collect();
        assert_eq!(names, local::sns::PROTOCOLS);
    }

    #[test]
    fn a_mail_is_written_with_who_it_is_for() {
        let mail = Mail {
            id: "id-1".to_owned(),
            to: "ada@example.com".to_owned(),
            subject: "Your verification code".to_owned(),
            text: "Your confirmation code is 123456".to_owned(),
            timestamp: "2027-01-15T08:00:00.000Z".to_owned(),
        };
        let mut out = Vec::new();
        write_mail(&mail, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\n==== mail to ada@example.com, 2027-01-15T08:00:00.000Z ====\n\n\
             Subject: Your verification code\n\nYour confirmation code is 123456\n"
        );
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
