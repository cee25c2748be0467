//! Measures time and memory of the first steps of a run.

use std::time::Instant;

use anyhow::Result;
use training::{Phase, TrainConfig, Trainer};

/// Measured time and memory of a run's first training steps.
pub(super) struct Measurement {
    /// Seconds that the first step took.
    pub first_step_sec: f64,
    /// Seconds per 1000 images, averaged over many steps: the time of each phase is divided by its interval.
    pub sec_per_kimg: f64,
    /// Predicted hours until the end of the run, without metrics.
    pub hours: f64,
    /// Peak memory of the process in bytes; `None` where the system does not report it.
    pub peak_memory_bytes: Option<u64>,
}

impl Measurement {
    /// Makes steps until every phase has run once, and predicts the time for `images_left` more images.
    pub(super) fn of(config: &TrainConfig, mut trainer: Trainer, images_left: u64) -> Result<Self> {
        let start = Instant::now();
        trainer.step()?;
        let mut times = trainer.synchronize()?.to_vec();
        let first_step_sec = start.elapsed().as_secs_f64();
        // The first step of a resumed run may have no regularization phases.
        let phases = Phase::all(config);
        while times.len() < phases.len() {
            trainer.step()?;
            for (name, time) in trainer.synchronize()? {
                if times.iter().all(|(seen, _)| seen != name) {
                    times.push((*name, *time));
                }
            }
        }
        // A phase runs in one of `interval` steps.
        let per_step: f64 = phases
            .iter()
            .filter_map(|phase| {
                let (_, time) = times.iter().find(|(name, _)| *name == phase.name())?;
                Some(time.as_secs_f64() / phase.interval as f64)
            })
            .sum();
        let sec_per_kimg = per_step * 1000.0 / config.batch_size as f64;
        Ok(Self {
            first_step_sec,
            sec_per_kimg,
            hours: sec_per_kimg * images_left as f64 / 1000.0 / 3600.0,
            peak_memory_bytes: cli::peak_resident_bytes(),
        })
    }
}
