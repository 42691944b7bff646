//! A local file that must stay as it is while it is read.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek as _};
use std::time::SystemTime;

use crate::error::Error;

/// Reads a regular file from where it stands, and gives an error at its end if it was changed meanwhile: its rows would be
/// neither those of before nor those of after.
pub(super) struct LocalFile {
    file: File,
    name: String,
    /// As it was opened.
    opened: State,
    /// Bytes from where it stood to its end then.
    left_bytes: u64,
    read_bytes: u64,
}

/// By what a change shows.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    size_bytes: u64,
    modified: Option<SystemTime>,
}

impl From<&Metadata> for State {
    fn from(metadata: &Metadata) -> Self {
        Self {
            size_bytes: metadata.len(),
            // Not every system knows.
            modified: metadata.modified().ok(),
        }
    }
}

impl LocalFile {
    pub(super) fn new(mut file: File, name: String) -> io::Result<Self> {
        let opened = State::from(&file.metadata()?);
        let left_bytes = opened.size_bytes.saturating_sub(file.stream_position()?);
        Ok(Self {
            file,
            name,
            opened,
            left_bytes,
            read_bytes: 0,
        })
    }

    /// Bytes that there are to read.
    pub(super) fn left_bytes(&self) -> u64 {
        self.left_bytes
    }

    fn check(&self) -> io::Result<()> {
        let now = State::from(&self.file.metadata()?);
        if now == self.opened && self.read_bytes == self.left_bytes {
            return Ok(());
        }
        Err(io::Error::other(Error::Unusable {
            problem: format!(
                "{} was changed while it was read: it had {} bytes when it was opened and has {} now, and {} were read",
                rows::prose(&self.name),
                self.opened.size_bytes,
                now.size_bytes,
                self.read_bytes
            ),
            fix: "import it again when it is complete; rows already written are written again"
                .to_owned(),
        }))
    }
}

impl Read for LocalFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read_bytes += read as u64;
        if read == 0 && !buffer.is_empty() {
            self.check()?;
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::super::source::Source;
    use super::*;

    /// Reads the first half of a file, changes it, and reads the rest.
    fn read(change: impl FnOnce(&mut File)) -> io::Result<usize> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        fs::write(&path, "0123456789").unwrap();
        let mut file = Source::file(&path).unwrap().reader;
        file.read_exact(&mut [0; 5]).unwrap();
        let mut other = fs::OpenOptions::new().append(true).open(&path).unwrap();
        change(&mut other);
        file.read_to_end(&mut Vec::new())
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_an_error() {
        assert_eq!(read(|_| {}).unwrap(), 5);
        let later = SystemTime::now() + std::time::Duration::from_mins(1);
        let changes: [fn(&mut File, SystemTime); 4] = [
            |file, _| file.set_len(7).unwrap(),
            |file, _| file.set_len(0).unwrap(),
            |file, _| file.write_all(b"more").unwrap(),
            |file, later| file.set_modified(later).unwrap(),
        ];
        for change in changes {
            let error = read(|file| change(file, later)).unwrap_err();
            assert!(
                error.to_string().contains("changed while it was read"),
                "{error}"
            );
        }
    }
}
