//! Rejected rows in a local file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use rows::Reject;

use super::checkpoint::Checkpoint;
use super::journal::Journal;
use crate::error::Error;

/// Writes rejected rows to a local file. Without any the file is empty at the end, whatever was in it before.
#[derive(Debug)]
pub struct RejectFile {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    any: bool,
}

impl RejectFile {
    /// Rejects go to `path`; an old file there is replaced.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            any: false,
        }
    }

    fn open(&mut self) -> std::io::Result<&mut BufWriter<File>> {
        Ok(match &mut self.file {
            Some(file) => file,
            none => none.insert(BufWriter::new(File::create(&self.path)?)),
        })
    }

    fn error(&self, source: std::io::Error) -> Error {
        Error::Report {
            place: self.path.display().to_string(),
            source: Box::new(source),
        }
    }
}

impl Journal for RejectFile {
    async fn reject(&mut self, reject: &Reject) -> Result<(), Error> {
        self.any = true;
        let written = self
            .open()
            .and_then(|file| writeln!(file, "{}", reject.to_json()));
        written.map_err(|e| self.error(e))
    }

    async fn finish(&mut self, _checkpoint: &Checkpoint) -> Result<(), Error> {
        let flushed = self.open().and_then(Write::flush);
        flushed.map_err(|e| self.error(e))
    }

    fn place(&self) -> Option<String> {
        self.any.then(|| self.path.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use rows::{Position, Reason};

    use super::*;

    #[tokio::test]
    async fn an_old_file_of_rejects_does_not_outlive_a_run_without_any() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rejects.jsonl");
        let reject = Reject::new(Position::default(), Reason::ItemTooLarge, b"{}");
        for (rejects, lines) in [(2, 2), (1, 1), (0, 0)] {
            let mut file = RejectFile::new(path.clone());
            for _ in 0..rejects {
                file.reject(&reject).await.unwrap();
            }
            file.finish(&Checkpoint::default()).await.unwrap();
            assert_eq!(file.place().is_some(), rejects > 0);
            assert_eq!(
                std::fs::read_to_string(&path).unwrap().lines().count(),
                lines
            );
        }
    }
}
