//! Means and standard deviations of reported scalars for each tick, under NVIDIA's names.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Number, sum and sum of squares of the reported values of a scalar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moments {
    /// Number of values.
    pub num: u64,
    #[serde(with = "bits")]
    sum: f64,
    #[serde(with = "bits")]
    sum_sq: f64,
}

/// Serializes f64 as its bits, because JSON has no NaN and no infinities, and a diverged run must resume exactly.
mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(value.to_bits())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        u64::deserialize(deserializer).map(f64::from_bits)
    }
}

impl Moments {
    /// Adds values to the moments.
    pub fn add(&mut self, values: impl IntoIterator<Item = f64>) {
        for value in values {
            self.num += 1;
            self.sum += value;
            self.sum_sq += value * value;
        }
    }

    /// The mean of the values; NaN when there are none.
    pub fn mean(&self) -> f64 {
        self.sum / self.num as f64
    }

    /// The population standard deviation (divisor `num`); NaN when there are no values.
    pub fn std(&self) -> f64 {
        match self.num {
            0 => f64::NAN,
            1 => 0.0,
            n => (self.sum_sq / n as f64 - self.mean().powi(2))
                .max(0.0)
                .sqrt(),
        }
    }
}

/// Moments of reported scalars in the current and the last tick, by name. [`Stats::close`] ends a tick.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stats {
    /// Moments of the current tick.
    open: IndexMap<String, Moments>,
    /// For each name, its moments in the last ended tick in which it had values.
    closed: IndexMap<String, Moments>,
}

impl Stats {
    /// Adds values to the scalar `name` in the current tick.
    pub fn report(&mut self, name: &str, values: impl IntoIterator<Item = f64>) {
        match self.open.get_mut(name) {
            Some(moments) => moments.add(values),
            None => {
                let mut moments = Moments::default();
                moments.add(values);
                self.open.insert(name.to_owned(), moments);
            }
        }
    }

    /// Ends the current tick. A scalar without values in this tick keeps the moments of the last tick in which it had
    /// values, as in NVIDIA's programs.
    pub fn close(&mut self) {
        for (name, moments) in &mut self.open {
            if moments.num > 0 {
                self.closed.insert(name.clone(), *moments);
                *moments = Moments::default();
            }
        }
    }

    /// The moments of the last ended tick, in the order in which the names were first reported.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Moments)> {
        self.closed
            .iter()
            .map(|(name, moments)| (name.as_str(), moments))
    }

    /// The mean of the scalar `name` in the last ended tick; `None` when it was never reported.
    pub fn mean(&self, name: &str) -> Option<f64> {
        self.closed.get(name).map(Moments::mean)
    }

    /// The line of `stats.jsonl` for the last ended tick; `timestamp` is in seconds since 1970. NaN and infinity become
    /// `null`, so that every JSON reader can parse the line.
    pub fn to_json(&self, timestamp: f64) -> Value {
        let mut line = Map::new();
        for (name, moments) in self.iter() {
            let (num, mean, std) = (moments.num, moments.mean(), moments.std());
            line.insert(
                name.to_owned(),
                json!({"num": num, "mean": mean, "std": std}),
            );
        }
        line.insert("timestamp".to_owned(), json!(timestamp));
        Value::Object(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_since_the_last_tick() {
        let mut stats = Stats::default();
        stats.report("a", [1.0, 2.0, 3.0]);
        stats.report("b", [5.0]);
        stats.close();
        assert_eq!(stats.mean("a"), Some(2.0));
        stats.report("a", [4.0, 8.0]);
        stats.close();
        let line = stats.to_json(1.5);
        assert_eq!(
            line,
            json!({
                "a": {"num": 2, "mean": 6.0, "std": 2.0},
                "b": {"num": 1, "mean": 5.0, "std": 0.0},
                "timestamp": 1.5
            })
        );
    }

    #[test]
    fn saved_statistics_continue() {
        let mut stats = Stats::default();
        stats.report("a", [0.1, 0.2]);
        stats.report("b", [f64::INFINITY]);
        let text = serde_json::to_string(&stats).unwrap();
        let mut restored: Stats = serde_json::from_str(&text).unwrap();
        for stats in [&mut stats, &mut restored] {
            stats.report("a", [0.7]);
            stats.close();
        }
        assert_eq!(stats, restored);
    }
}
