//! Memory of this process and of the machine. The system reports it on Linux only.

/// The largest resident memory that this process has had, in bytes; `None` outside Linux.
pub fn peak_resident_bytes() -> Option<u64> {
    field(
        &std::fs::read_to_string("/proc/self/status").ok()?,
        "VmHWM:",
    )
}

/// Memory in bytes that new work can use without swapping: the least of what is left in the machine, in the container
/// and below the limit on the address space. `None` outside Linux.
pub fn available_memory_bytes() -> Option<u64> {
    let machine = field(
        &std::fs::read_to_string("/proc/meminfo").ok()?,
        "MemAvailable:",
    )?;
    let limits = [container_memory_bytes(), address_space_bytes()];
    Some(limits.into_iter().flatten().fold(machine, u64::min))
}

/// Bytes left below the limit on the address space (`ulimit -v`); `None` without a limit.
fn address_space_bytes() -> Option<u64> {
    #[cfg(target_os = "linux")]
    {
        let limit = address_space_limit()?;
        (limit.rlim_cur != libc::RLIM_INFINITY)
            .then(|| limit.rlim_cur.saturating_sub(address_space_in_use()))
    }
    #[cfg(not(target_os = "linux"))]
    None
}

#[cfg(target_os = "linux")]
fn address_space_limit() -> Option<libc::rlimit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a limit that lives through the call.
    (unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) } == 0).then_some(limit)
}

#[cfg(target_os = "linux")]
fn address_space_in_use() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    field(&status, "VmSize:").unwrap_or_default()
}

/// Bytes left below the limit of the control group (version 2); `None` without a limit.
fn container_memory_bytes() -> Option<u64> {
    let number = |name: &str| -> Option<u64> {
        let text = std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?;
        text.trim().parse().ok()
    };
    // The file holds "max" when there is no limit.
    let limit = number("memory.max")?;
    Some(limit.saturating_sub(number("memory.current")?))
}

/// Makes allocations fail once the process has `bytes` more of address space in use than now; does nothing outside
/// Linux.
pub fn limit_memory(bytes: u64) {
    #[cfg(target_os = "linux")]
    if let Some(mut limit) = address_space_limit() {
        let most = address_space_in_use().saturating_add(bytes);
        limit.rlim_cur = limit.rlim_cur.min(most);
        // SAFETY: the pointer is to a limit that lives through the call.
        unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = bytes;
}

/// Parses a number of bytes as a person types it: `500M`, `8G`, `1.5GiB`, `1000000`. K, M, G and T are powers of 1024.
///
/// # Errors
/// A message that contains the text and an example.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(format!("'{text}' is no size: 500M, 8G")),
    };
    match digits.trim().parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => {
            Ok((number * (1_u64 << shift) as f64) as u64)
        }
        _ => Err(format!("'{text}' is no size: 500M, 8G")),
    }
}

/// The value, in bytes, of the line called `name` in a file of `/proc`, such as `VmHWM:     1234 kB`.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_type_them() {
        assert_eq!(parse_bytes("500M"), Ok(500 << 20));
        assert_eq!(parse_bytes("1.5GiB"), Ok(3 << 29));
        assert_eq!(parse_bytes("8 gb"), Ok(8 << 30));
        assert_eq!(parse_bytes("1000000"), Ok(1_000_000));
        for wrong in ["", "M", "-1G", "0", "inf", "5X", "nanG", "1e400", "8G8"] {
            assert!(parse_bytes(wrong).unwrap_err().contains("500M"), "{wrong}");
        }
    }

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
