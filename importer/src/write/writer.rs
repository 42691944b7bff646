//! What puts request bodies into a table, and DynamoDB's answer.

use std::fmt;
use std::future::Future;
use std::str::FromStr;

use bytes::Bytes;

use crate::error::Error;

/// Puts the rows of request bodies into a table, over as many lanes as are asked for.
pub trait BatchWrite: Send + Sync + 'static {
    /// What one lane writes with.
    type Lane: LaneWrite;

    /// What the lane `index`, counted from 0, writes with. Nothing is sent yet.
    fn lane(&self, index: usize) -> Self::Lane;
}

/// One lane's way to the table: one request at a time, each of them one attempt.
pub trait LaneWrite: Send + 'static {
    /// Does beforehand what would make the first request slow. What fails here is [`LaneWrite::write`]'s to tell.
    fn warm_up(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Sends `body`, a `BatchWriteItem` request as [`Batch::body`](super::batch::Batch::body) makes it.
    ///
    /// # Errors
    ///
    /// [`Error::class`] says whether to try again, to look for the row at fault, or to give up.
    fn write(&mut self, body: Bytes) -> impl Future<Output = Result<Written, Error>> + Send;
}

/// DynamoDB's answer to a request.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Written {
    /// Keys of the rows that DynamoDB did not take, in the form of [`rows::Row::key`].
    pub unprocessed: Vec<Vec<u8>>,
    /// WCU consumed, indexes included, if DynamoDB says so.
    pub consumed_wcu: Option<f64>,
}

/// Which writer sends the batches.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum WriterKind {
    /// [`WireWriter`](crate::write::wire::WireWriter): signs and sends ready-made bodies itself.
    #[default]
    Wire,
    /// [`SdkWriter`](super::sdk::SdkWriter): sends them through the AWS SDK, at several times the CPU time.
    Sdk,
}

impl fmt::Display for WriterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wire => "wire",
            Self::Sdk => "sdk",
        })
    }
}

impl FromStr for WriterKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "wire" => Ok(Self::Wire),
            "sdk" => Ok(Self::Sdk),
            _ => Err(format!("\"{text}\" is not a writer; it is wire or sdk")),
        }
    }
}

/// [`BatchWrite`] that writes nothing and takes every row: for `--dry-run`.
#[derive(Debug, Clone, Copy)]
pub struct DryRun;

impl BatchWrite for DryRun {
    type Lane = Self;

    fn lane(&self, _index: usize) -> Self {
        *self
    }
}

impl LaneWrite for DryRun {
    async fn write(&mut self, _body: Bytes) -> Result<Written, Error> {
        Ok(Written::default())
    }
}
