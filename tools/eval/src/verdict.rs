//! Draws conclusions about single runs and from comparing runs, as sentences that contain the numbers behind them.

use std::collections::BTreeMap;

use report::short;
use run_folder::{
    Alarm, CollapseMonitor, CollapseOptions, Curve, LEAST_SNAPSHOTS, Point, RunRecord, TickScalars,
    Trend, can_judge, lower_is_better,
};

use crate::augmentation::RunAugmentation;
use crate::compare::labels::RunLabel;

/// The conclusions of a comparison of training runs, as text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// The main conclusion: which run is better and by how much, which runs became worse, and which snapshot to use.
    pub headline: String,
    /// Sentences about each run: the trend of its metric, alarms, overfitting, leaks.
    pub details: Vec<String>,
}

/// Below this augmentation probability, augmentation has hardly any effect.
const HARDLY_AUGMENTED: f64 = 0.02;

/// Compares runs. `labels` are those of `runs`; `result` is the metric result to judge by, `None` when there is none,
/// computed with the feature network `features`.
pub fn verdict(
    runs: &[RunRecord],
    labels: &[RunLabel],
    result: Option<&str>,
    features: &str,
) -> Verdict {
    let mut details = Vec::new();
    let curves: Vec<Curve> = runs
        .iter()
        .map(|run| result.map_or_else(Curve::default, |result| run.curve(result, features)))
        .collect();
    for ((run, label), curve) in runs.iter().zip(labels).zip(&curves) {
        if let Some(result) = result {
            details.push(of_curve(&label.name, curve, result, features));
        }
        details.extend(of_ticks(&label.name, run));
        details.extend(of_leaks(&label.name, run));
    }
    let headline = match result {
        None => {
            "No metric was computed: `eval run RUN_DIR` measures the snapshots of a run.".to_owned()
        }
        Some(result) if !can_judge(features) => format!(
            "No run is called better by {result}: features of {features} rank only roughly. Look at the images, or measure \
             with trained features (--features inception or face-detector)."
        ),
        Some(result) => headline(runs, labels, &curves, result),
    };
    Verdict { headline, details }
}

/// Runs that differ only in their seed.
struct Group<'a> {
    name: &'a str,
    members: Vec<Member<'a>>,
}

struct Member<'a> {
    run: &'a RunRecord,
    best: Point,
    trend: Trend,
}

impl Group<'_> {
    /// The mean of the members' best values. Its standard error is computed from the differences between the runs or,
    /// for a single run, is that of the metric.
    fn value(&self) -> Point {
        let first = self.members[0].best;
        let n = self.members.len() as f64;
        if self.members.len() == 1 {
            return first;
        }
        let mean = self.members.iter().map(|m| m.best.value).sum::<f64>() / n;
        let squares = self.members.iter().map(|m| (m.best.value - mean).powi(2));
        Point {
            value: mean,
            std: Some((squares.sum::<f64>() / (n - 1.0) / n).sqrt()),
            ..first
        }
    }

    /// The run with the best value.
    fn best(&self, lower_is_better: bool) -> &Member<'_> {
        let sign = if lower_is_better { 1.0 } else { -1.0 };
        let cost = |member: &Member<'_>| sign * member.best.value;
        let members = self.members.iter();
        members
            .min_by(|a, b| cost(a).total_cmp(&cost(b)))
            .unwrap_or(&self.members[0])
    }

    /// A text such as `... turned up at kimg 40`, when more than half of the runs became worse; otherwise `None`.
    fn turn(&self) -> Option<String> {
        let mut turns: Vec<f64> = self
            .members
            .iter()
            .filter_map(|member| Some(member.trend.worse_since()?.kimg))
            .collect();
        turns.sort_by(f64::total_cmp);
        let kimg = turns.get(turns.len() / 2)?;
        let of = match self.members.len() {
            1 => String::new(),
            n => format!(" ({} of {n} runs)", turns.len()),
        };
        (2 * turns.len() > self.members.len())
            .then(|| format!("{} turned up at kimg {kimg:.0}{of}", self.name))
    }

    /// Whether all runs have augmentation, but its probability is close to 0 at their last ticks.
    fn is_hardly_augmented(&self) -> bool {
        self.members.iter().all(|member| {
            let p = member.run.ticks.last();
            let p = p.and_then(|tick| tick.means.get("Progress/augment").copied());
            let has_pipe = RunAugmentation::of(member.run).is_some_and(|a| a.pipe.is_some());
            has_pipe && p.is_some_and(|p| p < HARDLY_AUGMENTED)
        })
    }
}

