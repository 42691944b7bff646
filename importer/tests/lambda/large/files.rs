//! What a large import leaves behind is what one importer would have left that reads the file from its beginning.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::write::GzEncoder;
use importer::jobs::Status;
use serde_json::{Value, json};

use super::machine::{Machine, config};
use crate::fixture::{Fixture, TIMEOUT, invocation, notification};

/// Rows of a file: some are rejected, and none has the key of another.
const ROWS: usize = 120;

fn is_bad(n: usize) -> bool {
    matches!(n, 0 | 3 | 40 | 41 | 77) || n == ROWS - 1
}

/// An object of JSON whose strings are full of what ends rows elsewhere.
fn object(n: usize) -> String {
    let name = r#"a \"b\", [c}{ \\ ü ]"#;
    if is_bad(n) {
        format!(r#"{{"name":"{name}","row":{n}}}"#)
    } else {
        format!(r#"{{"productId":"P{n}","name":"{name}","price":{n}.5}}"#)
    }
}

fn array(between: &str) -> String {
    let objects: Vec<_> = (0..ROWS).map(object).collect();
    format!("[{}]", objects.join(between))
}

fn lines(end: &str) -> String {
    (0..ROWS).map(|n| format!("{}{end}", object(n))).collect()
}

fn csv(end: &str) -> String {
    let mut text = format!("productId,name,price{end}");
    for n in 0..ROWS {
        let key = if is_bad(n) {
            String::new()
        } else {
            format!("P{n}")
        };
        let name = format!("\"a, \"\"b\"\"{end}{end}{n},\"\"\"");
        write!(text, "{key},{name},{n}.5{end}").unwrap();
    }
    text
}

/// What an import leaves behind.
#[derive(Debug, PartialEq)]
struct FinalState {
    status: Status,
    rows: [u64; 4],
    bytes_read: u64,
    reason: Option<String>,
    position: Value,
    rejects: Option<Vec<u8>>,
    items: Vec<String>,
    format: Option<String>,
}

async fn left(bench: &Fixture) -> FinalState {
    let job = bench.job().await;
    assert!(job.notified);
    let counts = job.counts;
    let rejects = match job.rejects {
        Some(url) => Some(
            bench
                .get(
                    url.split_once("reports/")
                        .map(|(_, key)| format!("reports/{key}"))
                        .unwrap()
                        .as_str(),
                )
                .await,
        ),
        None => None,
    };
    let summary = job.summary.unwrap();
    let summary = summary.split_once("reports/").unwrap().1;
    let summary: Value =
        serde_json::from_slice(&bench.get(&format!("reports/{summary}")).await).unwrap();
    assert_eq!(summary["rows_read"], counts.rows_read);
    assert_eq!(summary["status"], json!(job.status));
    FinalState {
        status: job.status,
        rows: [
            counts.rows_read,
            counts.rows_written,
            counts.rows_superseded,
            counts.rows_rejected,
        ],
        bytes_read: counts.bytes_read,
        reason: job.reason,
        position: summary["failure"]["position"].clone(),
        rejects,
        items: bench.items().await,
        format: job.format,
    }
}

/// Imports a file by one importer and by the steps, each of them taken `times`, and gives what both leave.
async fn both(
    body: &[u8],
    metadata: &[(&str, &str)],
    times: usize,
) -> (FinalState, FinalState, Value) {
    const KEY: &str = "uploads/large";
    let serial = Fixture::start().await;
    serial.put_with(KEY, body, metadata).await;
    let importer = serial.importer(config(&serial));
    // A file that is broken is an error to the event, and a job that has failed.
    importer
        .handle(notification(&[KEY]), invocation(TIMEOUT))
        .await
        .ok();

    let bench = Fixture::start().await;
    bench.put_with(KEY, body, metadata).await;
    let machine = Machine {
        times,
        ..Machine::new(&bench)
    };
    let (plan, _) = machine.run(KEY).await;
    assert_eq!(bench.stack.inbox().len(), 1);
    (left(&serial).await, left(&bench).await, plan)
}

#[tokio::test]
async fn every_format_is_imported_as_by_one() {
    for (name, body, metadata, times) in [
        ("array", array(","), None, 1),
        ("array over lines", array(" ,\r\n"), None, 2),
        (
            "array with a mark",
            format!("\u{feff}{}", array(",\n")),
            None,
            1,
        ),
        (
            "array in an object",
            format!(
                r#"{{"a":[1,{{"b":"]"}}],"Items": {} , "z":[[2]]}}"#,
                array(",")
            ),
            Some(("intake-rows-at", "/Items")),
            2,
        ),
        ("lines", lines("\n"), None, 2),
        ("lines with returns", lines("\r\n\r\n"), None, 1),
        (
            "lines with a mark",
            format!("\u{feff}{}", lines("\n")),
            None,
            1,
        ),
        ("csv", csv("\n"), None, 2),
        ("csv with returns", csv("\r\n"), None, 1),
        (
            "csv with a mark",
            format!("\u{feff}{}", csv("\r\n")),
            None,
            1,
        ),
    ] {
        let metadata: Vec<_> = metadata.into_iter().collect();
        let (serial, parallel, plan) = both(body.as_bytes(), &metadata, times).await;
        assert_eq!(plan["mode"], "split", "{name}");
        assert!(plan["ranges"].as_u64().unwrap() > 10, "{name}: {plan}");
        assert_eq!(serial.rows, [120, 114, 0, 6], "{name}");
        assert_eq!(parallel, serial, "{name}");
    }
}

#[tokio::test]
async fn a_broken_file_fails_at_the_same_byte() {
    let whole = array(",\n");
    let at = whole.len() / 2;
    let cut = whole
        .char_indices()
        .map(|(at, _)| at)
        .find(|n| *n >= at)
        .unwrap();
    for (name, body) in [
        ("cut off", whole[..cut].to_owned()),
        (
            "garbage",
            format!("{}}}}},{}", &whole[..cut], &whole[cut..]),
        ),
        ("lost quote", whole.replacen("\"P60\"", "\"P60", 1)),
    ] {
        let (serial, parallel, plan) = both(body.as_bytes(), &[], 1).await;
        assert_eq!(plan["mode"], "split", "{name}");
        assert_eq!(serial.status, Status::Failed, "{name}");
        assert_eq!(
            (parallel.status, &parallel.reason, &parallel.position),
            (serial.status, &serial.reason, &serial.position),
            "{name}"
        );
        // Everything before it is written. So may be what another range had begun with.
        for item in &serial.items {
            assert!(parallel.items.contains(item), "{name}: {item}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_cut_is_imported_in_one_piece() {
    let pretty = (0..ROWS)
        .map(|n| format!("{{\n\"productId\": \"P{n}\"\n}}\n"))
        .collect();
    for (name, body, metadata, why) in [
        ("several lines", pretty, ("a", "b"), "several lines"),
        (
            "compressed",
            csv("\n"),
            ("a", "b"),
            "it is compressed (gzip)",
        ),
        (
            "utf-16",
            csv("\n"),
            ("intake-encoding", "windows-1252"),
            "converted",
        ),
        ("small", object(1), ("a", "b"), "not larger than one range"),
        (
            "no rows",
            format!("[{}]", " ".repeat(999)),
            ("a", "b"),
            "no rows",
        ),
        ("broken", format!("{}x", "[".repeat(999)), ("a", "b"), ""),
        (
            "options",
            lines("\n"),
            ("intake-delimiter", "long"),
            "delimiter",
        ),
    ] {
        let mut body = body.into_bytes();
        if name == "compressed" {
            let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(&body).unwrap();
            body = gzip.finish().unwrap();
        }
        let (serial, parallel, plan) = both(&body, &[metadata], 2).await;
        assert_eq!(
            (&plan["mode"], &plan["ranges"]),
            (&json!("whole"), &json!(1)),
            "{name}"
        );
        assert!(
            plan["why"].as_str().unwrap().contains(why),
            "{name}: {plan}"
        );
        assert_eq!(
            FinalState {
                bytes_read: 0,
                ..parallel
            },
            FinalState {
                bytes_read: 0,
                ..serial
            },
            "{name}"
        );
    }
}
