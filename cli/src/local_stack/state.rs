//! The note that `intake local` leaves for other commands: that it runs, and where.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use local::Endpoints;
use serde::{Deserialize, Serialize};

/// Names another place for the note.
pub const PATH_VARIABLE: &str = "INTAKE_LOCAL_STATE";

/// How long a running stack may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// A running local stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The process that runs it.
    pub pid: u32,
    /// Where it listens.
    pub endpoints: Endpoints,
}

/// The note's file: the value of `INTAKE_LOCAL_STATE`, or one for each user in the folder for temporary files.
pub fn path() -> PathBuf {
    std::env::var_os(PATH_VARIABLE).map_or_else(
        || std::env::temp_dir().join(format!("intake-local-{}.json", user())),
        PathBuf::from,
    )
}

impl State {
    /// Reads the note at `path` if there is one, written by this user, about a stack that is running.
    ///
    /// A note left behind by a process that was killed counts as none.
    pub fn running(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        if !is_own(&file) {
            tracing::warn!(path = %path.display(), "ignored: the file belongs to another user");
            return None;
        }
        let state: Self = serde_json::from_reader(file).ok()?;
        (is_alive(state.pid) && accepts(&state.endpoints.dynamodb)).then_some(state)
    }

    /// Writes the note to `path`, readable by this user only.
    ///
    /// # Errors
    ///
    /// What the file system says. An existing file of another user is not replaced.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        // Written beside and renamed, so that no reader sees half a note.
        let new = path.with_extension(format!("{}.new", self.pid));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options
            .open(&new)
            .and_then(|mut file| file.write_all(&serde_json::to_vec_pretty(self)?))
            .and_then(|()| fs::rename(&new, path));
        if written.is_err() {
            // The first error is the one to tell.
            fs::remove_file(&new).ok();
        }
        written
    }

    /// Removes the note at `path` if it is still this one.
    pub fn remove(&self, path: &Path) {
        let current = fs::read(path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        if current.as_ref() == Some(self) {
            // A note that stays behind is recognised as stale.
            fs::remove_file(path).ok();
        }
    }
}

fn accepts(url: &str) -> bool {
    url.strip_prefix("http://")
        .and_then(|address| address.trim_end_matches('/').parse::<SocketAddr>().ok())
        .is_some_and(|address| TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).is_ok())
}

#[cfg(unix)]
fn user() -> String {
    rustix::process::getuid().as_raw().to_string()
}

#[cfg(not(unix))]
fn user() -> String {
    std::env::var("USERNAME").unwrap_or_else(|_| "user".to_owned())
}

/// Endpoints from a file of another user could lead an import anywhere.
#[cfg(unix)]
fn is_own(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata()
        .is_ok_and(|metadata| metadata.uid() == rustix::process::getuid().as_raw())
}

#[cfg(not(unix))]
fn is_own(_file: &File) -> bool {
    true
}

#[cfg(unix)]
fn is_alive(pid: u32) -> bool {
    i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

#[cfg(not(unix))]
fn is_alive(_pid: u32) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn state(pid: u32, address: SocketAddr) -> State {
        let url = format!("http://{address}");
        State {
            pid,
            endpoints: Endpoints {
                s3: url.clone(),
                dynamodb: url.clone(),
                sqs: url.clone(),
                sns: url.clone(),
                lambda: url.clone(),
                iam: url.clone(),
                cognito: url.clone(),
                dashboard: url,
                region: "us-east-1".to_owned(),
                access_key_id: "id".to_owned(),
                secret_access_key: "secret".to_owned(),
                bucket: "bucket".to_owned(),
                table: "table".to_owned(),
                jobs_table: "jobs".to_owned(),
                topic_arn: "arn".to_owned(),
                queue_url: "queue".to_owned(),
                dlq_url: "dlq".to_owned(),
            },
        }
    }

    #[test]
    fn a_running_stack_is_found_until_its_port_closes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = state(std::process::id(), listener.local_addr().unwrap());
        assert_eq!(State::running(&path), None);
        state.write(&path).unwrap();
        assert_eq!(State::running(&path), Some(state.clone()));
        drop(listener);
        assert_eq!(State::running(&path), None);
        state.remove(&path);
        assert!(!path.exists());
    }

    #[test]
    fn a_dead_process_has_no_stack() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .arg("--list")
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        child.wait().unwrap();
        state(child.id(), listener.local_addr().unwrap())
            .write(&path)
            .unwrap();
        assert_eq!(State::running(&path), None);
    }

    #[test]
    fn the_note_of_a_later_stack_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let address = "127.0.0.1:1".parse().unwrap();
        let (first, second) = (state(1, address), state(2, address));
        first.write(&path).unwrap();
        second.write(&path).unwrap();
        first.remove(&path);
        assert!(path.exists());
    }

    #[cfg(unix)]
    #[test]
    fn the_note_is_readable_by_its_user_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        state(1, "127.0.0.1:1".parse().unwrap())
            .write(&path)
            .unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn other_contents_are_no_stack() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        for text in ["", "{}", "[1]", "{\"pid\":1"] {
            fs::write(&path, text).unwrap();
            assert_eq!(State::running(&path), None, "{text}");
        }
    }
}
