//! From preset, dataset and flags to a complete configuration.

mod augmentation;
mod networks;

use std::ops::RangeInclusive;

use dataset::Fingerprint;

use training::{
    DatasetConfig, Error, LossConfig, OptimizerConfig, Preset, PresetSettings, RequestedSettings,
    Result, TrainConfig,
};

use crate::augment_mode::AugmentMode;
use crate::overrides::Overrides;
use crate::run_name::RunName;

/// The properties of a dataset that the configuration of a run depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetDescription {
    /// Short name, for the name of the run folder.
    pub name: String,
    /// Path of the folder or zip.
    pub path: String,
    /// Width and height of the images in pixels.
    pub resolution: usize,
    /// Number of channels of the images.
    pub num_channels: usize,
    /// Number of images.
    pub num_images: usize,
    /// Number of elements of a label (`c_dim`); 0 without labels.
    pub label_dim: usize,
    /// Names, sizes and checksums of the images, to notice another dataset when the run is resumed.
    pub fingerprint: Option<Fingerprint>,
}

/// Most ticks of an interval; larger numbers are taken for typing errors.
const LARGEST_INTERVAL: usize = 1 << 20;
/// Largest batch; the largest in the literature on GANs is 2048.
const LARGEST_BATCH: usize = 1 << 14;

fn check(ok: bool, name: &'static str, reason: &str) -> Result<()> {
    ok.then_some(()).ok_or_else(|| Error::setting(name, reason))
}

/// The number that was given or the default; an error when it is out of bounds.
fn within<T>(
    name: &'static str,
    given: Option<T>,
    default: T,
    bounds: RangeInclusive<T>,
) -> Result<T>
where
    T: PartialOrd + std::fmt::Display,
{
    let value = given.unwrap_or(default);
    if bounds.contains(&value) {
        return Ok(value);
    }
    let (start, end) = bounds.into_inner();
    let reason = format!("{value} must be from {start} to {end}");
    Err(Error::setting(name, reason))
}

