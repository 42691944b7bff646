//! How far an import is: a bar on a terminal, a line every few seconds elsewhere.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use importer::progress::Counts;
use indicatif::{
    HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle,
};
use tokio::task::JoinHandle;

use super::outcome::tell;

/// How often the bar is drawn.
const BAR_INTERVAL: Duration = Duration::from_millis(200);
/// How often a line is written where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// How often it is looked whether the import waits where nothing else is shown.
const QUIET_INTERVAL: Duration = Duration::from_secs(1);
/// Rates are those of about this long.
const RATE_WINDOW: Duration = Duration::from_secs(5);

/// Counters at one moment of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Snapshot {
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
    /// For how long at most rows wait for older requests of their keys without an answer, if they do.
    pub waiting: Option<Duration>,
}

impl Snapshot {
    /// The counters of an import that reads `bytes_total`, if that is known.
    pub fn new(counts: &Counts, bytes_total: Option<u64>) -> Self {
        Self {
            bytes: counts.bytes_read,
            bytes_total,
            rows_done: counts.rows_written + counts.rows_superseded,
            rows_rejected: counts.rows_rejected,
            wcu: counts.consumed_wcu,
            throttles: counts.throttles,
            waiting: None,
        }
    }

    /// The same of an import whose rows wait for older requests, if they do.
    #[must_use]
    pub fn waiting(self, waiting: Option<Duration>) -> Self {
        Self { waiting, ..self }
    }
}

/// What an import waits for whose rows wait for older requests, and how long.
pub fn waits(left: Duration) -> String {
    format!(
        "up to {} s: a request without an answer may still write older rows of the same keys",
        left.as_secs() + 1
    )
}

/// What the counters count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Rows are written.
    Writing,
    /// Rows are only checked.
    Checking,
    /// Places where the file may be cut are looked for.
    Scanning,
}

/// Rates a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Bytes read.
    pub bytes: f64,
    /// Rows done.
    pub rows: f64,
    /// Write capacity units.
    pub wcu: f64,
}

impl Rates {
    /// Rates between two moments `seconds` apart.
    pub fn between(before: &Snapshot, now: &Snapshot, seconds: f64) -> Self {
        if seconds <= 0.0 {
            return Self::default();
        }
        let rate = |before: u64, now: u64| now.saturating_sub(before) as f64 / seconds;
        Self {
            bytes: rate(before.bytes, now.bytes),
            rows: rate(before.rows_done, now.rows_done),
            wcu: (now.wcu - before.wcu).max(0.0) / seconds,
        }
    }
}

/// Where progress is shown: a bar that is drawn again and again if standard error is a terminal, else lines.
#[derive(Clone, Debug)]
pub struct Display(Option<ProgressBar>);

impl Display {
    /// A display on standard error.
    pub fn on_stderr() -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self(is_terminal.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(style(false));
            bar
        }))
    }

    /// Whether it is a bar, which may be drawn as often as one likes.
    pub fn is_bar(&self) -> bool {
        self.0.is_some()
    }

    /// Draws the bar, or writes a line. What is in `heading` comes before the details.
    pub fn show(&self, heading: &str, work: Work, counts: &Snapshot, rates: &Rates) {
        let Some(bar) = &self.0 else {
            return tell(format!("{heading}{}", line(work, counts, rates)));
        };
        if bar.length() != counts.bytes_total {
            bar.set_style(style(counts.bytes_total.is_some()));
        }
        if let Some(total) = counts.bytes_total {
            bar.set_length(total);
        }
        bar.set_position(counts.bytes);
        bar.set_message(format!("{heading}{}", details(work, counts, rates)));
        bar.tick();
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// A display that keeps itself up to date until it is finished.
#[derive(Debug)]
pub struct LiveDisplay {
    task: JoinHandle<()>,
    display: Display,
}

impl LiveDisplay {
    /// Shows what `counts` returns, until [`LiveDisplay::finish`].
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn start(work: Work, counts: impl Fn() -> Snapshot + Send + 'static) -> Self {
        let display = Display::on_stderr();
        Self {
            task: tokio::spawn(refresh(display.clone(), work, counts)),
            display,
        }
    }

    /// Shows nothing but, once, that the import waits for older requests: that may take minutes.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn quiet(counts: impl Fn() -> Snapshot + Send + 'static) -> Self {
        let said = async move {
            let mut ticks = tokio::time::interval(QUIET_INTERVAL);
            loop {
                ticks.tick().await;
                if let Some(left) = counts().waiting {
                    return tell(format!("waiting {}", waits(left)));
                }
            }
        };
        Self {
            task: tokio::spawn(said),
            display: Display(None),
        }
    }

    /// Takes the display away.
    pub fn finish(self) {
        self.task.abort();
        self.display.clear();
    }
}

