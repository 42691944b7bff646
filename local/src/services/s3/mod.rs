//! S3: `s3s` for the protocol and `s3s-fs` for the storage, with what the latter lacks: object-created events,
//! conditional reads, missing buckets told from missing keys, long keys, and no way out of a bucket.
//!
//! Nothing here knows who gets the events: that is [`wiring`](crate::wiring)'s.

mod created;
mod long_keys;
mod notification;

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use s3s::access::S3Access;
use s3s::auth::S3Auth;
#[allow(
    clippy::wildcard_imports,
    reason = "two types for each of the 21 operations"
)]
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use time::OffsetDateTime;

pub use self::created::{Creation, ObjectCreated};
use self::long_keys::LongKeys;
pub(crate) use self::notification::Notifications;
use crate::error::LocalError;

/// Marks requests of users who signed in, by the identity.
#[derive(Debug, Clone)]
pub(crate) struct SignedInUser(pub(crate) String);

/// Called with every object created and the ARNs of the queues that are to hear of it, before its creator gets the
/// answer.
pub(crate) type OnCreated = Arc<dyn Fn(ObjectCreated, Vec<String>) + Send + Sync>;

/// An S3 with its buckets in a temporary folder.
#[derive(Debug)]
pub(crate) struct ObjectStore {
    objects: Objects,
    folder: TempDir,
}

impl ObjectStore {
    /// Has one bucket, empty.
    pub(crate) fn new(
        bucket: &str,
        notifications: Notifications,
        on_created: OnCreated,
    ) -> Result<Self, LocalError> {
        let folder = tempfile::Builder::new()
            .prefix("intake-local-")
            .tempdir()
            .map_err(LocalError::Folder)?;
        std::fs::create_dir(folder.path().join(bucket)).map_err(LocalError::Folder)?;
        let files = FileSystem::new(folder.path()).map_err(|error| LocalError::S3 {
            message: format!("{error:?}"),
        })?;
        let objects = Objects {
            buckets: Buckets {
                files: Arc::new(LongKeys::new(files)),
                root: folder.path().to_owned(),
                notifications,
                on_created,
                sequencer: Arc::new(AtomicU64::new(micros_since_epoch())),
            },
            bucket: bucket.to_owned(),
        };
        Ok(Self { objects, folder })
    }

    /// The HTTP service, which `access` guards.
    pub(crate) fn service(&self, access: impl S3Auth + S3Access + Clone) -> S3Service {
        let mut service = S3ServiceBuilder::new(self.objects.buckets.clone());
        service.set_auth(access.clone());
        service.set_access(access);
        service.build()
    }

    /// The objects, for use within the process.
    pub(crate) fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Deletes everything.
    pub(crate) fn delete(self) {
        if let Err(error) = self.folder.close() {
            tracing::warn!(%error, "cannot delete the folder of S3 objects");
        }
    }
}

/// The objects of the bucket, used within the process.
#[derive(Clone)]
pub(crate) struct Objects {
    buckets: Buckets,
    bucket: String,
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Objects")
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

impl Objects {
    /// Puts an object, as `PutObject` would.
    pub(crate) async fn put(&self, key: &str, content: Bytes) -> Result<(), LocalError> {
        let input = PutObjectInput {
            bucket: self.bucket.clone(),
            key: key.to_owned(),
            content_length: i64::try_from(content.len()).ok(),
            body: Some(StreamingBlob::from(s3s::Body::from(content))),
            ..PutObjectInput::default()
        };
        let request = S3Request {
            input,
            method: http::Method::PUT,
            uri: http::Uri::default(),
            headers: http::HeaderMap::new(),
            extensions: http::Extensions::new(),
            credentials: None,
            region: None,
            service: None,
            trailing_headers: None,
        };
        let put = self.buckets.put_object(request).await;
        put.map(|_| ()).map_err(|error| LocalError::Put {
            key: key.to_owned(),
            message: error.message().unwrap_or(error.code().as_str()).to_owned(),
        })
    }
}

fn micros_since_epoch() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_micros() as u64
}

#[derive(Clone)]
struct Buckets {
    files: Arc<LongKeys>,
    root: PathBuf,
    notifications: Notifications,
    on_created: OnCreated,
    /// Of the last event. Begins with the time, so that it also grows from run to run.
    sequencer: Arc<AtomicU64>,
}

impl Buckets {
    fn check_bucket(&self, bucket: &str) -> S3Result<()> {
        if self.root.join(bucket).is_dir() {
            Ok(())
        } else {
            Err(s3_error!(NoSuchBucket))
        }
    }

