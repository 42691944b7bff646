//! Keys as long as S3 takes them. `s3s-fs` makes one file name of a bucket, a key and more, and that ends at
//! [255 bytes](MAX_FILE_NAME_BYTES): with the bucket of this stack, a key ends at 113, of which the page needs 81 for the
//! identity and a folder. The last part of a longer key is stored under its hash.
//!
//! What is not as on S3: such objects are listed in the order of their hashes, and found by prefixes that end before the
//! last part.

use std::collections::HashMap;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
#[allow(
    clippy::wildcard_imports,
    reason = "two types for each of the 21 operations"
)]
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;

use crate::lock::lock;

/// Longest file name of the common file systems.
const MAX_FILE_NAME_BYTES: usize = 255;
/// Longest [key](https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html).
const MAX_KEY_BYTES: usize = 1024;
/// Fewest characters of a hash, of 6 bits each.
const MIN_HASH_CHARS: usize = 12;

/// Length of the longest file name that `s3s-fs` makes for an object, but for bucket and key: that of its metadata during
/// a multipart upload, `.bucket-<base64>.object-<base64>.upload-<uuid>.metadata.json`.
const METADATA_NAME_FRAME_BYTES: usize =
    ".bucket-.object-.upload-00000000-0000-0000-0000-000000000000.metadata.json".len();

/// Longest key that `s3s-fs` takes.
fn longest_bytes(bucket: &str) -> usize {
    let bucket = (bucket.len() * 4).div_ceil(3);
    (MAX_FILE_NAME_BYTES - METADATA_NAME_FRAME_BYTES).saturating_sub(bucket) * 3 / 4
}

/// The key under which `s3s-fs` stores an object.
fn stored(bucket: &str, key: &str) -> S3Result<String> {
    let longest = longest_bytes(bucket);
    if key.len() <= longest {
        return Ok(key.to_owned());
    }
    if key.len() > MAX_KEY_BYTES {
        return Err(s3_error!(KeyTooLongError, "Your key is too long"));
    }
    let hash = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, key.as_bytes()));
    let folder = key.rfind('/').map_or("", |at| &key[..=at]);
    // A tilde, because hardly anybody's names begin with one.
    let room = longest.saturating_sub(folder.len() + 1);
    Ok(if room >= MIN_HASH_CHARS {
        format!("{folder}~{}", &hash[..room.min(hash.len())])
    } else {
        format!("~/{hash}")
    })
}

/// [`FileSystem`] with keys of any length.
#[derive(Debug)]
pub(super) struct LongKeys {
    files: FileSystem,
    /// The keys of objects that are stored under others, by those.
    originals: Mutex<HashMap<String, String>>,
}

impl LongKeys {
    pub(super) fn new(files: FileSystem) -> Self {
        Self {
            files,
            originals: Mutex::default(),
        }
    }

    /// The key under which an object is stored, and so its path within the bucket's folder.
    pub(super) fn stored(&self, bucket: &str, key: &str) -> S3Result<String> {
        let stored = stored(bucket, key)?;
        if stored != key {
            lock(&self.originals).insert(stored.clone(), key.to_owned());
        }
        Ok(stored)
    }

    fn original(&self, stored: String) -> String {
        let originals = lock(&self.originals);
        originals.get(&stored).cloned().unwrap_or(stored)
    }

    fn stored_source(&self, source: &mut CopySource) -> S3Result<()> {
        if let CopySource::Bucket { bucket, key, .. } = source {
            *key = self.stored(bucket, key)?.into();
        }
        Ok(())
    }

    fn original_objects(&self, objects: Option<Vec<Object>>) -> Option<Vec<Object>> {
        let mut objects = objects?;
        for object in &mut objects {
            object.key = object.key.take().map(|key| self.original(key));
        }
        Some(objects)
    }
}

