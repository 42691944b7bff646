//! The text a decoder reads, and what rows must be to go into the table.

use std::io::Read;
use std::sync::Arc;

use super::options::DecodeOptions;
use super::parts::Slice;
use crate::error::Error;
use crate::item::{Encoder, ItemWriter, Position, Schema, Types};
use crate::read::{Compression, decompress, open_text};

/// What is wrong with a file that ends where more must follow, and how to repair it.
pub(super) const CUT_OFF: &str = "the file ends inside a value";
pub(super) const CUT_OFF_FIX: &str = "the file is cut off: upload it again";
/// How to repair a file that is not UTF-8 where no row can be told from the next.
pub(super) const NOT_TEXT_FIX: &str = "name the encoding, for example --encoding windows-1252";

/// Bytes at the beginning of the text by which the format is recognized.
pub(super) const DETECT_BYTES: usize = 64 * 1024;

/// What a file of UTF-8 may begin with. Where files were joined, a row may.
pub(super) const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What ended files of text under DOS.
pub(super) const DOS_END: &[u8] = b"\x1a";

/// The error for a file that ends in zeros, in place of text that was never written.
pub(super) fn lost_tail(slice: Slice<'_>) -> Option<Error> {
    let is_lost = !slice.row.is_empty() && slice.row.iter().all(|&byte| byte == 0);
    is_lost.then(|| Error::Syntax {
        code: "cut-off",
        position: slice.at,
        problem: format!(
            "the file ends in {} bytes of zeros: its end was lost",
            slice.row.len()
        ),
        fix: CUT_OFF_FIX.to_owned(),
    })
}

/// The text a decoder reads, and what it needs to know to tell where something is.
pub(super) struct Input<'r> {
    pub(super) reader: Box<dyn Read + 'r>,
    pub(super) compression: Compression,
    /// Where the reader's first byte is in the decoded file.
    pub(super) begin: Position,
}

impl<'r> Input<'r> {
    /// Undoes a file's compression and converts it to UTF-8. Also tells whether there was nothing to do.
    pub(super) fn open<R: Read + 'r>(
        reader: R,
        options: &DecodeOptions,
    ) -> Result<(Self, bool), Error> {
        let (compression, reader) =
            decompress(reader).map_err(|e| read_error(Compression::None, 0, e))?;
        let text =
            open_text(reader, options.encoding).map_err(|e| read_error(compression, 0, e))?;
        let input = Self {
            reader: text.reader,
            compression,
            begin: Position {
                byte: text.skipped_bytes,
                line: 1,
                record: 0,
            },
        };
        Ok((input, compression == Compression::None && !text.converted))
    }
}

/// What rows must be to go into the table.
#[derive(Clone)]
pub(super) struct TableRules {
    pub(super) schema: Arc<Schema>,
    pub(super) types: Arc<Types>,
}

impl TableRules {
    pub(super) fn new(options: &DecodeOptions, schema: &Arc<Schema>) -> Self {
        Self {
            schema: Arc::clone(schema),
            types: Arc::new(options.types.clone()),
        }
    }

    pub(super) fn encoder(&self) -> Encoder {
        Encoder::new(Arc::clone(&self.schema), Arc::clone(&self.types))
    }

    pub(super) fn item_writer(&self) -> ItemWriter {
        ItemWriter::new(Arc::clone(&self.schema), Arc::clone(&self.types))
    }
}

/// The error for a read that failed after `bytes_read` bytes of text.
pub(super) fn read_error(
    compression: Compression,
    bytes_read: u64,
    source: std::io::Error,
) -> Error {
    match compression {
        Compression::None => Error::Read { bytes_read, source },
        _ => Error::Compression {
            compression: compression.name(),
            bytes_read,
            source,
        },
    }
}
