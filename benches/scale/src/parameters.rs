//! What a simulation is given: `name=value`, in arguments or in a file.

use std::fmt::Write as _;

/// Seconds in which an importer saves how far it is (`INTAKE_CHECKPOINT_SECONDS`).
const CHECKPOINT_SECONDS: f64 = 3.0;

macro_rules! parameters {
    ($($group:literal { $($name:ident = $default:expr, $text:literal;)* })*) => {
        /// All parameters; each is a number, and what it is stands below and in `--help`.
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) struct Parameters {
            $($(pub(crate) $name: f64,)*)*
        }

        impl Default for Parameters {
            fn default() -> Self {
                Self { $($($name: $default,)*)* }
            }
        }

        impl Parameters {
            fn field(&mut self, name: &str) -> Option<&mut f64> {
                match name {
                    $($(stringify!($name) => Some(&mut self.$name),)*)*
                    _ => None,
                }
            }

            /// A line for each parameter: its name, its default and what it is.
            pub(crate) fn list() -> String {
                let mut list = String::new();
                $(
                    // Writing to a String does not fail.
                    writeln!(list, "\n{}", $group).ok();
                    $(writeln!(list, "  {:<24} {:>12}  {}", stringify!($name), $default, $text).ok();)*
                )*
                list
            }
        }
    };
}

parameters! {
    "the job" {
        gigabytes = 1_000.0, "size of the file, in 10^9 bytes";
        range_mib = 256.0, "size of a range (INTAKE_RANGE_BYTES, --range-size)";
        row_bytes = 480.0, "a row in the file: a catalog row (docs/BENCHMARKS.md)";
        item_bytes = 400.0, "a row in the table, which its WCU are counted by";
        request_row_bytes = 700.0, "a row in a request: DynamoDB JSON";
        workers = 1_000.0, "MaxConcurrency, or processes with --local";
        batch_scan = 1.0, "ranges that a child execution scans (ItemBatcher)";
        batch_import = 1.0, "ranges that a child execution imports";
        files = 1.0, "large files at once in the account: each has a Map Run open";
        seed = 1.0, "of everything random";
    }
    "the table" {
        table_wcu = 1_000_000.0, "WCU a second";
        used_of_cap = 0.978, "of its cap that the importer uses (docs/BENCHMARKS.md: --max-wcu)";
        partitions = 1_000.0, "of the table, at least table_wcu / 1,000; 0: without their limits";
        skew = 0.0, "standard deviation of the partitions' shares, as a share of the mean";
        hot_percent = 0.0, "rows that go to one partition beyond its even share";
        equal_shares = 0.0, "1: a worker never gets more than cap / workers";
        share_ms = 2_500.0, "between two looks of a worker at what others hold of the cap";
        share_quiet_ms = 1_100.0, "that a returned share is not used";
        share_lease_seconds = 45.0, "until a dead worker's share is another's: a lease of 30 s, and half a round until it is seen";
    }
    "a worker" {
        memory_mb = 512.0, "of the function, which is CPU, too (the template's default)";
        row_ns = 2_780.0, "CPU of a row (docs/BENCHMARKS.md)";
        tls_ns = 640.0, "more of it with TLS, which --local has not (docs/BENCHMARKS.md)";
        serial_row_ns = 2_500.0, "of it on the thread that can be only one";
        scan_gb_s = 1.0, "10^9 bytes a second that a core scans (the least that issue 8 demands of JSON)";
        network_mb_s = 75.0, "10^6 bytes a second of a Lambda function (AWS states none; measured by others: 50 to 90)";
        part_mib = 4.0, "of the object, in one GET request";
        parts = 4.0, "requests at once";
        lanes = 16.0, "requests to DynamoDB at once";
        write_ms = 10.0, "BatchWriteItem, with its way";
        checkpoint_seconds = CHECKPOINT_SECONDS, "between checkpoints of the import";
        checkpoint_wru = 2.0, "of a checkpoint: an item of at most 2 KB";
        open_ms = 60.0, "to claim a range and find its first row, besides one GET";
        close_ms = 60.0, "to save that a range has ended, and its summary";
    }
    "what goes wrong" {
        slow_percent = 5.0, "invocations that are slow, in CPU and network";
        slow_factor = 8.0, "how much slower at the most: 2 to this, more often little than much";
        crash_percent = 1.0, "invocations that crash, at any time of what they were to take";
        takeover = 1.0, "1: a retry takes a dead worker's range at once; 0: when the worker's invocation would have ended";
        retry_seconds = 2.0, "Retry: IntervalSeconds";
        retry_rate = 2.0, "Retry: BackoffRate";
        retry_max_seconds = 300.0, "Retry: MaxDelaySeconds; the jitter is FULL";
        retry_attempts = 20.0, "Retry: MaxAttempts, of one invocation";
    }
    "Lambda, Step Functions, S3" {
        concurrency = 1_000.0, "of the account that is left for this function";
        cold_ms = 250.0, "an environment's start";
        warm_ms = 20.0, "an invocation of one that is there";
        margin_seconds = 35.0, "before Lambda's time limit that a worker stops";
        map_start_seconds = 3.0, "a Map Run, until it has read its items";
        state_ms = 30.0, "from one state to the next";
        transitions_second = 5_000.0, "StateTransition of Standard workflows; 800 in eu-central-1";
        scan_express = 0.0, "1: children of the scan are Express workflows";
        s3_first_ms = 100.0, "the shortest first byte; the longest is twice that";
        plan_seconds = 1.0, "the step plan, besides its start";
        gather_parallel = 32.0, "objects or items that compose and finish read at once";
        gather_ms = 40.0, "one of them";
    }
    "--local" {
        alone_cores = 1.6, "that one worker and the sink keep busy, the kernel's part included";
        several_cores = 1.8, "that several workers and the sink keep busy";
        scan_byte_ns = 1.9, "CPU of all to read and scan a byte";
        local_row_ns = 5_500.0, "CPU of all for a row";
        fixed_ms = 500.0, "start, plan, compose, finish, and what is lost while the rate climbs at the beginning";
        local_open_ms = 6.0, "opening and closing a range: a run with 128 of them against one with 4";
    }
}

