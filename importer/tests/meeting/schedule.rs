//! One schedule, and what must be true at its end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::aws::{Death, Fate, Object, Wire, World};
use super::invocation::{event, function, handle, invocation};
use crate::handler::Importer;

/// The queue's visibility timeout, and how often a message is received.
const VISIBILITY: Duration = Duration::from_mins(16);
const RECEIVES_MAX: u32 = 10;
/// The function's time limit.
const TIMEOUT: Duration = Duration::from_mins(2);
/// When nothing breaks any more.
const QUIET: Duration = Duration::from_mins(40);
/// Attempts without progress after which a job is given up.
const STALLED_ATTEMPTS: f64 = crate::jobs::STALLED_ATTEMPTS_MAX as f64;
const KEY: &str = "uploads/prices.jsonl";

/// A message of the queue.
struct Message {
    id: String,
    body: Value,
    receives: u32,
    at: Instant,
}

/// A schedule that a seed makes.
pub(super) struct Schedule {
    seed: u64,
}

/// A file that was uploaded.
struct Version {
    number: usize,
    /// Keys of its rows, in their order.
    keys: Vec<String>,
}

/// How a schedule ended.
pub(super) struct Outcome {
    seed: u64,
    world: World,
    versions: Vec<Version>,
    dead_letters: Vec<Value>,
    log: Vec<String>,
}

impl Schedule {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed }
    }

    pub(super) fn run(self) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        fastrand::seed(self.seed);
        tokio::task::LocalSet::new().block_on(&runtime, self.play())
    }

    #[allow(
        clippy::too_many_lines,
        reason = "one story: uploads, messages and invocations by time"
    )]
    async fn play(self) -> Outcome {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let is_versioned = random.bool();
        let world = Arc::new(Mutex::new(World {
            is_versioned,
            ..World::default()
        }));
        let importer = Rc::new(function());
        let begin = Instant::now();
        let mut outcome = Outcome {
            seed: self.seed,
            world: World::default(),
            versions: Vec::new(),
            dead_letters: Vec::new(),
            log: Vec::new(),
        };
        let mut uploads: Vec<(Instant, Version)> = Vec::new();
        let mut messages: Vec<Message> = Vec::new();
        let mut at = begin;
        for number in 1..=random.usize(2..=4) {
            at += Duration::from_millis(random.u64(0..60_000));
            let keys = (0..random.usize(2..8)).map(|_| format!("K{}", random.u32(0..6)));
            let version = Version {
                number,
                keys: keys.collect(),
            };
            for _ in 0..random.usize(1..=3) {
                let late = [1, 30, 300, 1_500][random.usize(0..4)];
                let delay = Duration::from_millis(random.u64(0..late * 1_000));
                messages.push(Message {
                    id: format!("m{}", messages.len()),
                    body: notification(number, random.bool(), is_versioned),
                    receives: 0,
                    at: at + delay,
                });
            }
            uploads.push((at, version));
        }
        let forgets = random.u32(0..4) == 0;
        let disturbed_permille = [0, 20, 100][random.usize(0..3)];
        let mut running: JoinSet<(Message, bool)> = JoinSet::new();
        let mut invocations = 0;
        loop {
            let now = Instant::now();
            for (at, body) in std::mem::take(&mut world.lock().unwrap().sent) {
                messages.push(Message {
                    id: format!("m-sent-{}-{}", invocations, messages.len()),
                    body,
                    receives: 0,
                    at,
                });
            }
            while uploads.first().is_some_and(|(at, _)| *at <= now) {
                let (_, version) = uploads.remove(0);
                world.lock().unwrap().object = Some(version.object());
                outcome.log.push(format!(
                    "{:?} upload {}: {:?}",
                    now - begin,
                    version.number,
                    version.keys
                ));
                outcome.versions.push(version);
            }
            if forgets && random.u32(0..3) == 0 {
                forget(&mut world.lock().unwrap());
            }
            while let Some(index) = messages.iter().position(|message| message.at <= now) {
                let mut message = messages.swap_remove(index);
                message.receives += 1;
                if message.receives > RECEIVES_MAX {
                    outcome.dead_letters.push(message.body);
                    continue;
                }
                invocations += 1;
                if std::env::var("DBG").is_ok() {
                    eprintln!(
                        "{:?} inv {invocations} {} {}",
                        now - begin,
                        message.id,
                        message.body
                    );
                }
                let is_quiet = now > begin + QUIET;
                let fate = Fate {
                    calls_left: (!is_quiet && random.u32(0..4) == 0).then(|| random.u32(0..60)),
                    broken: (!is_quiet && random.u32(0..6) == 0).then(|| {
                        let after = Duration::from_millis(random.u64(0..30_000));
                        (now + after, Duration::from_secs(random.u64(5..200)))
                    }),
                    disturbed_permille: if is_quiet { 0 } else { disturbed_permille },
                    random: fastrand::Rng::with_seed(random.u64(..)),
                };
                outcome.log.push(format!(
                    "{:?} invocation {invocations}: {} received {} times, killed after {:?}, broken {:?}: {}",
                    now - begin, message.id, message.receives, fate.calls_left, fate.broken.map(|(at, time)| (at - begin, time)), message.body
                ));
                running.spawn_local(invoke(
                    Rc::clone(&importer),
                    Arc::clone(&world),
                    fate,
                    message,
                    invocations,
                ));
            }
            let next = messages.iter().map(|message| message.at);
            let next = next.chain(uploads.iter().map(|(at, _)| *at)).min();
            let wake = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(ended) = running.join_next() => {
                    let (message, is_done) = ended.unwrap();
                    outcome.log.push(format!("{:?} {} ended: done {is_done}", begin.elapsed(), message.id));
                    if !is_done {
                        messages.push(Message { at: Instant::now() + VISIBILITY, ..message });
                    }
                }
                () = wake, if next.is_some() => {}
                else => break,
            }
            if begin.elapsed() > Duration::from_hours(4) {
                break;
            }
        }
        outcome.world = std::mem::take(&mut world.lock().unwrap());
        outcome
    }
}

