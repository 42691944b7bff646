//! One row as an item: its wire bytes, key and size, checked against DynamoDB's limits and the table's keys.
//!
//! [`writer`] is the hot path and only ever accepts; what it refuses goes through the [`reference`](mod@reference), which
//! knows the reasons. Nothing here knows files, formats or text that has not been found yet: that is `decode`'s.

pub(crate) mod json_text;
mod key;
pub mod limits;
pub(crate) mod number;
pub(crate) mod position;
mod quoted;
pub(crate) mod reference;
pub(crate) mod reject;
pub(crate) mod row;
pub(crate) mod scalar;
pub(crate) mod schema;
pub(crate) mod writer;

pub use position::Position;
pub use quoted::{PROSE_BYTES_MAX, QUOTED_BYTES_MAX, is_unsafe, prose, quoted};
pub use reject::{REJECT_TEXT_BYTES_MAX, Reason, Reject};
pub use row::Row;
pub use schema::{DeclaredType, KeyAttribute, KeyType, Schema, Types};

pub(crate) use limits::{ITEM_BYTES_MAX, NESTING_MAX};
pub(crate) use reference::Encoder;
pub(crate) use scalar::{Scalar, SetKind};
pub(crate) use writer::{ItemWriter, Raw, Refused};
