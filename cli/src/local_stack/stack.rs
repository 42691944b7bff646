//! The local stack as commands use it: `intake local`, and `--local` of the others.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use local::{Endpoints, LambdaProgram, Ports, Stack, StackOptions, StreamMappingOptions};

use crate::args::LocalArgs;
use crate::inbox;
use crate::outcome::{Failure, Outcome, tell};
use crate::signal;
use crate::state::{self, State};

/// Who can sign in to the dashboard of `intake local` at once. Nothing is sent to this address.
const DEMO_USER: &str = "demo@example.com";

/// How soon a file that failed is tried again. On AWS it takes the queue's visibility timeout, a quarter of an hour;
/// whoever waits for it here is at the keyboard.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Tumbling window of `intake local` if no other is asked for. On AWS it is a minute; nobody waits that long here.
pub const LOCAL_WINDOW: Duration = Duration::ZERO;
/// Tumbling window of the demonstration.
pub const DEMO_WINDOW: Duration = Duration::ZERO;

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

/// How often jobs are saved here: somebody watches, and writing costs nothing.
const CHECKPOINT: (&str, &str) = ("INTAKE_CHECKPOINT_SECONDS", "0.5");

/// Both functions: their names on AWS, and those of their packages.
const IMPORTER: (&str, &str) = ("ProcessInventoryFile", "importer");
const NOTIFIER: (&str, &str) = ("NotifyInventoryUpdate", "notifier");

/// Options for a stack with both functions, of which the notifier tells the changes of `window` (whole seconds) in one
/// message; zero for a message for each batch. The functions are run by this very program, unless `built` is a folder that
/// has them as they are deployed.
///
/// # Errors
///
/// The system does not tell where this program is, or a function is not in the folder.
pub fn with_functions(window: Duration, built: Option<&Path>) -> Result<StackOptions, Failure> {
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
    let window = Duration::from_secs(args.window);
    let mut options = with_functions(window, args.functions.as_deref())?;
    if let Some(port) = args.port {
        options.ports = Ports::starting_at(port);
    }
    let dashboard = args.dashboard.clone().unwrap_or_else(built_dashboard);
    let is_built = dashboard.join("index.html").is_file();
    if args.dashboard.is_some() && !is_built {
        let missing = format!("there is no index.html in {}", dashboard.display());
        return Err(Failure::new(missing).fix(BUILD_DASHBOARD));
    }
    options.dashboard = Some(dashboard);
    let mut signals = signal::Stop::listen()?;
    let stack = start(options).await?;
    let state = State {
        pid: std::process::id(),
        endpoints: stack.endpoints().clone(),
    };
    let dashboard = dashboard_lines(&stack, is_built)?;
    let told = Told {
        window: args.window,
        dashboard,
    };
    let kept = tokio::select! {
        kept = keep_up(&state, &path, &told, &mut signals) => kept,
        closed = show_inbox(&stack, args.inbox.as_deref()) => closed,
    };
    state.remove(&path);
    stack.shutdown().await;
    kept.map(|()| Outcome::Complete)
}

/// Shows the messages, if that is asked for, as long as somebody reads them.
async fn show_inbox(stack: &Stack, protocols: Option<&[inbox::Protocol]>) -> Result<(), Failure> {
    match protocols {
        Some(protocols) => Ok(inbox::follow(stack, protocols).await?),
        None => std::future::pending().await,
    }
}

async fn keep_up(
    state: &State,
    path: &Path,
    told: &Told,
    signals: &mut signal::Stop,
) -> Result<(), Failure> {
    state.write(path).map_err(|error| {
        Failure::caused(format!("cannot write {}", path.display()), &error)
            .fix(format!("name a writable file in {}", state::PATH_VARIABLE))
    })?;
    describe(&state.endpoints, told, &mut io::stdout().lock())?;
    signals.wait().await;
    Ok(())
}

/// What is told of the stack besides where it is.
struct Told {
    /// Whole seconds.
    window: u64,
    /// How to get into the dashboard.
    dashboard: String,
}

/// How the dashboard is built.
const BUILD_DASHBOARD: &str =
    "build it in the folder dashboard of the sources: npm ci && npm run build";

/// Where the build of the dashboard leaves it: in these sources, or else in those that the command is run in.
fn built_dashboard() -> PathBuf {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboard/dist");
    if sources.is_dir() {
        sources
    } else {
        PathBuf::from("dashboard/dist")
    }
}

/// Adds somebody who can sign in, and says how.
fn dashboard_lines(stack: &Stack, is_built: bool) -> Result<String, Failure> {
    let password = stack.cognito().add_user(DEMO_USER);
    let password =
        password.map_err(|error| Failure::caused("cannot add a user to the local pool", &error))?;
    let url = &stack.endpoints().dashboard;
    Ok(if is_built {
        format!(
            "{url}/
            sign in as {DEMO_USER}, password {password}, or sign up with any address"
        )
    } else {
        format!(
            "not built; {BUILD_DASHBOARD}
            then it is at {url}/, for {DEMO_USER}, password {password}"
        )
    })
}

fn describe(endpoints: &Endpoints, told: &Told, out: &mut impl Write) -> io::Result<()> {
    let Endpoints {
        s3,
        dynamodb,
        sqs,
        sns,
        lambda,
        iam,
        cognito,
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
  Cognito   {cognito}  pool {}, inbox {cognito}/inbox
  Dashboard {}

{}

To use it from another terminal with the AWS CLI or an SDK:

",
        local::cognito::USER_POOL_ID,
        told.dashboard,
        if told.window == 0 {
            "Changes are told at once, each batch in a message of its own.".to_owned()
        } else {
            format!(
                "Changes of {} s are told in one message (--window; on AWS 60 s).",
                told.window
            )
        }
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
