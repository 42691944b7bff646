//! How much of a table's capacity an import uses, and how often it is throttled: `make capacity`.
//!
//! Whole imports, over loopback HTTP, of endless rows into a table that keeps nothing and takes what
//! the model of `local::capacity` says, in real time. Prints a table and ends with an error if a target is missed.
//!
//! `--seconds 20` is a shorter run, `--only cap` runs the scenarios whose name has that in it.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use importer::StopReason;
use importer::import::{Discard, Import, ImportOptions, Source, Stop};
use importer::progress::Progress;
use importer::write::WireWriter;
use local::capacity::{CapacityPlan, CapacitySink, Latency, Mode, OtherTraffic, WriteLog};
use rows::{DecodeOptions, Format, KeyAttribute, KeyType, Schema};

const SEEDS: [u64; 3] = [1, 2, 3];
/// Scenarios at once, each with its three seeds: more would be a measurement of this machine.
const AT_ONCE: usize = 1;
/// The least that is to be used of a capacity or a cap, and the most that may be throttled of requests and of rows.
const USED_MIN: f64 = 0.97;
const THROTTLED_MAX: f64 = 0.01;
/// The same where few large requests, or one partition among many, make each throttle count for more.
const THROTTLED_HARD_MAX: f64 = 0.02;

/// An import into a table, and what is expected of it.
#[derive(Debug, Clone)]
struct Scenario {
    name: &'static str,
    plan: CapacityPlan,
    row_bytes: usize,
    max_wcu: Option<u32>,
    /// Whether all rows are of one partition.
    hot: bool,
    /// WCU a second that the import can have, at most.
    capacity: f64,
    /// The most that may be throttled, if throttles are its own doing.
    throttled_max: Option<f64>,
}

fn scenarios(seconds: f64) -> Vec<Scenario> {
    let latency = Latency {
        base: Duration::from_millis(5),
        jitter: Duration::from_millis(5),
    };
    let plan = |wcu| CapacityPlan {
        latency,
        // A tenth of a second's WCU: the table was there before the import.
        burst_filled: 0.1,
        ..CapacityPlan::provisioned(wcu)
    };
    let table = Scenario {
        name: "4,000 WCU",
        plan: plan(4_000),
        row_bytes: 60,
        max_wcu: None,
        hot: false,
        capacity: 4_000.0,
        throttled_max: Some(THROTTLED_MAX),
    };
    let part = |share: f64| Duration::from_secs_f64(seconds * share);
    vec![
        table.clone(),
        Scenario {
            name: "4,000 WCU, rows of 10 KB",
            row_bytes: 10_000,
            throttled_max: Some(THROTTLED_HARD_MAX),
            ..table.clone()
        },
        Scenario {
            name: "on demand, new",
            plan: CapacityPlan {
                mode: Mode::OnDemand {
                    previous_peak_wcu: 0,
                    adapts_every: Duration::from_mins(30),
                },
                ..plan(1)
            },
            ..table.clone()
        },
        Scenario {
            name: "one hot partition of 40",
            plan: CapacityPlan {
                partitions: 40,
                ..plan(40_000)
            },
            hot: true,
            capacity: 1_000.0,
            throttled_max: Some(THROTTLED_HARD_MAX),
            ..table.clone()
        },
        Scenario {
            name: "4,000 WCU, --max-wcu 2000",
            max_wcu: Some(2_000),
            capacity: 2_000.0,
            ..table.clone()
        },
        Scenario {
            name: "4,000 WCU, --max-wcu 500, rows of 10 KB",
            row_bytes: 10_000,
            max_wcu: Some(500),
            capacity: 500.0,
            ..table.clone()
        },
        Scenario {
            name: "4,000 WCU, others take 2,000 in the middle third",
            plan: CapacityPlan {
                others: vec![OtherTraffic {
                    from: part(1.0 / 3.0),
                    until: part(2.0 / 3.0),
                    wcu_per_second: 2_000,
                }],
                ..plan(4_000)
            },
            capacity: 4_000.0 - 2_000.0 / 3.0,
            throttled_max: None,
            ..table
        },
    ]
}

/// JSON Lines without end.
struct Rows {
    number: u64,
    hot: bool,
    padding: String,
    line: Vec<u8>,
    read: usize,
}

impl Read for Rows {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.read == self.line.len() {
            self.number += 1;
            let (number, padding) = (self.number, &self.padding);
            let line = if self.hot {
                format!("{{\"productId\":\"hot\",\"n\":\"{number}\",\"text\":\"{padding}\"}}\n")
            } else {
                format!("{{\"productId\":\"P{number}\",\"n\":\"0\",\"text\":\"{padding}\"}}\n")
            };
            self.line = line.into_bytes();
            self.read = 0;
        }
        let length = out.len().min(self.line.len() - self.read);
        out[..length].copy_from_slice(&self.line[self.read..self.read + length]);
        self.read += length;
        Ok(length)
    }
}

