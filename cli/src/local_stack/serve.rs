//! `intake local`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use local::{Endpoints, Ports, Stack};

use super::state::{self, State};
use super::{inbox, stack};
use crate::args::{LocalArgs, Protocol};
use crate::terminal::{Failure, Outcome, Output, Signals};

/// What is logged unless `RUST_LOG` says otherwise: the functions' logs are part of what one wants to see. A request that S3
/// refuses is no error of the stack: the client reports it.
pub const LOG_FILTER: &str = "warn,lambda=debug,s3s::ops=off";

/// Who can sign in to the dashboard at once. Nothing is sent to this address.
const DEMO_USER: &str = "demo@example.com";

/// Runs a stack until Ctrl-C.
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
    let mut options = stack::with_functions(window, args.functions.as_deref())?;
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
    let mut signals = Signals::listen()?;
    let stack = stack::start(options).await?;
    let state = State {
        pid: std::process::id(),
        endpoints: stack.endpoints().clone(),
    };
    let dashboard = dashboard_lines(&stack, is_built)?;
    let ended = tokio::select! {
        stopped = serve(&state, &path, args.window, &dashboard, &mut signals) => stopped,
        closed = show_inbox(&stack, args.inbox.as_deref()) => closed,
    };
    state.remove(&path);
    stack.shutdown().await;
    ended.map(|()| Outcome::Complete)
}

/// Shows the messages, if that is asked for, as long as somebody reads them.
async fn show_inbox(stack: &Stack, protocols: Option<&[Protocol]>) -> Result<(), Failure> {
    match protocols {
        Some(protocols) => match inbox::follow(stack, protocols).await {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            followed => Ok(followed?),
        },
        None => std::future::pending().await,
    }
}

async fn serve(
    state: &State,
    path: &Path,
    window: u64,
    dashboard: &str,
    signals: &mut Signals,
) -> Result<(), Failure> {
    state.write(path).map_err(|error| {
        Failure::caused(format!("cannot write {}", path.display()), &error)
            .fix(format!("name a writable file in {}", state::PATH_VARIABLE))
    })?;
    describe(&state.endpoints, window, dashboard, &mut Output::new())?;
    signals.wait().await;
    Ok(())
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

fn describe(
    endpoints: &Endpoints,
    window: u64,
    dashboard: &str,
    out: &mut impl Write,
) -> io::Result<()> {
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
        dashboard,
        if window == 0 {
            "Changes are told at once, each batch in a message of its own.".to_owned()
        } else {
            format!("Changes of {window} s are told in one message (--window; on AWS 60 s).")
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
