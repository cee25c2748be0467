//! Judges a run by a metric over time. Training, comparison and the choice of a checkpoint all use these rules.

use std::collections::BTreeMap;

use crate::metric_lines::{MetricLine, Point};
use crate::number::format_number;
use crate::result_writer::lower_is_better;

/// Length of the warm-up in kimg: earlier snapshots of a run from random weights are not judged. They generate color
/// blobs, which some feature networks rate better than faces (observed at 64 px: 1.9 at kimg 1, 6.1 at kimg 2).
pub const WARM_UP_KIMG: f64 = 10.0;

/// Number of measured snapshots beyond the warm-up that are needed to judge a run.
pub const LEAST_SNAPSHOTS: usize = 3;

/// A value of at least this multiple of the best one can count as worse ([`Trend::TurnedUp`]).
const TURNED_UP: f64 = 1.3;
/// A value of at least this multiple of the best one can count as a collapse ([`Trend::Collapsed`]).
const COLLAPSED: f64 = 2.0;
/// A worse value must differ from the best one by more than this number of standard errors.
const STANDARD_ERRORS: f64 = 3.0;
/// Number of snapshots at the end of a run that must all be worse, because a single one may be an outlier.
const LEAST_WORSE: usize = 2;

/// The values of one metric result of one run over training.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// The values, ascending by kimg.
    pub points: Vec<Point>,
    /// Whether lower values are better.
    pub lower_is_better: bool,
    /// Length of the warm-up in kimg, whose points are not judged: [`WARM_UP_KIMG`], or 0 for a run that started from
    /// trained networks.
    pub warm_up_kimg: f64,
}

/// The development of a run according to a [`Curve`]. All points are beyond the warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trend {
    /// Too few measured snapshots to judge.
    TooShort,
    /// The last value is NaN or infinite.
    Diverged {
        /// The best finite point, if any.
        best: Option<Point>,
        /// The last point.
        last: Point,
    },
    /// From some snapshot to the last, all values are at least 2 times the best (for higher-is-better metrics at most
    /// half of it), by more than 3 standard errors.
    Collapsed {
        /// The best point.
        best: Point,
        /// The first of these worse points.
        since: Point,
        /// The last point.
        last: Point,
    },
    /// From some snapshot to the last, all values are at least 1.3 times the best (for higher-is-better metrics at most
    /// the best divided by 1.3), by more than 3 standard errors.
    TurnedUp {
        /// The best point.
        best: Point,
        /// The first of these worse points.
        since: Point,
        /// The last point.
        last: Point,
    },
    /// The last point is the best one.
    Improving {
        /// The last point.
        best: Point,
    },
    /// An earlier point is the best one, but the last points are not clearly worse.
    Flat {
        /// The best point.
        best: Point,
        /// The last point.
        last: Point,
    },
}

impl Curve {
    /// The curve of a metric result (`fid50k_full`) computed with the feature network `features`. Of several lines for
    /// the same kimg the last one counts.
    pub fn of(lines: &[MetricLine], result: &str, features: &str, warm_up_kimg: f64) -> Self {
        let mut points = BTreeMap::new();
        for line in lines.iter().filter(|line| line.features() == features) {
            if let (Some(kimg), Some(point)) = (line.kimg, line.point(result)) {
                points.insert(kimg, point);
            }
        }
        Self {
            points: points.into_values().collect(),
            lower_is_better: lower_is_better(result),
            warm_up_kimg,
        }
    }

    /// The points beyond the warm-up.
    fn judged(&self) -> &[Point] {
        let start = self
            .points
            .partition_point(|point| point.kimg < self.warm_up_kimg);
        &self.points[start..]
    }

    /// The best finite point beyond the warm-up; `None` when there is none.
    pub fn best(&self) -> Option<&Point> {
        let finite = self.judged().iter().filter(|p| p.value.is_finite());
        finite.min_by(|a, b| self.cost(a).total_cmp(&self.cost(b)))
    }

    /// A number that is smaller for better points.
    fn cost(&self, point: &Point) -> f64 {
        match self.lower_is_better {
            true => point.value,
            false => -point.value,
        }
    }

