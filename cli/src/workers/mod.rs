//! `intake import --workers`: the steps of a large import, taken by processes on this machine.
//!
//! The state machine on AWS asks invocations of the importer for the same steps, in the same order. What a step does belongs
//! to the importer; this folder decides which process takes which step, and when.

pub mod left;
mod pool;
pub mod worker;

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use importer::import::{MaxRejects, Summary};
use importer::jobs::{Job, JobKey, JobStore, LEASE, Status, TERMINAL};
use importer::progress::Counts;
use importer::write::WriterKind;
use serde_json::{Value, json};
use tokio::process::Command;

use self::pool::{Failed, Pool, StepError, Stop, WorkerCommand, lock};
use crate::args::ImportArgs;
use crate::aws::Clients;
use crate::input::Input;
use crate::jobs;
use crate::terminal::progress::{LiveDisplay, Snapshot, Work};
use crate::terminal::{Failure, Outcome, Signals, causes, conclude, tell};

/// How often the ranges are read to show how far they are.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often workers save how far they are, unless `INTAKE_CHECKPOINT_SECONDS` says so: somebody is watching.
const CHECKPOINT_SECONDS: &str = "1";
/// How often a job that another one has is looked at.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// How often the job is kept claimed.
const RENEW_INTERVAL: Duration = Duration::from_secs(15);
/// Ranges of a step: with one in each, no worker waits for a slow one.
const RANGES_AT_ONCE: usize = 1;
/// What helps when what was wrong is repaired.
const GO_ON: &str = "run the same command again: it goes on with what is left";
/// Variables that set up the function on AWS, and not what is started here.
const FUNCTION_VARIABLES: [&str; 4] = [
    "INTAKE_QUEUE_URL",
    "INTAKE_TOPIC_ARN",
    "INTAKE_LARGE_STATE_MACHINE_ARN",
    "INTAKE_LARGE_BYTES",
];

/// Imports an object by several workers.
///
/// # Errors
///
/// It is none, or it was not imported to its end.
pub async fn run(args: ImportArgs, clients: &Clients) -> Result<Outcome, Failure> {
    let Input::Object { bucket, key } = &args.source else {
        return Err(Failure::usage(format!(
            "--workers imports objects in S3, and {} is none: its ranges are read by several processes at once",
            args.source
        ))
        .fix("upload it and name it as s3://BUCKET/KEY, or import it without --workers"));
    };
    let mut signals = Signals::listen()?;
    let began = Instant::now();
    let jobs_table = args.jobs_table.clone();
    let jobs_table = jobs_table.unwrap_or_else(|| jobs::TABLE.to_owned());
    let pool = Pool::new(
        args.workers.workers.map_or(1, NonZeroUsize::get),
        &worker_command(&args, &jobs_table, clients)?,
    );
    let stop = pool.stop();
    let coordinator = Coordinator {
        executor: executor(),
        stop: stop.clone(),
        source: args.source.to_string(),
        store: JobStore::new(clients.dynamodb.clone(), jobs_table),
        s3: clients.s3.clone(),
        quiet: args.quiet,
        began,
    };
    let mut plan = json!({
        "step": "plan",
        "bucket": bucket,
        "key": key,
        "parallel": args.workers.parallel,
        "again": args.workers.again,
        "holder": coordinator.executor,
        "lease_seconds": LEASE.as_secs(),
        "watches": true,
    });
    if let Some(range_size) = args.workers.range_size {
        plan["range_bytes"] = json!(range_size.get());
    }
    let import = coordinator.import(pool, plan);
    let mut import = std::pin::pin!(import);
    tokio::select! {
        ended = &mut import => return ended,
        () = signals.wait() => {}
    }
    stop.request();
    tell("stopping: the workers finish the writes in flight (Ctrl-C again aborts them)");
    tokio::select! {
        ended = &mut import => ended,
        () = signals.wait() => Err(Failure::new("aborted: the writes in flight may have been made or not")
            .fix(GO_ON)),
    }
}

/// Takes the steps of one import.
struct Coordinator {
    /// By this the job knows that it is this command's.
    executor: String,
    stop: Stop,
    source: String,
    store: JobStore,
    s3: aws_sdk_s3::Client,
    quiet: bool,
    began: Instant,
}

