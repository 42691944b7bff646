use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use super::clock::SourceClock;
use super::discarded::{DiscardedBatch, RecordPosition, seconds, window_start};
use super::options::StreamMappingOptions;
use super::target::StreamTarget;
use crate::services::dynamodb::StreamRecord;
use crate::wiring::events;
use crate::wiring::response::{Failures, failures};

/// Largest event for a function:
/// [6 MB](https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
const MAX_EVENT_BYTES: usize = 6 << 20;
/// Largest [state of a window](https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-windows.html); read as 1,000,000
/// bytes, so that what fits here fits there.
const MAX_STATE_BYTES: usize = 1_000_000;
/// How long after its end a window is closed of which nothing more was read. A record is in the stream at most a moment
/// after the time that it bears; Lambda gives it
/// [up to two minutes](https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-windows.html).
const WINDOW_GRACE: Duration = Duration::from_millis(500);
/// Pause after an invocation that failed; doubled after each further one, up to [`MAX_RETRY_DELAY`].
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(100);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(10);

/// What the workers of a mapping share.
#[derive(Debug)]
pub(super) struct Shared<T> {
    pub(super) id: Uuid,
    pub(super) stream_arn: String,
    pub(super) options: StreamMappingOptions,
    pub(super) target: T,
    pub(super) clock: SourceClock,
    /// Records that were read and windows that are open.
    pub(super) pending: watch::Sender<usize>,
}

/// Gives the records of one shard, or of one of several lanes of a shard, to the function, one batch after the other.
#[derive(Debug)]
pub(super) struct Worker<T> {
    shared: Arc<Shared<T>>,
    shard_id: String,
    inbox: mpsc::Receiver<StreamRecord>,
    /// Until when everything was read.
    caught_up: watch::Receiver<SystemTime>,
    /// What was read and not given to the function yet.
    waiting: VecDeque<StreamRecord>,
    /// Since when the first of them waits.
    since: Instant,
    window: Option<Window>,
    /// End of the last window that was closed at its end: it is not opened again.
    closed: SystemTime,
    /// Invocations that failed in a row.
    failed: u32,
}

/// A tumbling window that is open.
#[derive(Debug)]
struct Window {
    start: SystemTime,
    end: SystemTime,
    state: Value,
    first: RecordPosition,
    last: RecordPosition,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Give so many of those that wait to the function.
    Deliver(usize),
    /// Close the window.
    Close,
    /// Wait for records, or until then.
    Wait(Option<Instant>),
}

/// What became of a batch.
#[derive(Debug)]
enum BatchOutcome {
    All,
    /// So many, from the first.
    Some(usize),
    /// Nothing; with whether the function failed.
    None {
        function_error: bool,
    },
}

impl<T: StreamTarget> Worker<T> {
    pub(super) fn new(
        shared: Arc<Shared<T>>,
        shard_id: String,
        inbox: mpsc::Receiver<StreamRecord>,
        caught_up: watch::Receiver<SystemTime>,
    ) -> Self {
        Self {
            shared,
            shard_id,
            inbox,
            caught_up,
            waiting: VecDeque::new(),
            since: Instant::now(),
            window: None,
            closed: SystemTime::UNIX_EPOCH,
            failed: 0,
        }
    }