/// Imports for `seconds` and gives what the table has seen.
async fn measure(scenario: &Scenario, seed: u64, seconds: f64) -> Result<WriteLog, String> {
    let plan = CapacityPlan {
        seed,
        ..scenario.plan.clone()
    };
    let sink = CapacitySink::start(&plan)
        .await
        .map_err(|e| e.to_string())?;
    let credentials = Credentials::new("capacity", "secret", None, None, "capacity");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::new(local::REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(sink.url())
        .build();
    let key = KeyAttribute::partition("productId", KeyType::S);
    let sort = KeyAttribute::sort("n", KeyType::S);
    let schema = Arc::new(Schema::new(local::TABLE, key, Some(sort)));
    let rows = Rows {
        number: 0,
        hot: scenario.hot,
        padding: "x".repeat(scenario.row_bytes),
        line: Vec::new(),
        read: 0,
    };
    let stop = Stop::default();
    let import = Import {
        name: scenario.name.to_owned(),
        source: Source::reader(rows, None),
        resume: None,
        schema: Arc::clone(&schema),
        options: ImportOptions {
            decode: DecodeOptions {
                format: Some(Format::JsonLines),
                ..DecodeOptions::default()
            },
            max_wcu: scenario.max_wcu.and_then(NonZeroU32::new),
            seed: Some(seed),
            ..ImportOptions::default()
        },
        progress: Arc::new(Progress::default()),
        stop: stop.clone(),
    };
    let writer = WireWriter::new(&config, schema).await;
    let running = tokio::spawn(import.run(writer.map_err(|e| e.to_string())?, Discard));
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    stop.request(StopReason::Interrupted);
    let summary = running.await.map_err(|e| e.to_string())?.summary;
    let log = sink.capacity().write_log();
    sink.stop().await;
    match summary.failure {
        // As asked.
        Some(failure) if failure.message.contains("stop") => Ok(log),
        other => Err(format!("the import ended otherwise: {other:?}")),
    }
}

/// What one import did, and what of it misses its target.
#[derive(Debug, Default)]
struct Figures {
    used: f64,
    requests_throttled: f64,
    rows_throttled: f64,
    most_wcu: u64,
    others_throttled: f64,
    misses: Vec<String>,
}

fn figures(scenario: &Scenario, log: &WriteLog, seconds: f64) -> Figures {
    let (from, until) = (Duration::ZERO, Duration::from_secs_f64(seconds));
    let wcu = |from, until| log.accepted_wcu(from, until) as f64;
    let mut figures = Figures {
        used: wcu(from, until) / (scenario.capacity * seconds),
        requests_throttled: log.requests(from, until).throttled_share(),
        rows_throttled: log.rows(from, until).throttled_share(),
        most_wcu: log.most_accepted_wcu(Duration::from_secs(1)),
        others_throttled: log.others().throttled_share(),
        misses: Vec::new(),
    };
    let mut expect = |holds: bool, what: &str| {
        if !holds {
            figures.misses.push(what.to_owned());
        }
    };
    if let Some(most) = scenario.throttled_max {
        expect(figures.used >= USED_MIN, "too little used");
        expect(
            figures.requests_throttled <= most,
            "too many requests throttled",
        );
        expect(figures.rows_throttled <= most, "too many rows throttled");
    } else {
        let last_quarter = wcu(until.mul_f64(0.75), until) / (seconds * 0.25);
        expect(last_quarter >= 0.95 * 4_000.0, "does not recover");
        expect(figures.others_throttled <= THROTTLED_MAX, "does not yield");
    }
    if let Some(cap) = scenario.max_wcu {
        expect(figures.most_wcu <= u64::from(cap), "exceeds its cap");
    }
    figures
}

fn percent(share: f64) -> String {
    format!("{:.2}", share * 100.0)
}

#[tokio::main]
#[allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what a program says"
)]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)).cloned()
    };
    let seconds: f64 = option("--seconds")
        .and_then(|s| s.parse().ok())
        .unwrap_or(60.0);
    let only = option("--only").unwrap_or_default();
    let mut scenarios = scenarios(seconds);
    scenarios.retain(|scenario| scenario.name.contains(&only));

    println!("Imports of {seconds} s each, seeds {SEEDS:?}:\n");
    println!(
        "| table | WCU/s | used, % | requests throttled, % | rows throttled, % | most WCU in any 1 s | others throttled, % |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut misses = String::new();
    for group in scenarios.chunks(AT_ONCE) {
        let measured = group.iter().map(|scenario| async move {
            let runs = SEEDS.map(|seed| measure(scenario, seed, seconds));
            futures::future::join_all(runs).await
        });
        let measured = futures::future::join_all(measured).await;
        for (scenario, logs) in group.iter().zip(measured) {
            let all: Vec<Figures> = logs
                .into_iter()
                .map(|log| match log {
                    Ok(log) => figures(scenario, &log, seconds),
                    Err(error) => Figures {
                        misses: vec![error],
                        ..Figures::default()
                    },
                })
                .collect();
            let column = |value: &dyn Fn(&Figures) -> String| {
                all.iter().map(value).collect::<Vec<_>>().join(" / ")
            };
            println!(
                "| {} | {:.0} | {} | {} | {} | {} | {} |",
                scenario.name,
                scenario.capacity,
                column(&|f| percent(f.used)),
                column(&|f| percent(f.requests_throttled)),
                column(&|f| percent(f.rows_throttled)),
                column(&|f| f.most_wcu.to_string()),
                column(&|f| percent(f.others_throttled)),
            );
            for (seed, figures) in SEEDS.iter().zip(&all) {
                for miss in &figures.misses {
                    // Writing to a String does not fail.
                    writeln!(misses, "{}, seed {seed}: {miss}", scenario.name).ok();
                }
            }
        }
    }
    if misses.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprint!("\nMissed:\n{misses}");
    ExitCode::FAILURE
}
