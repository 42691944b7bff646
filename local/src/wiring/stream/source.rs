use std::time::SystemTime;

use crate::deployment::{REGION, TABLE};
use crate::error::LocalError;
use crate::services::dynamodb::{StreamRecord, Tables};

/// Where a mapping reads records: the table's stream, or what a test makes up.
pub trait StreamSource: Send + 'static {
    /// ARN of the stream, as events have it.
    fn stream_arn(&self) -> String;

    /// The next records, in order, from the oldest; empty if there are none now. They are not asked for again.
    ///
    /// # Errors
    ///
    /// The stream cannot be read; it is tried again.
    fn read(&mut self) -> impl Future<Output = Result<Vec<StreamRecord>, LocalError>> + Send;

    /// The time by the clock that the records' times come from.
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Most records [that `GetRecords` returns](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_GetRecords.html).
const READ_RECORDS: usize = 1000;

/// The stream of [`TABLE`].
#[derive(Debug)]
pub(crate) struct TableStream {
    tables: Tables,
    /// Sequence number of the last record that was read.
    position: Option<String>,
    /// Whether the database has `position`, and so keeps what comes after it.
    is_acknowledged: bool,
}

impl TableStream {
    pub(crate) fn new(tables: Tables) -> Self {
        Self {
            tables,
            position: None,
            is_acknowledged: false,
        }
    }
}

impl StreamSource for TableStream {
    /// That of `dynoxide`, in the region of the stack.
    fn stream_arn(&self) -> String {
        let region = format!(":{REGION}:");
        self.tables.stream_arn().replacen(":dynoxide:", &region, 1)
    }

    async fn read(&mut self) -> Result<Vec<StreamRecord>, LocalError> {
        if !self.is_acknowledged {
            self.tables.acknowledge(self.position.clone()).await?;
            self.is_acknowledged = true;
        }
        let position = self.position.clone();
        let records = self.tables.records_after(position, READ_RECORDS).await?;
        if let Some(last) = records.last() {
            self.position = Some(last.sequence_number().to_owned());
            self.is_acknowledged = false;
        }
        Ok(records)
    }
}

/// Name of a shard, numbered from 0, as `dynoxide` names the first.
pub(super) fn shard_id(number: usize) -> String {
    format!("shardId-{:08}-{TABLE}", number + 1)
}