/// The complete configuration of a new run: the preset with the settings of `flags` for a dataset.
///
/// # Errors
/// `Setting`, with the name of a flag that is impossible or contradicts another.
pub fn resolve(
    preset: Preset,
    dataset: &DatasetDescription,
    flags: &Overrides,
) -> Result<TrainConfig> {
    let num_gpus = flags.gpus.unwrap_or(1);
    check(num_gpus.is_power_of_two(), "gpus", "must be a power of two")?;
    let settings = preset.settings(dataset.resolution, num_gpus);
    // Sampler and subset use numpy's generator, whose seeds have 32 bits.
    let random_seed = within("seed", flags.seed, 0, 0..=u64::from(u32::MAX))?;
    let mut name = RunName::new(&dataset.name);

    // In the order in which the official program names them.
    let images = images(dataset, flags, random_seed, &mut name)?;
    match preset {
        Preset::Auto => name.note(&format!("auto{num_gpus}")),
        other => name.note(other.name()),
    }
    let (generator, mut discriminator) = networks::networks(preset, &settings, dataset, flags)?;
    let loss = loss(preset, &settings, flags, &mut name)?;
    let total_kimg = within("kimg", flags.kimg, settings.total_kimg, 1..=1_000_000_000)?;
    if let Some(kimg) = flags.kimg {
        name.note(&format!("kimg{kimg}"));
    }
    let (batch_size, batch_gpu) = batch(&settings, flags, num_gpus, &mut name)?;
    let augmentation = augmentation::augmentation(flags, &mut name)?;
    let init_from = init_from(flags, &mut name);
    // Transfer learning: faster adaptive augmentation, and no ramp of the moving average.
    let (ada_kimg, ema_rampup) = match init_from {
        Some(_) => (100, None),
        None => (500, settings.ema_rampup),
    };
    let ada_kimg = within("ada-kimg", flags.ada_kimg, ada_kimg, 1..=1_000_000)?;
    if flags.ada_kimg.is_some() && flags.aug.unwrap_or(AugmentMode::Ada) != AugmentMode::Ada {
        return Err(Error::setting("ada-kimg", "needs aug = ada"));
    }
    let ema_kimg = within("ema-kimg", flags.ema_kimg, settings.ema_kimg, 0.0..=1e6)?;
    if flags.ema_kimg.is_some() {
        name.note_number("ema", ema_kimg);
    }
    if let Some(freezed) = flags.freezed {
        let n_layers = networks::n_layers(&discriminator);
        discriminator.freeze_layers = within("freezed", Some(freezed), 0, 0..=n_layers)?;
        name.note(&format!("freezed{freezed}"));
    }

    let snap = within(
        "snap",
        flags.snap,
        settings.snapshot_ticks,
        1..=LARGEST_INTERVAL,
    )?;
    let ticks = |name, given: Option<usize>, default: usize| {
        within(name, given, default, 1..=LARGEST_INTERVAL)
    };
    let grid = flags.grid.or(settings.preview_grid);
    if grid.is_some_and(|[columns, rows]| columns == 0 || rows == 0 || columns > 4096 / rows) {
        let reason = "needs a column and a row, and at most 4096 images";
        return Err(Error::setting("grid", reason));
    }
    Ok(TrainConfig {
        desc: name.into_text(),
        requested: Some(RequestedSettings {
            preset,
            overrides: flags.given(),
        }),
        num_gpus,
        image_snapshot_ticks: ticks("image-snap", flags.image_snap, snap)?,
        network_snapshot_ticks: snap,
        state_ticks: ticks("state-every", flags.state_every, 4)?,
        keep_states: ticks("keep-states", flags.keep_states, 2)?,
        metrics_ticks: ticks("metrics-every", flags.metrics_every, snap)?,
        keep_snapshots: match flags.keep {
            Some(keep) => Some(ticks("keep", Some(keep), 1)?),
            None => None,
        },
        preview_grid: grid,
        metrics: flags
            .metrics
            .clone()
            .unwrap_or_else(|| preset.default_metrics()),
        features: flags
            .features
            .clone()
            .unwrap_or_else(|| TrainConfig::DEFAULT_FEATURES.to_owned()),
        weights: flags.weights.clone(),
        stop_on_collapse: flags.stop_on_collapse.unwrap_or(false),
        random_seed,
        dataset: images,
        num_workers: within("workers", flags.workers, 3, 1..=256)?,
        generator,
        discriminator,
        g_optimizer: adam("glr", flags.glr, &settings)?,
        d_optimizer: adam("dlr", flags.dlr, &settings)?,
        loss,
        total_kimg,
        kimg_per_tick: within("tick", flags.tick, settings.kimg_per_tick, 1..=1_000_000)?,
        batch_size,
        batch_gpu,
        ema_kimg,
        ema_rampup,
        g_reg_interval: 4,
        d_reg_interval: 16,
        ada_target: augmentation.target,
        ada_interval: 4,
        ada_kimg,
        ada_max_p: augmentation.max_p,
        augment_p: augmentation.p,
        augment: augmentation.pipe,
        init_from,
        bf16: flags.bf16.unwrap_or(false),
    })
}

/// Labels, subset and mirror.
fn images(
    dataset: &DatasetDescription,
    flags: &Overrides,
    random_seed: u64,
    name: &mut RunName,
) -> Result<DatasetConfig> {
    let use_labels = flags.cond.unwrap_or(false);
    if use_labels {
        let reason = "the dataset has no labels in its dataset.json";
        check(dataset.label_dim > 0, "cond", reason)?;
        name.note("cond");
    }
    let mut images = DatasetConfig {
        path: dataset.path.clone(),
        use_labels,
        max_size: dataset.num_images,
        xflip: flags.mirror.unwrap_or(false),
        resolution: dataset.resolution,
        random_seed: None,
        fingerprint: dataset.fingerprint.clone(),
    };
    if let Some(subset) = flags.subset {
        if !(1..=dataset.num_images).contains(&subset) {
            let reason = format!("must be from 1 to the {} images", dataset.num_images);
            return Err(Error::setting("subset", reason));
        }
        name.note(&format!("subset{subset}"));
        if subset < dataset.num_images {
            images.max_size = subset;
            images.random_seed = Some(random_seed);
        }
    }
    if images.xflip {
        name.note("mirror");
    }
    Ok(images)
}

