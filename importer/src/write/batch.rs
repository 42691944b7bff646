//! Rows that go to DynamoDB in one `BatchWriteItem` request.

use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use rows::{Position, Row};

/// Most rows a `BatchWriteItem` request may hold.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
pub const BATCH_ROWS_MAX: usize = 25;

/// Most bytes a `BatchWriteItem` request may carry over the network.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
pub const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Item bytes that one write capacity unit (WCU) pays for.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html#write-operation-consumption>
pub const WCU_BYTES: usize = 1024;

/// The WCU that writing an item of `size_bytes` costs a table without indexes.
///
/// Every item of a batch is rounded up on its own.
///
/// ```
/// assert_eq!(importer::write::wcu(1), 1);
/// assert_eq!(importer::write::wcu(1024), 1);
/// assert_eq!(importer::write::wcu(1025), 2);
/// ```
pub fn wcu(size_bytes: usize) -> u32 {
    size_bytes.div_ceil(WCU_BYTES).max(1) as u32
}

/// The hash of a row's key, which picks its lane. It is the same in every process: checkpoints hold it.
pub(crate) fn key_hash(key: &[u8]) -> u64 {
    foldhash::fast::FixedState::default().hash_one(key)
}

const REQUEST_HEAD: &[u8] = b"{\"PutRequest\":{\"Item\":";
const REQUEST_TAIL: &[u8] = b"}}";
const BODY_TAIL: &[u8] = b"]},\"ReturnConsumedCapacity\":\"TOTAL\"}";
/// Room in a request for what is around the rows: the table's name or ARN and the braces.
const ENVELOPE_BYTES_MAX: usize = 4096;
/// Most room that a batch gets before its first row.
const ROOM_BYTES_MAX: usize = 64 * 1024;

/// What a request for `table` begins with.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
pub(crate) fn body_head(table: &str) -> Arc<[u8]> {
    let mut head = b"{\"RequestItems\":{".to_vec();
    // Cannot fail: a Vec takes every write, and a str is always JSON.
    serde_json::to_writer(&mut head, table).expect("a str serializes into a Vec");
    head.extend_from_slice(b":[");
    head.into()
}

/// Up to 25 rows with different keys, which grow into the body of a request.
#[derive(Debug)]
pub(crate) struct OpenBatch {
    /// The body's beginning.
    head: Arc<[u8]>,
    /// The body so far: its beginning and the rows' put requests, separated by commas.
    body: Vec<u8>,
    /// The rows' keys, one after the other.
    keys: Vec<u8>,
    rows: Vec<BatchRow>,
    /// Where the first row that was added is, and the last one; either may have been replaced since.
    span: Option<(Position, Position)>,
    /// Rows that later ones replaced.
    superseded: u32,
    /// Hashes of the rows' keys, beside them so that looking through all of them is quick.
    key_hashes: [u32; BATCH_ROWS_MAX],
}

/// Up to 25 rows with different keys, and the request that writes them.
#[derive(Debug, Clone)]
pub struct Batch {
    head: Arc<[u8]>,
    body: Bytes,
    keys: Vec<u8>,
    rows: Vec<BatchRow>,
    last: Position,
    superseded: u32,
}

/// What is known of a row in a batch.
#[derive(Debug, Clone)]
struct BatchRow {
    request: Range<usize>,
    key: Range<usize>,
    wcu: u32,
    position: Position,
}

impl OpenBatch {
    /// No rows.
    pub(crate) fn new(head: Arc<[u8]>) -> Self {
        Self {
            body: head.to_vec(),
            head,
            keys: Vec::new(),
            rows: Vec::new(),
            span: None,
            superseded: 0,
            key_hashes: [0; BATCH_ROWS_MAX],
        }
    }

    /// No rows, with room for rows like those of `self`.
    pub(crate) fn another(&self) -> Self {
        // A little more than these took, so that few grow.
        let room = |bytes: usize| (bytes + bytes / 8).min(ROOM_BYTES_MAX);
        let mut body = Vec::with_capacity(room(self.body.len()));
        body.extend_from_slice(&self.head);
        Self {
            head: Arc::clone(&self.head),
            body,
            keys: Vec::with_capacity(room(self.keys.len())),
            rows: Vec::with_capacity(BATCH_ROWS_MAX),
            span: None,
            superseded: 0,
            key_hashes: [0; BATCH_ROWS_MAX],
        }
    }

