//! Resolves the settings of losses, batch sizes, optimizers and the generator's moving average.

use training::{LossConfig, OptimizerConfig, Preset, PresetSettings, Result};

use super::{LARGEST_BATCH, check, is_transfer, within};
use crate::overrides::Overrides;
use crate::run_name::RunName;

/// The weights of the losses and penalties.
pub(super) fn loss(
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

/// The batch size and the micro-batch size of one GPU (`batch_gpu`), in images.
pub(super) fn batch(
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

/// The settings of Adam for one network. `rate` is the learning rate that was given, `name` its flag for error
/// messages.
pub(super) fn adam(
    name: &'static str,
    rate: Option<f64>,
    settings: &PresetSettings,
) -> Result<OptimizerConfig> {
    let rate = rate.unwrap_or(settings.learning_rate);
    check(rate.is_finite() && rate > 0.0, name, "must be above 0")?;
    Ok(OptimizerConfig::new(rate))
}

/// Returns `ema_kimg` and `ema_rampup` of `TrainConfig`: the half-life of the generator's moving average in thousands
/// of images, and its upper limit as a fraction of the images seen so far (the ramp).
pub(super) fn moving_average(
    settings: &PresetSettings,
    flags: &Overrides,
    name: &mut RunName,
) -> Result<(f64, Option<f64>)> {
    let kimg = within("ema-kimg", flags.ema_kimg, settings.ema_kimg, 0.0..=1e6)?;
    if flags.ema_kimg.is_some() {
        name.note_number("ema", kimg);
    }
    // As in NVIDIA's StyleGAN2-ADA, transfer learning has no ramp, because the average of the initial networks is good.
    let rampup = settings.ema_rampup.filter(|_| !is_transfer(flags));
    Ok((kimg, rampup))
}
