//! A table that takes every row and keeps none. Its answers are made when the program starts.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use memchr::memmem;

/// Most rows in one `BatchWriteItem`.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
const BATCH_ROWS: usize = 25;

const DESCRIPTION: &str = r#"{"Table":{"TableName":"InventoryTable","TableStatus":"ACTIVE","KeySchema":[{"AttributeName":"productId","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"productId","AttributeType":"S"}]}}"#;

const CRC32: HeaderName = HeaderName::from_static("x-amz-crc32");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");

/// The table, whatever name it is called by.
pub(crate) struct Table {
    description: Answer,
    /// The answer to a `PutItem`.
    put: Answer,
    /// Answers to a `BatchWriteItem`, by its rows.
    written: Vec<Answer>,
    /// The same with the capacity that was used: a unit a row.
    written_with_capacity: Vec<Answer>,
    record: Option<Mutex<BufWriter<File>>>,
    /// Hashes of the keys that came.
    keys: Option<Mutex<HashSet<u64>>>,
    requests: AtomicU64,
    batches: Taken,
    puts: Taken,
}

#[derive(Default)]
struct Taken {
    rows: AtomicU64,
    requests: AtomicU64,
}

impl Taken {
    fn add(&self, rows: usize) {
        self.rows.fetch_add(rows as u64, Relaxed);
        self.requests.fetch_add(1, Relaxed);
    }

    fn line(&self, operation: &str) -> String {
        let (rows, requests) = (self.rows.load(Relaxed), self.requests.load(Relaxed));
        format!("{operation} {rows} rows {requests} requests\n")
    }
}

impl Table {
    /// A table that writes the bodies of its `BatchWriteItem`s to `record`, if it is given, and counts different keys if
    /// `distinct`, of about so many: there is room for them from the beginning, so that nobody waits while it is made.
    ///
    /// # Errors
    ///
    /// That file cannot be made.
    pub(crate) fn new(record: Option<&Path>, distinct: Option<usize>) -> io::Result<Self> {
        let written = |capacity: fn(usize) -> String| {
            let answer = |rows| format!(r#"{{"UnprocessedItems":{{}}{}}}"#, capacity(rows));
            (0..=BATCH_ROWS)
                .map(|rows| Answer::new(answer(rows)))
                .collect()
        };
        Ok(Self {
            description: Answer::new(DESCRIPTION.to_owned()),
            put: Answer::new("{}".to_owned()),
            written: written(|_| String::new()),
            written_with_capacity: written(|rows| {
                format!(
                    r#","ConsumedCapacity":[{{"TableName":"InventoryTable","CapacityUnits":{rows}}}]"#
                )
            }),
            record: record
                .map(|path| Ok::<_, io::Error>(Mutex::new(BufWriter::new(File::create(path)?))))
                .transpose()?,
            keys: distinct.map(|keys| Mutex::new(HashSet::with_capacity(keys))),
            requests: AtomicU64::new(0),
            batches: Taken::default(),
            puts: Taken::default(),
        })
    }

    /// Whether a request is one for this table, and not for one that is to keep what comes.
    pub(crate) fn answers(target: &HeaderValue, body: &[u8]) -> bool {
        match operation(target) {
            b"BatchWriteItem" | b"PutItem" => true,
            b"DescribeTable" => memmem::find(body, b"\"InventoryTable\"").is_some(),
            _ => false,
        }
    }

    /// Takes a request and answers it.
    pub(crate) fn answer(&self, target: &HeaderValue, body: &Bytes) -> Response<Full<Bytes>> {
        let request = self.requests.fetch_add(1, Relaxed);
        match operation(target) {
            b"BatchWriteItem" => {
                let rows = rows(body);
                if !(1..=BATCH_ROWS).contains(&rows) {
                    return refusal("ValidationException", request);
                }
                self.batches.add(rows);
                if let Some(keys) = &self.keys {
                    let mut keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
                    keys.extend(key_hashes(body));
                }
                if let Some(record) = &self.record {
                    let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
                    // A full disk shows when the file is ended.
                    record
                        .write_all(body)
                        .and_then(|()| record.write_all(b"\n"))
                        .ok();
                }
                if wants_capacity(body) {
                    self.written_with_capacity[rows].respond(StatusCode::OK, request)
                } else {
                    self.written[rows].respond(StatusCode::OK, request)
                }
            }
            b"PutItem" if has(body, b"\"Item\"", &[b":", b"{"]) => {
                self.puts.add(1);
                self.put.respond(StatusCode::OK, request)
            }
            b"PutItem" => refusal("ValidationException", request),
            b"DescribeTable" => self.description.respond(StatusCode::OK, request),
            _ => refusal("UnknownOperationException", request),
        }
    }

    /// What was taken so far, an operation a line.
    pub(crate) fn taken(&self) -> String {
        let mut lines = self.batches.line("BatchWriteItem") + &self.puts.line("PutItem");
        if let Some(keys) = &self.keys {
            let keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
            writeln!(lines, "Keys {} different", keys.len()).ok();
        }
        lines
    }

    /// Writes the rest of the record.
    ///
    /// # Errors
    ///
    /// The disk is full.
    pub(crate) fn end(&self) -> io::Result<()> {
        self.record.as_ref().map_or(Ok(()), |record| {
            record
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .flush()
        })
    }
}

/// An answer as DynamoDB gives it: with the sum of its bytes, which its clients check.
struct Answer {
    body: Bytes,
    crc32: HeaderValue,
}

impl Answer {
    fn new(body: String) -> Self {
        Self {
            crc32: crc32fast::hash(body.as_bytes()).into(),
            body: body.into(),
        }
    }

