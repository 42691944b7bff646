//! The two tables, and a file for one of them.

use rows::{KeyAttribute, KeyType, Schema};

use crate::doctor::facts::{Fact, Facts, File, FileProblem, JobsTable, Named, Table};
use crate::doctor::finding::{Finding, LabBug};

/// The view type with which the notifier hears what was and what is.
const VIEW: &str = "NEW_AND_OLD_IMAGES";
/// By which attribute jobs expire.
const EXPIRES: &str = "expires_at";

pub(super) fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    let Named { name, fact } = &facts.table;
    match fact {
        Fact::Seen(table) => check_table(facts, name, table, findings),
        Fact::Missing => findings.push(
            Finding::wrong("table-missing", format!("table {name} does not exist: nothing can be imported"))
                .lab(LabBug::TableEmpty)
                .fix(format!(
                    "aws dynamodb create-table --table-name {name} --billing-mode PAY_PER_REQUEST --attribute-definitions \
                     AttributeName=productId,AttributeType=S --key-schema AttributeName=productId,KeyType=HASH \
                     --stream-specification StreamEnabled=true,StreamViewType={VIEW}, or name an existing one: sam deploy \
                     --parameter-overrides ExistingTableName=…"
                )),
        ),
        Fact::Unknown(refusal) => findings.push(Finding::refused(format!("table {name}"), refusal)),
    }
    let Named { name, fact } = &facts.jobs_table;
    match fact {
        Fact::Seen(jobs) => check_jobs(name, jobs, findings),
        Fact::Missing => findings.push(
            Finding::wrong(
                "jobs-table-missing",
                format!("the table of jobs {name} does not exist: no file can be imported"),
            )
            .lab(LabBug::TableEmpty)
            .fix(format!(
                "aws dynamodb create-table --table-name {name} --billing-mode PAY_PER_REQUEST --attribute-definitions \
                 AttributeName=owner,AttributeType=S AttributeName=job,AttributeType=S --key-schema \
                 AttributeName=owner,KeyType=HASH AttributeName=job,KeyType=RANGE, or name another with --jobs-table"
            )),
        ),
        Fact::Unknown(refusal) => findings.push(Finding::refused(format!("table of jobs {name}"), refusal)),
    }
    if let Some(file) = &facts.file {
        check_file(facts, file, findings);
    }
}

fn check_table(facts: &Facts, name: &str, table: &Table, findings: &mut Vec<Finding>) {
    if !is_usable(table) {
        findings.push(status(name, table));
    }
    if facts.notifier.is_none() {
        return;
    }
    let update = |specification: &str| {
        format!(
            "aws dynamodb update-table --table-name {name} --stream-specification {specification}"
        )
    };
    // A new stream has another ARN, so the mapping must be made for it, too.
    let then = "then give its LatestStreamLabel to the mapping: sam deploy (for a table of your own with \
        --parameter-overrides ExistingTableStreamLabel=…)";
    match table.stream_view.as_deref() {
        Some(VIEW) => {}
        None => findings.push(
            Finding::wrong(
                "stream-disabled",
                format!("the stream of table {name} is disabled: nobody is told of changes"),
            )
            .lab(LabBug::NoStream)
            .fix(format!(
                "{}, {then}",
                update(&format!("StreamEnabled=true,StreamViewType={VIEW}"))
            )),
        ),
        Some(other) => findings.push(
            Finding::wrong(
                "stream-view-type",
                format!("the stream of table {name} has the wrong view type {other} and not {VIEW}: digests lack names"),
            )
            .lab(LabBug::NoStream)
            .fix(format!(
                "{}; {}, {then}",
                update("StreamEnabled=false"),
                update(&format!("StreamEnabled=true,StreamViewType={VIEW}"))
            )),
        ),
    }
}

fn is_usable(table: &Table) -> bool {
    matches!(table.status.as_str(), "ACTIVE" | "UPDATING")
}

