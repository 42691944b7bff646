//! Worker processes, and steps that any of them may take.

use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::worker::Answer;
use crate::terminal::{Failure, tell};

/// How many workers may end at the same step before it is given up.
const ENDS_MAX: u32 = 3;
/// How often a step that failed is tried again.
const RETRIES_MAX: u32 = 20;
/// The pause before the first of these; doubled each time.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// Why steps were not completed.
#[derive(Debug)]
pub(super) enum StepError {
    /// A stop was requested.
    Stopped,
    /// A step has failed for good.
    Failed(Failed),
}

/// What went wrong at a step, and what to do about it if that is known.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) message: String,
    pub(super) fix: Option<String>,
}

impl Failed {
    /// The same for people, of the import of `source`.
    pub(super) fn of(self, source: &str) -> Failure {
        let failure = Failure::new(format!("{source}: {}", self.message));
        match self.fix {
            Some(fix) => failure.fix(fix),
            None => failure,
        }
    }
}

/// Makes the command that starts a worker.
pub(super) type WorkerCommand = Arc<dyn Fn() -> Command + Send + Sync>;

/// Workers, as many as may be at work at once. They are started when there is something to do.
pub(super) struct Pool {
    workers: Vec<Worker>,
    command: WorkerCommand,
    stop: watch::Sender<bool>,
}

/// Asks a pool's workers to stop.
#[derive(Clone)]
pub(super) struct Stop(watch::Sender<bool>);

impl Stop {
    /// Each worker lets go of what it is at, and ends.
    pub(super) fn request(&self) {
        self.0.send_replace(true);
    }

    /// Waits until somebody asks to stop.
    pub(super) async fn requested(&self) {
        stopped(&mut self.0.subscribe()).await;
    }
}

impl Pool {
    pub(super) fn new(workers: usize, command: &WorkerCommand) -> Self {
        let stop = watch::Sender::new(false);
        let worker = || Worker {
            process: None,
            command: Arc::clone(command),
            stopped: stop.subscribe(),
        };
        Self {
            workers: std::iter::repeat_with(worker).take(workers).collect(),
            command: Arc::clone(command),
            stop,
        }
    }

    pub(super) fn stop(&self) -> Stop {
        Stop(self.stop.clone())
    }

    /// Takes one step.
    pub(super) async fn one(&mut self, step: Value) -> Result<Value, StepError> {
        let taken = self.all(vec![step], |_| {}).await?;
        Ok(taken.into_iter().next().unwrap_or_default())
    }

    /// Takes all steps, in about this order, and calls `done` for each that has ended. The first that fails ends the others.
    pub(super) async fn all(
        &mut self,
        steps: Vec<Value>,
        done: impl Fn(&Value) + Send + Sync + 'static,
    ) -> Result<Vec<Value>, StepError> {
        let queue = Arc::new(Mutex::new(VecDeque::from(steps)));
        let done = Arc::new(done);
        let mut at_work = JoinSet::new();
        let stop = self.stop();
        for mut worker in self.workers.drain(..) {
            let (queue, done, stop) = (Arc::clone(&queue), Arc::clone(&done), stop.clone());
            at_work.spawn(async move {
                let mut answers = Vec::new();
                loop {
                    let next = lock(&queue).pop_front();
                    let Some(next) = next else {
                        return (worker, Ok(answers));
                    };
                    match worker.take(next.clone()).await {
                        Ok(answer) => {
                            done(&next);
                            answers.push(answer);
                        }
                        Err(broken) => {
                            stop.request();
                            return (worker, Err(broken));
                        }
                    }
                }
            });
        }
        let (mut answers, mut broken) = (Vec::new(), None);
        while let Some(worker) = at_work.join_next().await {
            match worker {
                Ok((worker, ended)) => {
                    self.workers.push(worker);
                    match (ended, &broken) {
                        (Ok(more), _) => answers.extend(more),
                        // Those that were stopped because of it say less.
                        (Err(StepError::Stopped), Some(_)) => {}
                        (Err(why), _) => broken = Some(why),
                    }
                }
                // Nothing aborts these tasks.
                Err(panic) => std::panic::resume_unwind(panic.into_panic()),
            }
        }
        broken.map_or(Ok(answers), Err)
    }

    /// The same workers, to be asked once more after they were stopped.
    pub(super) fn again(self) -> Self {
        Self::new(1, &self.command)
    }
}

