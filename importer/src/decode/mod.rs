//! Pull decoders: text in, one [`Row`] a call out. No AWS, no async, no clock.

use std::io::{Cursor, Read};
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
use crate::split::Syntax;
use crate::text;

mod cells;
mod csv;
mod detect;
mod format;
mod json;
mod lines;
mod parse;
mod records;
mod stream;
mod value;

use self::csv::CsvDecoder;
pub use format::Format;
use format::Layout;
use json::JsonDecoder;
use lines::LinesDecoder;
use records::RecordsDecoder;
use stream::StreamDecoder;
pub(crate) use value::NESTING_MAX;
use value::Typing;

/// Bytes at the beginning of the text by which the format is recognised.
const DETECT_BYTES: usize = 64 * 1024;

/// Bytes read at a time of what only has to be passed.
const PASS_BYTES: usize = 64 * 1024;

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
    /// Whether the file as it is stored can be read from the byte of a [`Position`] on: it is neither compressed nor
    /// converted to UTF-8.
    pub seekable: bool,
    /// How it can be cut into parts; none if it is not seekable, or its rows are told apart by nothing but reading them.
    pub syntax: Option<Syntax>,
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
    let Beginning {
        input,
        seekable,
        layout,
    } = Beginning::read(reader, options, schema)?;
    let (format, compression) = (layout.format(), input.compression);
    let syntax = layout.syntax().filter(|_| seekable);
    let table = TableRules::new(options, schema);
    let is_fast = options.engine == Engine::Fast;
    let decoder: Box<dyn Decoder + 'r> = match layout {
        Layout::JsonArray { typed, pointer } if is_fast => {
            Box::new(StreamDecoder::array(input, table, typed, &pointer)?)
        }
        Layout::JsonSequence { typed } if is_fast => {
            Box::new(StreamDecoder::sequence(input, table, typed))
        }
        Layout::JsonArray { typed, pointer } => {
            Box::new(JsonDecoder::array(input, table.encoder(), typed, &pointer)?)
        }
        Layout::JsonSequence { typed } => {
            Box::new(JsonDecoder::sequence(input, table.encoder(), typed))
        }
        Layout::JsonLines { typed } => {
            Box::new(LinesDecoder::new(input, &table, typed, options.engine))
        }
        Layout::Csv { delimiter } if is_fast => {
            Box::new(RecordsDecoder::new(input, table, delimiter)?)
        }
        Layout::Csv { delimiter } => Box::new(CsvDecoder::new(input, &table, delimiter)?),
    };
    Ok(Opened {
        decoder,
        format,
        compression,
        seekable,
        syntax,
    })
}

/// Opens a file to go on with the row that begins at `at`, the [`Position`] of a row or a reject that [`open`]'s decoder
/// gave with the same options. What the returned one gives is what that one gave from there on.
///
/// `head` reads the file from its beginning, for what only that tells: its compression, encoding and format, where in
/// it the rows are, its header. It is not read further than needed. `reader` is read from then on. If the file is
/// [`Opened::seekable`], it begins at byte `at.byte` of the file, else at the file's beginning, too: what is before the
/// row is decompressed, converted and forgotten.
///
/// With `until`, the rows end there, as if the file did: it is where a [`split::Part`](crate::split::Part) ends. Bytes from
/// there on are not read.
///
/// # Errors
///
/// [`Error::Unusable`] if that file has no such row: it was replaced. Else as for [`open`].
pub fn resume<'r, H: Read, R: Read + 'r>(
    head: H,
    reader: R,
    at: Position,
    until: Option<u64>,
    options: &DecodeOptions,
    schema: &Arc<Schema>,
) -> Result<Opened<'r>, Error> {
    let head = Beginning::read(head, options, schema)?;
    let (format, compression, seekable) =
        (head.layout.format(), head.input.compression, head.seekable);
    let syntax = head.layout.syntax().filter(|_| seekable);
    let mut rest = head.rest(reader, at, options)?;
    if let Some(until) = until {
        rest.reader = Box::new(rest.reader.take(until.saturating_sub(at.byte)));
    }
    let table = TableRules::new(options, schema);
    let decoder: Box<dyn Decoder + 'r> = match head.layout {
        Layout::JsonArray { typed, pointer } => {
            let array = JsonDecoder::array(head.input, table.encoder(), typed, &pointer)?;
            if until.is_some() {
                // What is open there is closed, or the decoder would take the file for cut off.
                let ends = array.around().iter().rev();
                let ends: Vec<u8> = ends
                    .map(|&is_object| if is_object { b'}' } else { b']' })
                    .collect();
                rest.reader = Box::new(rest.reader.chain(Cursor::new(ends)));
            }
            json_at(rest, table, typed, array.around(), options.engine)?
        }
        Layout::JsonSequence { typed } => json_at(rest, table, typed, &[], options.engine)?,
        Layout::JsonLines { typed } => {
            let rest = rest.after_last_row();
            Box::new(LinesDecoder::new(rest, &table, typed, options.engine))
        }
        Layout::Csv { delimiter } => {
            let columns = CsvDecoder::new(head.input, &table, delimiter)?.columns();
            match options.engine {
                Engine::Fast => Box::new(RecordsDecoder::resume(rest, table, columns, delimiter)),
                Engine::Reference => Box::new(CsvDecoder::resume(
                    rest,
                    table.encoder(),
                    columns,
                    delimiter,
                    false,
                )),
            }
        }
    };
    Ok(Opened {
        decoder,
        format,
        compression,
        seekable,
        syntax,
    })
}

