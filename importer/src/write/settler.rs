//! Settles batches: sends them, pays for every attempt, and tries again until each row is settled.

use std::collections::VecDeque;
use std::sync::Arc;

use rows::{Reason, Reject};
use tokio::sync::SetOnce;
use tokio::time::Instant;

use super::batch::Batch;
use super::late::LateRequests;
use super::limiter::Limiter;
use super::partial::PartialBatches;
use super::writer::LaneWrite;
use crate::error::{Class, Error};
use crate::progress::Progress;
use crate::retry::{Attempts, Jitter, RetryPolicy, Standstill};

/// Settles batches: each row ends as written or rejected, or there is an error, or the batch is abandoned.
#[derive(Debug)]
pub(crate) struct Settler {
    pub(crate) limiter: Limiter,
    pub(crate) policy: RetryPolicy,
    pub(crate) jitter: Jitter,
    pub(crate) progress: Arc<Progress>,
    /// Ends all waiting once it is set. A request that was sent is settled even then.
    pub(crate) abandoned: Arc<SetOnce<()>>,
    pub(crate) late: LateRequests,
    pub(crate) partial: PartialBatches,
    pub(crate) standstill: Standstill,
}

impl Settler {
    /// Writes all rows of `batch` over `lane` and gives those that DynamoDB refuses for good; none if it was abandoned,
    /// perhaps half written.
    ///
    /// DynamoDB refuses a whole request for one row that it does not like. Such a request is halved until the row
    /// stands alone, so that the others are written.
    pub(crate) async fn settle<L: LaneWrite>(
        &self,
        lane: &mut L,
        batch: &Batch,
    ) -> Result<Option<Vec<Reject>>, Error> {
        let waiting = self.late.wait_for(batch, &self.progress);
        if self.unless_abandoned(waiting).await.is_none() {
            return Ok(None);
        }
        let mut rejects = Vec::new();
        let unwritten = self.partial.unwritten(batch);
        if unwritten.len() < batch.len() {
            // An attempt before has written them.
            self.progress.wrote(batch.len() - unwritten.len(), 0.0);
        }
        let mut parts = VecDeque::from([unwritten]);
        parts.retain(|part| !part.is_empty());
        while let Some(part) = parts.pop_front() {
            let (refused, message) = match self.write(lane, batch, part).await? {
                Outcome::Written => continue,
                Outcome::Abandoned => return Ok(None),
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
        Ok(Some(rejects))
    }

    /// Waits, unless there is nothing to wait for any longer.
    pub(crate) async fn unless_abandoned<T>(&self, waiting: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.abandoned.wait() => None,
            waited = waiting => Some(waited),
        }
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
        loop {
            let began = Instant::now();
            let paying = async {
                let turn = self.limiter.payer().await;
                rows.append(&mut unsent);
                unsent = rows.split_off(rows_at_once(batch, &rows, turn.request_wcu_max()));
                let paid = batch.wcu(&rows);
                turn.pay(paid).await;
                paid
            };
            let Some(paid) = self.unless_abandoned(paying).await else {
                return Ok(Outcome::Abandoned);
            };
            // A low cap makes a batch wait longer than failures may last.
            attempts.leave_out(began.elapsed());
            let traffic = self.progress.traffic();
            traffic.sends(self.limiter.rate());
            let sent = Instant::now();
            let request = self.late.sends(batch, &rows);
            let answer = lane.write(batch.body(&rows)).await;
            match answer.as_ref().map_err(Error::class) {
                // What is dropped counts as late.
                Err(Class::Unanswered) => drop(request),
                Ok(_) | Err(Class::Retry | Class::RejectRow | Class::Fatal) => request.answered(),
            }
            traffic.answered(sent.elapsed());
            let failure = match answer {
                Ok(written) => {
                    let sent = rows;
                    rows = unprocessed_rows(batch, &sent, &written.unprocessed)?;
                    let wrote = sent.len() - rows.len();
                    if wrote > 0 {
                        self.standstill.ended();
                    }
                    if wrote < batch.len() {
                        let wrote = sent.into_iter().filter(|row| !rows.contains(row));
                        self.partial.wrote(batch, wrote);
                    }
                    let owed = batch.wcu(&rows);
                    let consumed = written.consumed_wcu.unwrap_or(f64::from(paid - owed));
                    self.limiter.settle(paid - owed, consumed, owed);
                    self.progress.wrote(wrote, consumed);
                    if rows.is_empty() {
                        if unsent.is_empty() {
                            return Ok(Outcome::Written);
                        }
                        attempts.progressed();
                        continue;
                    }
                    self.progress.throttled();
                    if wrote > 0 {
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
                    Class::Retry | Class::Unanswered => {
                        if matches!(error, Error::Throttled { .. }) {
                            self.progress.throttled();
                            self.limiter.throttled(paid);
                        } else {
                            self.limiter.failed(paid);
                        }
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
            let is_over = self.standstill.failed(self.policy.budget);
            let Some(wait) = attempts.failed().filter(|_| !is_over) else {
                return Err(Error::RetriesExhausted {
                    operation: "BatchWriteItem",
                    attempts: attempts.count(),
                    elapsed: attempts.elapsed(),
                    rows_unwritten: rows.len() + unsent.len(),
                    source: Box::new(failure),
                });
            };
            tracing::debug!(attempt = attempts.count(), ?wait, error = %failure, "trying again");
            let waited = self.unless_abandoned(tokio::time::sleep(wait)).await;
            if waited.is_none() {
                return Ok(Outcome::Abandoned);
            }
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
    /// There was no time to wait until they could be sent.
    Abandoned,
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
