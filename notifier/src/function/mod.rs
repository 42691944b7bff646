//! The Lambda function: counts, and publishes at a window's end; and the main loop.
//!
//! Runs as the deployed `NotifyInventoryUpdate` function and, unchanged, under any other host of the
//! Lambda Runtime API. Only this room knows what Lambda calls with, and no other room uses it.

mod event;

use std::time::{Duration, SystemTime};

use lambda_runtime::{LambdaEvent, service_fn};
use tokio::time::Instant;
use tracing::{error, info, warn};

pub use self::event::{BatchItemFailure, Event, Response, STATE_BYTES_MAX, State};
use crate::budget::{Budget, Store, Table};
use crate::digest::parcel::{self, Parcel, Window};
use crate::error::Error;
use crate::message::Message;
use crate::metrics::METRICS;
use crate::publish::{self, Bucket, Outcome, Publish, Topic, UndeliveredStore};
use crate::record::{self, Read};
use crate::retry;
use crate::settings::Settings;
use crate::text::printable;

/// Time kept back from the invocation's deadline for handing the batch back: an invocation that is
/// killed leaves no word in the log why nothing was published.
pub const ANSWER_MARGIN: Duration = Duration::from_secs(1);

/// Malformed records that get a log line of their own; the invocation's last line has their number.
const MALFORMED_LOGGED_MAX: u64 = 10;

/// Characters of what Lambda says about a window.
const MOMENT_CHARS_MAX: usize = 40;

/// The function's state between invocations.
#[derive(Debug)]
pub struct Notifier<P, U, S> {
    settings: Settings,
    publisher: P,
    undelivered: U,
    budget: Option<Budget<S>>,
}

impl<P: Publish, U: UndeliveredStore, S: Store> Notifier<P, U, S> {
    /// A notifier that reports what `settings` ask for through `publisher`, leaves what that refuses for good to
    /// `undelivered`, and keeps the budget, if there is one, through `store`.
    pub fn new(settings: Settings, publisher: P, undelivered: U, store: S) -> Self {
        let budget = Budget::new(&settings, store);
        Self {
            settings,
            publisher,
            undelivered,
            budget,
        }
    }

    /// Counts the records of `event`, and publishes what was counted when its window, or without windows its batch, is
    /// at its end.
    ///
    /// In a window, counting never fails and publishing is all that is left to do at its end. If that fails until
    /// `deadline`, the invocation fails: Lambda repeats it with the same state. Without windows the answer names the
    /// first record, for nothing of the batch is known to be published. A first record without a readable sequence number
    /// is answered with an empty one, which Lambda takes as the failure of the whole batch.
    ///
    /// # Errors
    ///
    /// [`Error::Event`] when the event is none; in a window, why nothing could be published.
    pub async fn handle(&self, event: &Event, deadline: Instant) -> Result<Response, Error> {
        let windowed = event.window.is_some();
        let mut state = state(event);
        self.count(event, &mut state)?;
        let counted = (state.digest.count(), state.digest.malformed());
        if !event.ends_state() {
            info!(counted = counted.0, malformed = counted.1, "counted");
            return Ok(Response {
                state: Some(state),
                ..Response::default()
            });
        }
        let answer = Response {
            state: windowed.then(State::default),
            ..Response::default()
        };
        if state.digest.is_empty() {
            info!(counted = 0, malformed = counted.1, "nothing to tell");
            return Ok(answer);
        }
        let parcel = parcel(event, state);
        let id = parcel.id.clone();
        match self.deliver(parcel, deadline).await {
            Ok(()) => {
                info!(counted = counted.0, malformed = counted.1, id, "digested");
                Ok(answer)
            }
            Err(cause) => {
                error!(
                    counted = counted.0,
                    malformed = counted.1,
                    id,
                    error = cause.chain(),
                    "not published; Lambda will call again with the same records or state"
                );
                if windowed {
                    return Err(cause);
                }
                let item_identifier =
                    record::first_sequence_number(&event.records).unwrap_or_default();
                Ok(Response {
                    state: None,
                    batch_item_failures: vec![BatchItemFailure { item_identifier }],
                })
            }
        }
    }

    fn count(&self, event: &Event, state: &mut State) -> Result<(), Error> {
        let names_left = self
            .settings
            .names
            .saturating_sub(state.digest.modified().items().len());
        let (mut records, mut repeated, mut malformed) = (0_u64, 0_u64, 0_u64);
        let incomparable = state.digest.incomparable();
        record::read(&event.records, &self.settings, names_left, |read| {
            records += 1;
            match read {
                Read::Change(change) => {
                    // Without a number it cannot be told from others, and is counted.
                    let new = change
                        .sequence_number
                        .as_ref()
                        .is_none_or(|number| state.advance(number));
                    if new {
                        state.digest.add(&change, &self.settings);
                    } else {
                        repeated += 1;
                    }
                }
                Read::Passed => {}
                Read::Malformed(cause, sequence_number) => {
                    if sequence_number
                        .as_ref()
                        .is_some_and(|number| !state.advance(number))
                    {
                        repeated += 1;
                        return;
                    }
                    malformed += 1;
                    if malformed <= MALFORMED_LOGGED_MAX {
                        error!(
                            index = records - 1,
                            sequence_number,
                            error = cause.chain(),
                            "malformed record left out"
                        );
                    }
                    state.digest.add_malformed();
                }
            }
        })?;
        if repeated > 0 {
            warn!(
                records,
                repeated, "records that were counted already are left out"
            );
        }
        let incomparable = state.digest.incomparable() - incomparable;
        if incomparable > 0 {
            warn!(
                incomparable,
                "watched values that a rule compares with a number are none"
            );
        }
        METRICS.add("records", records as f64);
        info!(
            records,
            malformed,
            key_only = state.digest.key_only(),
            "read"
        );
        Ok(())
    }

