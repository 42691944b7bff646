//! DynamoDB and DynamoDB Streams: `dynoxide` in memory, with a stream log that stays fast.
//!
//! Nothing here limits, refuses or breaks calls: capacity, access and faults stand in front of it.

mod answer;
mod batch;
mod proxy;
mod record;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dynoxide::Database;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

pub(crate) use self::answer::{error_response, json_response};
pub(crate) use self::batch::{add_unprocessed, count_items, nothing_written, take_items};
pub(crate) use self::proxy::Proxy;
pub use self::record::StreamRecord;
use crate::deployment::{JOBS_TABLE, PARTITION_KEY, TABLE};
use crate::error::LocalError;
use crate::server::BoxError;

/// How many stream records are kept at least, over all tables. What the mapping to the notifier has not read yet is kept
/// however much it is; another reader, through the API, that is further behind misses the oldest, as it does on AWS
/// [after 24 hours](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html).
const STREAM_RECORDS_KEPT: u64 = 100_000;
/// The tag of [`TABLE`] that holds how far the mapping has read: the only way to tell the database from outside of its
/// connection, which nobody else can write beside.
const READ_TO_TAG: &str = "intake:stream-read-to";

/// What `dynoxide` adds to the number that it stores with a record to get its public sequence number.
const SEQUENCE_NUMBER_OFFSET: u128 = 100_000_000_000_000_000_000;

/// Threads of the server. Requests block them: `SQLite` runs on the thread that serves the connection.
const THREADS: usize = 2;

/// How long to wait for requests at work when stopping.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A database and the server in front of it.
#[derive(Debug)]
pub(crate) struct DynamoDb {
    tables: Tables,
    /// `None` only while dropping.
    runtime: Option<Runtime>,
}

impl DynamoDb {
    /// Opens a database of its own with the tables [`TABLE`] and [`JOBS_TABLE`] and serves it.
    pub(crate) fn start(listener: TcpListener) -> Result<Self, LocalError> {
        let tables = Tables::open(STREAM_RECORDS_KEPT)?;
        // Its own threads, so that a long scan never holds up the other services.
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let builder = builder
            .worker_threads(THREADS)
            .enable_all()
            .thread_name("local-dynamodb");
        let runtime = builder.build().map_err(LocalError::Threads)?;
        let db = tables.db.clone();
        // A listener belongs to the runtime that registered it.
        let listener = listener.into_std().map_err(LocalError::Threads)?;
        runtime.spawn(async move {
            match TcpListener::from_std(listener) {
                Ok(listener) => dynoxide::server::serve_on(listener, db).await,
                Err(error) => tracing::error!(%error, "the embedded DynamoDB cannot listen"),
            }
        });
        Ok(Self {
            tables,
            runtime: Some(runtime),
        })
    }

    /// Stops serving and waits until it has.
    pub(crate) async fn stop(mut self) {
        if let Some(runtime) = self.runtime.take() {
            // It waits by blocking, and only for requests at work; the error is that it panicked.
            let stop = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(STOP_TIMEOUT));
            if let Err(error) = stop.await {
                tracing::warn!(%error, "cannot stop the embedded DynamoDB");
            }
        }
    }

    /// The database, for use within the process.
    pub(crate) fn tables(&self) -> &Tables {
        &self.tables
    }
}

impl Drop for DynamoDb {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A database with the tables [`TABLE`] and [`JOBS_TABLE`], used within the process.
#[derive(Clone)]
pub(crate) struct Tables {
    db: Database,
    stream_arn: String,
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tables")
            .field("stream_arn", &self.stream_arn)
            .finish_non_exhaustive()
    }
}

impl Tables {
    fn open(records_kept: u64) -> Result<Self, LocalError> {
        static DATABASES: AtomicU64 = AtomicU64::new(0);
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        // Unique: two databases with one name in a process would be one.
        let uri = format!(
            "file:intake-local-{}-{number}?mode=memory&cache=shared",
            std::process::id()
        );
        let db = open_database(&uri, records_kept).map_err(failed_to("open a database"))?;
        let create = |table: Value| -> Result<Option<String>, BoxError> {
            let created = db.create_table(serde_json::from_value(table)?)?;
            Ok(created.table_description.latest_stream_arn)
        };
        let stream_arn = create(json!({
            "TableName": TABLE,
            "KeySchema": [{ "AttributeName": PARTITION_KEY, "KeyType": "HASH" }],
            "AttributeDefinitions": [{ "AttributeName": PARTITION_KEY, "AttributeType": "S" }],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
        }))
        .map_err(failed_to("create the table"))?;
        create(json!({
            "TableName": JOBS_TABLE,
            "KeySchema": [
                { "AttributeName": "owner", "KeyType": "HASH" },
                { "AttributeName": "job", "KeyType": "RANGE" },
            ],
            "AttributeDefinitions": [
                { "AttributeName": "owner", "AttributeType": "S" },
                { "AttributeName": "job", "AttributeType": "S" },
            ],
            "BillingMode": "PAY_PER_REQUEST",
        }))
        .map_err(failed_to("create the table of jobs"))?;
        let expire = || -> Result<(), BoxError> {
            db.update_time_to_live(serde_json::from_value(json!({
                "TableName": JOBS_TABLE,
                "TimeToLiveSpecification": { "AttributeName": "expires_at", "Enabled": true },
            }))?)?;
            Ok(())
        };
        expire().map_err(failed_to("set the time to live of jobs"))?;
        Ok(Self {
            db,
            stream_arn: stream_arn.unwrap_or_default(),
        })
    }

