//! The same steps on one machine: worker processes and the sink share its cores.

use std::fmt::Write as _;

use crate::aws;
use crate::clock::{Micros, seconds};
use crate::outcome::Outcome;
use crate::parameters::Parameters;
use crate::stage::{self, Children, Stage};

/// The most that a prediction may be off, in percent (issue 8).
pub(crate) const ERROR_MAX_PERCENT: f64 = 5.0;

/// Ranges of a `scan` step (cli/src/workers).
const SCANS_AT_ONCE: usize = 4;

/// Seconds of the phases of a local run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Local {
    pub(crate) start: f64,
    pub(crate) plan: f64,
    pub(crate) scan: f64,
    pub(crate) import: f64,
}

impl Local {
    pub(crate) fn seconds(self) -> f64 {
        self.start + self.plan + self.scan + self.import
    }
}

/// Predicts a local run.
pub(crate) fn run(parameters: &Parameters) -> Local {
    let p = Parameters {
        slow_percent: 0.0,
        crash_percent: 0.0,
        cold_ms: 0.0,
        warm_ms: 0.0,
        state_ms: 0.0,
        s3_first_ms: 0.0,
        open_ms: parameters.local_open_ms,
        close_ms: 0.0,
        equal_shares: 0.0,
        concurrency: f64::from(u32::MAX),
        ..parameters.clone()
    };
    let cores = (p.cores - p.busy_cores).max(f64::EPSILON);
    let bytes = p.ranges();
    let rows = bytes.iter().map(|bytes| bytes / p.row_bytes).collect();

    let byte_seconds = scan_byte_seconds(&p);
    let scan = shared(
        &p,
        bytes,
        SCANS_AT_ONCE,
        1.0 / byte_seconds,
        cores / byte_seconds,
    );
    let lanes = p.lanes * aws::BATCH_ROWS / (p.local_write_ms / 1e3);
    let import = shared(
        &p,
        rows,
        1,
        lanes.min(1e9 / p.serial_row_ns),
        cores * 1e9 / (p.row_ns + p.sink_row_ns),
    );
    Local {
        start: p.start_ms / 1e3,
        plan: p.plan_ms / 1e3,
        scan: seconds(scan.ended),
        import: seconds(import.ended),
    }
}

/// Of a worker that scans, on one thread, to which it also reads.
fn scan_byte_seconds(p: &Parameters) -> f64 {
    1e-9 / p.scan_gb_s + 1e-9 / p.read_gb_s
}

/// A stage of which the pool is what the cores can do.
fn shared(p: &Parameters, ranges: Vec<f64>, batch: usize, own: f64, pool: f64) -> Outcome {
    let stage = Stage {
        ranges,
        batch,
        own,
        pool,
        table: None,
        dispatch: f64::INFINITY,
        children: Children::Processes,
        checkpoint: None,
        leases: false,
        deadline: Micros::MAX / 2,
        reaction: None,
    };
    stage::run(p, stage, 0, p.seed as u64)
}

/// What is predicted.
pub(crate) fn report(p: &Parameters) -> String {
    let local = run(p);
    format!(
        "{:.2} GB in {} ranges of {} MiB, {} workers on {} cores, without Lambda and Step Functions:\n\
         start {:.2} s + plan, compose, finish {:.2} s + scan {:.2} s + import {:.2} s = {:.2} s\n",
        p.gigabytes,
        p.ranges().len(),
        p.range_mib,
        p.workers,
        p.cores,
        local.start,
        local.plan,
        local.scan,
        local.import,
        local.seconds()
    )
}

/// A measured run: so many workers took so many seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Measured {
    pub(crate) workers: f64,
    pub(crate) seconds: f64,
}

/// Reads `1=39.8,2=24.1`.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn measured(text: &str) -> Result<Vec<Measured>, String> {
    text.split(',')
        .map(|pair| {
            let numbers = pair.split_once('=').and_then(|(workers, seconds)| {
                Some((workers.trim().parse().ok()?, seconds.trim().parse().ok()?))
            });
            match numbers {
                Some((workers, seconds)) if workers >= 1.0 && seconds > 0.0 => {
                    Ok(Measured { workers, seconds })
                }
                _ => Err(format!("{pair}: not workers=seconds")),
            }
        })
        .collect()
}

/// A table of what was predicted and measured, and the largest error in percent.
pub(crate) fn compare(p: &Parameters, measured: &[Measured]) -> (String, f64) {
    let mut text =
        "| workers | predicted, s | measured, s | error, % |\n|---:|---:|---:|---:|\n".to_owned();
    let mut most: f64 = 0.0;
    for run_of in measured {
        let predicted = run(&Parameters {
            workers: run_of.workers,
            ..p.clone()
        })
        .seconds();
        let error = 100.0 * (predicted / run_of.seconds - 1.0);
        most = most.max(error.abs());
        // Writing to a String does not fail.
        writeln!(
            text,
            "| {} | {predicted:.2} | {:.2} | {error:+.1} |",
            run_of.workers, run_of.seconds
        )
        .ok();
    }
    (text, most)
}

