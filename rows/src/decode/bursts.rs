//! When the reference reads on after a row that the hot path has refused.

/// For how many rows the reference goes on when the hot path has refused one.
///
/// Changing over costs more than reading a row by the reference. One row among good ones is worth it; of a file that has
/// nothing else, the reference reads more at each burst.
#[derive(Debug, Default)]
pub(super) struct Bursts {
    /// Rows on the hot path since the reference was used.
    hot_rows: u32,
    /// Rows of the reference's last burst.
    last: u32,
}

impl Bursts {
    /// Rows on the hot path after which a refused one is taken for an exception.
    const HOT_ROWS: u32 = 16;
    /// The longest burst.
    const ROWS_MAX: u32 = 1024;

    pub(super) fn hot_row(&mut self) {
        self.hot_rows = self.hot_rows.saturating_add(1);
    }

    /// The rows of the reference's next burst, at least one.
    pub(super) fn next(&mut self) -> u32 {
        self.last = if self.hot_rows >= Self::HOT_ROWS {
            1
        } else {
            (2 * self.last).clamp(1, Self::ROWS_MAX)
        };
        self.hot_rows = 0;
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_reads_on_while_rows_are_refused_one_after_the_other() {
        let mut bursts = Bursts::default();
        let lengths: Vec<u32> = (0..13).map(|_| bursts.next()).collect();
        assert_eq!(
            lengths,
            [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1024, 1024]
        );
        for _ in 0..Bursts::HOT_ROWS - 1 {
            bursts.hot_row();
        }
        assert_eq!(bursts.next(), 1024);
        for _ in 0..Bursts::HOT_ROWS {
            bursts.hot_row();
        }
        assert_eq!([bursts.next(), bursts.next()], [1, 2]);
    }
}
