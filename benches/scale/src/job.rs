//! A whole job: plan, scan, compose, import, finish.

use crate::aws;
use crate::clock::{Micros, micros, seconds};
use crate::outcome::Outcome;
use crate::parameters::Parameters;
use crate::stage::{self, Children, Stage};
use crate::table::Table;

/// Between two looks at the shares of a prefix' requests, which nobody has to learn.
const SCAN_REACTION: f64 = 0.1;

/// What came of a job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Job {
    /// Until the ranges are known.
    pub(crate) plan_seconds: f64,
    pub(crate) scan: Outcome,
    pub(crate) compose_seconds: f64,
    pub(crate) import: Outcome,
    pub(crate) finish_seconds: f64,
}

impl Job {
    pub(crate) fn seconds(&self) -> f64 {
        seconds(self.import.ended) + self.finish_seconds
    }

    pub(crate) fn failed(&self) -> bool {
        self.scan.failed || self.import.failed
    }

    /// Of the capacity that the table has during the import, in percent.
    pub(crate) fn used_percent(&self, p: &Parameters) -> f64 {
        100.0 * self.import.units * p.row_wcu() / (p.table_wcu * self.import.seconds())
    }
}

/// The least that each stage takes, by the formulas of docs/SCALE.md: nothing but the work, perfectly spread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    pub(crate) scan_seconds: f64,
    pub(crate) import_seconds: f64,
}

pub(crate) fn bound(p: &Parameters) -> Bound {
    let bytes = p.gigabytes * 1e9;
    Bound {
        scan_seconds: bytes / (p.workers * scan_own(p)).min(scan_pool(p)),
        import_seconds: p.rows() / (p.workers * import_own(p)).min(import_pool(p)),
    }
}

/// CPUs of a worker.
fn cpus(p: &Parameters) -> f64 {
    p.memory_mb / aws::LAMBDA_MB_PER_VCPU
}

/// Bytes a second that a worker reads from S3 at the most: so many parts at once, each of which waits for its first byte.
fn read_own(p: &Parameters) -> f64 {
    let network = p.network_mb_s * 1e6;
    if p.s3_first_ms <= 0.0 {
        return network;
    }
    let first_byte = 1.5 * p.s3_first_ms / 1e3;
    network.min(p.parts * p.part_mib * 1_048_576.0 / first_byte)
}

/// Bytes a second that a worker scans.
fn scan_own(p: &Parameters) -> f64 {
    read_own(p).min(p.scan_gb_s * 1e9 * cpus(p).min(1.0))
}

/// Bytes a second that all scan.
fn scan_pool(p: &Parameters) -> f64 {
    aws::S3_GETS_PER_SECOND * p.part_mib * 1_048_576.0
}

/// Rows a second that a worker imports if the table takes them.
fn import_own(p: &Parameters) -> f64 {
    let cpu = (cpus(p) * 1e9 / (p.row_ns + p.tls_ns)).min(1e9 / p.serial_row_ns);
    let network = p.network_mb_s * 1e6 / (p.row_bytes + p.request_row_bytes);
    let lanes = p.lanes * aws::BATCH_ROWS / (p.write_ms / 1e3);
    cpu.min(network).min(lanes).min(read_own(p) / p.row_bytes)
}

/// Rows a second that all import: what of the table's cap is used, or what can be read.
fn import_pool(p: &Parameters) -> f64 {
    let table = p.table_wcu * p.used_of_cap / p.row_wcu();
    table.min(scan_pool(p) / p.row_bytes)
}

pub(crate) fn scan_stage(p: &Parameters) -> Stage {
    let ranges = p.ranges();
    let express = p.scan_express > 0.0;
    let deadline = if express {
        aws::EXPRESS_SECONDS_MAX
    } else {
        aws::LAMBDA_TIMEOUT_SECONDS
    };
    Stage {
        batch: p.batch_scan as usize,
        own: scan_own(p),
        pool: scan_pool(p),
        table: None,
        dispatch: if express {
            aws::MAP_DISPATCH_EXPRESS
        } else {
            aws::MAP_DISPATCH_STANDARD
        },
        children: if express {
            Children::Express
        } else {
            Children::Standard
        },
        checkpoint: None,
        leases: false,
        deadline: micros(deadline - p.margin_seconds),
        reaction: Some(micros(SCAN_REACTION)),
        ranges,
    }
}

