//! From preset, dataset and typed flags to a complete configuration.

use networks::{Architecture, DiscriminatorConfig, GeneratorConfig, MappingConfig};
use serde::{Deserialize, Serialize};

use crate::config::{DatasetConfig, LossConfig, OptimizerConfig, TrainConfig};
use crate::error::{Error, Result};
use crate::preset::Preset;

/// What a run needs to know of its dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetDescription {
    /// Short name, for the run's folder.
    pub name: String,
    /// Folder or zip.
    pub path: String,
    /// Side of the images in pixels.
    pub resolution: usize,
    /// Channels of the images.
    pub num_channels: usize,
    /// Number of images.
    pub num_images: usize,
    /// Width of the labels; 0 without.
    pub label_dim: usize,
}

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
    /// Thousands of images of a tick; 4, or 1 for the tiny presets.
    pub tick: Option<u64>,
    /// Metrics; `fid50k_full`, none for the tiny presets.
    pub metrics: Option<Vec<String>>,
    /// Ticks between evaluations of the metrics; as `snap`.
    pub metrics_every: Option<usize>,
    /// Network snapshots to keep besides the best; all.
    pub keep: Option<usize>,
    /// Columns and rows of the preview grids.
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
    /// Largest probability of the adaptive augmentation; 0.85. Infinite for no limit.
    pub ada_max_p: Option<f64>,
    /// Transforms; `bgc`.
    pub augpipe: Option<String>,
    /// Networks to start from: a file, the name of an official one, or `noresume`.
    pub init_from: Option<String>,
    /// Layers of the discriminator that are not trained, counted from the image.
    pub freezed: Option<usize>,
    /// No f16 at all.
    pub fp32: Option<bool>,
    /// Channels-last layout at f16.
    pub nhwc: Option<bool>,
    /// Allow TensorFloat-32.
    pub allow_tf32: Option<bool>,
    /// Keep cuDNN from trying its algorithms.
    pub nobench: Option<bool>,
    /// Threads that decode images; 3.
    pub workers: Option<usize>,
}

/// Where the adaptive probability stops by default: beyond it augmentations leak into the generated images
/// (arXiv:2006.06676, section 2.2), and runs without a limit have reached 34.
const DEFAULT_MAX_P: f64 = 0.85;

/// Above this a count is a slip of the keyboard.
const LARGEST_SETTING: usize = 1 << 20;

fn at_least_one(name: &'static str, value: Option<usize>, default: usize) -> Result<usize> {
    match value.unwrap_or(default) {
        value @ 1..=LARGEST_SETTING => Ok(value),
        _ => Err(Error::setting(
            name,
            format!("must be from 1 to {LARGEST_SETTING}"),
        )),
    }
}

/// Official networks to start from, by name.
const TRANSFER_SOURCES: [(&str, &str); 5] = [
    ("ffhq256", "ffhq-res256-mirror-paper256-noaug.pkl"),
    ("ffhq512", "ffhq-res512-mirror-stylegan2-noaug.pkl"),
    ("ffhq1024", "ffhq-res1024-mirror-stylegan2-noaug.pkl"),
    (
        "celebahq256",
        "celebahq-res256-mirror-paper256-kimg100000-ada-target0.5.pkl",
    ),
    ("lsundog256", "lsundog-res256-paper256-kimg100000-noaug.pkl"),
];

/// Where those are.
const TRANSFER_FOLDER: &str = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/transfer-learning-source-nets";

impl TrainConfig {
    /// The complete configuration of a run.
    ///
    /// # Errors
    /// `Setting`, naming the flag that cannot be or contradicts another.
    pub fn resolve(
        preset: Preset,
        dataset: &DatasetDescription,
        flags: &Overrides,
    ) -> Result<Self> {
        let mut desc = dataset.name.clone();
        let mut note = |text: String| {
            desc.push('-');
            desc.push_str(&text);
        };
        let check = |ok: bool, name: &'static str, reason: &str| {
            ok.then_some(()).ok_or_else(|| Error::setting(name, reason))
        };

