//! The official status line of a tick, and its numbers in the statistics.

use run_folder::TickLine;

use crate::trainer::Trainer;

/// Number and times of a tick.
pub(crate) struct TickTimes {
    /// Number of the tick.
    pub tick: u64,
    /// Images seen when the tick began.
    pub start_nimg: u64,
    /// Seconds since the run began, over all sessions.
    pub total_sec: f64,
    /// Seconds of its steps, over all sessions.
    pub tick_sec: f64,
    /// Seconds between the steps of the tick before and its own.
    pub maintenance_sec: f64,
}

/// Builds the line and reports its numbers to the statistics.
pub(crate) fn tick_line(trainer: &mut Trainer, times: &TickTimes) -> TickLine {
    let nimg = trainer.learner().cur_nimg;
    let (tick, total) = (times.tick, times.total_sec);
    let sec_per_tick = times.tick_sec;
    let tick_nimg = nimg.saturating_sub(times.start_nimg).max(1);
    let sec_per_kimg = sec_per_tick / tick_nimg as f64 * 1e3;
    let maintenance = times.maintenance_sec;
    let kimg = nimg as f64 / 1e3;
    let cpu_mem = resident_bytes().unwrap_or(0) as f64 / f64::from(1 << 30);
    // A driver that reports no memory must not end a run.
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

/// Bytes of resident memory of this process; `None` on systems without `/proc`.
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}