/// Waits until somebody asks to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the pool is gone, so that nothing is left to do.
    stop.wait_for(|stopped| *stopped).await.ok();
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic ends the command; what is locked is valid at all times.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process, if it is started.
struct Worker {
    process: Option<Process>,
    command: WorkerCommand,
    stopped: watch::Receiver<bool>,
}

struct Process {
    child: Child,
    steps: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// How a process responded to a step.
enum Response {
    Answered(Answer),
    Ended(String),
    Stopped,
}

impl Worker {
    /// Takes a step, and again what of it is left, until all is done.
    async fn take(&mut self, mut step: Value) -> Result<Value, StepError> {
        let (mut ends, mut retries) = (0, 0);
        loop {
            match self.ask(&step).await {
                Response::Stopped => return Err(StepError::Stopped),
                Response::Answered(Answer::Done(answer)) if answer["done"] == false => {
                    step = answer;
                    (ends, retries) = (0, 0);
                }
                Response::Answered(Answer::Done(answer)) => return Ok(answer),
                Response::Answered(Answer::Error { kind, message, fix }) => {
                    retries += 1;
                    if kind != "Intake.Retry" || retries > RETRIES_MAX {
                        return Err(StepError::Failed(Failed { message, fix }));
                    }
                    let pause = PAUSE * 2_u32.pow(retries.min(10) - 1);
                    // Workers that failed together do not try again together.
                    let pause = pause.min(PAUSE_MAX).mul_f64(0.5 + fastrand::f64() / 2.0);
                    tracing::warn!(message, ?pause, "a step is tried again");
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = stopped(&mut self.stopped) => return Err(StepError::Stopped),
                    }
                }
                Response::Ended(how) => {
                    ends += 1;
                    if ends > ENDS_MAX {
                        let at = describe(&step);
                        return Err(StepError::Failed(Failed {
                            message: format!(
                                "a worker ended {ends} times at the same {at}, at last with {how}"
                            ),
                            fix: None,
                        }));
                    }
                    tell(format!(
                        "a worker ended with {how} at {}: starting another",
                        describe(&step)
                    ));
                }
            }
        }
    }

    async fn ask(&mut self, step: &Value) -> Response {
        if *self.stopped.borrow() {
            self.end().await;
            return Response::Stopped;
        }
        let process = match self.process.take() {
            Some(process) => Ok(process),
            None => start((self.command)()),
        };
        let mut process = match process {
            Ok(process) => process,
            Err(error) => return Response::Ended(format!("\"{error}\"")),
        };
        let asked = tokio::select! {
            asked = process.ask(step) => Some(asked),
            () = stopped(&mut self.stopped) => None,
        };
        let Some(asked) = asked else {
            self.process = Some(process);
            self.end().await;
            return Response::Stopped;
        };
        if let Some(answer) = asked {
            self.process = Some(process);
            return Response::Answered(answer);
        }
        // It is gone, or answered with what is no answer.
        process.child.start_kill().ok();
        let status = process.child.wait().await;
        Response::Ended(
            // "signal: 9 (SIGKILL)" or "exit status: 1"
            status.map_or_else(|error| error.to_string(), |status| status.to_string()),
        )
    }

    /// Lets the process finish what it is doing.
    async fn end(&mut self) {
        if let Some(Process {
            mut child,
            steps,
            mut answers,
        }) = self.process.take()
        {
            drop(steps);
            // It may have an answer left to write.
            while let Ok(Some(_)) = answers.next_line().await {}
            child.wait().await.ok();
        }
    }
}

impl Process {
    async fn ask(&mut self, step: &Value) -> Option<Answer> {
        let step = format!("{step}\n");
        self.steps.write_all(step.as_bytes()).await.ok()?;
        self.steps.flush().await.ok()?;
        let answer = self.answers.next_line().await.ok()??;
        serde_json::from_str(&answer).ok()
    }
}

fn start(mut command: Command) -> std::io::Result<Process> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(steps), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(std::io::ErrorKind::BrokenPipe.into());
    };
    Ok(Process {
        child,
        steps,
        answers: BufReader::new(answers).lines(),
    })
}

/// What a step is about, for people.
fn describe(step: &Value) -> String {
    let name = step["step"].as_str().unwrap_or("step");
    match step["Items"][0]["range"].as_u64() {
        Some(range) => format!("{name} of range {range}"),
        None => format!("step {name}"),
    }
}
