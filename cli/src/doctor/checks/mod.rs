//! What follows from the facts: each file looks at one part of a deployment and says what is wrong with it.
//!
//! Nothing here asks AWS or prints.

mod function;
mod mapping;
mod permission;
mod queue;
mod table;
mod topic;
mod trigger;

use super::facts::Facts;
use super::finding::{Finding, Level};

/// Everything that is wrong, what is wrong for certain first; within that, on the way of a file through the deployment.
pub fn all(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    trigger::check(facts, &mut findings);
    queue::check(facts, &mut findings);
    function::check_importer(facts, &mut findings);
    table::check(facts, &mut findings);
    function::check_notifier(facts, &mut findings);
    topic::check(facts, &mut findings);
    permission::check(facts, &mut findings);
    findings.sort_by_key(|finding| match finding.level {
        Level::Wrong => 0,
        Level::Unchecked => 1,
        Level::Note => 2,
    });
    findings
}

#[cfg(test)]
mod tests;
