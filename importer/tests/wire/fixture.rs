//! A stack with tables of the tests' own, and imports into them.

use std::collections::HashMap;
use std::io::Cursor;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement,
    KeyType, Projection, ProjectionType, ScalarAttributeType,
};
use bytes::Bytes;
use importer::import::{Checkpoint, Import, ImportOptions, Journal, Source, Status, Stop, Summary};
use importer::progress::Progress;
use importer::retry::RetryPolicy;
use importer::write::WireWriter;
use importer::write::{BatchWrite as _, LaneWrite as _, SdkWriter, WriterKind, Written};
use importer::{Error, table};
use local::{FaultPlan, Stack, StackOptions};
use rows::{DecodeOptions, Format, Reject, Schema};

use crate::support::clients::Services;

pub(crate) type Item = HashMap<String, AttributeValue>;

/// Options for tests: short waits, `lanes` requests at once.
pub(crate) fn options(lanes: usize) -> ImportOptions {
    ImportOptions {
        lanes: NonZeroUsize::new(lanes).unwrap(),
        retry: RetryPolicy {
            base: Duration::from_millis(1),
            cap: Duration::from_millis(20),
            budget: Duration::from_secs(30),
        },
        // Nothing arrives late in the stack.
        request_lasts: Duration::from_millis(100),
        seed: Some(7),
        ..ImportOptions::default()
    }
}

/// Options for a file of this format.
pub(crate) fn as_format(format: Format, lanes: usize) -> ImportOptions {
    ImportOptions {
        decode: DecodeOptions {
            format: Some(format),
            ..DecodeOptions::default()
        },
        ..options(lanes)
    }
}

/// Keeps rejected rows.
#[derive(Clone, Default)]
struct Rejects(Arc<Mutex<Vec<Reject>>>);

impl Journal for Rejects {
    async fn reject(&mut self, reject: &Reject) -> Result<(), Error> {
        self.0.lock().unwrap().push(reject.clone());
        Ok(())
    }

    async fn finish(&mut self, _checkpoint: &Checkpoint) -> Result<(), Error> {
        Ok(())
    }

    fn place(&self) -> Option<String> {
        None
    }
}

/// How an import ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) summary: Summary,
    pub(crate) rejects: Vec<Reject>,
}

impl Ended {
    /// Asserts that every row is written or superseded.
    #[track_caller]
    pub(crate) fn whole(self) -> Summary {
        assert_eq!(self.summary.status, Status::Completed, "{self:?}");
        let counts = &self.summary.counts;
        assert_eq!(
            counts.rows_read,
            counts.rows_written + counts.rows_superseded
        );
        assert_eq!(self.summary.rows_unsettled, 0);
        self.summary
    }

    /// Codes of the reasons for which rows were rejected.
    pub(crate) fn reasons(&self) -> Vec<&'static str> {
        self.rejects
            .iter()
            .map(|reject| reject.reason.code())
            .collect()
    }
}

/// Imports `source` with `writer` into the table of `schema`, where `sdk` finds it.
pub(crate) async fn import(
    writer: WriterKind,
    sdk: &SdkConfig,
    schema: &Arc<Schema>,
    source: Source,
    options: ImportOptions,
) -> Ended {
    let import = Import {
        name: "test".to_owned(),
        source,
        resume: None,
        schema: Arc::clone(schema),
        options,
        progress: Arc::new(Progress::default()),
        stop: Stop::default(),
    };
    let rejects = Rejects::default();
    let schema = Arc::clone(schema);
    let summary = match writer {
        WriterKind::Sdk => {
            let writer = SdkWriter::new(sdk, schema);
            import.run(writer, rejects.clone()).await.summary
        }
        WriterKind::Wire => {
            let writer = WireWriter::new(sdk, schema).await.unwrap();
            import.run(writer, rejects.clone()).await.summary
        }
    };
    let rejects = rejects.0.lock().unwrap().clone();
    Ended { summary, rejects }
}