    /// Checks that the key names a file within its bucket. `s3s-fs` uses keys as paths: without this, `../x`
    /// would leave the bucket, and `a//b` be `a/b`.
    fn check_key(&self, bucket: &str, key: &str) -> S3Result<PathBuf> {
        self.check_bucket(bucket)?;
        let path = Path::new(key);
        let names: Option<PathBuf> = path
            .components()
            .map(|component| match component {
                Component::Normal(name) => Some(name),
                _ => None,
            })
            .collect();
        // Comparing text, because paths with and without a repeated or trailing slash are equal as paths.
        if names.is_none_or(|names| names.as_os_str() != path.as_os_str()) {
            return Err(s3_error!(
                InvalidArgument,
                "The local S3 keeps objects as files: a key cannot begin or end with a slash, \
                 or have an empty, '.' or '..' part"
            ));
        }
        let stored = self.files.stored(bucket, key)?;
        Ok(self.root.join(bucket).join(stored))
    }

    /// As [`Self::check_key`], for an object that is read: a folder on the way to objects is not one.
    fn check_existing(&self, bucket: &str, key: &str) -> S3Result<()> {
        if self.check_key(bucket, key)?.is_file() {
            Ok(())
        } else {
            Err(s3_error!(NoSuchKey))
        }
    }

    /// As [`Self::check_key`], for an object that is written.
    fn check_new(&self, bucket: &str, key: &str) -> S3Result<()> {
        let path = self.check_key(bucket, key)?;
        let bucket_path = self.root.join(bucket);
        let mut folders = path
            .ancestors()
            .skip(1)
            .take_while(|folder| *folder != bucket_path);
        if path.is_dir() || folders.any(Path::is_file) {
            return Err(s3_error!(
                InvalidArgument,
                "The local S3 keeps objects as files: there cannot be an object x beside an object x/y"
            ));
        }
        Ok(())
    }

    /// As [`Self::check_existing`]. People may not list the bucket, so S3
    /// [does not tell them](https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html) that a key is missing.
    fn check_readable<T>(&self, request: &S3Request<T>, bucket: &str, key: &str) -> S3Result<()> {
        self.check_existing(bucket, key).map_err(|error| {
            if request.extensions.get::<SignedInUser>().is_some() {
                s3_error!(AccessDenied, "Access Denied")
            } else {
                error
            }
        })
    }

    fn check_source(&self, source: &CopySource) -> S3Result<()> {
        match source {
            CopySource::Bucket { bucket, key, .. } => self.check_existing(bucket, key),
            CopySource::AccessPoint { .. } | CopySource::Outpost { .. } => {
                Err(s3_error!(NotImplemented))
            }
        }
    }

    fn announce(&self, creation: Creation, bucket: String, key: String, etag: Option<&ETag>) {
        let path = self.check_key(&bucket, &key).unwrap_or_default();
        let size_bytes = match std::fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            // Deleted since; AWS announces such an object too.
            Err(_) => 0,
        };
        let sequencer = self.sequencer.fetch_add(1, Ordering::Relaxed) + 1;
        let queues = self.notifications.queues(&bucket, creation, &key);
        let object = ObjectCreated {
            creation,
            bucket,
            key,
            size_bytes,
            etag: etag.map_or_else(String::new, |etag| etag.value().to_owned()),
            sequencer: format!("{sequencer:018X}"),
            time: OffsetDateTime::now_utc(),
        };
        (self.on_created)(object, queues);
    }
}

/// `If-Match` of a read, which `s3s-fs` ignores.
fn check_if_match(condition: Option<&ETagCondition>, etag: Option<&ETag>) -> S3Result<()> {
    match (condition, etag) {
        (Some(ETagCondition::ETag(wanted)), Some(etag)) if wanted.value() != etag.value() => {
            Err(s3_error!(PreconditionFailed))
        }
        _ => Ok(()),
    }
}

/// Removes the checksums of an object made by multipart upload: `s3s-fs` stores none for it, and shows those of
/// the object that had the key before. A macro, because two output types have the same fields.
macro_rules! drop_stale_checksums {
    ($output:expr) => {
        if $output
            .e_tag
            .as_ref()
            .is_some_and(|etag| etag.value().contains('-'))
        {
            $output.checksum_crc32 = None;
            $output.checksum_crc32c = None;
            $output.checksum_crc64nvme = None;
            $output.checksum_sha1 = None;
            $output.checksum_sha256 = None;
        }
    };
}

