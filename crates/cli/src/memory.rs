//! Memory of this process and of the machine, where the system tells.

/// The most memory that this process has used, in bytes.
pub fn peak_resident_bytes() -> Option<u64> {
    field(
        &std::fs::read_to_string("/proc/self/status").ok()?,
        "VmHWM:",
    )
}

/// Memory that new work can have without swapping, in bytes.
pub fn available_memory_bytes() -> Option<u64> {
    field(
        &std::fs::read_to_string("/proc/meminfo").ok()?,
        "MemAvailable:",
    )
}

/// `VmHWM:     1234 kB`
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        let text = "VmPeak:\t  20 kB\nVmHWM:\t    1234 kB\nThreads:\t3\n";
        assert_eq!(field(text, "VmHWM:"), Some(1234 * 1024));
        assert_eq!(field(text, "Threads:"), None);
        if cfg!(target_os = "linux") {
            assert!(peak_resident_bytes().unwrap() > 1 << 16);
            assert!(available_memory_bytes().unwrap() > 1 << 20);
        }
    }
}
