//! Bytes of a catalog file become rows in DynamoDB's wire format, each checked against DynamoDB's limits and the table's
//! keys.
//!
//! JSON arrays, JSON Lines, DynamoDB JSON, CSV and TSV; plain, gzip or zstd; UTF-8, UTF-16 or any encoding by name. What a
//! file is shows in its first bytes. Memory is bounded whatever the file's size.
//!
//! ```
//! use std::sync::Arc;
//! use rows::{DecodeOptions, KeyAttribute, KeyType, Row, Schema, open};
//!
//! let file = &b"productId,price\nP1,1299.00\nP2,n/a\n"[..];
//! let key = KeyAttribute::partition("productId", KeyType::S);
//! let schema = Arc::new(Schema::new("Products", key, None));
//! let options = DecodeOptions {
//!     types: "price:N".parse()?,
//!     ..DecodeOptions::default()
//! };
//! let mut decoder = open(file, &options, &schema)?.decoder;
//! let mut row = Row::default();
//!
//! assert!(decoder.next(&mut row)?);
//! assert_eq!(row.item, br#"{"productId":{"S":"P1"},"price":{"N":"1299.00"}}"#);
//! assert_eq!(row.size_bytes, 19);
//!
//! // A row that DynamoDB would refuse costs one row. The error says which, and why.
//! let error = decoder.next(&mut row).unwrap_err();
//! assert!(error.is_row());
//! assert!(error.to_string().contains("line 3"), "{error}");
//! assert!(!decoder.next(&mut row)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layout
//!
//! A row's way through the folders, top to bottom:
//!
//! 1. `read` undoes compression, makes the text UTF-8, and hands it to the decoders.
//! 2. `decode` detects the format and finds the rows.
//! 3. `item` turns one row into wire bytes and checks it. It knows no file.
//!
//! [`split`] cuts a file at the ends of rows without reading it from its beginning, so that many importers share it.
//!
//! The crate does no I/O of its own and knows no AWS, no async and no clock.
//!
//! # Features
//!
//! | Feature | Zstandard by |
//! |---|---|
//! | `zstd` (default) | the C library |
//! | `ruzstd` | Rust, for targets without a C compiler, such as `wasm32-unknown-unknown` |
//!
//! Without both, a Zstandard file is an error that says so.

mod decode;
mod error;
mod item;
mod read;
pub mod split;

pub use decode::{DecodeOptions, Decoder, Engine, Format, Opened, open, resume};
pub use error::Error;
pub use item::{
    DeclaredType, KeyAttribute, KeyType, PROSE_BYTES_MAX, Position, QUOTED_BYTES_MAX,
    REJECT_TEXT_BYTES_MAX, Reason, Reject, Row, Schema, Types, is_unsafe, limits, prose, quoted,
};
pub use read::{Compression, decompress, encoding};
