//! An import that is killed again and again, and each time goes on after its last checkpoint, ends as if nothing had happened.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on may panic, in its helpers, too"
)]

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use importer::import::{
    Checkpoint, Import, ImportOptions, Journal, Resume, Source, Status, Stop, Summary,
};
use importer::progress::Counts;
use importer::retry::RetryPolicy;
use importer::write::{BatchWrite, LaneWrite, Written};
use importer::{Class, Error, StopReason};
use proptest::prelude::*;
use rows::{KeyAttribute, KeyType, Reject, Schema};
use serde_json::Value;
use tokio::time::Instant;

/// What outlives a killed import: the table, the checkpoint, and the rejected rows of the parts that it counts.
#[derive(Default)]
struct World {
    items: BTreeMap<String, Value>,
    checkpoint: Checkpoint,
    /// Whether the last import ended without its last checkpoint.
    is_interrupted: bool,
    /// Rejected rows that are durable; the first `counted` belong to the checkpoint.
    rejects: Vec<String>,
    counted: usize,
    /// Where every checkpoint was, in bytes of the file.
    marks: Vec<u64>,
    puts: usize,
    calls: u64,
    rng: fastrand::Rng,
}

type Shared = Arc<Mutex<World>>;

#[derive(Clone)]
struct Table(Shared);

impl BatchWrite for Table {
    type Lane = Self;

    fn lane(&self, _index: usize) -> Self {
        self.clone()
    }
}