    /// Whether there are no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether no further row may be added, whatever its size.
    pub(crate) fn is_full(&self) -> bool {
        self.rows.len() == BATCH_ROWS_MAX
    }

    /// Bytes that the rows take on the wire.
    pub(crate) fn bytes(&self) -> usize {
        self.body.len() - self.head.len()
    }

    /// Whether `row` fits, by the request's limits on rows and bytes.
    pub(crate) fn has_room_for(&self, row: &Row) -> bool {
        let request = REQUEST_HEAD.len() + row.item.len() + REQUEST_TAIL.len() + 1;
        !self.is_full() && self.bytes() + request <= BATCH_BYTES_MAX - ENVELOPE_BYTES_MAX
    }

    /// Where the first row that was added is, if any was.
    pub(crate) fn begin(&self) -> Option<Position> {
        self.span.map(|(first, _)| first)
    }

    /// Adds a row, which must have room and a key that no row of the batch has. `key_hash` is a hash of its key.
    pub(crate) fn push(&mut self, row: &Row, key_hash: u32) {
        let first = self.begin().unwrap_or(row.position);
        self.span = Some((first, row.position));
        self.key_hashes[self.rows.len()] = key_hash;
        if !self.rows.is_empty() {
            self.body.push(b',');
        }
        let request = self.body.len();
        for part in [REQUEST_HEAD, &row.item, REQUEST_TAIL] {
            self.body.extend_from_slice(part);
        }
        let key = self.keys.len();
        self.keys.extend_from_slice(&row.key);
        self.rows.push(BatchRow {
            request: request..self.body.len(),
            key: key..self.keys.len(),
            wcu: wcu(row.size_bytes),
            position: row.position,
        });
    }

    /// Takes out the row with the key `key`, which a later row supersedes, and tells whether there was one.
    pub(crate) fn remove(&mut self, key: &[u8], key_hash: u32) -> bool {
        // All of them, those of no row included: a loop without a way out is done several at a time.
        let same = self.key_hashes.iter().filter(|&&hash| hash == key_hash);
        if same.count() == 0 {
            return false;
        }
        let is_it = |row: &BatchRow| &self.keys[row.key.clone()] == key;
        let Some(index) = self.rows.iter().position(is_it) else {
            return false;
        };
        self.superseded += 1;
        self.key_hashes[index..].rotate_left(1);
        let removed = self.rows.remove(index);
        let mut gone = removed.request;
        // The comma after the row goes with it, or the one before if the row was the last.
        if index < self.rows.len() {
            gone.end += 1;
        } else if index > 0 {
            gone.start -= 1;
        }
        self.body.drain(gone.clone());
        for row in &mut self.rows[index..] {
            row.request = row.request.start - gone.len()..row.request.end - gone.len();
        }
        true
    }

    /// No further row comes.
    pub(crate) fn close(mut self) -> Batch {
        self.body.extend_from_slice(BODY_TAIL);
        Batch {
            head: self.head,
            body: self.body.into(),
            keys: self.keys,
            rows: self.rows,
            last: self.span.map(|(_, last)| last).unwrap_or_default(),
            superseded: self.superseded,
        }
    }
}

impl Batch {
    /// Number of rows, at least one.
    #[allow(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Bytes of the whole body.
    pub fn bytes(&self) -> usize {
        self.body.len()
    }

    /// Index of the row with the key `key`.
    pub(crate) fn row_with_key(&self, key: &[u8]) -> Option<usize> {
        self.rows
            .iter()
            .position(|row| &self.keys[row.key.clone()] == key)
    }

    /// [`key_hash`] of the row at `row`.
    pub(crate) fn key_hash(&self, row: usize) -> u64 {
        key_hash(&self.keys[self.rows[row].key.clone()])
    }

    /// The WCU that writing the rows at `rows` costs a table without indexes.
    pub fn wcu(&self, rows: &[usize]) -> u32 {
        rows.iter().map(|&row| self.rows[row].wcu).sum()
    }

    /// Where the last row that was added is, even if it was replaced since: of its lane, all rows up to there are in this
    /// batch or in those before.
    pub fn last(&self) -> Position {
        self.last
    }

    /// Rows that were added and that later ones replaced.
    pub fn superseded(&self) -> u32 {
        self.superseded
    }

    /// Where the row at `row` is in the file.
    pub fn position(&self, row: usize) -> Position {
        self.rows[row].position
    }

