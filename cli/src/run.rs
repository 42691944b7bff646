//! One file's way through the importer, watched from a terminal.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::Client;
use importer::checkpoint::Checkpoint;
use importer::config::options_from_metadata;
use importer::decode::DecodeOptions;
use importer::error::{Error, StopReason};
use importer::pipeline::{Import, ImportOptions, Stop};
use importer::progress::Progress as Counters;
use importer::reject::Reject;
use importer::report::{Journal, RejectFile};
use importer::schema::Schema;
use importer::source::{Object, Source};
use importer::summary::{Status, Summary};
use importer::wire::WireWriter;
use importer::writer::{BatchWrite, DryRun, SdkWriter, WriterKind};

use crate::aws::Clients;
use crate::input::Input;
use crate::outcome::{Failure, Outcome, tell};
use crate::progress::{Counts, Progress, Work};
use crate::signal;

/// Rejected rows that are shown; all of them are in the file of `--rejects`.
const REJECTS_SHOWN_MAX: usize = 10;

const IMPORT_AGAIN: &str =
    "import it again; rows already written are written again with the same values";

/// A file, and what is to be done with it.
#[derive(Debug)]
pub struct Job {
    /// Where the rows are.
    pub input: Input,
    /// The keys of the table.
    pub schema: Arc<Schema>,
    /// How to read and write.
    pub options: ImportOptions,
    /// Where rejected rows go.
    pub rejects: Option<PathBuf>,
    /// Whether to show no progress.
    pub quiet: bool,
}

impl Job {
    /// Writes the rows to the table.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or not everything in it was settled.
    pub async fn write(
        mut self,
        clients: &Clients,
        writer: WriterKind,
    ) -> Result<Outcome, Failure> {
        let source = self.open(Some(&clients.s3)).await?;
        let (config, schema) = (&clients.dynamodb_config, Arc::clone(&self.schema));
        match writer {
            WriterKind::Wire => {
                let writer = WireWriter::new(config, schema).await?;
                self.run(source, writer, Work::Writing).await
            }
            WriterKind::Sdk => {
                let writer = SdkWriter::new(config, schema);
                self.run(source, writer, Work::Writing).await
            }
        }
    }

    /// Reads and checks the rows, and writes nothing. `s3` is needed for objects only.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or not read to its end.
    pub async fn check(mut self, s3: Option<&Client>) -> Result<Outcome, Failure> {
        let source = self.open(s3).await?;
        self.run(source, DryRun, Work::Checking).await
    }

    /// Opens the input. An object's metadata says how to read it where the arguments do not.
    async fn open(&mut self, s3: Option<&Client>) -> Result<Source, Failure> {
        match (&self.input, s3) {
            (Input::Stdin, _) => Ok(Source::reader(io::stdin(), None)),
            (Input::File(path), _) => Ok(Source::file(path)?),
            (Input::Object { bucket, key }, Some(client)) => {
                let object = Object::head(client, bucket, key).await?;
                let told = options_from_metadata(&object.metadata)?;
                let asked = std::mem::take(&mut self.options.decode);
                self.options.decode = DecodeOptions {
                    format: asked.format.or(told.format),
                    types: if asked.types.is_empty() {
                        told.types
                    } else {
                        asked.types
                    },
                    delimiter: asked.delimiter.or(told.delimiter),
                    encoding: asked.encoding.or(told.encoding),
                    rows_at: asked.rows_at.or(told.rows_at),
                    engine: asked.engine,
                };
                Ok(object.source(client))
            }
            (Input::Object { .. }, None) => Err(Failure::new(format!(
                "no S3 client to read {} with",
                self.input
            ))),
        }
    }

    async fn run<W: BatchWrite>(
        self,
        source: Source,
        writer: W,
        work: Work,
    ) -> Result<Outcome, Failure> {
        let mut signals = signal::Stop::listen()?;
        let stop = Stop::default();
        let counters = Arc::new(Counters::default());
        let first_rejects = Arc::new(Mutex::new(Vec::new()));
        let rejects = Rejects {
            file: self.rejects.map(RejectFile::new),
            first: Arc::clone(&first_rejects),
        };
        let display = (!self.quiet).then(|| {
            let (counters, bytes_total) = (Arc::clone(&counters), source.bytes_total);
            Progress::start(work, move || counts(&counters, bytes_total))
        });
        let import = Import {
            name: self.input.to_string(),
            source,
            resume: None,
            schema: self.schema,
            options: self.options,
            progress: counters,
            stop: stop.clone(),
        };
        let import = async { import.run(writer, rejects).await.summary };
        let ended = until_interrupted_twice(import, &mut signals, &stop).await;
        if let Some(display) = display {
            display.finish();
        }
        let (summary, is_interrupted) = ended?;
        let first_rejects = first_rejects.lock().unwrap_or_else(PoisonError::into_inner);
        tell_rejects(&summary, &first_rejects);
        let outcome = conclude(&summary, work)?;
        if is_interrupted && self.input == Input::Stdin {
            return Err(Failure::new(
                "standard input: interrupted, and perhaps not read to its end",
            )
            .fix(IMPORT_AGAIN));
        }
        Ok(outcome)
    }
}