/// The key as the importer has it: the length, then the text.
fn key_of(item: &Value) -> Vec<u8> {
    let text = item["k"]["S"].as_str().unwrap();
    [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat()
}

impl LaneWrite for Table {
    async fn write(&mut self, body: Bytes) -> Result<Written, Error> {
        let (before, after, fault) = {
            let mut world = self.0.lock().unwrap();
            world.calls += 1;
            let mut millis = || Duration::from_millis(world.rng.u64(0..5));
            let (before, after) = (millis(), millis());
            (before, after, world.rng.u8(0..10))
        };
        // A kill falls before the rows are put, after it, or between two lanes.
        tokio::time::sleep(before).await;
        let body: Value = serde_json::from_slice(&body).unwrap();
        let requests = body["RequestItems"]["T"].as_array().unwrap();
        let items: Vec<&Value> = requests.iter().map(|r| &r["PutRequest"]["Item"]).collect();
        let refusal = |class| Error::Service {
            operation: "BatchWriteItem",
            problem: "ValidationException: poisoned".to_owned(),
            class,
            fix: String::new(),
            source: None,
        };
        if items.iter().any(|item| item.get("poison").is_some()) {
            return Err(refusal(Class::RejectRow));
        }
        if fault == 0 {
            return Err(refusal(Class::Retry));
        }
        let taken = if fault == 1 {
            items.len() / 2
        } else {
            items.len()
        };
        {
            let mut world = self.0.lock().unwrap();
            for item in &items[..taken] {
                let key = item["k"]["S"].as_str().unwrap().to_owned();
                world.items.insert(key, (*item).clone());
                world.puts += 1;
            }
        }
        tokio::time::sleep(after).await;
        Ok(Written {
            unprocessed: items[taken..].iter().map(|item| key_of(item)).collect(),
            consumed_wcu: Some(taken as f64),
        })
    }
}

/// Saves often, and takes its time for it.
struct Saves {
    world: Shared,
    /// Rejected rows that are not durable yet.
    buffer: Vec<String>,
    save_at: Instant,
    /// Parts that were written after the checkpoint.
    written: usize,
}

impl Saves {
    fn new(world: &Shared) -> Self {
        let mut locked = world.lock().unwrap();
        // Whoever goes on writes over what the checkpoint does not count.
        let counted = locked.counted;
        locked.rejects.truncate(counted);
        Self {
            world: Arc::clone(world),
            buffer: Vec::new(),
            save_at: Instant::now() + Duration::from_millis(3),
            written: counted,
        }
    }

    async fn pause(&self) {
        let pause = self.world.lock().unwrap().rng.u64(0..4);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }

    async fn flush(&mut self) {
        self.pause().await;
        self.written += self.buffer.len();
        self.world.lock().unwrap().rejects.append(&mut self.buffer);
    }
}

impl Journal for Saves {
    async fn reject(&mut self, reject: &Reject) -> Result<(), Error> {
        self.buffer.push(reject.to_json());
        if self.buffer.len() >= 20 {
            self.flush().await;
        }
        Ok(())
    }

    fn save_at(&self) -> Option<Instant> {
        Some(self.save_at)
    }

    async fn save(&mut self, checkpoint: &Checkpoint) -> Result<Option<StopReason>, Error> {
        self.flush().await;
        self.pause().await;
        let mut world = self.world.lock().unwrap();
        // As it goes through the table of jobs.
        let json = serde_json::to_string(checkpoint).unwrap();
        world.checkpoint = serde_json::from_str(&json).unwrap();
        world.counted = self.written;
        world.marks.push(checkpoint.row.map_or(0, |row| row.byte));
        let pause = world.rng.u64(0..8);
        self.save_at = Instant::now() + Duration::from_millis(pause);
        Ok(None)
    }

    async fn finish(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        self.save(checkpoint).await?;
        self.world.lock().unwrap().is_interrupted = false;
        Ok(())
    }

    fn place(&self) -> Option<String> {
        None
    }
}

/// A file of some format, perhaps compressed.
struct File {
    stored: Vec<u8>,
    lanes: usize,
}

impl File {
    fn source(&self, from: u64) -> Source {
        let rest = self.stored[from as usize..].to_vec();
        Source::reader(Cursor::new(rest), Some(self.stored.len() as u64))
    }

    /// Imports what is left of the file. It may be killed, by dropping the future.
    async fn import(&self, world: &Shared, stop_after: Option<Duration>) -> (Summary, Counts) {
        self.import_until(world, stop_after, Stop::default()).await
    }

    /// The same, unless it is stopped.
    async fn import_until(
        &self,
        world: &Shared,
        stop_after: Option<Duration>,
        stop: Stop,
    ) -> (Summary, Counts) {
        let (checkpoint, is_interrupted) = {
            let mut world = world.lock().unwrap();
            let before = world.is_interrupted;
            world.is_interrupted = true;
            (world.checkpoint.clone(), before)
        };
        let row = checkpoint.row.filter(|_| checkpoint.seekable);
        let import = Import {
            name: "test".to_owned(),
            source: self.source(row.map_or(0, |row| row.byte)),
            progress: Arc::new(checkpoint.progress()),
            resume: Some(Resume {
                beginning: checkpoint.row.map(|_| self.source(0)),
                checkpoint,
                is_interrupted,
                until: None,
            }),
            schema: Arc::new(Schema::new(
                "T",
                KeyAttribute::partition("k", KeyType::S),
                None,
            )),
            options: ImportOptions {
                lanes: NonZeroUsize::new(self.lanes).unwrap(),
                retry: RetryPolicy {
                    base: Duration::from_millis(1),
                    cap: Duration::from_millis(4),
                    budget: Duration::from_mins(1),
                },
                // A request that is dropped is over here. Those that arrive late are in `late`.
                request_lasts: Duration::from_millis(10),
                seed: Some(7),
                stop_reading_at: stop_after.map(|after| Instant::now() + after),
                ..ImportOptions::default()
            },
            stop,
        };
        let ended = import
            .run(Table(Arc::clone(world)), Saves::new(world))
            .await;
        assert_eq!(
            ended.checkpoint.counts,
            world.lock().unwrap().checkpoint.counts
        );
        (ended.summary, ended.checkpoint.counts)
    }
}

fn world(seed: u64) -> Shared {
    Arc::new(Mutex::new(World {
        rng: fastrand::Rng::with_seed(seed),
        ..World::default()
    }))
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    Array,
    Lines,
    Csv,
    GzipLines,
    ZstdArray,
    Utf16Csv,
}

const SHAPES: [Shape; 6] = [
    Shape::Array,
    Shape::Lines,
    Shape::Csv,
    Shape::GzipLines,
    Shape::ZstdArray,
    Shape::Utf16Csv,
];

/// Rows of which some repeat a key, some are refused by the importer and some by the table.
fn file(shape: Shape, rows: usize, keys: usize, lanes: usize, rng: &mut fastrand::Rng) -> File {
    let json: Vec<String> = (0..rows)
        .map(|n| {
            let key = rng.usize(0..keys);
            // The first row tells the format.
            match rng.u8(0..40).max(u8::from(n == 0) * 39) {
                0 => format!("{{\"n\":{n}}}"),
                1 => "7".to_owned(),
                2 => format!("{{\"k\":\"k{key}\",\"poison\":{n}}}"),
                3 => format!(
                    "{{\"k\":\"k{key}\",\"n\":{n},\"long\":\"{}\"}}",
                    "x".repeat(3000)
                ),
                _ => format!("{{\"k\":\"k{key}\",\"n\":{n}}}"),
            }
        })
        .collect();
    let mut csv = || {
        let mut csv = "k,n,text\r\n".to_owned();
        for n in 0..rows {
            let key = rng.usize(0..keys);
            let row = match rng.u8(0..40) {
                0 => format!(",{n},no key\r\n"),
                1 => format!("k{key},{n}\r\n"),
                2 => format!("k{key},{n},\"a, \"\"b\"\"\r\nc\"\r\n"),
                _ => format!("k{key},{n},ü\r\n"),
            };
            csv.push_str(&row);
        }
        csv
    };
    let gzip = |data: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    };
    let array = format!("[{}]", json.join(" ,\n"));
    let stored = match shape {
        Shape::Array => array.into_bytes(),
        Shape::Lines => json.join("\n").into_bytes(),
        Shape::Csv => csv().into_bytes(),
        Shape::GzipLines => gzip(json.join("\n").as_bytes()),
        Shape::ZstdArray => zstd::encode_all(array.as_bytes(), 1).unwrap(),
        Shape::Utf16Csv => {
            let units = format!("\u{feff}{}", csv());
            units.encode_utf16().flat_map(u16::to_le_bytes).collect()
        }
    };
    File { stored, lanes }
}

