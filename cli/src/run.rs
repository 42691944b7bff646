//! One run of an import in the terminal: a file goes through the importer, with progress, rejected rows and Ctrl-C.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use importer::function::options_from_metadata;
use importer::import::{
    Checkpoint, Import, ImportOptions, Journal, Object, RejectFile, Source, Stop, Summary,
};
use importer::progress::Progress as Counters;
use importer::write::{BatchWrite, DryRun, SdkWriter, WireWriter, WriterKind};
use importer::{Error, StopReason};
use rows::{DecodeOptions, Reject, Schema};

use crate::aws::Clients;
use crate::input::Input;
use crate::terminal::progress::{LiveDisplay, Snapshot, Work};
use crate::terminal::{Failure, Outcome, Signals, conclude, tell};

/// Rejected rows that are shown; all of them are in the file of `--rejects`.
const REJECTS_SHOWN_MAX: usize = 10;

const IMPORT_AGAIN: &str =
    "import it again; rows already written are written again with the same values";

/// A file, and what is to be done with it.
#[derive(Debug)]
pub struct Run {
    /// Where the rows are.
    pub input: Input,
    /// The keys of the table.
    pub schema: Arc<Schema>,
    /// How to read and write.
    pub options: ImportOptions,
    /// Where rejected rows go.
    pub rejects: Option<RejectFile>,
    /// Whether to show no progress.
    pub quiet: bool,
}

/// Opens the file of `--rejects`, before anything is read or written.
///
/// # Errors
///
/// It is the input, which would be lost, or it cannot be written.
pub fn open_rejects(path: Option<&PathBuf>, input: &Input) -> Result<Option<RejectFile>, Failure> {
    let Some(path) = path else { return Ok(None) };
    if input.is_file(path) {
        return Err(Failure::usage(format!(
            "--rejects {} is the file that is read, {input}: its rows would be lost",
            path.display()
        ))
        .fix("name another file for the rejected rows"));
    }
    Ok(Some(RejectFile::create(path.clone())?))
}

impl Run {
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
        let (config, schema) = (&clients.config, Arc::clone(&self.schema));
        match writer {
            WriterKind::Wire => {
                let writer = WireWriter::new(config, schema).await?;
                self.import(source, writer, Work::Writing).await
            }
            WriterKind::Sdk => {
                let writer = SdkWriter::new(config, schema);
                self.import(source, writer, Work::Writing).await
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
        self.import(source, DryRun, Work::Checking).await
    }

    /// Opens the input. An object's metadata says how to read it where the arguments do not.
    async fn open(&mut self, s3: Option<&Client>) -> Result<Source, Failure> {
        match (&self.input, s3) {
            (Input::Stdin, _) => stdin(),
            (Input::File(path), _) => Ok(Source::file(path)?),
            (Input::Object { bucket, key }, Some(client)) => {
                let object = Object::head(client, bucket, key).await?;
                let declared = options_from_metadata(&object.metadata)?;
                let typed = std::mem::take(&mut self.options.decode);
                self.options.decode = DecodeOptions {
                    format: typed.format.or(declared.format),
                    types: if typed.types.is_empty() {
                        declared.types
                    } else {
                        typed.types
                    },
                    delimiter: typed.delimiter.or(declared.delimiter),
                    encoding: typed.encoding.or(declared.encoding),
                    rows_at: typed.rows_at.or(declared.rows_at),
                    engine: typed.engine,
                };
                Ok(object.source(client))
            }
            (Input::Object { .. }, None) => Err(Failure::new(format!(
                "no S3 client to read {} with",
                self.input
            ))),
        }
    }

    async fn import<W: BatchWrite>(
        self,
        source: Source,
        writer: W,
        work: Work,
    ) -> Result<Outcome, Failure> {
        let mut signals = Signals::listen()?;
        let stop = Stop::default();
        let counters = Arc::new(Counters::default());
        let first_rejects = Arc::new(Mutex::new(Vec::new()));
        let rejects = Rejects {
            file: self.rejects,
            first: Arc::clone(&first_rejects),
        };
        let (shown, bytes_total) = (Arc::clone(&counters), source.bytes_total);
        let snapshot = move || {
            let until = shown.waits_until_ms();
            let until = until.map(|until| SystemTime::UNIX_EPOCH + Duration::from_millis(until));
            let left = until.and_then(|until| until.duration_since(SystemTime::now()).ok());
            Snapshot::new(&shown.counts(), bytes_total).waiting(left)
        };
        let display = if self.quiet {
            LiveDisplay::quiet(snapshot)
        } else {
            LiveDisplay::start(work, snapshot)
        };
        let import = Import {
            name: self.input.to_string(),
            source,
            resume: None,
            schema: self.schema,
            options: self.options,
            progress: counters,
            stop: stop.clone(),
        };
        let import = async {
            let ended = import.run(writer, rejects).await;
            (ended.summary, ended.journal.file)
        };
        let ended = until_interrupted_twice(import, &mut signals, &stop).await;
        display.finish();
        let ((mut summary, rejects), is_interrupted) = ended?;
        if let Some(mut file) = rejects {
            // An import that failed may not have got to that. If it cannot be done, the summary has the error or a worse one.
            file.close().ok();
            summary.rejects = file.place();
        }
        let first_rejects = first_rejects.lock().unwrap_or_else(PoisonError::into_inner);
        show_rejects(&summary, &first_rejects);
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

/// Standard input, which may be a file that changes while it is read.
#[cfg(unix)]
fn stdin() -> Result<Source, Failure> {
    use std::os::fd::AsFd as _;
    let file = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map(std::fs::File::from);
    match file {
        Ok(file) if file.metadata().is_ok_and(|metadata| metadata.is_file()) => {
            Source::opened(file, "standard input".to_owned())
                .map_err(|error| Failure::caused("standard input", &error))
        }
        Ok(_) | Err(_) => Ok(Source::reader(io::stdin(), None)),
    }
}

/// Standard input.
#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "elsewhere it may fail")]
fn stdin() -> Result<Source, Failure> {
    Ok(Source::reader(io::stdin(), None))
}

/// The first signal lets the import finish what it has sent, the second one gives it up.
///
/// Also returns whether there was a signal.
async fn until_interrupted_twice<T>(
    import: impl Future<Output = T>,
    signals: &mut Signals,
    stop: &Stop,
) -> Result<(T, bool), Failure> {
    let mut import = std::pin::pin!(import);
    tokio::select! {
        // Ctrl-C also ends the program that feeds standard input: the signal must be seen before that end.
        biased;
        () = signals.wait() => {}
        ended = &mut import => return Ok((ended, false)),
    }
    stop.request(StopReason::Interrupted);
    tell(
        "stopping: finishing the writes in flight, dropping what waits (Ctrl-C again aborts them)",
    );
    tokio::select! {
        ended = &mut import => Ok((ended, true)),
        () = signals.wait() => {
            Err(Failure::new("aborted: the writes in flight may have been made or not").fix(IMPORT_AGAIN))
        }
    }
}

fn show_rejects(summary: &Summary, first: &[String]) {
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
        tell(format!("rejected rows are in {}", rows::prose(place)));
    } else if !first.is_empty() {
        tell("hint: --rejects FILE keeps rejected rows, to correct and import them");
    }
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
