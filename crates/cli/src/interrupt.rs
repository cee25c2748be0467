//! Cleans up on Ctrl-C, SIGTERM and a lost terminal (SIGHUP). Then the program ends as it would without this module.

use anyhow::Context;

/// Runs `clean_up` when SIGINT, SIGTERM or SIGHUP asks the program to stop, then ends it as that signal does (a shell
/// sees 130, 143 or 129).
///
/// For programs that have nothing to save. A program that saves its state handles the signals itself instead.
///
/// # Errors
/// When the system refuses to deliver signals or to start a thread.
#[cfg(unix)]
pub fn on_interrupt(clean_up: impl Fn() + Send + 'static) -> anyhow::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    let wanted = [SIGINT, SIGTERM, SIGHUP]
        .into_iter()
        .filter(|&s| !is_ignored(s));
    let mut signals =
        signal_hook::iterator::Signals::new(wanted).context("cannot listen for signals")?;
    let wait = move || {
        if let Some(signal) = signals.forever().next() {
            clean_up();
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(wait)
        .context("cannot start a thread that listens for signals")?;
    Ok(())
}

/// Does nothing on this platform: the system ends the program without a cleanup.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn on_interrupt(_: impl Fn() + Send + 'static) -> anyhow::Result<()> {
    Ok(())
}

/// Whether a signal is ignored, as SIGHUP is in a program that was started with `nohup`. It should stay ignored.
#[cfg(unix)]
pub fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null pointer asks for the present action, which is written in full when 0 is returned; zeroed memory is
    // a valid action in any case.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}
