//! Detects collapsed and diverged runs from the diversity of generated images and the discriminator's logits
//! ("scores").
//!
//! [`CollapseMonitor`] receives the scalars of each tick, during training or later from the files of the run, and
//! returns alarms.

use std::collections::VecDeque;

/// Name of the scalar with the diversity of generated images. NVIDIA's programs do not write it.
pub const DIVERSITY: &str = "Progress/diversity";

/// Thresholds of the alarms.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollapseOptions {
    /// Alarm when the diversity falls below this fraction of the largest diversity of the run so far.
    pub diversity_share: f64,
    /// Alarm when the score gap, mean score of real minus mean score of generated images, exceeds this multiple of its
    /// median over past ticks.
    pub gap_factor: f64,
    /// Score gaps, in logits, up to this value never cause [`Alarm::ScoreGap`].
    pub gap_least: f64,
    /// A run in which every score gap, except that of the first tick, exceeds this value has never learned: the
    /// discriminator is saturated. In healthy runs the gap stays below 10.
    pub gap_of_dead: f64,
    /// A run in which every diversity is below this value never generated two different images. The diversity of new
    /// networks is about 3.
    pub diversity_of_dead: f64,
    /// Number of consecutive ticks that must be beyond a threshold before an alarm.
    pub patience: usize,
    /// Number of ticks at the start of a run in which only [`Alarm::Dead`] and [`Alarm::NotFinite`] are raised.
    pub warmup: usize,
}

impl Default for CollapseOptions {
    fn default() -> Self {
        Self {
            diversity_share: 0.35,
            gap_factor: 4.0,
            gap_least: 6.0,
            gap_of_dead: 25.0,
            diversity_of_dead: 0.05,
            patience: 3,
            warmup: 8,
        }
    }
}

/// The scalars of one tick that the monitor uses; `None` for those that the run did not report.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TickScalars {
    /// Thousands of real images seen.
    pub kimg: f64,
    /// Mean of `Loss/scores/real`: the discriminator's logits for real images.
    pub scores_real: Option<f64>,
    /// Mean of `Loss/scores/fake`: the discriminator's logits for generated images.
    pub scores_fake: Option<f64>,
    /// `Progress/diversity`, see [`DIVERSITY`].
    pub diversity: Option<f64>,
}

/// The reason why a run counts as collapsed or diverged.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Alarm {
    /// Mode collapse: the generated images have become alike.
    Diversity {
        /// Kimg of the first tick with low diversity.
        kimg: f64,
        /// Current diversity divided by the largest of the run, 0 to 1.
        share: f64,
    },
    /// Divergence: the discriminator separates real and generated images much more easily than before.
    ScoreGap {
        /// Kimg of the first tick with a wide gap.
        kimg: f64,
        /// Current score gap: mean score of real images minus that of generated ones.
        gap: f64,
        /// Median of the gaps of earlier ticks.
        usual: f64,
    },
    /// The run never learned: in every tick the discriminator was saturated or the generated images were equal.
    Dead {
        /// Kimg of the tick at which this was detected.
        kimg: f64,
        /// Current score gap; `None` unless a saturated discriminator is the reason.
        gap: Option<f64>,
        /// Current diversity; `None` unless equal images are the reason.
        diversity: Option<f64>,
    },
    /// A score or the diversity is NaN or infinite.
    NotFinite {
        /// Kimg of the tick.
        kimg: f64,
    },
}

impl Alarm {
    /// Kimg at which the problem began or, for `Dead` and `NotFinite`, was detected.
    pub fn kimg(&self) -> f64 {
        match *self {
            Self::Diversity { kimg, .. }
            | Self::ScoreGap { kimg, .. }
            | Self::Dead { kimg, .. }
            | Self::NotFinite { kimg } => kimg,
        }
    }
}

