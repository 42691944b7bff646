use std::sync::Mutex;

use time::OffsetDateTime;
use tokio::sync::watch;
use uuid::Uuid;

use crate::lock::lock;
use crate::timestamp::timestamp;

/// An e-mail that Cognito would have sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// A UUID.
    pub id: String,
    /// The address that it is for.
    pub to: String,
    /// The subject line.
    pub subject: String,
    /// The text.
    pub text: String,
    /// When it was sent, in RFC 3339 with milliseconds, in UTC.
    pub timestamp: String,
}

/// The e-mails of one user pool.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    mails: Mutex<Vec<Mail>>,
    /// How many there are.
    sent: watch::Sender<usize>,
}

impl Mailbox {
    pub(super) fn send(&self, to: &str, subject: &str, text: String) {
        let mail = Mail {
            id: Uuid::new_v4().to_string(),
            to: to.to_owned(),
            subject: subject.to_owned(),
            text,
            timestamp: timestamp(OffsetDateTime::now_utc()),
        };
        let mut mails = lock(&self.mails);
        mails.push(mail);
        self.sent.send_replace(mails.len());
    }

    pub(super) fn mails(&self) -> Vec<Mail> {
        lock(&self.mails).clone()
    }

    pub(super) async fn after(&self, seen: usize) -> Vec<Mail> {
        let mut sent = self.sent.subscribe();
        // The sender lives as long as this does.
        drop(sent.wait_for(|sent| *sent > seen).await);
        self.mails().split_off(seen)
    }
}
