//! The budget: all shards together publish at most so many messages in any minute.
//!
//! The shards agree through one item in a table, the [`ledger`], that is read and replaced as a whole, under the
//! condition that nobody else has replaced it meanwhile. Every digest is offered to the ledger; whoever holds it waits for
//! the next message that the budget allows and publishes everything that was offered until then as one digest.
//! How a digest is published is not this room's business.

pub mod ledger;
mod store;

use std::future::Future;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tracing::{error, info};

use self::ledger::{Ledger, Step};
pub use self::store::Table;
use crate::digest::Parcel;
use crate::error::Error;
use crate::retry::{self, backoff};
use crate::settings::Settings;

/// How long after its deadline an invocation may still be at work, clocks that differ included.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// Time that a publication needs until the ledger knows of it. Nothing is published later than that before the deadline: what
/// the ledger does not know of is published again.
const PUBLISHING_MARGIN: Duration = Duration::from_secs(5);

/// A ledger that shards share.
pub trait Store: Sync {
    /// The ledger's JSON and its version; `None` when there is none yet.
    ///
    /// # Errors
    ///
    /// An error whose [`class`](Error::class) tells whether another attempt can help.
    fn load(&self) -> impl Future<Output = Result<Option<(String, u64)>, Error>> + Send;

    /// Replaces version `version` of the ledger (`None`: makes the first), and says whether that was still the current
    /// one. If not, nothing is replaced.
    ///
    /// # Errors
    ///
    /// As for [`load`](Store::load). The ledger may have been replaced all the same.
    fn save(
        &self,
        json: String,
        version: Option<u64>,
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// The time of day: milliseconds of Unix time.
    fn now_ms(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.unwrap_or_default().as_millis() as u64
    }
}

/// The guard of a topic.
#[derive(Clone, Debug)]
pub struct Budget<S> {
    store: S,
    per_minute: NonZeroU32,
    /// Pause after each message.
    pause: Duration,
    names: usize,
}

impl<S: Store> Budget<S> {
    /// The budget that `settings` ask for, agreed on through `store`. `None` when they ask for none.
    pub fn new(settings: &Settings, store: S) -> Option<Self> {
        let per_minute = settings.messages_per_minute?;
        // Between two publications there is the pause of each message of the first. The last publication of a minute has
        // its pause after the minute, so its further messages come on top: that many fewer are planned for.
        let planned =
            per_minute.get() - (settings.messages_at_once() - 1).min(per_minute.get() - 1);
        Some(Self {
            store,
            per_minute,
            pause: Duration::from_millis(60_000_u64.div_ceil(planned.into())),
            names: settings.names,
        })
    }

    /// Sees to it that `parcel` is published within the budget: by `send`, which publishes a parcel and says how many
    /// messages that took, or by another shard.
    ///
    /// When the table cannot be used at all, the parcel is published without a budget: a missing permission shall not
    /// silence the topic.
    ///
    /// # Errors
    ///
    /// What `send` says; [`Error::OverBudget`] and [`Error::DeadlineExceeded`] when time is up. The parcel is then
    /// published or in the ledger or neither, and has to be offered again.
    pub async fn deliver<F: Future<Output = Result<u32, Error>>>(
        &self,
        parcel: &Parcel,
        deadline: Instant,
        send: impl Fn(Parcel) -> F,
    ) -> Result<(), Error> {
        let time_left = deadline.saturating_duration_since(Instant::now());
        let last_publication = deadline - PUBLISHING_MARGIN.min(time_left / 4);
        loop {
            let step = match self
                .change(deadline, |ledger, now_ms| {
                    let left = deadline.saturating_duration_since(Instant::now()) + LEASE_MARGIN;
                    ledger.offer(parcel, self.names, now_ms, now_ms + left.as_millis() as u64)
                })
                .await
            {
                Ok(step) => step,
                Err(cause @ Error::DeadlineExceeded { .. }) => return Err(cause),
                Err(cause) => {
                    error!(
                        error = cause.chain(),
                        "the budget cannot be kept; publishing without it"
                    );
                    return send(parcel.clone()).await.map(drop);
                }
            };
            match step {
                Step::Done => {
                    info!(
                        id = parcel.id,
                        "published, or left to the shard that publishes next"
                    );
                    return Ok(());
                }
                Step::Wait(at_ms) => {
                    let wait = Duration::from_millis(at_ms.saturating_sub(self.store.now_ms()));
                    let at = Instant::now() + wait;
                    if at > last_publication {
                        return Err(Error::OverBudget {
                            per_minute: self.per_minute.get(),
                        });
                    }
                    sleep_until(at).await;
                }
                Step::Send(_) if Instant::now() > last_publication => {
                    return Err(Error::OverBudget {
                        per_minute: self.per_minute.get(),
                    });
                }
                Step::Send(due) => {
                    let id = due.id.clone();
                    let messages = send(*due).await?;
                    self.change(deadline, |ledger, now_ms| {
                        ledger.sent(&id, now_ms, (self.pause * messages).as_millis() as u64);
                    })
                    .await?;
                }
            }
        }
    }

    /// Applies `change` to the ledger, again and again until nobody comes between.
    async fn change<T>(
        &self,
        deadline: Instant,
        change: impl Fn(&mut Ledger, u64) -> T,
    ) -> Result<T, Error> {
        let mut conflicts = 0;
        loop {
            let loaded = retry::until("reading the ledger", deadline, || self.store.load()).await?;
            let (before, version) = match loaded {
                Some((json, version)) => (read(&json), Some(version)),
                None => (Ledger::default(), None),
            };
            let mut ledger = before.clone();
            let outcome = change(&mut ledger, self.store.now_ms());
            if ledger == before {
                return Ok(outcome);
            }
            let json = ledger.to_json();
            // After a lost answer, "somebody else was faster" may have been this very call; offers and reports are the
            // same once or twice.
            if retry::until("writing the ledger", deadline, || {
                self.store.save(json.clone(), version)
            })
            .await?
            {
                return Ok(outcome);
            }
            conflicts += 1;
            sleep(backoff(conflicts)).await;
        }
    }
}

/// A ledger that nobody can read would silence the topic for ever.
fn read(json: &str) -> Ledger {
    serde_json::from_str(json).unwrap_or_else(|cause| {
        error!(
            line = cause.line(),
            column = cause.column(),
            ledger = json,
            "the ledger cannot be read; it begins anew"
        );
        Ledger::default()
    })
}