    fn respond(&self, status: StatusCode, request: u64) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body.clone()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(CRC32, self.crc32.clone());
        // DynamoDB's are as long, of capital letters and digits.
        if let Ok(id) = format!("{request:0>52}").try_into() {
            headers.insert(REQUEST_ID, id);
        }
        response
    }
}

fn refusal(error: &str, request: u64) -> Response<Full<Bytes>> {
    let body = format!(
        r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{error}","message":"from the sink"}}"#
    );
    Answer::new(body).respond(StatusCode::BAD_REQUEST, request)
}

/// How many rows the body of a `BatchWriteItem` puts, however it is spaced.
///
/// Looks for `"PutRequest": {"Item":` in place of parsing. Inside a string a quote has a backslash in front of it, so the
/// text of a row cannot hold this; and the member of an attribute is its type, never `Item`.
fn rows(body: &[u8]) -> usize {
    let name = b"\"PutRequest\"";
    memmem::find_iter(body, name)
        .filter(|at| {
            follows(
                &body[at + name.len()..],
                &[b":", b"{", b"\"Item\"", b":", b"{"],
            )
        })
        .count()
}

/// Hashes of the partition keys of the rows that are put, which come as Intake writes them.
fn key_hashes(body: &[u8]) -> impl Iterator<Item = u64> {
    let name = br#""productId":{"S":""#;
    memmem::find_iter(body, name).filter_map(move |at| {
        let key = &body[at + name.len()..];
        let key = &key[..memchr::memchr(b'"', key)?];
        let mut hasher = DefaultHasher::new();
        hasher.write(key);
        Some(hasher.finish())
    })
}

fn operation(target: &HeaderValue) -> &[u8] {
    let last = target.as_bytes().rsplit(|byte| *byte == b'.').next();
    last.unwrap_or_default()
}

/// Whether the request asks for the capacity that it used.
fn wants_capacity(body: &[u8]) -> bool {
    has(body, b"\"ReturnConsumedCapacity\"", &[b":", b"\"TOTAL\""])
        || has(body, b"\"ReturnConsumedCapacity\"", &[b":", b"\"INDEXES\""])
}

/// Whether `name` stands somewhere in `body`, followed by `tokens`.
fn has(body: &[u8], name: &[u8], tokens: &[&[u8]]) -> bool {
    memmem::find_iter(body, name).any(|at| follows(&body[at + name.len()..], tokens))
}

/// Whether `text` begins with these tokens and blanks between them.
fn follows(text: &[u8], tokens: &[&[u8]]) -> bool {
    tokens
        .iter()
        .try_fold(text, |rest, token| {
            rest.trim_ascii_start().strip_prefix(*token)
        })
        .is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_however_they_are_spaced() {
        let cases: &[(usize, &str)] = &[
            (0, ""),
            (0, r#"{"RequestItems":{}}"#),
            (
                1,
                r#"{"RequestItems":{"T":[{"PutRequest":{"Item":{"a":{"S":"b"}}}}]}}"#,
            ),
            (
                1,
                r#"{"RequestItems": {"T": [{"PutRequest": {"Item": {"a": {"S": "b"}}}}]}}"#,
            ),
            (
                1,
                "{\"RequestItems\":\n{\"T\":\t[{ \"PutRequest\" :\r\n{ \"Item\" : {}}}]}}",
            ),
            (
                2,
                r#"{"ReturnConsumedCapacity":"NONE","RequestItems":{"T":[{"PutRequest":{"Item":{}}},{"PutRequest":{"Item":{}}}]}}"#,
            ),
            // A row that holds the words as its text, and one that has them as its names.
            (
                1,
                r#"{"T":[{"PutRequest":{"Item":{"a":{"S":"{\"PutRequest\":{\"Item\":{"}}}}]}"#,
            ),
            (
                1,
                r#"{"T":[{"PutRequest":{"Item":{"PutRequest":{"M":{"Item":{"M":{}}}}}}}]}"#,
            ),
            (0, r#"{"T":[{"DeleteRequest":{"Key":{"a":{"S":"b"}}}}]}"#),
        ];
        for (expected, body) in cases {
            assert_eq!(rows(body.as_bytes()), *expected, "{body}");
        }
    }

    #[test]
    fn capacity_is_told_when_it_is_asked_for() {
        let cases = [
            (true, r#"{"ReturnConsumedCapacity": "TOTAL","#),
            (true, r#","ReturnConsumedCapacity":"INDEXES"}"#),
            (false, r#"{"ReturnConsumedCapacity":"NONE","#),
            (false, r#"{"RequestItems":{}}"#),
            (
                false,
                r#"{"Item":{"ReturnConsumedCapacity":{"S":"TOTAL"}}}"#,
            ),
        ];
        for (expected, body) in cases {
            assert_eq!(wants_capacity(body.as_bytes()), expected, "{body}");
        }
    }
}
