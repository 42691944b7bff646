//! What is known of a deployment: plain data, so that what follows from it can be tested without AWS.

use std::collections::BTreeMap;
use std::fmt;

use rows::Schema;

/// What a look at something gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact<T> {
    /// It is there, and is this.
    Seen(T),
    /// It does not exist.
    Missing,
    /// It could not be looked at.
    Unknown(Refusal),
}

impl<T> Fact<T> {
    /// What is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Seen(value) => Some(value),
            Self::Missing | Self::Unknown(_) => None,
        }
    }

    /// The same of a part, or of what follows from it.
    pub fn map<U>(self, of: impl FnOnce(T) -> U) -> Fact<U> {
        self.and_then(|value| Fact::Seen(of(value)))
    }

    /// What follows from what is known.
    pub fn and_then<U>(self, of: impl FnOnce(T) -> Fact<U>) -> Fact<U> {
        match self {
            Self::Seen(value) => of(value),
            Self::Missing => Fact::Missing,
            Self::Unknown(refusal) => Fact::Unknown(refusal),
        }
    }

    /// What an answer says; a refusal with one of the codes `missing` is that there is no such thing.
    pub(super) fn of(answer: Result<T, Refusal>, missing: &[&str]) -> Self {
        match answer {
            Ok(value) => Self::Seen(value),
            Err(refusal) if missing.contains(&refusal.code.as_str()) => Self::Missing,
            Err(refusal) => Self::Unknown(refusal),
        }
    }
}

/// A call that was refused or did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The IAM action that the call needs, such as `sqs:GetQueueAttributes`.
    pub action: &'static str,
    /// The service's code of the error; empty if there was no answer.
    pub code: String,
    /// What the service, or the way to it, says.
    pub message: String,
}

impl Refusal {
    /// Whether the caller lacks the permission.
    pub fn is_denied(&self) -> bool {
        // A HEAD's answer has a status only.
        [
            "AccessDenied",
            "AuthorizationError",
            "Forbidden",
            "UnauthorizedOperation",
        ]
        .iter()
        .any(|code| self.code.starts_with(code))
    }

    /// Whether the credentials themselves are refused, so that no call will be answered.
    pub fn is_about_credentials(&self) -> bool {
        const CODES: [&str; 9] = [
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidSignatureException",
            "IncompleteSignature",
            "MissingAuthenticationTokenException",
            "SignatureDoesNotMatch",
            "UnrecognizedClientException",
        ];
        CODES.contains(&self.code.as_str())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code.as_str(), self.message.as_str()) {
            ("", message) => f.write_str(message),
            (code, "") => f.write_str(code),
            (code, message) => write!(f, "{code}: {message}"),
        }
    }
}

/// A thing and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<T> {
    /// Its name, as people and commands name it.
    pub name: String,
    /// What is known of it.
    pub fact: Fact<T>,
}

/// Everything that is known. A `None` is something whose name is not known, or that is not to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Objects under this prefix are to be imported.
    pub prefix: String,
    /// The bucket of uploads.
    pub bucket: Option<Named<Bucket>>,
    /// The queue between the bucket and the importer.
    pub queue: Option<Named<Queue>>,
    /// Its dead-letter queue: how many messages it holds.
    pub dead_letters: Option<Named<u64>>,
    /// The function that imports.
    pub importer: Function,
    /// The table that the importer is to write to, if somebody said so.
    pub table_wanted: Option<String>,
    /// The table of the items.
    pub table: Named<Table>,
    /// The table of the jobs.
    pub jobs_table: Named<JobsTable>,
    /// The function that tells of changes.
    pub notifier: Option<Function>,
    /// The subscriptions of the topic, which is named by its ARN.
    pub topic: Option<Named<Vec<Subscription>>>,
    /// What the functions' roles may do of what they need.
    pub permissions: Vec<Permissions>,
    /// A file that is to be imported.
    pub file: Option<Named<File>>,
}

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Whom it tells of what.
    pub notifications: Fact<Notifications>,
}

/// What a bucket tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notifications {
    /// To queues, functions and topics.
    pub targets: Vec<Notification>,
    /// Whether everything goes to `EventBridge`, too.
    pub event_bridge: bool,
}