async fn invoke(
    importer: Rc<Importer>,
    world: Arc<Mutex<World>>,
    fate: Fate,
    message: Message,
    number: usize,
) -> (Message, bool) {
    let death = Arc::new(Death::default());
    let disturbed = Arc::clone(&world);
    let wire = Wire {
        world,
        fate: Arc::new(Mutex::new(fate)),
        death: Arc::clone(&death),
    };
    let payload = event(&message.id, &message.body, message.receives);
    // Events of one test's time: the function's own clock says when its time is over.
    let handled = handle(importer, wire, payload, invocation(number, TIMEOUT));
    let is_done = tokio::select! {
        handled = handled => {
            let failures = handled.unwrap()["batchItemFailures"].as_array().map_or(1, Vec::len);
            failures == 0
        }
        () = death.happened.notified() => false,
        () = tokio::time::sleep(TIMEOUT) => {
            disturbed.lock().unwrap().is_publishing_disturbed = true;
            false
        }
    };
    (message, is_done)
}

/// The table of jobs forgets what has ended.
fn forget(world: &mut World) {
    let ended = |item: &super::expressions::Item| {
        let is_open = ["RUNNING", "QUEUED"].map(|status| json!({ "S": status }));
        item.get("status")
            .is_some_and(|status| !is_open.contains(status))
            && item.get("notified") == Some(&json!({ "BOOL": true }))
    };
    world.jobs.retain(|_, item| !ended(item));
}

fn notification(version: usize, is_bridge: bool, is_versioned: bool) -> Value {
    let version_id = is_versioned.then(|| format!("version-{version}"));
    let etag = format!("{version:032x}");
    if is_bridge {
        return json!({ "detail-type": "Object Created", "source": "aws.s3", "time": "2026-11-23T10:00:00Z", "detail": {
            "bucket": { "name": "b" },
            "object": { "key": KEY, "etag": etag, "version-id": version_id, "sequencer": format!("{version:018X}") },
        } });
    }
    json!({ "Records": [{ "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "eventTime": "2026-11-23T10:00:00.000Z",
        "s3": { "bucket": { "name": "b" }, "object": {
            "key": KEY, "eTag": etag, "versionId": version_id, "sequencer": format!("{version:018X}"),
        } } }] })
}

impl Version {
    fn object(&self) -> Object {
        let rows = self.keys.iter().enumerate().map(|(row, key)| {
            json!({ "id": key, "version": self.number, "row": row }).to_string() + "\n"
        });
        Object {
            version: self.number,
            body: rows.collect(),
            etag: format!("\"{:032x}\"", self.number),
            last_modified: format!("Mon, 23 Nov 2026 10:00:{:02} GMT", self.number),
        }
    }

    /// What the table has of it when all of its rows are written.
    fn rows(&self) -> BTreeMap<String, (usize, usize)> {
        let rows = self.keys.iter().cloned();
        rows.zip((0..).map(|row| (self.number, row))).collect()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        for line in &self.log {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "calls: {:?}", self.world.calls)?;
        writeln!(f, "begun: {:?}", self.world.begun)?;
        writeln!(f, "puts: {:?}", self.world.puts)?;
        writeln!(f, "table: {:?}", self.world.rows)?;
        writeln!(f, "published: {:?}", self.world.published)?;
        for (key, item) in &self.world.jobs {
            writeln!(f, "{key:?}: {}", json!(item))?;
        }
        Ok(())
    }
}