        // Run and dataset.
        let num_gpus = flags.gpus.unwrap_or(1);
        check(num_gpus.is_power_of_two(), "gpus", "must be a power of two")?;
        let settings = preset.settings(dataset.resolution, num_gpus);
        let snap = at_least_one("snap", flags.snap, settings.snapshot_ticks)?;
        let random_seed = flags.seed.unwrap_or(0);
        let use_labels = flags.cond.unwrap_or(false);
        if use_labels {
            check(
                dataset.label_dim > 0,
                "cond",
                "the dataset has no labels in its dataset.json",
            )?;
            note("cond".into());
        }
        let mut images = DatasetConfig {
            path: dataset.path.clone(),
            use_labels,
            max_size: dataset.num_images,
            xflip: flags.mirror.unwrap_or(false),
            resolution: dataset.resolution,
            random_seed: None,
        };
        if let Some(subset) = flags.subset {
            if !(1..=dataset.num_images).contains(&subset) {
                let reason = format!("must be from 1 to the {} images", dataset.num_images);
                return Err(Error::setting("subset", reason));
            }
            note(format!("subset{subset}"));
            if subset < dataset.num_images {
                images.max_size = subset;
                images.random_seed = Some(random_seed);
            }
        }
        if images.xflip {
            note("mirror".into());
        }

        // Preset.
        note(match preset {
            Preset::Auto => format!("auto{num_gpus}"),
            other => other.name().into(),
        });
        let mut loss = LossConfig::new(settings.r1_gamma);
        let c_dim = if use_labels { dataset.label_dim } else { 0 };
        let fp32 = flags.fp32.unwrap_or(false);
        let (num_fp16_res, conv_clamp) = if fp32 { (0, None) } else { (4, Some(256.0)) };
        let channel_base = at_least_one("cbase", flags.cbase, settings.channel_base)?;
        let channel_max = at_least_one("cmax", flags.cmax, settings.channel_max)?;
        let mut generator = GeneratorConfig {
            z_dim: settings.latent_dim,
            w_dim: settings.latent_dim,
            c_dim,
            channel_base,
            channel_max,
            num_fp16_res,
            conv_clamp,
            ..GeneratorConfig::new(dataset.resolution, dataset.num_channels)
        };
        generator.mapping = MappingConfig::new(settings.latent_dim);
        generator.mapping.num_layers =
            at_least_one("map-layers", flags.map_layers, settings.mapping_layers)?;
        let mut discriminator = DiscriminatorConfig {
            c_dim,
            channel_base,
            channel_max,
            num_fp16_res,
            conv_clamp,
            mbstd_group_size: Some(settings.mbstd_group_size),
            ..DiscriminatorConfig::new(dataset.resolution, dataset.num_channels)
        };
        if c_dim > 0 {
            discriminator.cmap_dim = discriminator.channels(4);
            discriminator.mapping.embed_features = discriminator.cmap_dim;
            discriminator.mapping.layer_features = discriminator.cmap_dim;
        }
        if preset == Preset::Cifar {
            loss.pl_weight = 0.0;
            loss.style_mixing_prob = 0.0;
            discriminator.architecture = Architecture::Orig;
        }
        if let Some(gamma) = flags.gamma {
            check(
                gamma.is_finite() && gamma >= 0.0,
                "gamma",
                "must be at least 0",
            )?;
            note(format!("gamma{}", general(gamma)));
            loss.r1_gamma = gamma;
        }
        if let Some(kimg) = flags.kimg {
            let is_possible = (1..=1_000_000_000).contains(&kimg);
            check(is_possible, "kimg", "must be from 1 to 1000000000")?;
            note(format!("kimg{kimg}"));
        }
        let (mut batch_size, mut batch_gpu) = (settings.batch_size, settings.batch_gpu);
        if let Some(batch) = flags.batch {
            check(
                batch > 0 && batch.is_multiple_of(num_gpus),
                "batch",
                "must be at least 1 and a multiple of gpus",
            )?;
            note(format!("batch{batch}"));
            (batch_size, batch_gpu) = (batch, batch / num_gpus);
        }
        if let Some(size) = flags.batch_gpu {
            check(size > 0, "batch-gpu", "must be at least 1")?;
            batch_gpu = size;
        }

