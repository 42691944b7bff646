//! Writes batches: sends them, pays for every attempt, and tries again until each row is settled.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::Arc;

use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, PutRequest, ReturnConsumedCapacity,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use tokio::time::Instant;

use crate::aws::service_error;
use crate::batch::Batch;
use crate::encoder::Scalar;
use crate::error::{Class, Error};
use crate::key::{append_key, key_value};
use crate::limiter::Limiter;
use crate::progress::Progress;
use crate::reject::{Reason, Reject};
use crate::retry::{Attempts, Jitter, RetryPolicy};
use crate::schema::Schema;

/// Puts the rows of a request body into a table; one attempt, no retries.
pub trait BatchWrite: Send + Sync + 'static {
    /// Sends `body`, a `BatchWriteItem` request as [`Batch::body`] makes it.
    ///
    /// # Errors
    ///
    /// [`Error::class`] says whether to try again, to look for the row at fault, or to give up.
    fn write(&self, body: Bytes) -> impl Future<Output = Result<Written, Error>> + Send;
}

/// DynamoDB's answer to a request.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Written {
    /// Keys of the rows that DynamoDB did not take, in the form of [`crate::row::Row::key`].
    pub unprocessed: Vec<Vec<u8>>,
    /// WCU consumed, indexes included, if DynamoDB says so.
    pub consumed_wcu: Option<f64>,
}

/// [`BatchWrite`] by the AWS SDK.
///
/// The SDK signs, sends and reads the answer; the body it would make from `AttributeValue`s is replaced by the batch's
/// own bytes.
#[derive(Debug, Clone)]
pub struct SdkWriter {
    client: aws_sdk_dynamodb::Client,
    schema: Arc<Schema>,
}

impl SdkWriter {
    /// A writer into the table of `schema`. Retries of the SDK's own are off: the importer pays for each attempt.
    pub fn new(config: &aws_config::SdkConfig, schema: Arc<Schema>) -> Self {
        let config = aws_sdk_dynamodb::config::Builder::from(config)
            .retry_config(aws_config::retry::RetryConfig::disabled())
            .build();
        Self {
            client: aws_sdk_dynamodb::Client::from_conf(config),
            schema,
        }
    }
}

impl BatchWrite for SdkWriter {
    async fn write(&self, body: Bytes) -> Result<Written, Error> {
        let output = self
            .client
            .batch_write_item()
            // The table's name picks the endpoint; its rows are in the body.
            .request_items(&self.schema.table, Vec::new())
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .customize()
            .mutate_request(move |request| {
                // The length is signed, so it must be that of the body that is sent.
                request
                    .headers_mut()
                    .insert("content-length", body.len().to_string());
                *request.body_mut() = SdkBody::from(body.clone());
            })
            .send()
            .await
            .map_err(|e| service_error("BatchWriteItem", &self.schema.table, e))?;
        let mut unprocessed = Vec::new();
        for request in output
            .unprocessed_items()
            .into_iter()
            .flat_map(HashMap::values)
            .flatten()
        {
            let item = request.put_request().map(PutRequest::item);
            unprocessed.push(item.map_or_else(Vec::new, |item| key_of(&self.schema, item)));
        }
        let consumed = output.consumed_capacity();
        Ok(Written {
            unprocessed,
            consumed_wcu: consumed
                .iter()
                .filter_map(ConsumedCapacity::capacity_units)
                .reduce(|a, b| a + b),
        })
    }
}

/// The primary key of an item as the SDK gives it, in the form of [`crate::row::Row::key`]. Empty if it has none.
fn key_of(schema: &Schema, item: &HashMap<String, AttributeValue>) -> Vec<u8> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let mut key = Vec::new();
    for attribute in &schema.key {
        let base64;
        let value = match item.get(&attribute.name) {
            Some(AttributeValue::S(text)) => Scalar::S(text),
            Some(AttributeValue::N(text)) => Scalar::N(text),
            Some(AttributeValue::B(blob)) => {
                base64 = STANDARD.encode(blob);
                Scalar::B(&base64)
            }
            _ => return Vec::new(),
        };
        match key_value(attribute, value) {
            Ok(value) => append_key(&mut key, &value),
            Err(_) => return Vec::new(),
        }
    }
    key
}

