//! Intake's importer: a catalog file in S3 becomes rows of a DynamoDB table.
//!
//! # Layout
//!
//! Follow a row from top to bottom; each stage hands it to the next:
//!
//! 1. [`lambda`] takes the invocation, set up as [`config`] says; [`event`] says which object it is about, [`jobs`] whose
//!    turn it is and how far it has got.
//! 2. [`pipeline`] runs the stages and adds up what they did.
//! 3. [`source`] reads the object's bytes ahead, [`decompress`] undoes gzip and zstd, [`text`] makes it UTF-8.
//! 4. [`decode`] turns text into rows; each [`row::Row`] holds an item's wire bytes, key and size, checked against
//!    DynamoDB's [`limits`] and the table's [`schema`] (looked up by [`table`]).
//! 5. [`lanes`] spreads rows by key over lanes and fills each lane's open [`batch`].
//! 6. [`limiter`] paces the batches, below a cap that [`share`] shares with other imports; [`writer`] writes them over
//!    [`wire`] and tries again as [`retry`] says.
//! 7. [`checkpoint`] keeps the books of what is settled, [`report`] what must outlive the import: the rows that cannot be
//!    written (a [`reject::Reject`] each) and how far it is. [`summary`] tells how it ended.
//!
//! A large object goes this way in ranges: `large` has the steps, [`split`] finds out where ranges may begin.
//!
//! Stages 3 to 5 are synchronous and know neither AWS nor the clock.

mod aws;
pub mod batch;
pub mod checkpoint;
pub mod config;
pub mod decode;
pub mod decompress;
mod encoder;
pub mod error;
pub mod event;
mod feed;
mod item;
pub mod jobs;
mod json_text;
mod key;
pub mod lambda;
pub mod lanes;
mod large;
pub mod limiter;
pub mod limits;
mod metrics;
mod number;
pub mod pipeline;
pub mod position;
pub mod progress;
pub mod reject;
pub mod report;
pub mod retry;
pub mod row;
pub mod schema;
pub mod share;
pub mod source;
pub mod split;
pub mod summary;
pub mod table;
pub mod text;
pub mod traffic;
mod window;
pub mod wire;
pub mod writer;
