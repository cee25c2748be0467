//! Resolves preset, dataset and flags to the complete configuration of a new run.

mod augmentation;
mod dataset;
mod losses;
mod networks;
mod outputs;

use std::ops::RangeInclusive;

use ::dataset::Fingerprint;
use training::{Error, Preset, RequestedSettings, Result, TrainConfig};

use crate::overrides::Overrides;
use crate::run_name::RunName;

/// The properties of a dataset on which the configuration of a run depends.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetDescription {
    /// Short name that begins the description in the run folder's name.
    pub name: String,
    /// Path of the image folder or zip archive.
    pub path: String,
    /// Width and height of the images in pixels.
    pub resolution: usize,
    /// Number of color channels of the images: 1 or 3.
    pub num_channels: usize,
    /// Number of images, without mirrored copies.
    pub num_images: usize,
    /// Number of elements of a label (`c_dim`); 0 without labels.
    pub label_dim: usize,
    /// Names, sizes and checksums of the images. They reveal a changed dataset when the run is resumed.
    pub fingerprint: Option<Fingerprint>,
}

/// The value of `--init-from` (`--resume` in NVIDIA's StyleGAN2-ADA) that means random weights.
const NO_START: &str = "noresume";
/// Largest allowed batch size; the largest one in the literature on GANs is 2048.
const LARGEST_BATCH: usize = 1 << 14;

fn check(ok: bool, name: &'static str, reason: &str) -> Result<()> {
    ok.then_some(()).ok_or_else(|| Error::setting(name, reason))
}

/// Returns `given`, or else `default`; an error when the number is outside of `bounds`.
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

/// The complete configuration of a new run: the preset, with the settings of `flags` in place of its own.
///
/// # Errors
/// `Setting`, with the name of a flag that is invalid or contradicts another one; `Augpipe` for an invalid list of
/// transforms.
pub fn resolve(
    preset: Preset,
    dataset: &DatasetDescription,
    flags: &Overrides,
) -> Result<TrainConfig> {
    let num_gpus = flags.gpus.unwrap_or(1);
    check(num_gpus.is_power_of_two(), "gpus", "must be a power of two")?;
    let settings = preset.settings(dataset.resolution, num_gpus);
    // Sampler and subset use numpy's random number generator, whose seeds have 32 bits.
    let random_seed = within("seed", flags.seed, 0, 0..=u64::from(u32::MAX))?;
    let mut name = RunName::new(&dataset.name);

    // The parts of the run's name are appended in the same order as in NVIDIA's StyleGAN2-ADA.
    let images = dataset::dataset_config(dataset, flags, random_seed, &mut name)?;
    match preset {
        Preset::Auto => name.note(&format!("auto{num_gpus}")),
        other => name.note(other.name()),
    }
    let (generator, mut discriminator) = networks::networks(preset, &settings, dataset, flags)?;
    let loss = losses::loss(preset, &settings, flags, &mut name)?;
    let total_kimg = within("kimg", flags.kimg, settings.total_kimg, 1..=1_000_000_000)?;
    if let Some(kimg) = flags.kimg {
        name.note(&format!("kimg{kimg}"));
    }
    let (batch_size, batch_gpu) = losses::batch(&settings, flags, num_gpus, &mut name)?;
    let augmentation = augmentation::augmentation(flags, &mut name)?;
    let init_from = init_from(flags, &mut name);
    let (ema_kimg, ema_rampup) = losses::moving_average(&settings, flags, &mut name)?;
    if let Some(freezed) = flags.freezed {
        let n_layers = networks::n_layers(&discriminator);
        discriminator.freeze_layers = within("freezed", Some(freezed), 0, 0..=n_layers)?;
        name.note(&format!("freezed{freezed}"));
    }

    let outputs = outputs::outputs(&settings, flags)?;
    Ok(TrainConfig {
        desc: name.into_text(),
        requested: Some(RequestedSettings {
            preset,
            overrides: flags.given(),
        }),
        num_gpus,
        image_snapshot_ticks: outputs.image_snapshot_ticks,
        network_snapshot_ticks: outputs.network_snapshot_ticks,
        state_ticks: outputs.state_ticks,
        keep_states: outputs.keep_states,
        metrics_ticks: outputs.metrics_ticks,
        keep_snapshots: outputs.keep_snapshots,
        preview_grid: outputs.preview_grid,
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
        g_optimizer: losses::adam("glr", flags.glr, &settings)?,
        d_optimizer: losses::adam("dlr", flags.dlr, &settings)?,
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
        ada_kimg: augmentation.kimg,
        ada_max_p: augmentation.max_p,
        augment_p: augmentation.p,
        augment: augmentation.pipe,
        init_from,
        bf16: flags.bf16.unwrap_or(false),
    })
}

/// Whether the run starts from trained networks.
fn is_transfer(flags: &Overrides) -> bool {
    flags
        .init_from
        .as_deref()
        .is_some_and(|from| from != NO_START)
}

/// Returns the networks to start from: path of a file, URL of a published network, or name of a network that is built
/// into the program; `None` for random weights. Appends this choice to `name`, the name of the run.
fn init_from(flags: &Overrides, name: &mut RunName) -> Option<String> {
    let from = flags.init_from.as_deref()?;
    if from == NO_START {
        name.note(NO_START);
        return None;
    }
    match architecture::pretrained::find(from) {
        Some(pretrained) => {
            name.note(&format!("resume{from}"));
            Some(pretrained.address())
        }
        None => {
            name.note("resumecustom");
            Some(from.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment_mode::AugmentMode;

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
        // Expected batch, gamma and EMA half-life are those of NVIDIA's StyleGAN2-ADA at 512 px.
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
        // Training states of an earlier version have these fields.
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
            // There are 1 + 3 * 4 layers at 64 px.
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
