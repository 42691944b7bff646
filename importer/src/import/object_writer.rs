//! Writes objects to S3.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use crate::aws::service_error;
use crate::error::Error;

/// Bytes of one part of a multipart upload; S3 wants at least 5 MiB of all but the last.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub(crate) const PART_BYTES: usize = 8 * 1024 * 1024;

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
        format!("s3://{}/{}", self.bucket, self.key)
    }

    /// Adds `bytes`.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PART_BYTES {
            self.upload_part().await?;
        }
        Ok(())
    }

    async fn upload_part(&mut self) -> Result<(), Error> {
        let upload_id = if let Some(id) = &self.upload_id {
            id.clone()
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
            self.upload_id.insert(id).clone()
        };
        // S3 counts parts from 1, and has at most 10,000.
        #[allow(clippy::cast_possible_wrap)]
        let number = self.parts.len() as i32 + 1;
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
        Ok(())
    }

    /// Makes the object, and says where it is.
    pub(crate) async fn close(mut self) -> Result<String, Error> {
        if self.upload_id.is_none() {
            let body = std::mem::take(&mut self.buffer).into();
            put_object(&self.client, &self.bucket, &self.key, NDJSON, body).await?;
            return Ok(self.url());
        }
        if !self.buffer.is_empty() {
            self.upload_part().await?;
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
        Ok(self.url())
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
    put.body(body)
        .send()
        .await
        .map_err(|e| service_error("PutObject", &format!("s3://{bucket}/{key}"), e))?;
    Ok(())
}
