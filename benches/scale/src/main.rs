//! A simulation of `ImportLarge` in virtual time: `make scale`, and docs/SCALE.md says what came of it.
//!
//! Everything is a number that is given ([`parameters`]) or that AWS states ([`aws`]). A [`job`] consists of steps, of which the
//! two Distributed Maps are simulated event by event ([`stage`], on a [`clock`]), with a [`table`] that throttles. The same
//! engine predicts runs on one machine ([`local`]), which can be measured.

#![allow(
    clippy::cast_sign_loss,
    reason = "no quantity of the model is negative, and a cast would saturate"
)]

mod aws;
mod bill;
mod chart;
mod clock;
mod job;
mod local;
mod outcome;
mod parameters;
mod report;
mod share;
mod stage;
mod table;
mod work;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use local::Measured;
use parameters::Parameters;

/// Simulates the import of a large file by many workers
#[derive(Debug, Parser)]
#[command(after_help = Parameters::list())]
struct Arguments {
    /// Parameters as name=value, after those of the file
    parameters: Vec<String>,
    /// A file of parameters, one name=value a line
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Predict a run of `intake import --workers` on one machine instead
    #[arg(long)]
    local: bool,
    /// Compare local runs, as `make workers` prints them, with what is predicted: fails if one is more than 5% off
    #[arg(long, value_name = "RUN", num_args = 1..)]
    measured: Vec<Measured>,
    /// Print the parameters of this machine that smaller runs tell: of two sizes, with one worker and with several
    #[arg(long, value_name = "RUN", num_args = 1.., conflicts_with = "measured")]
    calibrate: Vec<Measured>,
    /// Write the tables of SCALE.md, and scale.svg, in this directory
    #[arg(long, value_name = "DIRECTORY")]
    write: Option<PathBuf>,
}

