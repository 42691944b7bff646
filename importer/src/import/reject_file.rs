//! Rejected rows in a local file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use rows::Reject;

use super::checkpoint::Checkpoint;
use super::journal::Journal;
use crate::error::Error;

/// Writes rejected rows to a local file.
///
/// They go to a file beside it, `intake-rejects-….partial`, which takes its place when the import ends, well or not. So a
/// crash leaves the old file as it was. Without any rejected row the file is empty at the end, whatever was in it before.
/// It is locked meanwhile, and its name says what it is to replace: two imports do not replace each other's report.
///
/// An import that fails, also for want of room on the disk, or that is dropped on its way leaves the rows that were rejected
/// until then; before the first of them, the old file. What is no regular file, such as a pipe or `/dev/stdout`, cannot be replaced and is written to at once.
#[derive(Debug)]
pub struct RejectFile {
    path: PathBuf,
    file: BufWriter<File>,
    /// What is to take whose place; none if nothing is, or no longer.
    partial: Option<Partial>,
    any: bool,
    /// Whether the rows could not be put where they belong.
    is_misplaced: bool,
}

/// A file that is not whole yet.
#[derive(Debug)]
struct Partial {
    path: PathBuf,
    target: PathBuf,
}

impl RejectFile {
    /// Rejects go to `path`; an old file there is replaced at the end. Nothing is written yet.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] if the file may not be written to, or no file may be made in its folder.
    pub fn create(path: PathBuf) -> Result<Self, Error> {
        let opened = open(&path).map_err(|e| Error::Unusable {
            problem: format!("rejected rows cannot be written to {}: {e}", path.display()),
            fix: match e.kind() {
                io::ErrorKind::ResourceBusy => {
                    "name another file, or wait until that import has ended"
                }
                _ => "name a file that you may write to, in a folder where you may make files",
            }
            .to_owned(),
        });
        let (file, partial) = opened?;
        Ok(Self {
            path,
            file: BufWriter::new(file),
            partial,
            any: false,
            is_misplaced: false,
        })
    }

    /// Has the file take its place, also after an import that could not be journaled to its end.
    ///
    /// # Errors
    ///
    /// [`Error::Report`] if it cannot. Then the rows stay where [`Journal::place`] says.
    pub fn close(&mut self) -> Result<(), Error> {
        let in_place = self.put_in_place();
        self.is_misplaced |= in_place.is_err();
        in_place.map_err(|e| self.error(e))
    }

    /// Has the file take its place.
    fn put_in_place(&mut self) -> io::Result<()> {
        self.file.flush()?;
        if let Some(Partial { path, target }) = &self.partial {
            // A full disk may show only now, and a file that is renamed must not be empty after a power failure.
            self.file.get_ref().sync_all()?;
            fs::rename(path, target)?;
            self.partial = None;
        }
        Ok(())
    }

    fn error(&self, source: io::Error) -> Error {
        Error::Report {
            place: self.path.display().to_string(),
            source: Box::new(source),
        }
    }
}

/// Opens what rejects are written to.
fn open(path: &Path) -> io::Result<(File, Option<Partial>)> {
    let old = match fs::metadata(path) {
        Ok(old) => Some(old),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(e),
    };
    let target = match &old {
        Some(old) => {
            if let Some(stream) = standard_stream(old)? {
                return Ok((stream, None));
            }
            // Also tells if it may be written to: what may not is not replaced either.
            let file = OpenOptions::new().write(true).open(path)?;
            if !old.is_file() {
                return Ok((file, None));
            }
            // A link stays, and what it names is replaced.
            fs::canonicalize(path)?
        }
        None if path.file_name().is_none()
            || path.as_os_str().as_encoded_bytes().ends_with(b"/") =>
        {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        // It may be a link to a file that is still to be made.
        None => fs::read_link(path).map_or_else(|_| path.to_owned(), |to| beside(path, &to)),
    };
    // The name is short: the target's own may be as long as names can be.
    let begin = format!("intake-rejects-{:08x}-", hash(&target));
    let (file, partial) = loop {
        let name = format!("{begin}{:08x}.partial", fastrand::u32(..));
        let partial = beside(&target, Path::new(&name));
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&partial)
        {
            Ok(file) => break (file, partial),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    };
    // Of two that begin at once, at least one sees the other.
    // Not every file system has locks; there, nothing tells.
    file.try_lock().ok();
    let prepared = is_alone(&target, &begin, &partial).and_then(|()| match old {
        Some(old) => file.set_permissions(old.permissions()),
        None => Ok(()),
    });
    if let Err(e) = prepared {
        fs::remove_file(&partial).ok();
        return Err(e);
    }
    let partial = Partial {
        path: partial,
        target,
    };
    Ok((file, Some(partial)))
}

/// An error if another import is writing what is to replace `target`: its file is locked until the import ends, however.
fn is_alone(target: &Path, begin: &str, mine: &Path) -> io::Result<()> {
    let folder = target
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    // A folder that may be written to and not be listed shows no other import.
    let Ok(names) = fs::read_dir(folder.unwrap_or(Path::new("."))) else {
        return Ok(());
    };
    for name in names.filter_map(|entry| Some(entry.ok()?.file_name())) {
        let other = beside(target, Path::new(&name));
        if other == mine || !name.to_string_lossy().starts_with(begin) {
            continue;
        }
        // What a crash has left is not locked.
        let is_locked = File::open(&other)
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)));
        if is_locked {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!(
                    "another import writes its rejected rows there ({})",
                    other.display()
                ),
            ));
        }
    }
    Ok(())
}

