//! The step `compose`: by the scans of all ranges, where the rows of each begin and end.

use futures::{StreamExt, TryStreamExt, stream};
use rows::split::{self, Scan};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::documents::{self, ByteRange, RowRange, Scanned, Split, StepDocuments};
use crate::error::Error;
use crate::function::Context;
use crate::function::keeper::keep;
use crate::import::Stop;
use crate::jobs::{Changes, Job, JobKey, Mode};

/// Scans that are read at once.
const SCANS_AHEAD: usize = 32;

pub(super) async fn compose(context: &Context, key: &JobKey) -> Result<Value, Error> {
    let (job, documents) = documents::of(context, key).await?;
    let is_wanted = job.wants_range(0);
    let composed = async {
        Ok::<_, Error>(match job.mode {
            // Nothing is to be imported, and not all ranges may have been scanned.
            _ if !is_wanted => Vec::new(),
            Some(Mode::Split) => rows(&documents, &job).await?,
            _ => vec![RowRange::whole()],
        })
    };
    let composed = Box::pin(composed);
    let ranges: Vec<RowRange> = keep(
        &context.jobs,
        &job,
        Instant::now(),
        &Stop::default(),
        composed,
    )
    .await?;
    documents.write(&documents.ranges(), &ranges).await?;
    if is_wanted {
        let changes = Changes::none().number("ranges", ranges.len() as u64);
        context.jobs.change(&job, changes).await?;
    }
    Ok(json!({
        "owner": job.owner,
        "job": job.job,
        "ranges": ranges.len(),
        "items": documents.place(&documents.ranges()),
    }))
}

async fn rows(documents: &StepDocuments, job: &Job) -> Result<Vec<RowRange>, Error> {
    let split: Split = documents.read(&documents.split()).await?;
    let ranges: Vec<ByteRange> = documents.read(&documents.plan()).await?;
    let scans: Vec<Scan> = stream::iter(ranges)
        .map(|range| scan_of(documents, &split, range, job))
        .buffered(SCANS_AHEAD)
        .try_collect()
        .await?;
    let parts = split::cut(split.first, &scans);
    let ranges = parts.into_iter().zip(0..).map(|(part, range)| RowRange {
        range,
        from: Some(part.from),
        until: part.until,
        rows: part.rows,
    });
    Ok(ranges.collect())
}

async fn scan_of(
    documents: &StepDocuments,
    split: &Split,
    range: ByteRange,
    job: &Job,
) -> Result<Scan, Error> {
    let scanned: Scanned = documents.read(&documents.scan(range.range)).await?;
    let bytes = range.end - range.begin;
    if (scanned.range, &scanned.etag, scanned.scan.bytes()) != (range, &split.etag, bytes) {
        return Err(Error::Unusable {
            problem: format!(
                "the scan of range {} of {} is of another range",
                range.range,
                job.url()
            ),
            fix: "scan all ranges of the plan, then compose".to_owned(),
        });
    }
    Ok(scanned.scan)
}
