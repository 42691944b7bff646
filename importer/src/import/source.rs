//! Where a file's bytes come from: S3, a local file, standard input.
//!
//! An S3 object is read in ranges, several at once and in order, each tried again alone. Every range demands the same
//! `ETag` and names no version, so that an object replaced meanwhile is an error and never a mixture, in buckets that keep
//! versions, too. Memory is the ranges read ahead, whatever the object's size.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::operation::head_object::{HeadObjectError, HeadObjectOutput};
use aws_sdk_s3::primitives::DateTimeFormat as Format;
use aws_sdk_s3::types::StorageClass;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, stream};
use tokio::sync::mpsc;

use super::local_file::LocalFile;
use crate::aws::{ARCHIVED_FIX, service_error};
use crate::error::{Class, Error};
use crate::retry::{Attempts, Jitter, RetryPolicy};

/// How an object is read.
#[derive(Debug, Clone, Copy)]
struct Ahead {
    /// Bytes of one ranged request.
    part_bytes: u64,
    /// Ranges that are requested at once.
    parts: usize,
}

/// To read all of it.
const READ_AHEAD: Ahead = Ahead {
    part_bytes: 4 * 1024 * 1024,
    parts: 4,
};
/// To read its beginning: mostly one request is enough.
const LITTLE_AHEAD: Ahead = Ahead {
    part_bytes: 256 * 1024,
    parts: 1,
};
/// How one range is tried again.
const PART_RETRIES: RetryPolicy = RetryPolicy {
    base: Duration::from_millis(50),
    cap: Duration::from_secs(2),
    budget: Duration::from_mins(1),
};

/// Parts of an object, in order.
pub(crate) type PartStream = BoxStream<'static, Result<Vec<u8>, Error>>;

/// A file to import.
pub struct Source {
    pub(crate) reader: Box<dyn Read + Send>,
    /// Size of the file as it is stored, if it is known.
    pub bytes_total: Option<u64>,
    /// What fills the reader: must run while it is read.
    pub(crate) feed: BoxFuture<'static, ()>,
}

impl Source {
    /// Any reader; it is read on a thread of its own and may block.
    pub fn reader(reader: impl Read + Send + 'static, bytes_total: Option<u64>) -> Self {
        Self {
            reader: Box::new(reader),
            bytes_total,
            feed: std::future::ready(()).boxed(),
        }
    }

    /// A local file.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] if it cannot be opened.
    pub fn file(path: &Path) -> Result<Self, Error> {
        let unusable = |e: io::Error| Error::Unusable {
            problem: format!("{} cannot be opened: {e}", path.display()),
            fix: "check the path and its permissions".to_owned(),
        };
        let file = File::open(path).map_err(unusable)?;
        let metadata = file.metadata().map_err(unusable)?;
        if metadata.is_dir() {
            return Err(unusable(io::ErrorKind::IsADirectory.into()));
        }
        Self::opened(file, path.display().to_string()).map_err(unusable)
    }

    /// A file that is open, from where it stands: standard input may be one, too.
    ///
    /// # Errors
    ///
    /// If the system does not tell about it.
    pub fn opened(file: File, name: String) -> io::Result<Self> {
        // A pipe or a device has no size.
        if !file.metadata()?.is_file() {
            return Ok(Self::reader(file, None));
        }
        let file = LocalFile::new(file, name)?;
        let bytes_total = file.left_bytes();
        Ok(Self::reader(file, Some(bytes_total)))
    }
}

/// An object in S3, as it was when it was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its bucket.
    pub bucket: String,
    /// Its key, decoded.
    pub key: String,
    /// Its version, in a bucket that keeps them.
    pub version_id: Option<String>,
    /// Its `ETag`, as S3 writes it.
    pub etag: Option<String>,
    /// When it was put, in RFC 3339.
    pub last_modified: Option<String>,
    /// Its size.
    pub size_bytes: u64,
    /// Its user metadata: `x-amz-meta-intake-types` stands under `intake-types`.
    pub metadata: HashMap<String, String>,
}

