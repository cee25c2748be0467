//! The status line that ends a tick, as NVIDIA's StyleGAN2-ADA prints it, and its numbers in the statistics.

use run_folder::TickLine;

use crate::trainer::Trainer;

/// The number of a tick, and the times that its status line shows.
pub(crate) struct TickTimes {
    /// Number of the tick, from 0.
    pub tick: u64,
    /// Real images seen when the tick began.
    pub start_nimg: u64,
    /// Seconds that the run has taken so far, summed over its sessions (executions of the program).
    pub total_sec: f64,
    /// Seconds that the training steps of the tick took, over all sessions.
    pub tick_sec: f64,
    /// Seconds between the last step of the previous tick and the first step of this one.
    pub maintenance_sec: f64,
}

/// Builds the status line and adds its numbers to the trainer's statistics.
pub(crate) fn tick_line(trainer: &mut Trainer, times: &TickTimes) -> TickLine {
    let nimg = trainer.learner().cur_nimg;
    let (tick, total) = (times.tick, times.total_sec);
    let sec_per_tick = times.tick_sec;
    let tick_nimg = nimg.saturating_sub(times.start_nimg).max(1);
    let sec_per_kimg = sec_per_tick / tick_nimg as f64 * 1e3;
    let maintenance = times.maintenance_sec;
    let kimg = nimg as f64 / 1e3;
    let cpu_mem = resident_bytes().unwrap_or(0) as f64 / f64::from(1 << 30);
    // A driver that cannot report its memory must not end a run.
    let gpu_peak = ops::device::peak_memory(trainer.device()).ok().flatten();
    let gpu_mem = gpu_peak.unwrap_or(0) as f64 / f64::from(1 << 30);
    let p = trainer.p();
    for (name, value) in [
        ("Progress/tick", tick as f64),
        ("Progress/kimg", kimg),
        ("Timing/total_sec", total),
        ("Timing/sec_per_tick", sec_per_tick),
        ("Timing/sec_per_kimg", sec_per_kimg),
        ("Timing/maintenance_sec", maintenance),
        ("Resources/cpu_mem_gb", cpu_mem),
        ("Resources/peak_gpu_mem_gb", gpu_mem),
        ("Progress/augment", p),
        ("Timing/total_hours", total / 3600.0),
        ("Timing/total_days", total / 86400.0),
    ] {
        trainer.stats.report(name, [value]);
    }
    TickLine {
        tick,
        kimg,
        total_sec: total,
        sec_per_tick,
        sec_per_kimg,
        maintenance_sec: maintenance,
        cpu_mem_gb: cpu_mem,
        gpu_mem_gb: gpu_mem,
        augment: p,
    }
}

/// Resident memory of this process in bytes; `None` on systems without `/proc`.
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}
