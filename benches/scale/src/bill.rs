//! What a job costs, in USD.

use crate::aws;
use crate::job::Job;
use crate::outcome::Outcome;
use crate::parameters::Parameters;

/// States of the parent execution: plan, choices, both maps, compose, finish.
const PARENT_TRANSITIONS: f64 = 10.0;
/// Invocations besides those of the maps: plan, compose, finish.
const SINGLE_INVOCATIONS: f64 = 3.0;
/// Requests to S3 for a range that is opened: its head and the object's.
const OPEN_GETS: f64 = 2.0;
/// Reports of a range of the import.
const RANGE_PUTS: f64 = 2.0;
/// Writes of a range's item besides checkpoints: claimed and ended.
const RANGE_WRITES: f64 = 2.0;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bill {
    pub(crate) lambda: f64,
    pub(crate) step_functions: f64,
    pub(crate) s3: f64,
    /// `ImportJobs`, on demand.
    pub(crate) jobs: f64,
    /// The table's writes, on demand.
    pub(crate) table: f64,
    /// The same table provisioned for the whole hours that the import takes.
    pub(crate) provisioned: f64,
}

impl Bill {
    pub(crate) fn new(p: &Parameters, job: &Job) -> Self {
        let both = |of: &dyn Fn(&Outcome) -> f64| of(&job.scan) + of(&job.import);
        let ranges = job.import.finished.len() as f64;

        let single = job.plan_seconds + job.compose_seconds + job.finish_seconds;
        let gb_seconds = p.memory_mb / 1_024.0 * (both(&|stage| stage.lambda_seconds) + single);
        let requests = both(&|stage| stage.invocations as f64) + SINGLE_INVOCATIONS;

        let transitions = both(&|stage| stage.transitions as f64) + PARENT_TRANSITIONS;
        let express = both(&|stage| {
            let requests = if stage.express_seconds > 0.0 {
                stage.children as f64
            } else {
                0.0
            };
            requests * aws::EXPRESS_USD_PER_REQUEST
                + stage.express_seconds * aws::EXPRESS_GB * aws::EXPRESS_USD_PER_GB_SECOND
        });

        let read =
            job.scan.units + job.scan.twice + (job.import.units + job.import.twice) * p.row_bytes;
        let gets = read / (p.part_mib * 1_048_576.0)
            + both(&|stage| stage.opens as f64) * OPEN_GETS
            + ranges;
        let puts = ranges * (1.0 + RANGE_PUTS);

        let jobs_wru = (job.import.checkpoints as f64 + ranges * RANGE_WRITES) * p.checkpoint_wru;
        let table_wru = (job.import.units + job.import.twice) * p.row_wcu();
        let hours = (job.import.seconds() / 3_600.0).ceil();
        Self {
            lambda: gb_seconds * aws::LAMBDA_USD_PER_GB_SECOND
                + requests * aws::LAMBDA_USD_PER_REQUEST,
            step_functions: transitions * aws::STANDARD_USD_PER_TRANSITION + express,
            s3: gets * aws::S3_USD_PER_GET + puts * aws::S3_USD_PER_PUT,
            jobs: jobs_wru * aws::DYNAMODB_USD_PER_WRU,
            table: table_wru * aws::DYNAMODB_USD_PER_WRU,
            provisioned: p.table_wcu * hours * aws::DYNAMODB_USD_PER_WCU_HOUR,
        }
    }

    /// Everything but the table.
    pub(crate) fn engine(&self) -> f64 {
        self.lambda + self.step_functions + self.s3 + self.jobs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job;

    #[test]
    fn a_bill_is_what_the_formulas_say() {
        let p = Parameters::ideal()
            .with("gigabytes=4.8 range_mib=64 workers=10 table_wcu=100_000 memory_mb=1024 scan_express=1")
            .unwrap();
        let job = job::run(&p);
        let bill = Bill::new(&p, &job);
        // 10 million rows.
        assert!((bill.table - 6.25).abs() < 1e-9);
        assert!((bill.provisioned - 65.0).abs() < 1e-9);
        // The import takes 102 s, and ten workers wait for the table all the time.
        let least = 10.0 * 1e7 / 97_800.0 * aws::LAMBDA_USD_PER_GB_SECOND;
        assert!(bill.lambda > least && bill.lambda < least * 1.3, "{bill:?}");
        // 72 ranges, each a child of the import of four transitions.
        let transitions = 72.0 * 4.0 + PARENT_TRANSITIONS;
        let standard = transitions * aws::STANDARD_USD_PER_TRANSITION;
        assert!(bill.step_functions > standard && bill.step_functions < standard * 1.1);
        assert!(bill.engine() < bill.table);
    }
}
