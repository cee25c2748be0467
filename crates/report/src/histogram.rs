//! A histogram as an inline SVG.

use std::fmt::Write;

/// Counts of values as bars over a range, with a line at the limit of a filter.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Title, with the unit of the values.
    pub title: String,
    /// The values.
    pub values: Vec<f64>,
    /// Lower and upper end of the range; values beyond it count in the outermost bars.
    pub range: (f64, f64),
    /// Limit of a filter, and whether it drops values above (`true`) or below it.
    pub limit: Option<(f64, bool)>,
}

impl Histogram {
    const BARS: usize = 40;
    const WIDTH: f64 = 360.0;
    const HEIGHT: f64 = 90.0;

    /// Number of values in each bar. NaN and infinite values are left out.
    pub fn counts(&self) -> [usize; Self::BARS] {
        let mut counts = [0; Self::BARS];
        let span = self.range.1 - self.range.0;
        for value in self.values.iter().filter(|v| v.is_finite()) {
            let place = (value - self.range.0) / span * Self::BARS as f64;
            counts[(place.max(0.0) as usize).min(Self::BARS - 1)] += 1;
        }
        counts
    }

    /// The histogram as an inline SVG.
    pub fn to_svg(&self) -> String {
        let (w, h) = (Self::WIDTH, Self::HEIGHT);
        let counts = self.counts();
        let most = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
        let span = self.range.1 - self.range.0;
        let mut svg = format!("<svg viewBox=\"0 0 {w} {}\" role=\"img\">", h + 16.0);
        let bar = w / Self::BARS as f64;
        for (i, &count) in counts.iter().enumerate() {
            let x = i as f64 * bar;
            let center = self.range.0 + (i as f64 + 0.5) / Self::BARS as f64 * span;
            let is_dropped = self
                .limit
                .is_some_and(|(at, above)| if above { center > at } else { center < at });
            // With the square root, bars of single images stay visible beside bars of thousands.
            let height = (count as f64 / most).sqrt() * (h - 4.0);
            let class = if is_dropped { "out" } else { "in" };
            let _ = write!(
                svg,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>{count} near {center:.3}</title></rect>",
                h - height,
                bar - 1.0,
            );
        }
        if let Some((at, _)) = self.limit {
            let x = ((at - self.range.0) / span).clamp(0.0, 1.0) * w;
            let _ = write!(
                svg,
                "<line class=\"limit\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{h}\"/>"
            );
        }
        let _ = write!(
            svg,
            "<line class=\"axis\" x1=\"0\" x2=\"{w}\" y1=\"{h}\" y2=\"{h}\"/><text x=\"0\" y=\"{y}\">{}</text><text x=\"{w}\" y=\"{y}\" text-anchor=\"end\">{}</text></svg>",
            self.range.0,
            self.range.1,
            y = h + 13.0,
        );
        svg
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outer_bars_take_what_lies_beyond() {
        let histogram = Histogram {
            title: String::new(),
            values: vec![-5.0, 0.0, 0.5, 1.0, 7.0, f64::NAN],
            range: (0.0, 1.0),
            limit: Some((0.5, true)),
        };
        let counts = histogram.counts();
        assert_eq!((counts[0], counts[20], counts[39]), (2, 1, 2));
        let svg = histogram.to_svg();
        assert_eq!(svg.matches("class=\"out\"").count(), 20);
        assert!(svg.contains("class=\"limit\" x1=\"180.0\""));
    }
}
