//! Whatever step is killed at whatever call: taken again, it leaves what it would have left undisturbed.

use importer::jobs::Status;
use local::{Fault, FaultPlan, Operation};
use serde_json::{Value, json};

use super::machine::Machine;
use crate::fixture::{Fixture, TIMEOUT, invocation};

/// Rows of each run's file.
const ROWS: usize = 40;

/// A file whose keys are those of this run alone. Some rows have none.
fn file(run: u64) -> String {
    let rows: Vec<_> = (0..ROWS)
        .map(|n| match n % 9 {
            5 => format!("{{\"name\":\"{n}, }}]\"}}"),
            _ => format!("{{\"productId\":\"R{run:03}-{n:03}\",\"name\":\"\\\"{n}\"}}"),
        })
        .collect();
    format!("[{}]", rows.join(",\n"))
}

/// Takes a step, and kills it now and then: its future is dropped at some call, or a call fails. Then it is taken again.
async fn survived(machine: &Machine<'_>, payload: Value, rng: &mut fastrand::Rng) -> Value {
    let faults = machine.bench.stack.faults();
    let mut payload = payload;
    // The state machine is the holder of its ranges.
    if payload["BatchInput"]["step"] == "import" {
        payload["holder"] = json!("child");
    }
    for attempt in 0.. {
        assert!(attempt < 100, "{payload} does not end");
        let call = rng.u64(1..=25);
        let kind = if attempt < 5 { rng.u8(0..4) } else { 3 };
        let fault = match kind {
            1 => Some(Fault::AccessDenied),
            2 => Some(Fault::ResetAfter),
            _ => None,
        };
        faults.set(match fault {
            Some(fault) => FaultPlan::default().fail(Operation::any(), call, fault),
            None => FaultPlan::default(),
        });
        let step = machine
            .importer
            .handle(payload.clone(), invocation(TIMEOUT));
        let ended = if kind == 0 {
            tokio::select! {
                ended = step => Some(ended),
                () = faults.reached(Operation::any(), call) => None,
            }
        } else {
            Some(step.await)
        };
        faults.clear();
        match ended {
            Some(Ok(answer)) if answer["done"] == false => payload = answer,
            Some(Ok(answer)) => return answer,
            Some(Err(_)) | None => {}
        }
    }
    unreachable!("the loop ends by itself")
}

#[tokio::test]
async fn killed_at_any_call_a_step_that_is_taken_again_does_the_same() {
    let bench = Fixture::start().await;
    let machine = Machine::new(&bench);
    let mut rejects = None;
    for run in 0..100 {
        let mut rng = fastrand::Rng::with_seed(run);
        let key = format!("uploads/{run}.json");
        bench.put(&key, file(run)).await;
        let plan = json!({
            "step": "plan", "bucket": local::BUCKET, "key": key, "parallel": true, "range_bytes": rng.u64(300..1200),
        });
        let plan = survived(&machine, plan, &mut rng).await;
        assert_eq!(plan["mode"], "split");
        let items = machine.items(&plan).await;
        survived(&machine, Machine::batch("scan", &plan, &items), &mut rng).await;
        let composed = survived(&machine, Machine::named("compose", &plan), &mut rng).await;
        let ranges = machine.items(&composed).await;
        for ranges in ranges.chunks(2) {
            survived(&machine, Machine::batch("import", &plan, ranges), &mut rng).await;
        }
        survived(&machine, Machine::named("finish", &plan), &mut rng).await;

        let job = machine.job(&plan).await;
        let counts = job.counts;
        assert_eq!(job.status, Status::CompletedWithRejects, "{run}: {job:?}");
        assert_eq!(
            [
                counts.rows_read,
                counts.rows_written,
                counts.rows_superseded,
                counts.rows_rejected
            ],
            [40, 36, 0, 4],
            "{run}"
        );
        let url = job.rejects.unwrap();
        let written = bench
            .get(url.split_once(&format!("{}/", local::BUCKET)).unwrap().1)
            .await;
        assert_eq!(
            *rejects.get_or_insert_with(|| written.clone()),
            written,
            "{run}"
        );
    }
    let items = bench.items().await;
    assert_eq!(items.len(), 100 * 36);
}
