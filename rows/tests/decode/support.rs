//! Runs a decoder over bytes in many ways and writes down what it gives.

use std::fmt::Write as _;
use std::io::{self, Read, Write as _};
use std::sync::Arc;

use rows::split::{Part, Syntax};
use rows::{
    DecodeOptions, Engine, Error, Format, KeyAttribute, KeyType, Opened, Position, Reject, Row,
    Schema, encoding, open, resume,
};

/// How a file is read, and the table it is for.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) options: DecodeOptions,
    pub(crate) schema: Schema,
}

/// Everything detected, for a table whose partition key is `id`, a string.
pub(crate) fn plain() -> Setup {
    Setup {
        options: DecodeOptions::default(),
        schema: Schema::new("T", KeyAttribute::partition("id", KeyType::S), None),
    }
}

impl Setup {
    pub(crate) fn format(mut self, format: Format) -> Self {
        self.options.format = Some(format);
        self
    }

    pub(crate) fn types(mut self, types: &str) -> Self {
        self.options.types = types.parse().unwrap();
        self
    }

    pub(crate) fn delimiter(mut self, delimiter: u8) -> Self {
        self.options.delimiter = Some(delimiter);
        self
    }

    pub(crate) fn encoding(mut self, name: &str) -> Self {
        self.options.encoding = Some(encoding(name).unwrap());
        self
    }

    pub(crate) fn rows_at(mut self, pointer: &str) -> Self {
        self.options.rows_at = Some(pointer.to_owned());
        self
    }

    pub(crate) fn engine(mut self, engine: Engine) -> Self {
        self.options.engine = engine;
        self
    }

    pub(crate) fn key(mut self, name: &str, key_type: KeyType) -> Self {
        self.schema.key[0] = KeyAttribute::partition(name, key_type);
        self
    }

    pub(crate) fn sort(mut self, name: &str, key_type: KeyType) -> Self {
        self.schema.key.push(KeyAttribute::sort(name, key_type));
        self
    }

    pub(crate) fn index(mut self, attribute: KeyAttribute) -> Self {
        self.schema.index_keys.push(attribute);
        self
    }
}

/// All that a decoder gave.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) rows: Vec<Row>,
    pub(crate) rejects: Vec<Reject>,
    /// What ended it, if not the end of the file.
    pub(crate) error: Option<Error>,
    /// Whether the file can be read from a row on.
    pub(crate) seekable: bool,
    /// How it can be cut.
    pub(crate) syntax: Option<Syntax>,
    /// Rows, rejects and end in the order they came, one a line:
    ///
    /// - `1@2:30 {"id":{"S":"a"}}`: row 1 begins on line 2 at byte 30, and its item;
    /// - `2@3:45 !missing-key`: row 2 is rejected, and why;
    /// - `2@3:45 #…`: the file is broken there, and how;
    /// - `unusable: … | …`: the file cannot be read at all, and how to repair it;
    /// - `read` or `gzip` or `zstd`: reading or decompressing failed;
    /// - `end`: all is read.
    pub(crate) events: Vec<String>,
}

impl Run {
    pub(crate) fn ended(&self) -> bool {
        self.error.is_none()
    }

    /// Where a row or a reject is.
    pub(crate) fn position(&self, record: u64) -> Position {
        let rows = self.rows.iter().map(|row| row.position);
        let rejects = self.rejects.iter().map(|reject| reject.position);
        let mut all = rows.chain(rejects);
        all.find(|at| at.record == record).unwrap()
    }

    fn note(&mut self, position: Position, what: &str) {
        let Position { byte, line, record } = position;
        self.events.push(format!("{record}@{line}:{byte} {what}"));
    }

    fn fail(&mut self, error: Error) {
        match &error {
            Error::Syntax {
                position, problem, ..
            } => self.note(*position, &format!("#{problem}")),
            Error::Unusable { problem, fix, .. } => {
                self.events.push(format!("unusable: {problem} | {fix}"));
            }
            Error::Read { .. } => self.events.push("read".to_owned()),
            Error::Compression { compression, .. } => self.events.push((*compression).to_owned()),
            other => panic!("a decoder must not fail with {other:?}"),
        }
        self.error = Some(error);
    }
}

/// Decodes all of `reader`.
pub(crate) fn run(setup: &Setup, reader: impl Read) -> Run {
    let schema = Arc::new(setup.schema.clone());
    run_opened(open(reader, &setup.options, &schema))
}

/// Decodes the rest of `file` from the row at `at` on, reading `chunk` bytes at a time.
pub(crate) fn run_from(
    setup: &Setup,
    file: &[u8],
    at: Position,
    seekable: bool,
    chunk: usize,
) -> Run {
    let begin = if seekable { at.byte as usize } else { 0 };
    let rest = Chunked(file.get(begin..).unwrap_or_default(), chunk);
    let schema = Arc::new(setup.schema.clone());
    run_opened(resume(
        Chunked(file, chunk),
        rest,
        at,
        None,
        &setup.options,
        &schema,
    ))
}

/// Decodes a part of `file`, reading `chunk` bytes at a time.
pub(crate) fn run_part(setup: &Setup, file: &[u8], part: &Part, chunk: usize) -> Run {
    let rest = Chunked(&file[part.from.byte as usize..], chunk);
    let schema = Arc::new(setup.schema.clone());
    let head = Chunked(file, chunk);
    let options = &setup.options;
    run_opened(resume(head, rest, part.from, part.until, options, &schema))
}