        // Augmentation.
        let aug = flags.aug.unwrap_or(AugmentMode::Ada);
        if flags.aug.is_some() {
            note(aug.name().into());
        }
        let ada_max_p = flags.ada_max_p.unwrap_or(DEFAULT_MAX_P);
        let is_limit = ada_max_p == f64::INFINITY || (ada_max_p > 0.0 && ada_max_p <= 1.0);
        check(
            is_limit,
            "ada-max-p",
            "must be above 0 and at most 1, or 'none'",
        )?;
        let probability = |p: f64| (0.0..=1.0).contains(&p);
        let augment_p = match (aug, flags.p) {
            (AugmentMode::Fixed, Some(p)) => {
                check(probability(p), "p", "must be from 0 to 1")?;
                note(format!("p{}", general(p)));
                p
            }
            (AugmentMode::Fixed, None) => {
                return Err(Error::setting("p", "needed with aug=fixed"));
            }
            (_, Some(_)) => return Err(Error::setting("p", "only with aug=fixed")),
            (_, None) => 0.0,
        };
        let ada_target = match (aug, flags.target) {
            (AugmentMode::Ada, Some(target)) => {
                check(probability(target), "target", "must be from 0 to 1")?;
                note(format!("target{}", general(target)));
                Some(target)
            }
            (AugmentMode::Ada, None) => Some(0.6),
            (_, Some(_)) => return Err(Error::setting("target", "only with aug=ada")),
            (_, None) => None,
        };
        if let Some(augpipe) = &flags.augpipe {
            check(
                aug != AugmentMode::Noaug,
                "augpipe",
                "not with aug=noaug: there would be no pipe",
            )?;
            // A list is too long for the name of a folder.
            let is_name = !augpipe.contains([',', '=']);
            note(if is_name { augpipe } else { "augcustom" }.to_owned());
        }
        let augment = match aug {
            AugmentMode::Noaug => None,
            _ => Some(flags.augpipe.as_deref().unwrap_or("bgc").parse()?),
        };

        // Transfer learning: faster adaptive augmentation, and no ramp of the moving average.
        let mut ema_rampup = settings.ema_rampup;
        let mut ada_kimg = 500;
        let source = flags.init_from.as_deref().map(|from| {
            let official = TRANSFER_SOURCES.iter().find(|(name, _)| *name == from);
            match (from, official) {
                ("noresume", _) => (None, "noresume".to_owned()),
                (_, Some((name, file))) => (
                    Some(format!("{TRANSFER_FOLDER}/{file}")),
                    format!("resume{name}"),
                ),
                _ => (Some(from.to_owned()), "resumecustom".to_owned()),
            }
        });
        let mut init_from = None;
        if let Some((from, text)) = source {
            note(text);
            init_from = from;
        }
        if init_from.is_some() {
            (ada_kimg, ema_rampup) = (100, None);
        }
        if let Some(freezed) = flags.freezed {
            note(format!("freezed{freezed}"));
            discriminator.freeze_layers = freezed;
        }

        let adam = |name, rate: Option<f64>| {
            let rate = rate.unwrap_or(settings.learning_rate);
            check(rate.is_finite() && rate > 0.0, name, "must be above 0")?;
            Ok::<_, Error>(OptimizerConfig::new(rate))
        };
        Ok(Self {
            desc,
            num_gpus,
            image_snapshot_ticks: at_least_one("image-snap", flags.image_snap, snap)?,
            network_snapshot_ticks: snap,
            state_ticks: at_least_one("state-every", flags.state_every, 4)?,
            metrics_ticks: at_least_one("metrics-every", flags.metrics_every, snap)?,
            keep_snapshots: flags.keep,
            preview_grid: match flags.grid {
                Some([columns, rows]) if columns == 0 || rows == 0 => {
                    return Err(Error::setting("grid", "needs a column and a row"));
                }
                grid => grid.or(settings.preview_grid),
            },
            metrics: flags
                .metrics
                .clone()
                .unwrap_or_else(|| preset.default_metrics()),
            random_seed,
            dataset: images,
            num_workers: match flags.workers.unwrap_or(3) {
                workers @ 1..=256 => workers,
                _ => return Err(Error::setting("workers", "must be from 1 to 256")),
            },
            generator,
            discriminator,
            g_optimizer: adam("glr", flags.glr)?,
            d_optimizer: adam("dlr", flags.dlr)?,
            loss,
            total_kimg: flags.kimg.unwrap_or(settings.total_kimg),
            kimg_per_tick: match flags.tick {
                Some(tick) if !(1..=1_000_000).contains(&tick) => {
                    return Err(Error::setting("tick", "must be from 1 to 1000000"));
                }
                tick => tick.unwrap_or(settings.kimg_per_tick),
            },
            batch_size,
            batch_gpu,
            ema_kimg: settings.ema_kimg,
            ema_rampup,
            g_reg_interval: 4,
            d_reg_interval: 16,
            ada_target,
            ada_interval: 4,
            ada_kimg,
            ada_max_p: ada_max_p.is_finite().then_some(ada_max_p),
            augment_p,
            augment,
            init_from,
            allow_tf32: flags.allow_tf32.unwrap_or(false),
            cudnn_benchmark: !flags.nobench.unwrap_or(false),
            fp16_channels_last: flags.nhwc.unwrap_or(false),
        })
    }
}