fn status(name: &str, table: &Table) -> Finding {
    Finding::wrong(
        "table-status",
        format!("table {name} is {}: nothing can be written", table.status),
    )
    .lab(LabBug::TableEmpty)
    .fix(format!(
        "wait for it: aws dynamodb wait table-exists --table-name {name}"
    ))
}

fn check_jobs(name: &str, jobs: &JobsTable, findings: &mut Vec<Finding>) {
    if !is_usable(&jobs.table) {
        findings.push(status(name, &jobs.table));
    }
    let key = [
        KeyAttribute::partition("owner", KeyType::S),
        KeyAttribute::sort("job", KeyType::S),
    ];
    if jobs.table.schema.key != key {
        let problem = format!(
            "table {name} has the key {} and is no table of jobs, which has owner (String), job (String)",
            described(&jobs.table.schema)
        );
        findings.push(
            Finding::wrong("jobs-table-key", problem)
                .lab(LabBug::TableEmpty)
                .fix("name the right one in INTAKE_JOBS_TABLE of the importer (sam deploy --parameter-overrides JobsTableName=…)"),
        );
    }
    match &jobs.expires_by {
        Fact::Seen(Some(attribute)) if attribute == EXPIRES => {}
        Fact::Seen(_) | Fact::Missing => findings.push(
            Finding::wrong(
                "jobs-table-ttl",
                format!(
                    "jobs in table {name} never expire: its time to live (TTL) on {EXPIRES} is off"
                ),
            )
            .fix(format!(
                "aws dynamodb update-time-to-live --table-name {name} --time-to-live-specification \
                 Enabled=true,AttributeName={EXPIRES}"
            )),
        ),
        Fact::Unknown(refusal) => {
            findings.push(Finding::refused(
                format!("time to live of table {name}"),
                refusal,
            ));
        }
    }
}

fn check_file(facts: &Facts, file: &Named<File>, findings: &mut Vec<Finding>) {
    let Named { name, fact } = file;
    let table = &facts.table.name;
    let validate = format!("see every such row with: intake validate {name} --table {table}");
    match fact {
        Fact::Seen(File { problem: None }) => {}
        Fact::Seen(File {
            problem: Some(FileProblem::Key(row)),
        }) => {
            let key = facts
                .table
                .fact
                .known()
                .map_or_else(String::new, |t| described(&t.schema));
            findings.push(
                Finding::wrong(
                    "file-key",
                    format!("{name} does not match the key of table {table}, which is {key}: {row}"),
                )
                .lab(LabBug::TableEmpty)
                .fix(format!("name the attribute as the partition key exactly, and give it its type (--types); {validate}")),
            );
        }
        Fact::Seen(File {
            problem: Some(FileProblem::Row(row)),
        }) => findings.push(
            Finding::wrong(
                "file-row",
                format!("a row of {name} cannot be written: {row}"),
            )
            .lab(LabBug::TableEmpty)
            .fix(validate),
        ),
        Fact::Seen(File {
            problem: Some(FileProblem::Broken(problem, fix)),
        }) => findings.push(
            Finding::wrong("file-broken", format!("{name}: {problem}"))
                .lab(LabBug::InvalidJson)
                .fix(fix.clone()),
        ),
        Fact::Missing => findings.push(
            Finding::unchecked(
                "file-unchecked",
                format!("{name} was not compared with table {table}, whose key is not known"),
            )
            .fix("first put right what is said of the table"),
        ),
        Fact::Unknown(refusal) => findings.push(Finding::refused(name, refusal)),
    }
}

/// A key as people write it: `productId (String)`.
fn described(schema: &Schema) -> String {
    let attribute = |attribute: &KeyAttribute| {
        let key_type = match attribute.key_type {
            KeyType::S => "String",
            KeyType::N => "Number",
            KeyType::B => "Binary",
        };
        format!("{} ({key_type})", attribute.name)
    };
    schema
        .key
        .iter()
        .map(attribute)
        .collect::<Vec<_>>()
        .join(", ")
}
