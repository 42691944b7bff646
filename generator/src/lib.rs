//! Deterministic test data: the same arguments give the same bytes, on every machine and in every release.
//!
//! Nothing here knows the importer: what a row must become is computed from the row alone.

mod encode;
mod expected;
mod random;
mod shape;
mod value;

use std::io::{self, Write};

pub use value::{Row, Value};

use encode::Escapes;
use random::Random;

/// What a row holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Shape {
    /// The four fields of the AWS inventory lab: productId, name, quantity, price (about 85 bytes as JSON)
    Small,
    /// A product with nested maps, lists, null, decimals and awkward text (about 480 bytes as JSON)
    Catalog,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Format {
    /// One JSON array, one row a line
    Json,
    /// JSON Lines: one object a line
    Jsonl,
    /// Comma-separated values with a header line (RFC 4180 quoting, lines end in LF)
    Csv,
    /// DynamoDB JSON lines as DynamoDB's export to S3 writes them: {"Item":{…}}
    DdbJson,
}

/// A file of rows that need not exist to be known: any row, its bytes and the item it must become are computed from
/// its number.
///
/// # What each format carries
///
/// - JSON and JSON Lines hold the whole row, except sets and binary values, which JSON does not have. Every fifth row
///   writes non-ASCII characters as `\u` escapes, the others as UTF-8.
/// - DynamoDB JSON holds the whole row.
/// - CSV holds one cell for each leaf of the row: a member of a map is in the column of its dotted path
///   (`supplier.contact.email`), a list is its compact JSON text, a truth value the word `true` or `false`, a number its
///   digits; null, an absent member and an empty text are an empty cell. Sets and binary values have no column.
///
/// # Examples
///
/// ```
/// use generator::{Format, Generator, Shape};
///
/// let generator = Generator::new(2, Shape::Small, Format::Csv);
/// let mut file = Vec::new();
/// generator.write_to(&mut file)?;
/// assert_eq!(file.iter().filter(|byte| **byte == b'\n').count(), 3);
/// assert_eq!(generator.expected_item(1)["productId"]["S"], "P00000001");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Generator {
    rows: u64,
    shape: Shape,
    format: Format,
    seed: u64,
    duplicates_percent: u8,
}

/// Half of the repeated keys repeat one of this many rows before, so that some fall into the same write batch.
const NEAR_ROWS: u64 = 25;

impl Generator {
    /// A file of `rows` rows with distinct keys, of seed 0.
    pub fn new(rows: u64, shape: Shape, format: Format) -> Self {
        Self {
            rows,
            shape,
            format,
            seed: 0,
            duplicates_percent: 0,
        }
    }

    /// The same file with other values.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// About `percent` (0 to 100) of the rows repeat the key of an earlier row, with other values.
    #[must_use]
    pub fn duplicates_percent(mut self, percent: u8) -> Self {
        self.duplicates_percent = percent.min(100);
        self
    }

    /// How many rows the file has.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The row at `index`, counted from 0.
    pub fn row(&self, index: u64) -> Row {
        let mut random = Random::for_row(self.seed, index);
        let key = self.draw_key(index, &mut random);
        let mut row = match self.shape {
            Shape::Small => shape::small(key, &mut random),
            Shape::Catalog => shape::catalog(key, index, &mut random),
        };
        if self.format != Format::DdbJson {
            row.retain(|(_, value)| !value.needs_dynamodb_json());
        }
        row
    }

    /// The number in the key of the row at `index`: `productId` is `P` and this number in eight digits or more.
    ///
    /// It is `index` itself, or less where the row repeats an earlier key.
    pub fn key_number(&self, index: u64) -> u64 {
        self.draw_key(index, &mut Random::for_row(self.seed, index))
    }

    /// The item, in DynamoDB JSON without the `Item` envelope, that the row at `index` must become.
    ///
    /// Numbers are spelt as in the file; DynamoDB gives them back in its own spelling.
    pub fn expected_item(&self, index: u64) -> serde_json::Value {
        let row = self.row(index);
        match self.format {
            Format::Csv => expected::item_of_cells(&row, self.columns()),
            Format::Json | Format::Jsonl | Format::DdbJson => expected::item(&row),
        }
    }

    /// Writes the whole file, one row at a time.
    ///
    /// # Errors
    ///
    /// Whatever `out` returns; [`io::ErrorKind::BrokenPipe`] when its reader has gone.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        match self.format {
            Format::Json => self.write_array(out),
            Format::Jsonl => self.write_lines(out, encode::json),
            Format::DdbJson => self.write_lines(out, encode::dynamodb_json),
            Format::Csv => self.write_csv(out),
        }
    }

    fn draw_key(&self, index: u64, random: &mut Random) -> u64 {
        let repeats = random.below(100) < u64::from(self.duplicates_percent);
        let near = random.one_in(2);
        let place = random.next();
        if !repeats || index == 0 {
            return index;
        }
        let span = if near { index.min(NEAR_ROWS) } else { index };
        index - 1 - place % span
    }

    fn columns(&self) -> &'static [&'static str] {
        match self.shape {
            Shape::Small => shape::SMALL_COLUMNS,
            Shape::Catalog => shape::CATALOG_COLUMNS,
        }
    }

    fn write_array(&self, out: &mut impl Write) -> io::Result<()> {
        let mut line = Vec::with_capacity(1024);
        out.write_all(b"[")?;
        for index in 0..self.rows {
            line.clear();
            line.extend_from_slice(if index == 0 { b"\n" } else { b",\n" });
            encode::json(&self.row(index), escapes(index), &mut line)?;
            out.write_all(&line)?;
        }
        out.write_all(b"\n]\n")?;
        out.flush()
    }

    fn write_lines(
        &self,
        out: &mut impl Write,
        encode: impl Fn(&Row, Escapes, &mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut line = Vec::with_capacity(1024);
        for index in 0..self.rows {
            line.clear();
            encode(&self.row(index), escapes(index), &mut line)?;
            line.push(b'\n');
            out.write_all(&line)?;
        }
        out.flush()
    }

    fn write_csv(&self, out: &mut impl Write) -> io::Result<()> {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(self.columns()).map_err(io_error)?;
        for index in 0..self.rows {
            let row = self.row(index);
            for column in self.columns() {
                csv.write_field(encode::cell(&row, column)?.as_bytes())
                    .map_err(io_error)?;
            }
            csv.write_record(None::<&[u8]>).map_err(io_error)?;
        }
        csv.flush()
    }
}

fn escapes(index: u64) -> Escapes {
    if index % 5 == 4 {
        Escapes::Ascii
    } else {
        Escapes::Required
    }
}

/// The cause itself, because the `csv` crate's own conversion hides its kind and a broken pipe must be recognised.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
