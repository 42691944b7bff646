//! The pipeline against a table that fails in every way a table can, checked against rows put one by one.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on may panic, in its helpers, too"
)]

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use importer::import::{
    Checkpoint, Import, ImportOptions, Journal, MaxRejects, Source, Status, Stop, Summary,
};
use importer::progress::Progress;
use importer::retry::RetryPolicy;
use importer::write::{BatchWrite, LaneWrite, Written};
use importer::{Class, Error, StopReason};
use proptest::prelude::*;
use rows::{DecodeOptions, Format, KeyAttribute, KeyType, Reject, Schema};
use serde_json::Value;
use tokio::time::Instant;

/// What a call to the table does instead of taking all rows.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    Unprocessed,
    /// All rows come back.
    NothingProcessed,
    Throttle,
    ServerError,
    /// The rows are taken, but the answer is lost.
    AnswerLost,
    AccessDenied,
    /// All rows are taken, three seconds later.
    Slow,
    /// No answer, ever.
    Hang,
}

/// A table in memory that fails when `fault` says so for the number of the call.
struct Table<F> {
    items: Mutex<BTreeMap<String, Value>>,
    calls: Mutex<u64>,
    /// Rows of each call.
    sizes: Mutex<Vec<usize>>,
    fault: F,
}

impl<F: Fn(u64) -> Option<Fault>> Table<F> {
    fn new(fault: F) -> Arc<Self> {
        Arc::new(Self {
            items: Mutex::default(),
            calls: Mutex::default(),
            sizes: Mutex::default(),
            fault,
        })
    }

    fn items(&self) -> BTreeMap<String, Value> {
        self.items.lock().unwrap().clone()
    }
}

struct Writer<F>(Arc<Table<F>>);

fn service(code: &str, class: Class) -> Error {
    Error::Service {
        operation: "BatchWriteItem",
        problem: code.to_owned(),
        class,
        fix: String::new(),
        source: None,
    }
}

/// The key as the importer has it: the length, then the text.
fn key_of(item: &Value) -> Vec<u8> {
    let text = item["k"]["S"].as_str().unwrap();
    [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat()
}

impl<F: Fn(u64) -> Option<Fault> + Send + Sync + 'static> BatchWrite for Writer<F> {
    type Lane = Self;

    fn lane(&self, _index: usize) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F: Fn(u64) -> Option<Fault> + Send + Sync + 'static> LaneWrite for Writer<F> {
    async fn write(&mut self, body: Bytes) -> Result<Written, Error> {
        let call = {
            let mut calls = self.0.calls.lock().unwrap();
            *calls += 1;
            *calls
        };
        // Other lanes get their turn, so that batches do overlap.
        tokio::time::sleep(Duration::from_millis(call % 7)).await;
        let body: Value = serde_json::from_slice(&body).unwrap();
        let requests = body["RequestItems"]["T"].as_array().unwrap();
        assert!(
            !requests.is_empty() && requests.len() <= 25,
            "{} rows",
            requests.len()
        );
        let items: Vec<&Value> = requests.iter().map(|r| &r["PutRequest"]["Item"]).collect();
        let mut keys: Vec<_> = items.iter().map(|item| key_of(item)).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), items.len(), "a key stands twice in one request");

        if items.iter().any(|item| item.get("poison").is_some()) {
            return Err(service("ValidationException: poisoned", Class::RejectRow));
        }
        let fault = (self.0.fault)(call);
        match fault {
            Some(Fault::Slow) => tokio::time::sleep(Duration::from_secs(3)).await,
            Some(Fault::Hang) => std::future::pending().await,
            _ => {}
        }
        let taken = match fault {
            None | Some(Fault::AnswerLost | Fault::Slow) => items.len(),
            Some(Fault::Unprocessed) => items.len() / 2,
            Some(_) => 0,
        };
        self.0.sizes.lock().unwrap().push(items.len());
        for item in &items[..taken] {
            let key = item["k"]["S"].as_str().unwrap().to_owned();
            self.0.items.lock().unwrap().insert(key, (*item).clone());
        }
        match fault {
            None | Some(Fault::Unprocessed | Fault::Slow | Fault::NothingProcessed) => {
                Ok(Written {
                    unprocessed: items[taken..].iter().map(|item| key_of(item)).collect(),
                    consumed_wcu: Some(taken as f64),
                })
            }
            Some(Fault::Throttle) => Err(Error::Throttled {
                operation: "BatchWriteItem",
                problem: "ThrottlingException".to_owned(),
            }),
            Some(Fault::ServerError | Fault::AnswerLost) => {
                Err(service("InternalServerError", Class::Retry))
            }
            Some(Fault::AccessDenied | Fault::Hang) => {
                Err(service("AccessDeniedException", Class::Fatal))
            }
        }
    }
}