fn run_opened(opened: Result<Opened<'_>, Error>) -> Run {
    let mut run = Run::default();
    let mut opened = match opened {
        Ok(opened) => opened,
        Err(error) => {
            run.fail(error);
            return run;
        }
    };
    run.seekable = opened.seekable;
    run.syntax = opened.syntax;
    let mut row = Row::default();
    loop {
        match opened.decoder.next(&mut row) {
            Ok(true) => {
                run.note(row.position, std::str::from_utf8(&row.item).unwrap());
                run.rows.push(row.clone());
            }
            Ok(false) => {
                run.events.push("end".to_owned());
                return run;
            }
            Err(Error::Row(reject)) => {
                run.note(reject.position, &format!("!{}", reject.reason.code()));
                run.rejects.push(*reject);
            }
            Err(error) => {
                run.fail(error);
                return run;
            }
        }
    }
}

/// That a decoder gave the same again. Else what differs.
pub(crate) fn same_runs(again: &Run, run: &Run) -> Result<(), String> {
    let same = again.events == run.events
        && again.rows == run.rows
        && again.rejects == run.rejects
        && format!("{:?}", again.error) == format!("{:?}", run.error);
    let shown = |run: &Run| format!("{}{:?}", shown(&run.events), run.error);
    if same {
        return Ok(());
    }
    Err(format!("{}\ninstead of\n{}", shown(again), shown(run)))
}

/// That decoding `file` from a row on gives what is left of `whole`, for rows and rejects all over the file. Else what
/// differs.
pub(crate) fn same_tails(
    setup: &Setup,
    file: &[u8],
    whole: &Run,
    chunk: usize,
) -> Result<(), String> {
    // The first, the last, and some between.
    const ROWS: usize = 4;
    let count = whole.rows.len() + whole.rejects.len();
    let step = count.saturating_sub(1).div_ceil(ROWS).max(1);
    for index in (0..count).step_by(step).chain(count.checked_sub(1)) {
        same_tail(setup, file, whole, index, chunk)?;
    }
    Ok(())
}

/// As [`same_tails`], for the row or reject that came after `index` others.
pub(crate) fn same_tail(
    setup: &Setup,
    file: &[u8],
    whole: &Run,
    index: usize,
    chunk: usize,
) -> Result<(), String> {
    let record = index as u64 + 1;
    let at = whole.position(record);
    let tail = run_from(setup, file, at, whole.seekable, chunk);
    let is_left = |position: Position| position.record >= record;
    let expected = Run {
        rows: whole
            .rows
            .iter()
            .filter(|row| is_left(row.position))
            .cloned()
            .collect(),
        rejects: whole
            .rejects
            .iter()
            .filter(|r| is_left(r.position))
            .cloned()
            .collect(),
        events: whole.events[index..].to_vec(),
        error: None,
        seekable: whole.seekable,
        syntax: whole.syntax,
    };
    let place = |e: String| format!("resumed at {at} by {chunk}:\n{e}");
    let (tail_error, error) = (format!("{:?}", tail.error), format!("{:?}", whole.error));
    let tail = Run {
        error: None,
        ..tail
    };
    if tail_error != error || tail.seekable != whole.seekable {
        return Err(place(format!("{tail_error}\ninstead of\n{error}")));
    }
    same_runs(&tail, &expected).map_err(place)
}

/// Hands out at most so many bytes a read.
pub(crate) struct Chunked<'a>(pub(crate) &'a [u8], pub(crate) usize);

impl Read for Chunked<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = self.1.min(out.len()).min(self.0.len());
        let (now, later) = self.0.split_at(length);
        out[..length].copy_from_slice(now);
        self.0 = later;
        Ok(length)
    }
}

pub(crate) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(data: &[u8]) -> Vec<u8> {
    zstd::encode_all(data, 1).unwrap()
}

/// Decodes `input` by the reference and in every way a file may come, and returns what all of them agree on.
#[track_caller]
pub(crate) fn every_way(setup: &Setup, input: &[u8]) -> Run {
    let whole = run(&setup.clone().engine(Engine::Reference), input);
    same_every_way(setup, input, &whole);
    whole
}

#[track_caller]
fn same_every_way(setup: &Setup, input: &[u8], whole: &Run) {
    let files = [
        ("plain", input.to_vec()),
        ("gzip", gzip(input)),
        ("zstd", zstd(input)),
    ];
    // Byte by byte takes its time with files of some hundred KiB; what is read at once is less than that anyway.
    let chunks = if input.len() < 20_000 {
        [1, 3, usize::MAX]
    } else {
        [1021, 40_000, usize::MAX]
    };
    for (name, file) in &files {
        for chunk in chunks {
            let again = run(setup, Chunked(file, chunk));
            let way = format!("{name} by {chunk}");
            same_runs(&again, whole).unwrap_or_else(|e| panic!("{way}: {e}"));
            if chunk == chunks[1] {
                same_tails(setup, file, &again, chunk).unwrap_or_else(|e| panic!("{way}, {e}"));
            }
        }
    }
}

/// Asserts what decoding `input` gives; see [`Run::events`].
#[track_caller]
pub(crate) fn check(setup: &Setup, input: impl AsRef<[u8]>, expected: &[&str]) {
    let run = every_way(setup, input.as_ref());
    let expected: Vec<String> = expected.iter().map(|&event| event.to_owned()).collect();
    assert_eq!(shown(&run.events), shown(&expected));
}

/// Decodes a file of good rows.
#[track_caller]
pub(crate) fn rows(setup: &Setup, input: impl AsRef<[u8]>) -> Vec<Row> {
    let run = every_way(setup, input.as_ref());
    assert!(run.ended() && run.rejects.is_empty(), "{:?}", run.events);
    run.rows
}

/// Events one a line, so that a failed assertion can be read.
fn shown(events: &[String]) -> String {
    let mut text = String::new();
    for event in events {
        let end = event
            .char_indices()
            .nth(400)
            .map_or(event.len(), |(i, _)| i);
        writeln!(text, "{}", &event[..end]).unwrap();
    }
    text
}
