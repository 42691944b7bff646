//! `intake worker`: takes steps of large imports from standard input, a line of JSON each, and answers on standard output.

use std::io::{self, BufRead as _, Write as _};
use std::time::{Duration, SystemTime};

use importer::function::Config;
use importer::{Importer, Invocation, StopReason, diagnostic, import};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::terminal::{Failure, Outcome};

/// How long a worker has for one step. It then continues with the same range; but for as long nothing else can after it and
/// its coordinator were killed.
const STEP_LIMIT: Duration = Duration::from_mins(3);

/// A worker's answer to a step.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// It went well.
    Done(Value),
    /// It failed.
    Error {
        /// As for the state machine: whether to try again.
        kind: String,
        /// For people.
        message: String,
        /// What to do about it, if that is known.
        fix: Option<String>,
    },
}

/// Works until standard input ends.
///
/// # Errors
///
/// The environment is incomplete, or the answers cannot be written.
pub async fn run() -> Result<Outcome, Failure> {
    let config = Config::from_env(|name| std::env::var(name).ok())?;
    let importer = Importer::new(config, cloud::sdk_config().await?);
    let mut steps = lines();
    let mut number = 0_u64;
    while let Some(step) = steps.recv().await {
        number += 1;
        let step: Value = serde_json::from_str(&step)
            .map_err(|error| Failure::caused("a step is not JSON", &error))?;
        let invocation = Invocation {
            request_id: format!("{}-{number}", std::process::id()),
            deadline: SystemTime::now() + STEP_LIMIT,
        };
        let handled = importer.handle(step, invocation);
        let mut handled = std::pin::pin!(handled);
        let handled = tokio::select! {
            handled = &mut handled => handled,
            // One step at a time is asked for: this is the end.
            _ = steps.recv() => {
                importer.stop(StopReason::Interrupted);
                handled.await
            }
        };
        let answer = match handled {
            Ok(answer) => Answer::Done(answer),
            Err(error) => {
                let lambda = diagnostic(&error);
                // A reason may be long: what to do about it travels by itself, so that it is never cut off.
                let known = error.downcast_ref::<importer::Error>();
                let known = known.map(import::Failure::from);
                Answer::Error {
                    kind: lambda.error_type,
                    fix: known.as_ref().and_then(|failure| failure.fix.clone()),
                    message: known.map_or(lambda.error_message, |failure| failure.message),
                }
            }
        };
        let answer = serde_json::to_string(&answer)
            .map_err(|error| Failure::caused("an answer is not JSON", &error))?;
        let mut out = io::stdout();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(Outcome::Complete)
}

/// The lines of standard input, read on a thread of its own: it may wait for ever.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}
