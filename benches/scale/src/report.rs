//! What a simulation says, as the tables of docs/SCALE.md.

use std::fmt::Write as _;

use crate::aws;
use crate::bill::Bill;
use crate::chart::{Line, Point};
use crate::job::{self, Job};
use crate::parameters::Parameters;

/// Range sizes that are compared, in MiB.
const RANGES_MIB: [u32; 9] = [16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096];
/// Seeds that are shown, and those of which the failures are counted.
const SEEDS: u64 = 5;
const SEEDS_COUNTED: u64 = 50;

/// What else is tried, and the parameters that differ.
const VARIANTS: [(&str, &str); 31] = [
    ("as [above](#the-job)", ""),
    ("2 ranges a child of the scan", "batch_scan=2"),
    ("4 ranges a child of the scan", "batch_scan=4"),
    ("16 ranges a child of the scan", "batch_scan=16"),
    ("a retry waits for a dead worker's claim", "takeover=0"),
    ("both", "batch_scan=16 takeover=0"),
    (
        "children of the scan are Express workflows",
        "scan_express=1",
    ),
    ("16 MiB a GET", "part_mib=16"),
    (
        "no stragglers, no crashes",
        "slow_percent=0 crash_percent=0",
    ),
    ("no stragglers", "slow_percent=0"),
    ("20% stragglers", "slow_percent=20"),
    ("no crashes", "crash_percent=0"),
    ("5% crashes", "crash_percent=5"),
    (
        "5% crashes, claims waited for",
        "crash_percent=5 takeover=0",
    ),
    ("30 workers", "workers=30"),
    ("100 workers", "workers=100"),
    ("300 workers", "workers=300"),
    ("2,000 workers", "workers=2000 concurrency=2000"),
    ("the account has 500 environments left", "concurrency=500"),
    ("256 MB of memory", "memory_mb=256"),
    ("1,769 MB of memory, one vCPU", "memory_mb=1769"),
    (
        "eu-central-1: 800 transitions a second",
        "transitions_second=800",
    ),
    ("2,000 partitions", "partitions=2000"),
    ("partitions differ by 5%", "skew=0.05"),
    ("the same, 2,000 partitions", "skew=0.05 partitions=2000"),
    ("0.5% of the rows to one partition", "hot_percent=0.5"),
    ("nobody gets more than an even share", "equal_shares=1"),
    (
        "rows of 2 WCU",
        "item_bytes=2000 row_bytes=2400 request_row_bytes=3000",
    ),
    (
        "no cap: each worker finds its rate",
        "used_of_cap=0.995 share_quiet_ms=0 share_lease_seconds=0",
    ),
    ("the table's default quota", "table_wcu=40000 partitions=40"),
    (
        "the same, 50 workers",
        "table_wcu=40000 partitions=40 workers=50",
    ),
];

/// `1234567.8` as `1,234,568`.
pub(crate) fn grouped(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0.0 && digits != "0" {
        text.insert(0, '-');
    }
    text
}

/// Seconds as people read them.
fn time(seconds: f64) -> String {
    if seconds < 100.0 {
        format!("{seconds:.1}")
    } else {
        grouped(seconds)
    }
}

/// Seconds of a job's part, if it came to its end.
fn ended(job: &Job, seconds: f64) -> String {
    if job.failed() {
        "fails".to_owned()
    } else {
        time(seconds)
    }
}

fn minutes(seconds: f64) -> String {
    format!("{:.0} min", seconds / 60.0)
}

/// Everything.
pub(crate) fn all(p: &Parameters) -> String {
    format!(
        "{}\n{}\n{}\n{}",
        headline(p),
        variants(p),
        sweep(p),
        seeds(p)
    )
}