impl Parameters {
    /// Sets one of `name=value`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn set(&mut self, assignment: &str) -> Result<(), String> {
        let (name, value) = assignment
            .split_once('=')
            .ok_or_else(|| format!("{assignment}: not name=value"))?;
        let number: f64 = value
            .trim()
            .replace('_', "")
            .parse()
            .map_err(|_| format!("{assignment}: not a number"))?;
        if !number.is_finite() || number < 0.0 {
            return Err(format!("{assignment}: not a number from 0"));
        }
        let field = self
            .field(name.trim())
            .ok_or_else(|| format!("{name}: no such parameter"))?;
        *field = number;
        Ok(())
    }

    /// Sets those of a file: one a line, `#` begins a comment.
    ///
    /// # Errors
    ///
    /// What is wrong with the first one that is.
    pub(crate) fn set_all(&mut self, text: &str) -> Result<(), String> {
        text.lines()
            .map(|line| line.split('#').next().unwrap_or_default().trim())
            .filter(|line| !line.is_empty())
            .try_for_each(|line| self.set(line))
    }

    /// With these set.
    ///
    /// # Errors
    ///
    /// As of [`Parameters::set`].
    pub(crate) fn with(&self, assignments: &str) -> Result<Self, String> {
        let mut parameters = self.clone();
        assignments
            .split_whitespace()
            .try_for_each(|assignment| parameters.set(assignment))?;
        Ok(parameters)
    }

    /// Nothing goes wrong, and nothing but the work takes time.
    #[cfg(test)]
    pub(crate) fn ideal() -> Self {
        Self::default()
            .with(
                "slow_percent=0 crash_percent=0 open_ms=0 close_ms=0 s3_first_ms=0 cold_ms=0 warm_ms=0 state_ms=0 \
                 share_quiet_ms=0 share_ms=1000 batch_scan=1 map_start_seconds=0 plan_seconds=0 gather_ms=0 transitions_second=1e12 partitions=0",
            )
            .unwrap()
    }

    /// Without stragglers, crashes and uneven partitions.
    pub(crate) fn without_faults(&self) -> Self {
        Self {
            slow_percent: 0.0,
            crash_percent: 0.0,
            skew: 0.0,
            hot_percent: 0.0,
            ..self.clone()
        }
    }

    /// Bytes of each range, in order.
    pub(crate) fn ranges(&self) -> Vec<f64> {
        let bytes = self.gigabytes * 1e9;
        let range = (self.range_mib * 1_048_576.0).max(1.0);
        let whole = (bytes / range).floor() as usize;
        let rest = bytes - whole as f64 * range;
        let mut ranges = vec![range; whole];
        if rest >= 1.0 {
            ranges.push(rest);
        }
        ranges
    }

    /// Rows of the file.
    pub(crate) fn rows(&self) -> f64 {
        self.gigabytes * 1e9 / self.row_bytes
    }

    /// WCU that a row takes.
    pub(crate) fn row_wcu(&self) -> f64 {
        (self.item_bytes / crate::aws::WCU_BYTES).ceil().max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_checked() {
        let mut parameters = Parameters::default();
        for (assignment, error) in [
            ("workers", "workers: not name=value"),
            ("wrokers=4", "wrokers: no such parameter"),
            ("workers=four", "workers=four: not a number"),
            ("workers=-4", "workers=-4: not a number from 0"),
            ("workers=inf", "workers=inf: not a number from 0"),
        ] {
            assert_eq!(parameters.set(assignment), Err(error.to_owned()));
        }
        parameters
            .set_all("# measured\nworkers = 4 # processes\n\ntable_wcu=1_000\n")
            .unwrap();
        assert!((parameters.workers - 4.0).abs() < 1e-9);
        assert!((parameters.table_wcu - 1_000.0).abs() < 1e-9);
        assert!(Parameters::list().contains("MaxConcurrency"));
    }

    #[test]
    fn ranges_are_the_whole_file() {
        for (gigabytes, range_mib, count) in [
            ("0", "256", 0),
            ("0.001", "256", 1),
            ("1", "256", 4),
            ("1.073741824", "256", 4),
            ("1000", "256", 3_726),
        ] {
            let parameters = Parameters::default()
                .with(&format!("gigabytes={gigabytes} range_mib={range_mib}"))
                .unwrap();
            let ranges = parameters.ranges();
            assert_eq!(ranges.len(), count);
            let sum: f64 = ranges.iter().sum();
            assert!((sum - parameters.gigabytes * 1e9).abs() < 1.0);
        }
    }
}
