//! The settings of a run that were typed, as flags or in a settings file.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::error::Error;

/// How the discriminator's images are augmented (`--aug`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AugmentMode {
    /// Not at all.
    Noaug,
    /// With an adaptive probability.
    Ada,
    /// With a fixed probability.
    Fixed,
}

impl AugmentMode {
    /// The official name.
    pub fn name(self) -> &'static str {
        match self {
            AugmentMode::Noaug => "noaug",
            AugmentMode::Ada => "ada",
            AugmentMode::Fixed => "fixed",
        }
    }
}

/// The flags of a run that were typed: each replaces what the preset says.
///
/// Lists may also be written as on the command line: `metrics = "fid5k_full,kid5k_full"`, `grid = "12x8"`,
/// `ada-max-p = "none"`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Overrides {
    /// Number of devices; 1.
    pub gpus: Option<usize>,
    /// Ticks between snapshots; 50, or 10 for the tiny presets.
    pub snap: Option<usize>,
    /// Ticks between preview grids; as `snap`.
    pub image_snap: Option<usize>,
    /// Ticks between training states; 4.
    pub state_every: Option<usize>,
    /// Training states to keep; 2.
    pub keep_states: Option<usize>,
    /// Thousands of images of a tick; 4, or 1 for the tiny presets.
    pub tick: Option<u64>,
    /// Metrics; `fid50k_full`, none for the tiny presets.
    #[serde(deserialize_with = "names")]
    pub metrics: Option<Vec<String>>,
    /// Ticks between evaluations of the metrics; as `snap`.
    pub metrics_every: Option<usize>,
    /// Where the features of the metrics come from; `inception`.
    pub features: Option<String>,
    /// A file with the weights of the feature network, in place of the cache.
    pub weights: Option<String>,
    /// Save and stop when the run has collapsed.
    pub stop_on_collapse: Option<bool>,
    /// Network snapshots to keep besides the best; all.
    pub keep: Option<usize>,
    /// Columns and rows of the preview grids.
    #[serde(deserialize_with = "columns_and_rows")]
    pub grid: Option<[usize; 2]>,
    /// Seed; 0.
    pub seed: Option<u64>,
    /// Train on the labels of the dataset.
    pub cond: Option<bool>,
    /// Use only so many images.
    pub subset: Option<usize>,
    /// Use every image mirrored, too.
    pub mirror: Option<bool>,
    /// Weight of the R1 penalty.
    pub gamma: Option<f64>,
    /// Length of training, in thousands of images.
    pub kimg: Option<u64>,
    /// Images of one step.
    pub batch: Option<usize>,
    /// Images that are processed at once on one device.
    pub batch_gpu: Option<usize>,
    /// Layers of the mapping network.
    pub map_layers: Option<usize>,
    /// A block of side `r` has `min(cbase / r, cmax)` channels.
    pub cbase: Option<usize>,
    /// See `cbase`.
    pub cmax: Option<usize>,
    /// Learning rate of the generator.
    pub glr: Option<f64>,
    /// Learning rate of the discriminator.
    pub dlr: Option<f64>,
    /// Augmentation; adaptive.
    pub aug: Option<AugmentMode>,
    /// Probability of a fixed augmentation.
    pub p: Option<f64>,
    /// Target of the adaptive augmentation; 0.6.
    pub target: Option<f64>,
    /// Largest probability of the adaptive augmentation; 0.85. Infinite (`none`) for no limit.
    #[serde(serialize_with = "write_limit", deserialize_with = "limit")]
    pub ada_max_p: Option<f64>,
    /// Transforms; `bgc`.
    pub augpipe: Option<String>,
    /// Networks to start from: a file, the name of an official one, or `noresume`.
    pub init_from: Option<String>,
    /// Layers of the discriminator that are not trained, counted from the image.
    pub freezed: Option<usize>,
    /// No f16 at all.
    pub fp32: Option<bool>,
    /// bf16 in place of f16.
    pub bf16: Option<bool>,
    /// Channels-last layout at f16.
    pub nhwc: Option<bool>,
    /// Allow TensorFloat-32.
    pub allow_tf32: Option<bool>,
    /// Keep cuDNN from trying its algorithms.
    pub nobench: Option<bool>,
    /// Threads that decode images; 3.
    pub workers: Option<usize>,
}