    /// Judges the run.
    pub fn trend(&self) -> Trend {
        let points = self.judged();
        let Some(&last) = points.last() else {
            return Trend::TooShort;
        };
        let best = self.best().copied();
        if !last.value.is_finite() {
            return Trend::Diverged { best, last };
        }
        let Some(best) = best.filter(|_| points.len() >= LEAST_SNAPSHOTS) else {
            return Trend::TooShort;
        };
        if best.kimg == last.kimg {
            return Trend::Improving { best };
        }
        if let Some(since) = self.worse_since(&best, COLLAPSED) {
            return Trend::Collapsed { best, since, last };
        }
        match self.worse_since(&best, TURNED_UP) {
            Some(since) => Trend::TurnedUp { best, since, last },
            None => Trend::Flat { best, last },
        }
    }

    /// The first of the points at the end of the run that are all worse than `best` by the factor `ratio` and by more
    /// than 3 standard errors; `None` when fewer than two points at the end are.
    fn worse_since(&self, best: &Point, ratio: f64) -> Option<Point> {
        let is_worse = |point: &&Point| {
            let error = match (best.std, point.std) {
                (None, None) => 0.0,
                (a, b) => a.unwrap_or(0.0).hypot(b.unwrap_or(0.0)),
            };
            // A KID or a fraction can be 0 or negative, so compare the distance to the best value instead of a ratio.
            let by_ratio = match self.lower_is_better {
                true => (ratio - 1.0) * best.value.abs(),
                false => (1.0 - 1.0 / ratio) * best.value.abs(),
            };
            let distance = self.cost(point) - self.cost(best);
            point.kimg > best.kimg
                && (!point.value.is_finite()
                    || distance >= by_ratio && distance > STANDARD_ERRORS * error)
        };
        let points = self.judged();
        let n_worse = points.iter().rev().take_while(is_worse).count();
        (n_worse >= LEAST_WORSE).then(|| points[points.len() - n_worse])
    }
}

/// Whether a run may be judged by the feature network of this name. Networks with random weights rank images only
/// roughly: they were seen to prefer the blurred images of early snapshots to faces.
pub fn can_judge(features: &str) -> bool {
    !features.starts_with("random-")
}

impl Trend {
    /// A sentence about the trend, to follow the name of the run: `collapsed at kimg 400: ...`. `result` is the name of
    /// the metric result.
    pub fn sentence(&self, result: &str) -> String {
        let at = |point: &Point| format!("{} at kimg {:.0}", point.text(), point.kimg);
        match self {
            Self::TooShort => format!(
                "is too short to judge by {result}: that takes {LEAST_SNAPSHOTS} measured snapshots beyond the first \
                 {WARM_UP_KIMG:.0} kimg (or from trained networks)."
            ),
            Self::Diverged { best: None, .. } => {
                format!("has diverged: {result} is no number at any snapshot.")
            }
            Self::Diverged {
                best: Some(best),
                last,
            } => format!(
                "has diverged: {result} of its last snapshot (kimg {:.0}) is no number. Use the snapshot of kimg {:.0} ({}).",
                last.kimg,
                best.kimg,
                best.text()
            ),
            Self::Collapsed { best, since, last } => format!(
                "collapsed at kimg {:.0}: {result} {} became {} and ends at {}. Use the snapshot of kimg {:.0}.",
                since.kimg,
                at(best),
                since.text(),
                last.text(),
                best.kimg
            ),
            Self::TurnedUp { best, since, last } => format!(
                "has become worse since kimg {:.0}: {result} {} became {}. Use the snapshot of kimg {:.0}.",
                since.kimg,
                at(best),
                at(last),
                best.kimg
            ),
            Self::Improving { best } => format!(
                "is still improving: its last snapshot (kimg {:.0}) is its best, {result} {}.",
                best.kimg,
                best.text()
            ),
            Self::Flat { best, last } => format!(
                "has stopped improving: {result} {}, {} at the end.",
                at(best),
                at(last)
            ),
        }
    }

    /// The first snapshot that is worse than the best one, for a run that collapsed or became worse; the last snapshot
    /// for one that diverged; otherwise `None`.
    pub fn worse_since(&self) -> Option<&Point> {
        match self {
            Self::Collapsed { since, .. } | Self::TurnedUp { since, .. } => Some(since),
            Self::Diverged { last, .. } => Some(last),
            _ => None,
        }
    }
}

