use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Semaphore, oneshot};

use super::environment::{Environment, KillSignal};
use super::error::InvokeError;
use super::program::LambdaProgram;
use crate::lock::lock;

/// A function and its execution environments.
///
/// Dropping it kills their processes.
#[derive(Debug)]
pub struct Function {
    program: LambdaProgram,
    /// One permit for each environment that may exist.
    slots: Semaphore,
    /// Environments without an event, the last used last.
    idle: Mutex<Vec<Environment>>,
    /// How to kill each environment at work.
    at_work: Mutex<Vec<oneshot::Sender<oneshot::Sender<()>>>>,
    /// How long after its beginning to kill each of the next invocations.
    kill_delays: Mutex<VecDeque<Duration>>,
    invocations: AtomicU64,
}

impl Function {
    /// A function with no execution environment yet; the first invocation starts one.
    pub fn new(program: LambdaProgram) -> Self {
        Self {
            slots: Semaphore::new(program.concurrency.max(1)),
            program,
            idle: Mutex::default(),
            at_work: Mutex::default(),
            kill_delays: Mutex::default(),
            invocations: AtomicU64::new(0),
        }
    }

    /// The function's configuration.
    pub fn program(&self) -> &LambdaProgram {
        &self.program
    }

    /// Gives `event` to the function and returns its result.
    ///
    /// Waits while all execution environments are busy. If the future is dropped, the environment at work is
    /// killed.
    ///
    /// # Errors
    ///
    /// The program cannot be started, or fails in one of the ways that [`InvokeError`] lists.
    pub async fn invoke(&self, event: Value) -> Result<Value, InvokeError> {
        // Never closed, so the only error cannot occur; without a permit there would just be no limit.
        let _slot = self.slots.acquire().await.ok();
        let mut environment = self.ready_environment().await?;
        self.invocations.fetch_add(1, Ordering::Relaxed);
        let (kill, asked) = oneshot::channel();
        {
            let mut at_work = lock(&self.at_work);
            at_work.retain(|kill| !kill.is_closed());
            at_work.push(kill);
        }
        let after = lock(&self.kill_delays).pop_front();
        let event = event.to_string().into();
        let result = environment.invoke(event, KillSignal { asked, after }).await;
        // Also if it ended: whoever takes it next finds out, as when it ends later.
        lock(&self.idle).push(environment);
        result
    }

    /// An environment that waits for an event: a used one that is still alive, or else a new one.
    async fn ready_environment(&self) -> Result<Environment, InvokeError> {
        loop {
            let used = lock(&self.idle).pop();
            let Some(mut environment) = used else { break };
            match environment.ready().await {
                Ok(()) => return Ok(environment),
                // It ended after its last response: Lambda starts another without a word to the caller.
                Err(error) => {
                    tracing::debug!(function = self.program.function_name, %error, "replacing an environment");
                }
            }
        }
        let mut environment = Environment::start(&self.program).await?;
        environment.ready().await?;
        Ok(environment)
    }

    /// How many invocations have begun.
    pub fn invocations(&self) -> u64 {
        self.invocations.load(Ordering::Relaxed)
    }

    /// How many environments have an event now.
    pub fn at_work(&self) -> usize {
        let at_work = lock(&self.at_work);
        at_work.iter().filter(|kill| !kill.is_closed()).count()
    }

    /// Kills, with SIGKILL, every environment that has an event, waits until they have ended, and says how many they
    /// were. Their invocations fail with [`InvokeError::Exited`], as on Lambda when a function crashes; the next ones get
    /// new environments.
    ///
    /// What they had sent may still arrive, as on AWS.
    pub async fn kill(&self) -> usize {
        let at_work = std::mem::take(&mut *lock(&self.at_work));
        let mut killed = 0;
        let asked: Vec<_> = at_work
            .into_iter()
            .filter_map(|kill| {
                let (done, ended) = oneshot::channel();
                kill.send(done).is_ok().then_some(ended)
            })
            .collect();
        for ended in asked {
            // One that had its result in the meantime is not killed, and drops the sender.
            killed += usize::from(ended.await.is_ok());
        }
        killed
    }

    /// Has the next invocations killed, with SIGKILL, each this long after it began, unless it ended before.
    ///
    /// Delays are used up one by one, by whatever invocation begins next; those of an earlier call come first.
    pub fn kill_next(&self, delays: impl IntoIterator<Item = Duration>) {
        lock(&self.kill_delays).extend(delays);
    }

    /// Takes back what [`kill_next`](Self::kill_next) has not done yet.
    pub fn spare(&self) {
        lock(&self.kill_delays).clear();
    }

    /// Kills the idle environments and waits until they have ended.
    pub async fn shutdown(self) {
        let idle = self
            .idle
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        for environment in idle {
            environment.kill().await;
        }
    }
}