impl Overrides {
    /// Only what was typed, by name.
    pub(crate) fn typed(&self) -> Map<String, Value> {
        let Ok(Value::Object(mut all)) = serde_json::to_value(self) else {
            return Map::new();
        };
        all.retain(|_, value| !value.is_null());
        all
    }

    /// From what [`typed`](Self::typed) gave.
    ///
    /// # Errors
    /// `State` when it is damaged.
    pub(crate) fn from_typed(typed: Map<String, Value>) -> Result<Self, Error> {
        serde_json::from_value(typed.into()).map_err(|e| Error::state(e.to_string()))
    }
}

/// A value in its own form, or as it is typed on the command line.
#[derive(Deserialize)]
#[serde(untagged)]
enum OrText<T> {
    Value(T),
    Text(String),
}

/// A list, or names with commas between them.
fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let value = Option::<OrText<Vec<String>>>::deserialize(deserializer)?;
    Ok(value.map(|value| match value {
        OrText::Value(names) => names,
        OrText::Text(text) => text.split(',').map(|name| name.trim().to_owned()).collect(),
    }))
}

/// `[12, 8]` or `12x8`.
fn columns_and_rows<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<[usize; 2]>, D::Error> {
    let value = Option::<OrText<[usize; 2]>>::deserialize(deserializer)?;
    let Some(value) = value else { return Ok(None) };
    let size = match value {
        OrText::Value(size) => Some(size),
        OrText::Text(text) => text.split_once('x').and_then(|(columns, rows)| {
            Some([columns.trim().parse().ok()?, rows.trim().parse().ok()?])
        }),
    };
    let wanted = || serde::de::Error::custom("columns and rows are wanted, as \"12x8\" or [12, 8]");
    size.map(Some).ok_or_else(wanted)
}

/// A number or `none`.
fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    match Option::<OrText<f64>>::deserialize(deserializer)? {
        None => Ok(None),
        Some(OrText::Value(value)) => Ok(Some(value)),
        Some(OrText::Text(text)) if text == "none" => Ok(Some(f64::INFINITY)),
        Some(OrText::Text(text)) => Err(serde::de::Error::custom(format!(
            "'{text}' is neither a number nor 'none'"
        ))),
    }
}

fn write_limit<S: Serializer>(limit: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match limit {
        // JSON has no infinity.
        Some(limit) if limit.is_infinite() => serializer.serialize_str("none"),
        limit => limit.serialize(serializer),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_may_be_written_as_they_are_typed() {
        let typed =
            json!({"metrics": "fid5k_full, kid5k_full", "grid": "12x8", "ada-max-p": "none"});
        let overrides: Overrides = serde_json::from_value(typed).unwrap();
        let own = json!({"metrics": ["fid5k_full", "kid5k_full"], "grid": [12, 8]});
        let expected = Overrides {
            ada_max_p: Some(f64::INFINITY),
            ..serde_json::from_value(own).unwrap()
        };
        assert_eq!(overrides, expected);
        for bad in [json!({"grid": "12"}), json!({"ada-max-p": "some"})] {
            assert!(serde_json::from_value::<Overrides>(bad).is_err());
        }
    }

    #[test]
    fn what_was_typed_is_kept_and_nothing_else() {
        let overrides = Overrides {
            ada_max_p: Some(f64::INFINITY),
            kimg: Some(7),
            aug: Some(AugmentMode::Noaug),
            ..Overrides::default()
        };
        let typed = overrides.typed();
        let expected = json!({"kimg": 7, "aug": "noaug", "ada-max-p": "none"});
        assert_eq!(Value::Object(typed.clone()), expected);
        assert_eq!(Overrides::from_typed(typed).unwrap(), overrides);
    }
}
