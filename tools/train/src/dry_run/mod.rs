//! `--dry-run`: the resolved run, the memory that it should need, and one real step to tell its time and memory.

use std::time::{Duration, Instant};

use anyhow::Result;
use networks::Precision;
use ops::device::CardReport;
use serde_json::json;
use training::{Phase, TrainConfig, Trainer};

/// What one step told.
struct Measured {
    first_step_sec: f64,
    sec_per_kimg: f64,
    /// For all images that are left.
    hours: f64,
    peak_memory_bytes: Option<u64>,
}

/// Prints what a run would be. Makes one step (the first runs every phase), unless memory would not do for it.
pub fn report(config: &TrainConfig, trainer: Trainer) -> Result<()> {
    let networks = &trainer.learner().networks;
    let g_parameters = networks.g.parameters().num_trainable();
    let d_parameters = networks.d.parameters().num_trainable();
    let left = (config.total_kimg * 1000).saturating_sub(trainer.learner().cur_nimg);
    let memory = config.predicted_memory(config.precision(trainer.device()))?;
    let card = ops::device::inspect(trainer.device())?;
    let too_large = match &card {
        Some(card) => too_large_for(card, memory.total),
        None => too_large(config)?,
    };
    let measured = match too_large {
        Some(text) => {
            tracing::warn!("{text}; nothing is measured");
            None
        }
        None => Some(measure(config, trainer, left)?),
    };
    let result = json!({
        "config": config,
        "g_parameters": g_parameters,
        "d_parameters": d_parameters,
        "predicted_memory_bytes": memory,
        "card": card.as_ref().map(|card| json!({
            "name": card.name,
            "compute_capability": [card.capability.0, card.capability.1],
            "driver_cuda": card.driver,
            "free_memory_bytes": card.memory.0,
            "total_memory_bytes": card.memory.1,
            "kernels": card.kernels,
        })),
        "first_step_sec": measured.as_ref().map(|m| m.first_step_sec),
        "sec_per_kimg": measured.as_ref().map(|m| m.sec_per_kimg),
        "hours": measured.as_ref().map(|m| m.hours),
        "peak_memory_bytes": measured.as_ref().and_then(|m| m.peak_memory_bytes),
    });
    cli::report(&result, |_| {
        let augment = match (&config.augment, config.ada_target) {
            (None, _) => "none".to_owned(),
            (Some(pipe), Some(target)) => format!(
                "ada, target {target}, at most {}: {pipe}",
                config
                    .ada_max_p
                    .map_or("any p".to_owned(), |p| format!("p {p}"))
            ),
            (Some(pipe), None) => format!("fixed p {}: {pipe}", config.augment_p),
        };
        let labels = match config.generator.c_dim {
            0 => "no labels".to_owned(),
            dim => format!("labels of width {dim}"),
        };
        let rows = [
            ("run", config.desc.clone()),
            (
                "data",
                format!(
                    "'{}': {} images of {} px, {} channels, {labels}{}",
                    config.dataset.path,
                    config.dataset.max_size,
                    config.dataset.resolution,
                    config.generator.img_channels,
                    if config.dataset.xflip {
                        ", also mirrored"
                    } else {
                        ""
                    },
                ),
            ),
            (
                "networks",
                format!(
                    "G {g_parameters} parameters, {} mapping layers; D {d_parameters} parameters, {} frozen layers",
                    config.generator.mapping.num_layers, config.discriminator.freeze_layers
                ),
            ),
            (
                "batch",
                format!(
                    "{} in rounds of {}, minibatch statistic over {}",
                    config.batch_size,
                    config.batch_gpu,
                    config
                        .discriminator
                        .mbstd_group_size
                        .unwrap_or(config.batch_gpu)
                ),
            ),
            (
                "loss",
                format!(
                    "R1 gamma {} every {} steps, path length {} every {}, style mixing {}",
                    config.loss.r1_gamma,
                    config.d_reg_interval,
                    config.loss.pl_weight,
                    config.g_reg_interval,
                    config.loss.style_mixing_prob
                ),
            ),
            (
                "Adam",
                format!("G {}, D {}", config.g_optimizer.lr, config.d_optimizer.lr),
            ),
            (
                "average",
                format!(
                    "half-life {} kimg{}",
                    config.ema_kimg,
                    config.ema_rampup.map_or(String::new(), |r| format!(
                        ", at most {r} of the images seen"
                    ))
                ),
            ),
            ("augment", augment),
            (
                "start",
                config
                    .init_from
                    .clone()
                    .unwrap_or("random weights".to_owned()),
            ),
            (
                "device",
                card.as_ref().map_or("cpu".to_owned(), |card| {
                    format!(
                        "{}, compute capability {}.{}, driver for CUDA {}.{}, {} of {} free; {} kernels loaded",
                        card.name,
                        card.capability.0,
                        card.capability.1,
                        card.driver / 1000,
                        card.driver % 1000 / 10,
                        megabytes(card.memory.0 as u64),
                        megabytes(card.memory.1 as u64),
                        card.kernels,
                    )
                }),
            ),
            (
                "memory",
                format!(
                    "{} predicted, within a factor of 2: weights {}, activations of {} images {}, data {}",
                    megabytes(memory.total),
                    megabytes(memory.weights),
                    config.batch_gpu,
                    megabytes(memory.activations),
                    megabytes(memory.images),
                ),
            ),
            (
                "measured",
                measured.as_ref().map_or("nothing".to_owned(), |m| {
                    let peak = m.peak_memory_bytes;
                    format!(
                        "{:.1} sec/kimg, peak memory {} (one step of every phase)",
                        m.sec_per_kimg,
                        peak.map_or("unknown".to_owned(), megabytes)
                    )
                }),
            ),
            (
                "left",
                format!(
                    "{:.1} kimg{}",
                    left as f64 / 1e3,
                    measured.as_ref().map_or(String::new(), |m| {
                        let time = Duration::from_secs_f64(m.hours * 3600.0);
                        format!(" in {}, without metrics", run_folder::format_time(time))
                    })
                ),
            ),
        ];
        let lines = rows.map(|(key, value)| format!("{key:<10} {value}"));
        lines.join("\n")
    });
    Ok(())
}