/// A number as C's `%g` and Python's `:g` write it: six significant digits, no trailing zeros.
fn general(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let scientific = format!("{value:.5e}");
    let (digits, exponent) = scientific
        .split_once('e')
        .and_then(|(digits, exponent)| Some((digits, exponent.parse::<i32>().ok()?)))
        .unwrap_or((&scientific, 0));
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(digits), exponent.abs());
    }
    trim(&format!("{value:.*}", (5 - exponent) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faces(resolution: usize) -> DatasetDescription {
        DatasetDescription {
            name: "faces".into(),
            path: "data/faces.zip".into(),
            resolution,
            num_channels: 3,
            num_images: 1000,
            label_dim: 0,
        }
    }

    #[test]
    fn numbers_are_written_as_python_does() {
        // f"{x:g}" in Python 3.12
        let cases = [
            (0.3, "0.3"),
            (6.5536, "6.5536"),
            (10.0, "10"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (1234567.0, "1.23457e+06"),
            (0.0, "0"),
            (123456.7, "123457"),
        ];
        for (value, text) in cases {
            assert_eq!(general(value), text);
        }
    }

    #[test]
    fn auto_follows_resolution_and_gpus() {
        // Batch, gamma and EMA of the official program at 512 px.
        for (gpus, batch, gamma, ema) in [
            (1, 8, 6.5536, 2.5),
            (2, 16, 3.2768, 5.0),
            (8, 64, 0.8192, 20.0),
        ] {
            let flags = Overrides {
                gpus: Some(gpus),
                ..Default::default()
            };
            let config = TrainConfig::resolve(Preset::Auto, &faces(512), &flags).unwrap();
            assert_eq!((config.batch_size, config.ema_kimg), (batch, ema));
            assert!((config.loss.r1_gamma - gamma).abs() < 1e-12);
            assert_eq!(config.desc, format!("faces-auto{gpus}"));
            config.validate().unwrap();
        }
    }

    #[test]
    fn flags_replace_and_are_named() {
        let flags = Overrides {
            mirror: Some(true),
            subset: Some(10),
            seed: Some(5),
            gamma: Some(0.5),
            aug: Some(AugmentMode::Fixed),
            p: Some(0.25),
            init_from: Some("ffhq512".into()),
            freezed: Some(10),
            ..Default::default()
        };
        let config = TrainConfig::resolve(Preset::Paper512, &faces(512), &flags).unwrap();
        assert_eq!(
            config.desc,
            "faces-subset10-mirror-paper512-gamma0.5-fixed-p0.25-resumeffhq512-freezed10"
        );
        assert_eq!(
            (config.dataset.max_size, config.dataset.random_seed),
            (10, Some(5))
        );
        assert_eq!((config.ada_target, config.augment_p), (None, 0.25));
        assert_eq!((config.ada_kimg, config.ema_rampup), (100, None));
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<TrainConfig>(&text).unwrap(), config);
    }

    #[test]
    fn contradictions_are_named() {
        type Change<'a> = &'a dyn Fn(&mut Overrides);
        let with = |change: Change<'_>| {
            let mut flags = Overrides::default();
            change(&mut flags);
            TrainConfig::resolve(Preset::Auto, &faces(64), &flags).map(|c| c.desc)
        };
        let cases: [(&str, Change<'_>); 8] = [
            ("p", &|f| f.p = Some(0.5)),
            ("p", &|f| f.aug = Some(AugmentMode::Fixed)),
            ("cond", &|f| f.cond = Some(true)),
            ("subset", &|f| f.subset = Some(1001)),
            ("gpus", &|f| f.gpus = Some(3)),
            ("augpipe", &|f| {
                f.aug = Some(AugmentMode::Noaug);
                f.augpipe = Some("bg".into());
            }),
            ("target", &|f| {
                f.aug = Some(AugmentMode::Noaug);
                f.target = Some(0.5);
            }),
            ("batch", &|f| f.batch = Some(0)),
        ];
        for (flag, change) in cases {
            match with(change) {
                Err(Error::Setting { name, .. }) => assert_eq!(name, flag),
                other => panic!("{flag}: {other:?}"),
            }
        }
    }

    #[test]
    fn groups_that_do_not_divide_are_refused() {
        let flags = Overrides {
            batch: Some(6),
            ..Default::default()
        };
        let config = TrainConfig::resolve(Preset::Paper512, &faces(64), &flags).unwrap();
        assert!(config.validate().is_ok(), "6 is one group");
        let flags = Overrides {
            batch: Some(12),
            ..Default::default()
        };
        let config = TrainConfig::resolve(Preset::Paper512, &faces(64), &flags).unwrap();
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains("multiple of 8"), "{error}");
    }
}