impl Coordinator {
    async fn import(&self, mut pool: Pool, mut plan: Value) -> Result<Outcome, Failure> {
        let planned = loop {
            match pool.one(plan.clone()).await {
                Ok(planned) if planned["mode"] == "busy" => {
                    self.watch(&planned).await?;
                    plan["seen"] = planned["seen"].clone();
                    plan["seen"]["waited_seconds"] = planned["watch_seconds"].clone();
                }
                Ok(planned) => break planned,
                Err(StepError::Stopped) => return Err(interrupted()),
                Err(StepError::Failed(failed)) => return Err(failed.of(&self.source)),
            }
        };
        let name = |member: &str| planned[member].as_str().unwrap_or_default().to_owned();
        let key = JobKey {
            owner: name("owner"),
            job: name("job"),
        };
        let is_ended = planned["mode"] == "ended";
        if is_ended {
            tell(self.what_became_of(&key).await);
        } else {
            tell(format!("job {0} (see: intake status {0})", key.job));
        }
        if planned["mode"] == "whole" {
            let why = planned["why"].as_str().unwrap_or_default();
            tell(format!(
                "imported from beginning to end by one worker: {why}"
            ));
            if why.contains("intake-unique-keys") {
                tell(
                    "hint: --parallel cuts it all the same, without the order of rows that share a key",
                );
            }
        }
        let taken = if is_ended {
            Ok(())
        } else {
            tokio::select! {
                taken = self.steps(&mut pool, &key, &planned) => taken,
                lost = self.keep(&key) => Err(lost),
            }
        };
        let finish = json!({
            "step": "finish",
            "owner": key.owner,
            "job": key.job,
            "holder": self.executor,
        });
        let summary = match taken {
            Ok(()) => pool.one(finish).await,
            Err(StepError::Failed(failed)) => {
                // The job says so, too, and may be taken up again.
                let mut finish = finish;
                finish["error"] = json!({
                    "Error": "intake import",
                    "Cause": failed.message,
                    "Fix": failed.fix.map_or_else(|| GO_ON.to_owned(), |fix| format!("{fix}; then {GO_ON}")),
                });
                pool.again().one(finish).await
            }
            Err(StepError::Stopped) => Err(StepError::Stopped),
        };
        match summary {
            Ok(Value::Null) => Err(self.without_rows(&key).await),
            Ok(summary) => self.concluded(summary, !is_ended),
            Err(StepError::Stopped) => Err(self.stopped(&key).await),
            Err(StepError::Failed(failed)) => Err(failed.of(&self.source)),
        }
    }

    /// What is said of a version whose job has ended before.
    async fn what_became_of(&self, key: &JobKey) -> String {
        // What cannot be read is not needed: the summary follows.
        let job = self.store.get(key).await.ok().flatten();
        let name = &key.job;
        let again = "--again imports it from its beginning";
        match job {
            Some(job) if job.status == Status::Cancelled => format!(
                "the import of this version was cancelled, as job {name}, when {} rows were written; {again}",
                job.counts.rows_written
            ),
            Some(job) if matches!(job.status, Status::Failed | Status::Superseded) => format!(
                "the import of this version has failed, as job {name}, when {} rows were written; {again}",
                job.counts.rows_written
            ),
            Some(_) | None => format!(
                "this version of the object was imported before, as job {name}; --again imports it once more"
            ),
        }
    }

    /// Watches a job that another one has, until its lease is over.
    async fn watch(&self, busy: &Value) -> Result<(), Failure> {
        let name = |member: &str| busy[member].as_str().unwrap_or_default().to_owned();
        let key = JobKey {
            owner: name("owner"),
            job: name("job"),
        };
        let lease = Duration::from_secs(busy["watch_seconds"].as_u64().unwrap_or_default());
        let what = if busy["version"] == "other" {
            ", which imports another version,"
        } else {
            ""
        };
        tell(format!(
            "job {}{what} is held by {}: waiting up to {} s to see whether that one still works",
            key.job,
            name("holder"),
            lease.as_secs()
        ));
        let over = Instant::now() + lease;
        while Instant::now() < over {
            tokio::select! {
                () = tokio::time::sleep(WATCH_INTERVAL) => {}
                () = self.stop.requested() => return Err(interrupted()),
            }
            // What cannot be read now is read the next time.
            if let Ok(job) = self.store.get(&key).await
                && job
                    .as_ref()
                    .is_none_or(|job| json!(job.seen()) != busy["seen"])
            {
                let rows = job.map_or(0, |job| job.counts.rows_settled());
                let (source, job) = (&self.source, &key.job);
                return Err(if busy["version"] == "other" {
                    Failure::new(format!(
                        "{source}: another version of it is being imported now, as job {job}: {rows} rows so far"
                    ))
                    .fix(format!(
                        "run the same command again when that has ended: intake status --watch {job}"
                    ))
                } else {
                    Failure::new(format!(
                        "{source}: another one imports it now, as job {job}: {rows} rows so far"
                    ))
                    .fix(format!(
                        "wait until that has ended: intake status --watch {job}"
                    ))
                });
            }
        }
        Ok(())
    }

