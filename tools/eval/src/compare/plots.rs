//! Makes the plots of the page.

use std::collections::BTreeSet;

use report::{Plot, Series, YAxis};
use run_folder::RunRecord;

/// The training curves that are plotted: the name of the scalar and a note on how to read it.
const CURVES: &[(&str, &str)] = &[
    (
        "Progress/augment",
        "Strength p of the augmentation. ADA raises it while the discriminator overfits; above 0.8 it may leak into images.",
    ),
    (
        "Loss/signs/real",
        "Share of training images taken for real, from -1 to 1. ADA holds it at its target (0.6); near 1 the discriminator knows the images by heart.",
    ),
    (
        "Loss/signs/fake",
        "The same for generated images. Near -1 none of them fools the discriminator.",
    ),
    (
        "Loss/scores/real",
        "Mean score of training images. A widening gap to the fakes' scores means that the generator falls behind.",
    ),
    ("Loss/scores/fake", "Mean score of generated images."),
    (
        "Loss/G/loss",
        "Loss of the generator. It does not tell quality; watch for jumps.",
    ),
    (
        "Loss/D/loss",
        "Loss of the discriminator. Towards 0 it wins all the time.",
    ),
    ("Loss/G/reg", "Path length penalty."),
    (
        "Loss/D/reg",
        "R1 penalty: steepness of the discriminator. Explosions come before a divergence.",
    ),
    (
        "Progress/diversity",
        "How much generated images differ from each other. A fall is a collapse.",
    ),
];

/// A unit of time that suits the length of the longest run.
struct TimeUnit {
    name: &'static str,
    per_hour: f64,
}

impl TimeUnit {
    fn of(runs: &[RunRecord]) -> Self {
        let hours = runs.iter().filter_map(|run| run.ticks.last());
        let longest = hours.map(|tick| tick.hours).fold(0.0, f64::max);
        let (name, per_hour) = match longest {
            hours if hours < 3.0 => ("minutes", 60.0),
            hours if hours < 72.0 => ("hours", 1.0),
            _ => ("days", 1.0 / 24.0),
        };
        Self { name, per_hour }
    }

    fn scale(&self, hours: f64) -> f64 {
        hours * self.per_hour
    }
}

/// Plots of metric results over kimg and time, and plots of training scalars over kimg.
pub struct Plots {
    pub metrics: Vec<Plot>,
    pub curves: Vec<Plot>,
}

impl Plots {
    /// Makes the plots; `y_axis` is the y axis of the plots of metrics.
    pub fn new(runs: &[RunRecord], names: &[String], y_axis: YAxis) -> Self {
        let mut results: BTreeSet<(bool, String, String)> = BTreeSet::new();
        for line in runs.iter().flat_map(|run| &run.metrics) {
            for (name, _) in line.line["results"].as_object().into_iter().flatten() {
                results.insert((
                    !name.starts_with("fid"),
                    name.clone(),
                    line.features().to_owned(),
                ));
            }
        }
        let time_unit = TimeUnit::of(runs);
        let mut metrics = Vec::new();
        for (_, result, features) in results {
            for hours in [false, true] {
                let series = runs
                    .iter()
                    .zip(names)
                    .enumerate()
                    .map(|(color, (run, name))| {
                        let curve = run.curve(&result, &features).points;
                        let x = |kimg: f64| match hours {
                            true => time_unit.scale(run.hours_at(kimg)),
                            false => kimg,
                        };
                        let has_errors = curve.iter().any(|p| p.std.is_some());
                        Series {
                            name: name.clone(),
                            color,
                            points: curve.iter().map(|p| (x(p.kimg), p.value)).collect(),
                            errors: if has_errors {
                                curve.iter().map(|p| p.std.unwrap_or(f64::NAN)).collect()
                            } else {
                                Vec::new()
                            },
                            dots: true,
                            ..Default::default()
                        }
                    })
                    .collect();
                let better = if run_folder::lower_is_better(&result) {
                    "Lower"
                } else {
                    "Higher"
                };
                let published = if matches!(&features[..], "inception-2015-12-05" | "vgg16") {
                    String::new()
                } else {
                    format!(" Features of {features}: not comparable with published numbers.")
                };
                metrics.push(Plot {
                    title: result.clone(),
                    note: format!("{better} is better. Bars are one standard error.{published}"),
                    x_label: if hours { time_unit.name } else { "kimg" }.to_owned(),
                    y_axis,
                    series,
                });
            }
        }
        let curves = CURVES
            .iter()
            .map(|(tag, note)| Plot {
                title: (*tag).to_owned(),
                note: (*note).to_owned(),
                x_label: "kimg".to_owned(),
                y_axis: YAxis::Range,
                series: runs
                    .iter()
                    .zip(names)
                    .enumerate()
                    .map(|(color, (run, name))| Series {
                        name: name.clone(),
                        color,
                        points: run
                            .ticks
                            .iter()
                            .filter_map(|tick| Some((tick.kimg, *tick.means.get(*tag)?)))
                            .collect(),
                        ..Default::default()
                    })
                    .collect(),
            })
            .filter(|plot| !plot.is_empty())
            .collect();
        metrics.retain(|plot: &Plot| !plot.is_empty());
        Self { metrics, curves }
    }
}
