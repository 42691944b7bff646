//! The journal's task: rejected rows, and how far the import is.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Books, MaxRejects, Stop, join, sleep_until};
use crate::checkpoint::Checkpoint;
use crate::error::{Error, StopReason};
use crate::progress::Progress;
use crate::report::Journal;

/// What keeping the journal takes.
pub(super) struct Keeping {
    pub(super) books: Arc<Books>,
    pub(super) progress: Arc<Progress>,
    pub(super) stop: Stop,
    pub(super) max_rejects: Option<MaxRejects>,
}

/// The journal's task at work.
pub(super) struct Keeper<J> {
    /// Tells if the journal cannot be kept any longer.
    pub(super) failed: oneshot::Receiver<()>,
    task: JoinHandle<Kept<J>>,
}

/// A journal at its end.
pub(super) struct Kept<J> {
    pub(super) journal: J,
    /// What was saved last.
    pub(super) checkpoint: Checkpoint,
    /// Whether that is all there was.
    pub(super) end: Result<(), Error>,
}

impl<J> Keeper<J> {
    /// Waits until the journal is at its end: once the ledger is closed, or it has failed.
    pub(super) async fn end(self) -> Kept<J> {
        join(self.task.await)
    }
}

impl Keeping {
    /// Keeps the journal of an import that goes on after `from`, until the ledger is closed.
    pub(super) fn start<J: Journal>(self, mut journal: J, from: Checkpoint) -> Keeper<J> {
        let (fail, failed) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut checkpoint = from;
            let end = self.keep(&mut journal, &mut checkpoint).await;
            if end.is_err() {
                // Nobody is left to hear it if the lanes have ended.
                fail.send(()).ok();
            }
            Kept {
                journal,
                checkpoint,
                end,
            }
        });
        Keeper { failed, task }
    }

    /// Hands rejected rows to the journal, counts those that it took, and has it save; `checkpoint` is what was saved last.
    async fn keep<J: Journal>(
        &self,
        journal: &mut J,
        checkpoint: &mut Checkpoint,
    ) -> Result<(), Error> {
        loop {
            let save_at = journal.save_at();
            let is_due = tokio::select! {
                () = self.books.ledger.news() => false,
                () = sleep_until(save_at) => true,
            };
            let taken = self.books.ledger.take();
            let now = taken.checkpoint(&self.progress);
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
                let wish = journal.save(&now).await?;
                *checkpoint = now;
                if let Some(reason) = wish {
                    self.stop.request(reason);
                }
            }
        }
    }
}