    /// Keeps the job claimed. Ends if another one has taken it.
    async fn keep(&self, key: &JobKey) -> StepError {
        loop {
            tokio::time::sleep(RENEW_INTERVAL).await;
            // What cannot be renewed now is renewed the next time.
            let Ok(Some(job)) = self.store.get(key).await else {
                continue;
            };
            if job.lease_holder.as_ref() == Some(&self.executor) {
                self.store.renew(&job).await.ok();
            } else if !job.status.is_ended() {
                self.stop.request();
                return failure(format!("another one has taken job {} over", key.job));
            }
        }
    }

    /// What is said of a job that ended before a row was read.
    async fn without_rows(&self, key: &JobKey) -> Failure {
        let job = self.store.get(key).await.ok().flatten();
        let reason = job.as_ref().and_then(|job| job.reason.clone());
        let reason = reason.unwrap_or_else(|| "it was not imported".to_owned());
        let failure = Failure::new(format!("{}: {reason}", self.source));
        match job.and_then(|job| job.fix) {
            Some(fix) => failure.fix(fix),
            None => failure,
        }
    }

    /// What is between plan and finish.
    async fn steps(&self, pool: &mut Pool, key: &JobKey, planned: &Value) -> Result<(), StepError> {
        let mut items = self.items(planned).await?;
        let job = self.store.get(key).await.map_err(|e| failed(&e))?;
        let job = job.ok_or_else(|| failure(format!("job {} is gone", key.job)))?;
        let counts = Arc::new(Mutex::new(Snapshot {
            bytes_total: job.bytes_total,
            ..Snapshot::default()
        }));
        if planned["mode"] == "split" {
            let display = self.display(Work::Scanning, &counts);
            let scanned = Arc::clone(&counts);
            let scan = pool.all(self.batches("scan", key, &items), move |step| {
                let items = step["Items"].as_array().into_iter().flatten();
                let byte = |item: &Value, name: &str| item[name].as_u64().unwrap_or_default();
                let bytes: u64 = items
                    .map(|item| byte(item, "end").saturating_sub(byte(item, "begin")))
                    .sum();
                lock(&scanned).bytes += bytes;
            });
            let scanned = scan.await;
            display.finish();
            scanned?;
            let compose = json!({ "step": "compose", "owner": key.owner, "job": key.job });
            items = self.items(&pool.one(compose).await?).await?;
            lock(&counts).bytes = 0;
        }
        let display = self.display(Work::Writing, &counts);
        let imported = pool.all(self.batches("import", key, &items), |_| {});
        let imported = tokio::select! {
            imported = imported => imported.map(drop),
            never = self.poll(&job, &counts) => match never {},
        };
        display.finish();
        imported
    }

    /// The items that an answer names.
    async fn items(&self, answer: &Value) -> Result<Vec<Value>, StepError> {
        let place = |name: &str| answer["items"][name].as_str().unwrap_or_default();
        let (bucket, key) = (place("bucket"), place("key"));
        let unreadable =
            |e: &dyn std::error::Error| failure(format!("s3://{bucket}/{key}: {}", causes(e)));
        let got = self.s3.get_object().bucket(bucket).key(key).send().await;
        let body = got
            .map_err(|e| unreadable(&e))?
            .body
            .collect()
            .await
            .map_err(|e| unreadable(&e))?;
        serde_json::from_slice(&body.into_bytes()).map_err(|e| unreadable(&e))
    }

    /// Steps for all items. A worker that continues one of them after another's end has the same holder.
    fn batches(&self, step: &str, key: &JobKey, items: &[Value]) -> Vec<Value> {
        let batches = items.chunks(RANGES_AT_ONCE).enumerate();
        let batches = batches.map(|(number, items)| {
            json!({
                "step": step,
                "owner": key.owner,
                "job": key.job,
                "executor": self.executor,
                "holder": format!("{}-{number}", self.executor),
                "Items": items,
            })
        });
        batches.collect()
    }

    fn display(&self, work: Work, counts: &Arc<Mutex<Snapshot>>) -> LiveDisplay {
        let counts = Arc::clone(counts);
        let snapshot = move || *lock(&counts);
        if self.quiet {
            LiveDisplay::quiet(snapshot)
        } else {
            LiveDisplay::start(work, snapshot)
        }
    }