#[derive(Clone, Default)]
struct Rejects {
    kept: Arc<Mutex<Vec<Reject>>>,
    fail_at: Option<usize>,
}

impl Journal for Rejects {
    async fn reject(&mut self, reject: &Reject) -> Result<(), Error> {
        let mut kept = self.kept.lock().unwrap();
        if self.fail_at == Some(kept.len()) {
            return Err(Error::Report {
                place: "nowhere".to_owned(),
                source: "disk full".into(),
            });
        }
        kept.push(reject.clone());
        Ok(())
    }

    async fn finish(&mut self, _checkpoint: &Checkpoint) -> Result<(), Error> {
        Ok(())
    }

    fn place(&self) -> Option<String> {
        None
    }
}

fn options(lanes: usize) -> ImportOptions {
    ImportOptions {
        lanes: NonZeroUsize::new(lanes).unwrap(),
        seed: Some(7),
        ..ImportOptions::default()
    }
}

fn new(file: impl Read + Send + 'static, options: ImportOptions) -> Import {
    let key = KeyAttribute::partition("k", KeyType::S);
    Import {
        name: "test".to_owned(),
        source: Source::reader(file, None),
        resume: None,
        schema: Arc::new(Schema::new("T", key, None)),
        options,
        progress: Arc::new(Progress::default()),
        stop: Stop::default(),
    }
}

/// Runs an import under paused time, so that no backoff is waited for.
fn run<T>(import: impl AsyncFnOnce() -> T) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(import())
}

/// Waits for what takes a thread's real time, which paused time does not wait for.
async fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn import<F>(file: &[u8], options: ImportOptions, table: &Arc<Table<F>>) -> (Summary, Rejects)
where
    F: Fn(u64) -> Option<Fault> + Send + Sync + 'static,
{
    let rejects = Rejects::default();
    let file = std::io::Cursor::new(file.to_vec());
    let writer = Writer(Arc::clone(table));
    let summary = run(async || {
        new(file, options)
            .run(writer, rejects.clone())
            .await
            .summary
    });
    (summary, rejects)
}

/// JSON Lines of `rows`, each a key and a version.
fn lines(rows: &[(u32, usize)]) -> Vec<u8> {
    let line = |(key, v): &(u32, usize)| format!("{{\"k\":\"key {key}\",\"v\":{v}}}\n");
    rows.iter().map(line).collect::<String>().into_bytes()
}

/// Rows with keys of their own.
fn distinct(count: u32) -> Vec<(u32, usize)> {
    (0..count).map(|key| (key, key as usize)).collect()
}

/// The table after the rows were put one by one.
fn sequential(rows: &[(u32, usize)]) -> BTreeMap<String, Value> {
    let entry = |(key, v): &(u32, usize)| {
        let key = format!("key {key}");
        let item = serde_json::json!({"k": {"S": key}, "v": {"N": v.to_string()}});
        (key, item)
    };
    rows.iter().map(entry).collect()
}

fn assert_adds_up(summary: &Summary) {
    let counts = summary.counts;
    let settled = counts.rows_written + counts.rows_superseded + counts.rows_rejected;
    assert_eq!(
        counts.rows_read,
        settled + summary.rows_unsettled,
        "{summary:?}"
    );
    assert!(
        matches!(summary.status, Status::Failed | Status::Cancelled) || summary.rows_unsettled == 0,
        "{summary:?}"
    );
}