impl std::fmt::Display for Alarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Diversity { kimg, share } => write!(
                f,
                "collapse since kimg {kimg:.0}: the images have become alike, their diversity is {:.0} % of the best",
                share * 100.0
            ),
            Self::ScoreGap { kimg, gap, usual } => write!(
                f,
                "divergence since kimg {kimg:.0}: scores of real images are {gap:.1} above those of generated ones, the usual gap \
                 was {usual:.1}"
            ),
            Self::Dead {
                kimg,
                gap,
                diversity,
            } => {
                write!(f, "the run has not learned by kimg {kimg:.0}:")?;
                if let Some(gap) = gap {
                    write!(
                        f,
                        " scores of real images are {gap:.0} above those of generated ones,"
                    )?;
                }
                if let Some(diversity) = diversity {
                    write!(f, " the diversity of the images is {diversity:.3},")?;
                }
                write!(
                    f,
                    " as in all ticks before; check the learning rates and gamma"
                )
            }
            Self::NotFinite { kimg } => write!(f, "scalars are NaN or infinite at kimg {kimg:.0}"),
        }
    }
}

/// Observes the ticks of one run in order and detects collapse and divergence.
#[derive(Clone, Debug)]
pub struct CollapseMonitor {
    options: CollapseOptions,
    best_diversity: f64,
    /// The smallest score gap so far. The first tick is left out, because it may be only one training step long.
    least_gap: f64,
    gaps: VecDeque<f64>,
    n_ticks: usize,
    low_diversity: Streak,
    wide_gap: Streak,
}

/// The number of consecutive ticks, up to the latest one, that are beyond a threshold, and the kimg of the first of
/// them.
#[derive(Clone, Copy, Debug, Default)]
struct Streak {
    len: usize,
    since: f64,
}

impl Streak {
    fn update(&mut self, holds: bool, kimg: f64) -> usize {
        match (holds, self.len) {
            (false, _) => self.len = 0,
            (true, 0) => (self.len, self.since) = (1, kimg),
            (true, _) => self.len += 1,
        }
        self.len
    }
}

impl TickScalars {
    /// The scalars of a tick; `mean` returns the mean of a scalar by NVIDIA's name (`Loss/scores/real`).
    pub fn from_means(mean: impl Fn(&str) -> Option<f64>) -> Self {
        Self {
            kimg: mean("Progress/kimg").unwrap_or(0.0),
            scores_real: mean("Loss/scores/real"),
            scores_fake: mean("Loss/scores/fake"),
            diversity: mean(DIVERSITY),
        }
    }
}

impl CollapseMonitor {
    /// Largest number of past score gaps that are kept to compute their median.
    const MEMORY: usize = 200;

    /// A monitor that has seen no tick yet.
    pub fn new(options: CollapseOptions) -> Self {
        Self {
            options,
            best_diversity: 0.0,
            least_gap: f64::INFINITY,
            gaps: VecDeque::new(),
            n_ticks: 0,
            low_diversity: Streak::default(),
            wide_gap: Streak::default(),
        }
    }

    /// Takes the scalars of the next tick. While a problem lasts, every call returns its alarm.
    pub fn observe(&mut self, tick: &TickScalars) -> Option<Alarm> {
        let kimg = tick.kimg;
        self.n_ticks += 1;
        let numbers = [tick.scores_real, tick.scores_fake, tick.diversity];
        if numbers.into_iter().flatten().any(|v| !v.is_finite()) {
            return Some(Alarm::NotFinite { kimg });
        }
        let is_warm = self.n_ticks > self.options.warmup;
        let mut alarm = None;
        if let (Some(real), Some(fake)) = (tick.scores_real, tick.scores_fake) {
            let gap = real - fake;
            if self.n_ticks > 1 {
                self.least_gap = self.least_gap.min(gap);
            }
            let usual = median(&self.gaps);
            let is_wide = is_warm
                && gap > self.options.gap_least
                && gap > self.options.gap_factor * usual.max(0.0);
            if self.wide_gap.update(is_wide, kimg) >= self.options.patience {
                alarm = Some(Alarm::ScoreGap {
                    kimg: self.wide_gap.since,
                    gap,
                    usual,
                });
            }
            // A suspicious gap must not enter the median.
            if !is_wide {
                self.gaps.push_back(gap);
                if self.gaps.len() > Self::MEMORY {
                    self.gaps.pop_front();
                }
            }
        }
        if let Some(diversity) = tick.diversity {
            self.best_diversity = self.best_diversity.max(diversity);
            let share = diversity / self.best_diversity.max(f64::MIN_POSITIVE);
            let is_low = is_warm && share < self.options.diversity_share;
            if self.low_diversity.update(is_low, kimg) >= self.options.patience {
                alarm = Some(Alarm::Diversity {
                    kimg: self.low_diversity.since,
                    share,
                });
            }
        }
        self.is_dead(tick).or(alarm)
    }

