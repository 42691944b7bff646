//! The whole flow on this machine: two files in, a table and an e-mail out, checked.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use aws_sdk_s3::primitives::ByteStream;
use local::{Endpoints, Message, Stack};
use serde_json::Value;

use crate::aws::Clients;
use crate::outcome::{Failure, Outcome};
use crate::{signal, stack, table};

/// The files that are uploaded: they hold the same two rows.
const FILES: [(&str, &[u8]); 2] = [
    (
        "inventory.json",
        include_bytes!("../../samples/inventory.json"),
    ),
    (
        "inventory.csv",
        include_bytes!("../../samples/inventory.csv"),
    ),
];
const COLUMNS: [&str; 4] = ["productId", "name", "quantity", "price"];
/// What the table must hold, as [`table::render`] shows it.
const EXPECTED_ROWS: [[&str; 4]; 2] = [
    ["P1001", "Laptop", "20", "1200"],
    ["P1002", "Mouse", "100", "20"],
];

/// Far longer than the flow takes, even while the machine compiles something else.
const IMPORT_LIMIT: Duration = Duration::from_mins(2);

/// `intake` without arguments.
///
/// # Errors
///
/// The stack does not start, or the flow does not end as it must.
pub async fn run() -> Result<Outcome, Failure> {
    let started = Instant::now();
    let mut signals = signal::Stop::listen()?;
    let stack = stack::start(stack::with_functions()?).await?;
    let shown = tokio::select! {
        shown = show(&stack, started) => shown,
        () = signals.wait() => Err(Failure::new("interrupted")),
    };
    stack.shutdown().await;
    shown
}

async fn show(stack: &Stack, started: Instant) -> Result<Outcome, Failure> {
    let Endpoints { bucket, table, .. } = stack.endpoints();
    let clients = Clients::for_local(stack.endpoints());
    let mut out = io::stdout();
    let mut problems = Vec::new();

    writeln!(
        out,
        "Local stand-ins for S3, DynamoDB, SQS, SNS and Lambda are up."
    )?;
    for (name, content) in FILES {
        import(stack, &clients, name, content).await?;
    }

    writeln!(out, "\nImports\n")?;
    for (name, _) in FILES {
        match summary(bucket, &clients, name).await? {
            Some(summary) => problems.extend(describe_summary(name, &summary, &mut out)?),
            None => problems.push(format!(
                "there is no report of {name} in s3://{bucket}/reports/"
            )),
        }
    }

    let items = scan(&clients, table).await?;
    writeln!(out, "\nTable {table}, read back from DynamoDB\n")?;
    out.write_all(table::render(&COLUMNS, &items).as_bytes())?;
    if !rows_are_as_expected(&items) {
        problems.push("the table does not hold exactly the rows of the files".to_owned());
    }

    let messages = stack.inbox();
    for message in &messages {
        let subject = message.subject.as_deref().unwrap_or("(none)");
        writeln!(out, "\nE-mail to the subscribers of {}\n", topic(message))?;
        writeln!(
            out,
            "Subject: {subject}\n\n{}",
            message.for_protocol("email")
        )?;
    }
    problems.extend(check_messages(&messages).err());

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

async fn import(
    stack: &Stack,
    clients: &Clients,
    name: &str,
    content: &'static [u8],
) -> Result<(), Failure> {
    let bucket = &stack.endpoints().bucket;
    let key = format!("{}{name}", local::UPLOAD_PREFIX);
    clients
        .s3
        .put_object()
        .bucket(bucket)
        .key(&key)
        .body(ByteStream::from_static(content))
        .send()
        .await
        .map_err(|error| Failure::caused(format!("cannot upload s3://{bucket}/{key}"), &error))?;
    writeln!(io::stdout(), "Uploaded {name} to s3://{bucket}/{key}")?;
    stack
        .wait_idle(IMPORT_LIMIT)
        .await
        .map_err(|error| Failure::caused(format!("the import of {name} does not end"), &error))
}

async fn scan(clients: &Clients, table: &str) -> Result<Vec<table::Item>, Failure> {
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

fn rows_are_as_expected(items: &[table::Item]) -> bool {
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

/// The last part of the topic's ARN.
fn topic(message: &Message) -> &str {
    message
        .topic_arn
        .rsplit(':')
        .next()
        .unwrap_or(&message.topic_arn)
}

/// Each new row must have been told once, in however many messages.
fn check_messages(messages: &[Message]) -> Result<(), String> {
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

/// The summary of the import of the uploaded file `name`, from the bucket's reports.
async fn summary(bucket: &str, clients: &Clients, name: &str) -> Result<Option<Value>, Failure> {
    let uploaded = format!("s3://{bucket}/{}{name}", local::UPLOAD_PREFIX);
    let listed = clients
        .s3
        .list_objects_v2()
        .bucket(bucket)
        .prefix("reports/")
        .send()
        .await
        .map_err(|error| {
            Failure::caused(
                format!("cannot list the reports in s3://{bucket}/reports/"),
                &error,
            )
        })?;
    let keys = listed.contents().iter().filter_map(|object| object.key());
    for key in keys.filter(|key| key.ends_with("/summary.json")) {
        let unreadable = |error: &dyn std::error::Error| {
            Failure::caused(format!("cannot read s3://{bucket}/{key}"), error)
        };
        let object = clients
            .s3
            .get_object()
            .bucket(bucket)
            .key(key)
            .send()
            .await
            .map_err(|error| unreadable(&error))?;
        let bytes = object
            .body
            .collect()
            .await
            .map_err(|error| unreadable(&error))?;
        let summary: Value =
            serde_json::from_slice(&bytes.into_bytes()).map_err(|error| unreadable(&error))?;
        if summary["source"] == uploaded {
            return Ok(Some(summary));
        }
    }
    Ok(None)
}

/// Prints a summary, and returns what is wrong with it.
fn describe_summary(
    name: &str,
    summary: &Value,
    out: &mut impl Write,
) -> io::Result<Option<String>> {
    let count = |what: &str| summary[format!("rows_{what}")].as_u64().unwrap_or_default();
    let status = summary["status"].as_str().unwrap_or("without status");
    writeln!(
        out,
        "{name:<16}{status}  read {}  written {}  superseded {}  rejected {}",
        count("read"),
        count("written"),
        count("superseded"),
        count("rejected"),
    )?;
    let rows = EXPECTED_ROWS.len() as u64;
    let is_right = status == "COMPLETED" && count("read") == rows && count("written") == rows;
    Ok((!is_right).then(|| format!("the import of {name} did not write its {rows} rows")))
}