/// The job: how long it takes, what it uses, and what it costs.
pub(crate) fn headline(p: &Parameters) -> String {
    let bound = job::bound(p);
    let without = job::run(&p.without_faults());
    let with = job::run(p);
    let mut text = format!(
        "{} GB, {} rows, {} ranges of {} MiB, {} workers of {} MB, a table of {} WCU/s, seed {}.\n\n",
        grouped(p.gigabytes),
        grouped(p.rows()),
        grouped(with.import.finished.len() as f64),
        p.range_mib,
        grouped(p.workers),
        p.memory_mb,
        grouped(p.table_wcu),
        p.seed
    );
    // Writing to a String does not fail, here and below.
    writeln!(
        text,
        "| seconds | by the formula | nothing goes wrong | {}% slow, {}% crash |\n|---|---:|---:|---:|",
        p.slow_percent, p.crash_percent
    )
    .ok();
    let mut row = |name: &str, least: Option<f64>, of: &dyn Fn(&Job) -> f64| {
        let least = least.map(time).unwrap_or_default();
        let (without, with) = (time(of(&without)), time(of(&with)));
        writeln!(text, "| {name} | {least} | {without} | {with} |").ok();
    };
    row("plan", None, &|job| job.plan_seconds);
    row("scan", Some(bound.scan_seconds), &|job| job.scan.seconds());
    row("compose", None, &|job| job.compose_seconds);
    row("import", Some(bound.import_seconds), &|job| {
        job.import.seconds()
    });
    row("finish", None, &|job| job.finish_seconds);
    let least = bound.scan_seconds + bound.import_seconds;
    writeln!(
        text,
        "| **job** | {} | {} | **{}** ({}) |",
        time(least),
        ended(&without, without.seconds()),
        ended(&with, with.seconds()),
        minutes(with.seconds())
    )
    .ok();
    text.push_str(&figures(p, &without, &with));
    text.push_str(&costs(p, &with));
    text
}

fn figures(p: &Parameters, without: &Job, with: &Job) -> String {
    let mut text = "\n| | nothing goes wrong | with faults |\n|---|---:|---:|\n".to_owned();
    let mut row = |name: &str, of: &dyn Fn(&Job) -> String| {
        writeln!(text, "| {name} | {} | {} |", of(without), of(with)).ok();
    };
    let count = |number: u64| grouped(number as f64);
    row("capacity used during the import, %", &|job| {
        format!("{:.1}", job.used_percent(p))
    });
    row("most WCU a second", &|job| {
        grouped(job.import.peak * p.row_wcu())
    });
    row("most GET requests a second", &|job| {
        grouped(job.scan.peak / (p.part_mib * 1_048_576.0))
    });
    row("invocations at once, at the most", &|job| {
        grouped(job.scan.most_at_once.max(job.import.most_at_once) as f64)
    });
    row("invocations: scan, import", &|job| {
        format!(
            "{}, {}",
            count(job.scan.invocations),
            count(job.import.invocations)
        )
    });
    row("of them ended by Lambda's time limit and went on", &|job| {
        count(job.scan.continuations + job.import.continuations)
    });
    row("crashes: scan, import", &|job| {
        format!("{}, {}", count(job.scan.crashes), count(job.import.crashes))
    });
    row("attempts that found a dead worker's claim", &|job| {
        count(job.import.claimed)
    });
    row("attempts that Lambda refused", &|job| {
        count(job.scan.refused + job.import.refused)
    });
    row("scanned twice, GB", &|job| {
        format!("{:.1}", job.scan.twice / 1e9)
    });
    row("rows written twice", &|job| grouped(job.import.twice));
    row("rows put off by a full partition, %", &|job| {
        format!("{:.2}", 100.0 * job.import.throttled_units / p.rows())
    });
    row("state transitions", &|job| {
        count(job.scan.transitions + job.import.transitions)
    });
    row(
        "WCU a second of checkpoints, all under one key of ImportJobs",
        &|job| grouped(job.import.checkpoints as f64 * p.checkpoint_wru / job.import.seconds()),
    );
    text
}