/// A number that is the same for the same arguments, evenly spread over 0..100.
fn percent(seed: u64, call: u64) -> u64 {
    fastrand::Rng::with_seed(seed.wrapping_mul(0x9E37_79B9).wrapping_add(call)).u64(0..100)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn last_row_wins_with_duplicates_at_16_lanes_under_faults(
        seed in any::<u64>(),
        rows in 1_usize..3000,
    ) {
        // About one row in ten repeats an earlier key.
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut next = 0;
        let mut row = |v| {
            if next > 0 && rng.u32(0..10) == 0 {
                (rng.u32(0..next), v)
            } else {
                next += 1;
                (next - 1, v)
            }
        };
        let rows: Vec<(u32, usize)> = (0..rows).map(&mut row).collect();
        let table = Table::new(move |call| match percent(seed, call) {
            0..20 => Some(Fault::Unprocessed),
            20..25 => Some(Fault::Throttle),
            25..26 => Some(Fault::ServerError),
            26..27 => Some(Fault::AnswerLost),
            _ => None,
        });
        let (summary, _) = import(&lines(&rows), options(16), &table);
        prop_assert_eq!(summary.status, Status::Completed);
        assert_adds_up(&summary);
        prop_assert_eq!(summary.counts.rows_read, rows.len() as u64);
        prop_assert_eq!(table.items(), sequential(&rows));
    }
}

#[test]
fn a_fault_at_the_kth_call_changes_nothing() {
    let rows: Vec<(u32, usize)> = (0..400).map(|v| (v as u32 % 350, v)).collect();
    let faults = [
        Fault::Unprocessed,
        Fault::Throttle,
        Fault::ServerError,
        Fault::AnswerLost,
    ];
    for fault in faults {
        for k in 1..=25 {
            let table = Table::new(move |call| (call == k).then_some(fault));
            let (summary, _) = import(&lines(&rows), options(4), &table);
            assert_eq!(summary.status, Status::Completed, "{fault:?} at {k}");
            assert_adds_up(&summary);
            assert_eq!(table.items(), sequential(&rows), "{fault:?} at {k}");
        }
    }
}

#[test]
fn a_fatal_error_fails_the_import_and_counts_what_is_open() {
    for k in [1, 5, 16] {
        let table = Table::new(move |call| (call >= k).then_some(Fault::AccessDenied));
        let (summary, _) = import(&lines(&distinct(400)), options(4), &table);
        assert_eq!(summary.status, Status::Failed, "at {k}");
        assert_adds_up(&summary);
        assert!(summary.rows_unsettled > 0, "at {k}");
        let failure = summary.failure.unwrap();
        assert!(
            failure.message.contains("AccessDeniedException"),
            "{failure}"
        );
        assert_eq!(
            table.items().len() as u64,
            summary.counts.rows_written,
            "at {k}"
        );
    }
}

#[test]
fn a_table_that_never_answers_well_exhausts_the_budget() {
    let table = Table::new(|_| Some(Fault::Throttle));
    let (summary, _) = import(&lines(&distinct(2)), options(1), &table);
    assert_eq!(summary.status, Status::Failed);
    assert_adds_up(&summary);
    let failure = summary.failure.unwrap();
    assert!(failure.message.contains("gave up after"), "{failure}");
    assert!(failure.message.contains("ThrottlingException"), "{failure}");
    assert!(failure.fix.unwrap().contains("--max-wcu"));
}

/// Such a table makes the write rate as low as it gets, so that most of the time is spent on waiting for it.
#[test]
fn a_table_that_gives_everything_back_ends_the_import() {
    let row = |n: u32| format!("{{\"k\":\"{n}\",\"text\":\"{}\"}}\n", "x".repeat(20_000));
    let file: String = (0..400).map(row).collect();
    let writer = Writer(Table::new(|_| Some(Fault::NothingProcessed)));
    let (summary, took) = run(async || {
        let began = Instant::now();
        let import = new(std::io::Cursor::new(file), options(16));
        let summary = import.run(writer, Rejects::default()).await.summary;
        (summary, began.elapsed())
    });
    assert_eq!(summary.status, Status::Failed);
    let failure = summary.failure.unwrap();
    assert!(failure.message.contains("gave up after"), "{failure}");
    assert!(failure.message.contains("UnprocessedItems"), "{failure}");
    assert!(took > RetryPolicy::default().budget, "{took:?}");
    assert!(took < Duration::from_mins(5), "{took:?}");
}

