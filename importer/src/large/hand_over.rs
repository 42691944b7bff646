//! Hands large objects over to the state machine.

use aws_sdk_sfn::error::SdkError;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use serde_json::json;

use crate::aws::service_error;
use crate::error::Error;
use crate::event::ObjectCreated;
use crate::function::Context;
use crate::function::config::has_unique_keys;
use crate::import::Object;
use crate::jobs::Identity;

/// Most characters of an execution's name.
///
/// <https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html>
const NAME_CHARACTERS_MAX: usize = 80;

/// Whether the state machine is to import an object: it is large, and its rows may be written in any order.
pub(crate) fn is_large(context: &Context, object: &Object) -> bool {
    // Metadata that does not fit is found by the import, which reports it.
    context.config.large_state_machine_arn.is_some()
        && object.size_bytes > context.config.large_bytes
        && has_unique_keys(&object.metadata).unwrap_or_default()
}

/// Starts the state machine for an object. An attempt is started once.
pub(crate) async fn start(
    context: &Context,
    created: &ObjectCreated,
    identity: &Identity,
    attempt: u32,
) -> Result<(), Error> {
    let arn = context.config.large_state_machine_arn.as_deref();
    let arn = arn.ok_or_else(|| Error::Unusable {
        problem: "the import of the object needs the state machine that began it".to_owned(),
        fix: "set INTAKE_LARGE_STATE_MACHINE_ARN".to_owned(),
    })?;
    let job = identity.job_key().job;
    let mut input = json!({ "bucket": created.bucket, "key": created.key });
    for (name, value) in [
        ("etag", &created.etag),
        ("version_id", &created.version_id),
        ("sequencer", &created.sequencer),
        ("time", &created.time),
    ] {
        if let Some(value) = value {
            input[name] = json!(value);
        }
    }
    let started = context
        .sfn
        .start_execution()
        .state_machine_arn(arn)
        .name(execution_name(&job, attempt))
        .input(input.to_string())
        .send()
        .await;
    match started {
        Ok(_) => {}
        // An event comes twice now and then.
        Err(SdkError::ServiceError(error))
            if matches!(error.err(), StartExecutionError::ExecutionAlreadyExists(_)) => {}
        Err(error) => return Err(service_error("StartExecution", arn, error)),
    }
    tracing::info!(
        job,
        bucket = created.bucket,
        key = created.key,
        "handed over to the state machine"
    );
    Ok(())
}

/// A job's name without what an execution's may not have. One that takes a dead one's place has a name of its own.
fn execution_name(job: &str, attempt: u32) -> String {
    let fit = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
            c
        } else {
            '-'
        }
    };
    let suffix = match attempt {
        0 => String::new(),
        attempt => format!("-{attempt}"),
    };
    let job = job
        .chars()
        .map(fit)
        .take(NAME_CHARACTERS_MAX - suffix.len());
    job.collect::<String>() + &suffix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit() {
        for (job, name) in [
            ("20261123T100000000Z-00ff", "20261123T100000000Z-00ff"),
            ("a b/c:ä", "a-b-c--"),
            ("", ""),
        ] {
            assert_eq!(execution_name(job, 0), name);
        }
        assert_eq!(execution_name(&"a".repeat(200), 12).len(), 80);
    }
}
