use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::dynamodb::Tables;
use crate::{LocalError, TABLE};

/// What a record's JSON has beyond its keys and images, generously.
const RECORD_FRAME_BYTES: usize = 600;

/// One record of a table's stream.
#[derive(Debug, Clone)]
pub struct StreamRecord {
    sequence_number: String,
    created: SystemTime,
    size_bytes: usize,
    json: Value,
}

impl StreamRecord {
    /// The record that `GetRecords` returns as `json`, whose keys and images take about `size_bytes` in JSON; `None`
    /// without a sequence number and a time.
    pub fn new(json: Value, size_bytes: usize) -> Option<Self> {
        let change = &json["dynamodb"];
        let created = change["ApproximateCreationDateTime"].as_f64()?;
        let created = Duration::try_from_secs_f64(created).ok()?;
        Some(Self {
            sequence_number: change["SequenceNumber"].as_str()?.to_owned(),
            created: SystemTime::UNIX_EPOCH.checked_add(created)?,
            size_bytes: size_bytes + RECORD_FRAME_BYTES,
            json,
        })
    }

    /// Its sequence number; the stream orders them.
    pub fn sequence_number(&self) -> &str {
        &self.sequence_number
    }

    /// When the item was changed, as the stream has it: the windows go by this.
    pub fn created(&self) -> SystemTime {
        self.created
    }

    /// As `GetRecords` returns it.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// What it takes of an event, about.
    pub(super) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// `INSERT`, `MODIFY` or `REMOVE`.
    pub(super) fn event_name(&self) -> &str {
        self.json["eventName"].as_str().unwrap_or_default()
    }

    /// Which of so many lanes it goes through: all records of an item through the same.
    pub(super) fn lane(&self, lanes: usize) -> usize {
        let mut hasher = DefaultHasher::new();
        // The keys of maps are sorted.
        self.json["dynamodb"]["Keys"].to_string().hash(&mut hasher);
        (hasher.finish() % lanes as u64) as usize
    }
}

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
    /// Whether the database knows `position`, and so keeps what comes after it.
    told: bool,
}

impl TableStream {
    pub(crate) fn new(tables: Tables) -> Self {
        Self {
            tables,
            position: None,
            told: false,
        }
    }
}

impl StreamSource for TableStream {
    /// That of `dynoxide`, in the region of the stack.
    fn stream_arn(&self) -> String {
        let region = format!(":{}:", crate::REGION);
        self.tables.stream_arn().replacen(":dynoxide:", &region, 1)
    }

    async fn read(&mut self) -> Result<Vec<StreamRecord>, LocalError> {
        if !self.told {
            self.tables.read_to(self.position.clone()).await?;
            self.told = true;
        }
        let position = self.position.clone();
        let records = self.tables.records_after(position, READ_RECORDS).await?;
        if let Some(last) = records.last() {
            self.position = Some(last.sequence_number().to_owned());
            self.told = false;
        }
        Ok(records)
    }
}

/// Name of a shard, numbered from 0, as `dynoxide` names the first.
pub(super) fn shard_id(number: usize) -> String {
    format!("shardId-{:08}-{TABLE}", number + 1)
}