fn paused<T>(future: impl AsyncFnOnce() -> T) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(future())
}

/// What an import leaves behind, as far as it does not depend on faults.
#[derive(Debug, PartialEq)]
struct FinalState {
    items: BTreeMap<String, Value>,
    rejects: Vec<String>,
    rows: [u64; 4],
    bytes_read: u64,
}

fn left(world: &Shared, counts: &Counts) -> FinalState {
    let world = world.lock().unwrap();
    // Lanes report what the table refuses in an order of their own.
    let mut rejects = world.rejects.clone();
    rejects.sort();
    FinalState {
        items: world.items.clone(),
        rejects,
        rows: [
            counts.rows_read,
            counts.rows_written,
            counts.rows_superseded,
            counts.rows_rejected,
        ],
        bytes_read: counts.bytes_read,
    }
}

fn undisturbed(file: &File) -> (FinalState, usize) {
    let world = world(0);
    let (summary, counts) = paused(async || file.import(&world, None).await);
    assert!(summary.failure.is_none(), "{summary:?}");
    assert_eq!(counts.rows_read, summary.counts.rows_read);
    let puts = world.lock().unwrap().puts;
    (left(&world, &counts), puts)
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(4),
        cases: 100,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_killed_import_ends_as_if_nothing_had_happened(
        shape in prop::sample::select(&SHAPES[..]),
        seed in any::<u64>(),
        rows in 1_usize..1500,
        keys in prop::sample::select(&[3_usize, 100, 5000][..]),
        lanes in 1_usize..9,
        kills in prop::collection::vec(0_u64..60, 1..6),
    ) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let file = file(shape, rows, keys, lanes, &mut rng);
        let (expected, _) = undisturbed(&file);

        let world = world(seed);
        let mut ended = None;
        for millis in kills {
            let import = async || {
                tokio::time::timeout(Duration::from_millis(millis), file.import(&world, None)).await
            };
            if let Ok((_, counts)) = paused(import) {
                ended = Some(counts);
                break;
            }
        }
        let counts = match ended {
            Some(counts) => counts,
            None => paused(async || file.import(&world, None).await).1,
        };
        prop_assert_eq!(left(&world, &counts), expected);
    }

    /// What a cancelled or interrupted import drops is written by the next attempt, and counted once.
    #[test]
    fn an_import_that_drops_what_waits_ends_as_if_nothing_had_happened(
        shape in prop::sample::select(&SHAPES[..]),
        seed in any::<u64>(),
        rows in 1_usize..1500,
        keys in prop::sample::select(&[3_usize, 100, 5000][..]),
        lanes in 1_usize..9,
        stops in prop::collection::vec(0_u64..60, 1..6),
    ) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let file = file(shape, rows, keys, lanes, &mut rng);
        let (expected, _) = undisturbed(&file);

        let world = world(seed);
        let mut ended = None;
        for millis in stops {
            let stop = Stop::default();
            let asking = stop.clone();
            let (summary, counts) = paused(async || {
                let import = file.import_until(&world, None, stop);
                let ask = async {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    asking.request(StopReason::Cancelled);
                };
                tokio::join!(import, ask).0
            });
            let all = summary.counts;
            prop_assert_eq!(all.rows_read, all.rows_settled() + summary.rows_unsettled);
            if summary.failure.is_none() {
                ended = Some(counts);
                break;
            }
            prop_assert_eq!(summary.status, Status::Cancelled);
        }
        let counts = match ended {
            Some(counts) => counts,
            None => paused(async || file.import(&world, None).await).1,
        };
        prop_assert_eq!(left(&world, &counts), expected);
    }

    /// Stopping in time, as before a deadline, leaves nothing under way: no row is written twice.
    #[test]
    fn an_import_that_stops_in_time_writes_no_row_twice(
        shape in prop::sample::select(&SHAPES[..]),
        seed in any::<u64>(),
        rows in 1_usize..1500,
        lanes in 1_usize..9,
        stop_after in prop::collection::vec(0_u64..40, 1..6),
    ) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let file = file(shape, rows, 5000, lanes, &mut rng);
        let (expected, puts) = undisturbed(&file);

        let world = world(seed);
        let mut counts = None;
        for millis in stop_after.into_iter().map(Some).chain([None]) {
            let after = millis.map(Duration::from_millis);
            let (summary, now) = paused(async || file.import(&world, after).await);
            counts = Some(now);
            if summary.status != Status::Failed {
                break;
            }
            let failure = summary.failure.unwrap();
            prop_assert!(failure.message.contains("time given is used up"), "{failure}");
            prop_assert_eq!(now.rows_read, now.rows_settled());
        }
        prop_assert_eq!(left(&world, &counts.unwrap()), expected);
        // Halved requests put some rows again where a row is refused; all others are put once.
        let refused = file.stored.windows(6).any(|bytes| bytes == b"poison");
        if !refused && matches!(shape, Shape::Array | Shape::Lines | Shape::Csv) {
            prop_assert_eq!(world.lock().unwrap().puts, puts);
        }
    }
}