    /// ARN of the stream of [`TABLE`], as `dynoxide` names it.
    pub(crate) fn stream_arn(&self) -> &str {
        &self.stream_arn
    }

    /// ARN of a table, as `dynoxide` names it.
    pub(crate) fn table_arn(&self, name: &str) -> String {
        let (own, _stream) = self.stream_arn.split_once(TABLE).unwrap_or_default();
        format!("{own}{name}")
    }

    /// Up to `limit` records after the one with the given sequence number; from the oldest without one.
    pub(crate) async fn records_after(
        &self,
        sequence_number: Option<String>,
        limit: usize,
    ) -> Result<Vec<StreamRecord>, LocalError> {
        let tables = self.clone();
        // The database blocks; the error is that the closure panicked.
        let read =
            tokio::task::spawn_blocking(move || tables.read_stream(sequence_number, limit)).await;
        read.map_err(BoxError::from)
            .flatten()
            .map_err(failed_to("read its stream"))
    }

    fn read_stream(
        &self,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<StreamRecord>, BoxError> {
        use dynoxide::actions::get_records::GetRecordsRequest;
        use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
        let from = if after.is_some() {
            "AFTER_SEQUENCE_NUMBER"
        } else {
            "TRIM_HORIZON"
        };
        let iterator = self.db.get_shard_iterator(GetShardIteratorRequest {
            stream_arn: self.stream_arn.clone(),
            // dynoxide has one shard a table, which never closes.
            shard_id: dynoxide::streams::shard_id(TABLE),
            shard_iterator_type: from.to_owned(),
            sequence_number: after,
        })?;
        let request = GetRecordsRequest {
            shard_iterator: iterator.shard_iterator.unwrap_or_default(),
            limit: Some(limit),
        };
        let records = self.db.get_records(request)?.records;
        let records = records.into_iter().map(|record| {
            let size_bytes = usize::try_from(record.dynamodb.size_bytes)?;
            let json = serde_json::to_value(record)?;
            StreamRecord::new(json, size_bytes).ok_or_else(|| "it is no stream record".into())
        });
        records.collect()
    }

    /// Notes that the mapping has read up to this record, and will never ask for it or an earlier one again. Without a
    /// number, that it begins: from now on nothing is deleted that it has not read.
    pub(crate) async fn acknowledge(
        &self,
        sequence_number: Option<String>,
    ) -> Result<(), LocalError> {
        let tables = self.clone();
        let noted =
            tokio::task::spawn_blocking(move || tables.store_position(sequence_number)).await;
        noted
            .map_err(BoxError::from)
            .flatten()
            .map_err(failed_to("note what was read of its stream"))
    }

    fn store_position(&self, sequence_number: Option<String>) -> Result<(), BoxError> {
        let position = match sequence_number {
            Some(number) => number
                .parse::<u128>()?
                .saturating_sub(SEQUENCE_NUMBER_OFFSET),
            None => 0,
        };
        let request = json!({
            "ResourceArn": dynoxide::streams::table_arn(TABLE),
            "Tags": [{ "Key": READ_TO_TAG, "Value": position.to_string() }],
        });
        self.db.tag_resource(serde_json::from_value(request)?)?;
        Ok(())
    }
}

fn failed_to<E: Into<BoxError>>(action: &'static str) -> impl FnOnce(E) -> LocalError {
    move |source| LocalError::DynamoDb {
        action,
        source: source.into(),
    }
}

/// A database in memory whose stream log has an index and keeps the newest `records_kept` records, and all that the
/// mapping has not read.
///
/// `dynoxide` 3.2.0 looks up the greatest sequence number for every item written, without an index, and
/// deletes no record: writing gets slower with the square of what was written (50,000 items took 345 s).
/// The index and the triggers go into its private tables through a second connection, which is why its version
/// is pinned and a test fails if those tables change. That connection cannot write later on: `SQLite` would refuse
/// `dynoxide` the table meanwhile. So the mapping tells what it has read through a tag, which `dynoxide` itself writes.
/// Two records at most are deleted for one that is written, so that a long log does not make writing slow.
fn open_database(uri: &str, records_kept: u64) -> Result<Database, BoxError> {
    // First, because it makes the schema, and the database lives as long as a connection does.
    let db = Database::new(uri)?;
    rusqlite::Connection::open(uri)?.execute_batch(&format!(
        "CREATE INDEX intake_stream_order
           ON _stream_records (table_name, CAST(sequence_number AS INTEGER));
         CREATE TABLE intake_stream_reader (read_to INTEGER NOT NULL);
         CREATE TRIGGER intake_stream_read AFTER UPDATE OF tags ON _tables WHEN NEW.table_name = '{TABLE}'
           BEGIN
             DELETE FROM intake_stream_reader;
             INSERT INTO intake_stream_reader
               SELECT CAST(json_extract(value, '$.Value') AS INTEGER) FROM json_each(NEW.tags)
               WHERE json_extract(value, '$.Key') = '{READ_TO_TAG}';
           END;
         CREATE TRIGGER intake_stream_trim AFTER INSERT ON _stream_records
           BEGIN
             DELETE FROM _stream_records
               WHERE id IN (SELECT id FROM _stream_records WHERE id <= NEW.id - {records_kept} ORDER BY id LIMIT 2)
               AND (table_name <> '{TABLE}' OR CAST(sequence_number AS INTEGER)
                    <= COALESCE((SELECT MAX(read_to) FROM intake_stream_reader), {all}));
           END",
        all = i64::MAX,
    ))?;
    Ok(db)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(tables: &Tables, id: usize) {
        let request =
            json!({ "TableName": TABLE, "Item": { "productId": { "S": format!("P{id}") } } });
        tables
            .db
            .put_item(serde_json::from_value(request).unwrap())
            .unwrap();
    }

    fn ids(records: &[StreamRecord]) -> Vec<&str> {
        records
            .iter()
            .map(|record| {
                record.json()["dynamodb"]["Keys"]["productId"]["S"]
                    .as_str()
                    .unwrap()
            })
            .collect()
    }

    #[test]
    fn the_private_stream_table_of_dynoxide_uses_the_index() {
        let uri = "file:intake-local-plan?mode=memory&cache=shared";
        let _db = open_database(uri, 10).unwrap();
        // The statement that dynoxide runs for every item written to a table with a stream.
        let sql = "EXPLAIN QUERY PLAN SELECT COALESCE(MAX(CAST(sequence_number AS INTEGER)), 0) + 1
                   FROM _stream_records WHERE table_name = 'T'";
        let connection = rusqlite::Connection::open(uri).unwrap();
        let plan: String = connection.query_row(sql, [], |row| row.get(3)).unwrap();
        assert!(plan.contains("intake_stream_order"), "{plan}");
    }

    #[tokio::test]
    async fn the_stream_is_read_in_order_and_resumed() {
        let tables = Tables::open(100).unwrap();
        assert!(tables.records_after(None, 10).await.unwrap().is_empty());
        (0..5).for_each(|id| put(&tables, id));
        let first = tables.records_after(None, 3).await.unwrap();
        assert_eq!(ids(&first), ["P0", "P1", "P2"]);
        let rest = tables
            .records_after(Some(first[2].sequence_number().to_owned()), 10)
            .await
            .unwrap();
        assert_eq!(ids(&rest), ["P3", "P4"]);
        assert!(rest[0].sequence_number() > first[2].sequence_number());
    }

    #[tokio::test]
    async fn the_stream_keeps_the_newest_records_only() {
        let tables = Tables::open(3).unwrap();
        (0..10).for_each(|id| put(&tables, id));
        assert_eq!(
            ids(&tables.records_after(None, 10).await.unwrap()),
            ["P7", "P8", "P9"]
        );
    }

    #[tokio::test]
    async fn what_the_mapping_has_not_read_is_kept() {
        let tables = Tables::open(3).unwrap();
        tables.acknowledge(None).await.unwrap();
        (0..10).for_each(|id| put(&tables, id));
        let all = tables.records_after(None, 100).await.unwrap();
        assert_eq!(all.len(), 10);
        let fourth = all[3].sequence_number().to_owned();
        tables.acknowledge(Some(fourth)).await.unwrap();
        // The fourth is among the read ones, and each write deletes two.
        (10..20).for_each(|id| put(&tables, id));
        let left = tables.records_after(None, 100).await.unwrap();
        assert_eq!((ids(&left)[0], left.len()), ("P4", 16));
    }

    #[tokio::test]
    async fn each_database_is_its_own() {
        let (one, other) = (Tables::open(10).unwrap(), Tables::open(10).unwrap());
        put(&one, 1);
        assert!(other.records_after(None, 10).await.unwrap().is_empty());
    }
}
