//! Pull decoders: text in, one [`Row`](crate::Row) a call out.
//!
//! No bytes of a file are looked at before [`read`](crate::read) has made them text, and nothing here knows DynamoDB's rules:
//! [`item`](crate::item) writes and checks each row.
//!
//! `parts` gives whole rows, wherever text was cut; `frame` says where a row ends. Two ways lead from its text to a row. The hot path
//! (`parse` for JSON, the upper half of `csv`) looks at it where it lies, and accepts or refuses. What it refuses goes through the
//! reference (`value`, `cells`), which struson and csv-core parse for and which says what is wrong. Both give the same rows, rejects
//! and errors, and tests compare them.
//!
//! # To add a format
//!
//! 1. Name it in [`Format`], and how its text is laid out in `format::Layout`; say in `detect` by what it is recognised.
//! 2. Write its `Syntax`: a framer, and a reference that feeds an [`Encoder`](crate::item::reference::Encoder).
//! 3. Open it in [`open`] and [`resume`].
//! 4. Add its cases to `tests/decode`, its seeds and its target to `fuzz/`, and a generated file to the benches.
//! 5. If a row's end shows without decoding, give it a [`Syntax`] in `split`.
//! 6. Only if the reference is too slow: a hot path, which may only ever accept.

mod cells;
mod csv;
mod decoder;
mod detect;
mod format;
mod frame;
mod input;
mod json;
mod lines;
mod options;
mod parse;
mod parts;
mod pull;
mod value;
mod wrapper;

use std::io::{Cursor, Read};
use std::sync::Arc;

use self::csv::CsvSyntax;
use self::format::Layout;
use self::input::{DETECT_BYTES, Input, TableRules, read_error};
use self::json::{ArraySyntax, SequenceSyntax, Values};
use self::lines::LineSyntax;
use self::parts::{Reader, Rows};
use self::pull::PullDecoder;
use crate::error::Error;
use crate::item::{Position, Schema};
use crate::read::{Compression, peek};
use crate::split::Syntax;

pub use decoder::Decoder;
pub use format::Format;
pub use options::{DecodeOptions, Engine};

/// Bytes read at a time of what only has to be passed.
const PASS_BYTES: usize = 64 * 1024;

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
/// use rows::{DecodeOptions, KeyAttribute, KeyType, Row, Schema, open};
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
    let values = |typed| Values::new(&table, typed, options.engine);
    let (rows, input): (Box<dyn Rows>, _) = match layout {
        Layout::JsonArray { typed, pointer } => {
            let (around, input) = json::enter(input, &pointer)?;
            let syntax = ArraySyntax::new(values(typed), around);
            (Box::new(Reader::new(syntax, input.begin)), input)
        }
        Layout::JsonSequence { typed } => {
            let syntax = SequenceSyntax(values(typed));
            (Box::new(Reader::new(syntax, input.begin)), input)
        }
        Layout::JsonLines { typed } => {
            let syntax = LineSyntax(values(typed));
            (Box::new(Reader::new(syntax, input.begin)), input)
        }
        Layout::Csv { delimiter } => {
            let (columns, input) = csv::header(input, &table, delimiter)?;
            let syntax = CsvSyntax::new(&table, columns, delimiter, options.engine);
            (Box::new(Reader::new(syntax, input.begin)), input)
        }
    };
    let decoder = Box::new(PullDecoder::new(rows, input));
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
    rest.begin.record -= 1;
    let table = TableRules::new(options, schema);
    let values = |typed| Values::new(&table, typed, options.engine);
    let rows: Box<dyn Rows> = match head.layout {
        Layout::JsonArray { typed, pointer } => {
            let (around, _) = json::enter(head.input, &pointer)?;
            if until.is_some() {
                // What is open there is closed, or the decoder would take the file for cut off.
                let ends = around.iter().rev();
                let ends: Vec<u8> = ends
                    .map(|&is_object| if is_object { b'}' } else { b']' })
                    .collect();
                rest.reader = Box::new(rest.reader.chain(Cursor::new(ends)));
            }
            let syntax = ArraySyntax::new(values(typed), around);
            Box::new(Reader::new(syntax, rest.begin))
        }
        Layout::JsonSequence { typed } => {
            Box::new(Reader::new(SequenceSyntax(values(typed)), rest.begin))
        }
        Layout::JsonLines { typed } => Box::new(Reader::new(LineSyntax(values(typed)), rest.begin)),
        Layout::Csv { delimiter } => {
            let (columns, _) = csv::header(head.input, &table, delimiter)?;
            let syntax = CsvSyntax::new(&table, columns, delimiter, options.engine);
            Box::new(Reader::new(syntax, rest.begin))
        }
    };
    let decoder = Box::new(PullDecoder::new(rows, rest));
    Ok(Opened {
        decoder,
        format,
        compression,
        seekable,
        syntax,
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
            code: "changed",
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