/// Tells the files of a folder apart.
fn hash(target: &Path) -> u32 {
    let mut hasher = DefaultHasher::new();
    target.file_name().hash(&mut hasher);
    hasher.finish() as u32
}

/// `other`, as seen from the folder that `path` is in.
fn beside(path: &Path, other: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).join(other)
}

/// Standard output or standard error, if that is where `file` goes, too. Opened again, it would have an offset of its own, and
/// each would write over the other.
#[cfg(unix)]
fn standard_stream(file: &fs::Metadata) -> io::Result<Option<File>> {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::MetadataExt as _;
    for stream in [io::stdout().as_fd(), io::stderr().as_fd()] {
        let stream = File::from(stream.try_clone_to_owned()?);
        let metadata = stream.metadata()?;
        if (metadata.dev(), metadata.ino()) == (file.dev(), file.ino()) {
            return Ok(Some(stream));
        }
    }
    Ok(None)
}

#[cfg(not(unix))]
fn standard_stream(_file: &fs::Metadata) -> io::Result<Option<File>> {
    Ok(None)
}

impl Drop for RejectFile {
    fn drop(&mut self) {
        let Some(Partial { path, target }) = self.partial.take() else {
            return;
        };
        // The caller that dropped it knows that the import failed; there is nothing to add.
        match (self.any, self.is_misplaced) {
            (false, _) => {
                fs::remove_file(path).ok();
            }
            (true, false) => {
                self.file.flush().ok();
                fs::rename(path, target).ok();
            }
            // It keeps the name that `place` gives.
            (true, true) => {}
        }
    }
}

impl Journal for RejectFile {
    async fn reject(&mut self, reject: &Reject) -> Result<(), Error> {
        self.any = true;
        writeln!(self.file, "{}", reject.to_json()).map_err(|e| self.error(e))
    }

    async fn finish(&mut self, _checkpoint: &Checkpoint) -> Result<(), Error> {
        self.close()
    }

