//! What runs say about themselves, in words with their numbers.

use report::short;
use run_folder::{
    Alarm, CollapseMonitor, CollapseOptions, RunRecord, TickScalars, lower_is_better,
};

/// A measured snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub kimg: f64,
    pub value: f64,
    /// Standard error, where it is known.
    pub std: Option<f64>,
}

/// One number of one run over time, in order of kimg.
pub type Curve = Vec<Point>;

/// The points of a result (`fid50k_full`) of a run, the last line of each snapshot.
pub fn curve(run: &RunRecord, result: &str, features: &str) -> Curve {
    let mut points: std::collections::BTreeMap<u64, Point> = Default::default();
    for line in run
        .metrics
        .iter()
        .filter(|line| line.features() == features)
    {
        // A number that was no number is written as null.
        let number = line.line["results"].get(result);
        let value = number.map(|v| v.as_f64().unwrap_or(f64::NAN));
        if let (Some(kimg), Some(value)) = (line.kimg, value) {
            let point = Point {
                kimg: kimg as f64,
                value,
                std: line.line["std"][result].as_f64(),
            };
            points.insert(kimg, point);
        }
    }
    points.into_values().collect()
}

/// The best point.
pub fn best<'a>(curve: &'a Curve, result: &str) -> Option<&'a Point> {
    let order = |a: &&Point, b: &&Point| a.value.total_cmp(&b.value);
    let mut finite = curve.iter().filter(|p| p.value.is_finite());
    if lower_is_better(result) {
        finite.min_by(order)
    } else {
        finite.by_ref().max_by(order)
    }
}

/// Where a metric that should fall rose to twice its best and stayed there.
pub fn collapse_of(curve: &Curve) -> Option<(Point, Point)> {
    let best = curve
        .iter()
        .filter(|p| p.value.is_finite())
        .min_by(|a, b| a.value.total_cmp(&b.value))?;
    let limit = 2.0 * best.value + 3.0 * best.std.unwrap_or(0.0);
    let is_bad = |p: &&Point| p.kimg > best.kimg && (p.value > limit || !p.value.is_finite());
    let n_bad = curve.iter().rev().take_while(is_bad).count();
    let first = curve.get(curve.len() - n_bad)?;
    Some((best.clone(), first.clone()))
}

/// The alarm that a watch over the ticks of a run would have given first, if it still held at the end.
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

/// All that is to be said; `result` is the number to judge by.
pub fn verdict(
    runs: &[RunRecord],
    names: &[String],
    result: Option<&str>,
    features: &str,
) -> Vec<String> {
    let mut lines = Vec::new();
    let curves: Vec<Curve> = runs
        .iter()
        .map(|run| result.map_or_else(Vec::new, |result| curve(run, result, features)))
        .collect();
    if let Some(result) = result {
        lines.extend(between(names, &curves, result));
    }
    for ((run, name), curve) in runs.iter().zip(names).zip(&curves) {
        if let Some(result) = result {
            lines.extend(of_curve(name, curve, result, features));
        }
        lines.extend(of_ticks(name, run));
        lines.extend(of_leaks(name, run));
    }
    lines
}

fn show(point: &Point) -> String {
    let spread = point
        .std
        .map_or(String::new(), |std| format!(" ± {}", error_bar(std)));
    format!("{}{spread}", short(point.value))
}

/// Two significant digits: an error is not known better.
fn error_bar(std: f64) -> String {
    if std <= 0.0 || !std.is_finite() {
        return short(std);
    }
    let unit = 10f64.powf(std.log10().floor() - 1.0);
    short((std / unit).round() * unit)
}

/// Which run is better, and whether by more than the error.
fn between(names: &[String], curves: &[Curve], result: &str) -> Option<String> {
    let mut bests: Vec<(&String, &Point)> = names
        .iter()
        .zip(curves)
        .filter_map(|(name, curve)| Some((name, best(curve, result)?)))
        .collect();
    if bests.len() < 2 {
        return None;
    }
    bests.sort_by(|a, b| a.1.value.total_cmp(&b.1.value));
    if !lower_is_better(result) {
        bests.reverse();
    }
    let ((first, a), (second, b)) = (bests[0], bests[1]);
    let difference = (a.value - b.value).abs();
    let error = a.std.unwrap_or(0.0).hypot(b.std.unwrap_or(0.0));
    let known = a.std.is_some() && b.std.is_some();
    // There is no share of 0, which a KID or a share of copies can be.
    let apart = match b.value.abs() > 1e-9 {
        true => format!("{:.0} %", difference / b.value.abs() * 100.0),
        false => short(difference),
    };
    Some(if difference <= 0.0 {
        format!("{first} and {second} are equal: best {result} {}.", show(a))
    } else if known && difference < 2.0 * error {
        format!(
            "{first} and {second} are equal within the error: best {result} {} against {} (difference {}, error of it {}).",
            show(a),
            show(b),
            short(difference),
            short(error)
        )
    } else {
        format!(
            "{first} is better: best {result} {} at kimg {:.0}, {second} reaches {} at kimg {:.0} ({apart} apart{}).",
            show(a),
            a.kimg,
            show(b),
            b.kimg,
            if known {
                String::new()
            } else {
                ", error not known".to_owned()
            }
        )
    })
}

