//! The same steps on one machine: worker processes and the sink share its cores.
//!
//! CPU time is given, and so is how many cores the processes keep busy; how long a run takes follows from the ranges.

use std::fmt::Write as _;
use std::str::FromStr;

use crate::clock::{Micros, seconds};
use crate::outcome::Outcome;
use crate::parameters::Parameters;
use crate::stage::{self, Children, Stage};

/// The most that a prediction may be off, in percent (issue 8).
pub(crate) const ERROR_MAX_PERCENT: f64 = 5.0;

/// Ranges of a step (cli/src/workers).
const RANGES_AT_ONCE: usize = 1;
/// Between which calibrating looks for cores.
const CORES: (f64, f64) = (0.01, 1_000.0);
/// How often calibrating improves what it has found: each time by far more than the half.
const ROUNDS: usize = 30;

/// Seconds of the phases of a local run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Local {
    pub(crate) fixed: f64,
    pub(crate) scan: f64,
    pub(crate) import: f64,
}

impl Local {
    pub(crate) fn seconds(self) -> f64 {
        self.fixed + self.scan + self.import
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
    let bytes = p.ranges();
    let rows: Vec<f64> = bytes.iter().map(|bytes| bytes / p.row_bytes).collect();
    let scan = shared(&p, bytes, p.scan_byte_ns);
    let import = shared(&p, rows, p.local_row_ns);
    Local {
        fixed: p.fixed_ms / 1e3,
        scan: seconds(scan.ended),
        import: seconds(import.ended),
    }
}

/// Cores that all keep busy.
fn cores(p: &Parameters) -> f64 {
    if p.workers > 1.0 {
        p.several_cores
    } else {
        p.alone_cores
    }
}

/// A stage of which the pool is what the cores can do.
fn shared(p: &Parameters, ranges: Vec<f64>, unit_ns: f64) -> Outcome {
    let stage = Stage {
        ranges,
        batch: RANGES_AT_ONCE,
        own: p.alone_cores * 1e9 / unit_ns,
        pool: cores(p) * 1e9 / unit_ns,
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
         start, plan, compose, finish {:.2} s + scan {:.2} s + import {:.2} s = {:.2} s\n",
        p.gigabytes,
        p.ranges().len(),
        p.range_mib,
        p.workers,
        cores(p),
        local.fixed,
        local.scan,
        local.import,
        local.seconds()
    )
}

/// A measured run, as `make workers` tells it: `workers:gigabytes:seconds:scan_cpu:import_cpu`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Measured {
    workers: f64,
    gigabytes: f64,
    seconds: f64,
    /// CPU seconds of the machine before the first row came, and from then on.
    scan_cpu: f64,
    import_cpu: f64,
}

impl FromStr for Measured {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text}: not workers:gigabytes:seconds:scan_cpu:import_cpu");
        let numbers: Result<Vec<f64>, _> = text.split(':').map(str::parse).collect();
        match numbers.map_err(|_| wrong())?.as_slice() {
            &[workers, gigabytes, seconds, scan_cpu, import_cpu]
                if workers >= 1.0
                    && [gigabytes, seconds, scan_cpu, import_cpu]
                        .iter()
                        .all(|n| *n > 0.0) =>
            {
                Ok(Self {
                    workers,
                    gigabytes,
                    seconds,
                    scan_cpu,
                    import_cpu,
                })
            }
            _ => Err(wrong()),
        }
    }
}

impl Measured {
    /// What it was given: its size, its workers, and what a byte and a row cost at that moment.
    fn parameters(&self, p: &Parameters) -> Parameters {
        let p = Parameters {
            workers: self.workers,
            gigabytes: self.gigabytes,
            ..p.clone()
        };
        Parameters {
            scan_byte_ns: self.scan_cpu / self.gigabytes,
            local_row_ns: self.import_cpu / p.rows() * 1e9,
            ..p
        }
    }
}