fn headline(runs: &[RunRecord], labels: &[RunLabel], curves: &[Curve], result: &str) -> String {
    let mut groups: BTreeMap<&str, Group<'_>> = BTreeMap::new();
    let mut short_runs = Vec::new();
    for ((run, label), curve) in runs.iter().zip(labels).zip(curves) {
        let trend = curve.trend();
        match curve.best() {
            Some(best) if trend != Trend::TooShort => {
                let group = groups.entry(&label.group).or_insert_with(|| Group {
                    name: &label.group,
                    members: Vec::new(),
                });
                let best = *best;
                group.members.push(Member { run, best, trend });
            }
            _ => short_runs.push(&label.name[..]),
        }
    }
    if !short_runs.is_empty() {
        return format!(
            "Too short to judge: {} {} fewer than {LEAST_SNAPSHOTS} snapshots with a {result} beyond the warm-up.",
            short_runs.join(" and "),
            if short_runs.len() == 1 { "has" } else { "have" }
        );
    }
    let mut groups: Vec<Group<'_>> = groups.into_values().collect();
    let falls = lower_is_better(result);
    groups.sort_by(|a, b| a.value().value.total_cmp(&b.value().value));
    if !falls {
        groups.reverse();
    }
    let turns: Vec<String> = groups.iter().filter_map(Group::turn).collect();
    let mut text = match &groups[..] {
        [] => return String::new(),
        [only] => {
            let best = only.best(falls);
            format!(
                "{}: best {result} {} at kimg {:.0}.",
                only.name,
                only.value().text(),
                best.best.kimg
            )
        }
        [first, second, ..] => against(first, second, result),
    };
    if !turns.is_empty() {
        text += &format!(" {}.", turns.join(", "));
    }
    if let [first, _, ..] = &groups[..] {
        let best = first.best(falls);
        text += &format!(
            " Snapshot to take: kimg {:.0} of {}.",
            best.best.kimg,
            best.run.name()
        );
        if first.is_hardly_augmented() {
            text += " Its augmentation hardly acted (p near 0).";
        }
        if groups.iter().any(|group| group.members.len() < 2) {
            text += " The error holds no variation from run to run: only runs with other seeds (--seed) settle it.";
        }
    }
    text
}

/// Compares the best group with the second best one, in a sentence.
fn against(first: &Group<'_>, second: &Group<'_>, result: &str) -> String {
    let (a, b) = (first.value(), second.value());
    let falls = lower_is_better(result);
    let show = |group: &Group<'_>, point: &Point| match group.members.len() {
        1 => format!("{} at kimg {:.0}", point.text(), point.kimg),
        n => format!("{} (mean of {n} runs)", point.text()),
    };
    let difference = (a.value - b.value).abs();
    let error = a.std.unwrap_or(0.0).hypot(b.std.unwrap_or(0.0));
    let is_known = a.std.is_some() && b.std.is_some();
    let (best_a, best_b) = (show(first, &a), show(second, &b));
    let (a_name, b_name) = (first.name, second.name);
    if difference <= 0.0 {
        return format!("{a_name} and {b_name} are equal: best {result} {best_a}.");
    }
    if is_known && difference < 2.0 * error {
        return format!(
            "{a_name} and {b_name} are equal within the error: best {result} {best_a} against {best_b}."
        );
    }
    // A difference cannot be given in percent of 0, which can be the value of a KID or of a fraction of copies.
    let apart = match b.value.abs() > 1e-9 {
        true => format!("{:.0} %", difference / b.value.abs() * 100.0),
        false => short(difference),
    };
    let word = if falls { "lower" } else { "higher" };
    let doubt = if is_known { "" } else { ", error not known" };
    format!(
        "{a_name} is better: best {result} {best_a} against {best_b} of {b_name} ({apart} {word}{doubt})."
    )
}

fn of_curve(name: &str, curve: &Curve, result: &str, features: &str) -> String {
    if curve.points.is_empty() {
        return format!("{name}: no snapshot was measured by {result}; `eval run` does it.");
    }
    let trend = curve.trend();
    match trend.worse_since() {
        Some(since) if !can_judge(features) && since.value.is_finite() => format!(
            "{name} is worse from kimg {:.0} on by {features}. Random features rank only roughly: look at the images \
             before you call it a collapse.",
            since.kimg
        ),
        _ => format!("{name} {}", trend.sentence(result)),
    }
}

/// The alarm of the collapse monitor at the last tick of a run; `None` when there is none.
pub fn alarm_of(run: &RunRecord) -> Option<Alarm> {
    let mut monitor = CollapseMonitor::new(CollapseOptions::default());
    let mut last = None;
    for tick in &run.ticks {
        let mean = |name: &str| tick.means.get(name).copied();
        last = monitor.observe(&TickScalars {
            kimg: tick.kimg,
            ..TickScalars::from_means(mean)
        });
    }
    last
}

fn of_ticks(name: &str, run: &RunRecord) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(alarm) = alarm_of(run) {
        lines.push(format!("{name}: {alarm}."));
    }
    // Means over the last quarter of the run.
    let late = &run.ticks[run.ticks.len() - run.ticks.len() / 4..];
    let mean = |key: &str| {
        let values: Vec<f64> = late
            .iter()
            .filter_map(|tick| tick.means.get(key).copied().filter(|v| v.is_finite()))
            .collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let p = mean("Progress/augment").unwrap_or(0.0);
    if let Some(signs) = mean("Loss/signs/real").filter(|signs| *signs > 0.85) {
        let advice = if p > 0.0 {
            "more data or a longer --aug warm-up"
        } else {
            "--aug=ada or more data"
        };
        lines.push(format!(
            "{name} overfits: the discriminator takes {:.0} % of the training images for real (Loss/signs/real {}); {advice} would help.",
            (1.0 + signs) * 50.0,
            short(signs)
        ));
    }
    if p > 0.8 {
        lines.push(format!(
            "{name} augments {:.0} % of the time at the end: augmentations leak into images at such rates; look at `eval leak`.",
            p * 100.0
        ));
    }
    lines
}

