//! What the fuzz targets check. It stands with the tests of `rows`, which run it on the seeds and on a few thousand inputs
//! made of them.

// The tests use more of it.
#![allow(dead_code)]

#[path = "../../rows/tests/decode/property.rs"]
mod property;
#[path = "../../rows/tests/decode/support.rs"]
mod support;

/// JSON: an array, one under a pointer, or objects one after the other.
pub fn json(data: &[u8]) {
    property::json(data);
}

/// JSON Lines.
pub fn jsonl(data: &[u8]) {
    property::jsonl(data);
}

/// DynamoDB JSON.
pub fn ddb_json(data: &[u8]) {
    property::ddb_json(data);
}

/// CSV.
pub fn csv(data: &[u8]) {
    property::csv(data);
}

/// Compressed files.
pub fn decompress(data: &[u8]) {
    property::decompress_any(data);
}
