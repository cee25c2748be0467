//! Results on stdout. A reader that closes the pipe (`| head`) is not a failure: the rest of the output is dropped.

use std::fmt;
use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::console::console;

static CLOSED: AtomicBool = AtomicBool::new(false);
static FAILURE: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints a line to stdout, above the progress bars, and does not panic on a closed pipe. Takes the arguments of
/// `println!`.
#[macro_export]
macro_rules! outln {
    () => { $crate::write_stdout(format_args!("\n")) };
    ($($text:tt)*) => { $crate::write_stdout(format_args!("{}\n", format_args!($($text)*))) };
}

/// Whether results are printed as JSON (`--json`).
pub fn is_json() -> bool {
    console().json
}

/// Prints a result: as one line of JSON with `--json`, else as the text that `human` returns.
pub fn report<T: Serialize>(result: &T, human: impl FnOnce(&T) -> String) {
    if !is_json() {
        outln!("{}", human(result).trim_end());
        return;
    }
    match serde_json::to_string(result) {
        Ok(line) => outln!("{line}"),
        Err(e) => remember(io::Error::other(format!("result is not JSON: {e}"))),
    }
}

/// Serializes a path as text, for fields of results. Bytes that are not UTF-8 are replaced, so that the result can be
/// printed in any case.
///
/// # Errors
/// Those of the serializer.
pub fn lossy<S: serde::Serializer>(
    path: &std::path::Path,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// Writes text to stdout; [`outln!`] calls this.
///
/// The first failure other than a closed pipe, such as a full disk, is kept for [`run_main`](crate::run_main), which
/// turns it into exit code 1.
pub fn write_stdout(text: fmt::Arguments<'_>) {
    if CLOSED.load(Ordering::Relaxed) {
        return;
    }
    let text = text.to_string();
    let text = match is_json() {
        true => files::printable_json(&text),
        false => crate::printable(&text),
    };
    let written = console().bars.suspend(|| {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    });
    if let Err(e) = written {
        CLOSED.store(true, Ordering::Relaxed);
        if e.kind() != io::ErrorKind::BrokenPipe {
            remember(e);
        }
    }
}

/// Returns the first failure to write to stdout and forgets it; `None` when there was none. The caller reports it.
pub(crate) fn take_failure() -> Option<io::Error> {
    FAILURE.lock().ok()?.take()
}

fn remember(error: io::Error) {
    if let Ok(mut failure) = FAILURE.lock() {
        failure.get_or_insert(error);
    }
}