#[test]
fn a_lane_that_gets_few_rows_does_not_hold_the_mark_back() {
    // One key only: its batch never fills, and the other lanes get nothing.
    let row = |n: usize| {
        format!(
            "{{\"k\":\"a\",\"n\":{n},\"text\":\"{}\"}}\n",
            "x".repeat(10_000)
        )
    };
    let stored = (0..6000).map(row).collect::<String>().into_bytes();
    let file = File { stored, lanes: 4 };
    let world = world(1);
    paused(async || file.import(&world, None).await);
    // The import saved all the time; the last time is at its end.
    let marks = &world.lock().unwrap().marks;
    let [before @ .., _end] = &marks[..] else {
        panic!("never saved");
    };
    let furthest = before.iter().max().unwrap();
    assert!(
        *furthest > file.stored.len() as u64 / 2,
        "{furthest} of {}",
        file.stored.len()
    );
}

#[test]
fn a_file_of_rejected_rows_only_makes_checkpoints() {
    let row = |n: usize| format!("{{\"n\":{n},\"text\":\"{}\"}}\n", "x".repeat(10_000));
    let stored = (0..1500).map(row).collect::<String>().into_bytes();
    let file = File { stored, lanes: 4 };
    let world = world(1);
    paused(async || file.import(&world, None).await);
    let marks = &world.lock().unwrap().marks;
    let furthest = marks.iter().max().unwrap();
    assert!(
        *furthest > file.stored.len() as u64 / 2,
        "{furthest} of {}",
        file.stored.len()
    );
}

