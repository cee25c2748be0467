//! Starts the pool of worker threads, with no more threads than the system allows.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

/// Number of threads that are kept free for bars, readers and writers when the system allows few threads.
const SPARE: usize = 3;

/// Starts rayon's global pool with `wanted` threads, or else with `RAYON_NUM_THREADS` or one per core.
///
/// # Errors
/// When the system does not allow as many threads as were asked for, or the pool is running already.
pub(crate) fn start_pool(wanted: Option<NonZeroUsize>) -> anyhow::Result<()> {
    let n = wanted.map_or_else(default_threads, NonZeroUsize::get);
    let possible = startable(n + SPARE);
    if possible < n + SPARE {
        // The system still counts threads for a moment after they have ended.
        thread::sleep(Duration::from_millis(20));
    }
    let mut builder = rayon::ThreadPoolBuilder::new();
    if let Some(wanted) = wanted {
        if possible < n {
            bail!(
                "cannot start --threads {wanted}: the system allows {possible} more (see `ulimit -u`)"
            );
        }
        builder = builder.num_threads(n);
        return builder
            .build_global()
            .with_context(|| format!("cannot start --threads {wanted}"));
    }
    if possible < n + SPARE {
        let used = possible.saturating_sub(SPARE).clamp(1, n);
        tracing::warn!(
            "the system allows {possible} more threads where {} were wanted (see `ulimit -u`): working with {used}",
            n + SPARE
        );
        builder = builder.num_threads(used);
        if possible == 0 {
            builder = builder.use_current_thread();
        }
    }
    // Start the pool now: one that starts when it is first used panics if it cannot.
    builder
        .build_global()
        .context("cannot start the threads to work with (see `ulimit -u`)")
}

fn default_threads() -> usize {
    let variable = std::env::var("RAYON_NUM_THREADS").ok();
    variable
        .and_then(|text| text.parse().ok())
        .filter(|&n| n > 0)
        .or_else(|| thread::available_parallelism().ok().map(NonZeroUsize::get))
        .unwrap_or(1)
}

/// Number of threads, up to `n`, that can run at once. They are counted by starting them, since a pool that has failed
/// to start cannot be started again.
fn startable(n: usize) -> usize {
    let done = Arc::new(AtomicBool::new(false));
    let mut started = Vec::with_capacity(n);
    for _ in 0..n {
        let done = Arc::clone(&done);
        let wait = move || {
            while !done.load(Ordering::Acquire) {
                thread::park();
            }
        };
        match thread::Builder::new().spawn(wait) {
            Ok(handle) => started.push(handle),
            Err(_) => break,
        }
    }
    done.store(true, Ordering::Release);
    let n_started = started.len();
    for handle in started {
        handle.thread().unpark();
        let _ = handle.join();
    }
    n_started
}

#[cfg(test)]
mod tests {
    #[test]
    fn threads_are_counted() {
        assert_eq!(super::startable(3), 3);
    }
}
