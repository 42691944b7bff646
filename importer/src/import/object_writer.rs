//! Writes objects to S3.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::aws::service_error;
use crate::error::Error;

/// Bytes of one part of a multipart upload.
pub(crate) const PART_BYTES: usize = 8 * 1024 * 1024;

/// The least bytes of a part of a multipart upload but the last, and so of one that S3 copies.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub(crate) const UPLOAD_PART_BYTES_MIN: usize = 5 * 1024 * 1024;

/// Most parts of a multipart upload.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const UPLOAD_PARTS_MAX: usize = 10_000;

/// Characters of a key that stand in the header `x-amz-copy-source` as they are.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html>
const COPY_SOURCE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');

/// How JSON Lines are called in S3.
pub(crate) const NDJSON: &str = "application/x-ndjson";

/// Writes an object of JSON Lines to S3, in parts, so that any number of them fits into memory.
#[derive(Debug)]
pub(crate) struct ObjectWriter {
    client: Client,
    bucket: String,
    key: String,
    buffer: Vec<u8>,
    upload_id: Option<String>,
    parts: Vec<CompletedPart>,
}

impl ObjectWriter {
    /// Writes to the object `key` in `bucket`, which is there once the writer is closed.
    pub(crate) fn new(client: Client, bucket: String, key: String) -> Self {
        Self {
            client,
            bucket,
            key,
            buffer: Vec::new(),
            upload_id: None,
            parts: Vec::new(),
        }
    }

    fn url(&self) -> String {
        rows::prose(&format!("s3://{}/{}", self.bucket, self.key))
    }

    /// Adds `bytes`. Tells whether there was room: an object has at most 10,000 parts.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<bool, Error> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PART_BYTES {
            return self.upload_part().await;
        }
        Ok(true)
    }

    /// Whether an object may be copied next: what is before it can be a part.
    pub(crate) fn can_copy(&self) -> bool {
        self.buffer.is_empty() || self.buffer.len() >= UPLOAD_PART_BYTES_MIN
    }

    /// Adds the object `key` of the same bucket, of at least [`UPLOAD_PART_BYTES_MIN`], without reading it. Tells whether there
    /// was room.
    pub(crate) async fn copy(&mut self, key: &str) -> Result<bool, Error> {
        if !self.buffer.is_empty() && !self.upload_part().await? {
            return Ok(false);
        }
        let upload_id = self.upload_id().await?;
        let Some(number) = self.next_number() else {
            return Ok(false);
        };
        let source = format!("{}/{}", self.bucket, utf8_percent_encode(key, COPY_SOURCE));
        let copied = self
            .client
            .upload_part_copy()
            .bucket(&self.bucket)
            .key(&self.key)
            .upload_id(upload_id)
            .part_number(number)
            .copy_source(source)
            .send()
            .await
            .map_err(|e| service_error("UploadPartCopy", &self.url(), e))?;
        let e_tag = copied.copy_part_result.and_then(|copied| copied.e_tag);
        let part = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(e_tag);
        self.parts.push(part.build());
        Ok(true)
    }

    /// The number of the next part, counted from 1, if there may be one.
    fn next_number(&self) -> Option<i32> {
        let number = self.parts.len() + 1;
        i32::try_from(number)
            .ok()
            .filter(|_| number <= UPLOAD_PARTS_MAX)
    }

    /// The upload, which is begun if it has not been.
    async fn upload_id(&mut self) -> Result<String, Error> {
        if let Some(id) = &self.upload_id {
            Ok(id.clone())
        } else {
            let request = self
                .client
                .create_multipart_upload()
                .bucket(&self.bucket)
                .key(&self.key);
            let created = request
                .content_type(NDJSON)
                .send()
                .await
                .map_err(|e| service_error("CreateMultipartUpload", &self.url(), e))?;
            let id = created.upload_id.unwrap_or_default();
            Ok(self.upload_id.insert(id).clone())
        }
    }

    async fn upload_part(&mut self) -> Result<bool, Error> {
        let upload_id = self.upload_id().await?;
        let Some(number) = self.next_number() else {
            return Ok(false);
        };
        let uploaded = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(&self.key)
            .upload_id(upload_id)
            .part_number(number)
            .body(std::mem::take(&mut self.buffer).into())
            .send()
            .await
            .map_err(|e| service_error("UploadPart", &self.url(), e))?;
        let part = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(uploaded.e_tag);
        self.parts.push(part.build());
        Ok(true)
    }

    /// Makes the object, and says where it is, unless it has too many parts.
    pub(crate) async fn close(mut self) -> Result<Option<String>, Error> {
        if self.upload_id.is_none() {
            let body = std::mem::take(&mut self.buffer).into();
            put_object(&self.client, &self.bucket, &self.key, NDJSON, body).await?;
            return Ok(Some(self.url()));
        }
        if !self.buffer.is_empty() && !self.upload_part().await? {
            return Ok(None);
        }
        let parts =
            CompletedMultipartUpload::builder().set_parts(Some(std::mem::take(&mut self.parts)));
        let complete = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(&self.key);
        complete
            .set_upload_id(self.upload_id.take())
            .multipart_upload(parts.build())
            .send()
            .await
            .map_err(|e| service_error("CompleteMultipartUpload", &self.url(), e))?;
        Ok(Some(self.url()))
    }
}

/// Writes an object in one request.
pub(crate) async fn put_object(
    client: &Client,
    bucket: &str,
    key: &str,
    content_type: &str,
    body: ByteStream,
) -> Result<(), Error> {
    let put = client
        .put_object()
        .bucket(bucket)
        .key(key)
        .content_type(content_type);
    put.body(body).send().await.map_err(|e| {
        service_error(
            "PutObject",
            &rows::prose(&format!("s3://{bucket}/{key}")),
            e,
        )
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_at_most_10_000_parts() {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
            .build();
        let client = Client::from_conf(config);
        let mut writer = ObjectWriter::new(client, "b".to_owned(), "k".to_owned());
        for number in 1..=10_000 {
            assert_eq!(writer.next_number(), Some(number));
            writer.parts.push(CompletedPart::builder().build());
        }
        assert_eq!(writer.next_number(), None);
    }
}
