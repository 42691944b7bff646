use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::deployment::{self, REGION};

/// A Lambda function: the program that is its runtime, and its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LambdaProgram {
    /// The function's name.
    pub function_name: String,
    /// The executable that speaks the Runtime API.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// The function's environment variables; they win over the ones that the host sets.
    pub env: Vec<(String, String)>,
    /// How long one invocation may take.
    pub timeout: Duration,
    /// Memory size in MiB. It is told to the function, not enforced.
    pub memory_mb: u32,
    /// How many execution environments may exist at once (reserved concurrency); at least 1.
    pub concurrency: usize,
}

impl LambdaProgram {
    /// A function with no arguments or variables, a timeout of 15 minutes
    /// ([Lambda's longest](https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)), 128 MiB
    /// (its smallest size) and one execution environment.
    pub fn new(function_name: impl Into<String>, program: impl Into<PathBuf>) -> Self {
        Self {
            function_name: function_name.into(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            timeout: Duration::from_mins(15),
            memory_mb: 128,
            concurrency: 1,
        }
    }

    pub(crate) fn arn(&self) -> String {
        deployment::arn("lambda", &format!("function:{}", self.function_name))
    }

    /// The command that runs it against the Runtime API at `api`.
    ///
    /// Its environment has the [variables that Lambda defines](https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime)
    /// and no others: neither PATH nor HOME, so that no AWS configuration of whoever runs this has an effect.
    pub(super) fn command(&self, api: &str) -> Command {
        let mut command = Command::new(&self.program);
        let name = &self.function_name;
        command
            .args(&self.args)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", api)
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env(
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
                self.memory_mb.to_string(),
            )
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}"))
            .env(
                "AWS_LAMBDA_LOG_STREAM_NAME",
                format!("[$LATEST]{}", uuid::Uuid::new_v4().simple()),
            )
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .env("AWS_LAMBDA_LOG_LEVEL", "INFO")
            .env("AWS_REGION", REGION)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("_HANDLER", "bootstrap")
            .env("LANG", "en_US.UTF-8")
            .env("TZ", ":UTC")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}