pub(crate) fn import_stage(p: &Parameters) -> Stage {
    let ranges: Vec<f64> = p
        .ranges()
        .into_iter()
        .map(|bytes| bytes / p.row_bytes)
        .collect();
    let table = (p.partitions > 0.0).then(|| {
        Table::new(
            p.partitions as usize,
            p.skew,
            p.hot_percent / 100.0,
            p.workers * p.lanes * aws::BATCH_ROWS,
            p.row_wcu(),
            p.seed as u64,
        )
    });
    Stage {
        batch: p.batch_import as usize,
        own: import_own(p),
        pool: import_pool(p),
        table,
        dispatch: aws::MAP_DISPATCH_STANDARD,
        children: Children::Standard,
        checkpoint: Some(micros(p.checkpoint_seconds)),
        leases: true,
        deadline: micros(aws::LAMBDA_TIMEOUT_SECONDS - p.margin_seconds),
        reaction: Some(micros(p.share_ms / 1e3)),
        ranges,
    }
}

/// One step that a single invocation does, reading something of each range.
fn gather_seconds(p: &Parameters, ranges: usize) -> f64 {
    let rounds = (ranges as f64 / p.gather_parallel.max(1.0)).ceil();
    (p.state_ms + p.cold_ms + rounds * p.gather_ms) / 1e3
}