    fn is_dead(&self, tick: &TickScalars) -> Option<Alarm> {
        let gap = match (tick.scores_real, tick.scores_fake) {
            (Some(real), Some(fake)) => Some(real - fake),
            _ => None,
        };
        let gap = gap.filter(|_| self.least_gap > self.options.gap_of_dead);
        let has_none = self.best_diversity < self.options.diversity_of_dead;
        let diversity = tick.diversity.filter(|_| has_none);
        let is_certain = self.n_ticks > self.options.patience;
        (is_certain && (gap.is_some() || diversity.is_some())).then_some(Alarm::Dead {
            kimg: tick.kimg,
            gap,
            diversity,
        })
    }
}

fn median(values: &VecDeque<f64>) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(ticks: impl Iterator<Item = TickScalars>) -> Option<Alarm> {
        let mut monitor = CollapseMonitor::new(CollapseOptions::default());
        ticks.filter_map(|tick| monitor.observe(&tick)).next()
    }

    fn tick(i: usize, gap: f64, diversity: f64) -> TickScalars {
        TickScalars {
            kimg: 4.0 * i as f64,
            scores_real: Some(gap / 2.0),
            scores_fake: Some(-gap / 2.0),
            diversity: Some(diversity),
        }
    }

    #[test]
    fn a_planted_collapse_is_flagged_where_it_begins() {
        let facts = (0..60).map(|i| {
            tick(
                i,
                1.0 + 0.1 * (i % 3) as f64,
                if i < 40 { 5.0 } else { 1.0 },
            )
        });
        match watch(facts) {
            Some(Alarm::Diversity { kimg, share }) => {
                assert_eq!((kimg, share), (160.0, 0.2));
            }
            other => panic!("{other:?}"),
        }
        let facts = (0..60).map(|i| tick(i, if i < 30 { 1.5 } else { 12.0 }, 5.0));
        assert!(matches!(
            watch(facts),
            Some(Alarm::ScoreGap { kimg: 120.0, .. })
        ));
        assert!(matches!(
            watch([tick(3, f64::NAN, 5.0)].into_iter()),
            Some(Alarm::NotFinite { .. })
        ));
    }

    #[test]
    fn a_run_that_never_lived_is_told_apart_from_a_hard_beginning() {
        // Origin: a 32 px run with --glr 1e30, score gaps and diversities of its first ticks.
        let facts = [(3.2, 0.0), (59.0, 0.0), (62.8, 0.0), (47.6, 0.0)];
        let watched = |facts: &[(f64, f64)]| {
            let ticks = facts.iter().enumerate();
            watch(ticks.map(|(i, (gap, diversity))| tick(i, *gap, *diversity)))
        };
        assert_eq!(
            watched(&facts),
            Some(Alarm::Dead {
                kimg: 12.0,
                gap: Some(47.6),
                diversity: Some(0.0),
            })
        );
        let saturated = facts.map(|(gap, _)| (gap, 3.0));
        assert!(matches!(
            watched(&saturated),
            Some(Alarm::Dead {
                diversity: None,
                ..
            })
        ));
        assert_eq!(watched(&facts[..3]), None, "three ticks are too few");
        // Origin: a 64 px run that learned, and the same run with one saturated tick.
        let alive = [(0.1, 3.2), (4.2, 1.9), (6.5, 1.8), (7.9, 2.3), (8.7, 2.4)];
        assert_eq!(watched(&alive), None);
        let outlier = [(0.1, 3.2), (40.0, 1.9), (6.5, 1.8), (40.0, 2.3), (8.7, 2.4)];
        assert_eq!(watched(&outlier), None);
    }

    #[test]
    fn ordinary_runs_stay_silent() {
        // The gap grows slowly, the diversity rises from near 0 and fluctuates, one tick is an outlier.
        let facts = (0..500).map(|i| {
            let wobble = ((i * 7919) % 13) as f64 / 13.0;
            let gap = 0.5 + 0.008 * i as f64 + wobble;
            let gap = if i == 300 { 40.0 } else { gap };
            tick(i, gap, (i as f64 / 20.0).min(5.0) * (0.8 + 0.2 * wobble))
        });
        assert_eq!(watch(facts), None);
    }
}
