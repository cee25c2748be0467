//! Reconstructs the ticks of a run from the scalars of its TensorBoard event files, of this program or of NVIDIA's.
//!
//! This program and NVIDIA's PyTorch program write steps in kimg and times in seconds since the start of the run.
//! NVIDIA's TensorFlow program writes steps in images and times since 1970. The rules:
//!
//! - The kimg of a step is its scalar `Progress/kimg`. Without that scalar it is the number of the step, divided by
//!   1000 when steps count images ([`counts_images`]).
//! - The hours of a step are taken from its scalar `Timing/total_hours`, else from `Timing/total_sec`, else from
//!   `Timing/total_days`. Without these scalars they are computed from the time of the event: a time since 1970 is
//!   measured from the first event of the run.

use std::collections::BTreeMap;

use crate::tensorboard::Events;
use crate::ticks::{KIMG, Tick, hours_of};

/// Times in seconds of at least this value count from 1970. Smaller times count from the start of the run, because no
/// run takes three years.
const SINCE_1970: f64 = 1e8;

/// Other information about the length of a run, from which [`counts_images`] infers the unit of steps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lengths {
    /// `total_kimg` of the run's options: its planned length in kimg.
    pub total: Option<f64>,
    /// The kimg of the run's newest snapshot.
    pub last_snapshot: Option<u64>,
}

/// Time in seconds of the first scalar of a step, and the values of the step's scalars by name.
type Step = (f64, BTreeMap<String, f64>);

/// Makes one tick for each step, sorted by kimg. When several files have the same step, values of the later file win.
pub fn ticks(files: &[Events], lengths: Lengths) -> Vec<Tick> {
    let mut steps: BTreeMap<u64, Step> = BTreeMap::new();
    for scalar in files.iter().flat_map(|file| &file.scalars) {
        let (_, means) = steps
            .entry(scalar.step)
            .or_insert((scalar.wall_time, BTreeMap::new()));
        means.insert(scalar.tag.clone(), scalar.value);
    }
    let wall_times = files.iter().flat_map(|file| &file.wall_times).copied();
    let started = wall_times
        .filter(|t| *t >= SINCE_1970)
        .fold(f64::INFINITY, f64::min);
    let unit = match counts_images(&steps, lengths) {
        true => 1000.0,
        false => 1.0,
    };
    let all = steps.into_iter().map(|(step, (seconds, means))| {
        let own = means.get(KIMG).copied().filter(|kimg| kimg.is_finite());
        let kimg = own.unwrap_or(step as f64 / unit);
        let seconds = match seconds >= SINCE_1970 {
            true => seconds - started,
            false => seconds,
        };
        let tick = means.get("Progress/tick").copied();
        Tick {
            kimg,
            hours: hours_of(&means).unwrap_or(seconds / 3600.0),
            tick: tick.unwrap_or((kimg / 4.0).round()).max(0.0) as u64,
            means,
        }
    });
    let mut all: Vec<Tick> = all.collect();
    all.sort_by(|a, b| a.kimg.total_cmp(&b.kimg));
    all
}

