use std::fmt;

use time::OffsetDateTime;

/// How an object came to be: the tail of S3's
/// [event types](https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// `PutObject`.
    Put,
    /// `CopyObject`.
    Copy,
    /// `CompleteMultipartUpload`.
    CompleteMultipartUpload,
}

impl fmt::Display for Creation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Put => "Put",
            Self::Copy => "Copy",
            Self::CompleteMultipartUpload => "CompleteMultipartUpload",
        })
    }
}

/// An object that was just created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectCreated {
    /// By which operation.
    pub creation: Creation,
    /// The bucket's name.
    pub bucket: String,
    /// The object's key as it is, not URL-encoded.
    pub key: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its `ETag` without the quotes.
    pub etag: String,
    /// Hexadecimal; of two events of one key the later one has the greater sequencer.
    pub sequencer: String,
    /// When.
    pub time: OffsetDateTime,
}

impl ObjectCreated {
    /// An object put now, of which only a made-up sequencer is known: for samples and tests.
    pub fn put(bucket: &str, key: &str, size_bytes: u64) -> Self {
        Self {
            creation: Creation::Put,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            size_bytes,
            etag: String::new(),
            sequencer: "0055AED6DCD90281E5".to_owned(),
            time: OffsetDateTime::now_utc(),
        }
    }
}
