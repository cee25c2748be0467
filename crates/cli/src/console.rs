//! State shared by logging, progress bars and results: what kind of terminal stderr is, and what the flags ask for.

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressDrawTarget};

/// Interval between the log lines that report progress where a bar cannot be drawn.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// The form in which progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProgressStyle {
    /// A bar that is redrawn in place.
    Bar,
    /// A log line at this interval.
    Lines(Duration),
    /// Nothing (`--quiet`).
    Hidden,
}

#[derive(Debug)]
pub(crate) struct Console {
    pub(crate) bars: MultiProgress,
    pub(crate) style: ProgressStyle,
    pub(crate) color: bool,
    pub(crate) json: bool,
}

static CONSOLE: OnceLock<Console> = OnceLock::new();

/// The console as [`start`] set it up, or without any flags when it was not called before (as in tests).
pub(crate) fn console() -> &'static Console {
    CONSOLE.get_or_init(|| Console::new(false, false))
}

/// Sets up the console. Only the first call has an effect; returns whether this one had.
pub(crate) fn start(quiet: bool, json: bool) -> bool {
    let mut first = false;
    CONSOLE.get_or_init(|| {
        first = true;
        Console::new(quiet, json)
    });
    first
}

impl Console {
    fn new(quiet: bool, json: bool) -> Self {
        let terminal =
            std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|t| t != "dumb");
        let style = match (quiet, terminal) {
            (true, _) => ProgressStyle::Hidden,
            (false, true) => ProgressStyle::Bar,
            (false, false) => ProgressStyle::Lines(LINE_INTERVAL),
        };
        let target = match style {
            ProgressStyle::Bar => crate::terminal::stderr(),
            _ => ProgressDrawTarget::hidden(),
        };
        Self {
            bars: MultiProgress::with_draw_target(target),
            style,
            color: terminal && !no_color(std::env::var_os("NO_COLOR").as_deref()),
            json,
        }
    }
}

/// Whether the value of `NO_COLOR` asks for no color: it is set and not empty (<https://no-color.org>).
fn no_color(value: Option<&std::ffi::OsStr>) -> bool {
    value.is_some_and(|v| !v.is_empty())
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_color_counts_when_set_and_not_empty() {
        assert!(super::no_color(Some("1".as_ref())));
        assert!(!super::no_color(Some("".as_ref())));
        assert!(!super::no_color(None));
    }
}
