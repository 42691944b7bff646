//! Where rejected rows go, and how far an import is.

use std::fs::File;
use std::future::Future;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use tokio::time::Instant;

use crate::aws::service_error;
use crate::checkpoint::Checkpoint;
use crate::error::{Error, StopReason};
use crate::reject::Reject;

/// Keeps what must outlive the import: its rejected rows, one line of JSON each ([`Reject::to_json`]), and how far it is.
pub trait Journal: Send + 'static {
    /// Takes a rejected row.
    ///
    /// # Errors
    ///
    /// [`Error::Report`] if it cannot be kept; the import must not go on then.
    fn reject(&mut self, reject: &Reject) -> impl Future<Output = Result<(), Error>> + Send;

    /// When to save next; `None` if how far the import is need not be known.
    fn save_at(&self) -> Option<Instant> {
        None
    }

    /// Makes all rows that were taken durable, and after them how far the import is.
    ///
    /// Gives the reason if somebody wants the import to stop.
    ///
    /// # Errors
    ///
    /// Any, if that fails; the import must not go on then.
    fn save(
        &mut self,
        _checkpoint: &Checkpoint,
    ) -> impl Future<Output = Result<Option<StopReason>, Error>> + Send {
        std::future::ready(Ok(None))
    }

    /// The same for the last time: the import has ended, well or not.
    ///
    /// # Errors
    ///
    /// As for [`Journal::save`].
    fn finish(&mut self, checkpoint: &Checkpoint)
    -> impl Future<Output = Result<(), Error>> + Send;

    /// Where the rejected rows are, if there are any.
    fn place(&self) -> Option<String>;
}

/// Keeps nothing; rejected rows are only counted.
#[derive(Debug, Clone, Copy)]
pub struct Discard;

impl Journal for Discard {
    async fn reject(&mut self, _reject: &Reject) -> Result<(), Error> {
        Ok(())
    }

    async fn finish(&mut self, _checkpoint: &Checkpoint) -> Result<(), Error> {
        Ok(())
    }

    fn place(&self) -> Option<String> {
        None
    }
}

/// Writes rejected rows to a local file. Without any the file is empty at the end, whatever was in it before.
#[derive(Debug)]
pub struct RejectFile {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    any: bool,
}

impl RejectFile {
    /// Rejects go to `path`; an old file there is replaced.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            any: false,
        }
    }

    fn open(&mut self) -> std::io::Result<&mut BufWriter<File>> {
        Ok(match &mut self.file {
            Some(file) => file,
            none => none.insert(BufWriter::new(File::create(&self.path)?)),
        })
    }

    fn error(&self, source: std::io::Error) -> Error {
        Error::Report {
            place: self.path.display().to_string(),
            source: Box::new(source),
        }
    }
}

impl Journal for RejectFile {
    async fn reject(&mut self, reject: &Reject) -> Result<(), Error> {
        self.any = true;
        let written = self
            .open()
            .and_then(|file| writeln!(file, "{}", reject.to_json()));
        written.map_err(|e| self.error(e))
    }

    async fn finish(&mut self, _checkpoint: &Checkpoint) -> Result<(), Error> {
        let flushed = self.open().and_then(Write::flush);
        flushed.map_err(|e| self.error(e))
    }

    fn place(&self) -> Option<String> {
        self.any.then(|| self.path.display().to_string())
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Position;
    use crate::reject::Reason;

    #[tokio::test]
    async fn an_old_file_of_rejects_does_not_outlive_a_run_without_any() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rejects.jsonl");
        let reject = Reject::new(Position::default(), Reason::ItemTooLarge, b"{}");
        for (rejects, lines) in [(2, 2), (1, 1), (0, 0)] {
            let mut file = RejectFile::new(path.clone());
            for _ in 0..rejects {
                file.reject(&reject).await.unwrap();
            }
            file.finish(&Checkpoint::default()).await.unwrap();
            assert_eq!(file.place().is_some(), rejects > 0);
            assert_eq!(
                std::fs::read_to_string(&path).unwrap().lines().count(),
                lines
            );
        }
    }
}
