//! Who gets how much of what many share: a table's WCU, a prefix' requests, a machine's cores.

/// The level up to which each may take of `pool`, if each takes what it can use and nobody gets more than another who could
/// use more (max-min fairness). Infinite if all get what they can use.
pub(crate) fn level(own: &[f64], pool: f64) -> f64 {
    let (mut left, mut many) = (pool, own.len());
    let mut level = 0.0;
    // Each pass serves those who can use less than an even share of what is left; few passes are needed, as the level
    // only rises.
    loop {
        if many == 0 {
            return f64::INFINITY;
        }
        let next = left / many as f64;
        let mut served = 0;
        for rate in own {
            if *rate >= level && *rate < next {
                left -= rate;
                served += 1;
            }
        }
        if served == 0 {
            return next;
        }
        level = next;
        many -= served;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_is_shared_fairly_and_never_exceeded() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..500 {
            let own: Vec<f64> = (0..random.usize(..30))
                .map(|_| f64::from(random.u32(0..1_000)))
                .collect();
            let pool = f64::from(random.u32(1..20_000));
            let level = level(&own, pool);
            let demand: f64 = own.iter().sum();
            let given: f64 = own.iter().map(|rate| rate.min(level)).sum();
            assert!((given - demand.min(pool)).abs() < 1e-6, "{own:?} of {pool}");
        }
    }

    #[test]
    fn who_can_use_little_gets_that() {
        for (own, pool, expected) in [
            (vec![1.0, 5.0, 9.0], 9.0, 4.0),
            (vec![4.0, 4.0], 6.0, 3.0),
            (vec![4.0, 4.0], 8.0, 4.0),
            (vec![4.0, 4.0], 9.0, f64::INFINITY),
            (vec![], 9.0, f64::INFINITY),
        ] {
            let level = level(&own, pool);
            assert!(
                (level - expected).abs() < 1e-9 || level.total_cmp(&expected).is_eq(),
                "{own:?}: {level}"
            );
        }
    }
}