async fn refresh(display: Display, work: Work, counts: impl Fn() -> Snapshot) {
    let mut meter = Meter::new();
    let mut ticks = if display.is_bar() {
        tokio::time::interval(BAR_INTERVAL)
    } else {
        let mut ticks = tokio::time::interval(LINE_INTERVAL);
        // The first tick comes at once, when there is nothing to show.
        ticks.tick().await;
        ticks
    };
    loop {
        ticks.tick().await;
        let now = counts();
        let rates = meter.rates(Instant::now(), now);
        display.show("", work, &now, &rates);
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

fn line(work: Work, counts: &Snapshot, rates: &Rates) -> String {
    format!("{}  {}", bytes_read(counts), details(work, counts, rates))
}

/// Bytes read, and of how many if that is known.
pub fn bytes_read(counts: &Snapshot) -> String {
    let read = HumanBytes(counts.bytes);
    match counts.bytes_total {
        Some(total) if total > 0 => {
            let percent = (fraction(counts) * 100.0).floor();
            format!("{read} of {} ({percent}%)", HumanBytes(total))
        }
        _ => read.to_string(),
    }
}

/// How much of the file is read, from 0 to 1; 0 if its size is not known.
pub fn fraction(counts: &Snapshot) -> f64 {
    match counts.bytes_total {
        Some(total) if total > 0 => counts.bytes.min(total) as f64 / total as f64,
        _ => 0.0,
    }
}

fn details(work: Work, counts: &Snapshot, rates: &Rates) -> String {
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
        Work::Scanning => vec!["looked for ends of rows".to_owned()],
    };
    if counts.rows_rejected > 0 {
        parts.push(format!("{} rejected", HumanCount(counts.rows_rejected)));
    }
    if let Some(left) = counts.waiting {
        parts.push(format!("waiting {}", waits(left)));
    } else if let Some(left) = time_left(counts, rates) {
        parts.push(format!("{} left", HumanDuration(left)));
    }
    parts.join("  ")
}

/// A rate without its fraction, for people.
#[allow(clippy::cast_sign_loss, reason = "a rate is never negative")]
pub fn whole(rate: f64) -> HumanCount {
    HumanCount(rate as u64)
}

/// From bytes, because the number of rows in a file is known only at its end.
pub fn time_left(counts: &Snapshot, rates: &Rates) -> Option<Duration> {
    let left = counts.bytes_total?.checked_sub(counts.bytes)?;
    (left > 0 && rates.bytes >= 1.0).then(|| Duration::from_secs_f64(left as f64 / rates.bytes))
}

/// Turns counters into rates over a sliding window.
#[derive(Debug)]
struct Meter {
    past: std::collections::VecDeque<(Instant, Snapshot)>,
}

impl Meter {
    fn new() -> Self {
        Self {
            past: [(Instant::now(), Snapshot::default())].into(),
        }
    }

    fn rates(&mut self, at: Instant, now: Snapshot) -> Rates {
        self.past.push_back((at, now));
        // The second oldest must be inside the window, so that the oldest spans all of it.
        while self.past.len() > 2 && at - self.past[1].0 >= RATE_WINDOW {
            self.past.pop_front();
        }
        let (since, before) = &self.past[0];
        Rates::between(before, &now, (at - *since).as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(bytes: u64, rows: u64) -> Snapshot {
        Snapshot {
            bytes,
            bytes_total: Some(4_000_000),

            rows_done: rows,
            wcu: rows as f64,
            ..Snapshot::default()
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
        let waiting = known.waiting(Some(Duration::from_secs(9)));
        assert!(line(Work::Writing, &waiting, &rates).ends_with(
            "0 throttles  waiting up to 10 s: a request without an answer may still write older rows of the same keys"
        ));
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
