//! The settings that a user can give, as flags or in a settings file.

use clap::builder::BoolishValueParser;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use training::Error;

use crate::augment_mode::AugmentMode;
use crate::values::{
    columns_and_rows, limit, names, parse_grid, parse_limit, parse_mode, write_limit,
};

/// The settings that the user gave; each replaces the value of the preset.
///
/// The doc comment of a field is the help of its flag. In a settings file, lists may also be written as on the command
/// line: `metrics = "fid5k_full,kid5k_full"`, `grid = "12x8"`, `ada-max-p = "none"`.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Overrides {
    /// Number of GPUs; only 1 is supported
    #[arg(long, value_name = "N", help_heading = "Run")]
    pub gpus: Option<usize>,
    /// Start from networks: a checkpoint file, a run folder, `latest` (of --outdir), drawn64 (drawn faces at 64 px,
    /// ships with this program), or ffhq256, ffhq512, ffhq1024, celebahq256, lsundog256
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Start",
        conflicts_with = "resume"
    )]
    pub init_from: Option<String>,
    /// Layers of the discriminator that stay fixed, counted from the image (10 and 13 are usual)
    #[arg(long, value_name = "N", help_heading = "Start")]
    pub freezed: Option<usize>,
    /// Double the dataset with mirrored images
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", value_parser = BoolishValueParser::new(), hide_possible_values = true, help_heading = "Data")]
    pub mirror: Option<bool>,
    /// Number of training images, chosen by the seed [default: all]
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub subset: Option<usize>,
    /// Train a conditional network on the labels of the dataset
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", value_parser = BoolishValueParser::new(), hide_possible_values = true, help_heading = "Data")]
    pub cond: Option<bool>,
    /// Threads that decode images [default: 3]
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub workers: Option<usize>,
    /// Augmentation: ada, noaug, fixed [default: ada]
    #[arg(long, value_name = "MODE", value_parser = parse_mode, help_heading = "Augmentation")]
    pub aug: Option<AugmentMode>,
    /// Augmentation probability of --aug fixed
    #[arg(long, value_name = "P", help_heading = "Augmentation")]
    pub p: Option<f64>,
    /// Target of ada: mean sign of the discriminator's outputs for real images [default: 0.6]
    #[arg(long, value_name = "T", help_heading = "Augmentation")]
    pub target: Option<f64>,
    /// Thousands of images in which ada moves the probability from 0 to 1 [default: 500; with --init-from: 100]
    #[arg(long, value_name = "KIMG", help_heading = "Augmentation")]
    pub ada_kimg: Option<u64>,
    /// Upper limit of the probability of ada, or `none` [default: 0.85]
    #[arg(long, value_name = "P", value_parser = parse_limit, help_heading = "Augmentation")]
    #[serde(serialize_with = "write_limit", deserialize_with = "limit")]
    pub ada_max_p: Option<f64>,
    /// Transforms: blit, geom, color, filter, noise, cutout, bg, bgc, bgcf, bgcfn, bgcfnc, or a list of categories
    /// and single transforms with strengths (blit,geom or xflip,xint,scale=0.5) [default: bgc]
    #[arg(long, value_name = "LIST", help_heading = "Augmentation")]
    pub augpipe: Option<String>,
    /// Length of training, in thousands of images
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub kimg: Option<u64>,
    /// Images in one training step
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub batch: Option<usize>,
    /// Images in one forward pass; a step accumulates the gradients of batch / batch-gpu passes
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub batch_gpu: Option<usize>,
    /// Weight of the R1 penalty
    #[arg(long, value_name = "G", help_heading = "Training")]
    pub gamma: Option<f64>,
    /// Weight of the path length penalty; 0 leaves it out [default: 2; cifar: 0]
    #[arg(long, value_name = "W", help_heading = "Training")]
    pub pl_weight: Option<f64>,
    /// Half-life of the moving average of the generator's weights, in thousands of images
    #[arg(long, value_name = "KIMG", help_heading = "Training")]
    pub ema_kimg: Option<f64>,
    /// Learning rate of the generator
    #[arg(long, value_name = "LR", help_heading = "Training")]
    pub glr: Option<f64>,
    /// Learning rate of the discriminator
    #[arg(long, value_name = "LR", help_heading = "Training")]
    pub dlr: Option<f64>,
    /// Layers of the mapping network
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub map_layers: Option<usize>,
    /// A block of side r has min(cbase / r, cmax) channels
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub cbase: Option<usize>,
    /// Largest number of channels of a block, see --cbase
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub cmax: Option<usize>,
    /// Seed of everything random, below 2^32 [default: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=u64::from(u32::MAX)), help_heading = "Training")]
    pub seed: Option<u64>,
    /// Compute everything in f32, without half precision
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", value_parser = BoolishValueParser::new(), hide_possible_values = true, help_heading = "Training")]
    pub fp32: Option<bool>,
    /// bf16 in place of f16 at the largest resolutions: the range of f32, less precise; for GPUs from Ampere on
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", value_parser = BoolishValueParser::new(), hide_possible_values = true, help_heading = "Training")]
    pub bf16: Option<bool>,
    /// Metrics of snapshots (fid50k_full, fid5k_full, kid50k_full, ...), or `none` [default: fid50k_full; tiny
    /// presets: none]
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        help_heading = "Files and metrics"
    )]
    #[serde(deserialize_with = "names")]
    pub metrics: Option<Vec<String>>,
    /// Ticks between evaluations; tick 0 is never evaluated [default: as --snap]
    #[arg(long, value_name = "TICKS", help_heading = "Files and metrics")]
    pub metrics_every: Option<usize>,
    /// Feature network of the metrics: inception (needs weights: `eval weights`), face-detector (built in, trained on
    /// drawn faces), random-inception or random-inception-small (random weights); only results with inception can be
    /// compared with published ones [default: inception]
    #[arg(long, value_name = "NAME", help_heading = "Files and metrics")]
    pub features: Option<String>,
    /// A file with the weights of the Inception network, in place of the cache
    #[arg(long, value_name = "FILE", help_heading = "Files and metrics")]
    pub weights: Option<String>,
    /// Save and stop when the generator has collapsed, instead of only warning
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", value_parser = BoolishValueParser::new(), hide_possible_values = true, help_heading = "Files and metrics")]
    pub stop_on_collapse: Option<bool>,
    /// Thousands of images in a tick [default: 4; tiny presets: 1]
    #[arg(long, value_name = "N", help_heading = "Files and metrics")]
    pub tick: Option<u64>,
    /// Ticks between network snapshots [default: 50; tiny presets: 10]
    #[arg(long, value_name = "TICKS", help_heading = "Files and metrics")]
    pub snap: Option<usize>,
    /// Ticks between preview grids [default: as --snap]
    #[arg(long, value_name = "TICKS", help_heading = "Files and metrics")]
    pub image_snap: Option<usize>,
    /// Ticks between training states; a killed run loses the work since the last one [default: 4]
    #[arg(long, value_name = "TICKS", help_heading = "Files and metrics")]
    pub state_every: Option<usize>,
    /// Training states to keep; where one is damaged, --resume takes the one before [default: 2]
    #[arg(long, value_name = "N", help_heading = "Files and metrics")]
    pub keep_states: Option<usize>,
    /// Network snapshots to keep besides those with the best results of a metric [default: all]
    #[arg(long, value_name = "N", help_heading = "Files and metrics")]
    pub keep: Option<usize>,
    /// Columns and rows of the preview grids, such as 12x8
    #[arg(long, value_name = "CxR", value_parser = parse_grid, help_heading = "Files and metrics")]
    #[serde(deserialize_with = "columns_and_rows")]
    pub grid: Option<[usize; 2]>,
}

