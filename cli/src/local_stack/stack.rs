//! A local stack for a command: the one that runs already, or a new one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use local::{Endpoints, LambdaProgram, Stack, StackOptions, StreamMappingOptions};

use super::state::{self, State};
use crate::terminal::{Failure, tell};

/// How soon a file that failed is tried again. On AWS it takes the queue's visibility timeout, a quarter of an hour;
/// here somebody waits for it at the keyboard.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// A local stack to use: one that runs already, or one that was started for this command.
#[derive(Debug)]
pub struct LocalStack {
    /// Where it listens.
    pub endpoints: Endpoints,
    own: Option<Stack>,
}

impl LocalStack {
    /// Finds the stack that `intake local` keeps up, or starts one without the functions, and says which.
    ///
    /// # Errors
    ///
    /// The stack does not start.
    pub async fn find_or_start() -> Result<Self, Failure> {
        if let Some(State { pid, endpoints }) = State::running(&state::path()) {
            let dynamodb = &endpoints.dynamodb;
            tell(format!(
                "using the local stack of process {pid} (DynamoDB at {dynamodb})"
            ));
            return Ok(Self {
                endpoints,
                own: None,
            });
        }
        tell(
            "no local stack is running: starting one for this command only (to keep one: intake local)",
        );
        let stack = start(StackOptions::default()).await?;
        Ok(Self {
            endpoints: stack.endpoints().clone(),
            own: Some(stack),
        })
    }

    /// Stops the stack if it was started for this command.
    pub async fn release(self) {
        if let Some(stack) = self.own {
            stack.shutdown().await;
        }
    }
}

/// Where the stack of `intake local` listens.
///
/// # Errors
///
/// None is running, so `consequence`.
pub fn running(consequence: &str) -> Result<Endpoints, Failure> {
    let state = State::running(&state::path()).ok_or_else(|| {
        Failure::new(format!("no local stack is running, so {consequence}"))
            .fix("keep one up in another terminal with: intake local")
    })?;
    Ok(state.endpoints)
}

/// How often jobs are saved here: somebody watches, and writing costs nothing.
const CHECKPOINT: (&str, &str) = ("INTAKE_CHECKPOINT_SECONDS", "0.5");

/// Both functions: their names on AWS, and those of their packages.
const IMPORTER: (&str, &str) = ("ProcessInventoryFile", "importer");
const NOTIFIER: (&str, &str) = ("NotifyInventoryUpdate", "notifier");

/// Options for a stack with both functions, of which the notifier reports the changes of `window` (whole seconds) in one
/// message; zero for a message for each batch. The functions are run by this very program, unless `built` is a folder that
/// has them as they are deployed.
pub(super) fn with_functions(
    window: Duration,
    built: Option<&Path>,
) -> Result<StackOptions, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::caused("cannot find the intake program itself", &error))?;
    let function = |(name, package): (&str, &str)| -> Result<LambdaProgram, Failure> {
        if let Some(folder) = built {
            return Ok(LambdaProgram::new(name, bootstrap(folder, name, package)?));
        }
        let mut function = LambdaProgram::new(name, &program);
        function.args = vec![OsString::from("lambda"), OsString::from(package)];
        Ok(function)
    };
    let mut importer = function(IMPORTER)?;
    let (name, seconds) = CHECKPOINT;
    importer.env.push((name.to_owned(), seconds.to_owned()));
    Ok(StackOptions {
        importer: Some(importer),
        notifier: Some(function(NOTIFIER)?),
        retry_delay: Some(RETRY_DELAY),
        stream: if window.is_zero() {
            StreamMappingOptions::without_window()
        } else {
            StreamMappingOptions::with_tumbling_window(window)
        },
        ..StackOptions::default()
    })
}

/// A function's file below `folder`, where SAM names it like the function and cargo-lambda like the package.
fn bootstrap(folder: &Path, name: &str, package: &str) -> Result<PathBuf, Failure> {
    let candidates = [name, package].map(|place| folder.join(place).join("bootstrap"));
    let found = candidates.iter().find(|file| file.is_file()).cloned();
    found.ok_or_else(|| {
        let [by_sam, by_cargo_lambda] = candidates.map(|file| file.display().to_string());
        Failure::new(format!("there is neither {by_sam} nor {by_cargo_lambda}"))
            .fix("run sam build and name .aws-sam/build, or run make build and name the folder that it prints")
    })
}

/// Starts a stack.
pub(super) async fn start(options: StackOptions) -> Result<Stack, Failure> {
    Stack::start(options)
        .await
        .map_err(|error| Failure::caused("the local stack does not start", &error))
}
