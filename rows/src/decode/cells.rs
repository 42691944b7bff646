//! Cuts CSV into records (RFC 4180) by csv-core, and keeps no more of one than a file's columns.

use std::io::{self, BufRead, BufReader, Read};

use csv_core::ReadRecordResult;

/// Most columns of a file: four times what a spreadsheet has. What is remembered of each is a few hundred bytes.
pub(super) const COLUMNS_MAX: usize = 65_536;
/// Bytes for cells to begin with.
const TEXT_BYTES: usize = 1024;
/// Most bytes that there are more when those are not enough.
const TEXT_BYTES_MORE_MAX: usize = 4 * 1024 * 1024;

/// See the [module documentation](self).
pub(super) struct CellReader<R> {
    reader: BufReader<R>,
    parser: csv_core::Reader,
    /// Bytes the parser has passed.
    offset: u64,
    /// The record's cells, one after the other.
    text: Vec<u8>,
    /// Where in `text` each of them ends.
    ends: Vec<usize>,
    /// How many cells the record has, whether or not they were kept.
    count: usize,
}

impl<R: Read> CellReader<R> {
    pub(super) fn new(reader: R, delimiter: u8) -> Self {
        Self {
            reader: BufReader::new(reader),
            parser: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            offset: 0,
            text: vec![0; TEXT_BYTES],
            ends: vec![0; 64],
            count: 0,
        }
    }

    /// Reads the next record; `false` is the end.
    ///
    /// # Errors
    ///
    /// Those of the reader.
    pub(super) fn read(&mut self) -> io::Result<bool> {
        self.count = 0;
        let (mut text, mut ends) = (0, 0);
        loop {
            let input = self.reader.fill_buf()?;
            let (result, passed, written, ended) =
                self.parser
                    .read_record(input, &mut self.text[text..], &mut self.ends[ends..]);
            self.reader.consume(passed);
            self.offset += passed as u64;
            self.count += ended;
            (text, ends) = (text + written, ends + ended);
            match result {
                ReadRecordResult::Record => return Ok(true),
                ReadRecordResult::End => return Ok(false),
                ReadRecordResult::InputEmpty => {}
                // Of too many cells only the number matters.
                _ if self.count > COLUMNS_MAX => (text, ends) = (0, 0),
                ReadRecordResult::OutputFull => {
                    let more = self.text.len().min(TEXT_BYTES_MORE_MAX);
                    self.text.reserve_exact(more);
                    self.text.resize(self.text.len() + more, 0);
                }
                ReadRecordResult::OutputEndsFull => {
                    let length = (2 * self.ends.len()).min(COLUMNS_MAX + 1);
                    self.ends.resize(length, 0);
                }
            }
        }
    }

    /// Offset after the record that was read last.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// How many cells that record has.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Its cells; none if there are more than [`COLUMNS_MAX`].
    pub(super) fn cells(&self) -> impl Iterator<Item = &[u8]> {
        let kept = if self.count > COLUMNS_MAX {
            0
        } else {
            self.count
        };
        let mut start = 0;
        self.ends[..kept].iter().map(move |&end| {
            let cell = &self.text[start..end];
            start = end;
            cell
        })
    }
}
