//! Requests that arrive late, against a model of DynamoDB on paused time: the last row of a key wins all the same.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on may panic, in its helpers, too"
)]

use std::collections::BTreeMap;
use std::io::Cursor;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use importer::import::{Checkpoint, Import, ImportOptions, Journal, Resume, Source, Status, Stop};
use importer::write::{BatchWrite, LaneWrite, REQUEST_LASTS, Written};
use importer::{Class, Error, StopReason};
use rows::{DecodeOptions, Format, KeyAttribute, KeyType, Reject, Schema};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

/// How long an answer is waited for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
const LANES: usize = 4;

/// What outlives an attempt.
#[derive(Default)]
struct World {
    items: BTreeMap<String, u64>,
    checkpoint: Checkpoint,
    is_last: bool,
    attempts: u32,
    /// Requests that were carried out after their answers were given up.
    late: u32,
    rng: fastrand::Rng,
}

type Shared = Arc<Mutex<World>>;

/// A table whose requests go on after their client has given up.
#[derive(Clone)]
struct Table(Shared);

impl BatchWrite for Table {
    type Lane = Self;

    fn lane(&self, _index: usize) -> Self {
        self.clone()
    }
}

/// The key as the importer has it: the length, then the text.
fn key_of(key: &str) -> Vec<u8> {
    [&(key.len() as u32).to_be_bytes()[..], key.as_bytes()].concat()
}

fn no_answer() -> Error {
    Error::Service {
        operation: "BatchWriteItem",
        problem: "no answer".to_owned(),
        class: Class::Unanswered,
        fix: String::new(),
        source: None,
    }
}

impl LaneWrite for Table {
    async fn write(&mut self, body: Bytes) -> Result<Written, Error> {
        let body: Value = serde_json::from_slice(&body).unwrap();
        let requests = body["RequestItems"]["T"].as_array().unwrap();
        let rows: Vec<(String, u64)> = requests
            .iter()
            .map(|request| {
                let item = &request["PutRequest"]["Item"];
                let number = item["n"]["N"].as_str().unwrap().parse().unwrap();
                (item["k"]["S"].as_str().unwrap().to_owned(), number)
            })
            .collect();
        let (delay, is_reset, taken) = {
            let rng = &mut self.0.lock().unwrap().rng;
            let delay = match rng.u8(0..20) {
                // As late as a signature lets it be.
                0 => Duration::from_secs(rng.u64(0..=REQUEST_LASTS.as_secs())),
                1 => Duration::from_secs(rng.u64(0..40)),
                _ => Duration::from_millis(rng.u64(0..50)),
            };
            let taken = match rng.u8(0..8) {
                0 => rng.usize(0..=rows.len()),
                _ => rows.len(),
            };
            (delay, rng.u8(0..30) == 0, taken)
        };
        let (answer, answered) = oneshot::channel();
        let world = Arc::clone(&self.0);
        let unprocessed = rows[taken..].iter().map(|(key, _)| key_of(key)).collect();
        let rows = rows[..taken].to_vec();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let mut world = world.lock().unwrap();
            world.items.extend(rows);
            if answer.send(()).is_err() {
                world.late += 1;
            }
        });
        if is_reset {
            // The connection is lost; the request is not.
            return Err(no_answer());
        }
        match timeout(ANSWER_TIMEOUT, answered).await {
            Ok(_) => Ok(Written {
                unprocessed,
                consumed_wcu: Some(taken as f64),
            }),
            Err(_) => Err(no_answer()),
        }
    }
}

/// The journal of a job, as the table of jobs keeps it.
struct Saves {
    world: Shared,
    attempt: u32,
    save_at: Instant,
}

impl Saves {
    fn keep(&mut self, checkpoint: &Checkpoint, is_last: bool) -> Result<(), Error> {
        let mut world = self.world.lock().unwrap();
        if world.attempts != self.attempt {
            return Err(Error::LeaseLost);
        }
        let json = serde_json::to_string(checkpoint).unwrap();
        world.checkpoint = serde_json::from_str(&json).unwrap();
        world.is_last = is_last;
        // Often, but not all through a long wait.
        let pause = if world.rng.bool() {
            world.rng.u64(1..400)
        } else {
            10_000
        };
        self.save_at = Instant::now() + Duration::from_millis(pause);
        Ok(())
    }
}

impl Journal for Saves {
    async fn reject(&mut self, _reject: &Reject) -> Result<(), Error> {
        Ok(())
    }

