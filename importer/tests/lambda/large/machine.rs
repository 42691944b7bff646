//! The state machine without Step Functions: the same steps in the same order.

use importer::Importer;
use importer::function::Config;
use importer::jobs::{Job, JobKey};
use local::BUCKET;
use serde_json::{Value, json};

use crate::fixture::{Fixture, TIMEOUT, invocation};

/// A function that is set up to be tested in small: ranges of hundreds of bytes.
pub(crate) fn config(bench: &Fixture) -> Config {
    Config {
        range_bytes: std::num::NonZeroU64::new(300).unwrap(),
        lanes: std::num::NonZeroUsize::new(4),
        checkpoint_every: std::time::Duration::from_millis(50),
        ..bench.deployed()
    }
}

/// The steps of one import.
pub(crate) struct Machine<'a> {
    pub(crate) bench: &'a Fixture,
    pub(crate) importer: Importer,
    /// How often each step is taken.
    pub(crate) times: usize,
}

impl<'a> Machine<'a> {
    pub(crate) fn new(bench: &'a Fixture) -> Self {
        Self {
            bench,
            importer: bench.importer(config(bench)),
            times: 1,
        }
    }

    /// Takes a step. An error is given as Lambda shows it.
    pub(crate) async fn step(&self, payload: Value) -> Result<Value, String> {
        let mut answer = Err("never".to_owned());
        for _ in 0..self.times {
            let handled = self.importer.handle(payload.clone(), invocation(TIMEOUT));
            answer = handled.await.map_err(|error| error.to_string());
        }
        answer
    }

    /// Takes a step that goes well.
    pub(crate) async fn good(&self, payload: Value) -> Value {
        let step = payload["step"].clone();
        let answer = self.step(payload).await;
        answer.unwrap_or_else(|error| panic!("{step}: {error}"))
    }

    pub(crate) async fn plan(&self, key: &str) -> Value {
        self.good(json!({ "step": "plan", "bucket": BUCKET, "key": key, "parallel": true }))
            .await
    }

    /// The items that an answer tells of.
    pub(crate) async fn items(&self, answer: &Value) -> Vec<Value> {
        let key = answer["items"]["key"].as_str().unwrap();
        serde_json::from_slice(&self.bench.get(key).await).unwrap()
    }

    /// A step for items of a planned job, in the shape that `ItemBatcher` gives it.
    pub(crate) fn batch(step: &str, plan: &Value, items: &[Value]) -> Value {
        json!({
            "BatchInput": { "step": step, "owner": plan["owner"], "job": plan["job"] },
            "Items": items,
        })
    }

    /// A step for all of a planned job.
    pub(crate) fn named(step: &str, plan: &Value) -> Value {
        json!({ "step": step, "owner": plan["owner"], "job": plan["job"] })
    }

    /// Takes a step for all items, `at_once` in each payload, until all is done. The last ones come first: nothing depends on
    /// the order.
    pub(crate) async fn each(&self, step: &str, plan: &Value, items: &[Value], at_once: usize) {
        for items in items.chunks(at_once).rev() {
            let mut payload = Self::batch(step, plan, items);
            loop {
                payload = self.good(payload).await;
                assert_eq!(payload["step"], step);
                if payload["done"] == true {
                    assert_eq!(payload["Items"], json!([]));
                    break;
                }
            }
        }
    }

    /// Imports an object, and gives the plan and the summary.
    pub(crate) async fn run(&self, key: &str) -> (Value, Value) {
        let plan = self.plan(key).await;
        let mut items = self.items(&plan).await;
        if plan["mode"] == "split" {
            self.each("scan", &plan, &items, 3).await;
            let composed = self.good(Self::named("compose", &plan)).await;
            items = self.items(&composed).await;
            assert_eq!(composed["ranges"], items.len());
        }
        self.each("import", &plan, &items, 2).await;
        let summary = self.good(Self::named("finish", &plan)).await;
        (plan, summary)
    }

    /// The job of a plan.
    pub(crate) async fn job(&self, plan: &Value) -> Job {
        let text = |name: &str| plan[name].as_str().unwrap().to_owned();
        let key = JobKey {
            owner: text("owner"),
            job: text("job"),
        };
        self.bench.jobs().get(&key).await.unwrap().unwrap()
    }
}
