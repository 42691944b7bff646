//! The whole flow on this machine: two files in, a table and an e-mail out, checked.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use aws_sdk_s3::primitives::ByteStream;
use importer::jobs::{Job, Status};
use local::{Endpoints, Message, Stack};
use serde_json::Value;

use super::inbox::topic;
use super::stack;
use crate::aws::Clients;
use crate::jobs::{JobItem, Jobs};
use crate::terminal::columns::{self, Item};
use crate::terminal::{Failure, Outcome, Output, Signals};

/// The files that are uploaded: they hold the same two rows.
const FILES: [(&str, &[u8]); 2] = [
    (
        "inventory.json",
        include_bytes!("../../../samples/inventory.json"),
    ),
    (
        "inventory.csv",
        include_bytes!("../../../samples/inventory.csv"),
    ),
];
const COLUMNS: [&str; 4] = ["productId", "name", "quantity", "price"];
/// What the table must hold, as [`columns::render`] shows it.
const EXPECTED_ROWS: [[&str; 4]; 2] = [
    ["P1001", "Laptop", "20", "1200"],
    ["P1002", "Mouse", "100", "20"],
];

/// More than there can be.
const JOBS_MAX: usize = 10;

/// Far longer than the flow takes, even while the machine compiles something else.
const IMPORT_LIMIT: Duration = Duration::from_mins(2);

/// `intake` without arguments.
///
/// # Errors
///
/// The stack does not start, or the flow does not end as it must.
pub async fn run() -> Result<Outcome, Failure> {
    let started = Instant::now();
    let mut signals = Signals::listen()?;
    let stack = stack::start(stack::with_functions(Duration::ZERO, None)?).await?;
    let shown = tokio::select! {
        shown = show(&stack, started) => shown,
        () = signals.wait() => Err(Failure::new("interrupted")),
    };
    stack.shutdown().await;
    shown
}

async fn show(stack: &Stack, started: Instant) -> Result<Outcome, Failure> {
    let Endpoints {
        table, jobs_table, ..
    } = stack.endpoints();
    let clients = Clients::for_local(stack.endpoints());
    let mut out = Output::new();
    let mut problems = Vec::new();

    writeln!(
        out,
        "Local stand-ins for S3, DynamoDB, SQS, SNS and Lambda are up."
    )?;
    for (name, content) in FILES {
        import(stack, &clients, name, content).await?;
    }

    writeln!(out, "\nImport jobs\n")?;
    let jobs = Jobs::new(&clients, jobs_table.clone(), None, String::new());
    let jobs = jobs.newest(JOBS_MAX).await?;
    for (name, _) in FILES {
        let key = uploaded(name);
        match jobs.iter().find(|item| item.job.key == key) {
            Some(item) => problems.extend(describe_job(name, &item.job, &mut out)?),
            None => problems.push(format!("there is no job of {name} in table {jobs_table}")),
        }
    }

    let items = scan(&clients, table).await?;
    writeln!(out, "\nTable {table}, read back from DynamoDB\n")?;
    out.write_all(columns::render(&COLUMNS, &items).as_bytes())?;
    if !rows_are_as_expected(&items) {
        problems.push("the table does not hold exactly the rows of the files".to_owned());
    }

    let (finishes, digests): (Vec<Message>, Vec<Message>) =
        stack.inbox().into_iter().partition(is_finish);
    show_messages(&digests, &finishes, &mut out)?;
    problems.extend(check_digests(&digests).err());
    problems.extend(check_finishes(&finishes, &jobs).err());

    if !problems.is_empty() {
        return Err(Failure::new(problems.join("; "))
            .fix("run it again with RUST_LOG=lambda=debug to see what the functions logged"));
    }
    writeln!(
        out,
        "\nAll as expected, in {:.1} s.",
        started.elapsed().as_secs_f64()
    )?;
    Ok(Outcome::Complete)
}

/// The key under which the file `name` is uploaded.
fn uploaded(name: &str) -> String {
    format!("{}{name}", local::UPLOAD_PREFIX)
}

async fn import(
    stack: &Stack,
    clients: &Clients,
    name: &str,
    content: &'static [u8],
) -> Result<(), Failure> {
    let bucket = &stack.endpoints().bucket;
    let key = uploaded(name);
    clients
        .s3
        .put_object()
        .bucket(bucket)
        .key(&key)
        .body(ByteStream::from_static(content))
        .send()
        .await
        .map_err(|error| Failure::caused(format!("cannot upload s3://{bucket}/{key}"), &error))?;
    writeln!(Output::new(), "Uploaded {name} to s3://{bucket}/{key}")?;
    stack
        .wait_idle(IMPORT_LIMIT)
        .await
        .map_err(|error| Failure::caused(format!("the import of {name} does not end"), &error))
}