/// Implements [`S3`] by that of [`FileSystem`]: operations on buckets as they are, on objects with the stored key, and
/// those whose answer has the key with the original one in it.
macro_rules! with_stored_keys {
    (
        buckets { $($bucket:ident $bucket_in:ident $bucket_out:ident,)* }
        objects { $($object:ident $object_in:ident $object_out:ident,)* }
        echoing { $($echoing:ident $echoing_in:ident $echoing_out:ident,)* }
        copying { $($copying:ident $copying_in:ident $copying_out:ident,)* }
        listing { $($listing:ident $listing_in:ident $listing_out:ident,)* }
    ) => {
        #[async_trait::async_trait]
        impl S3 for LongKeys {
            $(async fn $bucket(&self, request: S3Request<$bucket_in>) -> S3Result<S3Response<$bucket_out>> {
                self.files.$bucket(request).await
            })*

            $(async fn $object(&self, mut request: S3Request<$object_in>) -> S3Result<S3Response<$object_out>> {
                request.input.key = self.stored(&request.input.bucket, &request.input.key)?;
                self.files.$object(request).await
            })*

            $(async fn $echoing(&self, mut request: S3Request<$echoing_in>) -> S3Result<S3Response<$echoing_out>> {
                let stored = self.stored(&request.input.bucket, &request.input.key)?;
                let key = std::mem::replace(&mut request.input.key, stored);
                let mut response = self.files.$echoing(request).await?;
                response.output.key = Some(key);
                Ok(response)
            })*

            $(async fn $copying(&self, mut request: S3Request<$copying_in>) -> S3Result<S3Response<$copying_out>> {
                request.input.key = self.stored(&request.input.bucket, &request.input.key)?;
                self.stored_source(&mut request.input.copy_source)?;
                self.files.$copying(request).await
            })*

            $(async fn $listing(&self, request: S3Request<$listing_in>) -> S3Result<S3Response<$listing_out>> {
                let mut response = self.files.$listing(request).await?;
                response.output.contents = self.original_objects(response.output.contents);
                Ok(response)
            })*

            async fn complete_multipart_upload(
                &self,
                mut request: S3Request<CompleteMultipartUploadInput>,
            ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
                let stored = self.stored(&request.input.bucket, &request.input.key)?;
                let key = std::mem::replace(&mut request.input.key, stored);
                let mut response = self.files.complete_multipart_upload(request).await?;
                // The object is there; only the result, which has its ETag, is still to be had.
                if let Some(result) = response.output.future.take() {
                    response.output = result.await?;
                }
                response.output.key = Some(key);
                Ok(response)
            }

            async fn delete_objects(
                &self,
                mut request: S3Request<DeleteObjectsInput>,
            ) -> S3Result<S3Response<DeleteObjectsOutput>> {
                for object in &mut request.input.delete.objects {
                    object.key = self.stored(&request.input.bucket, &object.key)?;
                }
                let mut response = self.files.delete_objects(request).await?;
                for deleted in response.output.deleted.iter_mut().flatten() {
                    deleted.key = deleted.key.take().map(|key| self.original(key));
                }
                Ok(response)
            }
        }
    };
}

with_stored_keys! {
    buckets {
        create_bucket CreateBucketInput CreateBucketOutput,
        list_buckets ListBucketsInput ListBucketsOutput,
        delete_bucket DeleteBucketInput DeleteBucketOutput,
        head_bucket HeadBucketInput HeadBucketOutput,
        get_bucket_location GetBucketLocationInput GetBucketLocationOutput,
    }
    objects {
        get_object GetObjectInput GetObjectOutput,
        head_object HeadObjectInput HeadObjectOutput,
        put_object PutObjectInput PutObjectOutput,
        delete_object DeleteObjectInput DeleteObjectOutput,
        upload_part UploadPartInput UploadPartOutput,
        abort_multipart_upload AbortMultipartUploadInput AbortMultipartUploadOutput,
    }
    echoing {
        create_multipart_upload CreateMultipartUploadInput CreateMultipartUploadOutput,
        list_parts ListPartsInput ListPartsOutput,
    }
    copying {
        copy_object CopyObjectInput CopyObjectOutput,
        upload_part_copy UploadPartCopyInput UploadPartCopyOutput,
    }
    listing {
        list_objects ListObjectsInput ListObjectsOutput,
        list_objects_v2 ListObjectsV2Input ListObjectsV2Output,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::BUCKET;

    #[test]
    fn keys_are_stored_as_they_are_as_long_as_that_is_possible() {
        let longest = longest_bytes(BUCKET);
        assert_eq!(longest, 113);
        let folder =
            "uploads/us-east-1:00000000-0000-4000-8000-000000000000/20261123T100000Z-1a2b3c4d/";
        let long = |bytes: usize| "x".repeat(bytes);
        for (key, expected) in [
            (long(113), Some(long(113))),
            (
                format!("{folder}{}", long(32)),
                Some(format!("{folder}{}", long(32))),
            ),
            // Only the last part changes, so that the object is in its folder.
            (format!("{folder}{}", long(33)), None),
            (format!("{folder}{}", "ü".repeat(400)), None),
        ] {
            let stored = stored(BUCKET, &key).unwrap();
            match expected {
                Some(expected) => assert_eq!(stored, expected),
                None => assert!(stored.starts_with(&format!("{folder}~")), "{stored}"),
            }
            assert!(stored.len() <= longest, "{stored}");
        }
        let deep = format!("{}/{}", long(200), long(200));
        assert!(stored(BUCKET, &deep).unwrap().starts_with("~/"));
        assert!(stored(BUCKET, &long(1025)).is_err());
        let [one, other] = ["a", "b"].map(|end| stored(BUCKET, &(long(200) + end)).unwrap());
        assert_ne!(one, other);
    }
}
