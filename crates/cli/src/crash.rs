//! Child processes that were ended by a signal or an exception.

use std::process::ExitStatus;

/// The signal that ended a process, unless it is one by which people stop programs; `None` for a process that exited.
#[cfg(unix)]
pub fn crash_of(status: ExitStatus) -> Option<String> {
    use std::os::unix::process::ExitStatusExt;

    let signal = status.signal()?;
    let is_stop = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT].contains(&signal);
    (!is_stop).then(|| format!("signal {signal}"))
}

/// The exception that ended a process; `None` for a process that exited.
#[cfg(not(unix))]
pub fn crash_of(status: ExitStatus) -> Option<String> {
    // Codes from here on are those of exceptions.
    const FIRST_EXCEPTION: u32 = 0xC000_0000;
    let code = status.code()? as u32;
    (code >= FIRST_EXCEPTION).then(|| format!("exception {code:#x}"))
}
