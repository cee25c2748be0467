//! The networks that a new run starts from.

use anyhow::Result;
use candle_core::Device;
use checkpoints::TransferOptions;
use rng::RandomState;
use tool_support::DownloadBar;
use training::{Start, TrainConfig};

/// New networks, or those of a file, an address or the name of an official one, with a report of what was loaded.
pub fn networks(
    config: &TrainConfig,
    source: Option<&str>,
    allow_partial: bool,
    device: &Device,
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
    // What does not fit keeps a random start.
    let mut random = RandomState::new(config.random_seed as u32);
    let start = checkpoints::init_from(
        &opened,
        &config.generator,
        &config.discriminator,
        &TransferOptions { allow_partial },
        &mut random,
        device,
    )?;
    tracing::info!("starting from '{source}': {}", start.report);
    Ok(Start {
        g: start.g,
        d: start.d,
        g_ema: start.g_ema,
    })
}