/// Implements [`S3`]: the operations listed go to `s3s-fs` after the check named for each.
macro_rules! s3_operations {
    ($($operation:ident: $input:ident => $output:ident, |$buckets:ident, $request:ident| $check:expr;)*) => {
        #[async_trait::async_trait]
        impl S3 for Buckets {
            $(
                async fn $operation(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                    let ($buckets, $request) = (self, &request.input);
                    $check?;
                    self.files.$operation(request).await
                }
            )*

            async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
                self.check_readable(&request, &request.input.bucket, &request.input.key)?;
                let condition = request.input.if_match.clone();
                let mut response = self.files.get_object(request).await?;
                check_if_match(condition.as_ref(), response.output.e_tag.as_ref())?;
                drop_stale_checksums!(response.output);
                Ok(response)
            }

            async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
                self.check_readable(&request, &request.input.bucket, &request.input.key)?;
                let condition = request.input.if_match.clone();
                let mut response = self.files.head_object(request).await?;
                check_if_match(condition.as_ref(), response.output.e_tag.as_ref())?;
                drop_stale_checksums!(response.output);
                Ok(response)
            }

            async fn delete_object(
                &self,
                request: S3Request<DeleteObjectInput>,
            ) -> S3Result<S3Response<DeleteObjectOutput>> {
                // Deleting what is not there succeeds, and a folder is not there.
                if self.check_key(&request.input.bucket, &request.input.key)?.is_dir() {
                    return Ok(S3Response::new(DeleteObjectOutput::default()));
                }
                self.files.delete_object(request).await
            }

            async fn get_bucket_notification_configuration(
                &self,
                request: S3Request<GetBucketNotificationConfigurationInput>,
            ) -> S3Result<S3Response<GetBucketNotificationConfigurationOutput>> {
                self.check_bucket(&request.input.bucket)?;
                Ok(S3Response::new(self.notifications.get(&request.input.bucket)))
            }

            async fn put_bucket_notification_configuration(
                &self,
                request: S3Request<PutBucketNotificationConfigurationInput>,
            ) -> S3Result<S3Response<PutBucketNotificationConfigurationOutput>> {
                let PutBucketNotificationConfigurationInput { bucket, notification_configuration, .. } = request.input;
                self.check_bucket(&bucket)?;
                self.notifications.put(bucket, notification_configuration);
                Ok(S3Response::new(PutBucketNotificationConfigurationOutput::default()))
            }

            async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
                let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
                self.check_new(&bucket, &key)?;
                let response = self.files.put_object(request).await?;
                self.announce(Creation::Put, bucket, key, response.output.e_tag.as_ref());
                Ok(response)
            }

            async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
                let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
                self.check_source(&request.input.copy_source)?;
                self.check_new(&bucket, &key)?;
                let response = self.files.copy_object(request).await?;
                let etag = response.output.copy_object_result.as_ref().and_then(|result| result.e_tag.as_ref());
                self.announce(Creation::Copy, bucket, key, etag);
                Ok(response)
            }

            async fn complete_multipart_upload(
                &self,
                request: S3Request<CompleteMultipartUploadInput>,
            ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
                let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
                self.check_new(&bucket, &key)?;
                let response = self.files.complete_multipart_upload(request).await?;
                self.announce(Creation::CompleteMultipartUpload, bucket, key, response.output.e_tag.as_ref());
                Ok(response)
            }
        }
    };
}

s3_operations! {
    create_bucket: CreateBucketInput => CreateBucketOutput, |_buckets, _request| S3Result::<()>::Ok(());
    list_buckets: ListBucketsInput => ListBucketsOutput, |_buckets, _request| S3Result::<()>::Ok(());
    delete_bucket: DeleteBucketInput => DeleteBucketOutput, |buckets, request| buckets.check_bucket(&request.bucket);
    head_bucket: HeadBucketInput => HeadBucketOutput, |buckets, request| buckets.check_bucket(&request.bucket);
    get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput,
        |buckets, request| buckets.check_bucket(&request.bucket);
    list_objects: ListObjectsInput => ListObjectsOutput, |buckets, request| buckets.check_bucket(&request.bucket);
    list_objects_v2: ListObjectsV2Input => ListObjectsV2Output,
        |buckets, request| buckets.check_bucket(&request.bucket);
    delete_objects: DeleteObjectsInput => DeleteObjectsOutput,
        |buckets, request| request.delete.objects.iter().try_for_each(|object| {
            buckets.check_key(&request.bucket, &object.key).map(|_| ())
        });
    create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput,
        |buckets, request| buckets.check_new(&request.bucket, &request.key);
    upload_part: UploadPartInput => UploadPartOutput,
        |buckets, request| buckets.check_key(&request.bucket, &request.key);
    upload_part_copy: UploadPartCopyInput => UploadPartCopyOutput,
        |buckets, request| buckets.check_source(&request.copy_source);
    list_parts: ListPartsInput => ListPartsOutput,
        |buckets, request| buckets.check_key(&request.bucket, &request.key);
    abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput,
        |buckets, request| buckets.check_key(&request.bucket, &request.key);
}