#[allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what a program says"
)]
fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok((text, code)) => {
            print!("{text}");
            code
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(String, ExitCode), String> {
    let mut p = Parameters::default();
    if let Some(file) = &arguments.file {
        let text = fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        p.set_all(&text)?;
    }
    arguments
        .parameters
        .iter()
        .try_for_each(|assignment| p.set(assignment))?;
    if p.workers < 1.0 || p.gigabytes <= 0.0 || p.range_mib <= 0.0 {
        return Err("workers, gigabytes and range_mib must be more than 0".to_owned());
    }
    if !arguments.calibrate.is_empty() {
        let text = local::calibrated(&p, &arguments.calibrate)?;
        return Ok((text, ExitCode::SUCCESS));
    }
    if !arguments.measured.is_empty() {
        let (text, error) = local::compare(&p, &arguments.measured);
        let limit = local::ERROR_MAX_PERCENT;
        let met = error <= limit;
        let verdict = if met { "met" } else { "missed" };
        let text =
            format!("{text}\nlargest error {error:.1}%, at most {limit}% wanted: {verdict}\n");
        return Ok((text, ExitCode::from(u8::from(!met))));
    }
    if arguments.local {
        return Ok((local::report(&p), ExitCode::SUCCESS));
    }
    if let Some(directory) = &arguments.write {
        write(&p, directory)?;
        return Ok((String::new(), ExitCode::SUCCESS));
    }
    let warnings: String = report::warnings(&p)
        .iter()
        .map(|warning| format!("note: {warning}\n"))
        .collect();
    Ok((
        format!("{warnings}\n{}", report::all(&p)),
        ExitCode::SUCCESS,
    ))
}

/// Writes the tables between their marks, and the chart.
fn write(p: &Parameters, directory: &Path) -> Result<(), String> {
    let path = directory.join("SCALE.md");
    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut page = fs::read_to_string(&path).map_err(failed)?;
    for (name, text) in [
        ("headline", report::headline(p)),
        ("variants", report::variants(p)),
        ("sweep", report::sweep(p)),
        ("seeds", report::seeds(p)),
    ] {
        page = replaced(&page, name, &text)?;
    }
    fs::write(&path, page).map_err(failed)?;
    let least = job::bound(p);
    let chart = chart::drawn(
        "Minutes of the job by the size of a range",
        &report::lines(p),
        (least.scan_seconds + least.import_seconds) / 60.0,
    );
    let path = directory.join("scale.svg");
    fs::write(&path, chart).map_err(|e| format!("{}: {e}", path.display()))
}

/// `page` with `text` as the block of this name.
fn replaced(page: &str, name: &str, text: &str) -> Result<String, String> {
    let (begin, end) = marks(name);
    let (before, rest) = page
        .split_once(&begin)
        .ok_or_else(|| format!("SCALE.md has no {begin}"))?;
    let (_, after) = rest
        .split_once(&end)
        .ok_or_else(|| format!("SCALE.md has no {end}"))?;
    Ok(format!("{before}{begin}\n{text}{end}{after}"))
}

fn marks(name: &str) -> (String, String) {
    (
        format!("<!-- {name}:begin -->"),
        format!("<!-- {name}:end -->"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/SCALE.md");
        fs::read_to_string(path).unwrap()
    }

    fn arguments(text: &str) -> Arguments {
        Arguments::parse_from(["scale"].into_iter().chain(text.split_whitespace()))
    }

    #[test]
    fn the_page_shows_what_the_command_prints() {
        // The job and a line of each of the other tables: all of them would take minutes without optimisation.
        let (page, p) = (page(), Parameters::default());
        let renewed = replaced(&page, "headline", &report::headline(&p)).unwrap();
        let hint = "docs/SCALE.md is old: make scale ARGS='--write docs'";
        assert!(renewed == page, "{hint}");
        for line in [
            report::size(&p, 1_024),
            report::variant(&p, "100 workers", "workers=100"),
        ] {
            assert!(page.contains(&line), "{hint}: {line}");
        }
        assert!(page.contains("](scale.svg)"));
    }

    #[test]
    fn the_model_is_of_the_state_machine_that_is_deployed() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sam/import_large.asl.json");
        let asl = fs::read_to_string(path).unwrap();
        let p = Parameters::default();
        let batches: Vec<&str> = asl
            .lines()
            .filter_map(|line| line.trim().strip_prefix("\"MaxItemsPerBatch\": "))
            .map(|batch| batch.trim_end_matches(','))
            .collect();
        assert_eq!(
            batches,
            [p.batch_scan, p.batch_import].map(|n| n.to_string())
        );
        let retry = format!(
            "\"IntervalSeconds\": {}, \"BackoffRate\": {}, \"MaxDelaySeconds\": {}, \"MaxAttempts\": {}, \
             \"JitterStrategy\": \"FULL\"",
            p.retry_seconds, p.retry_rate, p.retry_max_seconds, p.retry_attempts
        );
        assert!(asl.contains(&retry), "{retry}");
        // Only a holder that outlasts the invocation lets a retry take a dead worker's range over.
        assert_eq!(asl.contains("\"holder.$\""), p.takeover > 0.0);
    }

    #[test]
    fn arguments_are_understood() {
        let local = "--local workers=2 gigabytes=1 range_mib=64";
        let (text, _) = run(&arguments(local)).unwrap();
        assert!(text.contains("2 workers on 1.8 cores"), "{text}");
        for (wrong, error) in [
            ("workers=0", "more than 0"),
            ("nothing=1", "nothing: no such parameter"),
            ("--file /nowhere", "/nowhere: "),
        ] {
            let found = run(&arguments(wrong)).unwrap_err();
            assert!(found.contains(error), "{wrong}: {found}");
        }
    }

    #[test]
    fn a_run_that_is_none_is_refused() {
        for option in ["--measured", "--calibrate"] {
            let refused = Arguments::try_parse_from(["scale", option, "1:2:3:4:5", "1"]);
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("1: not workers:gigabytes:"), "{error}");
        }
    }

    #[test]
    fn blocks_are_replaced_and_nothing_else() {
        let page = "a\n<!-- x:begin -->\nold\n<!-- x:end -->\nb\n";
        let new = replaced(page, "x", "new\n").unwrap();
        assert_eq!(new, page.replace("old", "new"));
        assert!(replaced(page, "y", "").is_err());
    }
}
