//! Time and memory of a run, measured on its first steps.

use std::time::Instant;

use anyhow::Result;
use training::{Phase, TrainConfig, Trainer};

/// Time and memory of training steps.
pub(super) struct Measurement {
    /// Seconds of the first step.
    pub first_step_sec: f64,
    /// Seconds of 1000 images, each phase counted by its interval.
    pub sec_per_kimg: f64,
    /// Hours until the end of the run, without metrics.
    pub hours: f64,
    /// Peak memory of the process; `None` where the system does not report it.
    pub peak_memory_bytes: Option<u64>,
}

impl Measurement {
    /// Trains until every phase ran once, and extrapolates to `images_left` images.
    pub(super) fn of(config: &TrainConfig, mut trainer: Trainer, images_left: u64) -> Result<Self> {
        let start = Instant::now();
        trainer.step()?;
        let mut times = trainer.synchronize()?.to_vec();
        let first_step_sec = start.elapsed().as_secs_f64();
        // A resumed run may be between two regularizations.
        let phases = Phase::all(config);
        while times.len() < phases.len() {
            trainer.step()?;
            for (name, time) in trainer.synchronize()? {
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
        Ok(Self {
            first_step_sec,
            sec_per_kimg,
            hours: sec_per_kimg * images_left as f64 / 1000.0 / 3600.0,
            peak_memory_bytes: cli::peak_resident_bytes(),
        })
    }
}