    /// The item of the row at `row`, as DynamoDB JSON.
    pub(crate) fn item(&self, row: usize) -> &[u8] {
        let request = &self.body[self.rows[row].request.clone()];
        &request[REQUEST_HEAD.len()..request.len() - REQUEST_TAIL.len()]
    }

    /// The body of a `BatchWriteItem` request that puts the rows at `rows`, in the order of the batch. All of them cost
    /// nothing.
    pub fn body(&self, rows: &[usize]) -> Bytes {
        if rows.len() == self.rows.len() {
            return self.body.clone();
        }
        let mut body = Vec::with_capacity(self.body.len());
        body.extend_from_slice(&self.head);
        for (index, &row) in rows.iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(&self.body[self.rows[row].request.clone()]);
        }
        body.extend_from_slice(BODY_TAIL);
        body.into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn row(key: &str, size_bytes: usize) -> Row {
        Row {
            item: format!("{{\"k\":{{\"S\":\"{key}\"}}}}").into_bytes(),
            key: key.as_bytes().to_vec(),
            size_bytes,
            position: Position::default(),
        }
    }

    fn open() -> OpenBatch {
        OpenBatch::new(body_head("a \"table\""))
    }

    fn push(batch: &mut OpenBatch, row: &Row) {
        batch.push(row, hash(&row.key));
    }

    /// Not a good one: keys of one length collide.
    fn hash(key: &[u8]) -> u32 {
        key.len() as u32
    }

    fn keys(batch: &Batch, rows: &[usize]) -> Vec<String> {
        let body: Value = serde_json::from_slice(&batch.body(rows)).unwrap();
        assert_eq!(body["ReturnConsumedCapacity"], json!("TOTAL"));
        let requests = body["RequestItems"]["a \"table\""].as_array().unwrap();
        let key = |r: &Value| {
            r["PutRequest"]["Item"]["k"]["S"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        requests.iter().map(key).collect()
    }

    #[test]
    fn rows_are_put_in_order_whole_or_in_part() {
        let mut batch = open();
        for key in ["a", "b", "c"] {
            push(&mut batch, &row(key, 1025));
        }
        let batch = batch.close();
        assert_eq!(keys(&batch, &[0, 1, 2]), ["a", "b", "c"]);
        assert_eq!(keys(&batch, &[2]), ["c"]);
        assert_eq!(keys(&batch, &[0, 2]), ["a", "c"]);
        assert_eq!(batch.wcu(&[0, 2]), 4);
        assert_eq!(batch.item(1), br#"{"k":{"S":"b"}}"#);
    }

    #[test]
    fn any_row_may_be_removed() {
        for gone in ["a", "b", "c"] {
            let mut batch = open();
            for key in ["a", "b", "c"] {
                push(&mut batch, &row(key, 1));
            }
            assert!(batch.remove(gone.as_bytes(), hash(gone.as_bytes())));
            assert!(!batch.remove(gone.as_bytes(), hash(gone.as_bytes())));
            push(&mut batch, &row("d", 1));
            let expected: Vec<&str> = ["a", "b", "c", "d"]
                .into_iter()
                .filter(|k| *k != gone)
                .collect();
            let batch = batch.close();
            assert_eq!(keys(&batch, &[0, 1, 2]), expected);
            assert_eq!(keys(&batch, &[1]), [expected[1]]);
        }
        let mut batch = open();
        push(&mut batch, &row("only", 1));
        assert!(batch.remove(b"only", hash(b"only")));
        assert!(batch.is_empty());
        assert_eq!(batch.bytes(), 0);
    }

    #[test]
    fn a_request_stays_within_its_limits() {
        let mut batch = open();
        let large = Row {
            item: vec![b'x'; BATCH_BYTES_MAX / 2],
            ..row("a", 1)
        };
        assert!(batch.has_room_for(&large));
        push(&mut batch, &large);
        assert!(!batch.has_room_for(&Row {
            key: b"b".to_vec(),
            ..large
        }));
        assert!(batch.close().bytes() < BATCH_BYTES_MAX);
        let mut batch = open();
        for key in 0..BATCH_ROWS_MAX {
            assert!(!batch.is_full());
            push(&mut batch, &row(&key.to_string(), 1));
        }
        assert!(batch.is_full() && !batch.has_room_for(&row("x", 1)));
    }
}
