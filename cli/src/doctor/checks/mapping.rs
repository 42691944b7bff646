//! What starts the functions.

use notifier::settings;
use serde_json::{Value, json};

use super::function::Role;
use crate::doctor::facts::{Configuration, Facts, Function, Mapping, last};
use crate::doctor::finding::{Finding, LabBug, quoted};

/// A mapping of another stream than the table's newest: that of another table, or one that was switched off.
pub(super) fn check_stream(
    facts: &Facts,
    of_streams: &[&Mapping],
    stream_arn: Option<&str>,
    create: &str,
    findings: &mut Vec<Finding>,
) {
    let (Some(stream_arn), Some(mapping)) = (stream_arn, of_streams.first()) else {
        return;
    };
    if of_streams
        .iter()
        .any(|mapping| mapping.source_arn == stream_arn)
    {
        return;
    }
    let problem = format!(
        "the notifier reads the stream {}, which is not that of table {}, {stream_arn}: a stream that is enabled again is \
         a new one",
        mapping.source_arn, facts.table.name
    );
    let delete = format!(
        "aws lambda delete-event-source-mapping --uuid {}",
        mapping.uuid
    );
    findings.push(
        Finding::wrong("notifier-mapping-stream", problem)
            .lab(LabBug::NoStream)
            .fix(format!("{create}; then {delete}")),
    );
}

/// A filter that keeps from the notifier what it is to tell of.
pub(super) fn check_filter(
    configuration: &Configuration,
    of_streams: &[&Mapping],
    findings: &mut Vec<Finding>,
) {
    let reported = configuration
        .variable(settings::EVENT_NAMES)
        .unwrap_or("INSERT");
    for mapping in of_streams
        .iter()
        .filter(|mapping| !mapping.filters.is_empty())
    {
        let lets_through =
            |event: &str| mapping.filters.iter().any(|pattern| covers(pattern, event));
        let held: Vec<&str> = reported
            .split(',')
            .map(str::trim)
            .filter(|event| !lets_through(event))
            .collect();
        if held.is_empty() {
            continue;
        }
        let problem = format!(
            "the filter of the notifier's mapping keeps back {}, of which it is to tell",
            held.join(", ")
        );
        let names: Vec<&str> = reported.split(',').map(str::trim).collect();
        let filters =
            json!({ "Filters": [{ "Pattern": json!({ "eventName": names }).to_string() }] });
        findings.push(
            Finding::wrong("notifier-mapping-filter", problem)
                .lab(LabBug::NoStream)
                .fix(update(
                    mapping,
                    &format!("--filter-criteria {}", quoted(&filters.to_string())),
                )),
        );
    }
}

/// Whether a pattern may let records of this event name through.
fn covers(pattern: &str, event: &str) -> bool {
    let pattern: Value = serde_json::from_str(pattern).unwrap_or_default();
    match pattern["eventName"].as_array() {
        // Anything but plain names is taken to let it through.
        Some(names) => names.iter().any(|name| name == event || !name.is_string()),
        None => true,
    }
}

pub(super) fn check(
    function: &Function,
    mappings: &[&Mapping],
    role: &Role,
    create: &str,
    findings: &mut Vec<Finding>,
) {
    let (name, what) = (&function.name, role.what);
    if mappings.is_empty() {
        let source = if role.bug == LabBug::NoStream {
            "stream"
        } else {
            "queue"
        };
        let problem = format!(
            "nothing starts function {name}, the {what}: its {source}'s event source mapping is missing"
        );
        findings.push(role.wrong("mapping-missing", problem).fix(create));
    }
    for mapping in mappings {
        let source = last(
            mapping
                .source_arn
                .split("/stream/")
                .next()
                .unwrap_or_default(),
        );
        if matches!(mapping.state.as_str(), "Disabled" | "Disabling") {
            let problem = format!(
                "the event source mapping from {source} to function {name}, the {what}, is disabled: nothing starts it"
            );
            findings.push(
                role.wrong("mapping-disabled", problem)
                    .fix(update(mapping, "--enabled")),
            );
        }
        if !mapping.reports_item_failures {
            let problem = format!(
                "the mapping from {source} to the {what} lacks ReportBatchItemFailures: what the function could not do is \
                 taken for done and lost"
            );
            findings.push(
                Finding::wrong(format!("{what}-mapping-failures"), problem).fix(update(
                    mapping,
                    "--function-response-types ReportBatchItemFailures",
                )),
            );
        }
        if let Some(result) = mapping
            .last_result
            .as_deref()
            .filter(|result| result.starts_with("PROBLEM"))
        {
            let problem =
                format!("Lambda says of the mapping from {source} to the {what}: {result}");
            findings.push(
                role.wrong("mapping-problem", problem)
                    .fix(format!("see the function's log: aws logs tail /aws/lambda/{name} --since 1h --filter-pattern ERROR")),
            );
        }
    }
}

/// The function's mappings of one kind of source.
pub(super) fn of<'a>(function: &'a Function, kind: &str) -> Option<Vec<&'a Mapping>> {
    let mappings = function.mappings.known()?.iter();
    Some(
        mappings
            .filter(|mapping| mapping.source_arn.contains(kind))
            .collect(),
    )
}

pub(super) fn update(mapping: &Mapping, what: &str) -> String {
    format!(
        "aws lambda update-event-source-mapping --uuid {} {what}",
        mapping.uuid
    )
}
