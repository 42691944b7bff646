//! Imports that meet: the real handler, claims, saves, ends and notices, through the real SDKs, against models of DynamoDB, S3,
//! SQS, SNS and Lambda in virtual time.
//!
//! A schedule is made of a seed: two to four versions of one key, their events in any order and number, invocations that are
//! killed at any call, lost requests and answers, slow and held writes, networks that break for minutes, and jobs that the
//! table forgets. What stands in for the pipeline puts row after row; all else is the function's code.
//!
//! `INTAKE_MEETINGS` says how many schedules, `INTAKE_MEETING` which one.

mod aws;
mod expressions;
mod invocation;
mod schedule;

use std::sync::atomic::{AtomicU64, Ordering};

use self::schedule::Schedule;

/// Schedules unless more are asked for: `make test` and `make chaos` do.
const SCHEDULES: u64 = 500;

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn imports_that_meet_are_as_if_one_came_after_the_other() {
    if let Some(seed) = asked("INTAKE_MEETING") {
        let outcome = Schedule::new(seed).run();
        outcome.check();
        println!("{outcome}");
        return;
    }
    let schedules = asked("INTAKE_MEETINGS").unwrap_or(SCHEDULES);
    let next = AtomicU64::new(0);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= schedules {
                return;
            }
            let result = std::panic::catch_unwind(|| Schedule::new(seed).run().check());
            if let Err(panic) = result {
                eprintln!("INTAKE_MEETING={seed} shows it again");
                std::panic::resume_unwind(panic);
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = std::iter::repeat_with(|| scope.spawn(work))
            .take(2)
            .collect();
        for thread in threads {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

/// The message by which a dead importer had claimed a job came again, waited for the notice of another version that never began, and so
/// became a message that the job did not know.
#[test]
fn a_message_that_waited_for_a_notice_goes_on_with_its_own_job() {
    for seed in [2535, 2536] {
        Schedule::new(seed).run().check();
    }
}
