//! Counts kernel launches, copies, and the times that the host waits in a way that would leave a real GPU idle.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Uploads of at most this many bytes from pageable memory do not wait for the GPU.
const TAKEN_ALONG: usize = 64 << 10;

static LAUNCHES: AtomicU64 = AtomicU64::new(0);
static UPLOADS: AtomicU64 = AtomicU64::new(0);
static DOWNLOADS: AtomicU64 = AtomicU64::new(0);
static STALLS: AtomicU64 = AtomicU64::new(0);
/// The page-locked memory: start address and size of each allocation.
static LOCKED: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());

/// Writes the counts so far: kernel launches, copies to the GPU, copies from the GPU, and stalls. A stall is a wait of
/// the host for the GPU while no later work is queued.
///
/// This function is not part of NVIDIA's API. Tests look it up by name in the library that is loaded as the driver.
#[unsafe(no_mangle)]
pub extern "C" fn emulated_gpu_counts(counts: &mut [u64; 4]) {
    *counts = [&LAUNCHES, &UPLOADS, &DOWNLOADS, &STALLS].map(|n| n.load(Ordering::Relaxed));
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn launch() {
    add(&LAUNCHES);
}

/// The number of kernels launched so far.
pub(crate) fn launches() -> u64 {
    LAUNCHES.load(Ordering::Relaxed)
}

/// Counts that the host waits for all queued work, a stall.
pub(crate) fn host_waits() {
    add(&STALLS);
}

/// Counts a stall if the host waits for work that was queued when `launches` kernels had been launched, and no kernel
/// was launched since.
pub(crate) fn host_waits_for(launches: u64) {
    if launches == self::launches() && launches > 0 {
        add(&STALLS);
    }
}

pub(crate) fn upload(from: usize, size: usize) {
    add(&UPLOADS);
    if size > TAKEN_ALONG && !is_locked(from) {
        add(&STALLS);
    }
}

pub(crate) fn download(to: usize) {
    add(&DOWNLOADS);
    if !is_locked(to) {
        add(&STALLS);
    }
}

fn with_locked<T>(work: impl FnOnce(&mut BTreeMap<usize, usize>) -> T) -> T {
    work(&mut LOCKED.lock().unwrap_or_else(PoisonError::into_inner))
}

pub(crate) fn lock_pages(start: usize, size: usize) {
    with_locked(|locked| locked.insert(start, size));
}

pub(crate) fn unlock_pages(start: usize) {
    with_locked(|locked| locked.remove(&start));
}

fn is_locked(address: usize) -> bool {
    with_locked(|locked| {
        let before = locked.range(..=address).next_back();
        before.is_some_and(|(start, size)| address - start < *size)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locked_pages_are_known() {
        lock_pages(4096, 100);
        assert!(is_locked(4096) && is_locked(4195));
        assert!(!is_locked(4095) && !is_locked(4196));
        unlock_pages(4096);
        assert!(!is_locked(4096));
    }
}
