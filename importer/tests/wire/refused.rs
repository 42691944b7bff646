//! Rows that pass every check here and that DynamoDB refuses.

use std::sync::Arc;

use importer::import::Status;
use importer::write::WriterKind;
use rows::Schema;

use crate::fixture::{Fixture, file, options};
use crate::support::with_each_writer;

/// An index that is made while an import runs has a key that the importer does not know of.
async fn a_row_that_only_dynamodb_refuses_costs_that_row(writer: WriterKind) {
    let bench = Fixture::start(writer, None).await;
    let mut schema = Schema::clone(
        &*bench
            .table("Indexed", &[("id", "S")], &[("price", "N")])
            .await,
    );
    schema.index_keys.clear();
    let schema = Arc::new(schema);
    // Two in one batch, one of them the first, and one in a batch of its own.
    let refused = [0, 9, 200];
    let row = |n: u32| {
        let price = if refused.contains(&n) {
            "\"on request\""
        } else {
            "1"
        };
        format!("{{\"id\":\"P{n}\",\"price\":{price}}}\n")
    };
    let lines: String = (0..201).map(row).collect();
    let ended = bench
        .import(&schema, file(lines.as_str()), options(1))
        .await;
    assert_eq!(
        ended.summary.status,
        Status::CompletedWithRejects,
        "{ended:?}"
    );
    let counts = ended.summary.counts;
    assert_eq!(
        (counts.rows_read, counts.rows_written, counts.rows_rejected),
        (201, 198, 3)
    );
    assert_eq!(ended.reasons(), ["refused"; 3]);
    for (reject, n) in ended.rejects.iter().zip(refused) {
        assert_eq!(reject.position.line, u64::from(n) + 1);
        let row = String::from_utf8_lossy(&reject.text);
        assert!(row.contains(&format!("\"P{n}\"")), "{row}");
        let message = reject.reason.to_string();
        assert!(
            message.contains("DynamoDB refused the row: ValidationException"),
            "{message}"
        );
        assert!(message.contains("price"), "{message}");
    }
    let items = bench.scan(&schema).await;
    assert_eq!(items.len(), 198);
    assert!(items.iter().all(|item| item["price"].is_n()));
}

with_each_writer!(a_row_that_only_dynamodb_refuses_costs_that_row);