impl Object {
    /// Looks an object up.
    ///
    /// # Errors
    ///
    /// [`Error::Object`] if it does not exist, [`Error::Unusable`] if it is archived, [`Error::Service`] if it may not be read.
    pub async fn head(client: &Client, bucket: &str, key: &str) -> Result<Self, Error> {
        let url = rows::prose(&format!("s3://{bucket}/{key}"));
        let head = client.head_object().bucket(bucket).key(key).send().await;
        let head = match head {
            Ok(head) => head,
            Err(error) => return Err(reason(client, bucket, key, &url, error).await),
        };
        if let Some(problem) = archived(&head) {
            return Err(Error::Unusable {
                problem: format!("HeadObject failed: {url} {problem}"),
                fix: ARCHIVED_FIX.to_owned(),
            });
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            // What is put while versioning is suspended is called null, and so is what replaces it.
            version_id: head.version_id.filter(|version| version != "null"),
            etag: head.e_tag,
            last_modified: head
                .last_modified
                .and_then(|time| time.fmt(Format::DateTime).ok()),
            size_bytes: head
                .content_length
                .unwrap_or_default()
                .try_into()
                .unwrap_or_default(),
            metadata: head.metadata.unwrap_or_default(),
        })
    }

    /// Tells what is there now from everything that was or will be put under the key: the version where the bucket keeps
    /// them, else `ETag` and time. Metadata never changes without it.
    pub fn version(&self) -> String {
        match &self.version_id {
            Some(version_id) => version_id.clone(),
            None => format!(
                "{}@{}",
                self.etag.as_deref().unwrap_or_default(),
                self.last_modified.as_deref().unwrap_or_default()
            ),
        }
    }

    /// The object's name, as `s3://bucket/key`, for people.
    pub fn url(&self) -> String {
        rows::prose(&format!("s3://{}/{}", self.bucket, self.key))
    }

    /// The object's bytes.
    pub fn source(&self, client: &Client) -> Source {
        self.source_of(client, 0, None)
    }

    /// The object's bytes from the offset `begin` on, to the object's end or the offset `end`.
    pub fn source_of(&self, client: &Client, begin: u64, end: Option<u64>) -> Source {
        self.read(client, begin, end.unwrap_or(self.size_bytes), READ_AHEAD)
    }

    /// The object's bytes, for somebody who looks at the first ones only.
    pub fn beginning(&self, client: &Client) -> Source {
        self.read(client, 0, self.size_bytes, LITTLE_AHEAD)
    }

    fn read(&self, client: &Client, begin: u64, end: u64, ahead: Ahead) -> Source {
        let (sender, received) = mpsc::channel(1);
        let (mut parts, emptied) = self.parts(client, begin, end, ahead);
        let feed = async move {
            while let Some(part) = parts.next().await {
                let failed = part.is_err();
                // Nobody reads any more: the import has ended.
                if sender.send(part).await.is_err() || failed {
                    break;
                }
            }
        };
        Source {
            reader: Box::new(PartsReader {
                received,
                emptied,
                current: Vec::new(),
                read_bytes: 0,
                left_bytes: end.saturating_sub(begin),
            }),
            bytes_total: Some(self.size_bytes),
            feed: feed.boxed(),
        }
    }

    /// The object's bytes from the offset `begin` to `end`, part by part, for somebody who does not need them in one piece.
    /// Parts that are done with may be given back, to be filled again.
    pub(crate) fn pieces(
        &self,
        client: &Client,
        begin: u64,
        end: u64,
    ) -> (PartStream, mpsc::UnboundedSender<Vec<u8>>) {
        self.parts(client, begin, end, READ_AHEAD)
    }

    fn parts(
        &self,
        client: &Client,
        begin: u64,
        end: u64,
        ahead: Ahead,
    ) -> (PartStream, mpsc::UnboundedSender<Vec<u8>>) {
        let (emptied, mut empty) = mpsc::unbounded_channel::<Vec<u8>>();
        let (object, client) = (self.clone(), client.clone());
        let end = end.min(self.size_bytes);
        let starts = (begin..end).step_by(ahead.part_bytes as usize);
        let parts = stream::iter(starts)
            .map(move |start| {
                // As many as are ahead, and one that is being read; then they come back.
                let buffer = empty.try_recv().unwrap_or_default();
                let length = ahead.part_bytes.min(end - start);
                let (object, client) = (object.clone(), client.clone());
                async move { object.part(&client, start, length, buffer).await }
            })
            .buffered(ahead.parts);
        (parts.boxed(), emptied)
    }

    /// Reads the `length` bytes at `start` into `buffer`, trying again until all of it is there.
    async fn part(
        &self,
        client: &Client,
        start: u64,
        length: u64,
        mut buffer: Vec<u8>,
    ) -> Result<Vec<u8>, Error> {
        buffer.clear();
        buffer.reserve_exact(length as usize);
        let jitter = Jitter::new(None);
        let mut attempts = Attempts::new(PART_RETRIES, &jitter);
        loop {
            let error = match self.part_once(client, start, length, &mut buffer).await {
                Ok(()) => return Ok(buffer),
                Err(error) if error.class() == Class::Retry => error,
                Err(error) => return Err(error),
            };
            let Some(wait) = attempts.failed() else {
                return Err(Error::RetriesExhausted {
                    operation: "GetObject",
                    attempts: attempts.count(),
                    elapsed: attempts.elapsed(),
                    rows_unwritten: 0,
                    source: Box::new(error),
                });
            };
            tracing::debug!(start, attempt = attempts.count(), %error, "reading the range again");
            buffer.clear();
            tokio::time::sleep(wait).await;
        }
    }

    async fn part_once(
        &self,
        client: &Client,
        start: u64,
        length: u64,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let mut output = client
            .get_object()
            .bucket(&self.bucket)
            .key(&self.key)
            .set_if_match(self.etag.clone())
            .range(format!("bytes={start}-{}", start + length - 1))
            .send()
            .await
            .map_err(|e| service_error("GetObject", &self.url(), e))?;
        let broken_off =
            |problem: String, source: Option<Box<dyn std::error::Error + Send + Sync>>| {
                Error::Service {
                    operation: "GetObject",
                    problem,
                    class: Class::Retry,
                    fix: String::new(),
                    source,
                }
            };
        while let Some(bytes) = output
            .body
            .try_next()
            .await
            .map_err(|e| broken_off("the answer broke off".to_owned(), Some(Box::new(e))))?
        {
            // More than was asked for must not fill memory.
            if buffer.len() + bytes.len() > length as usize {
                return Err(broken_off(format!("more than {length} bytes came"), None));
            }
            buffer.extend_from_slice(&bytes);
        }
        if buffer.len() as u64 == length {
            Ok(())
        } else {
            Err(broken_off(
                format!("{} of {length} bytes came", buffer.len()),
                None,
            ))
        }
    }
}

