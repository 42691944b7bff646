//! The step `scan`: what ranges of bytes do to the state they begin in.

use futures::StreamExt;
use rows::split::Scan;
use serde_json::Value;
use tokio::time::Instant;

use super::documents::{self, ByteRange, Scanned, Split, StepDocuments};
use super::work::{Work, item};
use crate::error::Error;
use crate::function::keeper::keep;
use crate::function::{Context, Deadlines, Invocation};
use crate::import::{Object, Stop};
use crate::jobs::Job;

pub(super) async fn scan(
    context: &Context,
    work: Work,
    invocation: &Invocation,
) -> Result<Value, Error> {
    let (job, documents) = documents::of(context, &work.name.key()).await?;
    if job.cancel_requested || job.status.is_ended() {
        let all = work.items.len();
        return Ok(work.answer("scan", all));
    }
    work.check_executor(&job)?;
    let scanned = Box::pin(scan_ranges(context, work, invocation, &job, &documents));
    keep(
        &context.jobs,
        &job,
        Instant::now(),
        &Stop::default(),
        scanned,
    )
    .await
}

async fn scan_ranges(
    context: &Context,
    work: Work,
    invocation: &Invocation,
    job: &Job,
    documents: &StepDocuments,
) -> Result<Value, Error> {
    let deadlines = Deadlines::new(invocation.deadline);
    let split: Split = documents.read(&documents.split()).await?;
    let object = Object {
        bucket: job.bucket.clone(),
        key: job.key.clone(),
        version_id: None,
        etag: split.etag.clone(),
        last_modified: None,
        size_bytes: split.size_bytes,
        metadata: std::collections::HashMap::default(),
    };
    for (done, range) in work.items.iter().enumerate() {
        let range: ByteRange = item(range)?;
        let scanned = scan_range(context, &object, &split, range, documents);
        match tokio::time::timeout_at(deadlines.give_up, scanned).await {
            Ok(scanned) => scanned?,
            Err(_) if done == 0 => return Err(too_large(range)),
            Err(_) => return Ok(work.answer("scan", done)),
        }
        if Instant::now() >= deadlines.stop_reading {
            return Ok(work.answer("scan", done + 1));
        }
    }
    let all = work.items.len();
    Ok(work.answer("scan", all))
}

async fn scan_range(
    context: &Context,
    object: &Object,
    split: &Split,
    range: ByteRange,
    documents: &StepDocuments,
) -> Result<(), Error> {
    let syntax = split.syntax;
    let mut scan = Scan::none(syntax);
    let (mut pieces, emptied) = object.pieces(&context.s3, range.begin, range.end);
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        // Reading ahead goes on meanwhile.
        let scanned = tokio::task::spawn_blocking(move || (Scan::of(syntax, &piece), piece)).await;
        let (next, piece) = match scanned {
            Ok(scanned) => scanned,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        scan = scan.then(&next);
        // Without a receiver all parts have been requested.
        emptied.send(piece).ok();
    }
    let scanned = Scanned {
        range,
        etag: split.etag.clone(),
        scan,
    };
    documents
        .write(&documents.scan(range.range), &scanned)
        .await
}

/// The error for a range that takes longer than an invocation may: another one would not get further.
fn too_large(range: ByteRange) -> Error {
    Error::Unusable {
        problem: format!("range {} could not be read in one invocation", range.range),
        fix: "give the function more memory, which makes it faster, or import with smaller ranges (INTAKE_RANGE_BYTES)"
            .to_owned(),
    }
}