impl Outcome {
    /// Checks what must be true however imports meet.
    pub(super) fn check(&self) {
        let problems = self.problems();
        assert!(problems.is_empty(), "{self}\n{}", problems.join("\n"));
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let world = &self.world;
        let text = |item: &super::expressions::Item, name: &str| {
            item.get(name)
                .and_then(|value| value["S"].as_str())
                .unwrap_or_default()
                .to_owned()
        };
        let count = |item: &super::expressions::Item, name: &str| {
            item.get(name)
                .and_then(|value| value["N"].as_str())
                .map_or(0.0, |n| n.parse::<f64>().unwrap())
        };
        // 1. Each job ends.
        for ((owner, job), item) in &world.jobs {
            let status = text(item, "status");
            if owner.starts_with("object/") {
                continue;
            }
            if matches!(status.as_str(), "RUNNING" | "QUEUED") {
                problems.push(format!("job {job} is {status} for ever"));
            }
            // 2. Every row is accounted for.
            let settled = count(item, "rows_written")
                + count(item, "rows_superseded")
                + count(item, "rows_rejected");
            if status == "COMPLETED" && (settled - count(item, "rows_read")).abs() > 0.5 {
                problems.push(format!("job {job} has lost rows"));
            }
        }
        // 3. Each end is published, and once, unless the one who did was killed or the answer was lost.
        let mut ends: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (id, status) in &world.published {
            ends.entry(id).or_default().insert(status);
        }
        for (id, statuses) in &ends {
            if statuses.len() > 1 {
                problems.push(format!(
                    "job {id} was published to have ended as {statuses:?}"
                ));
            }
        }
        if !world.is_publishing_disturbed && world.published.len() > ends.len() {
            problems.push("an end was published twice".to_owned());
        }
        for ((owner, job), item) in &world.jobs {
            let is_job = !owner.starts_with("object/");
            if is_job && !ends.contains_key(format!("{owner}/{job}").as_str()) {
                problems.push(format!(
                    "the end of job {job} was never published: {}",
                    text(item, "status")
                ));
            }
        }
        // 4. No row of an older version is put once a newer one has begun.
        let order: Vec<usize> = self.begun();
        let position = |version: usize| order.iter().position(|begun| *begun == version);
        let mut newest = BTreeMap::new();
        for (key, row) in &world.puts {
            let this = position(row.0);
            let before = newest.insert(key, (this, row));
            if let Some((before, older)) = before
                && before > this
            {
                problems.push(format!("{row:?} of {key} was put over {older:?}"));
            }
        }
        // 5. The newest file is imported whole, unless attempt after attempt died at it.
        let Some(last) = self.versions.last() else {
            return problems;
        };
        if !self.dead_letters.is_empty() {
            problems.push(format!("dead letters: {:?}", self.dead_letters));
        }
        let is_stalled = world.jobs.values().any(|item| {
            text(item, "etag") == last.object().etag
                && text(item, "status") == "FAILED"
                && count(item, "attempt") >= STALLED_ATTEMPTS
        });
        // The table may have forgotten it.
        let is_forgotten = world.jobs.values().any(|head| {
            let job = text(head, "current");
            let key = ("-".to_owned(), job.clone());
            let end = (format!("-/{job}"), "FAILED".to_owned());
            !job.is_empty() && !world.jobs.contains_key(&key) && world.published.contains(&end)
        });
        for (key, row) in last.rows() {
            if !is_stalled && !is_forgotten && world.rows.get(&key) != Some(&row) {
                problems.push(format!(
                    "{key} of the newest file is {:?} and not {row:?}",
                    world.rows.get(&key)
                ));
            }
        }
        // 6. Each version is imported, or said not to be.
        if ends.len() < self.versions.len() {
            problems.push(format!(
                "{} versions, and {} ends",
                self.versions.len(),
                ends.len()
            ));
        }
        problems
    }

    /// The versions that were begun, in their order.
    fn begun(&self) -> Vec<usize> {
        let number = |version: &String| {
            let digits = match version.strip_prefix("version-") {
                Some(digits) => digits.parse().ok(),
                None => version
                    .split('"')
                    .nth(1)
                    .and_then(|etag| usize::from_str_radix(etag, 16).ok()),
            };
            digits.unwrap_or_default()
        };
        let mut order = Vec::new();
        for version in self.world.begun.iter().map(number) {
            if order.last() != Some(&version) {
                order.push(version);
            }
        }
        order
    }
}
