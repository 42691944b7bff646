//! Where rejected rows go, and how far an import is.

use std::future::Future;

use rows::Reject;
use tokio::time::Instant;

use super::checkpoint::Checkpoint;
use crate::error::{Error, StopReason};

/// Keeps what must outlive the import: its rejected rows, one line of JSON each ([`Reject::to_json`]), and how far it is.
pub trait Journal: Send + 'static {
    /// Takes a rejected row.
    ///
    /// # Errors
    ///
    /// [`Error::Report`] if it cannot be kept; the import must not go on then.
    fn reject(&mut self, reject: &Reject) -> impl Future<Output = Result<(), Error>> + Send;

    /// When to save next; `None` if how far the import is need not be known.
    fn save_at(&self) -> Option<Instant> {
        None
    }

    /// Makes all rows that were taken durable, and after them how far the import is.
    ///
    /// Gives the reason if somebody wants the import to stop.
    ///
    /// # Errors
    ///
    /// Any, if that fails; the import must not go on then.
    fn save(
        &mut self,
        _checkpoint: &Checkpoint,
    ) -> impl Future<Output = Result<Option<StopReason>, Error>> + Send {
        std::future::ready(Ok(None))
    }

    /// The same for the last time: the import has ended, well or not.
    ///
    /// # Errors
    ///
    /// As for [`Journal::save`].
    fn finish(&mut self, checkpoint: &Checkpoint)
    -> impl Future<Output = Result<(), Error>> + Send;

    /// Where the rejected rows are, if there are any.
    fn place(&self) -> Option<String>;
}

/// Keeps nothing; rejected rows are only counted.
#[derive(Debug, Clone, Copy)]
pub struct Discard;

impl Journal for Discard {
    async fn reject(&mut self, _reject: &Reject) -> Result<(), Error> {
        Ok(())
    }

    async fn finish(&mut self, _checkpoint: &Checkpoint) -> Result<(), Error> {
        Ok(())
    }

    fn place(&self) -> Option<String> {
        None
    }
}
