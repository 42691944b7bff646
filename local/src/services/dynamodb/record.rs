use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime};

use serde_json::Value;

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
    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// `INSERT`, `MODIFY` or `REMOVE`.
    pub(crate) fn event_name(&self) -> &str {
        self.json["eventName"].as_str().unwrap_or_default()
    }

    /// Which of so many lanes it goes through: all records of an item through the same.
    pub(crate) fn lane(&self, lanes: usize) -> usize {
        let mut hasher = DefaultHasher::new();
        // The keys of maps are sorted.
        self.json["dynamodb"]["Keys"].to_string().hash(&mut hasher);
        (hasher.finish() % lanes as u64) as usize
    }
}