impl Point {
    /// The value with its standard error, rounded to two significant digits, as in `4.02 ± 0.13`.
    pub fn text(&self) -> String {
        let error = self.std.filter(|std| *std > 0.0 && std.is_finite());
        let error = error.map_or(String::new(), |std| {
            let unit = 10f64.powf(std.log10().floor() - 1.0);
            format!(" ± {}", format_number((std / unit).round() * unit, 4))
        });
        format!("{}{error}", format_number(self.value, 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: &[f64]) -> Curve {
        let points = values.iter().enumerate();
        Curve {
            points: points
                .map(|(i, &value)| Point {
                    kimg: 20.0 * i as f64,
                    value,
                    std: Some(0.1),
                })
                .collect(),
            lower_is_better: true,
            warm_up_kimg: WARM_UP_KIMG,
        }
    }

    #[test]
    fn a_collapse_is_dated_by_its_first_bad_snapshot() {
        let kimgs = |values: &[f64]| match curve(values).trend() {
            Trend::Collapsed { best, since, .. } => Some((best.kimg, since.kimg)),
            _ => None,
        };
        assert_eq!(
            kimgs(&[300.0, 40.0, 8.0, 9.0, 120.0, 300.0]),
            Some((40.0, 80.0))
        );
        // Not a collapse: one bad snapshot in the middle, one at the end, or a slow drift.
        assert_eq!(kimgs(&[300.0, 8.0, 50.0, 7.0, 7.5]), None);
        assert_eq!(kimgs(&[300.0, 8.0, 7.0, 50.0]), None);
        assert_eq!(kimgs(&[300.0, 8.0, 9.0, 11.0, 12.0]), None);
    }

    #[test]
    fn a_curve_that_turned_up_is_told_from_noise() {
        let trend = |values: &[f64]| curve(values).trend();
        assert!(matches!(
            trend(&[9.0, 8.0, 5.0, 5.5, 6.6, 7.0]),
            Trend::TurnedUp { best, since, .. } if (best.kimg, since.kimg) == (40.0, 80.0)
        ));
        assert!(matches!(
            trend(&[9.0, 8.0, 5.0, 5.5, 6.0]),
            Trend::Flat { .. }
        ));
        // The difference is within three standard errors.
        assert!(matches!(
            trend(&[9.0, 0.8, 0.5, 0.8, 0.8]),
            Trend::Flat { .. }
        ));
        assert!(matches!(
            trend(&[9.0, 8.0, 7.0, 6.0]),
            Trend::Improving { best } if best.value == 6.0
        ));
    }

    #[test]
    fn blobs_of_the_warm_up_are_never_the_best() {
        // As measured: the snapshot of kimg 1 has the best value, although training has hardly begun.
        let points = [(0.0, 9.0), (1.0, 1.919), (2.0, 6.098), (3.0, 6.0)];
        let mut short = Curve {
            points: points
                .map(|(kimg, value)| Point {
                    kimg,
                    value,
                    std: None,
                })
                .to_vec(),
            lower_is_better: true,
            warm_up_kimg: WARM_UP_KIMG,
        };
        assert_eq!((short.best(), short.trend()), (None, Trend::TooShort));
        // In a run that starts from trained networks the first snapshot counts.
        short.warm_up_kimg = 0.0;
        assert_eq!(short.best().map(|best| best.kimg), Some(1.0));
        assert!(matches!(short.trend(), Trend::Collapsed { .. }));
    }

    #[test]
    fn numbers_that_are_none_are_a_divergence() {
        let trend = |values: &[f64]| curve(values).trend();
        assert!(matches!(
            trend(&[300.0, 20.0, f64::NAN]),
            Trend::Diverged { best: Some(best), last } if (best.kimg, last.kimg) == (20.0, 40.0)
        ));
        assert!(matches!(
            trend(&[f64::NAN, f64::NAN]),
            Trend::Diverged { best: None, .. }
        ));
        assert_eq!(trend(&[]), Trend::TooShort);
        // A value in the middle that is not finite is skipped.
        assert!(matches!(
            trend(&[300.0, 25.0, f64::NAN, 18.0]),
            Trend::Improving { .. }
        ));
    }

    #[test]
    fn larger_may_be_better() {
        let higher = Curve {
            lower_is_better: false,
            ..curve(&[0.1, 0.2, 0.9, 0.3, 0.2])
        };
        assert_eq!(higher.best().map(|best| best.value), Some(0.9));
        assert!(matches!(higher.trend(), Trend::Collapsed { since, .. } if since.kimg == 60.0));
    }
}
