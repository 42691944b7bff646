//! A chart as SVG, for light and dark pages.

use std::fmt::Write as _;

/// The size of a range, and how long the job takes; `None` if it fails.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) mib: u32,
    pub(crate) minutes: Option<f64>,
}

#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<Point>,
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 110.0;
const COLORS: [&str; 4] = ["#2da44e", "#4184e4", "#bf8700", "#cf222e"];

/// Where things are on the page.
struct Frame {
    /// Logarithms of the smallest and the largest size.
    first: f64,
    last: f64,
    /// The most minutes, and the minutes from one line of the grid to the next.
    top: f64,
    step: f64,
}

impl Frame {
    fn new(lines: &[Line], least_minutes: f64) -> Self {
        let points = || lines.iter().flat_map(|line| &line.points);
        let most = points()
            .filter_map(|point| point.minutes)
            .fold(least_minutes, f64::max);
        let step = [5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0]
            .into_iter()
            .find(|step| most / step <= 8.0)
            .unwrap_or(5_000.0);
        let sizes = || points().map(|point| f64::from(point.mib).log2());
        Self {
            first: sizes().fold(f64::INFINITY, f64::min),
            last: sizes().fold(0.0, f64::max),
            top: (most / step).ceil() * step,
            step,
        }
    }

    fn x(&self, mib: u32) -> f64 {
        let along = (f64::from(mib).log2() - self.first) / (self.last - self.first).max(1.0);
        LEFT + along * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, minutes: f64) -> f64 {
        TOP + (1.0 - minutes / self.top) * (HEIGHT - TOP - BOTTOM)
    }
}

/// Draws minutes by range size, above a dashed line of what the job takes at least.
pub(crate) fn drawn(title: &str, lines: &[Line], least_minutes: f64) -> String {
    let frame = Frame::new(lines, least_minutes);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"system-ui, sans-serif\" \
         font-size=\"13\" role=\"img\" aria-label=\"{title}\">\n<style>\n  text {{ fill: #24292f }}\n  \
         .grid {{ stroke: #8c959f; stroke-opacity: .4 }}\n  \
         @media (prefers-color-scheme: dark) {{ text {{ fill: #e6edf3 }} }}\n</style>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"16\">{title}</text>\n"
    );
    let sizes = lines.first().map(|line| line.points.as_slice());
    draw_grid(&mut svg, &frame, sizes.unwrap_or_default());
    // Writing to a String does not fail, here and below.
    writeln!(
        svg,
        "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#8c959f\" stroke-width=\"2\" \
         stroke-dasharray=\"6 4\"/>",
        WIDTH - RIGHT,
        y = frame.y(least_minutes)
    )
    .ok();
    for (line, index) in lines.iter().zip(0_u32..) {
        let color = COLORS[index as usize % COLORS.len()];
        draw_line(&mut svg, &frame, line, color);
        let left = LEFT + f64::from(index % 2) * 400.0;
        let below = HEIGHT - 64.0 + f64::from(index / 2) * 22.0;
        writeln!(
            svg,
            "<circle cx=\"{left:.1}\" cy=\"{:.1}\" r=\"5\" fill=\"{color}\"/><text x=\"{:.1}\" y=\"{below:.1}\">{}</text>",
            below - 4.0,
            left + 12.0,
            line.name
        )
        .ok();
    }
    writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{:.1}\">dashed: the least by the formula, {least_minutes:.1} minutes</text>\n</svg>",
        HEIGHT - 16.0
    )
    .ok();
    svg
}

fn draw_grid(svg: &mut String, frame: &Frame, sizes: &[Point]) {
    let mut minutes = 0.0;
    while minutes <= frame.top {
        writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{minutes}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            frame.y(minutes) + 4.0,
            y = frame.y(minutes),
        )
        .ok();
        minutes += frame.step;
    }
    for Point { mib, .. } in sizes {
        let label = if *mib < 1_024 {
            format!("{mib} MiB")
        } else {
            format!("{} GiB", mib / 1_024)
        };
        writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            frame.x(*mib),
            HEIGHT - BOTTOM + 20.0
        )
        .ok();
    }
}

/// A failed job is a gap, marked at the top.
fn draw_line(svg: &mut String, frame: &Frame, line: &Line, color: &str) {
    for pair in line.points.windows(2) {
        if let (Some(from), Some(to)) = (pair[0].minutes, pair[1].minutes) {
            writeln!(
                svg,
                "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{color}\" stroke-width=\"2\"/>",
                frame.x(pair[0].mib),
                frame.y(from),
                frame.x(pair[1].mib),
                frame.y(to)
            )
            .ok();
        }
    }
    for point in &line.points {
        let x = frame.x(point.mib);
        let y = frame.y(point.minutes.unwrap_or(frame.top));
        if point.minutes.is_some() {
            writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{color}\"/>"
            )
        } else {
            writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" style=\"fill:{color}\">fails</text>",
                y - 4.0
            )
        }
        .ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_job_is_marked_and_not_drawn() {
        let point = |mib, minutes| Point { mib, minutes };
        let line = Line {
            name: "a".to_owned(),
            points: vec![point(16, None), point(32, Some(7.0)), point(64, Some(8.0))],
        };
        let svg = drawn("t", &[line], 5.0);
        assert_eq!(svg.matches(">fails<").count(), 1);
        assert_eq!(svg.matches("stroke=\"#2da44e\"").count(), 1);
        assert!(svg.contains("64 MiB") && svg.trim_end().ends_with("</svg>"));
    }
}