/// The first signal lets the import finish what is under way, the second one gives it up.
///
/// Also returns whether there was a signal.
async fn until_interrupted_twice(
    import: impl Future<Output = Summary>,
    signals: &mut signal::Stop,
    stop: &Stop,
) -> Result<(Summary, bool), Failure> {
    let mut import = std::pin::pin!(import);
    tokio::select! {
        // Ctrl-C also ends the program that feeds standard input: the signal must be seen before that end.
        biased;
        () = signals.wait() => {}
        summary = &mut import => return Ok((summary, false)),
    }
    stop.request(StopReason::Interrupted);
    tell("stopping: finishing the writes in flight (Ctrl-C again aborts them)");
    tokio::select! {
        summary = &mut import => Ok((summary, true)),
        () = signals.wait() => {
            Err(Failure::new("aborted: the writes in flight may have been made or not").fix(IMPORT_AGAIN))
        }
    }
}

fn counts(counters: &Counters, bytes_total: Option<u64>) -> Counts {
    let counts = counters.counts();
    Counts {
        bytes: counts.bytes_read,
        bytes_total,
        rows_done: counts.rows_written + counts.rows_superseded,
        rows_rejected: counts.rows_rejected,
        wcu: counts.consumed_wcu,
        throttles: counts.throttles,
    }
}

fn tell_rejects(summary: &Summary, first: &[String]) {
    for line in first {
        tell(format!("rejected: {line}"));
    }
    let more = summary
        .counts
        .rows_rejected
        .saturating_sub(first.len() as u64);
    if more > 0 {
        tell(format!("rejected: and {more} more"));
    }
    if let Some(place) = &summary.rejects {
        tell(format!("rejected rows are in {place}"));
    } else if !first.is_empty() {
        tell("hint: --rejects FILE keeps rejected rows, to correct and import them");
    }
}

/// Prints the one line that says it all, and turns a failed import into a failure.
pub(crate) fn conclude(summary: &Summary, work: Work) -> Result<Outcome, Failure> {
    if summary.counts.rows_read > 0 || summary.failure.is_none() {
        writeln!(io::stdout(), "{}", accounts(summary, work))?;
    }
    match (summary.status, &summary.failure) {
        (Status::Completed, None) => Ok(Outcome::Complete),
        (Status::CompletedWithRejects, None) => Ok(Outcome::Rejects),
        (_, failure) => {
            let message = failure
                .as_ref()
                .map_or("the import failed", |failure| &failure.message);
            let told = Failure::new(format!("{}: {message}", summary.source));
            Err(
                match failure.as_ref().and_then(|failure| failure.fix.as_ref()) {
                    Some(fix) => told.fix(fix),
                    None => told,
                },
            )
        }
    }
}

/// Every row that was read, by what became of it.
fn accounts(summary: &Summary, work: Work) -> String {
    let counts = &summary.counts;
    let done = match work {
        Work::Writing => "written",
        Work::Checking | Work::Scanning => "good",
    };
    let unsettled = match summary.rows_unsettled {
        0 => String::new(),
        unsettled => format!(" + {unsettled} unsettled"),
    };
    let text = format!(
        "{}: {} rows read = {} {done} + {} superseded + {} rejected{unsettled}",
        summary.source,
        counts.rows_read,
        counts.rows_written,
        counts.rows_superseded,
        counts.rows_rejected
    );
    let mut details = vec![format!("{:.1} s", summary.duration_seconds)];
    if summary.duration_seconds >= 1.0 {
        // Shorter ones say nothing about the rate.
        let rate = counts.rows_read as f64 / summary.duration_seconds;
        details.push(format!("{rate:.0} rows/s"));
    }
    if work == Work::Writing {
        details.push(format!("{} WCU", counts.consumed_wcu));
    }
    format!("{text} ({})", details.join(", "))
}

/// Remembers the first rejected rows to show them, and writes all of them to a file if there is one.
struct Rejects {
    file: Option<RejectFile>,
    first: Arc<Mutex<Vec<String>>>,
}

impl Journal for Rejects {
    async fn reject(&mut self, reject: &Reject) -> Result<(), Error> {
        {
            let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
            if first.len() < REJECTS_SHOWN_MAX {
                first.push(format!("{}: {}", reject.position, reject.reason));
            }
        }
        match &mut self.file {
            Some(file) => file.reject(reject).await,
            None => Ok(()),
        }
    }

    async fn finish(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        match &mut self.file {
            Some(file) => file.finish(checkpoint).await,
            None => Ok(()),
        }
    }

    fn place(&self) -> Option<String> {
        self.file.as_ref().and_then(Journal::place)
    }
}
