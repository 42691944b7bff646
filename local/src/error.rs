use std::io;
use std::time::Duration;

/// Why the local stack could not start or come to rest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// A port could not be bound.
    #[error(
        "cannot listen on 127.0.0.1:{port} for {service}; choose another port, or 0 for a free one"
    )]
    Bind {
        /// The service that wanted the port.
        service: &'static str,
        /// The port asked for; 0 means any.
        port: u16,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The temporary folder for S3 objects could not be made.
    #[error("cannot make a folder for S3 objects in {}; set TMPDIR to a writable one", std::env::temp_dir().display())]
    Folder(#[source] io::Error),
    /// The embedded S3 refused its folder.
    #[error("the embedded S3 cannot use its folder: {message}")]
    S3 {
        /// What it said; its error type cannot be kept as a source.
        message: String,
    },
    /// An object could not be stored from within the process.
    #[error("the embedded S3 does not take the object {key}: {message}")]
    Put {
        /// The object's key.
        key: String,
        /// What S3 says.
        message: String,
    },
    /// The threads that DynamoDB runs on could not be started.
    #[error("cannot start the threads of the embedded DynamoDB")]
    Threads(#[source] io::Error),
    /// The embedded DynamoDB failed.
    #[error("the embedded DynamoDB failed to {action}")]
    DynamoDb {
        /// What it was asked to do.
        action: &'static str,
        /// Its error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Lambda would not make such a mapping of the stream.
    #[error("the mapping of the stream to the notifier is not possible: {reason}")]
    StreamMapping {
        /// What it does not take.
        reason: &'static str,
    },
    /// The user pool's key pair could not be made.
    #[error("cannot make a key pair for the local user pool: the system gives no random numbers")]
    SigningKey,
    /// [`Stack::wait_idle`](crate::Stack::wait_idle) ran out of time.
    #[error("the stack is still busy after {waited:?}: {imports} messages in the imports queue{}",
        if *.stream_pending { ", stream records for the notifier" } else { "" })]
    Busy {
        /// How long it waited.
        waited: Duration,
        /// Messages in the imports queue, waiting or being worked on.
        imports: usize,
        /// Whether it was waiting for the notifier to be given all stream records.
        stream_pending: bool,
    },
}
