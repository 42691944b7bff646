//! Objects for reading, path-style: `/bucket/key` is the file `key` in the folder `bucket`.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Component, Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use http_body_util::{Either, Full};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, IF_MATCH, RANGE,
};
use hyper::{Method, Response, http::request::Parts};

/// Bytes handed to a connection at a time.
const CHUNK_BYTES: u64 = 256 * 1024;

/// The folders of a folder, as buckets.
pub(crate) struct Objects {
    folder: PathBuf,
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl Objects {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// What was asked for so far, as a line.
    pub(crate) fn taken(&self) -> String {
        let (requests, bytes) = (self.requests.load(Relaxed), self.bytes.load(Relaxed));
        format!("GetObject {bytes} bytes {requests} requests\n")
    }

    /// Answers `GetObject` and `HeadObject`.
    pub(crate) fn answer(&self, request: &Parts) -> Response<super::Body> {
        self.object(request)
            .unwrap_or_else(|(status, code)| refusal(status, code, &request.method))
    }

    fn object(&self, request: &Parts) -> Result<Response<super::Body>, (u16, &'static str)> {
        let head = request.method == Method::HEAD;
        if !head && request.method != Method::GET {
            return Err((405, "MethodNotAllowed"));
        }
        let missing = |_| (404, "NoSuchKey");
        let file = self.path(request.uri.path()).ok_or((400, "InvalidURI"))?;
        let file = File::open(file).map_err(missing)?;
        let metadata = file.metadata().map_err(missing)?;
        if !metadata.is_file() {
            return Err((404, "NoSuchKey"));
        }
        let etag = etag(&metadata);
        if let Some(wanted) = text(&request.headers, IF_MATCH.as_str()) {
            let wanted = wanted.trim();
            if wanted != "*" && wanted.trim_matches('"') != etag.trim_matches('"') {
                return Err((412, "PreconditionFailed"));
            }
        }
        let size = metadata.len();
        let asked = text(&request.headers, RANGE.as_str()).and_then(|range| part(range, size));
        let mut response = Response::builder()
            .header(ETAG, etag)
            .header(ACCEPT_RANGES, "bytes")
            .header(CONTENT_TYPE, "binary/octet-stream")
            .header("x-amz-request-id", "SINK000000000000");
        let bytes = match asked {
            Some(bytes) if bytes.is_empty() => return Err((416, "InvalidRange")),
            Some(bytes) => {
                let last = bytes.end - 1;
                response = response.status(206).header(
                    CONTENT_RANGE,
                    format!("bytes {}-{last}/{size}", bytes.start),
                );
                bytes
            }
            None => 0..size,
        };
        let body = if head {
            // An empty body would have this header say 0.
            response = response.header(CONTENT_LENGTH, bytes.end - bytes.start);
            Either::Left(Full::default())
        } else {
            self.requests.fetch_add(1, Relaxed);
            self.bytes.fetch_add(bytes.end - bytes.start, Relaxed);
            Either::Right(FilePart { file, bytes })
        };
        response.body(body).map_err(|_| (500, "InternalError"))
    }

    /// Whether there is a file for a path.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.path(path).is_some_and(|file| file.is_file())
    }

    /// The file of a path, if it stays within the folder.
    fn path(&self, path: &str) -> Option<PathBuf> {
        let path = percent_encoding::percent_decode_str(path.strip_prefix('/')?)
            .decode_utf8()
            .ok()?;
        let inside = Path::new(&*path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        inside.then(|| self.folder.join(&*path))
    }
}

/// An error as S3 answers it; that to a HEAD has no body.
pub(crate) fn refusal(status: u16, code: &str, method: &Method) -> Response<super::Body> {
    let body = if method == Method::HEAD {
        String::new()
    } else {
        format!("<Error><Code>{code}</Code><Message>from the sink</Message></Error>")
    };
    let mut response = Response::new(Either::Left(body.into()));
    *response.status_mut() = status.try_into().unwrap_or_default();
    response
}

/// Another file, or another content of it, has another one. It is not the content's MD5, as that of an object uploaded in
/// parts is not.
fn etag(metadata: &Metadata) -> String {
    format!(
        "\"{:08x}{:08x}{:016x}-1\"",
        metadata.ino() as u32,
        metadata.mtime_nsec(),
        (metadata.mtime().cast_unsigned() << 32) ^ metadata.len()
    )
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The bytes that a `Range` header asks for; none if there are no such bytes. Like S3, takes no notice of a header that it
/// does not understand, or that asks for several ranges.
fn part(range: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = range.trim().strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        return Some(size.saturating_sub(last.parse().ok()?)..size);
    }
    let first: u64 = first.parse().ok()?;
    let end = if last.is_empty() {
        size
    } else {
        let last: u64 = last.parse().ok()?;
        if last < first {
            return None;
        }
        size.min(last.saturating_add(1))
    };
    Some(first.min(end)..end)
}

/// Some of a file's bytes, read as the connection takes them.
///
/// Reads on the connection's own thread: the files were written a moment ago, so the kernel still has them in memory, and
/// another thread would cost more than it saves.
pub(crate) struct FilePart {
    file: File,
    bytes: Range<u64>,
}

impl Body for FilePart {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let start = self.bytes.start;
        let length = CHUNK_BYTES.min(self.bytes.end - start);
        if length == 0 {
            return Poll::Ready(None);
        }
        let mut chunk = vec![0; length as usize];
        self.bytes.start += length;
        let read = self.file.read_exact_at(&mut chunk, start);
        Poll::Ready(Some(read.map(|()| Frame::data(chunk.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.end - self.bytes.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_s3() {
        let cases = [
            ("bytes=0-9", Some(0..10)),
            ("bytes=0-99", Some(0..20)),
            ("bytes=5-5", Some(5..6)),
            ("bytes=5-", Some(5..20)),
            ("bytes=-5", Some(15..20)),
            ("bytes=-50", Some(0..20)),
            // There are no such bytes: 416.
            ("bytes=20-30", Some(20..20)),
            ("bytes=30-", Some(20..20)),
            ("bytes=-0", Some(20..20)),
            // No notice is taken of these.
            ("bytes=9-5", None),
            ("bytes=0-1,3-4", None),
            ("lines=0-1", None),
            ("bytes=", None),
            ("bytes=-", None),
            ("bytes=0-18446744073709551615", Some(0..20)),
        ];
        for (range, expected) in cases {
            assert_eq!(part(range, 20), expected, "{range}");
        }
    }

    #[test]
    fn paths_stay_within_the_folder() {
        let objects = Objects::new("/f".into());
        let cases = [
            ("/b/k.json", Some("/f/b/k.json")),
            ("/b/a%20b", Some("/f/b/a b")),
            ("/b/../../etc/passwd", None),
            ("/b/%2e%2e/x", None),
            ("//etc/passwd", None),
            ("/b/%ff", None),
        ];
        for (path, expected) in cases {
            assert_eq!(
                objects.path(path).as_deref(),
                expected.map(Path::new),
                "{path}"
            );
        }
    }
}
