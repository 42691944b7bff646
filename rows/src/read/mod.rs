//! From a reader's bytes to text that decoders can look at: decompressed, as UTF-8, in buffers of bounded size.
//!
//! Nothing here knows rows or formats: that is `decode`'s.

mod decompress;
pub(crate) mod feed;
#[cfg(any(test, all(feature = "ruzstd", not(feature = "zstd"))))]
mod frames;
mod text;
pub(crate) mod window;

pub(crate) use decompress::peek;
pub use decompress::{Compression, decompress};
pub use text::encoding;
pub(crate) use text::open as open_text;

pub(crate) use feed::Feed;
pub(crate) use window::{ROW_SKIPPED_BYTES_MAX, ROW_TEXT_BYTES_MAX, Window};