fn loss(
    preset: Preset,
    settings: &PresetSettings,
    flags: &Overrides,
    name: &mut RunName,
) -> Result<LossConfig> {
    let mut loss = LossConfig::new(settings.r1_gamma);
    if preset == Preset::Cifar {
        loss.pl_weight = 0.0;
        loss.style_mixing_prob = 0.0;
    }
    if let Some(gamma) = flags.gamma {
        let is_weight = gamma.is_finite() && gamma >= 0.0;
        check(is_weight, "gamma", "must be at least 0")?;
        name.note_number("gamma", gamma);
        loss.r1_gamma = gamma;
    }
    if let Some(weight) = flags.pl_weight {
        let is_weight = weight.is_finite() && weight >= 0.0;
        check(is_weight, "pl-weight", "must be at least 0")?;
        name.note_number("pl", weight);
        loss.pl_weight = weight;
    }
    Ok(loss)
}

/// Batch size and micro-batch size (`batch_gpu`).
fn batch(
    settings: &PresetSettings,
    flags: &Overrides,
    num_gpus: usize,
    name: &mut RunName,
) -> Result<(usize, usize)> {
    let (mut batch_size, mut batch_gpu) = (settings.batch_size, settings.batch_gpu);
    if let Some(batch) = flags.batch {
        within("batch", Some(batch), 0, 1..=LARGEST_BATCH)?;
        let divides = batch.is_multiple_of(num_gpus);
        check(divides, "batch", "must be a multiple of gpus")?;
        name.note(&format!("batch{batch}"));
        (batch_size, batch_gpu) = (batch, batch / num_gpus);
    }
    if let Some(size) = flags.batch_gpu {
        batch_gpu = within("batch-gpu", Some(size), 0, 1..=LARGEST_BATCH)?;
    }
    Ok((batch_size, batch_gpu))
}

/// The networks to start from: a file, or the address of a published network by its name.
fn init_from(flags: &Overrides, name: &mut RunName) -> Option<String> {
    let from = flags.init_from.as_deref()?;
    if from == "noresume" {
        name.note("noresume");
        return None;
    }
    match architecture::pretrained::find(from) {
        Some(pretrained) => {
            name.note(&format!("resume{from}"));
            Some(pretrained.url())
        }
        None => {
            name.note("resumecustom");
            Some(from.to_owned())
        }
    }
}

fn adam(
    name: &'static str,
    rate: Option<f64>,
    settings: &PresetSettings,
) -> Result<OptimizerConfig> {
    let rate = rate.unwrap_or(settings.learning_rate);
    check(rate.is_finite() && rate > 0.0, name, "must be above 0")?;
    Ok(OptimizerConfig::new(rate))
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
            fingerprint: None,
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
            let config = resolve(Preset::Auto, &faces(512), &flags).unwrap();
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
        let config = resolve(Preset::Paper512, &faces(512), &flags).unwrap();
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
        assert_eq!(TrainConfig::from_json(&text).unwrap(), config);
        // As states of earlier versions have it.
        let earlier = text.replacen('{', "{\"allow_tf32\":false,\"cudnn_benchmark\":true,", 1);
        assert_eq!(TrainConfig::from_json(&earlier).unwrap(), config);
    }

    #[test]
    fn contradictions_are_named() {
        type Change<'a> = &'a dyn Fn(&mut Overrides);
        let with = |change: Change<'_>| {
            let mut flags = Overrides::default();
            change(&mut flags);
            resolve(Preset::Auto, &faces(64), &flags).map(|c| c.desc)
        };
        let cases: [(&str, Change<'_>); 14] = [
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
            ("batch", &|f| f.batch = Some(1 << 40)),
            ("seed", &|f| f.seed = Some(1 << 32)),
            ("map-layers", &|f| f.map_layers = Some(100_000)),
            // 1 + 3 * 4 layers at 64 px.
            ("freezed", &|f| f.freezed = Some(14)),
            ("keep", &|f| f.keep = Some(0)),
            ("grid", &|f| f.grid = Some([100, 100])),
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
        let config = resolve(Preset::Paper512, &faces(64), &flags).unwrap();
        assert!(config.validate().is_ok(), "6 is one group");
        let flags = Overrides {
            batch: Some(12),
            ..Default::default()
        };
        let config = resolve(Preset::Paper512, &faces(64), &flags).unwrap();
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains("multiple of 8"), "{error}");
    }
}
