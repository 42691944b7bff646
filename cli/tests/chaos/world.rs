//! A file, a stack with the importer as a process of its own, and what an import leaves behind.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::memory;
use importer::jobs::{Job, JobKey, JobStore, NOBODY, Saved};
use intake::aws::Clients;
use local::{BUCKET, JOBS_TABLE, LambdaProgram, Stack, StackOptions, TABLE};

/// Longer than any import here takes, with all that happens to it.
const LIMIT: Duration = Duration::from_mins(10);

/// The formats that are imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Csv,
    GzipLines,
}

impl Format {
    pub(crate) const ALL: [Self; 3] = [Self::Json, Self::Csv, Self::GzipLines];
}

/// A file of so many rows: some repeat a key, some are rejected.
pub(crate) fn file(format: Format, rows: usize, seed: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut json = Vec::new();
    let mut csv = "productId,name,quantity\n".to_owned();
    for n in 0..rows {
        // The first row tells the format.
        let kind = if n == 0 { 99 } else { rng.u8(0..100) };
        let key = match kind {
            0..10 => rng.usize(0..=n),
            _ => n,
        };
        if (10..12).contains(&kind) {
            json.push(format!("{{\"name\":\"no key {n}\"}}"));
            writeln!(csv, ",no key {n},1").unwrap();
        } else {
            json.push(format!(
                "{{\"productId\":\"P{key}\",\"name\":\"Product {n}\",\"quantity\":{n}}}"
            ));
            writeln!(csv, "P{key},\"Product\n{n}\",{n}").unwrap();
        }
    }
    match format {
        Format::Json => format!("[{}]", json.join(",\n")).into_bytes(),
        Format::Csv => csv.into_bytes(),
        Format::GzipLines => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(json.join("\n").as_bytes()).unwrap();
            encoder.finish().unwrap()
        }
    }
}

/// What an import leaves behind, whatever happened on the way.
#[derive(Debug, PartialEq)]
pub(crate) struct FinalState {
    pub(crate) status: String,
    pub(crate) rows: [u64; 4],
    pub(crate) bytes_read: u64,
    pub(crate) rejects: Vec<u8>,
    pub(crate) items: BTreeMap<String, String>,
}

/// A stack that imports.
pub(crate) struct World {
    pub(crate) stack: Stack,
    /// Clients past all faults.
    clients: Clients,
}

impl World {
    /// The importer gets `timeout` for each invocation, and more variables.
    pub(crate) async fn start(timeout: Duration, concurrency: usize, env: &[(&str, &str)]) -> Self {
        memory::watch();
        let mut importer = LambdaProgram::new("ProcessInventoryFile", env!("CARGO_BIN_EXE_intake"));
        importer.args = vec!["lambda".into(), "importer".into()];
        importer.timeout = timeout;
        importer.concurrency = concurrency;
        let often = ("INTAKE_CHECKPOINT_SECONDS", "0.05");
        // Nothing arrives late here.
        let early = ("INTAKE_REQUEST_LASTS_SECONDS", "0.2");
        importer.env = env
            .iter()
            .chain([&often, &early])
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let stack = Stack::start(StackOptions {
            importer: Some(importer),
            // An environment that starts late also ends late.
            visibility_timeout: Some(timeout + Duration::from_secs(3)),
            // Longer, in ten receives, than a claim that could not be let go of lasts.
            retry_delay: Some(timeout / 8),
            ..StackOptions::default()
        })
        .await
        .unwrap();
        Self {
            clients: Clients::for_local(stack.undisturbed()),
            stack,
        }
    }

    /// One in which a file of so many rows was imported, and an invocation's time that is short, since a killed one's lease
    /// and message last as long, and enough to come on with such a file: this machine may be a slow one.
    pub(crate) async fn undisturbed(format: Format, rows: usize) -> (Self, Duration) {
        const SHORT: Duration = Duration::from_secs(4);
        let world = Self::start(LIMIT, 1, &[]).await;
        let began = Instant::now();
        world.import("uploads/a", &file(format, rows, 1)).await;
        let timeout = SHORT.max(3 * began.elapsed());
        println!("an invocation has {timeout:?}");
        (world, timeout)
    }

    pub(crate) fn jobs(&self) -> JobStore {
        JobStore::new(self.clients.dynamodb.clone(), JOBS_TABLE.to_owned())
    }

    /// The jobs, the newest one first.
    pub(crate) async fn all_jobs(&self) -> Vec<Job> {
        self.jobs().newest(NOBODY, 100).await.unwrap()
    }

    /// Uploads a file and waits until everything that comes of it is over.
    pub(crate) async fn import(&self, key: &str, file: &[u8]) {
        self.stack.put_object(key, file.to_vec()).await.unwrap();
        self.idle().await;
    }

    pub(crate) async fn idle(&self) {
        if let Err(busy) = self.stack.wait_idle(LIMIT).await {
            panic!("{busy}: {:#?}", self.all_jobs().await);
        }
    }

    /// What the one job left behind.
    pub(crate) async fn left(&self) -> FinalState {
        let jobs = self.all_jobs().await;
        let [job] = &jobs[..] else {
            panic!("not one job: {jobs:#?}");
        };
        self.left_by(job).await
    }

    pub(crate) async fn left_by(&self, job: &Job) -> FinalState {
        assert!(job.status.is_ended() && job.notified, "{job:#?}");
        let counts = job.counts;
        assert_eq!(counts.rows_read, counts.rows_settled(), "{job:#?}");
        let rejects = match &job.rejects {
            None => Vec::new(),
            Some(url) => self.object(url).await,
        };
        let lines = String::from_utf8(rejects.clone()).unwrap().lines().count();
        assert_eq!(lines as u64, counts.rows_rejected, "{job:#?}");
        FinalState {
            status: job.status.to_string(),
            rows: [
                counts.rows_read,
                counts.rows_written,
                counts.rows_superseded,
                counts.rows_rejected,
            ],
            bytes_read: counts.bytes_read,
            rejects,
            items: self.items().await,
        }
    }

    async fn object(&self, url: &str) -> Vec<u8> {
        let key = url.strip_prefix(&format!("s3://{BUCKET}/")).unwrap();
        let get = self.clients.s3.get_object().bucket(BUCKET).key(key);
        let object = get.send().await.unwrap();
        object.body.collect().await.unwrap().to_vec()
    }

    /// The table: each key with its row's number.
    pub(crate) async fn items(&self) -> BTreeMap<String, String> {
        let scan = self.clients.dynamodb.scan().table_name(TABLE);
        let mut pages = scan.into_paginator().items().send();
        let mut items = BTreeMap::new();
        while let Some(item) = pages.next().await {
            let item = item.unwrap();
            let key = item["productId"].as_s().unwrap().clone();
            items.insert(key, item["quantity"].as_n().unwrap().clone());
        }
        items
    }

    /// Where the one job is to go on.
    pub(crate) async fn saved(&self, job: &Job) -> Saved {
        let key = JobKey {
            owner: job.owner.clone(),
            job: job.job.clone(),
        };
        self.jobs().get(&key).await.unwrap().unwrap().saved()
    }
}