/// A table of what was predicted and measured, and the largest error in percent.
pub(crate) fn compare(p: &Parameters, measured: &[Measured]) -> (String, f64) {
    let mut text = "| workers | GB | CPU, s | predicted, s | measured, s | error, % |\n|---:|---:|---:|---:|---:|---:|\n".to_owned();
    let mut most: f64 = 0.0;
    for run_of in measured {
        let predicted = run(&run_of.parameters(p)).seconds();
        let error = 100.0 * (predicted / run_of.seconds - 1.0);
        most = most.max(error.abs());
        // Writing to a String does not fail.
        writeln!(
            text,
            "| {} | {:.2} | {:.1} | {predicted:.2} | {:.2} | {error:+.1} |",
            run_of.workers,
            run_of.gigabytes,
            run_of.scan_cpu + run_of.import_cpu,
            run_of.seconds
        )
        .ok();
    }
    (text, most)
}

/// What runs tell of this machine, as parameters: some of the smallest size, and larger ones with one worker and with several.
///
/// # Errors
///
/// Some of them are missing.
pub(crate) fn calibrated(p: &Parameters, measured: &[Measured]) -> Result<String, String> {
    let least = measured
        .iter()
        .map(|run| run.gigabytes)
        .fold(f64::INFINITY, f64::min);
    let (small, large): (Vec<Measured>, Vec<_>) =
        measured.iter().partition(|run| run.gigabytes <= least);
    let (alone, several): (Vec<_>, Vec<_>) = large.iter().partition(|run| run.workers <= 1.0);
    if alone.is_empty() || several.is_empty() {
        return Err(
            "give runs of a small size, and of a larger one with one worker and with several"
                .to_owned(),
        );
    }
    let mut p = p.clone();
    for _ in 0..ROUNDS {
        p.alone_cores = mean(&alone, |run| {
            cores_of(run, |cores| Parameters {
                alone_cores: cores,
                ..p.clone()
            })
        });
        p.several_cores = mean(&several, |run| {
            cores_of(run, |cores| Parameters {
                several_cores: cores,
                ..p.clone()
            })
        });
        let off = mean(&small, |run_of| {
            run_of.seconds - run(&run_of.parameters(&p)).seconds()
        });
        p.fixed_ms = (p.fixed_ms + off * 1e3).max(0.0);
    }
    Ok(format!(
        "fixed_ms={:.0}\nalone_cores={:.3}\nseveral_cores={:.3}\n",
        p.fixed_ms, p.alone_cores, p.several_cores
    ))
}

fn mean(runs: &[Measured], of: impl Fn(&Measured) -> f64) -> f64 {
    runs.iter().map(of).sum::<f64>() / runs.len() as f64
}

