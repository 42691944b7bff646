//! A whole import through everything that can go wrong on the way to DynamoDB.

use std::collections::BTreeMap;

use importer::write::WriterKind;
use local::{Fault, FaultPlan, When};
use rows::Format;

use crate::fixture::{Fixture, as_format, file};
use crate::support::with_each_writer;

const ROWS: u32 = 10_000;
const WRITE: &str = "BatchWriteItem";

/// Keys and versions of rows, about one in ten of which repeats an earlier key.
fn rows(seed: u64) -> Vec<(u32, u32)> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut keys = 0;
    let row = |version| {
        if keys > 0 && rng.u32(0..10) == 0 {
            return (rng.u32(0..keys), version);
        }
        keys += 1;
        (keys - 1, version)
    };
    (0..ROWS).map(row).collect()
}

fn json(rows: &[(u32, u32)]) -> String {
    let row =
        |(key, version): &(u32, u32)| format!("{{\"productId\":\"P{key}\",\"version\":{version}}}");
    format!("[{}]", rows.iter().map(row).collect::<Vec<_>>().join(",\n"))
}

fn csv(rows: &[(u32, u32)]) -> String {
    let row = |(key, version): &(u32, u32)| format!("P{key},{version}\r\n");
    format!(
        "productId,version\r\n{}",
        rows.iter().map(row).collect::<String>()
    )
}

async fn survives(
    writer: WriterKind,
    seed: u64,
    format: Format,
    content: fn(&[(u32, u32)]) -> String,
) {
    let bench = Fixture::start(
        writer,
        Some(
            FaultPlan::default()
                .seed(seed)
                .fail(WRITE, When::every(49), Fault::ResetBefore)
                .fail(WRITE, When::every(51), Fault::ResetAfter)
                .fail(WRITE, When::every(50), Fault::InternalError)
                .fail(WRITE, When::every(20), Fault::Throttle)
                .fail(WRITE, When::every(6), Fault::Unprocessed),
        ),
    )
    .await;
    let rows = rows(seed);
    let schema = bench.inventory().await;
    let ended = bench
        .import(&schema, file(content(&rows)), as_format(format, 16))
        .await;
    let counts = ended.whole().counts;
    assert_eq!(counts.rows_read, u64::from(ROWS));

    let mut found = BTreeMap::new();
    for item in bench.scan(&schema).await {
        assert_eq!(item.len(), 2, "{item:?}");
        let (key, version) = (
            item["productId"].as_s().unwrap(),
            item["version"].as_n().unwrap(),
        );
        found.insert(key.clone(), version.clone());
    }
    let expected: BTreeMap<_, _> = rows
        .iter()
        .map(|(key, version)| (format!("P{key}"), version.to_string()))
        .collect();
    assert_eq!(found, expected);

    let faults = bench.stack.faults();
    let each = [
        Fault::ResetBefore,
        Fault::ResetAfter,
        Fault::InternalError,
        Fault::Throttle,
        Fault::Unprocessed,
    ]
    .map(|fault| faults.injected(fault));
    assert!(!each.contains(&0), "{each:?}");
    assert_eq!(counts.throttles, each[3] + each[4]);
    assert_eq!(counts.retries, each.iter().sum::<u64>());
}

async fn the_last_row_wins_in_json_whatever_fails(writer: WriterKind) {
    survives(writer, 1, Format::Json, json).await;
}

async fn the_last_row_wins_in_csv_whatever_fails(writer: WriterKind) {
    survives(writer, 2, Format::Csv, csv).await;
}

with_each_writer!(
    the_last_row_wins_in_json_whatever_fails,
    the_last_row_wins_in_csv_whatever_fails,
);
