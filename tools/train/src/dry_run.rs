//! `--dry-run`: the resolved run, and one real step to tell its time and memory.

use std::time::Instant;

use anyhow::Result;
use serde_json::json;
use training::{Phase, TrainConfig, Trainer};

/// Makes one step (the first runs every phase) and prints what a run would be.
pub fn report(config: &TrainConfig, mut trainer: Trainer) -> Result<()> {
    let networks = &trainer.learner().networks;
    let g_parameters = networks.g.parameters().num_trainable();
    let d_parameters = networks.d.parameters().num_trainable();
    let start = Instant::now();
    let mut times = trainer.step()?;
    let first_step = start.elapsed().as_secs_f64();
    // A resumed run may stand between two regularizations.
    let phases = Phase::all(config);
    while times.len() < phases.len() {
        for (name, time) in trainer.step()? {
            if times.iter().all(|(seen, _)| *seen != name) {
                times.push((name, time));
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
    let left = (config.total_kimg * 1000).saturating_sub(trainer.learner().cur_nimg);
    let sec_per_kimg = per_step * 1000.0 / config.batch_size as f64;
    let hours = sec_per_kimg * left as f64 / 1000.0 / 3600.0;
    let peak = peak_resident_bytes();
    let result = json!({
        "config": config,
        "g_parameters": g_parameters,
        "d_parameters": d_parameters,
        "first_step_sec": first_step,
        "sec_per_kimg": sec_per_kimg,
        "hours": hours,
        "peak_memory_bytes": peak,
    });
    cli::report(&result, |_| {
        let memory = peak.map_or("unknown".to_owned(), |b| format!("{} MB", b >> 20));
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
                "measured",
                format!(
                    "peak memory {memory}, {sec_per_kimg:.1} sec/kimg (one step of every phase)"
                ),
            ),
            (
                "predicted",
                format!(
                    "{:.1} kimg in {hours:.1} hours, without metrics",
                    left as f64 / 1e3
                ),
            ),
        ];
        let lines = rows.map(|(key, value)| format!("{key:<10} {value}"));
        lines.join("\n")
    });
    Ok(())
}

/// The most memory that this process has used; `None` where that cannot be told.
fn peak_resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}
