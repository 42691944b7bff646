//! Cuts records of CSV (RFC 4180) into cells by csv-core, and keeps no more of one than a file's columns.

use csv_core::ReadRecordResult;

/// Most columns of a file: four times what a spreadsheet has. What is remembered of each is a few hundred bytes.
pub(super) const COLUMNS_MAX: usize = 65_536;

/// See the [module documentation](self).
pub(super) struct CellReader {
    parser: csv_core::Reader,
    /// The record's cells, one after the other.
    text: Vec<u8>,
    /// Where in `text` each of them ends.
    ends: Vec<usize>,
    /// How many cells the record has, whether or not they were kept.
    count: usize,
}

impl CellReader {
    pub(super) fn new(delimiter: u8) -> Self {
        let mut parser = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        // What comes first would lose its byte order mark.
        parser.read_record(b"\n", &mut [], &mut []);
        Self {
            parser,
            text: Vec::new(),
            ends: vec![0; 64],
            count: 0,
        }
    }

    /// Reads a record, which is whole and without the line break that ends it.
    pub(super) fn read(&mut self, record: &[u8]) {
        self.count = 0;
        // Cells are never longer than the record.
        self.text.resize(self.text.len().max(record.len()), 0);
        let (mut text, mut ends) = (0, 0);
        let mut inputs = [record, b"\n"].into_iter();
        let mut input = inputs.next().unwrap_or_default();
        loop {
            let (result, passed, written, ended) =
                self.parser
                    .read_record(input, &mut self.text[text..], &mut self.ends[ends..]);
            input = &input[passed..];
            self.count += ended;
            (text, ends) = (text + written, ends + ended);
            match result {
                ReadRecordResult::Record | ReadRecordResult::End => return,
                ReadRecordResult::InputEmpty => match inputs.next() {
                    Some(next) => input = next,
                    None => return,
                },
                // Of too many cells only the number matters.
                _ if self.count > COLUMNS_MAX => (text, ends) = (0, 0),
                ReadRecordResult::OutputFull => self.text.resize(2 * self.text.len() + 64, 0),
                ReadRecordResult::OutputEndsFull => {
                    let length = (2 * self.ends.len()).min(COLUMNS_MAX + 1);
                    self.ends.resize(length, 0);
                }
            }
        }
    }

    /// How many cells that record has.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether there is anything in the cells behind the first `columns`.
    pub(super) fn surplus(&self, columns: usize) -> bool {
        self.count > COLUMNS_MAX || self.cells().skip(columns).any(|cell| !cell.is_empty())
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
