//! The write cap that all imports of the table share.

use std::time::Duration;

use rows::Position;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::context::Context;
use crate::error::{Error, StopReason};
use crate::write::Share;

/// How long an invocation waits until its share is given back: it has a job to end.
const LEAVING_MAX: Duration = Duration::from_secs(2);

/// How long an import may take from its first share to its first write.
const TIME_TO_BEGIN: Duration = Duration::from_secs(5);

/// A share of the write cap, if there is a cap, for an import that goes on at `row` and must have it by `deadline`.
pub(super) async fn join(
    context: &Context,
    row: Option<Position>,
    deadline: Instant,
) -> Result<Option<Share>, Error> {
    let config = &context.config;
    let Some(cap) = config.max_wcu else {
        return Ok(None);
    };
    let share = Share::of_table(&context.sdk, &config.jobs_table, &config.table, cap);
    match timeout_at(deadline, share).await {
        Ok(share) => share.map(Some),
        Err(_) => Err(Error::Stopped {
            position: row.unwrap_or_default(),
            why: StopReason::Deadline,
        }),
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
pub(crate) struct ReturningShare(JoinHandle<()>);

impl ReturningShare {
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
