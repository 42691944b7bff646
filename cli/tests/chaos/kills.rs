//! Killed with SIGKILL at random moments, one to five times, and delivered again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use local::{Fault, FaultPlan};
use tokio::sync::Semaphore;

use crate::world::{FinalState, Format, World, file};
use crate::{document, is_all, memory};

const ROWS: usize = 3000;
/// Worlds at a time: mostly they wait for a killed invocation's time to end.
const AT_A_TIME: usize = 8;

/// Calls at which to kill, each with about how many of it an undisturbed import makes.
const CALLS: [(&str, u64); 6] = [
    ("UpdateItem", 8),
    ("BatchWriteItem", 110),
    ("PutObject", 3),
    ("GetObject", 3),
    ("HeadObject", 1),
    ("Publish", 1),
];

#[derive(Default)]
struct Figures {
    runs: AtomicU64,
    kills: AtomicU64,
    second_notices: AtomicU64,
}

async fn run(seed: u64, timeout: Duration, expected: &[FinalState], figures: &Figures) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let format = Format::ALL[seed as usize % Format::ALL.len()];
    let world = World::start(timeout, 1, &[]).await;
    let mut kills = 0;
    for index in 0..rng.u8(1..=5) {
        // Three attempts without progress end a job, so only the first two kills may fall before there was any.
        let (operation, calls) = match index {
            0 | 1 => *rng.choice(&CALLS[..]).unwrap(),
            _ => ("UpdateItem", 8),
        };
        let earliest = if index < 2 { 1 } else { 5 };
        let call = rng.u64(earliest..=calls.max(earliest));
        let fault = *rng.choice(&[Fault::KillBefore, Fault::KillAfter]).unwrap();
        world
            .stack
            .faults()
            .set(FaultPlan::default().fail(operation, call, fault));
        if index == 0 {
            let content = file(format, ROWS, 1);
            world.stack.put_object("uploads/a", content).await.unwrap();
        }
        // Either it is killed, or it ends before it gets so far.
        tokio::select! {
            () = world.idle() => break,
            () = killed(&world, fault) => kills += 1,
        }
    }
    world.stack.faults().clear();
    world.idle().await;
    let left = world.left().await;
    let expected = &expected[seed as usize % Format::ALL.len()];
    assert!(
        left.items == expected.items,
        "seed {seed}: the tables differ"
    );
    assert_eq!(left, *expected, "seed {seed}");
    let notices = world.stack.inbox().len() as u64;
    // Killed after it was published and before that was noted, the notice comes again.
    assert!(
        (1..=1 + kills).contains(&notices),
        "seed {seed}: {notices} notices"
    );
    figures.runs.fetch_add(1, Ordering::Relaxed);
    figures.kills.fetch_add(kills, Ordering::Relaxed);
    figures
        .second_notices
        .fetch_add(notices - 1, Ordering::Relaxed);
    world.stack.shutdown().await;
}

async fn killed(world: &World, fault: Fault) {
    while world.stack.faults().injected(fault) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_import_ends_as_an_undisturbed_one() {
    let mut expected = Vec::new();
    let mut timeout = Duration::ZERO;
    for format in Format::ALL {
        let (world, enough) = World::undisturbed(format, ROWS).await;
        timeout = timeout.max(enough);
        let left = world.left().await;
        assert_eq!(left.status, "COMPLETED_WITH_REJECTS");
        assert_eq!(left.rows[0], ROWS as u64);
        assert!(left.rows[2] > 0 && left.rows[3] > 0, "{:?}", left.rows);
        expected.push(left);
        world.stack.shutdown().await;
    }
    let (expected, figures) = (Arc::new(expected), Arc::new(Figures::default()));
    let runs = if is_all() { 200 } else { 9 };
    let slots = Arc::new(Semaphore::new(AT_A_TIME));
    let mut tasks = tokio::task::JoinSet::new();
    for seed in 0..runs {
        let (slots, expected) = (Arc::clone(&slots), Arc::clone(&expected));
        let figures = Arc::clone(&figures);
        tasks.spawn(async move {
            let _slot = slots.acquire().await.unwrap();
            run(seed, timeout, &expected, &figures).await;
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let figure = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
    assert_eq!(figure(&figures.runs), runs);
    assert!(figure(&figures.kills) >= runs / 2, "too few kills to tell");
    let reported = format!(
        "{runs} imports of {ROWS} rows (JSON, CSV and gzip in turns) were killed {} times, before or after a call of the \
         importer's that was drawn at random, and delivered again. Table, counters and rejects were those of an undisturbed \
         import in all of them. The end was told again {} times. No importer, not optimised, took more than {} MiB.",
        figure(&figures.kills),
        figure(&figures.second_notices),
        memory::peak_bytes() >> 20,
    );
    println!("kill test: {reported}");
    if is_all() {
        document("kills", &reported);
    }
}