/// Why S3 refused a HEAD. Its answer has no body, and so no code; that to a GET of one byte has both.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>
async fn reason(
    client: &Client,
    bucket: &str,
    key: &str,
    url: &str,
    error: SdkError<HeadObjectError>,
) -> Error {
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    let error = service_error("HeadObject", url, error);
    if !matches!(status, Some(301 | 307 | 400 | 403)) {
        return error;
    }
    let get = client
        .get_object()
        .bucket(bucket)
        .key(key)
        .range("bytes=0-0");
    match get.send().await {
        Err(explained) if explained.code().is_some() => service_error("GetObject", url, explained),
        Err(_) => error,
        // It may be read: what was refused a moment ago is not refused any more.
        Ok(_) => match error {
            Error::Service {
                operation,
                problem,
                fix,
                source,
                ..
            } => Error::Service {
                operation,
                problem,
                class: Class::Retry,
                fix,
                source,
            },
            error => error,
        },
    }
}

/// What keeps an object from being read at once, if it is archived and not restored.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>
fn archived(head: &HeadObjectOutput) -> Option<String> {
    let class = head
        .storage_class()
        .filter(|class| matches!(class, StorageClass::Glacier | StorageClass::DeepArchive));
    let archive = match (class, head.archive_status()) {
        (Some(class), _) => class.as_str(),
        // Of S3 Intelligent-Tiering.
        (None, Some(status)) => status.as_str(),
        (None, None) => return None,
    };
    match head.restore() {
        Some(restore) if restore.contains("ongoing-request=\"false\"") => None,
        Some(_) => Some(format!("is archived ({archive}) and not restored yet")),
        None => Some(format!("is archived ({archive})")),
    }
}

/// Reads the parts in order. Blocks: for a thread of its own.
struct PartsReader {
    received: mpsc::Receiver<Result<Vec<u8>, Error>>,
    /// Takes the buffers of parts that are read, to be filled again.
    emptied: mpsc::UnboundedSender<Vec<u8>>,
    /// The part being read.
    current: Vec<u8>,
    /// How much of it is read.
    read_bytes: usize,
    /// Bytes not received yet: an end before 0 is not the end of the object.
    left_bytes: u64,
}

impl Read for PartsReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.read_bytes == self.current.len() {
            match self.received.blocking_recv() {
                Some(Ok(part)) => {
                    self.left_bytes -= part.len() as u64;
                    self.read_bytes = 0;
                    let emptied = std::mem::replace(&mut self.current, part);
                    // Nobody takes it if all parts are requested.
                    self.emptied.send(emptied).ok();
                }
                Some(Err(error)) => return Err(io::Error::other(error)),
                None if self.left_bytes == 0 => return Ok(0),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let rest = &self.current[self.read_bytes..];
        let length = out.len().min(rest.len());
        out[..length].copy_from_slice(&rest[..length]);
        self.read_bytes += length;
        Ok(length)
    }
}
