//! Line plots as inline SVG, as PNG and as CSV.

use files::mark::{CSV_END, CSV_START};
use std::fmt::Write;

use crate::escape::escape;
use crate::raster::Canvas;

/// Colors of lines that people with any color vision can tell apart (Okabe and Ito).
pub const PALETTE: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f",
];

/// A line of a [`Plot`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// Index of the color in [`PALETTE`].
    pub color: usize,
    /// Whether the line is dashed, for example to set the second of two related lines apart.
    pub dashed: bool,
    /// Points (x, y) in ascending order of x. A NaN as y makes a gap in the line.
    pub points: Vec<(f64, f64)>,
    /// Half the height of the error bar of each point, in units of y; empty for none. Drawn only with `dots`.
    pub errors: Vec<f64>,
    /// Whether each point has a dot.
    pub dots: bool,
}

/// The y axis of a [`Plot`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum YAxis {
    /// Linear, from the smallest to the largest value.
    #[default]
    Range,
    /// Linear, from 0, or from the smallest value if a value is negative.
    FromZero,
    /// Logarithmic if all values are positive, else linear.
    Log,
}

/// Lines over a common x axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plot {
    /// Title.
    pub title: String,
    /// A sentence that explains the plot.
    pub note: String,
    /// Label below the x axis.
    pub x_label: String,
    /// The y axis.
    pub y_axis: YAxis,
    /// The lines.
    pub series: Vec<Series>,
}

/// Size of the plot and its margins, in SVG units.
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 38.0;
/// Pixels of the PNG per SVG unit, along each axis.
const SCALE: f64 = 2.0;
/// Largest number of points with which a line is drawn in SVG and PNG. In a longer line, groups of neighboring points
/// are replaced by their mean; CSV contains all points.
const MAX_POINTS: usize = 700;

/// Maps data to SVG units. Holds the range of each axis; with `log`, the range of y is in decimal logarithms.
struct Frame {
    x: (f64, f64),
    y: (f64, f64),
    log: bool,
}

impl Frame {
    fn x(&self, x: f64) -> f64 {
        LEFT + (x - self.x.0) / (self.x.1 - self.x.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, y: f64) -> f64 {
        let y = if self.log {
            y.max(f64::MIN_POSITIVE).log10()
        } else {
            y
        };
        let share = (y - self.y.0) / (self.y.1 - self.y.0);
        TOP + (1.0 - share.clamp(-0.02, 1.02)) * (HEIGHT - TOP - BOTTOM)
    }
}

impl Plot {
    /// Whether there is nothing to draw: no point has finite coordinates.
    pub fn is_empty(&self) -> bool {
        !self
            .series
            .iter()
            .any(|s| s.points.iter().any(|p| p.0.is_finite() && p.1.is_finite()))
    }

    /// The data as CSV: after a header, one line `series,x,y,error` for each point.
    pub fn to_csv(&self) -> String {
        let mut text = format!(
            "{CSV_START}{},{}{CSV_END}\n",
            quote(&self.x_label),
            quote(&self.title)
        );
        for series in &self.series {
            for (i, (x, y)) in series.points.iter().enumerate() {
                let error = series.errors.get(i).map_or(String::new(), f64::to_string);
                let _ = writeln!(text, "{},{x},{y},{error}", quote(&series.name));
            }
        }
        text
    }

