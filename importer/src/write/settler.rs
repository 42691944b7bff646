//! Settles batches: sends them, pays for every attempt, and tries again until each row is settled.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use rows::{Reason, Reject};
use tokio::time::Instant;

use super::batch::Batch;
use super::limiter::Limiter;
use super::writer::LaneWrite;
use crate::error::{Class, Error};
use crate::progress::Progress;
use crate::retry::{Attempts, Jitter, RetryPolicy};

/// Settles batches: each row ends as written or rejected, or there is an error.
#[derive(Debug)]
pub(crate) struct Settler {
    pub(crate) limiter: Limiter,
    pub(crate) policy: RetryPolicy,
    pub(crate) jitter: Jitter,
    pub(crate) progress: Arc<Progress>,
}

impl Settler {
    /// Writes all rows of `batch` over `lane` and gives those that DynamoDB refuses for good.
    ///
    /// DynamoDB refuses a whole request for one row that it does not like. Such a request is halved until the row
    /// stands alone, so that the others are written.
    pub(crate) async fn settle<L: LaneWrite>(
        &self,
        lane: &mut L,
        batch: &Batch,
    ) -> Result<Vec<Reject>, Error> {
        let mut rejects = Vec::new();
        let mut parts: VecDeque<Vec<usize>> = VecDeque::from([(0..batch.len()).collect()]);
        while let Some(part) = parts.pop_front() {
            let (refused, message) = match self.write(lane, batch, part).await? {
                Outcome::Written => continue,
                Outcome::Refused {
                    rows,
                    unsent,
                    message,
                } => {
                    if !unsent.is_empty() {
                        parts.push_front(unsent);
                    }
                    (rows, message)
                }
            };
            if let [row] = refused[..] {
                let reason = Reason::Refused { message };
                rejects.push(Reject::new(batch.position(row), reason, batch.item(row)));
            } else {
                let (first, second) = refused.split_at(refused.len() / 2);
                parts.push_front(second.to_vec());
                parts.push_front(first.to_vec());
            }
        }
        Ok(rejects)
    }

    /// Tries until all of `rows` are written or DynamoDB refuses the rest of them as they are.
    async fn write<L: LaneWrite>(
        &self,
        lane: &mut L,
        batch: &Batch,
        mut rows: Vec<usize>,
    ) -> Result<Outcome, Error> {
        let mut attempts = Attempts::new(self.policy, &self.jitter);
        // Rows that have to wait for another request.
        let mut unsent = Vec::new();
        // The body that writes what DynamoDB gave back, which is all of `rows`.
        let mut returned: Option<Bytes> = None;
        loop {
            let began = Instant::now();
            let turn = self.limiter.payer().await;
            if returned.is_none() {
                rows.append(&mut unsent);
                unsent = rows.split_off(rows_at_once(batch, &rows, turn.request_wcu_max()));
            }
            let paid = batch.wcu(&rows);
            turn.pay(paid).await;
            // A low cap makes a batch wait longer than failures may last.
            attempts.leave_out(began.elapsed());
            let body = returned.clone().unwrap_or_else(|| batch.body(&rows));
            let traffic = self.progress.traffic();
            traffic.sends(self.limiter.rate());
            let sent = Instant::now();
            let answer = lane.write(body).await;
            traffic.answered(sent.elapsed());
            let failure = match answer {
                Ok(written) => {
                    let before = rows.len();
                    rows = unprocessed_rows(batch, &rows, &written.unprocessed)?;
                    returned = written.unprocessed_body.filter(|_| !rows.is_empty());
                    let owed = batch.wcu(&rows);
                    let consumed = written.consumed_wcu.unwrap_or(f64::from(paid - owed));
                    self.limiter.settle(paid - owed, consumed, owed);
                    self.progress.wrote(before - rows.len(), consumed);
                    if rows.is_empty() {
                        if unsent.is_empty() {
                            return Ok(Outcome::Written);
                        }
                        attempts.progressed();
                        continue;
                    }
                    self.progress.throttled();
                    if rows.len() < before {
                        // The table is at its limit, not beyond it: the limiter paces, and a wait would idle the table.
                        attempts.progressed();
                        self.progress.retried();
                        continue;
                    }
                    Error::Throttled {
                        operation: "BatchWriteItem",
                        problem: "rows came back as UnprocessedItems".to_owned(),
                    }
                }
                Err(error) => match error.class() {
                    Class::Retry => {
                        if matches!(error, Error::Throttled { .. }) {
                            self.progress.throttled();
                            self.limiter.throttled(paid);
                        } else {
                            self.limiter.failed(paid);
                        }
                        error
                    }
                    // The rows are the same, but the bytes are not: only the batch's own can put a row at fault.
                    Class::RejectRow if returned.is_some() => {
                        self.limiter.failed(paid);
                        returned = None;
                        error
                    }
                    Class::RejectRow => {
                        self.limiter.failed(paid);
                        return Ok(Outcome::Refused {
                            rows,
                            unsent,
                            message: error.problem(),
                        });
                    }
                    Class::Fatal => return Err(error),
                },
            };
            self.progress.retried();
            let Some(wait) = attempts.failed() else {
                return Err(Error::RetriesExhausted {
                    operation: "BatchWriteItem",
                    attempts: attempts.count(),
                    elapsed: attempts.elapsed(),
                    rows_unwritten: rows.len() + unsent.len(),
                    source: Box::new(failure),
                });
            };
            tracing::debug!(attempt = attempts.count(), ?wait, error = %failure, "trying again");
            tokio::time::sleep(wait).await;
        }
    }
}

/// How many of `rows` one request of at most `wcu_max` may have: one at least.
fn rows_at_once(batch: &Batch, rows: &[usize], wcu_max: u32) -> usize {
    let mut wcu = 0_u32;
    let fits = rows.iter().take_while(|&&row| {
        wcu = wcu.saturating_add(batch.wcu(&[row]));
        wcu <= wcu_max
    });
    fits.count().max(1).min(rows.len())
}

enum Outcome {
    Written,
    Refused {
        rows: Vec<usize>,
        /// Rows that were not in the refused request.
        unsent: Vec<usize>,
        message: String,
    },
}

/// Which of the rows that were sent DynamoDB gave back.
fn unprocessed_rows(
    batch: &Batch,
    sent: &[usize],
    unprocessed: &[Vec<u8>],
) -> Result<Vec<usize>, Error> {
    // Going on would lose the row that it stands for.
    let unusable = |problem: &str| Error::Service {
        operation: "BatchWriteItem",
        problem: format!("UnprocessedItems holds a row {problem}"),
        class: Class::Fatal,
        fix: String::new(),
        source: None,
    };
    let mut rows = Vec::with_capacity(unprocessed.len());
    for key in unprocessed {
        let row = batch.row_with_key(key).filter(|row| sent.contains(row));
        rows.push(row.ok_or_else(|| unusable("that was not sent"))?);
    }
    rows.sort_unstable();
    if rows.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(unusable("twice"));
    }
    Ok(rows)
}
