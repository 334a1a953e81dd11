//! Drawings as SVG text: lines, bars, and shares with their intervals.

use std::fmt::Write as _;

const WIDTH: f64 = 620.0;
const HEIGHT: f64 = 300.0;
/// Left, top, right, below.
const FRAME: [f64; 4] = [56.0, 14.0, 14.0, 40.0];
const COLOURS: [&str; 4] = ["#b3411f", "#1f5fb3", "#4d7a3a", "#6b4d8a"];

/// Where values lie on the paper.
#[derive(Debug, Clone, Copy)]
struct Paper {
    x: [f64; 2],
    y: [f64; 2],
}

impl Paper {
    fn x(&self, value: f64) -> f64 {
        FRAME[0] + (value - self.x[0]) / (self.x[1] - self.x[0]).max(1e-9) * (WIDTH - FRAME[0] - FRAME[2])
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT
            - FRAME[3]
            - (value - self.y[0]) / (self.y[1] - self.y[0]).max(1e-9) * (HEIGHT - FRAME[1] - FRAME[3])
    }

    /// Frame, numbers along the left side, and the names of both axes.
    fn open(&self, across: &str, up: &str) -> String {
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" role=\"img\" font-size=\"12\" font-family=\"sans-serif\">"
        );
        for i in 0..=4 {
            let value = self.y[0] + (self.y[1] - self.y[0]) * f64::from(i) / 4.0;
            let y = self.y(value);
            push(
                &mut svg,
                format_args!(
                    "<line x1=\"{}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value:.2}</text>",
                    FRAME[0],
                    WIDTH - FRAME[2],
                    FRAME[0] - 6.0,
                    y + 4.0
                ),
            );
        }
        text(&mut svg, [WIDTH / 2.0, HEIGHT - 6.0], "middle", across);
        text(&mut svg, [FRAME[0], FRAME[1] - 2.0], "start", up);
        svg
    }
}

/// A line through points, with its name.
pub(super) type Line<'a> = (&'a str, Vec<[f64; 2]>);

/// Lines over a common axis.
#[must_use]
pub(super) fn lines(across: &str, up: &str, x: [f64; 2], all: &[Line<'_>]) -> String {
    let paper = Paper { x, y: [0.0, 1.0] };
    let mut svg = paper.open(across, up);
    for i in 0..=6 {
        let value = x[0] + (x[1] - x[0]) * f64::from(i) / 6.0;
        text(&mut svg, [paper.x(value), HEIGHT - 24.0], "middle", &format!("{value:.1}"));
    }
    for ((name, points), (i, colour)) in all.iter().zip((0_u8..).zip(COLOURS.iter().cycle())) {
        let path: Vec<String> =
            points.iter().map(|[px, py]| format!("{:.1},{:.1}", paper.x(*px), paper.y(*py))).collect();
        push(
            &mut svg,
            format_args!(
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
                path.join(" ")
            ),
        );
        let y = FRAME[1] + 18.0 + f64::from(i) * 18.0;
        push(
            &mut svg,
            format_args!(
                "<rect x=\"{}\" y=\"{}\" width=\"12\" height=\"4\" fill=\"{colour}\"/>",
                FRAME[0] + 12.0,
                y - 6.0
            ),
        );
        text(&mut svg, [FRAME[0] + 30.0, y], "start", name);
    }
    svg + "</svg>"
}

/// A value, its interval, and what it is of.
pub(super) type Bar = (String, f64, Option<[f64; 2]>);

/// Bars side by side; `most` is the end of the axis.
#[must_use]
pub(super) fn bars(up: &str, most: f64, all: &[Bar]) -> String {
    let n = super::figures::count(all.len().max(1));
    let paper = Paper { x: [0.0, n], y: [0.0, most] };
    let mut svg = paper.open("", up);
    for (i, (name, value, interval)) in all.iter().enumerate() {
        let (from, to) = (super::figures::count(i) + 0.2, super::figures::count(i) + 0.8);
        let (left, right, top) = (paper.x(from), paper.x(to), paper.y(value.min(most)));
        push(
            &mut svg,
            format_args!(
                "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"/>",
                right - left,
                paper.y(0.0) - top,
                COLOURS[1]
            ),
        );
        let middle = f64::midpoint(left, right);
        if let Some([low, high]) = interval {
            push(
                &mut svg,
                format_args!(
                    "<line x1=\"{middle:.1}\" x2=\"{middle:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"#222\" stroke-width=\"2\"/>",
                    paper.y(low.min(most)),
                    paper.y(high.min(most))
                ),
            );
        }
        text(&mut svg, [middle, HEIGHT - 24.0], "middle", name);
    }
    svg + "</svg>"
}

/// How many values lie in each step.
#[must_use]
pub(super) fn histogram(across: &str, step: f64, values: &[f64]) -> String {
    let most = values.iter().copied().fold(step, f64::max);
    let mut bins: Vec<Bar> = Vec::new();
    let mut from = 0.0;
    while from <= most && bins.len() < 60 {
        let n = values.iter().filter(|value| (from..from + step).contains(*value)).count();
        let name = if bins.len().is_multiple_of(4) { format!("{from:.0}") } else { String::new() };
        bins.push((name, super::figures::count(n), None));
        from += step;
    }
    let highest = bins.iter().map(|(_, n, _)| *n).fold(1.0, f64::max);
    bars(across, highest, &bins)
}

fn text(svg: &mut String, [x, y]: [f64; 2], anchor: &str, words: &str) {
    push(
        svg,
        format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escaped(words)),
    );
}

fn push(svg: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing to a string never fails.
    svg.write_fmt(more).ok();
}

/// For HTML.
#[must_use]
pub(super) fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawings_are_whole_and_hold_what_they_were_given() {
        let curve = lines("threshold", "share", [0.2, 0.8], &[("a < b", vec![[0.2, 1.0], [0.8, 0.0]])]);
        assert!(curve.starts_with("<svg") && curve.ends_with("</svg>"));
        assert!(curve.contains("a &lt; b") && curve.contains("56.0,14.0 606.0,260.0"), "{curve}");
        let shares = bars("share", 1.0, &[("2 m".into(), 0.5, Some([0.4, 0.6])), ("3 m".into(), 7.0, None)]);
        assert_eq!(shares.matches("<rect").count(), 2);
        let delays = histogram("ms", 100.0, &[50.0, 150.0, 160.0]);
        assert_eq!(delays.matches("<rect").count(), 2);
        assert!(bars("", 1.0, &[]).ends_with("</svg>"));
    }
}
