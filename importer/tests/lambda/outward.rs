//! What leaves the process: no row of any file, and text of a file only bounded and escaped.
//!
//! The rule is in docs/SECURITY.md, *What is logged*.

use std::io;
use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};

use importer::function::Config;
use importer::jobs::Status;
use importer::{Importer, diagnostic};
use lambda_runtime::tracing;
use local::BUCKET;
use serde_json::{Value, json};

use crate::fixture::{Fixture, TIMEOUT, invocation, notification, queued};
use crate::large::machine::Machine;

/// Stands in whatever is a value of a row.
const VALUE: &str = "VALUE7f3a";
/// Stands in names of attributes, in keys of objects and in their metadata.
const NAME: &str = "NAME7f3a";
/// What neither may bring along.
const UNSAFE: [char; 3] = ['\u{202e}', '\u{1}', '\n'];

/// A value that no message has room for.
fn value() -> String {
    format!("{VALUE}\u{202e}\u{1}\n{}", "v".repeat(3000))
}

/// A name that no message has room for.
fn name() -> String {
    format!("{NAME}\u{202e}\u{1}\n{}", "n".repeat(3000))
}

/// As a cell of CSV.
fn cell(text: &str) -> String {
    format!("\"{text}\"")
}

/// A file and what it is stored with.
struct Case {
    about: &'static str,
    metadata: &'static [(&'static str, &'static str)],
    file: String,
    status: Status,
}

/// A case without metadata.
fn case(about: &'static str, status: Status, file: &impl ToString) -> Case {
    Case {
        about,
        metadata: &[],
        file: file.to_string(),
        status,
    }
}