    fn place(&self) -> Option<String> {
        let place = match &self.partial {
            Some(partial) => &partial.path,
            // They were written to what cannot be replaced, and are lost.
            None if self.is_misplaced => return None,
            None => &self.path,
        };
        self.any.then(|| place.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use rows::{Position, Reason};

    use super::*;

    const FILE: &str = "rejects.jsonl";

    fn reject() -> Reject {
        Reject::new(Position::default(), Reason::ItemTooLarge, b"{}")
    }

    /// The names in a folder.
    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn an_old_file_of_rejects_does_not_outlive_a_run_without_any() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        for (rejects, lines) in [(2, 2), (1, 1), (0, 0)] {
            let mut file = RejectFile::create(path.clone()).unwrap();
            for _ in 0..rejects {
                file.reject(&reject()).await.unwrap();
            }
            file.finish(&Checkpoint::default()).await.unwrap();
            assert_eq!(file.place().is_some(), rejects > 0);
            assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), lines);
            drop(file);
            assert_eq!(names(folder.path()), [FILE]);
        }
    }

    /// A crash cannot do more than a program that never gets to drop anything.
    #[tokio::test]
    async fn a_crash_leaves_the_old_file_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        fs::write(&path, "old").unwrap();
        let mut file = RejectFile::create(path.clone()).unwrap();
        for _ in 0..1000 {
            file.reject(&reject()).await.unwrap();
        }
        std::mem::forget(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(folder.path()).len(), 2);
    }

    #[tokio::test]
    async fn an_import_that_is_dropped_leaves_its_rejects_or_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        fs::write(&path, "old").unwrap();
        for (rejects, lines) in [(0, 1), (2, 2)] {
            let mut file = RejectFile::create(path.clone()).unwrap();
            for _ in 0..rejects {
                file.reject(&reject()).await.unwrap();
            }
            drop(file);
            let left = fs::read_to_string(&path).unwrap();
            assert_eq!(left.lines().count(), lines, "{left}");
            assert_eq!(names(folder.path()), [FILE]);
        }
    }

    #[test]
    fn what_cannot_be_written_is_known_before_the_first_row() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let missing = folder.path().join("missing");
        for path in [
            folder.path().to_owned(),
            missing.join(FILE),
            file.join(FILE),
            PathBuf::from(format!("{}/", missing.display())),
            PathBuf::new(),
        ] {
            let error = RejectFile::create(path.clone()).unwrap_err();
            assert!(error.fix().is_some(), "{error}");
            let is_named = error.to_string().contains(&path.display().to_string());
            assert!(is_named, "{error}");
        }
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[tokio::test]
    async fn rows_that_cannot_take_their_place_are_told_where_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let mut file = RejectFile::create(path.clone()).unwrap();
        file.reject(&reject()).await.unwrap();
        // A folder in its place stands for a file of another user's in a folder like /tmp.
        fs::create_dir(&path).unwrap();
        let error = file.finish(&Checkpoint::default()).await.unwrap_err();
        assert!(error.to_string().contains(FILE), "{error}");
        let place = PathBuf::from(file.place().unwrap());
        fs::remove_dir(&path).unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(place).unwrap().lines().count(), 1);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn two_imports_do_not_replace_each_others_report() {
        let folder = tempfile::tempdir().unwrap();
        let [path, other] = [FILE, "other.jsonl"].map(|name| folder.path().join(name));
        let mut first = RejectFile::create(path.clone()).unwrap();
        first.reject(&reject()).await.unwrap();
        let error = RejectFile::create(path.clone()).unwrap_err();
        assert!(
            error.to_string().contains("another import writes"),
            "{error}"
        );
        assert!(error.fix().unwrap().contains("name another file"));
        drop(RejectFile::create(other).unwrap());
        first.finish(&Checkpoint::default()).await.unwrap();
        drop(first);
        // What a crash has left keeps no other import from its report.
        let begin = format!("intake-rejects-{:08x}-", hash(&path));
        fs::write(folder.path().join(format!("{begin}0.partial")), "left").unwrap();
        drop(RejectFile::create(path.clone()).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_link_and_the_permissions_of_the_old_file_stay() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};

        let folder = tempfile::tempdir().unwrap();
        let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
        fs::write(&old, "old").unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o600)).unwrap();
        for target in [&old, &new] {
            let link = folder.path().join("link");
            symlink(target.file_name().unwrap(), &link).unwrap();
            let mut file = RejectFile::create(link.clone()).unwrap();
            file.reject(&reject()).await.unwrap();
            file.finish(&Checkpoint::default()).await.unwrap();
            assert!(link.symlink_metadata().unwrap().is_symlink());
            assert_eq!(fs::read_to_string(target).unwrap().lines().count(), 1);
            fs::remove_file(link).unwrap();
        }
        let mode = old.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_is_no_regular_file_is_written_to_and_stays() {
        use std::os::unix::fs::FileTypeExt as _;

        for (path, works) in [("/dev/null", true), ("/dev/full", false)] {
            let mut file = RejectFile::create(PathBuf::from(path)).unwrap();
            file.reject(&reject()).await.unwrap();
            let finished = file.finish(&Checkpoint::default()).await;
            assert_eq!(finished.is_ok(), works, "{path}: {finished:?}");
            assert_eq!(file.place().is_some(), works, "{path}");
            drop(file);
            assert!(fs::metadata(path).unwrap().file_type().is_char_device());
        }
    }
}
