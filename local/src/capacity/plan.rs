use std::time::Duration;

/// How much a table takes, and how it is reached.
#[derive(Debug, Clone, PartialEq)]
pub struct CapacityPlan {
    /// How the table's capacity is set.
    pub mode: Mode,
    /// How long unused capacity is kept for bursts, of the table and of each partition: DynamoDB keeps up to
    /// [300 seconds](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/burst-adaptive-capacity.html).
    /// Capacity is a figure of whole seconds, so less than one second is not realistic.
    pub burst: Duration,
    /// How much of it is there at the beginning, 0 to 1.
    pub burst_filled: f64,
    /// Partitions, each with [`PARTITION_WCU`](super::PARTITION_WCU); 0 for no limit but the table's. Keys are hashed to
    /// them, and none is split for its heat.
    pub partitions: usize,
    /// How long requests take.
    pub latency: Latency,
    /// What other clients write.
    pub others: Vec<OtherTraffic>,
    /// Seed of all that is random.
    pub seed: u64,
}

impl CapacityPlan {
    /// A provisioned table of `wcu` that has no unused capacity to begin with and keeps a second's, without partitions,
    /// other traffic or latency.
    pub fn provisioned(wcu: u32) -> Self {
        Self {
            mode: Mode::Provisioned { wcu },
            burst: Duration::from_secs(1),
            burst_filled: 0.0,
            partitions: 0,
            latency: Latency::default(),
            others: Vec::new(),
            seed: 0,
        }
    }
}

/// How a table's capacity is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// At a fixed rate.
    Provisioned {
        /// WCU a second.
        wcu: u32,
    },
    /// By its traffic: twice its previous peak, and at least what a new table takes.
    OnDemand {
        /// The most that a second had before; 0 for a new table.
        previous_peak_wcu: u32,
        /// How often the peak is looked at again: traffic may double in
        /// [30 minutes](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html#on-demand-capacity-mode-initial).
        adapts_every: Duration,
    },
}

/// How long a request is on its way: half before the table decides, half after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    /// At the least.
    pub base: Duration,
    /// Up to this much more, evenly distributed.
    pub jitter: Duration,
}

impl Latency {
    /// One way of a request, given a random number from 0 to 1.
    pub fn one_way(self, random: f64) -> Duration {
        (self.base + self.jitter.mul_f64(random)) / 2
    }
}

/// Writes of one WCU each by other clients, at random moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherTraffic {
    /// When they begin.
    pub from: Duration,
    /// When they end.
    pub until: Duration,
    /// How many a second.
    pub wcu_per_second: u32,
}