/// Stops to read where the import goes on until it is asked to stop.
struct SlowStart {
    file: Cursor<Vec<u8>>,
    stop: Stop,
}

impl std::io::Read for SlowStart {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while self.stop.requested().is_none() {
            std::thread::yield_now();
        }
        self.file.read(out)
    }
}

#[test]
fn a_file_whose_skipping_takes_all_the_time_fails_at_once() {
    let row = |n: usize| format!("{{\"k\":\"{n:04}\"}}\n");
    let lines = (0..100).map(row).collect::<String>();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(lines.as_bytes()).unwrap();
    let stored = gzip.finish().unwrap();
    let file = File { stored, lanes: 1 };
    // The half of it is done.
    let checkpoint = Checkpoint {
        row: Some(rows::Position {
            byte: 50 * row(0).len() as u64,
            line: 51,
            record: 51,
        }),
        lanes: vec![51],
        ..Checkpoint::default()
    };
    let time = Duration::from_mins(1);
    // Whatever an attempt may have, it has `time`.
    let import = |most: Duration| {
        let (file, checkpoint) = (&file, checkpoint.clone());
        paused(async move || {
            let stop = Stop::default();
            let slow = SlowStart {
                file: Cursor::new(file.stored.clone()),
                stop: stop.clone(),
            };
            let import = Import {
                name: "test".to_owned(),
                source: Source::reader(slow, Some(file.stored.len() as u64)),
                progress: Arc::new(checkpoint.progress()),
                resume: Some(Resume {
                    beginning: Some(file.source(0)),
                    checkpoint,
                    ..Resume::default()
                }),
                schema: Arc::new(Schema::new(
                    "T",
                    KeyAttribute::partition("k", KeyType::S),
                    None,
                )),
                options: ImportOptions {
                    lanes: NonZeroUsize::MIN,
                    stop_reading_at: Some(Instant::now() + time),
                    give_up_at: Some(Instant::now() + time * 2),
                    reading_time_max: Some(most),
                    ..ImportOptions::default()
                },
                stop,
            };
            let world = world(1);
            let saves = Saves::new(&world);
            let ended = import.run(Table(world), saves).await;
            (
                ended.error.unwrap().is_final(),
                ended.summary.failure.unwrap(),
            )
        })
    };
    let (is_final, failure) = import(time);
    assert!(is_final);
    for said in ["line 51", "MiB/s", "more memory"] {
        assert!(failure.to_string().contains(said), "{failure}");
    }
    // It began late in an invocation: the next one has more time.
    let (is_final, failure) = import(time * 2);
    assert!(!is_final, "{failure}");
    assert!(failure.message.contains("time given is used up"));
}
