use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use local::runtime::{Function, InvokeError};
use serde_json::{Value, json};

use crate::function::program;

async fn pid(function: &Function) -> Value {
    function.invoke(json!({ "do": "describe" })).await.unwrap()["pid"].take()
}

#[tokio::test]
async fn an_event_goes_in_and_its_result_comes_out() {
    let function = Function::new(program("echo"));
    for event in [json!({ "a": [1, "ü", null] }), json!([]), json!("text")] {
        assert_eq!(function.invoke(event.clone()).await.unwrap(), event);
    }
    function.shutdown().await;
}

#[tokio::test]
async fn the_function_sees_what_lambda_shows_it_and_nothing_else() {
    let mut program = program("echo");
    program.memory_mb = 512;
    program.timeout = Duration::from_mins(10);
    program
        .env
        .push(("AWS_LAMBDA_LOG_LEVEL".to_owned(), "ERROR".to_owned()));
    let seen = Function::new(program)
        .invoke(json!({ "do": "describe" }))
        .await
        .unwrap();
    assert_eq!(seen["function_name"], "echo");
    assert_eq!(seen["memory_mb"], 512);
    assert_eq!(
        seen["arn"],
        "arn:aws:lambda:us-east-1:000000000000:function:echo"
    );
    assert!(seen["trace_id"].as_str().unwrap().starts_with("Root=1-"));
    let deadline = UNIX_EPOCH + Duration::from_millis(seen["deadline_ms"].as_u64().unwrap());
    let left = deadline.duration_since(SystemTime::now()).unwrap();
    assert!(
        left <= Duration::from_mins(10) && left > Duration::from_mins(5),
        "{left:?}"
    );
    let env = seen["env"].as_object().unwrap();
    assert_eq!(env["AWS_LAMBDA_FUNCTION_VERSION"], "$LATEST");
    assert_eq!(
        env["AWS_LAMBDA_LOG_LEVEL"], "ERROR",
        "the function's own variables win"
    );
    for leak in ["HOME", "PATH", "USER", "CARGO"] {
        assert!(!env.contains_key(leak), "{leak}");
    }
}

#[tokio::test]
async fn an_environment_is_reused_and_survives_an_error() {
    let function = Function::new(program("echo"));
    let first = pid(&function).await;
    let error = function.invoke(json!({ "do": "fail" })).await.unwrap_err();
    assert!(
        matches!(&error, InvokeError::Function { error_message, .. } if error_message == "told to fail"),
        "{error}"
    );
    assert_eq!(pid(&function).await, first);
}

#[tokio::test]
async fn a_crash_is_an_error_of_its_invocation_and_the_next_gets_a_new_process() {
    let function = Function::new(program("echo"));
    let first = pid(&function).await;
    let error = function.invoke(json!({ "do": "crash" })).await.unwrap_err();
    let InvokeError::Exited { status, output, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(status.code(), Some(7));
    assert!(
        output.0.iter().any(|line| line == "about to crash"),
        "{output}"
    );
    assert_ne!(pid(&function).await, first);
}

#[tokio::test]
async fn an_end_between_invocations_is_nobodys_error() {
    let function = Function::new(program("echo"));
    let first = function
        .invoke(json!({ "do": "crash-after" }))
        .await
        .unwrap();
    // Whenever it ends, an invocation is either done by it or by another; none is lost.
    let limit = Instant::now() + crate::client::LIMIT;
    while pid_or_exit(&function).await == Some(first.clone()) {
        assert!(Instant::now() < limit, "it never ended");
    }
    assert_ne!(pid(&function).await, first);
}

/// The process that served an invocation; `None` if it ended just then.
async fn pid_or_exit(function: &Function) -> Option<Value> {
    match function.invoke(json!({ "do": "describe" })).await {
        Ok(mut seen) => Some(seen["pid"].take()),
        Err(InvokeError::Exited { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn an_invocation_over_its_timeout_is_killed() {
    let mut program = program("echo");
    // Long enough to tell one's process in.
    program.timeout = Duration::from_secs(3);
    let function = Function::new(program);
    let first = pid(&function).await;
    let started = Instant::now();
    let error = function.invoke(json!({ "do": "hang" })).await.unwrap_err();
    assert!(matches!(error, InvokeError::TimedOut { .. }), "{error}");
    assert!(
        error.to_string().contains("timed out after 3.00 seconds"),
        "{error}"
    );
    assert!(started.elapsed() >= Duration::from_secs(3));
    assert_ne!(pid(&function).await, first);
}

#[tokio::test]
async fn a_program_that_cannot_start_says_why() {
    let error = Function::new(program("fails-to-start"))
        .invoke(json!({}))
        .await
        .unwrap_err();
    let InvokeError::Init { reason, output, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(reason, "it ended with exit status: 3");
    assert!(
        output.0.iter().any(|line| line == "no settings"),
        "{output}"
    );

    let missing = local::LambdaProgram::new("missing", "/no/such/program");
    let error = Function::new(missing).invoke(json!({})).await.unwrap_err();
    assert!(
        matches!(&error, InvokeError::Start { program, .. } if program == "/no/such/program"),
        "{error}"
    );
}

#[tokio::test]
async fn invocations_run_at_once_up_to_the_concurrency() {
    let mut program = program("echo");
    program.concurrency = 2;
    let function = Function::new(program);
    let (one, other) = tokio::join!(pid(&function), pid(&function));
    assert_ne!(one, other);
    let third = pid(&function).await;
    assert!(third == one || third == other);
}

fn killed(result: Result<Value, InvokeError>) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    match result {
        Err(InvokeError::Exited { status, .. }) => status.signal() == Some(9),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_at_work_is_killed_and_nothing_else() {
    let mut program = program("echo");
    program.concurrency = 3;
    let function = Function::new(program);
    let idle = pid(&function).await;
    assert_eq!(function.kill().await, 0, "none has an event");
    assert_eq!(pid(&function).await, idle);
    let kill_two = async {
        let limit = Instant::now() + crate::client::LIMIT;
        while function.at_work() < 2 {
            assert!(Instant::now() < limit, "they never began");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        function.kill().await
    };
    let hang = || function.invoke(json!({ "do": "hang" }));
    let (one, other, number) = tokio::join!(hang(), hang(), kill_two);
    assert_eq!(number, 2);
    assert!(killed(one) && killed(other));
    assert_eq!(function.at_work(), 0);
    assert_ne!(pid(&function).await, idle);
    assert_eq!(function.invocations(), 5);
}

#[tokio::test]
async fn the_next_invocations_are_killed_after_their_time() {
    const LIFE: Duration = Duration::from_millis(200);
    let function = Function::new(program("echo"));
    function.kill_next([Duration::from_hours(1), LIFE]);
    let first = pid(&function).await;
    let began = Instant::now();
    assert!(killed(function.invoke(json!({ "do": "hang" })).await));
    assert!(began.elapsed() >= LIFE);
    assert_ne!(pid(&function).await, first);
    function.kill_next([Duration::ZERO]);
    function.spare();
    pid(&function).await;
}
