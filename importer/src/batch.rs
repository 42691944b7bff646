//! Rows that go to DynamoDB in one `BatchWriteItem` request.

use std::ops::Range;

use crate::encoder::write_json_string;
use crate::limits::{BATCH_BYTES_MAX, BATCH_ROWS_MAX, wcu};
use crate::position::Position;
use crate::row::Row;

const REQUEST_HEAD: &[u8] = b"{\"PutRequest\":{\"Item\":";
const REQUEST_TAIL: &[u8] = b"}}";
/// Room in a request for what is around the rows: the table's name or ARN and the braces.
const ENVELOPE_BYTES_MAX: usize = 4096;

/// Up to 25 rows with different keys, as the bytes of a request.
#[derive(Debug, Default, Clone)]
pub struct Batch {
    /// The rows' put requests, separated by commas.
    requests: Vec<u8>,
    /// The rows' keys, one after the other.
    keys: Vec<u8>,
    rows: Vec<BatchRow>,
}

/// What is known of a row in a batch.
#[derive(Debug, Clone)]
struct BatchRow {
    request: Range<usize>,
    key: Range<usize>,
    wcu: u32,
    position: Position,
}

impl Batch {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether no further row may be added, whatever its size.
    pub fn is_full(&self) -> bool {
        self.rows.len() == BATCH_ROWS_MAX
    }

    /// Bytes that the rows take in memory and on the wire.
    pub fn bytes(&self) -> usize {
        self.requests.len()
    }

    /// Whether `row` fits, by the request's limits on rows and bytes.
    pub fn has_room_for(&self, row: &Row) -> bool {
        let request = REQUEST_HEAD.len() + row.item.len() + REQUEST_TAIL.len() + 1;
        !self.is_full() && self.requests.len() + request <= BATCH_BYTES_MAX - ENVELOPE_BYTES_MAX
    }

    /// Adds a row, which must have room and a key that no row of the batch has.
    pub(crate) fn push(&mut self, row: &Row) {
        if !self.rows.is_empty() {
            self.requests.push(b',');
        }
        let request = self.requests.len();
        for part in [REQUEST_HEAD, &row.item, REQUEST_TAIL] {
            self.requests.extend_from_slice(part);
        }
        let key = self.keys.len();
        self.keys.extend_from_slice(&row.key);
        self.rows.push(BatchRow {
            request: request..self.requests.len(),
            key: key..self.keys.len(),
            wcu: wcu(row.size_bytes),
            position: row.position,
        });
    }

    /// Takes out the row with the key `key`, and tells whether there was one.
    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        let Some(index) = self.row_with_key(key) else {
            return false;
        };
        let removed = self.rows.remove(index);
        let mut gone = removed.request;
        // The comma after the row goes with it, or the one before if the row was the last.
        if index < self.rows.len() {
            gone.end += 1;
        } else {
            gone.start = gone.start.saturating_sub(1);
        }
        self.requests.drain(gone.clone());
        for row in &mut self.rows[index..] {
            row.request = row.request.start - gone.len()..row.request.end - gone.len();
        }
        true
    }

    /// Index of the row with the key `key`.
    pub(crate) fn row_with_key(&self, key: &[u8]) -> Option<usize> {
        self.rows
            .iter()
            .position(|row| &self.keys[row.key.clone()] == key)
    }

    /// The WCU that writing the rows at `rows` costs a table without indexes.
    pub fn wcu(&self, rows: &[usize]) -> u32 {
        rows.iter().map(|&row| self.rows[row].wcu).sum()
    }

    /// Where the row at `row` is in the file.
    pub fn position(&self, row: usize) -> Position {
        self.rows[row].position
    }

    /// The item of the row at `row`, as DynamoDB JSON.
    pub(crate) fn item(&self, row: usize) -> &[u8] {
        let request = &self.requests[self.rows[row].request.clone()];
        &request[REQUEST_HEAD.len()..request.len() - REQUEST_TAIL.len()]
    }

    /// The body of a `BatchWriteItem` request that puts the rows at `rows` into `table`.
    ///
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
    pub fn body(&self, table: &str, rows: &[usize]) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.requests.len() + ENVELOPE_BYTES_MAX);
        body.extend_from_slice(b"{\"RequestItems\":{");
        write_json_string(&mut body, table);
        body.extend_from_slice(b":[");
        if rows.len() == self.rows.len() {
            body.extend_from_slice(&self.requests);
        } else {
            for (index, &row) in rows.iter().enumerate() {
                if index > 0 {
                    body.push(b',');
                }
                body.extend_from_slice(&self.requests[self.rows[row].request.clone()]);
            }
        }
        body.extend_from_slice(b"]},\"ReturnConsumedCapacity\":\"TOTAL\"}");
        body
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

    fn keys(batch: &Batch, rows: &[usize]) -> Vec<String> {
        let body: Value = serde_json::from_slice(&batch.body("a \"table\"", rows)).unwrap();
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
        let mut batch = Batch::default();
        for key in ["a", "b", "c"] {
            batch.push(&row(key, 1025));
        }
        assert_eq!(keys(&batch, &[0, 1, 2]), ["a", "b", "c"]);
        assert_eq!(keys(&batch, &[2]), ["c"]);
        assert_eq!(keys(&batch, &[0, 2]), ["a", "c"]);
        assert_eq!(batch.wcu(&[0, 2]), 4);
        assert_eq!(batch.item(1), br#"{"k":{"S":"b"}}"#);
    }

    #[test]
    fn any_row_may_be_removed() {
        for gone in ["a", "b", "c"] {
            let mut batch = Batch::default();
            for key in ["a", "b", "c"] {
                batch.push(&row(key, 1));
            }
            assert!(batch.remove(gone.as_bytes()));
            assert!(!batch.remove(gone.as_bytes()));
            batch.push(&row("d", 1));
            let expected: Vec<&str> = ["a", "b", "c", "d"]
                .into_iter()
                .filter(|k| *k != gone)
                .collect();
            assert_eq!(keys(&batch, &[0, 1, 2]), expected);
            assert_eq!(keys(&batch, &[1]), [expected[1]]);
        }
        let mut batch = Batch::default();
        batch.push(&row("only", 1));
        assert!(batch.remove(b"only"));
        assert!(batch.is_empty());
        assert_eq!(batch.bytes(), 0);
    }

    #[test]
    fn a_request_stays_within_its_limits() {
        let mut batch = Batch::default();
        let large = Row {
            item: vec![b'x'; BATCH_BYTES_MAX / 2],
            ..row("a", 1)
        };
        assert!(batch.has_room_for(&large));
        batch.push(&large);
        assert!(!batch.has_room_for(&Row {
            key: b"b".to_vec(),
            ..large
        }));
        assert!(batch.body(&"t".repeat(1024), &[0]).len() < BATCH_BYTES_MAX);
        let mut batch = Batch::default();
        for key in 0..BATCH_ROWS_MAX {
            assert!(!batch.is_full());
            batch.push(&row(&key.to_string(), 1));
        }
        assert!(batch.is_full() && !batch.has_room_for(&row("x", 1)));
    }
}
