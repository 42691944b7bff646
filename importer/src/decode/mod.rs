//! Pull decoders: text in, one [`Row`] a call out. No AWS, no async, no clock.

use std::io::Read;
use std::str::FromStr;
use std::sync::Arc;

use encoding_rs::Encoding;

use crate::decompress::{Compression, decompress, peek};
use crate::encoder::Encoder;
use crate::error::Error;
use crate::item::ItemWriter;
use crate::position::Position;
use crate::row::Row;
use crate::schema::{Schema, Types};
use crate::text;

mod csv;
mod detect;
mod json;
mod lines;
mod parse;
mod records;
mod stream;
mod value;

pub use detect::Format;

/// Bytes at the beginning of the text by which the format is recognised.
const DETECT_BYTES: usize = 64 * 1024;

/// Turns a file's text into rows, one a call.
pub trait Decoder {
    /// Reads the next row into `row`, whose buffers are reused. `false` is the end of the file.
    ///
    /// # Errors
    ///
    /// [`Error::Row`] for a row that cannot be written: call again for the next one. After any other error decoding is
    /// over and the method must not be called again.
    fn next(&mut self, row: &mut Row) -> Result<bool, Error>;
}

/// How a file is to be read. The default finds everything out from the content.
#[derive(Debug, Clone, Default)]
pub struct DecodeOptions {
    /// The format, if not to be detected.
    pub format: Option<Format>,
    /// Declared attribute types.
    pub types: Types,
    /// CSV delimiter, if not to be found from the header.
    pub delimiter: Option<u8>,
    /// Encoding, if neither UTF-8 nor told by a byte order mark.
    pub encoding: Option<&'static Encoding>,
    /// JSON pointer to the array of rows inside a JSON object, such as `/Items`.
    ///
    /// <https://www.rfc-editor.org/rfc/rfc6901>
    pub rows_at: Option<String>,
    /// How the text becomes rows. The rows are the same.
    pub engine: Engine,
}

/// The two ways to decode, which give the same rows, rejects and errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Engine {
    /// One pass over the text into wire bytes; what that does not take goes through the reference.
    #[default]
    Fast,
    /// Each value through a parser and an encoder that are written to be read: the reference.
    Reference,
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "fast" => Ok(Self::Fast),
            "reference" => Ok(Self::Reference),
            _ => Err(format!(
                "\"{text}\" is not a decoder; it is fast or reference"
            )),
        }
    }
}

/// A file opened for decoding.
pub struct Opened<'r> {
    /// Gives the rows.
    pub decoder: Box<dyn Decoder + 'r>,
    /// The format that was found or given.
    pub format: Format,
    /// The compression that was found.
    pub compression: Compression,
}

/// Opens a file: undoes its compression, converts its text to UTF-8, finds its format.
///
/// ```
/// use std::sync::Arc;
/// use importer::decode::{DecodeOptions, open};
/// use importer::row::Row;
/// use importer::schema::{KeyAttribute, KeyType, Schema};
///
/// let schema = Schema::new("Books", KeyAttribute::partition("isbn", KeyType::S), None);
/// let file = &b"isbn,pages\n0262510871,657\n"[..];
/// let mut opened = open(file, &DecodeOptions::default(), &Arc::new(schema)).unwrap();
/// let mut row = Row::default();
/// assert!(opened.decoder.next(&mut row).unwrap());
/// assert_eq!(row.item, br#"{"isbn":{"S":"0262510871"},"pages":{"N":"657"}}"#);
/// assert!(!opened.decoder.next(&mut row).unwrap());
/// ```
///
/// # Errors
///
/// [`Error::Unusable`] if the file is empty or its format, header or options do not fit, else as for
/// [`Decoder::next`].
pub fn open<'r, R: Read + 'r>(
    reader: R,
    options: &DecodeOptions,
    schema: &Arc<Schema>,
) -> Result<Opened<'r>, Error> {
    let read_error = |source| Error::Read {
        bytes_read: 0,
        source,
    };
    let (compression, reader) = decompress(reader).map_err(read_error)?;
    let begin_error = |source| match compression {
        Compression::None => read_error(source),
        _ => Error::Compression {
            compression: compression.name(),
            bytes_read: 0,
            source,
        },
    };
    let text = text::open(reader, options.encoding).map_err(begin_error)?;
    let (start, reader) = peek(text.reader, DETECT_BYTES).map_err(begin_error)?;
    let layout = detect::layout(&start, start.len() < DETECT_BYTES, options, schema)?;
    let input = Input {
        reader,
        compression,
        begin: Position {
            byte: text.skipped_bytes,
            line: 1,
            record: 0,
        },
    };
    let format = layout.format();
    let table = TableRules {
        schema: Arc::clone(schema),
        types: Arc::new(options.types.clone()),
    };
    let is_fast = options.engine == Engine::Fast;
    let decoder: Box<dyn Decoder + 'r> = match layout {
        detect::Layout::JsonArray { typed, pointer } if is_fast => {
            Box::new(stream::StreamDecoder::array(input, table, typed, &pointer)?)
        }
        detect::Layout::JsonSequence { typed } if is_fast => {
            Box::new(stream::StreamDecoder::sequence(input, table, typed))
        }
        detect::Layout::JsonArray { typed, pointer } => {
            let encoder = table.encoder();
            Box::new(json::JsonDecoder::array(input, encoder, typed, &pointer)?)
        }
        detect::Layout::JsonSequence { typed } => {
            let encoder = table.encoder();
            Box::new(json::JsonDecoder::sequence(input, encoder, typed))
        }
        detect::Layout::JsonLines { typed } => Box::new(lines::LinesDecoder::new(
            input,
            &table,
            typed,
            options.engine,
        )),
        detect::Layout::Csv { delimiter } if is_fast => {
            Box::new(records::RecordsDecoder::new(input, table, delimiter)?)
        }
        detect::Layout::Csv { delimiter } => {
            Box::new(csv::CsvDecoder::new(input, &table, delimiter)?)
        }
    };
    Ok(Opened {
        decoder,
        format,
        compression,
    })
}

