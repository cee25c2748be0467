//! Makes the networks that a new run starts from.

use anyhow::Result;
use candle_core::Device;
use checkpoints::{Error, Opened, TransferOptions};
use rng::RandomState;
use tool_support::DownloadBar;
use training::{Preset, Start, TrainConfig};

/// Makes networks with random weights, or loads those of `source`: path of a file, or address or name of a published
/// network. Logs which tensors were loaded.
///
/// `with_preset` returns the configuration of the run with another preset and otherwise the same flags.
///
/// # Errors
/// When the networks of the file do not fit the configuration; the message names the presets that they would fit.
pub fn networks(
    config: &TrainConfig,
    source: Option<&str>,
    allow_partial: bool,
    device: &Device,
    with_preset: &dyn Fn(Preset) -> Option<TrainConfig>,
) -> Result<Start> {
    let Some(source) = source else {
        return Ok(Start::fresh(config, device)?);
    };
    let mut bar = DownloadBar::default();
    let opened = checkpoints::open_with_progress(source, device, &mut |at| bar.show(at))?;
    drop(bar);
    for note in &opened.provenance.notes {
        tracing::warn!("'{source}': {note}");
    }
    // Tensors that do not fit keep random weights.
    let mut random = RandomState::new(config.random_seed as u32);
    let start = checkpoints::init_from(
        &opened,
        &config.generator,
        &config.discriminator,
        &TransferOptions { allow_partial },
        &mut random,
        device,
    );
    let start = start.map_err(|error| with_presets(error, &opened, with_preset))?;
    tracing::info!("starting from '{source}': {}", start.report);
    Ok(Start {
        g: start.g,
        d: start.d,
        g_ema: start.g_ema,
    })
}

/// Adds the presets that the file would fit to the advice of an error about networks that do not fit.
fn with_presets(
    error: Error,
    opened: &Opened,
    with_preset: &dyn Fn(Preset) -> Option<TrainConfig>,
) -> Error {
    let Error::Refused(mut refusal) = error else {
        return error;
    };
    let fits = |preset: &Preset| {
        with_preset(*preset).is_some_and(|config| {
            checkpoints::check(opened, &config.generator, &config.discriminator)
                .is_ok_and(|report| report.fits())
        })
    };
    let presets: Vec<String> = Preset::ALL
        .into_iter()
        .filter(fits)
        .map(|preset| format!("`--cfg {}`", preset.name()))
        .collect();
    if !presets.is_empty() {
        let at = refusal.advice.len().saturating_sub(1);
        let advice = format!("use the preset {}", presets.join(" or "));
        refusal.advice.insert(at, advice);
    }
    Error::Refused(refusal)
}
