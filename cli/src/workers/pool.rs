//! Worker processes, and steps that any of them may take.

use std::collections::VecDeque;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::worker::Answer;
use crate::outcome::tell;

/// How often a worker may end at the same step before that is given up.
const ENDS_MAX: u32 = 3;
/// How often a step that failed is tried again: longer, in all, than a killed worker's claim lasts.
const RETRIES_MAX: u32 = 20;
/// The pause before the first of these; doubled each time.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// Why steps were not taken to their end.
#[derive(Debug)]
pub(super) enum Broken {
    /// Somebody wants it to stop.
    Stopped,
    /// A step has failed for good: what went wrong.
    Failed(String),
}

/// How to start a worker.
pub(super) type Start = Arc<dyn Fn() -> Command + Send + Sync>;

/// Workers, as many as may be at work at once. They are started when there is something to do.
pub(super) struct Pool {
    workers: Vec<Worker>,
    start: Start,
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
}

impl Pool {
    pub(super) fn new(workers: usize, start: &Start) -> Self {
        let stop = watch::Sender::new(false);
        let worker = || Worker {
            process: None,
            start: Arc::clone(start),
            stopped: stop.subscribe(),
        };
        Self {
            workers: std::iter::repeat_with(worker).take(workers).collect(),
            start: Arc::clone(start),
            stop,
        }
    }

    pub(super) fn stop(&self) -> Stop {
        Stop(self.stop.clone())
    }

    /// Takes one step.
    pub(super) async fn one(&mut self, step: Value) -> Result<Value, Broken> {
        let taken = self.all(vec![step], |_| {}).await?;
        Ok(taken.into_iter().next().unwrap_or_default())
    }

    /// Takes all steps, in about this order, and tells `done` of each that has ended. The first that fails ends the others.
    pub(super) async fn all(
        &mut self,
        steps: Vec<Value>,
        done: impl Fn(&Value) + Send + Sync + 'static,
    ) -> Result<Vec<Value>, Broken> {
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
                        (Err(Broken::Stopped), Some(_)) => {}
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
        Self::new(1, &self.start)
    }
}

/// Waits until somebody asks to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the pool is gone: nobody wants anything any more.
    stop.wait_for(|stopped| *stopped).await.ok();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked while holding it ends the command.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process, if it is started.
struct Worker {
    process: Option<Process>,
    start: Start,
    stopped: watch::Receiver<bool>,
}

struct Process {
    child: Child,
    steps: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// What came of asking a process.
enum Asked {
    Answered(Answer),
    Ended(String),
    Stopped,
}

impl Worker {
    /// Takes a step, and again what of it is left, until all is done.
    async fn take(&mut self, mut step: Value) -> Result<Value, Broken> {
        let (mut ends, mut retries) = (0, 0);
        loop {
            match self.ask(&step).await {
                Asked::Stopped => return Err(Broken::Stopped),
                Asked::Answered(Answer::Done(answer)) if answer["done"] == false => {
                    step = answer;
                    (ends, retries) = (0, 0);
                }
                Asked::Answered(Answer::Done(answer)) => return Ok(answer),
                Asked::Answered(Answer::Error { kind, message }) => {
                    retries += 1;
                    if kind != "Intake.Retry" || retries > RETRIES_MAX {
                        return Err(Broken::Failed(message));
                    }
                    let pause = PAUSE * 2_u32.pow(retries.min(10) - 1);
                    // Workers that failed together do not try again together.
                    let pause = pause.min(PAUSE_MAX).mul_f64(0.5 + fastrand::f64() / 2.0);
                    tracing::warn!(message, ?pause, "a step is tried again");
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = stopped(&mut self.stopped) => return Err(Broken::Stopped),
                    }
                }
                Asked::Ended(how) => {
                    ends += 1;
                    if ends > ENDS_MAX {
                        return Err(Broken::Failed(format!(
                            "a worker ended {ends} times at the same {}, at last with {how}",
                            what(&step)
                        )));
                    }
                    tell(format!(
                        "a worker ended with {how} at {}: starting another",
                        what(&step)
                    ));
                }
            }
        }
    }

    async fn ask(&mut self, step: &Value) -> Asked {
        if *self.stopped.borrow() {
            self.end().await;
            return Asked::Stopped;
        }
        let process = match self.process.take() {
            Some(process) => Ok(process),
            None => start((self.start)()),
        };
        let mut process = match process {
            Ok(process) => process,
            Err(error) => return Asked::Ended(format!("\"{error}\"")),
        };
        let asked = tokio::select! {
            asked = process.ask(step) => Some(asked),
            () = stopped(&mut self.stopped) => None,
        };
        let Some(asked) = asked else {
            self.process = Some(process);
            self.end().await;
            return Asked::Stopped;
        };
        if let Some(answer) = asked {
            self.process = Some(process);
            return Asked::Answered(answer);
        }
        // It is gone, or says what no worker says.
        process.child.start_kill().ok();
        let status = process.child.wait().await;
        Asked::Ended(status.map_or_else(|error| error.to_string(), shown))
    }

    /// Lets the process end what it is at.
    async fn end(&mut self) {
        if let Some(Process {
            mut child,
            steps,
            mut answers,
        }) = self.process.take()
        {
            drop(steps);
            // It may have an answer left to tell.
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
fn what(step: &Value) -> String {
    let name = step["step"].as_str().unwrap_or("step");
    match step["Items"][0]["range"].as_u64() {
        Some(range) => format!("{name} of range {range}"),
        None => format!("step {name}"),
    }
}

fn shown(status: ExitStatus) -> String {
    // "signal: 9 (SIGKILL)" or "exit status: 1"
    status.to_string()
}
