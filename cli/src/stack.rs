//! The local stack as commands use it: `intake local`, and `--local` of the others.

use std::ffi::OsString;
use std::io::{self, Write};
use std::time::Duration;

use local::{Endpoints, LambdaProgram, Ports, Stack, StackOptions};

use crate::args::LocalArgs;
use crate::outcome::{Failure, Outcome, tell};
use crate::signal;
use crate::state::{self, State};

/// Offsets from `--port`, also told in its help.
const PORT_OFFSETS: [u16; 6] = [0, 1, 2, 3, 4, 5];

/// How soon a file that failed is tried again. On AWS it takes the queue's visibility timeout, a quarter of an hour;
/// whoever waits for it here is at the keyboard.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// A local stack to use: one that runs already, or one that was started for this command.
#[derive(Debug)]
pub struct LocalStack {
    endpoints: Endpoints,
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

    /// Where it listens.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Stops the stack if it was started for this command.
    pub async fn release(self) {
        if let Some(stack) = self.own {
            stack.shutdown().await;
        }
    }
}

/// Where the stack listens that `intake local` keeps up, if there is one.
pub fn running() -> Option<Endpoints> {
    State::running(&state::path()).map(|state| state.endpoints)
}

/// Options for a stack with both functions, run by this very program.
///
/// # Errors
///
/// The system does not tell where this program is.
pub fn with_functions() -> Result<StackOptions, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::caused("cannot find the intake program itself", &error))?;
    let function = |name: &str, which: &str| {
        let mut function = LambdaProgram::new(name, &program);
        function.args = vec![OsString::from("lambda"), OsString::from(which)];
        function
    };
    Ok(StackOptions {
        importer: Some(function("ProcessInventoryFile", "importer")),
        notifier: Some(function("NotifyInventoryUpdate", "notifier")),
        retry_delay: Some(RETRY_DELAY),
        ..StackOptions::default()
    })
}

/// Starts a stack.
///
/// # Errors
///
/// What the stack could not do, in its own words.
pub async fn start(options: StackOptions) -> Result<Stack, Failure> {
    Stack::start(options)
        .await
        .map_err(|error| Failure::caused("the local stack does not start", &error))
}

/// `intake local`: runs until it is told to stop.
///
/// # Errors
///
/// The stack does not start, another one is running, or its note cannot be written.
pub async fn run(args: &LocalArgs) -> Result<Outcome, Failure> {
    let path = state::path();
    if let Some(running) = State::running(&path) {
        return Err(Failure::new(format!(
            "a local stack is running already, as process {}",
            running.pid
        ))
        .fix(format!(
            "use it with --local, stop it with: kill {}, or name another state file in {}",
            running.pid,
            state::PATH_VARIABLE
        )));
    }
    let mut options = with_functions()?;
    if let Some(port) = args.port {
        let [s3, dynamodb, sqs, sns, lambda, iam] = PORT_OFFSETS.map(|offset| port + offset);
        options.ports = Ports {
            s3,
            dynamodb,
            sqs,
            sns,
            lambda,
            iam,
        };
    }
    let mut signals = signal::Stop::listen()?;
    let stack = start(options).await?;
    let state = State {
        pid: std::process::id(),
        endpoints: stack.endpoints().clone(),
    };
    let kept = keep_up(&state, &path, &mut signals).await;
    state.remove(&path);
    stack.shutdown().await;
    kept.map(|()| Outcome::Complete)
}

async fn keep_up(
    state: &State,
    path: &std::path::Path,
    signals: &mut signal::Stop,
) -> Result<(), Failure> {
    state.write(path).map_err(|error| {
        Failure::caused(format!("cannot write {}", path.display()), &error)
            .fix(format!("name a writable file in {}", state::PATH_VARIABLE))
    })?;
    describe(&state.endpoints, &mut io::stdout().lock())?;
    signals.wait().await;
    Ok(())
}

fn describe(endpoints: &Endpoints, out: &mut impl Write) -> io::Result<()> {
    let Endpoints {
        s3,
        dynamodb,
        sqs,
        sns,
        lambda,
        iam,
        bucket,
        table,
        jobs_table,
        queue_url,
        topic_arn,
        ..
    } = endpoints;
    write!(
        out,
        "The local stack is up. Ctrl-C stops it.

  S3        {s3}  bucket {bucket}
  DynamoDB  {dynamodb}  tables {table}, {jobs_table}
  SQS       {sqs}  queue {queue_url}
  SNS       {sns}  topic {topic_arn}
  Lambda    {lambda}  configuration only
  IAM       {iam}  the functions' roles only

To use it from another terminal with the AWS CLI or an SDK:

"
    )?;
    for (name, value) in endpoints.env() {
        writeln!(out, "export {name}={value}")?;
    }
    write!(
        out,
        "
Then, for example:

  aws s3 cp catalog.csv s3://{bucket}/uploads/
  intake status --local                                  # the jobs of what was uploaded
  intake doctor --local                                  # whether everything is wired
  intake import catalog.csv --table {table} --local      # needs no export lines
"
    )?;
    out.flush()
}