    async fn deliver(&self, parcel: Parcel, deadline: Instant) -> Result<(), Error> {
        match &self.budget {
            Some(budget) => {
                budget
                    .deliver(&parcel, deadline, |parcel| self.send(parcel, deadline))
                    .await
            }
            None => self.send(parcel, deadline).await.map(drop),
        }
    }

    /// Publishes all messages of a parcel, or keeps what cannot be published, and returns their number.
    async fn send(&self, parcel: Parcel, deadline: Instant) -> Result<u32, Error> {
        let messages = Message::all(&parcel);
        let outcomes = publish::until(&self.publisher, &messages, deadline).await?;
        let published = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Outcome::Published(_)));
        METRICS.add("digests", published.count() as f64);
        METRICS.add("suppressed", parcel.digests.saturating_sub(1) as f64);
        for (message, outcome) in messages.iter().zip(outcomes) {
            match outcome {
                Outcome::Published(message_id) => {
                    info!(
                        id = message.id(),
                        message_id,
                        digests = parcel.digests,
                        "published"
                    );
                }
                Outcome::Refused(cause) => {
                    match retry::until("keeping a refused message", deadline, || {
                        self.undelivered.store(message)
                    })
                    .await
                    {
                        Ok(place) => {
                            error!(
                                id = message.id(),
                                place,
                                error = cause.chain(),
                                "SNS refuses the message; it is kept"
                            );
                        }
                        Err(reason) => {
                            return Err(Error::NotKept {
                                reason: reason.chain(),
                                source: Box::new(cause),
                            });
                        }
                    }
                }
            }
        }
        Ok(messages.len() as u32)
    }
}

/// The state that came with the event. One that cannot be read would come again and again, so it is only logged.
fn state(event: &Event) -> State {
    let Some(json) = event.state.as_ref().filter(|_| event.window.is_some()) else {
        return State::default();
    };
    serde_json::from_str(json.get()).unwrap_or_else(|cause| {
        error!(
            line = cause.line(),
            column = cause.column(),
            bytes = json.get().len(),
            "the window's state cannot be read; counting begins anew"
        );
        State::default()
    })
}

fn parcel(event: &Event, state: State) -> Parcel {
    let arn = event
        .event_source_arn
        .clone()
        .or_else(|| record::event_source_arn(&event.records));
    let arn = arn.unwrap_or_default();
    let window = event.window.as_ref().map(|window| Window {
        start: printable(&window.start, MOMENT_CHARS_MAX),
        end: printable(&window.end, MOMENT_CHARS_MAX),
    });
    let source = format!("{arn}/{}", event.shard_id.as_deref().unwrap_or_default());
    Parcel {
        id: parcel::id(&source, window.as_ref(), &state.first, &state.last),
        digests: 1,
        table: parcel::table(&arn),
        window,
        digest: state.digest,
    }
}

/// The main loop: reads the settings, connects to AWS, then handles invocations until the process ends.
///
/// Installs the process's `tracing` subscriber; it writes JSON when the function's log format is JSON.
///
/// # Errors
///
/// [`Error::Setting`] when the configuration is unusable, and whatever ends the
/// conversation with the Lambda Runtime API.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    cloud::init_logs();
    let settings = Settings::from_env()
        .inspect_err(|cause| error!(error = cause.chain(), "unusable configuration"))?;
    let config = cloud::sdk_config()
        .await
        .map_err(|e| format!("{e}; {}", e.fix()))?;
    let topic = Topic::new(&config, &settings.topic_arn);
    let (bucket, table) = (
        Bucket::new(&config, &settings),
        Table::new(&config, &settings),
    );
    let notifier = &Notifier::new(settings, topic, bucket, table);
    METRICS.init()?;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Event>| async move {
        let deadline = answer_deadline(event.context.deadline());
        // Boxed: with three AWS clients in it, the future nests deeper than the compiler likes.
        let handled = Box::pin(notifier.handle(&event.payload, deadline)).await;
        METRICS.write();
        handled.map_err(lambda_runtime::Error::from)
    }))
    .await
}

/// The moment to stop trying, on tokio's clock.
fn answer_deadline(invocation_deadline: SystemTime) -> Instant {
    let left = invocation_deadline
        .duration_since(SystemTime::now())
        .unwrap_or_default();
    Instant::now() + left.saturating_sub(ANSWER_MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_answer_is_due_a_margin_before_the_deadline() {
        for (left, expected) in [
            (Duration::from_secs(30), Duration::from_secs(29)),
            (ANSWER_MARGIN, Duration::ZERO),
            (Duration::ZERO, Duration::ZERO),
        ] {
            let due = answer_deadline(SystemTime::now() + left) - Instant::now();
            // The wall clock moves on between the two readings.
            assert!(
                due <= expected && due + Duration::from_millis(500) >= expected,
                "{left:?}: {due:?}"
            );
        }
        assert_eq!(answer_deadline(SystemTime::UNIX_EPOCH), Instant::now());
    }
}
