//! What every test here needs: the command, a stack, and tables compared by value.

mod item;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use intake::aws::Clients;
use intake::local_stack::state::{PATH_VARIABLE, State};
use local::{Endpoints, LambdaProgram, Stack, StackOptions};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

pub(crate) use item::{as_stored, normalised};

/// Longer than anything but a full-size import takes on a busy machine; a test that hangs fails instead.
pub(crate) const LIMIT: Duration = Duration::from_mins(10);

/// Slower than an unoptimised build imports into the local stack.
const ROWS_PER_SECOND_MIN: u64 = 200;

/// Rows in the tests that compare whole tables; the full size is `INTAKE_TEST_ROWS=200000`.
pub(crate) fn rows() -> u64 {
    std::env::var("INTAKE_TEST_ROWS").map_or(2_000, |rows| {
        rows.parse().expect("INTAKE_TEST_ROWS is a number")
    })
}

/// A file of `samples/`.
pub(crate) fn sample(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../samples")
        .join(name)
}

/// What a finished command left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Asserts the exit code, and shows what the command said if it is another one.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            // A process that a signal ended has no code.
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A folder of its own for a test, and a command that sees nothing of the developer's AWS configuration.
pub(crate) struct Fixture {
    folder: TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A path in the test's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the test's folder.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn state_path(&self) -> PathBuf {
        self.path("state.json")
    }

    /// `intake` with `args`, not yet started.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_intake"));
        for (name, _) in std::env::vars_os() {
            let upper = name.to_string_lossy().to_uppercase();
            if upper.starts_with("AWS_") || upper.ends_with("_PROXY") {
                command.env_remove(name);
            }
        }
        command
            .args(args)
            .current_dir(self.folder.path())
            .env(PATH_VARIABLE, self.state_path())
            .env("AWS_CONFIG_FILE", self.path("no-config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", self.path("no-credentials"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs `intake` with `args` to its end.
    pub(crate) async fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ended {
        wait(self.command(args).spawn().unwrap()).await
    }

    /// Runs `intake` with `args` to its end, with `input` on its standard input.
    pub(crate) async fn run_with_input<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        input: Vec<u8>,
    ) -> Ended {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let feeding = tokio::spawn(async move {
            // A command that stops reading closes the pipe; its exit code is what is tested.
            stdin.write_all(&input).await.ok();
        });
        let ended = wait(child).await;
        feeding.await.unwrap();
        ended
    }

    /// Lets `--local` commands of this bench find `stack`.
    pub(crate) fn announce(&self, stack: &Stack) {
        let state = State {
            pid: std::process::id(),
            endpoints: stack.endpoints().clone(),
        };
        state.write(&self.state_path()).unwrap();
    }
}

/// Waits for a child's end.
pub(crate) async fn wait(child: Child) -> Ended {
    let limit = LIMIT + Duration::from_secs(rows() / ROWS_PER_SECOND_MIN);
    tokio::time::timeout(limit, child.wait_with_output())
        .await
        .expect("the command ends")
        .unwrap()
        .into()
}

/// Sends a signal to a child that has not been waited for.
pub(crate) fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// Waits until `holds` says so; `what` is what the panic says if it never does.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, waiting)
        .await
        .unwrap_or_else(|_| panic!("{what}"));
}

/// A stack whose importer is set up by `env`, announced to `bench`.
pub(crate) async fn stack_with_importer(bench: &Fixture, env: &[(&str, &str)]) -> Stack {
    let mut importer = LambdaProgram::new("ProcessInventoryFile", env!("CARGO_BIN_EXE_intake"));
    importer.args = ["lambda", "importer"].map(OsString::from).into();
    let env = env.iter();
    importer.env = env
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let options = StackOptions {
        importer: Some(importer),
        retry_delay: Some(Duration::ZERO),
        ..StackOptions::default()
    };
    let stack = Stack::start(options).await.unwrap();
    bench.announce(&stack);
    stack
}

/// A stack without functions, announced to `bench`.
pub(crate) async fn stack(bench: &Fixture) -> Stack {
    let stack = Stack::start(StackOptions::default()).await.unwrap();
    bench.announce(&stack);
    stack
}

/// Every item of the table, in plain DynamoDB JSON with numbers and sets in one spelling.
pub(crate) async fn scan(endpoints: &Endpoints) -> Vec<serde_json::Value> {
    let mut items = Vec::new();
    for_each_item(endpoints, |item| items.push(item)).await;
    items
}

/// Hands every item of the table to `visit`, as [`scan`] gives them, and keeps none.
pub(crate) async fn for_each_item(endpoints: &Endpoints, mut visit: impl FnMut(serde_json::Value)) {
    let scan = Clients::for_local(endpoints).dynamodb.scan();
    let mut items = scan
        .table_name(&endpoints.table)
        .into_paginator()
        .items()
        .send();
    while let Some(item) = items.next().await {
        visit(as_stored(&item.unwrap()));
    }
}
