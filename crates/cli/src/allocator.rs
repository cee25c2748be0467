//! Settings of glibc's memory allocator, for work that allocates and frees large tensors all the time, and for images.

/// Makes glibc keep freed memory for reuse instead of returning it to the system after each tensor.
///
/// Without this, page faults take 17 to 23 % of a training step. [`run_main`](crate::run_main) calls it before any
/// thread starts. It does nothing with another allocator, or when the user has set variables of glibc's allocator
/// (`GLIBC_TUNABLES`, or any that begins with `MALLOC_`). Returns whether every setting took effect.
pub fn tune_allocator() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// Blocks up to this size in bytes come from the heap instead of a mapping of their own.
        const MMAP_THRESHOLD: libc::c_int = 1 << 30;
        /// The largest threshold that older releases of glibc accept.
        const MMAP_THRESHOLD_OLD: libc::c_int = 32 << 20;
        const TOP_PAD: libc::c_int = 64 << 20;
        if is_set_by_user() {
            return false;
        }
        // SAFETY: mallopt takes plain numbers and may be called at any time; it refuses bad ones by returning 0.
        unsafe {
            let mmap = libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD) == 1
                || libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD_OLD) == 1;
            // -1 stands for the largest size: the top of the heap is never returned to the system.
            let trim = libc::mallopt(libc::M_TRIM_THRESHOLD, -1) == 1;
            let pad = libc::mallopt(libc::M_TOP_PAD, TOP_PAD) == 1;
            mmap && trim && pad
        }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}

/// Makes glibc return blocks of 16 MiB or more to the system when they are freed. Each thread has its own heap, which
/// otherwise would stay as large as the largest image decoded in it. Call this after [`tune_allocator`], before any
/// thread starts.
pub fn give_back_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if !is_set_by_user() {
        // SAFETY: as in `tune_allocator`.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, 16 << 20);
            // With a larger padding, the heap of a thread has so much free space at its end that such blocks would
            // still be taken from it.
            libc::mallopt(libc::M_TOP_PAD, 1 << 20);
        }
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn is_set_by_user() -> bool {
    std::env::vars_os().any(|(key, _)| {
        key.to_str().is_some_and(|k| k.starts_with("MALLOC_")) || key == "GLIBC_TUNABLES"
    })
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    #[test]
    fn glibc_accepts_every_setting() {
        let ours =
            std::env::vars().all(|(k, _)| !k.starts_with("MALLOC_") && k != "GLIBC_TUNABLES");
        assert_eq!(super::tune_allocator(), ours);
    }
}