    fn frame(&self) -> Frame {
        let all = || {
            self.series.iter().flat_map(|s| {
                s.points.iter().enumerate().filter_map(|(i, &(x, y))| {
                    let error = s.errors.get(i).copied().filter(|e| e.is_finite());
                    (x.is_finite() && y.is_finite()).then(|| (x, y, error.unwrap_or(0.0)))
                })
            })
        };
        let range = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
                (low.min(v), high.max(v))
            })
        };
        let x = range(&mut all().map(|p| p.0));
        let raw = range(&mut all().map(|p| p.1));
        let log = self.y_axis == YAxis::Log && raw.0 > 0.0;
        let y = if log {
            (raw.0.log10(), raw.1.log10())
        } else {
            range(&mut all().flat_map(|p| [p.1 - p.2, p.1 + p.2]))
        };
        let widen = |(low, high): (f64, f64), share: f64| {
            if !low.is_finite() || !high.is_finite() {
                return (0.0, 1.0);
            }
            let span = high - low;
            let space = if span > 0.0 {
                span * share
            } else {
                low.abs().max(1.0) * 0.1
            };
            (low - space, high + space)
        };
        let mut y = widen(y, 0.06);
        // Data without negative values gets an axis without negative values.
        let from_zero = self.y_axis == YAxis::FromZero || y.0 < 0.0;
        if !log && raw.0 >= 0.0 && from_zero {
            y.0 = 0.0;
        }
        let (low, high) = if x.0 < x.1 { x } else { widen(x, 0.0) };
        Frame {
            x: (low, high),
            y,
            log,
        }
    }

    /// The plot as an inline SVG.
    pub fn to_svg(&self) -> String {
        let frame = self.frame();
        let mut svg = format!(
            "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            escape(&self.title)
        );
        for (value, label) in y_ticks(&frame) {
            let y = frame.y(value);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 3.5
            );
        }
        for (value, label) in ticks(frame.x.0, frame.x.1, 6) {
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
                frame.x(value),
                HEIGHT - BOTTOM + 15.0
            );
        }
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 6.0,
            escape(&self.x_label)
        );
        for (i, series) in self.series.iter().enumerate() {
            let width = self.line_width(i);
            let color = PALETTE[series.color % PALETTE.len()];
            let dash = if series.dashed {
                " stroke-dasharray=\"5 3\""
            } else {
                ""
            };
            for line in lines(series) {
                let path: Vec<String> = line
                    .iter()
                    .map(|&(x, y)| format!("{:.1},{:.1}", frame.x(x), frame.y(y)))
                    .collect();
                let _ = write!(
                    svg,
                    "<polyline fill=\"none\" stroke=\"{color}\" stroke-width=\"{width:.1}\"{dash} points=\"{}\"/>",
                    path.join(" ")
                );
            }
            for (i, &(x, y)) in series.points.iter().enumerate() {
                if !series.dots || !x.is_finite() || !y.is_finite() {
                    continue;
                }
                let error = series
                    .errors
                    .get(i)
                    .copied()
                    .filter(|e| e.is_finite() && *e > 0.0);
                if let Some(error) = error {
                    let x = frame.x(x);
                    let (top, bottom) = (frame.y(y + error), frame.y(y - error));
                    let _ = write!(
                        svg,
                        "<path stroke=\"{color}\" d=\"M{x:.1} {top:.1}V{bottom:.1}M{:.1} {top:.1}h6M{:.1} {bottom:.1}h6\"/>",
                        x - 3.0,
                        x - 3.0
                    );
                }
                let spread = error.map_or(String::new(), |e| format!(" ± {}", short(e)));
                let _ = write!(
                    svg,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{color}\"><title>{}: {}{spread} at {} {}</title></circle>",
                    frame.x(x),
                    frame.y(y),
                    escape(&series.name),
                    short(y),
                    short(x),
                    escape(&self.x_label)
                );
            }
        }
        svg.push_str("</svg>");
        svg
    }

    /// Width of line `i` in SVG units. Earlier lines are wider, so that they stay visible under a later one.
    fn line_width(&self, i: usize) -> f64 {
        let later = self.series.len() - 1 - i;
        1.6 + 0.8 * later.min(3) as f64
    }

    /// The plot as a PNG file: title, plot, and a legend with one line for each series. It is 1120 pixels wide and `576
    /// + 32 * n` pixels high, for `n` series.
    pub fn to_png(&self) -> Vec<u8> {
        let frame = self.frame();
        let title = 24.0;
        let legend = 16.0 * self.series.len() as f64 + 4.0;
        let size = |v: f64| (v * SCALE) as usize;
        let mut canvas = Canvas::new(size(WIDTH), size(HEIGHT + title + legend));
        let at = |x: f64, y: f64| (x * SCALE, (y + title) * SCALE);
        let gray = [110, 110, 110];
        canvas.text((8.0 * SCALE, 6.0 * SCALE), &self.title, [20, 20, 20], 0.0);
        for (value, label) in y_ticks(&frame) {
            let y = frame.y(value);
            canvas.line(at(LEFT, y), at(WIDTH - RIGHT, y), [225, 225, 225], 1.0);
            canvas.text(at(LEFT - 6.0, y - 4.0), &label, gray, 1.0);
        }
        for (value, label) in ticks(frame.x.0, frame.x.1, 6) {
            canvas.text(at(frame.x(value), HEIGHT - BOTTOM + 7.0), &label, gray, 0.5);
        }
        let middle = (LEFT + WIDTH - RIGHT) / 2.0;
        canvas.text(at(middle, HEIGHT - 14.0), &self.x_label, gray, 0.5);
        for (i, series) in self.series.iter().enumerate() {
            let color = rgb(PALETTE[series.color % PALETTE.len()]);
            let width = self.line_width(i);
            let place = |&(x, y): &(f64, f64)| at(frame.x(x), frame.y(y));
            for line in lines(series) {
                for (n, pair) in line.windows(2).enumerate() {
                    if !series.dashed || n % 2 == 0 {
                        canvas.line(place(&pair[0]), place(&pair[1]), color, width * SCALE);
                    }
                }
            }
            for (i, point) in series.points.iter().enumerate() {
                if !series.dots || !point.0.is_finite() || !point.1.is_finite() {
                    continue;
                }
                if let Some(error) = series.errors.get(i).filter(|e| e.is_finite()) {
                    let end = |y: f64| place(&(point.0, y));
                    canvas.line(end(point.1 - error), end(point.1 + error), color, SCALE);
                }
                canvas.line(place(point), place(point), color, 6.0 * SCALE);
            }
            let y = HEIGHT + 16.0 * i as f64;
            canvas.line(
                at(LEFT, y + 4.0),
                at(LEFT + 24.0, y + 4.0),
                color,
                1.6 * SCALE,
            );
            canvas.text(at(LEFT + 32.0, y), &series.name, [20, 20, 20], 0.0);
        }
        canvas.to_png()
    }
}

