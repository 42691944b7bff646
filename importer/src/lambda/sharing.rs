//! The write cap that all imports of the table share.

use tokio::time::timeout_at;

use super::Importer;
use super::attempt::Attempt;
use crate::config::Config;
use crate::error::{Error, StopReason};
use crate::share::Share;

impl Importer {
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

/// Gives the share back. Says whether there was nothing in it, all the time.
pub(super) async fn leave(share: Option<Share>) -> bool {
    let Some(share) = share else { return false };
    let had_nothing = share.cap().wcu() == 0 && share.cap().used_wcu() == 0;
    share.leave().await;
    had_nothing
}
