//! Hands large objects over to the state machine.

use aws_sdk_sfn::error::SdkError;
use aws_sdk_sfn::operation::start_execution::StartExecutionError;
use serde_json::json;

use crate::aws::service_error;
use crate::error::{Class, Error};
use crate::event::ObjectCreated;
use crate::function::Context;
use crate::function::config::has_unique_keys;
use crate::import::Object;
use crate::jobs::JobKey;

/// Most characters of an execution's name.
///
/// <https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html>
const NAME_CHARACTERS_MAX: usize = 80;

/// Starts the state machine for an object if it is large and its rows may be written in any order. Tells whether it is the
/// state machine's.
pub(crate) async fn hand_over(context: &Context, created: &ObjectCreated) -> Result<bool, Error> {
    let Some(arn) = &context.config.large_state_machine_arn else {
        return Ok(false);
    };
    let object = match Object::head(&context.s3, &created.bucket, &created.key).await {
        Ok(object) => object,
        Err(error) if error.class() == Class::Retry => return Err(error),
        // The import finds the same, and reports it.
        Err(_) => return Ok(false),
    };
    let is_unique = has_unique_keys(&object.metadata).unwrap_or_default();
    if object.size_bytes <= context.config.large_bytes || !is_unique {
        return Ok(false);
    }
    let job = JobKey::of(created);
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
        .name(execution_name(&job.job))
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
        job = job.job,
        object = object.url(),
        bytes = object.size_bytes,
        "handed over to the state machine"
    );
    Ok(true)
}

/// A job's name without what an execution's may not have.
fn execution_name(job: &str) -> String {
    let fit = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
            c
        } else {
            '-'
        }
    };
    job.chars().map(fit).take(NAME_CHARACTERS_MAX).collect()
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
            assert_eq!(execution_name(job), name);
        }
        assert_eq!(execution_name(&"a".repeat(200)).len(), 80);
    }
}