/// What to say when the predicted memory is more than there is.
pub fn too_large(config: &TrainConfig) -> Result<Option<String>> {
    let needed = config.predicted_memory(Precision::Full)?.total;
    let available = cli::available_memory_bytes().filter(|available| *available < needed);
    Ok(available.map(|available| {
        format!(
            "the run should need {} of memory, {} are available; fewer images at once (--batch-gpu) need less",
            megabytes(needed),
            megabytes(available)
        )
    }))
}

/// [`too_large`] for the memory of a card.
fn too_large_for(card: &CardReport, needed: u64) -> Option<String> {
    let free = card.memory.0 as u64;
    (free < needed).then(|| {
        format!(
            "the run should need {} of memory, {} are free on {}; fewer images at once (--batch-gpu) need less",
            megabytes(needed),
            megabytes(free),
            card.name
        )
    })
}

fn measure(config: &TrainConfig, mut trainer: Trainer, left: u64) -> Result<Measured> {
    let start = Instant::now();
    trainer.step()?;
    let mut times = trainer.settle()?.to_vec();
    let first_step_sec = start.elapsed().as_secs_f64();
    // A resumed run may stand between two regularizations.
    let phases = Phase::all(config);
    while times.len() < phases.len() {
        trainer.step()?;
        for (name, time) in trainer.settle()? {
            if times.iter().all(|(seen, _)| seen != name) {
                times.push((*name, *time));
            }
        }
    }
    // Each phase runs in one of `interval` steps.
    let per_step: f64 = phases
        .iter()
        .filter_map(|phase| {
            let (_, time) = times.iter().find(|(name, _)| *name == phase.name())?;
            Some(time.as_secs_f64() / phase.interval as f64)
        })
        .sum();
    let sec_per_kimg = per_step * 1000.0 / config.batch_size as f64;
    Ok(Measured {
        first_step_sec,
        sec_per_kimg,
        hours: sec_per_kimg * left as f64 / 1000.0 / 3600.0,
        peak_memory_bytes: cli::peak_resident_bytes(),
    })
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_is_too_small_is_named() {
        let card = CardReport {
            name: "a card".into(),
            capability: (8, 0),
            driver: 13000,
            memory: (3 << 20, 4 << 20),
            kernels: 38,
        };
        assert_eq!(too_large_for(&card, 3 << 20), None);
        let text = too_large_for(&card, 5 << 20).unwrap();
        assert!(text.contains("5 MB") && text.contains("a card"), "{text}");
    }
}
