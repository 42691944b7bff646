//! The allocation against the model: the sum never exceeds the cap, nobody is left out, and nothing is left unused.

use crate::world::{Faults, World};

/// A lease, and what a worker needs to find that it is over and to share what was in it.
const RECOVERED_MS: u64 = 30_000 + 4 * 10_000;

const NOTHING: Faults = Faults {
    request_lost: 0.0,
    answer_lost: 0.0,
    duplicate: 0.0,
    late: 0.0,
    pause: 0.0,
    death: 0.0,
    leave: 0.0,
    skew_ms: 0,
};

/// How many worlds of each kind; `INTAKE_SHARE_SEEDS` asks for more.
fn seeds() -> u64 {
    let asked = std::env::var("INTAKE_SHARE_SEEDS").ok();
    asked.and_then(|seeds| seeds.parse().ok()).unwrap_or(3)
}

/// Everybody who is there has a fair share, and all of the cap is in use.
fn is_settled(world: &World, cap: u32) {
    let present = world.present();
    let all = importer::write::share::page::slots(cap);
    for &worker in &present {
        let held = world.slots_held(worker);
        assert!(
            held >= all / present.len(),
            "{held} slots of {all} for one of {}",
            present.len()
        );
    }
    if !present.is_empty() {
        assert_eq!(world.usable_of_all(), u64::from(cap));
    }
}

#[test]
fn whoever_is_alone_has_the_whole_cap_at_once() {
    for cap in [1, 7, 100, 1_000, 1_500, 4_000, 1_000_000] {
        let mut world = World::new(1);
        let worker = world.join(cap, 0);
        // One look, and one change of each page.
        world.run(40);
        assert_eq!(world.usable(worker), cap);
        let pages = u64::from(cap.div_ceil(32).min(32));
        assert_eq!((world.cost.queries, world.cost.wcu), (1, pages));
        // And keeps it.
        for _ in 0..100 {
            world.run(1_000);
            assert_eq!(world.usable(worker), cap);
        }
        // So does the next one, unless it is faster than a second's payments are over.
        world.leave(worker);
        world.run(10_000);
        assert!(world.present().is_empty());
        world.run(6_000);
        let next = world.join(cap, 0);
        world.run(40);
        assert_eq!(world.usable(next), cap);
    }
}

#[test]
fn many_share_the_cap_fairly() {
    for (cap, workers, seed) in [
        (1_000, 2, 1),
        (1_000, 3, 2),
        (7, 7, 3),
        (100, 10, 4),
        (4_000, 64, 5),
        (1_000_000, 200, 6),
    ] {
        let mut world = World::new(seed);
        for _ in 0..workers {
            world.join(cap, 0);
        }
        world.run(40_000);
        is_settled(&world, cap);
        assert_eq!(world.waiting(), 0, "nobody waits any more");
        // One more, and one less.
        world.join(cap, 0);
        world.run(40_000);
        if workers < importer::write::share::page::slots(cap) {
            is_settled(&world, cap);
        }
        world.kill(0);
        world.run(RECOVERED_MS);
        is_settled(&world, cap);
    }
}

#[test]
fn who_finds_nothing_left_waits_and_writes_nothing() {
    let (cap, workers) = (5, 20);
    let mut world = World::new(1);
    for _ in 0..workers {
        world.join(cap, 0);
    }
    world.run(60_000);
    assert_eq!(world.usable_of_all(), u64::from(cap));
    let with_a_share = |world: &World| {
        let present = world.present();
        present.iter().filter(|&&w| world.usable(w) > 0).count()
    };
    assert_eq!(with_a_share(&world), 5);
    let before = world.cost;
    world.run(100_000);
    let writes = world.cost.wcu - before.wcu;
    assert!(
        writes <= 5 * 12,
        "{writes} writes of five workers in ten rounds"
    );
    // When one of the five has ended, another one goes on.
    let ends = world.present().into_iter().find(|&w| world.usable(w) > 0);
    world.leave(ends.unwrap());
    world.run(22_000);
    assert_eq!(with_a_share(&world), 5);
    assert_eq!(world.usable_of_all(), u64::from(cap));
}

#[test]
fn the_dead_are_inherited_from() {
    for seed in 0..20 {
        let (cap, workers) = (1_000, 8);
        let mut world = World::new(seed);
        for _ in 0..workers {
            world.join(cap, seed * 100);
        }
        world.run(60_000);
        for worker in 0..workers - 1 {
            world.kill(worker);
        }
        world.run(RECOVERED_MS);
        assert_eq!(world.usable_of_all(), u64::from(cap), "seed {seed}");
        assert_eq!(world.usable(workers - 1), cap);
    }
}

