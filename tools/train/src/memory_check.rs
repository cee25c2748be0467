//! Warns about runs that need more memory than is available.

use anyhow::Result;
use networks::Precision;
use ops::device::GpuReport;
use training::TrainConfig;

/// A warning when the predicted memory of a run exceeds the available memory of this machine; otherwise `None`.
pub fn too_large_for_cpu(config: &TrainConfig) -> Result<Option<String>> {
    let needed = config.predicted_memory(Precision::Full)?.total;
    let available = cli::available_memory_bytes().filter(|available| *available < needed);
    Ok(available.map(|available| {
        format!(
            "the run should need {} of memory, {} are available; a smaller --batch-gpu needs less",
            megabytes(needed),
            megabytes(available)
        )
    }))
}

/// A warning when `needed` bytes exceed the free memory of a GPU; otherwise `None`.
pub fn too_large_for_gpu(gpu: &GpuReport, needed: u64) -> Option<String> {
    let free = gpu.memory.0 as u64;
    (free < needed).then(|| {
        format!(
            "the run should need {} of memory, {} are free on {}; a smaller --batch-gpu needs less",
            megabytes(needed),
            megabytes(free),
            gpu.name
        )
    })
}

/// A number of bytes as text, in units of 2^20 bytes rounded down (`12 MB`).
pub fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_that_is_too_small_is_named() {
        let gpu = GpuReport {
            name: "a GPU".into(),
            capability: (8, 0),
            driver: 13000,
            memory: (3 << 20, 4 << 20),
            kernels: 38,
        };
        assert_eq!(too_large_for_gpu(&gpu, 3 << 20), None);
        let text = too_large_for_gpu(&gpu, 5 << 20).unwrap();
        assert!(text.contains("5 MB") && text.contains("a GPU"), "{text}");
    }
}
