//! The table's side of capacity: token buckets, and who gets what. Pure: time comes from the caller.

use std::collections::VecDeque;
use std::time::Duration;

use super::plan::{CapacityPlan, Mode, OtherTraffic};
use super::write_log::WriteLog;

/// WCU a second that one partition takes.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html>
pub const PARTITION_WCU: u32 = 1_000;

/// WCU a second that a new on-demand table takes.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html#on-demand-capacity-mode-initial>
pub const ON_DEMAND_INITIAL_WCU: u32 = 4_000;

/// How many times its previous peak an on-demand table takes at once.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html#on-demand-capacity-mode-initial>
const ON_DEMAND_PEAK_FACTOR: f64 = 2.0;

/// A token bucket of WCU.
#[derive(Debug, Clone)]
struct Bucket {
    wcu_per_second: f64,
    depth_wcu: f64,
    wcu: f64,
    refilled_at: Duration,
}

impl Bucket {
    fn new(wcu_per_second: f64, burst: Duration, filled: f64) -> Self {
        let depth_wcu = wcu_per_second * burst.as_secs_f64();
        Self {
            wcu_per_second,
            depth_wcu,
            wcu: depth_wcu * filled,
            refilled_at: Duration::ZERO,
        }
    }

    fn refill(&mut self, now: Duration) {
        let elapsed = now.saturating_sub(self.refilled_at).as_secs_f64();
        self.refilled_at = self.refilled_at.max(now);
        self.wcu = (self.wcu + elapsed * self.wcu_per_second).min(self.depth_wcu);
    }

    /// Whether `wcu` may be taken. An item larger than the bucket is taken by a full one, which then owes the rest: else
    /// it could never be written.
    fn has(&self, wcu: f64) -> bool {
        self.wcu >= wcu.min(self.depth_wcu)
    }
}

/// One item of a write request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemCost {
    /// What writing it costs.
    pub wcu: u32,
    /// Hash of its partition key, which picks its partition.
    pub partition_hash: u64,
}

/// What a table does with a write request.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// For each item whether it is written.
    pub accepted: Vec<bool>,
    /// The exception that a request gets of which nothing was written.
    pub exception: Option<&'static str>,
    /// WCU of what was written.
    pub consumed_wcu: u32,
}

/// A table's capacity at work.
#[derive(Debug)]
pub struct TableCapacity {
    mode: Mode,
    table: Bucket,
    partitions: Vec<Bucket>,
    others: Vec<Others>,
    /// WCU accepted in the second that began at the given time, for the peaks of an on-demand table.
    second: (Duration, f64),
    peak_wcu: f64,
    adapted_at: Duration,
    rng: fastrand::Rng,
    log: WriteLog,
}

/// A load that other clients put on the table, one WCU at a time.
#[derive(Debug)]
struct Others {
    load: OtherTraffic,
    next_at: Duration,
}

impl TableCapacity {
    /// A table as `plan` says, at time 0.
    pub fn new(plan: &CapacityPlan) -> Self {
        let wcu_per_second = match plan.mode {
            Mode::Provisioned { wcu } => f64::from(wcu),
            Mode::OnDemand {
                previous_peak_wcu, ..
            } => (ON_DEMAND_PEAK_FACTOR * f64::from(previous_peak_wcu))
                .max(f64::from(ON_DEMAND_INITIAL_WCU)),
        };
        let partition = Bucket::new(f64::from(PARTITION_WCU), plan.burst, plan.burst_filled);
        let others = plan.others.iter().map(|&load| Others {
            load,
            next_at: load.from,
        });
        Self {
            mode: plan.mode,
            table: Bucket::new(wcu_per_second, plan.burst, plan.burst_filled),
            partitions: vec![partition; plan.partitions],
            others: others.collect(),
            second: (Duration::ZERO, 0.0),
            peak_wcu: 0.0,
            adapted_at: Duration::ZERO,
            rng: fastrand::Rng::with_seed(plan.seed),
            log: WriteLog::default(),
        }
    }

    /// Decides on a request that arrives at `now`, each item on its own and in order.
    ///
    /// Nothing written at all is an exception: `ProvisionedThroughputExceededException` if it was the capacity of a
    /// provisioned table that did not suffice, else `ThrottlingException`.
    ///
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
    pub fn write(&mut self, now: Duration, items: &[ItemCost]) -> Verdict {
        self.advance(now);
        let mut verdict = Verdict {
            accepted: Vec::with_capacity(items.len()),
            exception: None,
            consumed_wcu: 0,
        };
        let mut throttled = 0;
        let mut table_was_short = false;
        for item in items {
            let wcu = f64::from(item.wcu);
            let count = self.partitions.len() as u64;
            let index = item.partition_hash.checked_rem(count).unwrap_or(0) as usize;
            let partition = self.partitions.get_mut(index);
            let table_has = self.table.has(wcu);
            let accepted = table_has && partition.as_ref().is_none_or(|bucket| bucket.has(wcu));
            if accepted {
                self.table.wcu -= wcu;
                if let Some(partition) = partition {
                    partition.wcu -= wcu;
                }
                self.second.1 += wcu;
                verdict.consumed_wcu += item.wcu;
            } else {
                throttled += item.wcu;
                table_was_short |= !table_has;
            }
            verdict.accepted.push(accepted);
        }
        if !items.is_empty() && !verdict.accepted.contains(&true) {
            let provisioned = matches!(self.mode, Mode::Provisioned { .. });
            verdict.exception = Some(if provisioned && table_was_short {
                "ProvisionedThroughputExceededException"
            } else {
                "ThrottlingException"
            });
        }
        self.log.record(
            now,
            verdict.consumed_wcu,
            throttled,
            verdict
                .accepted
                .iter()
                .filter(|&&accepted| accepted)
                .count() as u32,
            items.len() as u32,
        );
        verdict
    }