/// Every place of a file where text stands, in good files and in broken ones.
#[allow(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    let (value, name) = (value(), name());
    let (v, n) = (json!(value).to_string(), json!(name).to_string());
    let (broken, rejected, good) = (
        Status::Failed,
        Status::CompletedWithRejects,
        Status::Completed,
    );
    let long = |length: usize| VALUE.repeat(length / VALUE.len());
    let with = |metadata, case: Case| Case { metadata, ..case };
    vec![
        case(
            "rows of a good array, with nested names",
            good,
            &json!([
                { "productId": format!("{VALUE}\u{202e}"), "a": { name.as_str(): [value] }, name.as_str(): &value },
                { "productId": "P2", "b": { name.as_str(): { name.as_str(): value } } },
            ]),
        ),
        case(
            "an array that breaks off in a row",
            broken,
            &format!("[{{\"productId\":\"P1\",{n}:{v}}},{{\"productId\"x {v}}}]"),
        ),
        case(
            "a file that is cut off in a value",
            broken,
            &format!("[{{\"productId\":\"P1\",{n}:{}", &v[..v.len() - 1]),
        ),
        case(
            "another value behind the array",
            broken,
            &format!("[{{\"productId\":\"P1\"}}] {v}"),
        ),
        case(
            "lines that are rejected, each for another reason",
            rejected,
            &format!(
                "{{\"productId\":\"P1\"}}\n{v}\n[{v}]\nnot JSON {VALUE}\n{{{n}:{v}}}\n{{\"productId\":\"P\",{n}:1,{n}:{v}}}\n\
                 {{\"productId\":{v}}}\n{{\"productId\":{{{n}:{v}}}}}\n{{\"productId\":[{v}]}}\n\
                 {{\"productId\":\"P2\",{n}:1e999}}\n{{\"productId\":\"P3\",\"\":{v}}}\n"
            ),
        ),
        case(
            "a key that is too long",
            rejected,
            &json!([{ "productId": "P1" }, { "productId": format!("{VALUE}{}", "v".repeat(2048)) }]),
        ),
        with(
            &[("intake-types", "price:N,blob:B,flag:BOOL")],
            case(
                "values that do not fit their declared types",
                rejected,
                &json!([{ "productId": "P1" }, { "productId": "P2", "price": value },
                    { "productId": "P3", "blob": value }, { "productId": "P4", "flag": value },
                    { "productId": "P5", "price": { name.as_str(): value } }]),
            ),
        ),
        case(
            "DynamoDB JSON, good",
            good,
            &json!({ "Item": { "productId": { "S": "P1" }, name.as_str(): { "M": { name.as_str(): { "S": value } } } } }),
        ),
        case(
            "DynamoDB JSON whose types and values do not fit",
            rejected,
            &format!(
                "{{\"Item\":{{\"productId\":{{\"S\":\"P1\"}}}}}}\n{{\"Item\":{{\"productId\":{{{n}:{v}}}}}}}\n\
                 {{\"Item\":{{\"productId\":{{\"S\":\"P\"}},{n}:{{\"N\":{v}}}}}}}\n\
                 {{\"Item\":{{\"productId\":{{\"S\":\"P\"}},{n}:{{\"SS\":[{v},{v}]}}}}}}\n\
                 {{\"Item\":{{\"productId\":{{\"S\":\"P\"}},{n}:{{\"B\":{v}}}}}}}\n{{\"Item\":{v}}}\n"
            ),
        ),
        case(
            "rows under a name",
            broken,
            &format!("{{{n}:[{{\"productId\":{v}}}]}}"),
        ),
        with(
            &[(
                "intake-rows-at",
                "/NAME7f3a/NAME7f3annnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\
                nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\
                nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
            )],
            case(
                "a pointer to what is not there",
                broken,
                &json!({ "NAME7f3a": { "x": [{ "productId": value }] } }),
            ),
        ),
        with(
            &[
                ("intake-types", "NAME7f3a nnn"),
                ("intake-delimiter", "NAME7f3a nnn"),
            ],
            case(
                "metadata that does not fit",
                broken,
                &format!("productId\n{VALUE}\n"),
            ),
        ),
        with(
            &[
                ("intake-format", "NAME7f3a"),
                ("intake-encoding", "NAME7f3a"),
            ],
            case(
                "other metadata that does not fit",
                broken,
                &format!("productId\n{VALUE}\n"),
            ),
        ),
        case(
            "CSV, good",
            good,
            &format!("productId,{}\nP1,{}\n{VALUE},\n", cell(&name), cell(&value)),
        ),
        case(
            "CSV rows that are rejected",
            rejected,
            &format!(
                "productId,{}\nP1,x\n{VALUE},{},{VALUE}\n{VALUE},\"{VALUE}\"{VALUE}\n,{VALUE}\n",
                cell(&name),
                cell(&value)
            ),
        ),
        with(
            &[("intake-types", "price:N")],
            case(
                "cells that do not fit their declared types",
                rejected,
                &format!("productId,price\nP1,1\nP2,{}\n", cell(&value)),
            ),
        ),
        case(
            "CSV that ends inside a cell",
            broken,
            &format!("productId,v\nP1,x\n{VALUE},\"{VALUE}\n"),
        ),
        case(
            "CSV without a header",
            broken,
            &format!("{VALUE},{},1200\n{VALUE},b,1\n", cell(&value)),
        ),
        case(
            "CSV without a header, with a value twice",
            broken,
            &format!("{VALUE},{VALUE},productId\na,b,c\n"),
        ),
        case(
            "CSV without a header, with an empty cell",
            broken,
            &format!("{VALUE},,productId\na,b,c\n"),
        ),
        case(
            "CSV without a header, with text after a quote",
            broken,
            &format!("\"{VALUE}\"{VALUE},productId\na,b\n"),
        ),
        case(
            "a column that is almost the key's",
            broken,
            &format!("product{}Id,v\n{VALUE},x\n", "_".repeat(3000)),
        ),
        // An item of the table of jobs had no room for the first, and a message of SNS's none for the second.
        case(
            "a first line of 600 KB",
            broken,
            &format!("{}\nx\n", long(600_000)),
        ),
        case(
            "a first line of 45 KB",
            broken,
            &format!("{}\nx\n", long(45_000)),
        ),
    ]
}

