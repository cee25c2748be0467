//! Handles Ctrl-C, SIGTERM and a terminal that hangs up: the run saves its state and ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Installed handlers for the signals that ask a run to stop.
pub struct Signals {
    which: Arc<AtomicUsize>,
}

impl Signals {
    /// Installs handlers that set `stop` when a signal arrives. A second signal ends the program at once; this is safe,
    /// because files get their final names only when they are complete.
    pub fn listen(stop: &Arc<AtomicBool>) -> Result<Self> {
        let which = Arc::new(AtomicUsize::new(0));
        let asked = Arc::new(AtomicBool::new(false));
        for signal in signals() {
            let listen = || {
                flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&asked))?;
                flag::register(signal, Arc::clone(&asked))?;
                flag::register_usize(signal, Arc::clone(&which), signal as usize)?;
                flag::register(signal, Arc::clone(stop))
            };
            listen().with_context(|| format!("cannot listen for signal {signal}"))?;
        }
        // A signal handler must not print, and a step may take long, so a thread prints the message.
        let announce = move || {
            while !asked.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(100));
            }
            tracing::warn!(
                "stopping after this step; the state is saved (once more: stop at once)"
            );
        };
        std::thread::Builder::new()
            .spawn(announce)
            .context("cannot start a thread that waits for signals")?;
        Ok(Self { which })
    }

    /// The exit code for the signal that arrived, by convention 128 plus its number; `None` when none arrived.
    pub fn exit_code(&self) -> Option<u8> {
        match self.which.load(Ordering::Relaxed) {
            0 => None,
            signal => u8::try_from(128 + signal).ok(),
        }
    }
}

/// The signals to handle. Those that were ignored when the program started (SIGHUP under `nohup`) stay ignored.
#[cfg(unix)]
fn signals() -> impl Iterator<Item = i32> {
    [SIGINT, SIGTERM, signal_hook::consts::SIGHUP]
        .into_iter()
        .filter(|&signal| !cli::is_ignored(signal))
}

#[cfg(not(unix))]
fn signals() -> impl Iterator<Item = i32> {
    [SIGINT, SIGTERM].into_iter()
}
