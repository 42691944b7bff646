//! `intake doctor`: whether a deployment works, and if not, why not, in the words of the AWS inventory lab.
//!
//! ```text
//! gather (AWS, reads only) ─▶ facts ─▶ checks (pure) ─▶ findings ─▶ text or JSON, exit code
//! ```
//!
//! Only `gather` calls AWS, and only to read.

pub mod checks;
pub mod facts;
pub mod finding;
pub mod gather;
mod policy;
mod signed;

use std::io::{self, Write};

use aws_config::SdkConfig;

use self::facts::Facts;
use self::finding::{Finding, Level};
use self::gather::Fallback;
use crate::args::DoctorArgs;
use crate::terminal::{Failure, Outcome, Output, harmless_json};

/// Checks a deployment and prints what is wrong with it.
///
/// # Errors
///
/// There are no credentials, or they are refused.
pub async fn run(
    args: &DoctorArgs,
    config: &SdkConfig,
    fallback: Fallback,
) -> Result<Outcome, Failure> {
    // Boxed: a dozen clients' calls are one large future.
    let facts = Box::pin(gather::facts(args, config, fallback)).await?;
    let findings = checks::all(&facts);
    let mut out = Output::new();
    if args.json {
        for finding in &findings {
            // Strings and small numbers under string names are JSON.
            let line = serde_json::to_string(finding).map_err(io::Error::from)?;
            let line = harmless_json(&line);
            writeln!(out, "{line}")?;
        }
    } else {
        for finding in &findings {
            writeln!(out, "{finding}")?;
        }
        writeln!(out, "{}", summary(&facts, &findings))?;
    }
    Ok(outcome(&findings))
}

fn outcome(findings: &[Finding]) -> Outcome {
    let has = |level| findings.iter().any(|finding| finding.level == level);
    if has(Level::Wrong) {
        Outcome::Failed
    } else if has(Level::Unchecked) {
        Outcome::Unchecked
    } else {
        Outcome::Complete
    }
}

/// One line: what was looked at, and what came of it.
fn summary(facts: &Facts, findings: &[Finding]) -> String {
    let count = |level| {
        findings
            .iter()
            .filter(|finding| finding.level == level)
            .count()
    };
    let (wrong, unchecked) = (count(Level::Wrong), count(Level::Unchecked));
    let mut looked_at = Vec::new();
    if let Some(bucket) = &facts.bucket {
        looked_at.push(format!("bucket {}", bucket.name));
    }
    if let Some(queue) = &facts.queue {
        let name = queue.name.rsplit('/').next().unwrap_or_default();
        looked_at.push(format!("queue {name}"));
    }
    looked_at.push(format!("function {}", facts.importer.name));
    looked_at.push(format!(
        "tables {} and {}",
        facts.table.name, facts.jobs_table.name
    ));
    if let Some(notifier) = &facts.notifier {
        looked_at.push(format!("function {}", notifier.name));
    }
    if let Some(topic) = &facts.topic {
        let name = topic.name.rsplit(':').next().unwrap_or_default();
        looked_at.push(format!("topic {name}"));
    }
    let looked_at = looked_at.join(", ");
    match (wrong, unchecked) {
        (0, 0) => format!("nothing wrong: {looked_at}"),
        (0, unchecked) => {
            format!("{unchecked} not checked, nothing wrong with the rest: {looked_at}")
        }
        (wrong, 0) => format!("{wrong} wrong: {looked_at}"),
        (wrong, unchecked) => format!("{wrong} wrong, {unchecked} not checked: {looked_at}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_checked_is_never_healthy() {
        let (wrong, note) = (Finding::wrong("a", ""), Finding::note("b", ""));
        let unchecked = Finding::unchecked("c", "");
        for (findings, expected) in [
            (vec![], Outcome::Complete),
            (vec![note.clone()], Outcome::Complete),
            (vec![note, unchecked.clone()], Outcome::Unchecked),
            (vec![unchecked, wrong], Outcome::Failed),
        ] {
            assert_eq!(outcome(&findings), expected, "{findings:?}");
        }
    }
}
