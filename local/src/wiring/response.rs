use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

/// Which items of a batch a function reported as failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failures {
    /// None of them.
    None,
    /// These.
    Items(BTreeSet<String>),
    /// All, because the report makes no sense; with the reason.
    All(&'static str),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    batch_item_failures: Option<Vec<Item>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    item_identifier: Option<String>,
}

/// Reads a function's response as `ReportBatchItemFailures` has it, by
/// [Lambda's rules](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting):
/// an empty, null or missing list is success, an identifier that is empty or not of the batch fails it all.
pub(super) fn failures(response: Value, batch: &BTreeSet<&str>) -> Failures {
    let report: Option<Report> = match serde_json::from_value(response) {
        Ok(report) => report,
        Err(_) => return Failures::All("the response is not a list of batch item failures"),
    };
    let items = report
        .and_then(|report| report.batch_item_failures)
        .unwrap_or_default();
    let identifiers: Option<BTreeSet<String>> = items
        .into_iter()
        .map(|item| {
            item.item_identifier
                .filter(|id| batch.contains(id.as_str()))
        })
        .collect();
    match identifiers {
        None => Failures::All("the response names an item that is not in the batch"),
        Some(identifiers) if identifiers.is_empty() => Failures::None,
        Some(identifiers) => Failures::Items(identifiers),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn responses_are_read_by_lambdas_rules() {
        let some = |ids: &[&str]| {
            Some(
                ids.iter()
                    .map(|id| (*id).to_owned())
                    .collect::<BTreeSet<_>>(),
            )
        };
        let none = some(&[]);
        for (response, failed) in [
            (json!(null), none.clone()),
            (json!({}), none.clone()),
            (json!({ "batchItemFailures": null }), none.clone()),
            (json!({ "batchItemFailures": [] }), none),
            (
                json!({ "batchItemFailures": [{ "itemIdentifier": "b" }] }),
                some(&["b"]),
            ),
            (
                json!({ "batchItemFailures": [{ "itemIdentifier": "a" }, { "itemIdentifier": "b" }] }),
                some(&["a", "b"]),
            ),
            (
                json!({ "batchItemFailures": [{ "itemIdentifier": "" }] }),
                None,
            ),
            (
                json!({ "batchItemFailures": [{ "itemIdentifier": null }] }),
                None,
            ),
            (
                json!({ "batchItemFailures": [{ "itemIdentifier": "unknown" }] }),
                None,
            ),
            (
                json!({ "batchItemFailures": [{ "identifier": "a" }] }),
                None,
            ),
            (json!({ "batchItemFailures": "a" }), None),
            (json!("done"), None),
        ] {
            let read = match failures(response.clone(), &BTreeSet::from(["a", "b"])) {
                Failures::None => some(&[]),
                Failures::Items(items) => Some(items),
                Failures::All(_) => None,
            };
            assert_eq!(read, failed, "{response}");
        }
    }
}
