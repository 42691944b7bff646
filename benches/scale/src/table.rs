//! A table of partitions, each of which takes so many WCU a second whatever the others do.
//!
//! A simple model of throttling: in each step of time the rows that are sent fall on the partitions by chance. What a
//! partition cannot take waits in the lanes of the workers and is sent again in the next step; when the lanes are full,
//! workers wait. So one hot partition slows everything, as it does in the importer: a lane goes on only when all rows of its
//! batch are written.

use crate::aws::PARTITION_WCU;

#[derive(Debug)]
pub(crate) struct Table {
    random: fastrand::Rng,
    row_wcu: f64,
    /// Each partition's share of the rows.
    shares: Vec<f64>,
    /// Rows of each partition that came back.
    waiting: Vec<f64>,
    /// Rows that the lanes of all workers can hold.
    lanes_rows: f64,
    throttled_rows: f64,
    most_wcu: f64,
}

impl Table {
    /// `skew` is the standard deviation of the shares in units of their mean, `hot` the share of rows that one partition
    /// gets beyond its own.
    pub(crate) fn new(
        partitions: usize,
        skew: f64,
        hot: f64,
        lanes_rows: f64,
        row_wcu: f64,
        seed: u64,
    ) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut shares: Vec<f64> = (0..partitions.max(1))
            .map(|_| (1.0 + skew * normal(&mut random)).max(0.0))
            .collect();
        let sum: f64 = shares.iter().sum();
        for share in &mut shares {
            *share *= (1.0 - hot) / sum;
        }
        shares[0] += hot;
        Self {
            random,
            row_wcu,
            waiting: vec![0.0; shares.len()],
            shares,
            lanes_rows,
            throttled_rows: 0.0,
            most_wcu: 0.0,
        }
    }

    /// Sends `rows` in `seconds`, and says how many rows are written: new ones and some that waited.
    pub(crate) fn write(&mut self, rows: f64, seconds: f64) -> f64 {
        let most = PARTITION_WCU / self.row_wcu * seconds;
        let sent = self.sent(rows, most);
        let (mut written, mut came_back) = (0.0, 0.0);
        for (share, waiting) in self.shares.iter().zip(&mut self.waiting) {
            let mean = sent * share;
            // Poisson, as good as normal for the hundreds of rows that it is here.
            let arrived = (mean + mean.sqrt() * normal(&mut self.random)).max(0.0);
            let wanted = *waiting + arrived;
            let taken = wanted.min(most);
            self.most_wcu = self.most_wcu.max(taken * self.row_wcu / seconds);
            written += taken;
            *waiting = wanted - taken;
            came_back += (arrived - taken).clamp(0.0, *waiting);
        }
        self.throttled_rows += came_back;
        written
    }

    /// How many of `rows` can be sent without more rows waiting than there is room for in the lanes.
    fn sent(&self, rows: f64, most: f64) -> f64 {
        let would_wait = |sent: f64| -> f64 {
            let partitions = self.shares.iter().zip(&self.waiting);
            partitions
                .map(|(share, waiting)| (waiting + sent * share - most).max(0.0))
                .sum()
        };
        if would_wait(rows) <= self.lanes_rows {
            return rows;
        }
        let (mut few, mut many) = (0.0, rows);
        for _ in 0..20 {
            let sent = f64::midpoint(few, many);
            if would_wait(sent) <= self.lanes_rows {
                few = sent;
            } else {
                many = sent;
            }
        }
        few
    }

    /// Rows that came back at least once.
    pub(crate) fn throttled_rows(&self) -> f64 {
        self.throttled_rows
    }

    /// The most WCU a second that any partition took.
    #[cfg(test)]
    pub(crate) fn most_wcu(&self) -> f64 {
        self.most_wcu
    }
}

/// A normally distributed number, as good as the sum of twelve evenly distributed ones: only additions, so that every machine
/// computes the same, which it does not of logarithms.
fn normal(random: &mut fastrand::Rng) -> f64 {
    (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows a second that get written when `rows` a second are sent for two minutes.
    fn written(table: &mut Table, rows: f64) -> f64 {
        (0..120).map(|_| table.write(rows, 1.0)).sum::<f64>() / 120.0
    }

    #[test]
    fn partitions_with_room_take_everything() {
        let mut table = Table::new(100, 0.0, 0.0, 1e6, 1.0, 1);
        let rate = written(&mut table, 80_000.0);
        assert!((rate / 80_000.0 - 1.0).abs() < 0.01, "{rate}");
        assert!(table.throttled_rows() < 1.0);
    }

    #[test]
    fn no_partition_takes_more_than_its_limit() {
        let mut table = Table::new(100, 0.2, 0.0, 1e6, 2.0, 1);
        let rate = written(&mut table, 80_000.0);
        assert!(rate <= 50_000.0);
        assert!(table.throttled_rows() > 0.0);
        assert!(table.most_wcu() <= PARTITION_WCU + 1e-6);
    }

    #[test]
    fn a_hot_partition_slows_everything_once_the_lanes_are_full() {
        // It gets 2% of the rows, and 1,000 a second are 2% of 50,000.
        let mut table = Table::new(10_000, 0.0, 0.02, 10_000.0, 1.0, 1);
        let rate = written(&mut table, 1e6);
        assert!((45_000.0..60_000.0).contains(&rate), "{rate}");
    }
}
