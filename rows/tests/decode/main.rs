//! What the decoders promise, through [`rows::open`] alone.
//!
//! A case is one line: bytes and how to read them, then what must come out ([`support::check`]). Every case is run with
//! a reader that hands out one byte, three bytes and everything at a time, and as the file itself, gzip and zstd: chunks
//! and compression must make no difference to rows, positions and errors.

// `allow-unwrap-in-tests` covers test functions, not what they call.
#![allow(clippy::unwrap_used)]

mod agree;
mod codes;
mod compression;
mod csv;
mod csv_header;
mod csv_text;
mod dynamodb;
mod fuzz;
mod joined;
mod json;
mod json_cut;
mod json_place;
mod keys;
mod kinds;
mod limits;
mod lines;
mod long;
mod model;
mod property;
mod resume;
mod seeds;
mod split;
mod support;
