//! Reads the ticks of a run from `stats.jsonl`.

use std::collections::BTreeMap;

use files::JsonLines;
use serde_json::{Map, Value};

/// Name of the scalar with the number of real images seen, in thousands.
pub const KIMG: &str = "Progress/kimg";

/// A tick of a run, as recorded in its files.
#[derive(Clone, Debug)]
pub struct Tick {
    /// Thousands of real images that the discriminator has seen at the end of the tick.
    pub kimg: f64,
    /// Hours since the start of the run; NaN where the files do not record a time.
    pub hours: f64,
    /// Number of the tick, from 0; estimated as `kimg / 4` where the files do not record it.
    pub tick: u64,
    /// Mean of each scalar over the tick, by name.
    pub means: BTreeMap<String, f64>,
}

/// Hours since the start of the run, from the `Timing/total_*` scalars of a tick; `None` where all are missing.
pub fn hours_of(means: &BTreeMap<String, f64>) -> Option<f64> {
    let in_hours = [
        ("Timing/total_hours", 1.0),
        ("Timing/total_sec", 1.0 / 3600.0),
        ("Timing/total_days", 24.0),
    ];
    in_hours
        .into_iter()
        .find_map(|(name, scale)| Some(means.get(name)? * scale))
}

/// The ticks in the lines of `stats.jsonl`. Objects without `Progress/kimg` are marked as damaged lines.
pub fn of_stats(lines: &mut JsonLines) -> Vec<Tick> {
    let mut ticks = Vec::new();
    let mut without_kimg = Vec::new();
    let mut times = Vec::new();
    for (number, record) in &lines.records {
        match tick(record) {
            Some(tick) => {
                ticks.push(tick);
                times.push(record.get("timestamp").and_then(Value::as_f64));
            }
            None => without_kimg.push(*number),
        }
    }
    for number in without_kimg {
        lines.reject(number);
    }
    // Other programs write no `Timing/total_*`, only timestamps.
    let started = times.iter().flatten().copied().next();
    for (tick, time) in ticks.iter_mut().zip(times) {
        if let (true, Some(started), Some(time)) = (tick.hours.is_nan(), started, time) {
            tick.hours = (time - started) / 3600.0;
        }
    }
    ticks
}

fn tick(record: &Map<String, Value>) -> Option<Tick> {
    let means: BTreeMap<String, f64> = record
        .iter()
        .filter_map(|(name, stat)| {
            let mean = match stat {
                Value::Object(stat) => stat.get("mean")?.as_f64().unwrap_or(f64::NAN),
                // Other programs write the mean as a plain number.
                other => other.as_f64()?,
            };
            Some((name.clone(), mean))
        })
        .collect();
    let kimg = means.get(KIMG).copied().filter(|kimg| kimg.is_finite())?;
    let tick = means.get("Progress/tick").copied();
    Some(Tick {
        kimg,
        hours: hours_of(&means).unwrap_or(f64::NAN),
        tick: tick.unwrap_or(kimg / 4.0).max(0.0) as u64,
        means,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_without_kimg_are_damage_and_timestamps_give_missing_hours() {
        let text = concat!(
            "{\"Progress/kimg\": {\"mean\": 4.0}, \"timestamp\": 1700000000}\n",
            "{\"Progress/kimg\": {\"mean\": NaN}}\n",
            "{\"loss\": 1}\n",
            "{\"Progress/kimg\": 8, \"timestamp\": 1700001800}\n",
        );
        let mut lines = JsonLines::parse(text.as_bytes());
        let ticks = of_stats(&mut lines);
        let points: Vec<(f64, f64)> = ticks.iter().map(|t| (t.kimg, t.hours)).collect();
        assert_eq!(points, [(4.0, 0.0), (8.0, 0.5)]);
        assert_eq!(lines.damaged, [2, 3]);
    }
}
