//! How much is a fair share.

/// The level up to which everybody's demand can be met out of `supply`: nobody gets more than the level unless everybody gets
/// what they ask for, and whoever asks for less than the level gets it (max-min fairness, in whole units).
///
/// <https://en.wikipedia.org/wiki/Max-min_fairness>
pub(super) fn level(supply: usize, demands: &[usize]) -> usize {
    let mut demands = demands.to_vec();
    demands.sort_unstable();
    let mut left = supply;
    for (met, &demand) in demands.iter().enumerate() {
        let share = left / (demands.len() - met);
        if demand > share {
            return share;
        }
        left -= demand;
    }
    supply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_max_min_fair() {
        const ALL: usize = usize::MAX;
        for (supply, demands, expected) in [
            (10, &[][..], 10),
            (10, &[ALL], 10),
            (10, &[ALL, ALL], 5),
            (10, &[ALL, ALL, ALL], 3),
            (10, &[10, ALL], 5),
            (10, &[2, ALL], 8),
            (10, &[2, 3, ALL], 5),
            (10, &[1, 2, 3], 10),
            (10, &[4, 4, 4], 3),
            (2, &[ALL, ALL, ALL], 0),
        ] {
            assert_eq!(level(supply, demands), expected, "{supply} {demands:?}");
        }
    }
}