#[test]
fn what_comes_back_is_sent_again_in_requests_that_the_rate_allows() {
    let table = Table::new(|call| (call <= 12).then_some(Fault::NothingProcessed));
    let (summary, _) = import(&lines(&distinct(25)), options(1), &table);
    assert_eq!(summary.status, Status::Completed, "{summary:?}");
    let sizes = table.sizes.lock().unwrap();
    // The rate has gone down, and a request is a fortieth of a second of it.
    assert_eq!(sizes[0], 25, "{sizes:?}");
    assert!(sizes[12] < 25, "{sizes:?}");
    assert_eq!(table.items().len(), 25);
}

#[test]
fn a_row_that_dynamodb_refuses_costs_that_row() {
    let mut file = lines(&distinct(60));
    for poisoned in [7, 8, 31] {
        let line = format!("{{\"k\":\"poisoned {poisoned}\",\"poison\":true}}\n");
        file.extend_from_slice(line.as_bytes());
    }
    file.extend_from_slice(&lines(&[(100, 0), (101, 0)]));
    let table = Table::new(|_| None);
    let (summary, rejects) = import(&file, options(2), &table);
    assert_eq!(summary.status, Status::CompletedWithRejects);
    assert_adds_up(&summary);
    assert_eq!(table.items().len(), 62);
    let rejects = rejects.kept.lock().unwrap();
    assert_eq!(rejects.len(), 3);
    for reject in rejects.iter() {
        assert_eq!(reject.reason.code(), "refused");
        assert!(reject.reason.to_string().contains("poisoned"));
        assert!((61..=63).contains(&reject.position.record));
        assert!(String::from_utf8_lossy(&reject.text).contains("poisoned"));
    }
}

#[test]
fn a_cut_off_file_fails_with_the_rows_before_it_written() {
    let row = |v: u32| format!("{{\"k\":\"key {v}\",\"v\":{v}}}");
    let whole = format!("[{}]", (0..100).map(row).collect::<Vec<_>>().join(",\n"));
    for cut in [whole.len() / 3, whole.len() / 2, whole.len() - 1] {
        let table = Table::new(|_| None);
        let (summary, _) = import(&whole.as_bytes()[..cut], options(4), &table);
        assert_eq!(summary.status, Status::Failed, "cut at {cut}");
        assert_adds_up(&summary);
        assert_eq!(summary.rows_unsettled, 0);
        let complete = whole[..cut].matches('}').count();
        assert_eq!(table.items().len(), complete, "cut at {cut}");
        let position = summary.failure.unwrap().position.unwrap();
        // Where the row begins that is cut off, or where the file ends.
        let before = &whole[..cut];
        let at = before.rfind('{').filter(|at| !before[*at..].contains('}'));
        let at = at.unwrap_or(cut);
        assert_eq!(position.byte, at as u64);
        let line = whole[..at].matches('\n').count() as u64 + 1;
        assert_eq!(position.line, line);
    }
}

#[test]
fn bad_rows_are_reported_and_the_rest_is_written() {
    let file = b"{\"k\":\"a\"}\n{\"v\":1}\n{\"k\":\"b\"}\nnot json\n{\"k\":\"\"}\n{\"k\":\"c\"}\n";
    let table = Table::new(|_| None);
    let (summary, rejects) = import(file, options(3), &table);
    assert_eq!(summary.status, Status::CompletedWithRejects);
    assert_adds_up(&summary);
    let keys: Vec<_> = table.items().into_keys().collect();
    assert_eq!(keys, ["a", "b", "c"]);
    let kept = rejects.kept.lock().unwrap();
    let found: Vec<_> = kept
        .iter()
        .map(|r| (r.position.line, r.reason.code()))
        .collect();
    assert_eq!(
        found,
        [(2, "missing-key"), (4, "broken-line"), (5, "empty-key")]
    );
}

#[test]
fn a_report_that_cannot_be_written_fails_the_import() {
    let file = b"{\"k\":\"a\"}\n{\"v\":1}\n{\"v\":2}\n{\"k\":\"b\"}\n";
    let writer = Writer(Table::new(|_| None));
    let rejects = Rejects {
        fail_at: Some(1),
        ..Rejects::default()
    };
    let summary = run(async || {
        new(&file[..], options(2))
            .run(writer, rejects)
            .await
            .summary
    });
    assert_eq!(summary.status, Status::Failed);
    assert_adds_up(&summary);
    let failure = summary.failure.unwrap();
    assert!(failure.message.contains("disk full"), "{failure}");
}