    fn save_at(&self) -> Option<Instant> {
        Some(self.save_at)
    }

    async fn save(&mut self, checkpoint: &Checkpoint) -> Result<Option<StopReason>, Error> {
        self.keep(checkpoint, false).map(|()| None)
    }

    async fn finish(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        self.keep(checkpoint, true)
    }

    fn place(&self) -> Option<String> {
        None
    }
}

/// An attempt, which stops to read after `time`, is given up a little later, and goes on where the one before ended.
async fn attempt(world: &Shared, file: &[u8], lasts: Duration, time: Option<Duration>) -> Status {
    let (checkpoint, is_interrupted, attempt) = {
        let mut world = world.lock().unwrap();
        let is_interrupted = world.attempts > 0 && !world.is_last;
        world.attempts += 1;
        world.is_last = false;
        (world.checkpoint.clone(), is_interrupted, world.attempts)
    };
    let source = |from: usize| Source::reader(Cursor::new(file[from..].to_vec()), None);
    let import = Import {
        name: "test".to_owned(),
        source: source(checkpoint.row.map_or(0, |row| row.byte as usize)),
        progress: Arc::new(checkpoint.progress()),
        resume: Some(Resume {
            beginning: checkpoint.row.map(|_| source(0)),
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
            decode: DecodeOptions {
                format: Some(Format::JsonLines),
                ..DecodeOptions::default()
            },
            lanes: NonZeroUsize::new(LANES).unwrap(),
            request_lasts: lasts,
            seed: Some(7),
            stop_reading_at: time.map(|time| Instant::now() + time),
            give_up_at: time.map(|time| Instant::now() + time + Duration::from_millis(100)),
            ..ImportOptions::default()
        },
        stop: Stop::default(),
    };
    let saves = Saves {
        world: Arc::clone(world),
        attempt,
        save_at: Instant::now() + Duration::from_millis(200),
    };
    let ended = import.run(Table(Arc::clone(world)), saves).await;
    ended.summary.status
}

/// Imports a file in some attempts, and says how many keys have an older row in the end, and how many requests were late.
fn older_rows(seed: u64, lasts: Duration) -> (usize, u32) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut rng = fastrand::Rng::with_seed(seed);
        // Rows repeat keys that are close by, and far away.
        let rows: Vec<u64> = (0..1200_u64)
            .map(|n| match rng.u8(0..4) {
                0 => rng.u64(0..=n),
                1 => n.saturating_sub(rng.u64(0..200)),
                _ => n,
            })
            .collect();
        let line = |(n, key): (usize, &u64)| format!("{{\"k\":\"k{key}\",\"n\":{n}}}\n");
        let file: String = rows.iter().enumerate().map(line).collect();
        let expected: BTreeMap<String, u64> = (0..)
            .zip(&rows)
            .map(|(n, key)| (format!("k{key}"), n))
            .collect();
        let world = Arc::new(Mutex::new(World {
            rng: fastrand::Rng::with_seed(seed),
            ..World::default()
        }));
        for _ in 0..rng.u8(0..4) {
            let time = Duration::from_millis(rng.u64(0..2_000));
            let is_killed = rng.bool();
            let attempt = attempt(&world, file.as_bytes(), lasts, (!is_killed).then_some(time));
            if is_killed {
                timeout(time, attempt).await.ok();
            } else if attempt.await == Status::Completed {
                break;
            }
        }
        let status = attempt(&world, file.as_bytes(), lasts, None).await;
        assert_eq!(status, Status::Completed, "seed {seed}");
        // All that is on its way arrives.
        tokio::time::sleep(REQUEST_LASTS).await;
        let world = world.lock().unwrap();
        assert_eq!(world.items.len(), expected.len(), "seed {seed}");
        let is_older = |(key, n): &(&String, &u64)| expected[*key] != **n;
        (world.items.iter().filter(is_older).count(), world.late)
    })
}

#[test]
fn the_last_row_wins_however_late_requests_arrive() {
    let mut late = 0;
    for seed in 0..100 {
        let (older, arrived_late) = older_rows(seed, REQUEST_LASTS);
        assert_eq!(older, 0, "seed {seed}");
        late += arrived_late;
    }
    assert!(late > 100, "{late} requests were late");
}

/// The simulation would notice: without waiting, an older row wins.
#[test]
fn an_older_row_wins_if_nothing_waits_for_late_requests() {
    let lost: usize = (0..20).map(|seed| older_rows(seed, Duration::ZERO).0).sum();
    assert!(lost > 0);
}