/// All that is logged in this process, by the tests beside this one, too.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the importer logged since this was called last.
fn logged() -> Vec<String> {
    let mut log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8(std::mem::take(&mut *log)).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Texts that left the process, and where they went.
#[derive(Default)]
struct Outward(Vec<(&'static str, String)>);

impl Outward {
    fn add(&mut self, place: &'static str, text: impl Into<String>) {
        self.0.push((place, text.into()));
    }

    /// Checks that nothing is a row's, and that all of it is bounded and on one line.
    fn check(&self, about: &str) {
        assert!(!self.0.is_empty());
        for (place, text) in &self.0 {
            let shown: String = text.chars().take(2000).collect();
            assert!(!text.contains(VALUE), "{about}: a row in {place}: {shown}");
            assert!(
                !text.contains(UNSAFE) && !text.contains(r"\u0001"),
                "{about}: control in {place}: {shown:?}"
            );
            for letter in ["n", "v", "_"] {
                let unbounded = letter.repeat(rows::QUOTED_BYTES_MAX + 1);
                assert!(
                    !text.contains(&unbounded),
                    "{about}: unbounded in {place}: {shown}"
                );
            }
            assert!(
                text.len() < 16 * 1024,
                "{about}: {} bytes in {place}",
                text.len()
            );
        }
    }
}

/// The function as it is deployed, which cuts a file into ranges of a few rows.
fn config(bench: &Fixture) -> Config {
    Config {
        range_bytes: NonZeroU64::new(4096).unwrap(),
        ..bench.deployed()
    }
}

/// Hands an event to the function; an error leaves as Lambda shows it.
async fn take(importer: &Importer, event: Value, outward: &mut Outward) -> Option<Value> {
    match importer.handle(event, invocation(TIMEOUT)).await {
        Ok(answer) => {
            outward.add("an answer", answer.to_string());
            Some(answer)
        }
        Err(error) => {
            let error = diagnostic(&error);
            outward.add("a diagnostic", error.error_message);
            None
        }
    }
}

/// Imports an object by the steps of a large import, as far as they go.
async fn by_steps(bench: &Fixture, key: &str, outward: &mut Outward) {
    let machine = Machine {
        bench,
        importer: bench.importer(config(bench)),
        times: 1,
    };
    let importer = &machine.importer;
    let plan = json!({ "step": "plan", "bucket": BUCKET, "key": key, "parallel": true });
    let Some(plan) = take(importer, plan, outward).await else {
        return;
    };
    let mut items = machine.items(&plan).await;
    let mut failed = None;
    if plan["mode"] == "split" {
        let scan = Machine::batch("scan", &plan, &items);
        if take(importer, scan, outward).await.is_some() {
            let composed = take(importer, Machine::named("compose", &plan), outward).await;
            items = machine.items(&composed.unwrap()).await;
        }
    }
    for item in items.chunks(1) {
        if take(importer, Machine::batch("import", &plan, item), outward)
            .await
            .is_none()
        {
            failed = outward.0.last().map(|(_, text)| text.clone());
            break;
        }
    }
    let mut finish = Machine::named("finish", &plan);
    if let Some(text) = failed {
        finish["error"] =
            json!({ "Error": "Fatal", "Cause": json!({ "errorMessage": text }).to_string() });
    }
    take(importer, finish, outward).await;
}

/// What else left the process: items, messages, and reports but for the report of rejected rows.
async fn collect(bench: &Fixture, outward: &mut Outward) -> bool {
    for item in bench.saved().await {
        for (name, value) in item {
            // Data: the key as S3 has it.
            if let Ok(text) = value.as_s()
                && name != "key"
            {
                outward.add("an item of the table of jobs", text);
            }
        }
    }
    for message in bench.stack.inbox() {
        let bytes: usize = message.by_protocol.values().map(String::len).sum();
        assert!(bytes < 256 * 1024, "{bytes} bytes");
        outward.add("a subject", message.subject.unwrap_or_default());
        for (protocol, text) in message.by_protocol {
            if let Ok(mut machine) = serde_json::from_str::<Value>(&text) {
                machine.as_object_mut().unwrap().remove("key");
                outward.add("a message to machines", machine.to_string());
            } else {
                for line in text.lines() {
                    outward.add("a message to people", line);
                }
                assert!(text.lines().count() < 20, "{protocol}: {text}");
            }
        }
    }
    let mut has_rejects = false;
    for key in bench.reports().await {
        if key.ends_with("rejects.jsonl") || key.contains("/parts/") {
            has_rejects |= String::from_utf8_lossy(&bench.get(&key).await).contains(VALUE);
        } else {
            let report: Value = serde_json::from_slice(&bench.get(&key).await).unwrap();
            outward.add("a report", report.to_string());
        }
    }
    has_rejects
}

#[tokio::test]
async fn no_row_leaves_but_into_the_table_and_its_report_and_names_are_bounded() {
    tracing::subscriber::fmt()
        .with_env_filter("importer=trace")
        .with_ansi(false)
        .with_writer(|| Log)
        .init();
    let key = format!("uploads/{NAME}\u{202e}\t{}.json", "n".repeat(150));
    let mut rejects = 0;
    for case in cases() {
        for in_steps in [false, true] {
            let bench = Fixture::start().await;
            bench.put_with(&key, case.file.clone(), case.metadata).await;
            let mut outward = Outward::default();
            if in_steps {
                by_steps(&bench, &key, &mut outward).await;
            } else {
                let importer = bench.importer(config(&bench));
                let event = notification(&[&key]);
                take(&importer, event.clone(), &mut outward).await;
                take(&importer, queued(&[event]).0, &mut outward).await;
            }
            let about = format!("{}{}", case.about, if in_steps { ", in steps" } else { "" });
            let job = bench.job().await;
            assert_eq!(job.status, case.status, "{about}: {job:?}");
            assert!(job.notified, "{about}: {:?}", outward.0);
            rejects += usize::from(collect(&bench, &mut outward).await);
            // Those of the tests beside this one have no marker.
            for line in logged() {
                if line.contains("7f3a") {
                    outward.add("the log", line);
                }
            }
            outward.check(&about);
        }
    }
    // The markers were there to be found.
    assert!(rejects > 8, "{rejects}");
}