/// One of a bucket's notifications.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// Of the queue, the function or the topic.
    pub target_arn: String,
    /// Such as `s3:ObjectCreated:*`.
    pub events: Vec<String>,
    /// Only of keys that begin so.
    pub prefix: String,
    /// Only of keys that end so.
    pub suffix: String,
}

/// A queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Its ARN.
    pub arn: String,
    /// How long a message that was received stays hidden.
    pub visibility_timeout_seconds: u64,
    /// Who may do what with it, as JSON.
    pub policy: Option<String>,
    /// Where messages go that come too often.
    pub redrive: Option<Redrive>,
}

/// Where a queue's messages go that come too often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redrive {
    /// The dead-letter queue's ARN.
    pub target_arn: String,
    /// How often is too often.
    pub max_receive_count: u64,
}

/// A Lambda function and what is around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// As its events start it.
    pub configuration: Fact<Configuration>,
    /// How many invocations may run at a time, if that is set.
    pub reserved_concurrency: Fact<Option<u64>>,
    /// `Allow` or `Terminate`.
    pub recursive_loop: Fact<String>,
    /// What starts it.
    pub mappings: Fact<Vec<Mapping>>,
}

/// How a function is set up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Its ARN, with the alias or version if it has one.
    pub arn: String,
    /// The alias or version that its events start, if they start one.
    pub qualifier: Option<String>,
    /// Its role's ARN.
    pub role_arn: String,
    /// How long one invocation may take.
    pub timeout_seconds: u64,
    /// Its environment variables.
    pub variables: BTreeMap<String, String>,
    /// Where it logs.
    pub log_group: String,
    /// Why Lambda cannot run it, if so.
    pub broken: Option<String>,
}

impl Configuration {
    /// A variable that is set to something.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let value = self.variables.get(name)?.trim();
        (!value.is_empty()).then_some(value)
    }
}

/// An event source mapping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// Its name in commands.
    pub uuid: String,
    /// Of the queue or the stream.
    pub source_arn: String,
    /// The function, perhaps with an alias.
    pub function_arn: String,
    /// Such as `Enabled`.
    pub state: String,
    /// Whether the function may fail single records.
    pub reports_item_failures: bool,
    /// Patterns of the records that pass; empty if all do.
    pub filters: Vec<String>,
    /// What Lambda says of the last batch.
    pub last_result: Option<String>,
}

/// A DynamoDB table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its ARN.
    pub arn: String,
    /// Such as `ACTIVE`.
    pub status: String,
    /// Its key.
    pub schema: Schema,
    /// Its stream's view type, if it has a stream.
    pub stream_view: Option<String>,
    /// The ARN of its newest stream, if it has one.
    pub stream_arn: Option<String>,
}

/// The table of jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobsTable {
    /// As any table.
    pub table: Table,
    /// The attribute by which items expire, if they do.
    pub expires_by: Fact<Option<String>>,
}

/// A topic's subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Such as `email`.
    pub protocol: String,
    /// Such as an address.
    pub endpoint: String,
    /// Whether its owner has confirmed it.
    pub is_confirmed: bool,
}

/// What one function's role may do of what the function needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// Whose.
    pub who: Who,
    /// The role's ARN.
    pub role_arn: String,
    /// What it lacks of it.
    pub lacking: Fact<Vec<Lack>>,
}

/// One of the two functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The one that imports.
    Importer,
    /// The one that tells of changes.
    Notifier,
}

/// A permission that a role lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// Such as `sns:Publish`.
    pub action: String,
    /// The ARN that a policy would grant it on, perhaps with a `*`.
    pub resource: String,
    /// Whether a policy forbids it; else none allows it.
    pub is_forbidden: bool,
}

/// What the beginning of a file says about the table it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// What is wrong with its rows; the first of each kind.
    pub problem: Option<FileProblem>,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileProblem {
    /// A row's key is not the table's.
    Key(String),
    /// A row cannot be written for another reason.
    Row(String),
    /// The file cannot be read on: what and the fix.
    Broken(String, String),
}

/// The last part of an ARN or a URL.
pub(super) fn last(arn: &str) -> &str {
    arn.rsplit([':', '/']).next().unwrap_or(arn)
}