/// For how many rows the reference goes on when the hot path has refused one.
///
/// Changing over costs more than reading a row by the reference. One row among good ones is worth it; of a file that has
/// nothing else, the reference reads more at each turn.
#[derive(Debug, Default)]
struct Turns {
    /// Rows on the hot path since the reference had its turn.
    hot_rows: u32,
    /// Rows of the reference's last turn.
    last: u32,
}

impl Turns {
    /// Rows on the hot path after which a refused one is taken for an exception.
    const HOT_ROWS: u32 = 16;
    /// The longest turn.
    const ROWS_MAX: u32 = 1024;

    fn hot_row(&mut self) {
        self.hot_rows = self.hot_rows.saturating_add(1);
    }

    /// The rows of the reference's next turn, at least one.
    fn next(&mut self) -> u32 {
        self.last = if self.hot_rows >= Self::HOT_ROWS {
            1
        } else {
            (2 * self.last).clamp(1, Self::ROWS_MAX)
        };
        self.hot_rows = 0;
        self.last
    }
}

/// What is wrong with a file that ends where more must follow, and how to repair it.
const CUT_OFF: &str = "the file ends inside a value";
const CUT_OFF_FIX: &str = "the file is cut off: upload it again";
/// How to repair a file that is not UTF-8 where no row can be told from the next.
const NOT_TEXT_FIX: &str = "name the encoding, for example --encoding windows-1252";

/// The text a decoder reads, and what it needs to know to tell where something is.
struct Input<'r> {
    reader: Box<dyn Read + 'r>,
    compression: Compression,
    /// Where the reader's first byte is in the decoded file.
    begin: Position,
}

/// What rows must be to go into the table.
#[derive(Clone)]
struct TableRules {
    schema: Arc<Schema>,
    types: Arc<Types>,
}

impl TableRules {
    fn encoder(&self) -> Encoder {
        Encoder::new(Arc::clone(&self.schema), Arc::clone(&self.types))
    }

    fn item_writer(&self) -> ItemWriter {
        ItemWriter::new(Arc::clone(&self.schema), Arc::clone(&self.types))
    }
}

/// The error for a read that failed after `bytes_read` bytes of text.
fn read_error(compression: Compression, bytes_read: u64, source: std::io::Error) -> Error {
    match compression {
        Compression::None => Error::Read { bytes_read, source },
        _ => Error::Compression {
            compression: compression.name(),
            bytes_read,
            source,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_reads_on_while_rows_are_refused_one_after_the_other() {
        let mut turns = Turns::default();
        let lengths: Vec<u32> = (0..13).map(|_| turns.next()).collect();
        assert_eq!(
            lengths,
            [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1024, 1024]
        );
        for _ in 0..Turns::HOT_ROWS - 1 {
            turns.hot_row();
        }
        assert_eq!(turns.next(), 1024);
        for _ in 0..Turns::HOT_ROWS {
            turns.hot_row();
        }
        assert_eq!([turns.next(), turns.next()], [1, 2]);
    }
}