fn costs(p: &Parameters, job: &Job) -> String {
    let bill = Bill::new(p, job);
    let mut text = "\n| USD, us-east-1 | |\n|---|---:|\n".to_owned();
    for (name, usd) in [
        ("Lambda", bill.lambda),
        ("Step Functions", bill.step_functions),
        ("S3 requests", bill.s3),
        ("ImportJobs, on demand", bill.jobs),
        ("**what runs the import**", bill.engine()),
        ("the table's writes, on demand", bill.table),
        (
            "or the table, provisioned for whole hours",
            bill.provisioned,
        ),
    ] {
        writeln!(text, "| {name} | {usd:.2} |").ok();
    }
    text
}

/// What the job takes if something else differs.
pub(crate) fn variants(p: &Parameters) -> String {
    let mut text =
        "| | parameters | scan, s | import, s | job, s | capacity used, % | retries | rows twice | runs it, USD |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|\n"
            .to_owned();
    for (name, assignments) in VARIANTS {
        writeln!(text, "{}", variant(p, name, assignments)).ok();
    }
    text
}

/// One line of [`variants`].
pub(crate) fn variant(p: &Parameters, name: &str, assignments: &str) -> String {
    // The assignments are constants, and a test sets all of them.
    let p = p.with(assignments).unwrap_or_else(|_| p.clone());
    let job = job::run(&p);
    let retries = |stage: &crate::outcome::Outcome| stage.crashes + stage.claimed + stage.refused;
    let shown = if assignments.is_empty() {
        String::new()
    } else {
        format!("`{assignments}`")
    };
    format!(
        "| {name} | {shown} | {} | {} | {} | {:.1} | {} | {} | {:.2} |",
        time(job.scan.seconds()),
        ended(&job, job.import.seconds()),
        ended(&job, job.seconds()),
        job.used_percent(&p),
        grouped((retries(&job.scan) + retries(&job.import)) as f64),
        grouped(job.import.twice),
        Bill::new(&p, &job).engine(),
    )
}

/// The four ways in which each range size is tried: ranges of a scan's child, and whether a retry takes over.
const WAYS: [(&str, &str); 4] = [
    ("1 a child", ""),
    ("4 a child", "batch_scan=4"),
    ("16 a child", "batch_scan=16"),
    ("1 a child, claims waited for", "takeover=0"),
];

/// The effect of the size of ranges.
pub(crate) fn sweep(p: &Parameters) -> String {
    let mut text = "| range, MiB | ranges | scan, s: 1 a child | 4 a child | 16 a child | import, s | the same, claims waited for | \
         rows twice | transitions | runs it, USD | job, s |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n"
        .to_owned();
    for mib in RANGES_MIB {
        writeln!(text, "{}", size(p, mib)).ok();
    }
    text
}

/// One line of [`sweep`].
pub(crate) fn size(p: &Parameters, mib: u32) -> String {
    let [one, four, sixteen, waits] = jobs(p, mib);
    format!(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.2} | {} |",
        grouped(f64::from(mib)),
        grouped(one.import.finished.len() as f64),
        time(one.scan.seconds()),
        time(four.scan.seconds()),
        time(sixteen.scan.seconds()),
        ended(&one, one.import.seconds()),
        ended(&waits, waits.import.seconds()),
        grouped(one.import.twice),
        grouped((one.scan.transitions + one.import.transitions) as f64),
        Bill::new(p, &one).engine(),
        ended(&one, one.seconds()),
    )
}

fn jobs(p: &Parameters, mib: u32) -> [Job; 4] {
    WAYS.map(|(_, assignments)| {
        let p = p.with(assignments).unwrap_or_else(|_| p.clone());
        job::run(&Parameters {
            range_mib: f64::from(mib),
            ..p
        })
    })
}

/// The chart of [`sweep`]: minutes of the job by the size of a range.
pub(crate) fn lines(p: &Parameters) -> Vec<Line> {
    let mut lines: Vec<Line> = WAYS
        .iter()
        .map(|(name, _)| Line {
            name: format!("scan: {name}"),
            points: Vec::new(),
        })
        .collect();
    for mib in RANGES_MIB {
        for (line, job) in lines.iter_mut().zip(jobs(p, mib)) {
            line.points.push(Point {
                mib,
                minutes: (!job.failed()).then(|| job.seconds() / 60.0),
            });
        }
    }
    lines
}