    /// What was written and throttled so far.
    pub fn write_log(&self) -> &WriteLog {
        &self.log
    }

    /// WCU a second that the table takes now, bursts aside.
    pub fn wcu_per_second(&self) -> f64 {
        self.table.wcu_per_second
    }

    /// Lets the time until `now` pass: buckets refill, other clients write.
    fn advance(&mut self, now: Duration) {
        let mut due = VecDeque::new();
        for others in &mut self.others {
            while others.next_at <= now.min(others.load.until) && others.load.wcu_per_second > 0 {
                due.push_back(others.next_at);
                // Exponential gaps: independent clients.
                let gap = -(1.0 - self.rng.f64()).ln() / f64::from(others.load.wcu_per_second);
                others.next_at += Duration::from_secs_f64(gap.max(1e-9));
            }
        }
        due.make_contiguous().sort_unstable();
        for at in due {
            self.refill(at);
            let has = self.table.has(1.0);
            if has {
                self.table.wcu -= 1.0;
                self.second.1 += 1.0;
            }
            self.log.record_other(has);
        }
        self.refill(now);
    }

    fn refill(&mut self, now: Duration) {
        if let Mode::OnDemand { adapts_every, .. } = self.mode {
            if now >= self.second.0 + Duration::from_secs(1) {
                self.peak_wcu = self.peak_wcu.max(self.second.1);
                self.second = (now, 0.0);
            }
            if now >= self.adapted_at + adapts_every {
                self.adapted_at = now;
                self.table.refill(now);
                let burst_seconds = self.table.depth_wcu / self.table.wcu_per_second;
                let next = (ON_DEMAND_PEAK_FACTOR * self.peak_wcu).max(self.table.wcu_per_second);
                self.table.wcu_per_second = next;
                self.table.depth_wcu = next * burst_seconds;
            }
        }
        self.table.refill(now);
        for partition in &mut self.partitions {
            partition.refill(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALWAYS: (Duration, Duration) = (Duration::ZERO, Duration::MAX);

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn items(count: usize, wcu: u32) -> Vec<ItemCost> {
        let item = |partition_hash| ItemCost {
            wcu,
            partition_hash,
        };
        (0..count as u64).map(item).collect()
    }

    /// What a table accepts of more than it can take, in WCU a second.
    fn accepts(plan: &CapacityPlan, from: f64, until: f64) -> f64 {
        let mut table = TableCapacity::new(plan);
        let mut now = Duration::ZERO;
        while now < seconds(until) {
            table.write(now, &items(25, 4));
            now += Duration::from_millis(1);
        }
        let log = table.write_log();
        log.accepted_wcu(seconds(from), seconds(until)) as f64 / (until - from)
    }

    proptest! {
        #[test]
        fn no_interval_has_more_than_its_refill_and_the_burst(
            requests in prop::collection::vec((0_u64..300_000, 1_usize..=25, 1_u32..=50), 1..300),
            wcu in 50_u32..5_000,
            burst in 1_u64..20,
            filled in 0.0_f64..=1.0,
            partitions in 0_usize..4,
        ) {
            let plan = CapacityPlan {
                burst: Duration::from_secs(burst),
                burst_filled: filled,
                partitions,
                ..CapacityPlan::provisioned(wcu)
            };
            let mut table = TableCapacity::new(&plan);
            let mut at = 0;
            let mut accepted = Vec::new();
            for (gap, count, row_wcu) in requests {
                at += gap;
                let now = Duration::from_micros(at);
                accepted.push((now, table.write(now, &items(count, row_wcu)).consumed_wcu));
            }
            let depth = f64::from(wcu) * burst as f64;
            for first in 0..accepted.len() {
                let mut sum = 0.0;
                for (at, consumed) in &accepted[first..] {
                    sum += f64::from(*consumed);
                    let refill = at.saturating_sub(accepted[first].0).as_secs_f64() * f64::from(wcu);
                    prop_assert!(sum <= depth + refill + 1e-6, "{sum} in {refill} and {depth}");
                }
            }
        }
    }

    #[test]
    fn the_capacity_is_what_can_be_used_of_it() {
        let burst = |seconds, burst_filled| CapacityPlan {
            burst: Duration::from_secs(seconds),
            burst_filled,
            ..CapacityPlan::provisioned(4_000)
        };
        for (plan, expected) in [
            (CapacityPlan::provisioned(4_000), 4_000.0),
            (burst(300, 0.0), 4_000.0),
            // 300 s saved are far more than ten seconds of requests can use.
            (burst(300, 1.0), 100_000.0),
            (burst(5, 1.0), 6_000.0),
        ] {
            let found = accepts(&plan, 0.0, 10.0);
            assert!(
                (found - expected).abs() <= 0.01 * expected,
                "{found} and not {expected}"
            );
        }
    }

    #[test]
    fn a_partition_is_a_limit_of_its_own() {
        let plan = CapacityPlan {
            partitions: 10,
            ..CapacityPlan::provisioned(40_000)
        };
        let mut table = TableCapacity::new(&plan);
        let hot = ItemCost {
            wcu: 1,
            partition_hash: 13,
        };
        let mut exceptions = Vec::new();
        // At 0 the table has nothing either.
        for millisecond in 1..10_000 {
            let verdict = table.write(Duration::from_millis(millisecond), &[hot; 25]);
            exceptions.extend(verdict.exception);
        }
        let found = table.write_log().accepted_wcu(ALWAYS.0, ALWAYS.1);
        assert!((9_900..=10_000).contains(&found), "{found}");
        let verdict = table.write(seconds(10.0), &[hot, hot]);
        assert_eq!(verdict.accepted, [true, false]);
        assert_eq!(
            table.write(seconds(10.0), &[hot]).exception,
            Some("ThrottlingException")
        );
        assert!(
            exceptions
                .iter()
                .all(|&exception| exception == "ThrottlingException")
        );
    }

    #[test]
    fn nothing_written_is_an_exception() {
        let plan = CapacityPlan {
            burst_filled: 1.0,
            ..CapacityPlan::provisioned(10)
        };
        let mut table = TableCapacity::new(&plan);
        assert_eq!(table.write(Duration::ZERO, &items(9, 1)).exception, None);
        let verdict = table.write(Duration::ZERO, &items(3, 1));
        assert_eq!(
            (verdict.accepted, verdict.consumed_wcu),
            (vec![true, false, false], 1)
        );
        assert_eq!(
            table.write(Duration::ZERO, &items(3, 1)).exception,
            Some("ProvisionedThroughputExceededException")
        );
    }

    #[test]
    fn an_item_larger_than_the_bucket_is_written_and_owed() {
        let mut table = TableCapacity::new(&CapacityPlan::provisioned(10));
        assert_eq!(table.write(seconds(0.9), &items(1, 40)).consumed_wcu, 0);
        assert_eq!(table.write(seconds(1.0), &items(1, 40)).consumed_wcu, 40);
        assert_eq!(table.write(seconds(4.0), &items(1, 1)).consumed_wcu, 0);
        assert_eq!(table.write(seconds(4.2), &items(1, 1)).consumed_wcu, 1);
    }

    #[test]
    fn an_on_demand_table_takes_twice_its_peak() {
        let on_demand = |previous_peak_wcu, adapts_every| CapacityPlan {
            mode: Mode::OnDemand {
                previous_peak_wcu,
                adapts_every: seconds(adapts_every),
            },
            ..CapacityPlan::provisioned(1)
        };
        for (plan, from, until, expected) in [
            (on_demand(0, 1800.0), 2.0, 10.0, 4_000.0),
            (on_demand(5_000, 1800.0), 2.0, 10.0, 10_000.0),
            (on_demand(0, 10.0), 12.0, 19.0, 8_000.0),
            (on_demand(0, 10.0), 22.0, 29.0, 16_000.0),
        ] {
            let found = accepts(&plan, from, until);
            assert!(
                (found - expected).abs() <= 0.05 * expected,
                "{found} and not {expected}"
            );
        }
        let mut table = TableCapacity::new(&on_demand(0, 1800.0));
        assert_eq!(
            table.write(Duration::ZERO, &items(1, 1)).exception,
            Some("ThrottlingException")
        );
    }

    #[test]
    fn other_clients_take_their_part() {
        let plan = CapacityPlan {
            others: vec![OtherTraffic {
                from: seconds(2.0),
                until: seconds(4.0),
                wcu_per_second: 1_000,
            }],
            ..CapacityPlan::provisioned(4_000)
        };
        for (from, until, expected) in [
            (0.0, 2.0, 4_000.0),
            (2.0, 4.0, 3_000.0),
            (4.0, 6.0, 4_000.0),
        ] {
            let found = accepts(&plan, from, until);
            assert!(
                (found - expected).abs() <= 0.1 * expected,
                "{found} and not {expected}"
            );
        }
        let mut alone = TableCapacity::new(&plan);
        alone.write(seconds(10.0), &[]);
        let others = alone.write_log().others();
        assert!(
            (1_800..2_200).contains(&others.all) && others.throttled == 0,
            "{others:?}"
        );
    }
}
