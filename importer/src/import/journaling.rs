//! The journal's task: rejected rows, and how far the import is.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::checkpoint::Checkpoint;
use super::journal::Journal;
use super::options::MaxRejects;
use super::settled::SettledRows;
use super::stop::Stop;
use super::tasks::{join, sleep_until};
use crate::error::{Error, StopReason};
use crate::progress::Progress;
use crate::write::Settler;

/// What keeping the journal takes.
pub(super) struct Journaling {
    pub(super) settled: Arc<SettledRows>,
    pub(super) settler: Arc<Settler>,
    pub(super) progress: Arc<Progress>,
    pub(super) stop: Stop,
    pub(super) max_rejects: Option<MaxRejects>,
}

/// The journal's task at work.
pub(super) struct JournalTask<J> {
    /// Tells if the journal cannot be kept any longer.
    pub(super) failed: oneshot::Receiver<()>,
    task: JoinHandle<Journaled<J>>,
}

/// A journal at its end.
pub(super) struct Journaled<J> {
    pub(super) journal: J,
    /// What was saved last.
    pub(super) checkpoint: Checkpoint,
    /// Whether that is all there was.
    pub(super) end: Result<(), Error>,
}

impl<J> JournalTask<J> {
    /// Waits until the journal is at its end: once nothing more comes, or it has failed.
    pub(super) async fn end(self) -> Journaled<J> {
        join(self.task.await)
    }
}

impl Journaling {
    /// Keeps the journal of an import that goes on after `from`, until nothing more comes.
    pub(super) fn start<J: Journal>(self, mut journal: J, from: Checkpoint) -> JournalTask<J> {
        let (fail, failed) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut checkpoint = from;
            let end = self.run(&mut journal, &mut checkpoint).await;
            if end.is_err() {
                // Without a receiver the lanes have ended.
                fail.send(()).ok();
            }
            Journaled {
                journal,
                checkpoint,
                end,
            }
        });
        JournalTask { failed, task }
    }

    /// Hands rejected rows to the journal, counts those that it took, and has it save; `checkpoint` is what was saved last.
    async fn run<J: Journal>(
        &self,
        journal: &mut J,
        checkpoint: &mut Checkpoint,
    ) -> Result<(), Error> {
        loop {
            let save_at = journal.save_at();
            let is_due = tokio::select! {
                () = self.settled.news() => false,
                () = sleep_until(save_at) => true,
            };
            // In this order: a batch that is settled meanwhile is in the rows that are taken, and so are its late requests.
            let written = self.settler.partial.save();
            let taken = self.settled.take();
            let now = Checkpoint {
                written,
                late: self.settler.late.save(),
                waits_until_ms: self.progress.waits_until_ms(),
                ..taken.checkpoint(&self.progress)
            };
            for rejects in taken.rejects {
                for reject in &rejects.rows {
                    tracing::debug!(position = %reject.position, reason = reject.reason.code(), "row rejected");
                    journal.reject(reject).await?;
                    self.progress.rejected();
                }
                drop(rejects.memory);
            }
            if self
                .max_rejects
                .is_some_and(|max| max.is_exceeded(&self.progress.counts(), false))
            {
                self.stop.request(StopReason::TooManyRejects);
            }
            if taken.closed {
                journal.finish(&now).await?;
                *checkpoint = now;
                return Ok(());
            }
            if is_due {
                let stop = journal.save(&now).await?;
                *checkpoint = now;
                if let Some(reason) = stop {
                    self.stop.request(reason);
                }
            }
        }
    }
}
