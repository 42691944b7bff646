//! Where rejected rows and the summary go.

use std::fs::File;
use std::future::Future;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use crate::error::Error;
use crate::reject::Reject;

/// Takes rejected rows, one line of JSON each ([`Reject::to_json`]).
pub trait RejectSink: Send + 'static {
    /// Takes a rejected row.
    ///
    /// # Errors
    ///
    /// [`Error::Report`] if it cannot be kept; the import must not go on then.
    fn reject(&mut self, reject: &Reject) -> impl Future<Output = Result<(), Error>> + Send;

    /// Makes all rows that were taken durable.
    ///
    /// # Errors
    ///
    /// [`Error::Report`] if that fails.
    fn finish(&mut self) -> impl Future<Output = Result<(), Error>> + Send;

    /// Where the rows are, if there are any.
    fn place(&self) -> Option<String>;
}

/// Keeps nothing; rejected rows are only counted.
#[derive(Debug, Clone, Copy)]
pub struct Discard;

impl RejectSink for Discard {
    async fn reject(&mut self, _reject: &Reject) -> Result<(), Error> {
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), Error> {
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

impl RejectSink for RejectFile {
    async fn reject(&mut self, reject: &Reject) -> Result<(), Error> {
        self.any = true;
        let written = self
            .open()
            .and_then(|file| writeln!(file, "{}", reject.to_json()));
        written.map_err(|e| self.error(e))
    }

    async fn finish(&mut self) -> Result<(), Error> {
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
const PART_BYTES: usize = 8 * 1024 * 1024;

/// Writes rejected rows to an object in S3, in parts, so that any number of them fits into memory.
#[derive(Debug)]
pub struct RejectObject {
    client: Client,
    bucket: String,
    key: String,
    buffer: Vec<u8>,
    upload_id: Option<String>,
    parts: Vec<CompletedPart>,
    any: bool,
}

impl RejectObject {
    /// Rejects go to the object `key` in `bucket`, which is only made if there are any.
    pub fn new(client: Client, bucket: String, key: String) -> Self {
        Self {
            client,
            bucket,
            key,
            buffer: Vec::new(),
            upload_id: None,
            parts: Vec::new(),
            any: false,
        }
    }

    fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }

    fn error<
        E: std::error::Error + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    >(
        &self,
        error: SdkError<E, R>,
    ) -> Error {
        Error::Report {
            place: self.url(),
            source: Box::new(error),
        }
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
                .map_err(|e| self.error(e))?;
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
            .map_err(|e| self.error(e))?;
        let part = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(uploaded.e_tag);
        self.parts.push(part.build());
        Ok(())
    }
}

const NDJSON: &str = "application/x-ndjson";

impl RejectSink for RejectObject {
    async fn reject(&mut self, reject: &Reject) -> Result<(), Error> {
        self.any = true;
        self.buffer.extend_from_slice(reject.to_json().as_bytes());
        self.buffer.push(b'\n');
        if self.buffer.len() >= PART_BYTES {
            self.upload_part().await?;
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), Error> {
        if !self.any {
            return Ok(());
        }
        if self.upload_id.is_none() {
            let body = std::mem::take(&mut self.buffer).into();
            let put = self
                .client
                .put_object()
                .bucket(&self.bucket)
                .key(&self.key)
                .content_type(NDJSON);
            put.body(body).send().await.map_err(|e| self.error(e))?;
            return Ok(());
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
            .map_err(|e| self.error(e))?;
        Ok(())
    }

    fn place(&self) -> Option<String> {
        self.any.then(|| self.url())
    }
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
            file.finish().await.unwrap();
            assert_eq!(file.place().is_some(), rejects > 0);
            assert_eq!(
                std::fs::read_to_string(&path).unwrap().lines().count(),
                lines
            );
        }
    }
}
