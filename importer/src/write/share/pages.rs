//! Where the pages of a cap are kept.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::SystemTime;

use super::page::{Change, Page};
use crate::error::Error;

/// The pages of a cap, which all who share it see and change.
pub trait Pages: Send + Sync + 'static {
    /// All pages as they are, by number; those that are not there were never used.
    ///
    /// # Errors
    ///
    /// An error whose [`class`](Error::class) says whether to try again.
    fn look(&self) -> impl Future<Output = Result<BTreeMap<usize, Page>, Error>> + Send;

    /// Makes a change. If a register says something else than it must, nothing is changed, and the page is given as it is.
    ///
    /// # Errors
    ///
    /// As for [`look`](Pages::look). The change may be made all the same, even later.
    fn change(&self, change: &Change) -> impl Future<Output = Result<Option<Page>, Error>> + Send;

    /// The time of day: milliseconds of Unix time.
    fn wall_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap_or_default().as_millis() as u64
    }
}