#[test]
fn what_one_cannot_use_others_may() {
    let cap = 1_000;
    let mut world = World::new(1);
    let (slow, fast) = (world.join(cap, 0), world.join(cap, 0));
    world.can_use(slow, 100.0);
    world.run(90_000);
    assert!(world.usable(slow) >= 100, "{}", world.usable(slow));
    assert!(world.usable(fast) >= 800, "{}", world.usable(fast));
    assert_eq!(world.usable_of_all(), u64::from(cap));
    // And has it back when it can.
    world.can_use(slow, f64::INFINITY);
    world.run(60_000);
    is_settled(&world, cap);
    // Whoever is alone keeps what it does not use: somebody else would have to ask for it first.
    world.kill(fast);
    world.can_use(slow, 1.0);
    world.run(2 * RECOVERED_MS);
    world.can_use(slow, f64::INFINITY);
    world.run(RECOVERED_MS);
    assert_eq!(world.usable(slow), cap);
}

#[test]
fn different_caps_stay_below_the_largest() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        for worker in 0..12 {
            let cap = [3, 40, 500, 1_024, 1_500, 70_000][worker % 6];
            world.join(cap, seed * worker as u64 * 10);
        }
        // The world itself asserts it.
        world.run(120_000);
        for worker in world.present() {
            assert!(world.usable(worker) > 0, "seed {seed}, worker {worker}");
        }
    }
}

#[test]
fn nothing_that_goes_wrong_exceeds_the_cap() {
    let bad = Faults {
        request_lost: 0.03,
        answer_lost: 0.03,
        duplicate: 0.05,
        late: 0.05,
        pause: 0.02,
        death: 0.01,
        leave: 0.01,
        // Two of them differ by less than 15 minutes.
        skew_ms: 7 * 60_000,
    };
    for (name, faults) in [
        ("all", bad),
        (
            "a table that answers late",
            Faults {
                late: 0.5,
                ..NOTHING
            },
        ),
        (
            "lost answers",
            Faults {
                answer_lost: 0.3,
                ..NOTHING
            },
        ),
        (
            "everything twice",
            Faults {
                duplicate: 1.0,
                ..NOTHING
            },
        ),
        (
            "pauses",
            Faults {
                pause: 0.2,
                skew_ms: 7 * 60_000,
                ..NOTHING
            },
        ),
        (
            "deaths",
            Faults {
                death: 0.1,
                late: 0.1,
                ..NOTHING
            },
        ),
    ] {
        for seed in 0..seeds() {
            for (cap, workers) in [(40, 5), (1_000, 3), (3_000, 25)] {
                let mut world = World::new(seed);
                world.faults = faults;
                for _ in 0..workers {
                    let after = fastrand::Rng::with_seed(seed).u64(0..60_000);
                    world.join(cap, after);
                }
                let mut joined = workers;
                for _ in 0..6 {
                    world.run(50_000);
                    while world.present().len() < workers && joined < 6 * workers {
                        world.join(cap, 0);
                        joined += 1;
                    }
                }
                // Then all goes well again, once those who stopped go on and what was late has come.
                world.faults = NOTHING;
                world.run(120_000 + 60_000 + 2 * RECOVERED_MS);
                let present = world.present().len();
                println!("{name}, seed {seed}, {cap} WCU: {present} of {joined} left");
                is_settled(&world, cap);
            }
        }
    }
}

/// What it costs: printed, and bounded so that it is noticed if it grows.
#[test]
fn a_thousand_workers_are_affordable() {
    for (cap, workers) in [(1_000_000, 1_000), (4_000, 1_000), (4_000, 64), (1_000, 1)] {
        let mut world = World::new(1);
        for worker in 0..workers {
            // As a distributed map starts them: a hundred each second.
            world.join(cap, worker * 10);
        }
        world.run(50_000);
        let begun = world.cost;
        assert_eq!(world.usable_of_all(), u64::from(cap));
        is_settled(&world, cap);
        let seconds = 40.0;
        world.run(40_000);
        let wcu = (world.cost.wcu - begun.wcu) as f64 / seconds;
        let rcu = (world.cost.rcu - begun.rcu) / seconds;
        println!(
            "{workers} workers, {cap} WCU: first 50 s {} WCU and {:.0} RCU, then {wcu:.1} WCU/s and {rcu:.1} RCU/s; {} slots unheld",
            begun.wcu,
            begun.rcu,
            world.slots_unheld(cap),
        );
        // One partition takes 1,000 WCU and 3,000 RCU a second.
        assert!(wcu <= 150.0 && rcu <= 1_200.0, "{wcu} WCU/s, {rcu} RCU/s");
    }
}
