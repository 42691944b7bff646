//! Rows become requests, and requests are sent until DynamoDB has taken each row.
//!
//! | File | What it does |
//! |---|---|
//! | `lanes`, `batch` | spread rows by key over lanes, and fill each lane's open request |
//! | [`limiter`], [`share`] | pace the requests, below a cap that other imports share |
//! | `settler` | tries each batch again until all of its rows are settled |
//! | `late` | makes rows wait for older ones of their keys that may still be on their way |
//! | `partial` | which rows of unfinished batches are written |
//! | `writer`, [`wire`], `sdk` | send one request |
//!
//! Nothing here knows files, objects, jobs or Lambda. `lanes` and `batch` know no async either.

pub(crate) mod batch;
pub(crate) mod lanes;
pub(crate) mod late;
pub mod limiter;
pub(crate) mod partial;
pub(crate) mod sdk;
pub(crate) mod settler;
pub mod share;
pub mod wire;
pub(crate) mod writer;

pub use batch::{BATCH_BYTES_MAX, BATCH_ROWS_MAX, Batch, WCU_BYTES, wcu};
pub use lanes::Lanes;
pub use late::{REQUEST_LASTS, SavedLate};
pub use sdk::SdkWriter;
pub use wire::WireWriter;
pub use writer::{BatchWrite, DryRun, LaneWrite, WriterKind, Written};

pub(crate) use lanes::Pushed;
pub(crate) use late::LateRequests;
pub(crate) use limiter::{Limiter, LimiterMemory};
pub(crate) use partial::PartialBatches;
pub(crate) use settler::Settler;
pub(crate) use share::Share;