/// The pieces of a line between its gaps, with at most [`MAX_POINTS`] points in all.
fn lines(series: &Series) -> Vec<Vec<(f64, f64)>> {
    let step = series.points.len().div_ceil(MAX_POINTS).max(1);
    let thinned: Vec<(f64, f64)> = series
        .points
        .chunks(step)
        .map(|chunk| {
            let n = chunk.len() as f64;
            let mean = chunk.iter().map(|p| p.1).sum::<f64>() / n;
            (chunk[chunk.len() - 1].0, mean)
        })
        .collect();
    thinned
        .split(|p| !p.0.is_finite() || !p.1.is_finite())
        .filter(|line| line.len() > 1)
        .map(<[(f64, f64)]>::to_vec)
        .collect()
}

fn y_ticks(frame: &Frame) -> Vec<(f64, String)> {
    if !frame.log {
        return ticks(frame.y.0, frame.y.1, 5);
    }
    let mut all = Vec::new();
    for exponent in frame.y.0.floor() as i32..=frame.y.1.ceil() as i32 {
        for digit in [1.0, 2.0, 5.0] {
            let value = digit * 10f64.powi(exponent);
            if (frame.y.0..=frame.y.1).contains(&value.log10()) {
                all.push((value, short(value)));
            }
        }
    }
    // With many ticks, those at powers of ten are enough.
    if all.len() > 8 {
        all.retain(|(value, _)| (value.log10() - value.log10().round()).abs() < 1e-9);
    }
    all
}

/// About `wanted` round numbers from `low` to `high`, each with its label.
fn ticks(low: f64, high: f64, wanted: usize) -> Vec<(f64, String)> {
    let rough = (high - low) / wanted as f64;
    if !rough.is_finite() || rough <= 0.0 {
        return Vec::new();
    }
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|digit| digit * power)
        .into_iter()
        .find(|step| *step >= rough)
        .unwrap_or(10.0 * power);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last)
        .map(|i| (i as f64 * step, short(i as f64 * step)))
        .collect()
}

/// Formats a number with four significant digits, without trailing zeros; numbers above 9999 keep all digits in front
/// of the decimal point.
pub fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 {
            "0".into()
        } else {
            value.to_string()
        };
    }
    let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn rgb(hex: &str) -> [u8; 3] {
    [1, 3, 5].map(|at| {
        hex.get(at..at + 2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .unwrap_or(0)
    })
}

fn quote(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> Plot {
        Plot {
            title: "fid50k_full".into(),
            x_label: "kimg".into(),
            series: vec![Series {
                name: "a, <b>".into(),
                points: vec![
                    (0.0, 300.0),
                    (200.0, 20.0),
                    (400.0, f64::NAN),
                    (600.0, 10.0),
                ],
                errors: vec![5.0, 1.0, 0.0, 0.5],
                dots: true,
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    #[test]
    fn the_svg_has_axes_points_and_escaped_names() {
        let svg = plot().to_svg();
        assert_eq!(svg.matches("<circle").count(), 3);
        // The gap cuts the line: only its first piece has two points.
        assert_eq!(svg.matches("<polyline").count(), 1);
        assert!(svg.contains(">200</text>") && svg.contains("a, &lt;b&gt;: 20 ± 1 at 200 kimg"));
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn the_csv_has_every_point() {
        let csv = plot().to_csv();
        assert_eq!(csv.lines().count(), 5);
        assert!(csv.contains("\"a, <b>\",600,10,0.5"), "{csv}");
    }

    #[test]
    fn the_png_shows_the_line_in_its_color() {
        let png = plot().to_png();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&png))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!(info.width, 1120);
        let blue = pixels
            .chunks(3)
            .filter(|p| p == &[0x00, 0x72, 0xb2])
            .count();
        assert!(blue > 500, "{blue}");
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.1, "0.1"),
            (1234.0, "1234"),
            (0.012345, "0.01235"),
            (12.0, "12"),
            (100_000.0, "100000"),
        ] {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn constant_and_empty_data_do_no_harm() {
        let mut plot = plot();
        plot.series[0].points = vec![(1.0, 2.0)];
        assert!(plot.to_svg().contains("<circle"));
        plot.series[0].points.clear();
        assert!(plot.is_empty());
        assert!(!plot.to_svg().contains("NaN") && !plot.to_png().is_empty());
    }
}
