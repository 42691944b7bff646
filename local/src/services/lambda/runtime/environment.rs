use std::collections::VecDeque;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::api::{Invocation, Outcome, RuntimeApi, State};
use super::error::{InvokeError, Output};
use super::program::LambdaProgram;
use crate::lock::lock;
use crate::server::{Server, bind, service};

/// How long a program may take until it asks for its first event. Lambda's
/// [init phase](https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-ib) takes
/// 10 s at most, and is then gone through once more in the function's own time; a machine on which tests run beside a build
/// is slower than Lambda.
const INIT_TIMEOUT: Duration = Duration::from_mins(1);
/// How many of the last lines of output go into an error.
const OUTPUT_LINES: usize = 20;
/// How long to wait for the last output of a program that has ended; a process it left behind could hold it open.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(5);

/// A running program and its Runtime API.
#[derive(Debug)]
pub(super) struct Environment {
    program: LambdaProgram,
    process: Child,
    invocations: mpsc::Sender<Invocation>,
    state: watch::Receiver<State>,
    output: Arc<Mutex<VecDeque<String>>>,
    readers: JoinSet<()>,
    _api: Server,
}

impl Environment {
    /// Starts the program. It is not ready yet.
    pub(super) async fn start(program: &LambdaProgram) -> Result<Self, InvokeError> {
        let bound = bind("the Lambda Runtime API", 0)
            .await
            .map_err(InvokeError::Api)?;
        let (api, invocations, state) = RuntimeApi::new(program.arn());
        let server = Server::start(bound.listener, service(&api));
        let start_error = |source| InvokeError::Start {
            function: program.function_name.clone(),
            program: program.program.display().to_string(),
            source,
        };
        let mut process = program
            .command(bound.url.trim_start_matches("http://"))
            .spawn()
            .map_err(start_error)?;
        let output = Arc::default();
        let mut readers = JoinSet::new();
        if let Some(stdout) = process.stdout.take() {
            readers.spawn(read_lines(
                stdout,
                program.function_name.clone(),
                Arc::clone(&output),
            ));
        }
        if let Some(stderr) = process.stderr.take() {
            readers.spawn(read_lines(
                stderr,
                program.function_name.clone(),
                Arc::clone(&output),
            ));
        }
        let program = program.clone();
        Ok(Self {
            program,
            process,
            invocations,
            state,
            output,
            readers,
            _api: server,
        })
    }

    /// Waits until the program asks for an event.
    pub(super) async fn ready(&mut self) -> Result<(), InvokeError> {
        let settled = tokio::select! {
            // If both are true it has ended.
            biased;
            status = self.process.wait() => Err(match status {
                Ok(status) => format!("it ended with {status}"),
                Err(error) => format!("it cannot be watched: {error}"),
            }),
            state = self.state.wait_for(|state| *state != State::Busy) => match state.as_deref() {
                Ok(State::InitFailed(reason)) => Err(reason.clone()),
                _ => Ok(()),
            },
            () = sleep(INIT_TIMEOUT) => Err(format!("it asked for no event within {INIT_TIMEOUT:?}")),
        };
        let Err(reason) = settled else { return Ok(()) };
        // What it reported before it ended says more than how it ended.
        let reason = match &*self.state.borrow() {
            State::InitFailed(reported) => reported.clone(),
            State::Busy | State::Ready => reason,
        };
        let function = self.program.function_name.clone();
        Err(InvokeError::Init {
            function,
            reason,
            output: self.end().await,
        })
    }

    /// Gives it an event, once it is [ready](Self::ready), and waits for the result, unless it is to be killed.
    pub(super) async fn invoke(
        &mut self,
        event: Bytes,
        kill: KillSignal,
    ) -> Result<Value, InvokeError> {
        let function = self.program.function_name.clone();
        let limit = self.program.timeout;
        let (outcome, settled) = oneshot::channel();
        // A failure shows as an outcome that never comes, when the process ends.
        drop(self.invocations.try_send(Invocation {
            event,
            timeout: limit,
            outcome,
        }));
        let settled = tokio::select! {
            // A result that came counts, even if the program ended right after it.
            biased;
            Ok(outcome) = settled => InvocationEnd::Outcome(outcome),
            Ok(done) = kill.asked => InvocationEnd::Killed(Some(done)),
            () = sleep_if(kill.after) => InvocationEnd::Killed(None),
            status = self.process.wait() => InvocationEnd::Exited(status),
            () = sleep(limit) => InvocationEnd::TimedOut,
        };
        match settled {
            InvocationEnd::Outcome(Ok(response)) => serde_json::from_slice(&response)
                .map_err(|source| InvokeError::Response { function, source }),
            InvocationEnd::Outcome(Err(error)) => Err(InvokeError::Function {
                function,
                error_type: error.error_type,
                error_message: error.error_message,
            }),
            InvocationEnd::Killed(done) => {
                let killed = match self.process.kill().await {
                    Ok(()) => self.process.wait().await,
                    Err(error) => Err(error),
                };
                if let Some(done) = done {
                    // Whoever asked may have stopped waiting.
                    done.send(()).ok();
                }
                self.exited(function, killed).await
            }
            InvocationEnd::Exited(status) => self.exited(function, status).await,
            InvocationEnd::TimedOut => Err(InvokeError::TimedOut {
                function,
                timeout: limit,
                output: self.end().await,
            }),
        }
    }

    /// The result of an invocation during which the process ended.
    async fn exited(
        &mut self,
        function: String,
        status: std::io::Result<ExitStatus>,
    ) -> Result<Value, InvokeError> {
        let output = self.end().await;
        Err(match status {
            Ok(status) => InvokeError::Exited {
                function,
                status,
                output,
            },
            Err(source) => InvokeError::Watch { function, source },
        })
    }

    /// Kills the program, if it runs, and returns its last lines.
    async fn end(&mut self) -> Output {
        if let Err(error) = self.process.kill().await {
            tracing::warn!(function = self.program.function_name, %error, "cannot kill a function's process");
        }
        let all_read = async { while self.readers.join_next().await.is_some() {} };
        if timeout(OUTPUT_TIMEOUT, all_read).await.is_err() {
            tracing::debug!(
                function = self.program.function_name,
                "its output is still open"
            );
        }
        Output(lock(&self.output).drain(..).collect())
    }

    /// Kills the program and waits until it has ended.
    pub(super) async fn kill(mut self) {
        self.end().await;
    }
}

/// When to kill an environment during an invocation.
#[derive(Debug)]
pub(super) struct KillSignal {
    /// When this gets something, which is told when it is done.
    pub(super) asked: oneshot::Receiver<oneshot::Sender<()>>,
    /// This long after the invocation began.
    pub(super) after: Option<Duration>,
}

async fn sleep_if(delay: Option<Duration>) {
    match delay {
        Some(delay) => sleep(delay).await,
        None => std::future::pending().await,
    }
}

enum InvocationEnd {
    Outcome(Outcome),
    Killed(Option<oneshot::Sender<()>>),
    Exited(std::io::Result<ExitStatus>),
    TimedOut,
}

/// Logs what a program writes and keeps its last lines.
async fn read_lines(
    from: impl AsyncRead + Unpin,
    function: String,
    output: Arc<Mutex<VecDeque<String>>>,
) {
    let mut lines = BufReader::new(from).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        tracing::debug!(target: "lambda", function, "{line}");
        let mut output = lock(&output);
        if output.len() == OUTPUT_LINES {
            output.pop_front();
        }
        output.push_back(line);
    }
}
