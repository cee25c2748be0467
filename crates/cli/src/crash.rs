//! Recognizes child processes that were ended by a signal or an exception.

use std::process::ExitStatus;

/// The signal that ended a process, as text. `None` for a process that exited, or that was ended by a signal with which
/// people stop programs (SIGINT, SIGTERM, SIGHUP, SIGQUIT).
#[cfg(unix)]
pub fn crash_of(status: ExitStatus) -> Option<String> {
    use std::os::unix::process::ExitStatusExt;

    let signal = status.signal()?;
    let is_stop = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT].contains(&signal);
    (!is_stop).then(|| format!("signal {signal}"))
}

/// The exception that ended a process, as text; `None` for a process that exited.
#[cfg(not(unix))]
pub fn crash_of(status: ExitStatus) -> Option<String> {
    // Exit codes from here on are those of exceptions.
    const FIRST_EXCEPTION: u32 = 0xC000_0000;
    let code = status.code()? as u32;
    (code >= FIRST_EXCEPTION).then(|| format!("exception {code:#x}"))
}