    /// Keeps `counts` up to date. What cannot be read now is read the next time.
    async fn poll(&self, job: &Job, counts: &Mutex<Snapshot>) -> Infallible {
        loop {
            if let Ok(ranges) = self.store.ranges(job).await {
                let mut counts = lock(counts);
                let (mut sum, now) = (Counts::default(), SystemTime::now());
                for range in &ranges {
                    sum += range.counts;
                }
                let waiting = ranges.iter().filter_map(|range| range.waits_for(now));
                *counts = Snapshot::new(&sum, counts.bytes_total).waiting(waiting.max());
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Shows how it ended.
    fn concluded(&self, summary: Value, is_new: bool) -> Result<Outcome, Failure> {
        let mut summary: Summary = serde_json::from_value(summary)
            .map_err(|error| Failure::caused("the summary cannot be read", &error))?;
        if is_new {
            summary.duration_seconds = self.began.elapsed().as_secs_f64();
        }
        if let Some(place) = &summary.rejects {
            tell(format!("rejected rows are in {}", rows::prose(place)));
        }
        conclude(&summary, Work::Writing)
    }

    /// What is said of an import that was stopped.
    async fn stopped(&self, key: &JobKey) -> Failure {
        let ranges = match self.store.get(key).await {
            Ok(Some(job)) => self.store.ranges(&job).await.unwrap_or_default(),
            Ok(None) | Err(_) => Vec::new(),
        };
        let ended = ranges.iter().filter(|range| range.status.is_ended());
        let ended = ended.count();
        // No worker is at work any more. If it cannot be let go of, it is held until its lease is over.
        self.store.let_go(key, &self.executor).await.ok();
        Failure::new(format!(
            "{}: interrupted, {ended} ranges are imported",
            self.source
        ))
        .fix(format!("{GO_ON}; intake cancel gives it up"))
    }
}

fn failed(error: &importer::Error) -> StepError {
    StepError::Failed(Failed {
        message: causes(error),
        fix: error.fix().map(str::to_owned),
    })
}

fn failure(message: String) -> StepError {
    StepError::Failed(Failed { message, fix: None })
}

fn interrupted() -> Failure {
    Failure::new("interrupted before the import began")
}

/// A name for this command that no other has.
fn executor() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_millis());
    format!("{TERMINAL}{}-{now}", std::process::id())
}

/// How a worker is started: this very program, set up by its environment as the function is on AWS.
fn worker_command(
    args: &ImportArgs,
    jobs_table: &str,
    clients: &Clients,
) -> Result<WorkerCommand, Failure> {
    let program: PathBuf = std::env::current_exe()
        .map_err(|error| Failure::caused("cannot find the intake program itself", &error))?;
    let mut set = vec![
        ("INTAKE_TABLE", args.table.clone()),
        ("INTAKE_JOBS_TABLE", jobs_table.to_owned()),
        ("INTAKE_WRITER", WriterKind::from(args.writer).to_string()),
    ];
    if let Some(lanes) = args.lanes {
        set.push(("INTAKE_LANES", lanes.to_string()));
    }
    if let Some(max_wcu) = args.max_wcu {
        // They share it through the table of jobs, with everybody else.
        set.push(("INTAKE_MAX_WCU", max_wcu.to_string()));
    }
    if let Some(max_rejects) = args.max_rejects {
        let text = match max_rejects {
            MaxRejects::Rows(rows) => rows.to_string(),
            MaxRejects::Percent(percent) => format!("{percent}%"),
        };
        set.push(("INTAKE_MAX_REJECTS", text));
    }
    if std::env::var_os("INTAKE_CHECKPOINT_SECONDS").is_none() {
        set.push(("INTAKE_CHECKPOINT_SECONDS", CHECKPOINT_SECONDS.to_owned()));
    }
    let aws = clients.env.clone();
    Ok(Arc::new(move || {
        let mut command = Command::new(&program);
        command.arg("worker");
        for name in FUNCTION_VARIABLES {
            command.env_remove(name);
        }
        if !aws.is_empty() {
            // These would win over what is set.
            for name in ["AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL"] {
                command.env_remove(name);
            }
        }
        // Ctrl-C is this process's to hear.
        #[cfg(unix)]
        command.process_group(0);
        command.envs(set.iter().map(|(name, value)| (*name, value)));
        command.envs(aws.iter().map(|(name, value)| (name, value)));
        command
    }))
}
