//! Free disk space.

use std::path::Path;

/// Free bytes of the file system that contains `folder`; `None` where the system does not report them.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let path = std::ffi::CString::new(folder.as_os_str().as_bytes()).ok()?;
        let mut stats = std::mem::MaybeUninit::<libc::statvfs>::uninit();
        // SAFETY: `path` ends with a zero byte, and `stats` is written in full when 0 is returned.
        let stats = unsafe {
            if libc::statvfs(path.as_ptr(), stats.as_mut_ptr()) != 0 {
                return None;
            }
            stats.assume_init()
        };
        #[allow(clippy::unnecessary_cast, reason = "the types differ between systems")]
        Some(stats.f_bavail as u64 * stats.f_frsize as u64)
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_space_is_reported() {
        if cfg!(unix) {
            assert!(free_bytes(Path::new(".")).unwrap() > 0);
            assert_eq!(free_bytes(Path::new("/no/such/folder")), None);
        }
    }
}