/// Simulates a job on AWS.
pub(crate) fn run(p: &Parameters) -> Job {
    let state = p.state_ms / 1e3;
    let plan_seconds = state + p.cold_ms / 1e3 + p.plan_seconds + p.map_start_seconds;
    let seed = p.seed as u64;
    let scan = stage::run(p, scan_stage(p), micros(plan_seconds), seed);
    let compose_seconds = gather_seconds(p, scan.finished.len()) + p.map_start_seconds;
    let began: Micros = scan.ended + micros(compose_seconds);
    // Another seed, or the same workers would crash again.
    let import = stage::run(p, import_stage(p), began, seed ^ 0x5EED);
    let finish_seconds = gather_seconds(p, import.finished.len());
    Job {
        plan_seconds,
        scan,
        compose_seconds,
        import,
        finish_seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Parameters {
        Parameters::default()
            .with("gigabytes=20 range_mib=64 workers=40 table_wcu=100_000 partitions=100")
            .unwrap()
    }

    #[test]
    fn every_range_is_imported_exactly_once() {
        for assignments in [
            "crash_percent=0 slow_percent=0",
            "crash_percent=1",
            "crash_percent=40 slow_percent=30 retry_attempts=40",
            "crash_percent=40 batch_scan=7 batch_import=3 retry_attempts=40",
            "crash_percent=20 concurrency=15 retry_attempts=40",
            "skew=0.3 hot_percent=1",
        ] {
            for seed in 1..4 {
                let p = small()
                    .with(assignments)
                    .unwrap()
                    .with(&format!("seed={seed}"))
                    .unwrap();
                let job = run(&p);
                assert!(!job.failed(), "{assignments}");
                for stage in [&job.scan, &job.import] {
                    assert!(stage.finished.iter().all(|times| *times == 1));
                    assert!(stage.most_at_once as f64 <= p.concurrency.min(p.workers));
                    assert_eq!(
                        stage.invocations,
                        stage.children as u64 + stage.crashes + stage.continuations + stage.claimed
                    );
                }
                assert!((job.scan.units - 20e9).abs() < 1.0, "{assignments}");
                assert!((job.import.units - p.rows()).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn the_same_seed_is_the_same_job_and_another_is_not() {
        let p = small().with("crash_percent=20").unwrap();
        assert_eq!(run(&p), run(&p));
        assert_ne!(run(&p), run(&p.with("seed=2").unwrap()));
    }

    #[test]
    fn without_faults_a_job_takes_what_the_formula_says() {
        for assignments in [
            // Bound by the table, by the workers' CPU, by their network, and by the prefix of the object.
            "workers=100 table_wcu=1e5",
            "workers=2 table_wcu=1e6",
            "workers=8 network_mb_s=20 table_wcu=1e6",
            "workers=2000 concurrency=2000 table_wcu=1e7",
        ] {
            // Many ranges of the same size for each worker, in children of one range: all end together.
            let p = Parameters::ideal()
                .with(
                    "range_mib=1 gigabytes=33.554432 scan_express=1 batch_scan=16 batch_import=16",
                )
                .unwrap()
                .with(assignments)
                .unwrap();
            let bound = bound(&p);
            let job = run(&p);
            // Children begin one after the other: 1,000 and 100 a second.
            let scan_children = p.workers / aws::MAP_DISPATCH_EXPRESS;
            let import_children = p.workers / aws::MAP_DISPATCH_STANDARD;
            for (stage, least, dispatch) in [
                (&job.scan, bound.scan_seconds, scan_children),
                (&job.import, bound.import_seconds, import_children),
            ] {
                let took = stage.seconds();
                assert!(took > least * 0.999, "{assignments}: {took} < {least}");
                let most = least * 1.01 + dispatch + 1.0;
                assert!(took < most, "{assignments}: {took} > {most}");
            }
        }
    }

    #[test]
    fn more_workers_are_never_slower_without_faults() {
        let ideal = Parameters::ideal()
            .with("gigabytes=20 range_mib=64 table_wcu=100_000")
            .unwrap();
        let mut before = f64::INFINITY;
        for workers in [1, 2, 3, 5, 8, 13, 40, 100] {
            // One range a child: batches would cut the file otherwise for each number of workers.
            let p = ideal
                .with(&format!("workers={workers} batch_scan=1 batch_import=1"))
                .unwrap();
            let took = run(&p).seconds();
            // Shares are found anew once a second, which may cost one.
            assert!(took <= before + 1.0, "{workers}: {took} after {before}");
            before = took;
        }
    }

    #[test]
    fn neither_the_cap_nor_the_prefix_is_exceeded() {
        for seed in 1..4 {
            let p = small()
                .with(&format!("crash_percent=10 seed={seed}"))
                .unwrap();
            let job = run(&p);
            assert!(job.import.peak * p.row_wcu() <= p.table_wcu * 1.000_001);
            assert!(job.scan.peak <= scan_pool(&p) * 1.000_001);
            assert!(job.used_percent(&p) <= 100.0);
        }
    }

    #[test]
    fn what_goes_wrong_costs_time() {
        let p = small();
        let without = run(&p.without_faults()).seconds();
        for assignments in [
            "crash_percent=30",
            "slow_percent=50 slow_factor=500",
            "skew=0.3",
            "hot_percent=5",
            "concurrency=10",
        ] {
            let took = run(&p.without_faults().with(assignments).unwrap()).seconds();
            assert!(took > without, "{assignments}: {took} and {without}");
        }
    }

    #[test]
    fn a_crash_costs_at_most_what_was_not_saved() {
        let p = small().with("crash_percent=50 slow_percent=0").unwrap();
        let import = run(&p).import;
        let most = import.crashes as f64 * import_own(&p) * p.checkpoint_seconds;
        assert!(import.twice > 0.0 && import.twice <= most);
        assert!(import.crashes > 5);
    }

    #[test]
    fn a_long_import_goes_on_in_other_invocations() {
        // 2 GiB at 1,000 rows a second: 75 minutes.
        let p = Parameters::ideal()
            .with("gigabytes=2.147483648 range_mib=2048 workers=1 table_wcu=1000 used_of_cap=1")
            .unwrap();
        let import = run(&p).import;
        assert_eq!(import.continuations, 5);
        assert_eq!(import.invocations, 6);
        assert!(import.twice < 1e-9);
    }

    #[test]
    fn a_claim_that_outlives_its_worker_is_waited_for() {
        let p = small().with("crash_percent=10 takeover=0").unwrap();
        let waits = run(&p);
        assert!(!waits.failed() && waits.import.claimed > 0);
        assert!(waits.import.seconds() > aws::LAMBDA_TIMEOUT_SECONDS);
        let takes = run(&p.with("takeover=1").unwrap());
        assert_eq!(takes.import.claimed, 0);
        assert!(takes.import.seconds() < waits.import.seconds() / 2.0);
        // Too few attempts do not outlast it.
        assert!(run(&p.with("retry_attempts=4").unwrap()).failed());
    }
}