/// What a run with one worker tells of this machine, as parameters: from its seconds, and the CPU seconds of the worker and
/// of the sink. What scanning takes is given by `scan_gb_s` and `read_gb_s`, of which the worker and the sink have a half each.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn calibrated(p: &Parameters, text: &str) -> Result<String, String> {
    let numbers: Vec<f64> = text.split(',').flat_map(str::parse).collect();
    let &[wall, worker, sink] = numbers.as_slice() else {
        return Err(format!("{text}: not seconds,worker_cpu,sink_cpu"));
    };
    let bytes = p.gigabytes * 1e9;
    let opened = p.ranges().len() as f64 * p.local_open_ms / 1e3;
    let half_read = bytes * 0.5e-9 / p.read_gb_s;
    let scan = bytes * scan_byte_seconds(p) + opened;
    let import = wall - p.start_ms / 1e3 - p.plan_ms / 1e3 - scan - opened;
    let row_ns = |seconds: f64| seconds / p.rows() * 1e9;
    let found = [
        (
            "row_ns",
            row_ns(worker - bytes * 1e-9 / p.scan_gb_s - half_read),
        ),
        ("sink_row_ns", row_ns(sink - half_read)),
        ("serial_row_ns", row_ns(import)),
    ];
    if let Some((name, _)) = found.iter().find(|(_, value)| *value <= 0.0) {
        return Err(format!(
            "{text}: nothing is left for {name}; check gigabytes, scan_gb_s and read_gb_s"
        ));
    }
    Ok(found
        .iter()
        .map(|(name, value)| format!("{name}={value:.0}\n"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(assignments: &str) -> Parameters {
        Parameters::default()
            .with(
                "gigabytes=4.294967296 range_mib=256 cores=2 row_ns=3000 sink_row_ns=1000 serial_row_ns=2500 \
                 scan_gb_s=1 read_gb_s=4 local_open_ms=0 start_ms=100 plan_ms=200",
            )
            .unwrap()
            .with(assignments)
            .unwrap()
    }

    #[test]
    fn one_worker_is_bound_by_its_thread_and_more_by_the_cores() {
        let rows = 4.294_967_296e9 / 480.0;
        let fixed = 0.3;
        let scan = 4.294_967_296 * 1.25;
        for (workers, import, scan) in [
            (1, rows * 2_500e-9, scan),
            (2, rows * 4_000e-9 / 2.0, scan / 2.0),
            (4, rows * 4_000e-9 / 2.0, scan / 2.0),
        ] {
            let local = run(&parameters(&format!("workers={workers}")));
            let expected = fixed + import + scan;
            let off = (local.seconds() / expected - 1.0).abs();
            assert!(off < 1e-4, "{workers}: {local:?} and {expected}");
        }
    }

    #[test]
    fn the_last_ranges_leave_workers_idle() {
        // Five ranges for four workers on many cores: the fifth is alone.
        let p = parameters("gigabytes=1.34217728 workers=4 cores=64");
        let local = run(&p);
        let range = 268_435_456.0 / 480.0 * 2_500e-9;
        assert!((local.import - 2.0 * range).abs() < 1e-3, "{local:?}");
    }

    #[test]
    fn opening_ranges_costs_time_that_others_use() {
        let without = run(&parameters("workers=2"));
        let with = run(&parameters("workers=2 local_open_ms=100"));
        assert!(with.import > without.import);
        // 16 ranges of two workers, each of which may use both cores' rest while the other opens.
        assert!(with.import < without.import + 0.8 + 1e-3);
    }

    #[test]
    fn measured_runs_are_compared() {
        assert_eq!(
            measured("1=30,4=20.5"),
            Ok(vec![
                Measured {
                    workers: 1.0,
                    seconds: 30.0
                },
                Measured {
                    workers: 4.0,
                    seconds: 20.5
                }
            ])
        );
        for wrong in ["", "4", "4=", "=4", "0=4", "4=0", "1=2,", "1=NaN"] {
            assert!(measured(wrong).is_err(), "{wrong}");
        }
        let p = parameters("");
        let predicted = run(&Parameters {
            workers: 2.0,
            ..p.clone()
        })
        .seconds();
        let pair = Measured {
            workers: 2.0,
            seconds: predicted / 1.1,
        };
        let (text, error) = compare(&p, &[pair]);
        assert!((error - 10.0).abs() < 1e-9);
        assert!(text.contains("| +10.0 |"), "{text}");
    }

    #[test]
    fn a_run_with_one_worker_gives_the_parameters() {
        let p = parameters("workers=1 local_open_ms=20");
        let rows = p.rows();
        // What the model itself would be measured at.
        let worker = rows * 3_000e-9 + 4.294_967_296 * 1.125;
        let sink = rows * 1_000e-9 + 4.294_967_296 * 0.125;
        let seconds = run(&p).seconds();
        let text = calibrated(&p, &format!("{seconds},{worker},{sink}")).unwrap();
        let mut found = Parameters::default();
        found.set_all(&text).unwrap();
        for (name, found, expected) in [
            ("row_ns", found.row_ns, 3_000.0),
            ("sink_row_ns", found.sink_row_ns, 1_000.0),
            ("serial_row_ns", found.serial_row_ns, 2_500.0),
        ] {
            assert!((found / expected - 1.0).abs() < 0.01, "{name}: {found}");
        }
        assert!(calibrated(&p, "1,2").is_err());
        assert!(calibrated(&p, "1,2,3").is_err());
    }
}