/// Settings of earlier versions that had no effect. Training states of such runs contain them; they are ignored.
const RETIRED: [&str; 3] = ["nhwc", "allow-tf32", "nobench"];

impl Overrides {
    /// The settings that are not `None`, by the names of their flags.
    pub(crate) fn given(&self) -> Map<String, Value> {
        let Ok(Value::Object(mut all)) = serde_json::to_value(self) else {
            return Map::new();
        };
        all.retain(|_, value| !value.is_null());
        all
    }

    /// Builds the settings from the names and values that [`given`](Self::given) returns.
    ///
    /// # Errors
    /// `State` when a name is unknown or a value has the wrong type.
    pub(crate) fn from_given(mut given: Map<String, Value>) -> Result<Self, Error> {
        given.retain(|name, _| !RETIRED.contains(&name.as_str()));
        serde_json::from_value(given.into()).map_err(|e| Error::State(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_may_be_written_as_on_the_command_line() {
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
    fn settings_that_were_given_are_kept_and_no_others() {
        let overrides = Overrides {
            ada_max_p: Some(f64::INFINITY),
            kimg: Some(7),
            aug: Some(AugmentMode::Noaug),
            ..Overrides::default()
        };
        let given = overrides.given();
        let expected = json!({"kimg": 7, "aug": "noaug", "ada-max-p": "none"});
        assert_eq!(Value::Object(given.clone()), expected);
        assert_eq!(Overrides::from_given(given.clone()).unwrap(), overrides);
        // Training states of earlier versions contain such settings.
        let mut earlier = given;
        earlier.insert("nobench".to_owned(), true.into());
        assert_eq!(Overrides::from_given(earlier).unwrap(), overrides);
    }
}