/// Sentences about leaks, from the last line that `eval leak` wrote. Lines of earlier versions, which did not consider
/// the run's pipe, lack `shows` and are ignored.
fn of_leaks(name: &str, run: &RunRecord) -> Vec<String> {
    let line = &run.leak;
    let leaks = line["categories"].as_array().into_iter().flatten();
    leaks
        .filter(|leak| leak["leaks"] == true && leak["shows"] == true)
        .filter_map(|leak| {
            Some(format!(
                "{name} leaks {}: about {:.0} % of its images look so ({}).",
                leak["category"].as_str()?,
                leak["share"].as_f64()? * 100.0,
                line["snapshot"]
                    .as_str()
                    .unwrap_or("last measured snapshot")
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve_of(values: &[f64]) -> Curve {
        let points = values.iter().enumerate();
        Curve {
            points: points
                .map(|(i, &value)| Point {
                    kimg: 200.0 * (i + 1) as f64,
                    value,
                    std: Some(0.1),
                })
                .collect(),
            lower_is_better: true,
            warm_up_kimg: 10.0,
        }
    }

    fn run(folder: &std::path::Path) -> RunRecord {
        std::fs::write(folder.join("training_options.json"), "{}").unwrap();
        RunRecord::open(folder).unwrap()
    }

    /// The headline of a comparison of runs with these labels (group, name) and metric values.
    fn said(runs: &[(&str, &str, &[f64])], result: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let records: Vec<RunRecord> = runs.iter().map(|_| run(folder.path())).collect();
        let labels: Vec<RunLabel> = runs
            .iter()
            .map(|(group, name, _)| RunLabel {
                group: (*group).to_owned(),
                name: (*name).to_owned(),
            })
            .collect();
        let curves: Vec<Curve> = runs
            .iter()
            .map(|(_, _, values)| Curve {
                lower_is_better: lower_is_better(result),
                ..curve_of(values)
            })
            .collect();
        headline(&records, &labels, &curves, result)
    }

    #[test]
    fn the_headline_names_winner_turn_and_snapshot() {
        let text = said(
            &[
                ("none", "none", &[12.0, 10.0, 14.0, 16.0]),
                ("ADA", "ADA", &[13.0, 9.0, 8.0, 8.1]),
            ],
            "fid5k_full",
        );
        for part in [
            "ADA is better: best fid5k_full 8 ± 0.1 at kimg 600 against 10 ± 0.1 at kimg 400 of none (20 % lower)",
            "none turned up at kimg 600",
            "Snapshot to take: kimg 600",
            "other seeds",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let text = said(
            &[
                ("a", "a", &[12.0, 10.0, 9.9]),
                ("b", "b", &[12.0, 10.0, 10.0]),
            ],
            "fid5k_full",
        );
        assert!(text.contains("equal within the error"), "{text}");
        let text = said(
            &[("a", "a", &[0.5, 0.5, 0.5]), ("b", "b", &[0.0, 0.0, 0.0])],
            "dc10k5_full_coverage",
        );
        assert!(
            text.contains("a is better") && text.contains("(0.5 higher)"),
            "{text}"
        );
    }

    #[test]
    fn seeds_of_one_setting_are_one_side() {
        let text = said(
            &[
                ("none", "none, seed 0", &[12.0, 10.0, 14.0, 16.0]),
                ("none", "none, seed 1", &[12.0, 11.0, 15.0, 16.0]),
                ("ADA", "ADA, seed 0", &[13.0, 9.0, 8.0, 8.1]),
                ("ADA", "ADA, seed 1", &[13.0, 9.0, 8.5, 8.1]),
            ],
            "fid5k_full",
        );
        for part in [
            "(mean of 2 runs)",
            "none turned up at kimg 600 (2 of 2 runs)",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("other seeds"), "{text}");
    }

    #[test]
    fn short_runs_have_no_winner() {
        let text = said(
            &[("a", "a", &[1.9, 6.0]), ("b", "b", &[1.0, 2.0, 3.0, 4.0])],
            "fid5k_full",
        );
        assert!(
            text.starts_with("Too short to judge: a has fewer"),
            "{text}"
        );
    }

    #[test]
    fn random_features_alone_call_nothing_a_collapse() {
        let curve = curve_of(&[300.0, 8.0, 120.0, 300.0]);
        let say = |features: &str| of_curve("a", &curve, "fid5k_full", features);
        assert!(say("inception").contains("collapsed at kimg 600"));
        let text = say("random-inception-small");
        assert!(
            !text.contains("collapsed") && text.contains("from kimg 600"),
            "{text}"
        );
        assert!(of_curve("a", &Curve::default(), "fid5k_full", "inception").contains("eval run"));
    }
}