fn of_curve(name: &str, curve: &Curve, result: &str, features: &str) -> Vec<String> {
    let Some(top) = best(curve, result) else {
        return vec![if curve.is_empty() {
            format!("{name}: no snapshot was measured by {result}; `eval run` does it.")
        } else {
            format!("{name} has diverged: {result} is no number at any snapshot.")
        }];
    };
    let (Some(last), falls) = (curve.last(), lower_is_better(result)) else {
        return Vec::new();
    };
    if !last.value.is_finite() {
        return vec![format!(
            "{name} has diverged: {result} of its last snapshot (kimg {:.0}) is no number. Use the snapshot of kimg {:.0} ({}).",
            last.kimg,
            top.kimg,
            show(top)
        )];
    }
    if falls && let Some((top, first)) = collapse_of(curve) {
        if features.starts_with("random-") {
            // Seen: blurred beginnings please random features more than faces do.
            return vec![format!(
                "{name} is worse from kimg {:.0} on by {features}: {result} {} (kimg {:.0}), {} at the end. Random features rank only roughly: look at the pictures before you call it a collapse.",
                first.kimg,
                show(&top),
                top.kimg,
                show(last)
            )];
        }
        return vec![format!(
            "{name} collapsed at kimg {:.0}: {result} rose from {} (kimg {:.0}) to {} and ends at {}. Use the snapshot of kimg {:.0}.",
            first.kimg,
            show(&top),
            top.kimg,
            show(&first),
            show(last),
            top.kimg
        )];
    }
    if top.kimg == last.kimg {
        if curve.len() < 2 {
            return Vec::new();
        }
        return vec![format!(
            "{name} is still improving: its last snapshot (kimg {:.0}) is its best, {result} {}.",
            last.kimg,
            show(top)
        )];
    }
    let change = (last.value - top.value).abs() / top.value.abs().max(1e-12);
    let word = if change > 0.15 {
        "has become worse since its best snapshot"
    } else {
        "has stopped improving"
    };
    vec![format!(
        "{name} {word}: {result} {} at kimg {:.0}, {} at the end (kimg {:.0}).",
        show(top),
        top.kimg,
        show(last),
        last.kimg
    )]
}

fn of_ticks(name: &str, run: &RunRecord) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(alarm) = alarm_of(run) {
        lines.push(format!("{name}: {alarm}."));
    }
    // The last quarter of the run.
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

/// From the file that `eval leak` leaves.
fn of_leaks(name: &str, run: &RunRecord) -> Vec<String> {
    let line = &run.leak;
    let leaks = line["categories"].as_array().into_iter().flatten();
    leaks
        .filter(|leak| leak["leaks"] == true)
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
        values
            .iter()
            .enumerate()
            .map(|(i, &value)| Point {
                kimg: 200.0 * i as f64,
                value,
                std: Some(0.1),
            })
            .collect()
    }

    #[test]
    fn a_collapse_is_dated_by_its_first_bad_snapshot() {
        let (top, first) = collapse_of(&curve_of(&[300.0, 40.0, 8.0, 9.0, 120.0, 300.0])).unwrap();
        assert_eq!((top.kimg, first.kimg), (400.0, 800.0));
        // One bad snapshot in between is none, nor is a slow drift.
        assert_eq!(collapse_of(&curve_of(&[300.0, 8.0, 50.0, 7.0])), None);
        assert_eq!(collapse_of(&curve_of(&[300.0, 8.0, 9.0, 11.0])), None);
        assert_eq!(collapse_of(&Vec::new()), None);
    }

    #[test]
    fn random_features_alone_call_nothing_a_collapse() {
        let curve = curve_of(&[300.0, 8.0, 120.0, 300.0]);
        let say = |features: &str| of_curve("a", &curve, "fid5k_full", features).remove(0);
        assert!(say("inception").contains("collapsed at kimg 400"));
        let text = say("random-inception-small");
        assert!(
            !text.contains("collapsed") && text.contains("from kimg 400"),
            "{text}"
        );
    }

    #[test]
    fn a_last_snapshot_without_a_number_is_a_divergence() {
        let say =
            |values: &[f64]| of_curve("a", &curve_of(values), "fid5k_full", "inception").remove(0);
        let text = say(&[300.0, 20.0, f64::NAN]);
        assert!(
            text.contains("diverged") && text.contains("(kimg 400)") && text.contains("kimg 200"),
            "{text}"
        );
        assert!(say(&[f64::NAN]).contains("no number at any snapshot"));
        assert!(say(&[]).contains("eval run"));
        // One in between is passed over.
        assert!(say(&[300.0, f64::NAN, 18.0]).contains("still improving"));
    }

    #[test]
    fn runs_within_the_error_are_equal() {
        let names = ["a".to_owned(), "b".to_owned()];
        let say = |a: f64, b: f64| {
            between(
                &names,
                &[curve_of(&[50.0, a]), curve_of(&[50.0, b])],
                "fid5k_full",
            )
            .unwrap()
        };
        assert!(say(10.0, 10.1).contains("equal within the error"));
        assert!(say(10.0, 10.0).starts_with("a and b are equal: best fid5k_full 10"));
        let text = between(
            &names,
            &[curve_of(&[0.5]), curve_of(&[0.0])],
            "dc10k5_full_coverage",
        )
        .unwrap();
        assert!(text.contains("(0.5 apart)"), "{text}");
        let text = say(12.0, 10.0);
        assert!(
            text.starts_with("b is better: best fid5k_full 10"),
            "{text}"
        );
    }
}