/// Whether steps count images instead of thousands of images. The first of these criteria that applies decides:
///
/// 1. `Progress/kimg` of the steps: when steps count images, their numbers are about 1000 times this value.
/// 2. The kimg of the newest snapshot: the number of the last step is near this value, or near 1000 times this value
///    when steps count images.
/// 3. `total_kimg`: when the number of the last step is far beyond it, steps count images. Otherwise the next criterion
///    is used.
/// 4. `Progress/tick` of the steps: a tick is about 4 kimg, or 4000 images.
/// 5. The smallest difference between the numbers of two steps: 500 or more means images.
/// 6. The number of the only step: 50,000 or more means images, or 1000 or more when its time is since 1970.
fn counts_images(steps: &BTreeMap<u64, Step>, lengths: Lengths) -> bool {
    let Some((&last, (seconds, _))) = steps.last_key_value() else {
        return false;
    };
    let last = last as f64;
    // The median of the ratio of a step's number to its value of the scalar `tag`.
    let ratio = |tag: &str| -> Option<f64> {
        let ratios = steps.iter().filter_map(|(step, (_, means))| {
            let value = means.get(tag).copied().filter(|v| *v > 0.0)?;
            (*step > 0).then_some(*step as f64 / value)
        });
        let mut ratios: Vec<f64> = ratios.collect();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied()
    };
    if let Some(ratio) = ratio(KIMG) {
        return ratio > 30.0;
    }
    if let Some(kimg @ 1..) = lengths.last_snapshot {
        return last / kimg as f64 > 300.0;
    }
    if lengths
        .total
        .is_some_and(|total| last > 1.5 * total + 100.0)
    {
        return true;
    }
    if let Some(ratio) = ratio("Progress/tick") {
        return ratio > 125.0;
    }
    let gaps = steps.keys().zip(steps.keys().skip(1)).map(|(a, b)| b - a);
    match gaps.min() {
        Some(gap) => gap >= 500,
        None => last >= 50_000.0 || (*seconds >= SINCE_1970 && last >= 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensorboard::Scalar;

    /// An event file whose first record has the time `opened`; scalars are (step, time, tag, value).
    fn file(opened: f64, scalars: &[(u64, f64, &str, f64)]) -> Events {
        let scalars: Vec<Scalar> = scalars
            .iter()
            .map(|&(step, wall_time, tag, value)| Scalar {
                step,
                wall_time,
                tag: tag.to_owned(),
                value,
            })
            .collect();
        let times = scalars.iter().map(|scalar| scalar.wall_time);
        Events {
            wall_times: std::iter::once(opened).chain(times).collect(),
            scalars,
            ..Default::default()
        }
    }

    fn points(files: &[Events], lengths: Lengths) -> Vec<(f64, f64)> {
        let ticks = ticks(files, lengths);
        ticks.iter().map(|tick| (tick.kimg, tick.hours)).collect()
    }

    const NOON: f64 = 1.7e9;
    const G: &str = "Loss/G/loss";

    #[test]
    fn steps_of_the_tensorflow_reference_are_images_and_its_times_count_from_1970() {
        let two = file(
            NOON,
            &[
                (196_000, NOON + 1800.0, G, 1.0),
                (200_000, NOON + 3600.0, G, 1.5),
            ],
        );
        let want = [(196.0, 0.5), (200.0, 1.0)];
        assert_eq!(points(&[two], Lengths::default()), want);
        // A single step, with and without the length of its run.
        let lone = || [file(NOON, &[(200_000, NOON + 7200.0, G, 1.0)])];
        let snapshot = Lengths {
            last_snapshot: Some(200),
            ..Default::default()
        };
        let total = Lengths {
            total: Some(25_000.0),
            ..Default::default()
        };
        for lengths in [Lengths::default(), snapshot, total] {
            assert_eq!(points(&lone(), lengths), [(200.0, 2.0)]);
        }
        // The first ticks of a run.
        let early = [file(
            NOON,
            &[(0, NOON + 36.0, G, 1.0), (4000, NOON + 72.0, G, 1.0)],
        )];
        assert_eq!(points(&early, total), [(0.0, 0.01), (4.0, 0.02)]);
        let first = [file(NOON, &[(4000, NOON, G, 1.0)])];
        assert_eq!(points(&first, total), [(4.0, 0.0)]);
        // Two files of one run. The later file began again at a step that the first one has.
        let second = file(NOON + 7200.0, &[(200_000, NOON + 10_800.0, G, 9.0)]);
        let first = file(
            NOON,
            &[
                (196_000, NOON + 1800.0, G, 1.0),
                (200_000, NOON + 3600.0, G, 1.0),
            ],
        );
        let both = ticks(&[first, second], Lengths::default());
        assert_eq!((both.len(), both[1].means[G]), (2, 9.0));
    }

    #[test]
    fn scalars_take_precedence_over_steps_and_times() {
        let ticked = [file(
            NOON,
            &[
                (64_064, NOON + 9.0, "Progress/kimg", 64.1),
                (64_064, NOON + 9.0, "Timing/total_sec", 1800.0),
                (64_064, NOON + 9.0, "Progress/tick", 15.0),
                // A metric has a step without other scalars.
                (70_000, NOON + 3600.0, "Metrics/fid50k", 20.0),
            ],
        )];
        assert_eq!(
            points(&ticked, Lengths::default()),
            [(64.1, 0.5), (70.0, 1.0)]
        );
        assert_eq!(ticks(&ticked, Lengths::default())[0].tick, 15);
        let days = [file(0.0, &[(8, 0.0, "Timing/total_days", 0.5)])];
        assert_eq!(points(&days, Lengths::default()), [(8.0, 12.0)]);
        let by_tick = [file(0.0, &[(8000, 60.0, "Progress/tick", 2.0)])];
        assert_eq!(points(&by_tick, Lengths::default())[0].0, 8.0);
    }

    #[test]
    fn steps_of_the_pytorch_reference_are_kimg_and_its_times_count_from_the_start() {
        let run = |steps: &[u64]| {
            let scalars: Vec<(u64, f64, &str, f64)> = steps
                .iter()
                .map(|&s| (s, s as f64 * 90.0, G, 1.0))
                .collect();
            // The first record has a time since 1970 in files of the PyTorch program, too.
            [file(NOON, &scalars)]
        };
        for steps in [
            &[0, 4, 8, 12][..],
            &[200, 400],
            &[24_996, 25_000],
            &[25_000],
            &[12_040],
        ] {
            let want: Vec<(f64, f64)> =
                steps.iter().map(|&s| (s as f64, s as f64 / 40.0)).collect();
            assert_eq!(points(&run(steps), Lengths::default()), want);
        }
        let lengths = Lengths {
            total: Some(10_000.0),
            last_snapshot: Some(9800),
        };
        assert_eq!(points(&run(&[10_004]), lengths)[0].0, 10_004.0);
        assert!(ticks(&[], lengths).is_empty());
    }
}