/// [`BatchWrite`] that writes nothing and takes every row: for `--dry-run`.
#[derive(Debug, Clone, Copy)]
pub struct DryRun;

impl BatchWrite for DryRun {
    async fn write(&self, _body: Bytes) -> Result<Written, Error> {
        Ok(Written::default())
    }
}

/// Settles batches: each row ends as written or rejected, or there is an error.
#[derive(Debug)]
pub(crate) struct Settler<W> {
    pub(crate) writer: W,
    pub(crate) table: String,
    pub(crate) limiter: Limiter,
    pub(crate) policy: RetryPolicy,
    pub(crate) jitter: Jitter,
    pub(crate) progress: Arc<Progress>,
}

impl<W: BatchWrite> Settler<W> {
    /// Writes all rows of `batch` and gives those that DynamoDB refuses for good.
    ///
    /// DynamoDB refuses a whole request for one row that it does not like. Such a request is halved until the row
    /// stands alone, so that the others are written.
    pub(crate) async fn settle(&self, batch: &Batch) -> Result<Vec<Reject>, Error> {
        let mut rejects = Vec::new();
        let mut parts: VecDeque<Vec<usize>> = VecDeque::from([(0..batch.len()).collect()]);
        while let Some(part) = parts.pop_front() {
            let (refused, message) = match self.write(batch, part).await? {
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
    async fn write(&self, batch: &Batch, mut rows: Vec<usize>) -> Result<Outcome, Error> {
        let mut attempts = Attempts::new(self.policy, &self.jitter);
        loop {
            let began = Instant::now();
            let turn = self.limiter.turn().await;
            let mut unsent = rows.split_off(rows_at_once(batch, &rows, turn.request_wcu_max()));
            let paid = batch.wcu(&rows);
            turn.pay(paid).await;
            // A low cap makes a batch wait longer than failures may last.
            attempts.leave_out(began.elapsed());
            let body = Bytes::from(batch.body(&self.table, &rows));
            let failure = match self.writer.write(body).await {
                Ok(written) => {
                    let before = rows.len();
                    rows = unprocessed_rows(batch, &rows, &written.unprocessed)?;
                    let owed = batch.wcu(&rows);
                    let consumed = written.consumed_wcu.unwrap_or(f64::from(paid - owed));
                    self.limiter.settle(paid - owed, consumed, owed);
                    self.progress.wrote(before - rows.len(), consumed);
                    let wrote_some = rows.len() < before;
                    if wrote_some {
                        attempts.progressed();
                    }
                    if rows.is_empty() {
                        if unsent.is_empty() {
                            return Ok(Outcome::Written);
                        }
                        rows = unsent;
                        continue;
                    }
                    self.progress.throttled();
                    if wrote_some {
                        // The table is at its limit, not beyond it: the limiter paces, and a wait would idle the table.
                        self.progress.retried();
                        rows.append(&mut unsent);
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
            rows.append(&mut unsent);
            self.progress.retried();
            let Some(wait) = attempts.failed() else {
                return Err(Error::RetriesExhausted {
                    operation: "BatchWriteItem",
                    attempts: attempts.count(),
                    elapsed: attempts.elapsed(),
                    rows_unwritten: rows.len(),
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
    let mut rows = Vec::with_capacity(unprocessed.len());
    for key in unprocessed {
        match batch.row_with_key(key).filter(|row| sent.contains(row)) {
            Some(row) => rows.push(row),
            // Going on would lose the row that this stands for.
            None => {
                return Err(Error::Service {
                    operation: "BatchWriteItem",
                    problem: "UnprocessedItems holds a row that was not sent".to_owned(),
                    class: Class::Fatal,
                    fix: String::new(),
                    source: None,
                });
            }
        }
    }
    rows.sort_unstable();
    Ok(rows)
}
