//! `--dry-run`: prints the settings of a run and its predicted memory, and measures time and memory of one step.

mod measurement;
mod table;

use anyhow::Result;
use ops::device::GpuReport;
use serde_json::{Value, json};
use training::{MemoryEstimate, TrainConfig, Trainer};

use self::measurement::Measurement;
use crate::memory_check::{too_large_for_cpu, too_large_for_gpu};

/// The results of a dry run, which are printed.
struct DryRun<'c> {
    config: &'c TrainConfig,
    /// Number of trainable parameters of the generator.
    g_parameters: usize,
    /// Number of trainable parameters of the discriminator.
    d_parameters: usize,
    /// Number of real images until the end of the run.
    images_left: u64,
    predicted_memory: MemoryEstimate,
    /// The GPU's properties; `None` on a CPU.
    gpu: Option<GpuReport>,
    /// Measured time and memory; `None` where there is too little memory to make a step.
    measured: Option<Measurement>,
}

/// Makes a dry run and prints it as text or JSON. It makes real steps until every phase has run, unless there is too
/// little memory.
pub fn report(config: &TrainConfig, trainer: Trainer) -> Result<()> {
    let dry_run = DryRun::measure(config, trainer)?;
    cli::report(&dry_run.to_json(), |_| dry_run.to_table());
    Ok(())
}

impl<'c> DryRun<'c> {
    fn measure(config: &'c TrainConfig, trainer: Trainer) -> Result<Self> {
        let networks = &trainer.learner().networks;
        let g_parameters = networks.g.parameters().num_trainable();
        let d_parameters = networks.d.parameters().num_trainable();
        let total_nimg = config.total_kimg * 1000;
        let images_left = total_nimg.saturating_sub(trainer.learner().cur_nimg);
        let predicted_memory = config.predicted_memory(config.precision(trainer.device()))?;
        let gpu = ops::device::inspect(trainer.device())?;
        let too_large = match &gpu {
            Some(gpu) => too_large_for_gpu(gpu, predicted_memory.total),
            None => too_large_for_cpu(config)?,
        };
        let measured = match too_large {
            Some(text) => {
                tracing::warn!("{text}; nothing is measured");
                None
            }
            None => Some(Measurement::of(config, trainer, images_left)?),
        };
        Ok(Self {
            config,
            g_parameters,
            d_parameters,
            images_left,
            predicted_memory,
            gpu,
            measured,
        })
    }

    fn to_json(&self) -> Value {
        let measured = self.measured.as_ref();
        json!({
            "config": self.config,
            "g_parameters": self.g_parameters,
            "d_parameters": self.d_parameters,
            "predicted_memory_bytes": self.predicted_memory,
            "gpu": self.gpu.as_ref().map(|gpu| json!({
                "name": gpu.name,
                "compute_capability": [gpu.capability.0, gpu.capability.1],
                "driver_cuda": gpu.driver,
                "free_memory_bytes": gpu.memory.0,
                "total_memory_bytes": gpu.memory.1,
                "kernels": gpu.kernels,
            })),
            "first_step_sec": measured.map(|m| m.first_step_sec),
            "sec_per_kimg": measured.map(|m| m.sec_per_kimg),
            "hours": measured.map(|m| m.hours),
            "peak_memory_bytes": measured.and_then(|m| m.peak_memory_bytes),
        })
    }
}
