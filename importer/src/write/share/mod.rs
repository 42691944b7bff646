//! One write cap for all imports that work on a table at once.
//!
//! The cap is divided into slots of equal size ([`page`]), each held by at most one import at a time. Which of them to take,
//! keep and return, the [`allocation`] says; `store` keeps them in the table of jobs; [`Share`] is the task that does it, and sets
//! what comes of it as the cap of the import's [`limiter`](super::limiter).
//!
//! Nothing here paces or sends requests: the limiter paces, below the cap that is set here.

pub mod allocation;
mod fair;
pub mod page;
mod pages;
mod renewal;
mod store;
pub mod timing;

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::SdkConfig;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::allocation::Allocation;
use self::page::Worker;
use self::renewal::Renewal;
use self::timing::Timing;
use crate::error::Error;
use crate::write::limiter::SharedCap;

pub use self::pages::Pages;
pub use self::store::TablePages;

/// An import's share of a cap, which grows and shrinks with the number of imports. Dropping it gives it back, some time;
/// [`Share::leave`] tells when that is done.
#[derive(Clone)]
pub struct Share(Arc<Inner>);

struct Inner {
    cap: Arc<SharedCap>,
    leave: watch::Sender<bool>,
    failure: watch::Receiver<Option<Arc<Error>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Share").field(&self.0.cap).finish()
    }
}

impl Share {
    /// Takes a share of `cap` WCU a second, and keeps it until [`Share::leave`]. Whoever is alone has the whole cap when this
    /// returns; if others have all of it, there is nothing at first.
    ///
    /// # Errors
    ///
    /// [`Error::Share`] if the pages cannot be used.
    pub async fn join(pages: impl Pages, cap: NonZeroU32) -> Result<Self, Error> {
        Self::join_with(pages, cap, Timing::default()).await
    }

    /// [`Share::join`] with other times. All who share a cap must have the same.
    ///
    /// # Errors
    ///
    /// As for [`Share::join`].
    pub async fn join_with(
        pages: impl Pages,
        cap: NonZeroU32,
        timing: Timing,
    ) -> Result<Self, Error> {
        // Seeded by the operating system: two workers must not be one.
        let random = || RandomState::new().build_hasher().finish();
        let allocation = Allocation::new(Worker::new(random()), cap.get(), timing, random());
        let shared = Arc::new(SharedCap::default());
        let mut renewal = Renewal::new(pages, allocation, timing, Arc::clone(&shared));
        renewal.begin().await.map_err(|error| Error::Share {
            source: Arc::new(error),
        })?;
        let (leave, left) = watch::channel(false);
        let (fail, failure) = watch::channel(None);
        let task = tokio::spawn(renewal.run(left, fail));
        Ok(Self(Arc::new(Inner {
            cap: shared,
            leave,
            failure,
            task: Mutex::new(Some(task)),
        })))
    }

    /// Shares the cap of `table`, a name or an ARN, through `jobs_table`.
    ///
    /// # Errors
    ///
    /// As for [`Share::join`].
    pub async fn of_table(
        sdk: &SdkConfig,
        jobs_table: &str,
        table: &str,
        cap: NonZeroU32,
    ) -> Result<Self, Error> {
        Self::join(TablePages::new(sdk, jobs_table, table), cap).await
    }

    /// The cap that the import has to keep.
    pub fn cap(&self) -> Arc<SharedCap> {
        Arc::clone(&self.0.cap)
    }

    /// Waits until the pages cannot be used any more. Nothing may be written from then on.
    pub async fn failed(&self) -> Error {
        let mut failure = self.0.failure.clone();
        let failed = failure.wait_for(Option::is_some).await;
        match failed.ok().and_then(|failure| failure.clone()) {
            Some(source) => Error::Share { source },
            // It has ended as it should.
            None => std::future::pending().await,
        }
    }

    /// Gives the share back. Nothing may be written any more. What cannot be given back lapses.
    pub async fn leave(&self) {
        self.0.leave.send_replace(true);
        let task = {
            let mut task = self.0.task.lock().unwrap_or_else(PoisonError::into_inner);
            task.take()
        };
        if let Some(Err(error)) = match task {
            Some(task) => Some(task.await),
            None => None,
        } {
            tracing::error!(%error, "a share of the write cap was not given back");
        }
    }
}