    /// Works until no more records can come.
    pub(super) async fn run(mut self) {
        loop {
            // Before taking what came, so that nothing read until then is missing.
            let caught_up = *self.caught_up.borrow_and_update();
            self.take();
            match self.next(caught_up) {
                Step::Deliver(count) => {
                    let batch: Vec<_> = self.waiting.drain(..count).collect();
                    self.open_window(&batch);
                    self.deliver(batch).await;
                    self.since = Instant::now();
                }
                Step::Close => self.close(false).await,
                Step::Wait(until) => {
                    let timer = async {
                        match until {
                            Some(until) => sleep_until(until).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        record = self.inbox.recv() => match record {
                            Some(record) => self.push(record),
                            None => return,
                        },
                        changed = self.caught_up.changed() => if changed.is_err() { return },
                        () = timer => {}
                    }
                }
            }
        }
    }

    /// Takes records that came, up to a full batch and one: whether it ends a window.
    fn take(&mut self) {
        while self.waiting.len() <= self.shared.options.batch_size {
            let Ok(record) = self.inbox.try_recv() else {
                return;
            };
            self.push(record);
        }
    }

    fn push(&mut self, record: StreamRecord) {
        if self.waiting.is_empty() {
            self.since = Instant::now();
        }
        self.waiting.push_back(record);
    }

    fn next(&self, caught_up: SystemTime) -> Step {
        let open = self.window.as_ref().map(|window| window.start);
        let Some(first) = self.waiting.front() else {
            return if self.is_over(caught_up) {
                Step::Close
            } else {
                Step::Wait(None)
            };
        };
        let start = self.window_of(first, open);
        if open.is_some() && start != open {
            return Step::Close;
        }
        let state = self.window.as_ref().map_or(0, |window| size(&window.state));
        let mut bytes = state;
        let fitting = self.waiting.iter().take(self.shared.options.batch_size);
        let fitting = fitting.take_while(|record| {
            bytes += record.size_bytes();
            bytes <= MAX_EVENT_BYTES && self.window_of(record, start) == start
        });
        let count = fitting.count().max(1);
        let full = count < self.waiting.len() || count == self.shared.options.batch_size;
        let due = self.since + self.shared.options.batching_window;
        let over = start.is_some_and(|start| self.ended(start, caught_up));
        if full || over || due <= Instant::now() {
            Step::Deliver(count)
        } else {
            Step::Wait(Some(due))
        }
    }

    /// Start of the window that a record is counted in while the one that starts at `open` is. One that comes after its
    /// window was closed is counted in the next: a window is told once.
    fn window_of(&self, record: &StreamRecord, open: Option<SystemTime>) -> Option<SystemTime> {
        let length = self.shared.options.tumbling_window;
        if length.is_zero() {
            return None;
        }
        let own = window_start(record.created(), length).max(self.closed);
        Some(open.map_or(own, |open| own.max(open)))
    }

    fn is_over(&self, caught_up: SystemTime) -> bool {
        let window = self.window.as_ref();
        window.is_some_and(|window| self.ended(window.start, caught_up))
    }

    fn ended(&self, start: SystemTime, caught_up: SystemTime) -> bool {
        caught_up >= start + self.shared.options.tumbling_window + WINDOW_GRACE
    }

    /// Sees that the window of a batch is open, and knows how far it goes.
    fn open_window(&mut self, batch: &[StreamRecord]) {
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else {
            return;
        };
        if let Some(window) = &mut self.window {
            window.last = last.into();
        } else if let Some(start) = self.window_of(first, None) {
            self.window = Some(Window {
                start,
                end: start + self.shared.options.tumbling_window,
                state: json!({}),
                first: first.into(),
                last: last.into(),
            });
            self.shared.pending.send_modify(|pending| *pending += 1);
        }
    }

    /// Gives a batch to the function, whole or in parts, until all of it is handled or given up.
    async fn deliver(&mut self, batch: Vec<StreamRecord>) {
        // The next one last.
        let mut batches = vec![batch];
        let mut invocations = 0;
        let mut attempts = 0;
        let mut function_error = false;
        while let Some(mut batch) = batches.pop() {
            let expired = self.expired(&batch);
            if expired > 0 {
                let rest = batch.split_off(expired);
                self.give_up(&batch, "RecordAgeExceeded", invocations, function_error)
                    .await;
                batch = rest;
            }
            if batch.is_empty() {
                (attempts, invocations) = (0, 0);
                continue;
            }
            invocations += 1;
            match self.invoke(&batch).await {
                BatchOutcome::All => {
                    self.settled(batch.len());
                    (attempts, invocations) = (0, 0);
                    continue;
                }
                // What comes after them is offered again, as a batch of its own.
                BatchOutcome::Some(count) => {
                    batches.push(batch.split_off(count));
                    self.settled(count);
                    (attempts, invocations) = (0, 0);
                }
                // Splitting does not count as an attempt.
                BatchOutcome::None {
                    function_error: true,
                } if batch.len() > 1 && self.shared.options.bisect_batch_on_function_error => {
                    function_error = true;
                    batches.push(batch.split_off(batch.len().div_ceil(2)));
                    batches.push(batch);
                    (attempts, invocations) = (0, 0);
                }
                BatchOutcome::None {
                    function_error: failed,
                } => {
                    function_error = failed;
                    let attempts_max = self.shared.options.maximum_retry_attempts;
                    if attempts_max.is_some_and(|max| attempts >= max) {
                        self.give_up(&batch, "RetryAttemptsExhausted", invocations, failed)
                            .await;
                        (attempts, invocations, self.failed) = (0, 0, 0);
                        continue;
                    }
                    attempts += 1;
                    batches.push(batch);
                }
            }
            self.pause().await;
        }
    }

    /// Waits before the next attempt, the longer the more have failed in a row.
    async fn pause(&mut self) {
        sleep(retry_delay(self.failed)).await;
        self.failed += 1;
    }

    /// How many of a batch, from the first, are too old.
    fn expired(&self, batch: &[StreamRecord]) -> usize {
        let expired = batch
            .iter()
            .take_while(|record| self.is_expired(record.created()));
        expired.count()
    }

    fn is_expired(&self, created: SystemTime) -> bool {
        let age = self.shared.clock.now().duration_since(created);
        age.is_ok_and(|age| age > self.shared.options.record_age())
    }

    /// Gives these records to the function, and keeps the state that it returns.
    async fn invoke(&mut self, batch: &[StreamRecord]) -> BatchOutcome {
        let numbers: BTreeSet<&str> = batch.iter().map(StreamRecord::sequence_number).collect();
        let (failed, state) = match self.answer(self.event(batch, None), &numbers).await {
            Ok(answer) => answer,
            Err(reason) => {
                tracing::warn!(records = batch.len(), reason, "a stream batch failed");
                return BatchOutcome::None {
                    function_error: true,
                };
            }
        };
        // Reading resumes at the lowest one that failed; those after it come again.
        let done = batch
            .iter()
            .take_while(|record| !failed.contains(record.sequence_number()))
            .count();
        if done == 0 {
            return BatchOutcome::None {
                function_error: false,
            };
        }
        self.failed = 0;
        if let (Some(window), Some(state)) = (&mut self.window, state) {
            window.state = state;
            window.last = (&batch[done - 1]).into();
            if size(&window.state) > MAX_STATE_BYTES {
                self.close(true).await;
            }
        }
        if done < batch.len() {
            return BatchOutcome::Some(done);
        }
        BatchOutcome::All
    }

    /// What the function reports as failed, and its state. `Err` tells why the invocation counts as failed.
    async fn answer(
        &self,
        event: Value,
        numbers: &BTreeSet<&str>,
    ) -> Result<(BTreeSet<String>, Option<Value>), String> {
        let answer = self.shared.target.invoke(event).await;
        let mut answer = answer.map_err(|error| error.to_string())?;
        let state = answer.get_mut("state").map(Value::take);
        let state = state.filter(|state| !state.is_null());
        if !self.shared.options.tumbling_window.is_zero() && state.is_none() {
            return Err("the response of a window has no state".to_owned());
        }
        if !self.shared.options.report_batch_item_failures {
            return Ok((BTreeSet::new(), state));
        }
        match failures(answer, numbers) {
            Failures::None => Ok((BTreeSet::new(), state)),
            Failures::Items(items) => Ok((items, state)),
            Failures::All(reason) => Err(reason.to_owned()),
        }
    }

    /// The event for these records; `closing` the window, early or not, or going on with it.
    fn event(&self, batch: &[StreamRecord], closing: Option<bool>) -> Value {
        let records = batch.iter().map(|record| record.json().clone());
        let mut event = events::dynamodb_event(&self.shared.stream_arn, records);
        if let Some(window) = &self.window {
            event["window"] = json!({ "start": seconds(window.start), "end": seconds(window.end) });
            event["state"] = window.state.clone();
            event["shardId"] = self.shard_id.as_str().into();
            event["eventSourceARN"] = self.shared.stream_arn.as_str().into();
            event["isFinalInvokeForWindow"] = closing.is_some().into();
            event["isWindowTerminatedEarly"] = closing.unwrap_or_default().into();
        }
        event
    }

    /// Gives the window's last state to the function, as often as needed, and drops it.
    async fn close(&mut self, early: bool) {
        let mut attempts = 0;
        let no_records = BTreeSet::new();
        while let Some(window) = &self.window {
            let answer = self.answer(self.event(&[], Some(early)), &no_records);
            let Err(reason) = answer.await else {
                self.failed = 0;
                break;
            };
            tracing::warn!(reason, "the last invocation of a window failed");
            let expired = self.is_expired(window.last.created);
            let attempts_max = self.shared.options.maximum_retry_attempts;
            if expired || attempts_max.is_some_and(|max| attempts >= max) {
                let condition = if expired {
                    "RecordAgeExceeded"
                } else {
                    "RetryAttemptsExhausted"
                };
                let event = self.event(&[], Some(early));
                self.discard(DiscardedBatch {
                    condition,
                    invocations: attempts + 1,
                    function_error: true,
                    first: &window.first,
                    last: &window.last,
                    count: 0,
                    event: &event,
                    ..self.empty_discard(&window.first)
                })
                .await;
                break;
            }
            attempts += 1;
            self.pause().await;
        }
        if let Some(window) = &mut self.window {
            if early {
                // It goes on, with a state that is new.
                window.state = json!({});
                window.first = window.last.clone();
                return;
            }
            self.closed = window.end;
            self.window = None;
            self.settled(1);
        }
    }

    async fn give_up(
        &mut self,
        batch: &[StreamRecord],
        condition: &'static str,
        invocations: u32,
        function_error: bool,
    ) {
        if let (Some(first), Some(last)) = (batch.first(), batch.last()) {
            let (first, last) = (RecordPosition::from(first), RecordPosition::from(last));
            let event = self.event(batch, None);
            self.discard(DiscardedBatch {
                condition,
                invocations,
                function_error: function_error && invocations > 0,
                last: &last,
                count: batch.len(),
                event: &event,
                ..self.empty_discard(&first)
            })
            .await;
        }
        self.settled(batch.len());
    }

    fn empty_discard<'a>(&'a self, first: &'a RecordPosition) -> DiscardedBatch<'a> {
        DiscardedBatch {
            function_arn: self.shared.target.function_arn(),
            stream_arn: &self.shared.stream_arn,
            shard_id: &self.shard_id,
            condition: "",
            invocations: 0,
            function_error: false,
            first,
            last: first,
            count: 0,
            event: &Value::Null,
        }
    }

    /// Sends what is given up to the destination, if there is one, and says so.
    async fn discard(&self, batch: DiscardedBatch<'_>) {
        let now = self.shared.clock.now();
        let key = batch.key(self.shared.id, now);
        let mut place = None;
        if self.shared.options.on_failure {
            let record = batch.invocation_record(now).to_string();
            match self.shared.target.keep(key.clone(), record.into()).await {
                Ok(()) => place = Some(key),
                Err(error) => {
                    tracing::error!(%error, "the on-failure destination does not take a record");
                }
            }
        }
        tracing::error!(
            records = batch.count,
            first = batch.first.sequence_number,
            last = batch.last.sequence_number,
            condition = batch.condition,
            place,
            "gave up stream records: the notifier never handled them"
        );
    }

    fn settled(&self, count: usize) {
        self.shared.pending.send_modify(|pending| *pending -= count);
    }
}

fn retry_delay(failed: u32) -> Duration {
    let doubled = FIRST_RETRY_DELAY.saturating_mul(2_u32.saturating_pow(failed));
    doubled.min(MAX_RETRY_DELAY)
}

fn size(state: &Value) -> usize {
    state.to_string().len()
}