#[test]
fn a_reader_that_fails_is_a_failure_not_an_end() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("cable pulled"))
        }
    }
    let file = std::io::Cursor::new(lines(&distinct(2))).chain(Broken);
    let writer = Writer(Table::new(|_| None));
    let summary = run(async || {
        new(file, options(2))
            .run(writer, Rejects::default())
            .await
            .summary
    });
    assert_eq!(summary.status, Status::Failed);
    let failure = summary.failure.unwrap();
    assert!(failure.message.contains("cable pulled"), "{failure}");
}

/// Gives lines for ever, and asks to stop after some of them.
struct Endless {
    line: usize,
    rest: std::io::Cursor<Vec<u8>>,
    stop: Stop,
    reason: StopReason,
}

impl Read for Endless {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.rest.position() == self.rest.get_ref().len() as u64 {
            self.line += 1;
            if self.line == 100_000 {
                self.stop.request(self.reason);
            }
            self.rest = std::io::Cursor::new(lines(&[(self.line as u32 % 5000, self.line)]));
        }
        self.rest.read(out)
    }
}

fn lines_given(options: ImportOptions) -> ImportOptions {
    ImportOptions {
        decode: DecodeOptions {
            format: Some(Format::JsonLines),
            ..DecodeOptions::default()
        },
        ..options
    }
}

#[test]
fn stopping_at_a_deadline_writes_what_was_read_and_others_say_what_they_drop() {
    for (reason, told) in [
        (StopReason::Deadline, "the time given is used up"),
        (StopReason::Interrupted, "interrupted"),
    ] {
        let stop = Stop::default();
        let table = Table::new(|call| (call % 5 == 0).then_some(Fault::Unprocessed));
        let file = Endless {
            line: 0,
            rest: std::io::Cursor::default(),
            stop: stop.clone(),
            reason,
        };
        let import = Import {
            stop,
            ..new(file, lines_given(options(4)))
        };
        let writer = Writer(Arc::clone(&table));
        let summary = run(async || import.run(writer, Rejects::default()).await.summary);
        assert_eq!(summary.status, Status::Failed);
        assert_adds_up(&summary);
        if reason == StopReason::Deadline {
            assert_eq!(summary.rows_unsettled, 0);
            assert_eq!(table.items().len(), 5000);
        }
        let failure = summary.failure.unwrap();
        assert!(failure.message.contains(told), "{failure}");
        let position = failure.position.unwrap();
        assert_eq!(position.record, summary.counts.rows_read + 1);
    }
}

/// Whatever rows wait for, they are dropped at once; only requests that were sent are waited for, and those not for long.
#[test]
fn a_stop_drops_what_waits_and_counts_it_as_unsettled() {
    let capped = |wcu| ImportOptions {
        max_wcu: NonZeroU32::new(wcu),
        ..options(16)
    };
    let patient = ImportOptions {
        retry: RetryPolicy {
            base: Duration::from_hours(1),
            cap: Duration::from_hours(1),
            budget: Duration::from_hours(9),
        },
        ..options(16)
    };
    let cases: [(&str, Option<Fault>, ImportOptions, u64); 5] = [
        ("the limiter", None, capped(25), 1),
        ("the limiter, all of it", None, capped(1), 1),
        ("its retry", Some(Fault::ServerError), patient.clone(), 1),
        ("a throttled table", Some(Fault::Throttle), patient, 1),
        ("an answer", Some(Fault::Hang), options(16), 6),
    ];
    for (waits_for, fault, options, seconds) in cases {
        for reason in [StopReason::Interrupted, StopReason::Cancelled] {
            let table = Table::new(move |_| fault);
            let import = new(
                std::io::Cursor::new(lines(&distinct(20_000))),
                options.clone(),
            );
            let (stop, writer) = (import.stop.clone(), Writer(Arc::clone(&table)));
            let (summary, took) = run(async || {
                let import = tokio::spawn(import.run(writer, Rejects::default()));
                until(|| *table.calls.lock().unwrap() > 0).await;
                tokio::time::sleep(Duration::from_secs(20)).await;
                let asked = Instant::now();
                stop.request(reason);
                (import.await.unwrap().summary, asked.elapsed())
            });
            let what = format!("{waits_for}, {reason}: {summary:?}");
            assert!(took <= Duration::from_secs(seconds), "{took:?}, {what}");
            assert_adds_up(&summary);
            assert!(summary.rows_unsettled > 0, "{what}");
            let failure = summary.failure.as_ref().unwrap();
            assert!(failure.message.contains(&reason.to_string()), "{what}");
            assert_eq!(
                table.items().len() as u64,
                summary.counts.rows_written,
                "{what}"
            );
        }
    }
}

