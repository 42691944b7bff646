//! The floor of the race: ready-made request bodies through the importer's own signing and transport, nothing else.
//!
//! `benches/race.py` runs it with the bodies that an import sent. They are written over and over, by as many lanes as an
//! import has, until the rows are as many as asked for. Region, credentials and endpoint come from the environment.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use clap::Parser;
use hyper::body::Bytes;
use importer::write::{BatchWrite, LaneWrite, WireWriter};
use rows::{KeyAttribute, KeyType, Schema};

/// Sends ready-made request bodies through the importer's signing and transport.
#[derive(Debug, Parser)]
struct Arguments {
    /// Bodies of `BatchWriteItem` requests, one a line
    #[arg(long)]
    body_file: PathBuf,

    /// Rows in each of them
    #[arg(long)]
    rows_per_batch: usize,

    /// Rows to write
    #[arg(long)]
    rows: usize,

    /// Requests at a time
    #[arg(long)]
    lanes: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments = Arguments::parse();
    let file = Bytes::from(std::fs::read(&arguments.body_file)?);
    let bodies: Arc<[Bytes]> = file
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| file.slice_ref(line))
        .collect();
    let batches = arguments.rows / arguments.rows_per_batch;
    if bodies.is_empty() || batches * arguments.rows_per_batch != arguments.rows {
        return Err("there are no bodies, or they do not make this number of rows".into());
    }

    let key = KeyAttribute::partition("productId", KeyType::S);
    let schema = Arc::new(Schema::new("InventoryTable", key, None));
    let writer = WireWriter::new(&cloud::sdk_config().await?, schema).await?;
    let next = Arc::new(AtomicUsize::new(0));
    let mut lanes = tokio::task::JoinSet::new();
    for index in 0..arguments.lanes {
        let (mut lane, bodies, next) = (writer.lane(index), Arc::clone(&bodies), Arc::clone(&next));
        lanes.spawn(async move {
            lane.warm_up().await;
            loop {
                let batch = next.fetch_add(1, Relaxed);
                if batch >= batches {
                    return Ok::<_, Box<dyn Error + Send + Sync>>(());
                }
                let written = lane.write(bodies[batch % bodies.len()].clone()).await?;
                if !written.unprocessed.is_empty() {
                    return Err("the sink gave rows back".into());
                }
            }
        });
    }
    while let Some(ended) = lanes.join_next().await {
        ended??;
    }
    Ok(())
}