/// The cores with which this run comes out as measured.
fn cores_of(measured: &Measured, with: impl Fn(f64) -> Parameters) -> f64 {
    let (mut low, mut high) = CORES;
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if run(&measured.parameters(&with(middle))).seconds() > measured.seconds {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `make workers` said at a63cb58 of 0.5 and 2 GiB, and of 4 GiB, with ranges of 64 MiB.
    const SMALL: &str = "1:0.5369:4.98:1.24:5.30 2:0.5369:4.54:1.28:5.70 4:0.5369:4.48:1.24:6.26 \
         1:0.5369:5.07:1.06:5.80 2:0.5369:5.27:1.58:6.66 4:0.5369:5.08:1.36:7.15 \
         1:2.1475:18.25:4.69:21.73 2:2.1475:15.52:4.24:21.99 4:2.1475:17.07:4.32:25.92 \
         1:2.1475:18.21:4.42:21.81 2:2.1475:17.16:4.54:24.45 4:2.1475:18.43:4.26:28.36";
    const SMALL_RANGES: &str = "3:4.2950:28.35:7.41:43.39";
    /// And of 4 GiB with ranges of 256 MiB.
    const LARGE: &str = "1:4.2950:33.54:7.33:42.51 2:4.2950:29.24:7.79:42.79 4:4.2950:28.00:6.09:43.51 \
         1:4.2950:31.04:6.85:38.76 2:4.2950:28.32:7.03:42.55 4:4.2950:30.18:6.13:47.75";

    fn runs(text: &str) -> Vec<Measured> {
        text.split_whitespace()
            .map(|run| run.parse().unwrap())
            .collect()
    }

    #[test]
    fn runs_of_4_gib_come_out_as_measured() {
        let p = Parameters::default();
        let ranges = p.with("range_mib=64").unwrap();
        let found = calibrated(&ranges, &runs(SMALL)).unwrap();
        for (p, measured) in [(p, LARGE), (ranges, SMALL_RANGES)] {
            let p = p.with(&found).unwrap();
            let (text, error) = compare(&p, &runs(measured));
            assert!(error < ERROR_MAX_PERCENT, "{found}{text}");
        }
    }

    fn parameters(assignments: &str) -> Parameters {
        Parameters::default()
            .with(
                "gigabytes=4.294967296 range_mib=256 alone_cores=1.5 several_cores=2 local_row_ns=4000 scan_byte_ns=2 \
                 local_open_ms=0 fixed_ms=300",
            )
            .unwrap()
            .with(assignments)
            .unwrap()
    }

    #[test]
    fn one_worker_keeps_fewer_cores_busy_than_several() {
        let rows = 4.294_967_296e9 / 480.0;
        for (workers, cores) in [(1, 1.5), (2, 2.0), (4, 2.0)] {
            let local = run(&parameters(&format!("workers={workers}")));
            let expected = 0.3 + (rows * 4_000e-9 + 4.294_967_296 * 2.0) / cores;
            let off = (local.seconds() / expected - 1.0).abs();
            assert!(off < 1e-4, "{workers}: {local:?} and {expected}");
        }
    }

    #[test]
    fn the_last_ranges_leave_workers_idle() {
        // Five ranges for four workers on many cores: the fifth is alone.
        let local = run(&parameters(
            "gigabytes=1.34217728 workers=4 several_cores=64",
        ));
        let range = 268_435_456.0 / 480.0 * 4_000e-9 / 1.5;
        assert!((local.import - 2.0 * range).abs() < 1e-3, "{local:?}");
    }

    #[test]
    fn opening_ranges_costs_time_that_others_use() {
        let without = run(&parameters("workers=2"));
        let with = run(&parameters("workers=2 local_open_ms=100"));
        assert!(with.import > without.import);
        // 16 ranges of two workers, each of which may use the cores while the other opens.
        assert!(with.import < without.import + 0.8 + 1e-3);
    }

    #[test]
    fn measured_runs_are_compared() {
        for wrong in [
            "",
            "4",
            "1:1:1:1",
            "0:1:1:1:1",
            "1:1:0:1:1",
            "1:1:1:1:1:1",
            "1:1:NaN:1:1",
        ] {
            assert!(wrong.parse::<Measured>().is_err(), "{wrong}");
        }
        let p = parameters("workers=2");
        let seconds = run(&p).seconds() / 1.1;
        let run_of: Measured = format!("2:4.294967296:{seconds}:8.589934592:35.791394133")
            .parse()
            .unwrap();
        let (text, error) = compare(&p, &[run_of]);
        assert!((error - 10.0).abs() < 1e-3, "{text}");
        assert!(text.contains("| +10.0 |"), "{text}");
    }

    #[test]
    fn small_runs_give_the_parameters() {
        let p = parameters("local_open_ms=20");
        let runs: Vec<Measured> = [(1.0, 0.25), (2.0, 0.25), (1.0, 1.0), (2.0, 1.0), (4.0, 1.5)]
            .into_iter()
            .map(|(workers, gigabytes)| {
                let p = Parameters {
                    gigabytes,
                    workers,
                    ..p.clone()
                };
                Measured {
                    workers,
                    gigabytes,
                    seconds: run(&p).seconds(),
                    scan_cpu: gigabytes * 2.0,
                    import_cpu: p.rows() * 4_000e-9,
                }
            })
            .collect();
        let mut found = Parameters::default();
        let text = calibrated(
            &parameters("local_open_ms=20 alone_cores=9 several_cores=9"),
            &runs,
        );
        found.set_all(&text.unwrap()).unwrap();
        for (name, found, expected) in [
            ("fixed_ms", found.fixed_ms, 300.0),
            ("alone_cores", found.alone_cores, 1.5),
            ("several_cores", found.several_cores, 2.0),
        ] {
            assert!((found / expected - 1.0).abs() < 0.01, "{name}: {found}");
        }
        assert!(calibrated(&p, &runs[..3]).is_err());
        assert!(calibrated(&p, &[]).is_err());
    }
}