async fn scan(clients: &Clients, table: &str) -> Result<Vec<Item>, Failure> {
    clients
        .dynamodb
        .scan()
        .table_name(table)
        .consistent_read(true)
        .into_paginator()
        .items()
        .send()
        .collect::<Result<_, _>>()
        .await
        .map_err(|error| Failure::caused(format!("cannot read table {table}"), &error))
}

fn rows_are_as_expected(items: &[Item]) -> bool {
    let mut rows: Vec<Vec<&str>> = items
        .iter()
        .map(|item| {
            COLUMNS
                .iter()
                .filter_map(|column| item.get(*column))
                .filter_map(|value| value.as_s().or_else(|_| value.as_n()).ok())
                .map(String::as_str)
                .collect()
        })
        .collect();
    rows.sort_unstable();
    rows == EXPECTED_ROWS && items.iter().all(|item| item.len() == COLUMNS.len())
}

/// Whether a message tells that an import has ended, and not of what is new in the table.
fn is_finish(message: &Message) -> bool {
    message
        .attributes
        .get("kind")
        .is_some_and(|kind| kind == "import")
}

/// What the subscribers read: all of it but for the imports' ends, which say the same of each file.
fn show_messages(
    digests: &[Message],
    finishes: &[Message],
    out: &mut impl Write,
) -> io::Result<()> {
    let Some(first) = digests.first().or(finishes.first()) else {
        return Ok(());
    };
    writeln!(out, "\nE-mail to the subscribers of {}", topic(first))?;
    let subject = |message: &Message| {
        message
            .subject
            .clone()
            .unwrap_or_else(|| "(none)".to_owned())
    };
    for message in digests.iter().chain(finishes.first()) {
        let text = message.for_protocol("email").trim_end();
        writeln!(out, "\nSubject: {}\n\n{text}", subject(message))?;
    }
    for message in finishes.iter().skip(1) {
        writeln!(out, "\nSubject: {}\n\n…", subject(message))?;
    }
    Ok(())
}

/// Each new row must have been reported once, in however many messages.
fn check_digests(messages: &[Message]) -> Result<(), String> {
    let mut count = 0;
    let mut names = BTreeSet::new();
    for message in messages {
        let digest: Value = serde_json::from_str(message.for_protocol("sqs"))
            .map_err(|_| "a message is not the JSON that machines are promised".to_owned())?;
        count += digest["inserted"]["count"].as_u64().unwrap_or(0);
        names.extend(
            digest["inserted"]["items"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|item| item["name"].as_str().map(str::to_owned)),
        );
    }
    let expected: BTreeSet<String> = EXPECTED_ROWS.iter().map(|row| row[1].to_owned()).collect();
    if count == EXPECTED_ROWS.len() as u64 && names == expected {
        Ok(())
    } else {
        Err(format!(
            "the messages tell of {count} new products, not of Laptop and Mouse once each"
        ))
    }
}

/// The end of each job must have been reported once.
fn check_finishes(messages: &[Message], jobs: &[JobItem]) -> Result<(), String> {
    let mut reported: Vec<&str> = messages
        .iter()
        .filter_map(|message| message.attributes.get("job"))
        .map(String::as_str)
        .collect();
    let mut expected: Vec<&str> = jobs.iter().map(|item| item.job.job.as_str()).collect();
    reported.sort_unstable();
    expected.sort_unstable();
    if reported == expected {
        Ok(())
    } else {
        Err(format!(
            "the messages tell of the end of {} imports, not of {} once each",
            reported.len(),
            expected.len()
        ))
    }
}

/// Prints how a job ended, and returns what is wrong with it.
fn describe_job(name: &str, job: &Job, out: &mut impl Write) -> io::Result<Option<String>> {
    let Job { status, counts, .. } = job;
    writeln!(
        out,
        "{name:<16}{status}  read {}  written {}  superseded {}  rejected {}",
        counts.rows_read, counts.rows_written, counts.rows_superseded, counts.rows_rejected,
    )?;
    let rows = EXPECTED_ROWS.len() as u64;
    let is_right =
        *status == Status::Completed && counts.rows_read == rows && counts.rows_written == rows;
    let reason = match &job.reason {
        Some(reason) => format!(": {reason}"),
        None => String::new(),
    };
    Ok((!is_right).then(|| format!("the import of {name} did not write its {rows} rows{reason}")))
}