/// What is sent when the stop is asked for is settled.
#[test]
fn a_stop_waits_for_the_answers_to_what_was_sent() {
    let table = Table::new(|_| Some(Fault::Slow));
    let import = new(std::io::Cursor::new(lines(&distinct(100))), options(1));
    let (stop, writer) = (import.stop.clone(), Writer(Arc::clone(&table)));
    let summary = run(async || {
        let import = tokio::spawn(import.run(writer, Rejects::default()));
        until(|| *table.calls.lock().unwrap() == 1).await;
        assert!(table.items().is_empty());
        stop.request(StopReason::Interrupted);
        import.await.unwrap().summary
    });
    assert_adds_up(&summary);
    assert_eq!(summary.counts.rows_written, 25, "{summary:?}");
    assert_eq!(table.items().len(), 25);
    assert_eq!(summary.status, Status::Failed, "{summary:?}");
}

/// Nothing was dropped, so there is nothing to complain of.
#[test]
fn a_stop_after_the_last_row_changes_nothing() {
    let table = Table::new(|_| Some(Fault::Slow));
    let import = new(std::io::Cursor::new(lines(&distinct(10))), options(1));
    let (stop, writer) = (import.stop.clone(), Writer(Arc::clone(&table)));
    let summary = run(async || {
        let import = tokio::spawn(import.run(writer, Rejects::default()));
        until(|| *table.calls.lock().unwrap() == 1).await;
        stop.request(StopReason::Interrupted);
        import.await.unwrap().summary
    });
    assert_eq!(summary.status, Status::Completed, "{summary:?}");
    assert_eq!(table.items().len(), 10);
}

/// Gives some bytes, and then neither more nor an end.
struct Quiet {
    bytes: std::io::Cursor<Vec<u8>>,
    is_quiet: Arc<AtomicBool>,
}

impl Read for Quiet {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        match self.bytes.read(out)? {
            0 => {
                self.is_quiet.store(true, Ordering::SeqCst);
                loop {
                    std::thread::park();
                }
            }
            read => Ok(read),
        }
    }
}

/// A pipe or a terminal that is quiet must not hold an import that has failed or is to stop.
#[test]
fn an_import_ends_though_its_reader_is_quiet() {
    // More than is read ahead to look at a file's beginning.
    let bad = || "{\"v\":1}\n".repeat(20_000).into_bytes();
    let good = || lines(&distinct(20_000));
    let rejecting = ImportOptions {
        max_rejects: Some(MaxRejects::Rows(3)),
        ..options(4)
    };
    let unkept = Rejects {
        fail_at: Some(1),
        ..Rejects::default()
    };
    let kept = Rejects::default;
    let denied = Some(Fault::AccessDenied);
    let (ctrl_c, cancel) = (StopReason::Interrupted, StopReason::Cancelled);
    let cases = [
        ("AccessDenied", good(), options(4), denied, kept(), None),
        ("disk full", bad(), options(4), None, unkept, None),
        (
            "more rows were rejected",
            bad(),
            rejecting,
            None,
            kept(),
            None,
        ),
        (
            "interrupted",
            good(),
            options(4),
            None,
            kept(),
            Some(ctrl_c),
        ),
        (
            "interrupted",
            Vec::new(),
            options(4),
            None,
            kept(),
            Some(ctrl_c),
        ),
        ("cancelled", good(), options(4), None, kept(), Some(cancel)),
    ];
    for (told, file, options, fault, rejects, stop) in cases {
        let is_quiet = Arc::new(AtomicBool::new(false));
        let file = Quiet {
            bytes: std::io::Cursor::new(file),
            is_quiet: Arc::clone(&is_quiet),
        };
        let import = new(file, lines_given(options));
        let (stopping, writer) = (import.stop.clone(), Writer(Table::new(move |_| fault)));
        let (summary, took) = run(async || {
            let import = tokio::spawn(import.run(writer, rejects));
            if let Some(reason) = stop {
                until(|| is_quiet.load(Ordering::SeqCst)).await;
                stopping.request(reason);
            }
            let asked = Instant::now();
            (import.await.unwrap().summary, asked.elapsed())
        });
        assert!(took <= Duration::from_secs(10), "{told}: {took:?}");
        assert_adds_up(&summary);
        let failure = summary.failure.unwrap();
        assert!(failure.message.contains(told), "{told}: {failure}");
        if stop.is_some() {
            let record = failure.position.unwrap().record;
            assert_eq!(record, summary.counts.rows_read + 1, "{told}");
        }
    }
}

