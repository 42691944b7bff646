use std::process::ExitStatus;
use std::time::Duration;
use std::{fmt, io};

use crate::error::LocalError;

/// Why an invocation has no result. The messages are the ones Lambda logs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvokeError {
    /// The stack was started without the function.
    #[error("the stack has no such function; name its program in the options")]
    NoFunction,
    /// The program could not be started.
    #[error(
        "cannot start {program} as function {function}; build it first, or name another program"
    )]
    Start {
        /// The function.
        function: String,
        /// Its program.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The Runtime API of the function could not be served.
    #[error("cannot serve the Runtime API")]
    Api(#[source] LocalError),
    /// The program ended, reported an error or was too slow before it asked for its first event.
    #[error("function {function} failed to initialize: {reason}{output}")]
    Init {
        /// The function.
        function: String,
        /// What went wrong.
        reason: String,
        /// The last lines it wrote.
        output: Output,
    },
    /// The function returned an error.
    #[error("function {function} returned {error_type}: {error_message}")]
    Function {
        /// The function.
        function: String,
        /// `errorType` of the error.
        error_type: String,
        /// `errorMessage` of the error.
        error_message: String,
    },
    /// The program ended during the invocation.
    #[error("function {function} ended during an invocation: {status}{output}")]
    Exited {
        /// The function.
        function: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines it wrote.
        output: Output,
    },
    /// The invocation took longer than the function's timeout; the program was killed.
    #[error("function {function} timed out after {:.2} seconds{output}", timeout.as_secs_f64())]
    TimedOut {
        /// The function.
        function: String,
        /// Its timeout.
        timeout: Duration,
        /// The last lines it wrote.
        output: Output,
    },
    /// The response is not JSON.
    #[error("function {function} returned something that is not JSON")]
    Response {
        /// The function.
        function: String,
        /// Where it is not.
        #[source]
        source: serde_json::Error,
    },
    /// The program's state could not be read from the system.
    #[error("cannot watch the process of function {function}")]
    Watch {
        /// The function.
        function: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The last lines that a program wrote, each after a line break when displayed; nothing if it was silent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output(pub Vec<String>);

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}