/// How much chance there is in it.
pub(crate) fn seeds(p: &Parameters) -> String {
    let mut text =
        "| seed | scan, s | import, s | job, s | crashes | rows twice |\n|---:|---:|---:|---:|---:|---:|\n"
            .to_owned();
    for seed in 1..=SEEDS {
        let job = job::run(&Parameters {
            seed: seed as f64,
            ..p.clone()
        });
        writeln!(
            text,
            "| {seed} | {} | {} | {} | {} | {} |",
            time(job.scan.seconds()),
            ended(&job, job.import.seconds()),
            ended(&job, job.seconds()),
            grouped((job.scan.crashes + job.import.crashes) as f64),
            grouped(job.import.twice)
        )
        .ok();
    }
    let [waits, takes] = [0.0, 1.0].map(|takeover| {
        let failed = |seed: &u64| {
            job::run(&Parameters {
                seed: *seed as f64,
                takeover,
                ..p.clone()
            })
            .failed()
        };
        (1..=SEEDS_COUNTED).filter(failed).count()
    });
    writeln!(
        text,
        "\nOf the first {SEEDS_COUNTED} seeds, Retry gives up in {waits} if a dead worker's range waits for its claim, and in {takes} \
         if a retry takes it over."
    )
    .ok();
    text
}

/// What this account or table does not have by default, or no account has.
pub(crate) fn warnings(p: &Parameters) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut expect = |holds: bool, text: String| {
        if !holds {
            warnings.push(text);
        }
    };
    expect(
        p.workers <= aws::MAP_CONCURRENCY_MAX,
        format!(
            "a Map Run has {} children at once, at the most",
            grouped(aws::MAP_CONCURRENCY_MAX)
        ),
    );
    expect(
        p.files <= aws::MAP_RUNS_OPEN_MAX,
        format!(
            "{} Map Runs are open at once, at the most: other jobs wait",
            grouped(aws::MAP_RUNS_OPEN_MAX)
        ),
    );
    expect(
        p.table_wcu <= aws::TABLE_WCU_DEFAULT,
        format!(
            "a table has {} WCU/s by default: more is a quota to ask for",
            grouped(aws::TABLE_WCU_DEFAULT)
        ),
    );
    expect(
        p.partitions <= 0.0 || p.partitions * aws::PARTITION_WCU >= p.table_wcu,
        "the table has too few partitions for its WCU".to_owned(),
    );
    expect(
        p.workers <= p.concurrency,
        "MaxConcurrency is more than Lambda runs at once: attempts are refused".to_owned(),
    );
    let checkpoints = p.workers / p.checkpoint_seconds * p.checkpoint_wru;
    expect(
        checkpoints <= aws::PARTITION_WCU,
        format!(
            "checkpoints take {} WCU/s of one key of ImportJobs, which has {}: they are throttled",
            grouped(checkpoints),
            grouped(aws::PARTITION_WCU)
        ),
    );
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0.0, "0"),
            (999.4, "999"),
            (1_000.0, "1,000"),
            (-1_234_567.0, "-1,234,567"),
            (-0.2, "0"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn variants_are_known_parameters() {
        for (name, assignments) in VARIANTS.iter().chain(&WAYS) {
            assert!(Parameters::default().with(assignments).is_ok(), "{name}");
        }
    }

    #[test]
    fn quotas_are_warned_of() {
        let default = Parameters::default();
        assert_eq!(warnings(&default).len(), 1, "{:?}", warnings(&default));
        for (assignments, text) in [
            ("workers=20000 concurrency=20000", "10,000 children"),
            ("workers=2000", "refused"),
            ("files=1001", "other jobs wait"),
            ("workers=2000", "1,333 WCU/s of one key"),
            ("partitions=999", "too few partitions"),
        ] {
            let warnings = warnings(&default.with(assignments).unwrap());
            assert!(
                warnings.iter().any(|warning| warning.contains(text)),
                "{assignments}: {warnings:?}"
            );
        }
    }
}
