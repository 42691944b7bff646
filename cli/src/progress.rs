//! How far an import is: a bar on a terminal, a line every few seconds elsewhere.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{
    HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle,
};
use tokio::task::JoinHandle;

use crate::outcome::tell;

/// How often the bar is drawn.
const BAR_INTERVAL: Duration = Duration::from_millis(200);
/// How often a line is written where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// Rates are those of about this long.
const RATE_WINDOW: Duration = Duration::from_secs(5);

/// Counters at one moment of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Bytes of the file read so far, as stored (before decompression).
    pub bytes: u64,
    /// Size of the file, if it is known before its end.
    pub bytes_total: Option<u64>,
    /// Rows written, or found good where nothing is written.
    pub rows_done: u64,
    /// Rows rejected.
    pub rows_rejected: u64,
    /// Write capacity units consumed.
    pub wcu: f64,
    /// Requests that were throttled, or that came back with unprocessed items.
    pub throttles: u64,
}

/// What the counters count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Rows are written.
    Writing,
    /// Rows are only checked.
    Checking,
}

/// Rates a second, over the last few seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Rates {
    bytes: f64,
    rows: f64,
    wcu: f64,
}

/// A display that keeps itself up to date until it is finished.
#[derive(Debug)]
pub struct Progress {
    task: JoinHandle<()>,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Shows what `counts` returns, until [`Progress::finish`].
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn start(work: Work, counts: impl Fn() -> Counts + Send + Sync + 'static) -> Self {
        let counts = Arc::new(counts);
        if io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let task = tokio::spawn(draw(bar.clone(), work, counts));
            Self {
                task,
                bar: Some(bar),
            }
        } else {
            Self {
                task: tokio::spawn(write_lines(work, counts)),
                bar: None,
            }
        }
    }

    /// Takes the display away.
    pub fn finish(self) {
        self.task.abort();
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

async fn draw(bar: ProgressBar, work: Work, counts: Arc<impl Fn() -> Counts>) {
    let mut meter = Meter::new();
    let mut has_total = None;
    let mut ticks = tokio::time::interval(BAR_INTERVAL);
    loop {
        ticks.tick().await;
        let now = counts();
        let rates = meter.rates(Instant::now(), now);
        bar.set_message(details(work, &now, &rates));
        if has_total.replace(now.bytes_total.is_some()) != Some(now.bytes_total.is_some()) {
            bar.set_style(style(now.bytes_total.is_some()));
        }
        if let Some(total) = now.bytes_total {
            bar.set_length(total);
        }
        bar.set_position(now.bytes);
        bar.tick();
    }
}

async fn write_lines(work: Work, counts: Arc<impl Fn() -> Counts>) {
    let mut meter = Meter::new();
    let mut ticks = tokio::time::interval(LINE_INTERVAL);
    // The first tick comes at once, when there is nothing to tell.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let now = counts();
        let rates = meter.rates(Instant::now(), now);
        tell(line(work, &now, &rates));
    }
}