/// Sends one request body as it is, once.
pub(crate) async fn write(
    writer: WriterKind,
    sdk: &SdkConfig,
    schema: &Arc<Schema>,
    body: impl Into<Bytes>,
) -> Result<Written, Error> {
    let schema = Arc::clone(schema);
    match writer {
        WriterKind::Sdk => {
            let writer = SdkWriter::new(sdk, schema);
            writer.lane(0).write(body.into()).await
        }
        WriterKind::Wire => {
            let writer = WireWriter::new(sdk, schema).await?;
            writer.lane(0).write(body.into()).await
        }
    }
}

/// A file in memory.
pub(crate) fn file(content: impl Into<Vec<u8>>) -> Source {
    Source::reader(Cursor::new(content.into()), None)
}

/// A key attribute: its name and `S`, `N` or `B`.
pub(crate) type Attribute = (&'static str, &'static str);

/// A stack, its clients, and what imports into it.
pub(crate) struct Fixture {
    pub(crate) writer: WriterKind,
    pub(crate) stack: Stack,
    pub(crate) sdk: SdkConfig,
    pub(crate) dynamodb: Client,
    pub(crate) s3: aws_sdk_s3::Client,
}

impl Fixture {
    pub(crate) async fn start(writer: WriterKind, faults: Option<FaultPlan>) -> Self {
        let options = StackOptions {
            faults: faults.unwrap_or_default(),
            ..StackOptions::default()
        };
        let stack = Stack::start(options).await.unwrap();
        let sdk = Services::of(&stack).sdk_config();
        Self {
            writer,
            dynamodb: Client::new(&sdk),
            s3: aws_sdk_s3::Client::new(&sdk),
            stack,
            sdk,
        }
    }

    /// What the importer knows of the stack's own table.
    pub(crate) async fn inventory(&self) -> Arc<Schema> {
        self.describe(local::TABLE).await
    }

    async fn describe(&self, name: &str) -> Arc<Schema> {
        Arc::new(table::describe(&self.dynamodb, name).await.unwrap())
    }

    /// Makes a table with this primary key and, if any, an index with that key.
    pub(crate) async fn table(
        &self,
        name: &str,
        key: &[Attribute],
        index: &[Attribute],
    ) -> Arc<Schema> {
        let mut create = self
            .dynamodb
            .create_table()
            .table_name(name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_key_schema(Some(key_schema(key)));
        for (attribute, kind) in key.iter().chain(index) {
            let definition = AttributeDefinition::builder()
                .attribute_name(*attribute)
                .attribute_type(ScalarAttributeType::from(*kind));
            create = create.attribute_definitions(definition.build().unwrap());
        }
        if !index.is_empty() {
            let all = Projection::builder().projection_type(ProjectionType::All);
            let index = GlobalSecondaryIndex::builder()
                .index_name("index")
                .set_key_schema(Some(key_schema(index)))
                .projection(all.build());
            create = create.global_secondary_indexes(index.build().unwrap());
        }
        create.send().await.unwrap();
        self.describe(name).await
    }

    pub(crate) async fn import(
        &self,
        schema: &Arc<Schema>,
        source: Source,
        options: ImportOptions,
    ) -> Ended {
        import(self.writer, &self.sdk, schema, source, options).await
    }

    /// Every item of a table.
    pub(crate) async fn scan(&self, schema: &Schema) -> Vec<Item> {
        let scan = self
            .dynamodb
            .scan()
            .table_name(&schema.table)
            .consistent_read(true);
        let items = scan.into_paginator().items().send();
        items.collect::<Result<_, _>>().await.unwrap()
    }
}

fn key_schema(key: &[Attribute]) -> Vec<KeySchemaElement> {
    let roles = [KeyType::Hash, KeyType::Range];
    key.iter()
        .zip(roles)
        .map(|((name, _), role)| {
            KeySchemaElement::builder()
                .attribute_name(*name)
                .key_type(role)
                .build()
                .unwrap()
        })
        .collect()
}
