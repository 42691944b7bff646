//! The write cap that all imports of the table share.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{timeout, timeout_at};

use super::Importer;
use super::attempt::Attempt;
use crate::config::Config;
use crate::error::{Error, StopReason};
use crate::share::Share;

/// How long an invocation waits until its share is given back: it has a job to end.
const LEAVING_MAX: Duration = Duration::from_secs(2);

/// How long an import may take from its first share to its first write.
const TIME_TO_BEGIN: Duration = Duration::from_secs(5);

impl Importer {
    /// Imports the file of a job that was claimed, as far as there is time, and leaves the job as it is to be left.
    pub(super) async fn attempt(&self, attempt: Attempt<'_>) -> Result<(), String> {
        let mut outcome = self.import(&attempt).await;
        let left = outcome.left.take();
        let ended = self.conclude(attempt, outcome).await;
        if let Some(left) = left {
            left.wait().await;
        }
        ended
    }

    /// A share of the write cap, if there is a cap.
    pub(super) async fn share(&self, attempt: &Attempt<'_>) -> Result<Option<Share>, Error> {
        let Config {
            jobs_table, table, ..
        } = &self.config;
        let Some(cap) = self.config.max_wcu else {
            return Ok(None);
        };
        let share = Share::of_table(&self.sdk, jobs_table, table, cap);
        match timeout_at(attempt.deadlines.stop_reading, share).await {
            Ok(share) => share.map(Some),
            Err(_) => Err(Error::Stopped {
                position: attempt.job.saved().checkpoint.row.unwrap_or_default(),
                why: StopReason::Deadline,
            }),
        }
    }
}

/// Whether the import could not begin because others had all of the cap.
pub(super) fn had_nothing(share: &Share) -> bool {
    let cap = share.cap();
    let had_time = cap
        .first_granted()
        .is_some_and(|time| time >= TIME_TO_BEGIN);
    cap.used_wcu() == 0 && !had_time
}

/// A share that is being given back.
pub(crate) struct Left(JoinHandle<()>);

impl Left {
    /// Gives it back, while the job is ended.
    pub(super) fn new(share: Share) -> Self {
        Self(tokio::spawn(async move { share.leave().await }))
    }

    /// Waits until that is done: nothing is between invocations.
    pub(crate) async fn wait(self) {
        if timeout(LEAVING_MAX, self.0).await.is_err() {
            tracing::warn!("a share of the write cap was not given back in time; it lapses");
        }
    }
}
