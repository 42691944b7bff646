//! The limiter against the model of a table, in paused time: lanes pay, send, wait, and go on as the writer's do.

use std::sync::Arc;

use local::capacity::{
    CapacityPlan, ItemCost, Latency, Mode, OtherTraffic, TableCapacity, WriteLog,
};
use tokio::task::JoinSet;

use super::*;
use crate::retry::{Attempts, Jitter, RetryPolicy};

const LANES: usize = 16;
const ROWS: usize = 25;
const SEEDS: [u64; 3] = [1, 2, 3];

fn cap(wcu: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(wcu)
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// An import without end.
#[derive(Debug, Clone)]
struct Load {
    plan: CapacityPlan,
    cap: Option<NonZeroU32>,
    row_wcu: u32,
    /// WCU that a row consumes for each that it is paid with: more with indexes.
    cost: u32,
    /// Whether all rows are of one partition.
    hot: bool,
    /// The share of requests that are throttled for no reason.
    faults: f64,
    /// How many imports follow one another, and what they hand on.
    imports: u32,
    memory: Option<LimiterMemory>,
    seconds: f64,
}

/// An import of small rows into a table that takes 5 to 10 ms for a request.
fn load(plan: CapacityPlan) -> Load {
    Load {
        plan: CapacityPlan {
            latency: Latency {
                base: Duration::from_millis(5),
                jitter: Duration::from_millis(5),
            },
            ..plan
        },
        cap: None,
        row_wcu: 1,
        cost: 1,
        hot: false,
        faults: 0.0,
        imports: 1,
        memory: None,
        seconds: 60.0,
    }
}

struct World {
    load: Load,
    began: Instant,
    table: Mutex<(TableCapacity, fastrand::Rng)>,
    jitter: Jitter,
}

impl World {
    fn random(&self) -> f64 {
        self.table.lock().unwrap().1.f64()
    }

    async fn travel(&self) {
        tokio::time::sleep(self.load.plan.latency.one_way(self.random())).await;
    }

    /// One lane, batch after batch.
    async fn lane(self: Arc<Self>, limiter: Arc<Limiter>) {
        // What a lane's share of the memory for batches holds.
        let rows_at_once = ROWS.min((512 / self.load.row_wcu as usize).max(1));
        loop {
            let mut rows = rows_at_once;
            let mut attempts = Attempts::new(RetryPolicy::default(), &self.jitter);
            while rows > 0 {
                let payer = limiter.payer().await;
                let fit = (payer.request_wcu_max() / self.load.row_wcu) as usize;
                let sent = rows.min(fit.max(1));
                let paid = sent as u32 * self.load.row_wcu;
                payer.pay(paid).await;
                self.travel().await;
                let items: Vec<ItemCost> = (0..sent)
                    .map(|_| ItemCost {
                        wcu: self.load.row_wcu * self.load.cost,
                        partition_hash: if self.load.hot {
                            7
                        } else {
                            self.random().to_bits()
                        },
                    })
                    .collect();
                let verdict = (self.random() >= self.load.faults).then(|| {
                    let now = self.began.elapsed();
                    self.table.lock().unwrap().0.write(now, &items)
                });
                self.travel().await;
                match verdict {
                    Some(verdict) if verdict.exception.is_none() => {
                        let written = verdict
                            .accepted
                            .iter()
                            .filter(|&&accepted| accepted)
                            .count();
                        rows -= written;
                        let settled = written as u32 * self.load.row_wcu;
                        limiter.settle(settled, f64::from(verdict.consumed_wcu), paid - settled);
                        attempts.progressed();
                    }
                    _ => {
                        limiter.throttled(paid);
                        tokio::time::sleep(attempts.failed().unwrap_or_default()).await;
                    }
                }
            }
        }
    }
}

/// Runs the load and gives what the table saw of it.
async fn write_log(load: Load, seed: u64) -> WriteLog {
    let plan = CapacityPlan {
        seed,
        ..load.plan.clone()
    };
    let world = Arc::new(World {
        began: Instant::now(),
        table: Mutex::new((TableCapacity::new(&plan), fastrand::Rng::with_seed(seed))),
        jitter: Jitter::new(Some(seed)),
        load,
    });
    let memory = world.load.memory.clone().unwrap_or_default();
    for _ in 0..world.load.imports {
        let limiter = Arc::new(Limiter::new(world.load.cap).remembering(&memory));
        let mut lanes = JoinSet::new();
        for _ in 0..LANES {
            lanes.spawn(Arc::clone(&world).lane(Arc::clone(&limiter)));
        }
        tokio::time::sleep(seconds(world.load.seconds / f64::from(world.load.imports))).await;
        lanes.shutdown().await;
        if world.load.memory.is_some() {
            limiter.save_to(&memory);
        }
    }
    world.table.lock().unwrap().0.write_log().clone()
}

/// What became of a load.
#[derive(Debug)]
struct Learned {
    wcu_per_second: f64,
    requests_throttled: f64,
    rows_throttled: f64,
    most_wcu: u64,
}

async fn run(load: Load, seed: u64) -> Learned {
    let until = seconds(load.seconds);
    let ledger = write_log(load, seed).await;
    let found = Learned {
        wcu_per_second: ledger.accepted_wcu(Duration::ZERO, until) as f64 / until.as_secs_f64(),
        requests_throttled: ledger.requests(Duration::ZERO, until).throttled_share(),
        rows_throttled: ledger.rows(Duration::ZERO, until).throttled_share(),
        most_wcu: ledger.most_accepted_wcu(Duration::from_secs(1)),
    };
    println!("seed {seed}: {found:.4?}");
    found
}

/// Runs the load and checks that it uses at least `used` of `capacity` with at most `throttled` of its requests and rows.
async fn uses(load: Load, capacity: f64, used: f64, throttled: f64) {
    for seed in SEEDS {
        let found = run(load.clone(), seed).await;
        assert!(
            found.wcu_per_second >= used * capacity,
            "{load:?}: {found:?}"
        );
        assert!(found.requests_throttled <= throttled, "{load:?}: {found:?}");
        assert!(found.rows_throttled <= throttled, "{load:?}: {found:?}");
        if let Some(cap) = load.cap {
            assert!(
                found.most_wcu <= u64::from(cap.get()),
                "{load:?}: {found:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_is_used_and_hardly_throttles() {
    for plan in [
        CapacityPlan::provisioned(4_000),
        CapacityPlan::provisioned(40_000),
        CapacityPlan {
            mode: Mode::OnDemand {
                previous_peak_wcu: 0,
                adapts_every: Duration::from_mins(30),
            },
            ..CapacityPlan::provisioned(1)
        },
        CapacityPlan {
            burst: seconds(300.0),
            ..CapacityPlan::provisioned(4_000)
        },
    ] {
        let capacity = TableCapacity::new(&plan).wcu_per_second();
        uses(load(plan), capacity, 0.97, 0.01).await;
    }
}

#[tokio::test(start_paused = true)]
async fn large_rows_use_a_table_too() {
    for (row_wcu, wcu, used, throttled) in [
        (10, 4_000, 0.97, 0.02),
        (10, 40_000, 0.97, 0.02),
        // Ten requests a second say little: it takes longer to find the rate.
        (400, 4_000, 0.9, 0.07),
        (400, 40_000, 0.95, 0.03),
    ] {
        let load = Load {
            row_wcu,
            ..load(CapacityPlan::provisioned(wcu))
        };
        uses(load, f64::from(wcu), used, throttled).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_table_is_found() {
    // The start alone is 25 rows in several lanes, which is as much as 10 WCU a second take in a minute.
    for (wcu, throttled) in [(100, 0.05), (10, 0.35)] {
        let load = load(CapacityPlan::provisioned(wcu));
        uses(load, f64::from(wcu), 0.9, throttled).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_saved_burst_is_used_up_and_then_the_capacity() {
    for (wcu, saved) in [(4_000, 5.0), (1_000, 300.0)] {
        let plan = CapacityPlan {
            burst: seconds(saved),
            burst_filled: 1.0,
            ..CapacityPlan::provisioned(wcu)
        };
        let all = f64::from(wcu) * (1.0 + saved / 60.0);
        uses(load(plan), all, 0.97, 0.03).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_on_demand_table_that_grows_is_followed() {
    let plan = CapacityPlan {
        mode: Mode::OnDemand {
            previous_peak_wcu: 0,
            adapts_every: seconds(10.0),
        },
        ..CapacityPlan::provisioned(1)
    };
    // 4,000, 8,000, 16,000, 32,000 and then what the lanes can do.
    for seed in SEEDS {
        let found = run(load(plan.clone()), seed).await;
        assert!(found.wcu_per_second > 0.8 * 25_000.0, "{found:?}");
        assert!(found.requests_throttled <= 0.01, "{found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hot_partition_settles_at_what_it_takes() {
    let plan = CapacityPlan {
        partitions: 40,
        ..CapacityPlan::provisioned(40_000)
    };
    let load = Load {
        hot: true,
        ..load(plan)
    };
    uses(load, 1_000.0, 0.97, 0.015).await;
}

#[tokio::test(start_paused = true)]
async fn the_cap_holds_in_every_second_at_the_table_and_is_used() {
    for (wcu, row_wcu, cost) in [
        (4_000, 1, 1),
        (2_000, 1, 1),
        (1_010, 1, 1),
        (90, 1, 1),
        (50, 1, 1),
        (7, 1, 1),
        (1_000, 10, 1),
        (500, 10, 1),
        (3_000, 1, 3),
    ] {
        let load = Load {
            cap: cap(wcu),
            row_wcu,
            cost,
            ..load(CapacityPlan::provisioned(40_000))
        };
        uses(load, f64::from(wcu), 0.97, 0.0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn other_traffic_is_yielded_to() {
    let plan = CapacityPlan {
        others: vec![OtherTraffic {
            from: seconds(20.0),
            until: seconds(40.0),
            wcu_per_second: 2_000,
        }],
        ..CapacityPlan::provisioned(4_000)
    };
    for seed in SEEDS {
        let ledger = write_log(load(plan.clone()), seed).await;
        let rate = |from: f64, until: f64| {
            ledger.accepted_wcu(seconds(from), seconds(until)) as f64 / (until - from)
        };
        let throttled = ledger
            .requests(seconds(0.0), seconds(60.0))
            .throttled_share();
        println!(
            "seed {seed}: {:.0} with, {:.0} just after, {:.0} later, others throttled {:.4}, requests {throttled:.4}",
            rate(22.0, 40.0),
            rate(40.0, 45.0),
            rate(48.0, 60.0),
            ledger.others().throttled_share(),
        );
        assert!(rate(22.0, 40.0) > 0.95 * 2_000.0);
        assert!(rate(40.0, 45.0) > 0.45 * 4_000.0);
        assert!(rate(48.0, 60.0) > 0.95 * 4_000.0);
        assert!(ledger.others().throttled_share() < 0.01);
        assert!(throttled < 0.02, "{throttled}");
    }
}

#[tokio::test(start_paused = true)]
async fn throttles_that_have_nothing_to_do_with_the_rate_do_not_stop_an_import() {
    for (faults, at_least) in [(0.01, 0.3), (0.05, 0.6), (0.25, 0.1)] {
        for wcu in [4_000, 40_000] {
            for seed in SEEDS {
                let load = Load {
                    faults,
                    seconds: 30.0,
                    ..load(CapacityPlan::provisioned(wcu))
                };
                let found = run(load, seed).await;
                assert!(
                    found.wcu_per_second >= at_least * f64::from(wcu),
                    "{faults} of {wcu}: {found:?}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_that_takes_everything_is_not_limited_for_long() {
    let limiter = Limiter::new(None);
    let began = Instant::now();
    let mut rows = 0;
    // 600,000 rows a second are a batch every 42 µs; eight of them arrive at once.
    while limiter.rate().is_some() {
        for _ in 0..8 {
            limiter.acquire(ROWS as u32).await;
            limiter.settle(ROWS as u32, ROWS as f64, 0);
            rows += ROWS;
        }
        tokio::time::advance(Duration::from_micros(333)).await;
        assert!(began.elapsed() < seconds(1.0), "{:?}", limiter.rate());
    }
    assert!(began.elapsed() < seconds(0.9), "{:?}", began.elapsed());
    println!("{rows} rows in {:?}", began.elapsed());
    let unlimited = Instant::now();
    for _ in 0..10_000 {
        limiter.acquire(10_000).await;
        limiter.settle(10_000, 10_000.0, 0);
    }
    assert_eq!(unlimited.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_next_import_begins_with_what_the_one_before_has_found_out() {
    // Ranges of a large file: thirty imports of two seconds.
    let load = |capacity, memory| Load {
        imports: 30,
        memory,
        ..load(CapacityPlan::provisioned(capacity))
    };
    for seed in SEEDS {
        for capacity in [500, 4_000] {
            let anew = run(load(capacity, None), seed).await;
            let memory = run(load(capacity, Some(LimiterMemory::default())), seed).await;
            let used = memory.wcu_per_second / f64::from(capacity);
            let (before, now) = (anew.requests_throttled, memory.requests_throttled);
            assert!(
                used > 0.98 && now < 0.015 && now < before / 5.0,
                "{capacity}: {before}, {memory:?}"
            );
        }
        // Of a table that is never full, nothing is lost to beginning slowly.
        let anew = run(load(100_000, None), seed).await;
        let memory = run(load(100_000, Some(LimiterMemory::default())), seed).await;
        assert!(
            memory.wcu_per_second > 1.2 * anew.wcu_per_second,
            "{anew:?}, {memory:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_found_out_is_forgotten_after_a_minute() {
    let memory = LimiterMemory::default();
    let limiter = Limiter::new(None);
    let start = limiter.rate();
    for _ in 0..80 {
        limiter.acquire(25).await;
        limiter.settle(25, 50.0, 0);
    }
    let found = limiter.rate();
    assert!(found > start, "{found:?}");
    limiter.save_to(&memory);
    tokio::time::advance(seconds(59.0)).await;
    assert_eq!(Limiter::new(None).remembering(&memory).rate(), found);
    // A cap is not a thing to be found out.
    let capped = Limiter::new(cap(100)).remembering(&memory);
    assert_eq!(capped.rate(), Some(100.0));
    let began = Instant::now();
    for _ in 0..10 {
        capped.acquire(50).await;
        capped.settle(50, 100.0, 0);
    }
    // What a WCU costs with the indexes is memory from the first request on.
    let took = began.elapsed();
    assert!((9.0..11.0).contains(&took.as_secs_f64()), "{took:?}");
    tokio::time::advance(seconds(2.0)).await;
    assert_eq!(Limiter::new(None).remembering(&memory).rate(), start);
}

#[tokio::test(start_paused = true)]
async fn a_small_import_hardly_notices_the_start() {
    let limiter = Limiter::new(None);
    let began = Instant::now();
    for _ in 0..80 {
        limiter.acquire(25).await;
        limiter.settle(25, 25.0, 0);
    }
    assert!(began.elapsed() < seconds(0.5), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn one_item_may_cost_far_more_than_a_second() {
    let limiter = Limiter::new(cap(100));
    let began = Instant::now();
    limiter.acquire(10_000).await;
    let took = began.elapsed().as_secs_f64();
    assert!((100.0..102.0).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_cap_below_a_batch_still_holds() {
    let limiter = Limiter::new(cap(5));
    limiter.settle(5, 5.0, 5);
    assert_eq!(limiter.payer().await.request_wcu_max(), 1);
    assert!(limiter.rate().is_some_and(|rate| rate <= 5.0));
}

#[tokio::test(start_paused = true)]
async fn what_indexes_consume_is_paid_afterwards() {
    let limiter = Limiter::new(cap(100));
    let began = Instant::now();
    for _ in 0..50 {
        limiter.acquire(10).await;
        limiter.settle(10, 30.0, 0);
    }
    let rate = 50.0 * 30.0 / began.elapsed().as_secs_f64();
    assert!((85.0..101.0).contains(&rate), "{rate}");
}

#[tokio::test(start_paused = true)]
async fn attempts_without_an_answer_hold_nothing_up() {
    let limiter = Limiter::new(None);
    for attempt in 0..400 {
        limiter.acquire(25).await;
        if attempt % 2 == 0 {
            limiter.failed(25);
        } else {
            limiter.settle(25, 25.0, 0);
        }
    }
    assert!(
        limiter.rate().is_some_and(|rate| rate > 4_000.0),
        "{:?}",
        limiter.rate()
    );
}

#[tokio::test(start_paused = true)]
async fn a_cap_that_changes_is_kept_and_used_at_once() {
    let shared = Arc::new(SharedCap::default());
    let limiter = Arc::new(Limiter::sharing(Arc::clone(&shared)));
    let paid = Arc::new(Mutex::new(0));
    let import = {
        let (limiter, paid) = (Arc::clone(&limiter), Arc::clone(&paid));
        tokio::spawn(async move {
            loop {
                limiter.acquire(5).await;
                *paid.lock().unwrap() += 5;
                limiter.settle(5, 5.0, 0);
            }
        })
    };
    for (wcu, granted_seconds) in [
        (0, 9.0),
        (1_000, 9.0),
        (100, 9.0),
        (0, 60.0),
        (2_000, 9.0),
        // Nobody grants anything any more.
        (1_000, 2.5),
    ] {
        shared.grant(wcu, Instant::now() + seconds(granted_seconds));
        // What was paid for in the last second counts.
        tokio::time::sleep(seconds(1.1)).await;
        let before = *paid.lock().unwrap();
        tokio::time::sleep(seconds(3.9)).await;
        let used = f64::from(*paid.lock().unwrap() - before);
        let most = f64::from(wcu) * (granted_seconds - 1.1).min(3.9);
        assert!(
            (0.95 * most..=1.0 * most + 10.0).contains(&used),
            "{wcu}: {used} of {most}"
        );
        let is_over = wcu == 0 || granted_seconds < 5.0;
        assert_eq!(limiter.rate() == Some(0.0), is_over);
    }
    import.abort();
}
