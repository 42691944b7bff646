//! From a reader's bytes to text that decoders can look at: decompressed, as UTF-8, in buffers of bounded size.
//!
//! Nothing here knows rows or formats: that is `decode`'s.

mod decompress;
#[cfg(any(test, all(feature = "ruzstd", not(feature = "zstd"))))]
mod frames;
mod recent;
mod text;

pub use decompress::{Compression, decompress};
pub(crate) use decompress::{Failing, peek};
pub(crate) use recent::{LIMIT_BYTES, Recent, RecentReader};
pub use text::encoding;
pub(crate) use text::open as open_text;