#[test]
fn the_deadline_ends_an_import_that_waits_for_a_throttled_table() {
    let writer = Writer(Table::new(|_| Some(Fault::Throttle)));
    let file = std::io::Cursor::new(lines(&distinct(100)));
    let summary = run(async || {
        let give_up_at = Instant::now() + Duration::from_secs(20);
        let options = ImportOptions {
            give_up_at: Some(give_up_at),
            retry: RetryPolicy {
                budget: Duration::from_hours(1),
                ..RetryPolicy::default()
            },
            ..options(2)
        };
        let summary = new(file, options)
            .run(writer, Rejects::default())
            .await
            .summary;
        assert!(Instant::now() <= give_up_at + Duration::from_secs(1));
        summary
    });
    assert_eq!(summary.status, Status::Failed);
    assert_adds_up(&summary);
    let failure = summary.failure.unwrap();
    assert!(
        failure.message.contains("the time given is used up"),
        "{failure}"
    );
}

#[test]
fn waiting_for_the_cap_does_not_use_up_the_retry_budget() {
    let table = Table::new(|call| (call % 2 == 1).then_some(Fault::ServerError));
    // A batch waits for minutes: far longer than the budget for failures.
    let options = ImportOptions {
        max_wcu: NonZeroU32::new(1),
        ..options(16)
    };
    let (summary, _) = import(&lines(&distinct(400)), options, &table);
    assert_eq!(summary.status, Status::Completed, "{summary:?}");
    assert_eq!(table.items().len(), 400);
}

#[test]
fn the_cap_holds_over_all_lanes_and_retries() {
    let writer = Writer(Table::new(|call| {
        (call % 4 == 0).then_some(Fault::ServerError)
    }));
    let file = std::io::Cursor::new(lines(&distinct(2000)));
    let took = run(async || {
        let began = Instant::now();
        let options = ImportOptions {
            max_wcu: NonZeroU32::new(100),
            ..options(8)
        };
        let summary = new(file, options)
            .run(writer, Rejects::default())
            .await
            .summary;
        assert_eq!(summary.status, Status::Completed);
        began.elapsed().as_secs_f64()
    });
    // 2,000 WCU for the rows and a third more for the attempts that failed.
    assert!((24.0..40.0).contains(&took), "{took} s");
}

#[test]
fn an_import_goes_on_at_the_rate_of_the_one_before() {
    let options = options(8);
    let [first, second] = run(async || {
        let mut took = [Duration::ZERO; 2];
        for took in &mut took {
            let file = std::io::Cursor::new(lines(&distinct(20_000)));
            let began = Instant::now();
            let import = new(file, options.clone());
            let ended = import.run(Writer(Table::new(|_| None)), Rejects::default());
            assert_eq!(ended.await.summary.status, Status::Completed);
            *took = began.elapsed();
        }
        took
    });
    assert!(second < first * 3 / 4, "{first:?}, {second:?}");
}

#[test]
fn summaries_are_plain_json() {
    let table = Table::new(|_| None);
    let (summary, _) = import(b"[{\"k\":\"a\"},{\"k\":\"\\u0061\"}]", options(1), &table);
    let json: HashMap<String, Value> = serde_json::from_str(&summary.to_json()).unwrap();
    assert_eq!(json["status"], "COMPLETED");
    assert_eq!(json["rows_read"], 2);
    assert_eq!(json["rows_superseded"], 1);
    assert_eq!(json["format"], "json");
    assert!(!json.contains_key("failure"));
}
