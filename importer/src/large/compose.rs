//! The step `compose`: by the scans of all ranges, where the rows of each begin and end.

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::papers::{ByteRange, Papers, RowRange, Scanned, Split};
use crate::error::Error;
use crate::jobs::store::Changes;
use crate::jobs::{Job, JobKey, Mode};
use crate::lambda::Importer;
use crate::split::{self, Scan};

/// Scans that are read at once.
const SCANS_AHEAD: usize = 32;

impl Importer {
    pub(super) async fn compose(&self, key: &JobKey) -> Result<Value, Error> {
        let job = self.large_job(key).await?;
        let papers = self.papers(&job);
        let is_wanted = job.wants_range(0);
        let ranges = match job.mode {
            // Nothing is to be imported, and not all ranges may have been scanned.
            _ if !is_wanted => Vec::new(),
            Some(Mode::Split) => rows(&papers, &job).await?,
            _ => vec![RowRange::whole()],
        };
        papers.write(&papers.ranges(), &ranges).await?;
        if is_wanted {
            let changes = Changes::none().number("ranges", ranges.len() as u64);
            self.jobs.change(&job, changes).await?;
        }
        Ok(json!({
            "owner": job.owner,
            "job": job.job,
            "ranges": ranges.len(),
            "items": papers.place(&papers.ranges()),
        }))
    }
}

async fn rows(papers: &Papers, job: &Job) -> Result<Vec<RowRange>, Error> {
    let split: Split = papers.read(&papers.split()).await?;
    let ranges: Vec<ByteRange> = papers.read(&papers.plan()).await?;
    let scans: Vec<Scan> = stream::iter(ranges)
        .map(|range| scan_of(papers, &split, range, job))
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
    papers: &Papers,
    split: &Split,
    range: ByteRange,
    job: &Job,
) -> Result<Scan, Error> {
    let scanned: Scanned = papers.read(&papers.scan(range.range)).await?;
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