fn style(has_total: bool) -> ProgressStyle {
    let template = if has_total {
        "{bar:24} {bytes}/{total_bytes}  {msg}"
    } else {
        "{spinner} {bytes}  {msg}"
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn line(work: Work, counts: &Counts, rates: &Rates) -> String {
    let read = HumanBytes(counts.bytes);
    let details = details(work, counts, rates);
    match counts.bytes_total {
        Some(total) if total > 0 => {
            let percent = (counts.bytes.min(total) as f64 / total as f64 * 100.0).floor();
            format!("{read} of {} ({percent}%)  {details}", HumanBytes(total))
        }
        _ => format!("{read}  {details}"),
    }
}

fn details(work: Work, counts: &Counts, rates: &Rates) -> String {
    let rows_done = HumanCount(counts.rows_done);
    let rows_rate = whole(rates.rows);
    let mut parts = match work {
        Work::Writing => vec![
            format!("{rows_done} rows written"),
            format!("{rows_rate} rows/s"),
            format!("{} WCU/s", whole(rates.wcu)),
            format!("{} throttles", HumanCount(counts.throttles)),
        ],
        Work::Checking => vec![
            format!("{rows_done} rows good"),
            format!("{rows_rate} rows/s"),
        ],
    };
    if counts.rows_rejected > 0 {
        parts.push(format!("{} rejected", HumanCount(counts.rows_rejected)));
    }
    if let Some(left) = time_left(counts, rates) {
        parts.push(format!("{} left", HumanDuration(left)));
    }
    parts.join("  ")
}

#[allow(clippy::cast_sign_loss, reason = "a rate is never negative")]
fn whole(rate: f64) -> HumanCount {
    HumanCount(rate as u64)
}

/// From bytes, because the number of rows in a file is known only at its end.
fn time_left(counts: &Counts, rates: &Rates) -> Option<Duration> {
    let left = counts.bytes_total?.checked_sub(counts.bytes)?;
    (left > 0 && rates.bytes >= 1.0).then(|| Duration::from_secs_f64(left as f64 / rates.bytes))
}

/// Turns counters into rates over a sliding window.
#[derive(Debug)]
struct Meter {
    past: std::collections::VecDeque<(Instant, Counts)>,
}

impl Meter {
    fn new() -> Self {
        Self {
            past: [(Instant::now(), Counts::default())].into(),
        }
    }

    fn rates(&mut self, at: Instant, now: Counts) -> Rates {
        self.past.push_back((at, now));
        // The second oldest must be inside the window, so that the oldest spans all of it.
        while self.past.len() > 2 && at - self.past[1].0 >= RATE_WINDOW {
            self.past.pop_front();
        }
        let (since, before) = self.past[0];
        let seconds = (at - since).as_secs_f64();
        if seconds <= 0.0 {
            return Rates::default();
        }
        Rates {
            bytes: now.bytes.saturating_sub(before.bytes) as f64 / seconds,
            rows: now.rows_done.saturating_sub(before.rows_done) as f64 / seconds,
            wcu: (now.wcu - before.wcu).max(0.0) / seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(bytes: u64, rows: u64) -> Counts {
        Counts {
            bytes,
            bytes_total: Some(4_000_000),

            rows_done: rows,
            wcu: rows as f64,
            ..Counts::default()
        }
    }

    #[test]
    fn rates_are_those_of_the_last_seconds() {
        let mut meter = Meter::new();
        let start = meter.past[0].0;
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut rows_per_second =
            |seconds, rows| whole(meter.rates(at(seconds), counts(0, rows)).rows).0;
        assert_eq!(rows_per_second(10, 1_000), 100);
        assert_eq!(rows_per_second(15, 2_000), 200);
        assert_eq!(rows_per_second(20, 2_000), 0);
    }

    #[test]
    fn a_line_tells_everything_known() {
        let rates = Rates {
            bytes: 100_000.0,
            rows: 1_234.5,
            wcu: 2_000.0,
        };
        let known = counts(1_048_576, 12_345);
        let mut unknown = known;
        unknown.bytes_total = None;
        unknown.throttles = 7;
        unknown.rows_rejected = 3;
        let cases = [
            (
                Work::Writing,
                known,
                "1.00 MiB of 3.81 MiB (26%)  12,345 rows written  1,234 rows/s  2,000 WCU/s  0 throttles  30 seconds left",
            ),
            (
                Work::Writing,
                unknown,
                "1.00 MiB  12,345 rows written  1,234 rows/s  2,000 WCU/s  7 throttles  3 rejected",
            ),
            (
                Work::Checking,
                unknown,
                "1.00 MiB  12,345 rows good  1,234 rows/s  3 rejected",
            ),
        ];
        for (work, counts, expected) in cases {
            assert_eq!(line(work, &counts, &rates), expected);
        }
    }

    #[test]
    fn time_left_is_known_only_with_a_size_and_a_rate() {
        let rates = |bytes| Rates {
            bytes,
            ..Rates::default()
        };
        let mut done = counts(4_000_000, 1);
        assert_eq!(time_left(&done, &rates(10.0)), None);
        done.bytes = 3_000_000;
        assert_eq!(time_left(&done, &rates(0.0)), None);
        assert_eq!(time_left(&done, &rates(1e6)), Some(Duration::from_secs(1)));
        done.bytes_total = None;
        assert_eq!(time_left(&done, &rates(1e6)), None);
    }

    #[test]
    fn the_templates_are_valid() {
        for template in [
            "{bar:24} {bytes}/{total_bytes}  {msg}",
            "{spinner} {bytes}  {msg}",
        ] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