/// Reads rows of JSON from `input` on, which begins with a row inside of the containers `around`.
fn json_at<'r>(
    input: Input<'r>,
    table: TableRules,
    typed: Typing,
    around: &[bool],
    engine: Engine,
) -> Result<Box<dyn Decoder + 'r>, Error> {
    let mut input = input.after_last_row();
    if !around.is_empty() && input.begin.record > 0 {
        // The decoders begin behind a row, where a comma must be.
        input.reader = Box::new(b",".chain(input.reader));
        input.begin.byte = input.begin.byte.saturating_sub(1);
    }
    Ok(match engine {
        Engine::Fast => Box::new(StreamDecoder::resume(input, table, typed, around)),
        Engine::Reference => Box::new(JsonDecoder::resume(input, table.encoder(), typed, around)?),
    })
}

/// What the beginning of a file tells.
struct Beginning<'r> {
    input: Input<'r>,
    seekable: bool,
    layout: Layout,
}

impl<'r> Beginning<'r> {
    fn read<R: Read + 'r>(
        reader: R,
        options: &DecodeOptions,
        schema: &Schema,
    ) -> Result<Self, Error> {
        let (mut input, seekable) = Input::open(reader, options)?;
        let (start, reader) =
            peek(input.reader, DETECT_BYTES).map_err(|e| read_error(input.compression, 0, e))?;
        input.reader = reader;
        let layout = detect::layout(&start, start.len() < DETECT_BYTES, options, schema)?;
        Ok(Self {
            input,
            seekable,
            layout,
        })
    }

    /// The file from `at` on; for `reader` see [`resume`].
    fn rest<'f, R: Read + 'f>(
        &self,
        reader: R,
        at: Position,
        options: &DecodeOptions,
    ) -> Result<Input<'f>, Error> {
        let replaced = || Error::Unusable {
            problem: format!("the file does not have the row that was to be read next, {at}"),
            fix: "the file was replaced; import it from its beginning".to_owned(),
        };
        let compression = self.input.compression;
        let mut byte = at.byte;
        let mut reader: Box<dyn Read + 'f> = Box::new(reader);
        if !self.seekable {
            let (input, _) = Input::open(reader, options)?;
            if input.compression != compression {
                return Err(replaced());
            }
            reader = input.reader;
            byte = input.begin.byte;
            pass(&mut reader, &mut byte, at.byte).map_err(|e| read_error(compression, byte, e))?;
        }
        let (start, reader) = peek(reader, 1).map_err(|e| read_error(compression, byte, e))?;
        if start.is_empty() || byte != at.byte || at.record == 0 {
            return Err(replaced());
        }
        Ok(Input {
            reader,
            compression,
            begin: at,
        })
    }
}

/// Reads and forgets from `byte` up to `end`, or to the end of the file if that comes before.
fn pass(reader: &mut dyn Read, byte: &mut u64, end: u64) -> std::io::Result<()> {
    let mut buffer = vec![0; PASS_BYTES];
    while *byte < end {
        let length = buffer.len().min((end - *byte) as usize);
        match reader.read(&mut buffer[..length]) {
            Ok(0) => break,
            Ok(read) => *byte += read as u64,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
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

impl<'r> Input<'r> {
    /// Undoes a file's compression and converts it to UTF-8. Also tells whether there was nothing to do.
    fn open<R: Read + 'r>(reader: R, options: &DecodeOptions) -> Result<(Self, bool), Error> {
        let (compression, reader) =
            decompress(reader).map_err(|e| read_error(Compression::None, 0, e))?;
        let text =
            text::open(reader, options.encoding).map_err(|e| read_error(compression, 0, e))?;
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

    /// The same, its beginning being told by the row before, for decoders that count so.
    fn after_last_row(mut self) -> Self {
        self.begin.record -= 1;
        self
    }
}

/// What rows must be to go into the table.
#[derive(Clone)]
struct TableRules {
    schema: Arc<Schema>,
    types: Arc<Types>,
}

impl TableRules {
    fn new(options: &DecodeOptions, schema: &Arc<Schema>) -> Self {
        Self {
            schema: Arc::clone(schema),
            types: Arc::new(options.types.clone()),
        }
    }

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
