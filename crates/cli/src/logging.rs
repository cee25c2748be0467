//! Log lines on stderr, printed above the progress bars.
//!
//! By default a line is a plain sentence, with `warning: ` or `error: ` in front where it applies. With `--verbose` it
//! begins with the seconds since the start and the module that wrote it.

use std::fmt;
use std::io::{self, Write};
use std::time::Instant;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use crate::console::console;

/// Installs the logger; a second call changes nothing.
pub(crate) fn start(quiet: bool, verbose: u8) {
    let level = match (quiet, verbose) {
        (true, _) => "warn",
        (false, 0) => "info",
        (false, 1) => "debug",
        (false, _) => "trace",
    };
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => EnvFilter::builder().parse_lossy(text),
        _ => EnvFilter::new(level),
    };
    let logger = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(console().color)
        .with_writer(AboveBars)
        .event_format(Sentence {
            start: Instant::now(),
            detailed: verbose > 0,
        });
    let _ = logger.try_init();
}

/// Writes whole lines to stderr, above the bars. Errors are ignored, since `tracing` would panic on them, and a stderr
/// that is closed (`2>&1 | head`) is not a failure of the tool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AboveBars;

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = console()
            .bars
            .suspend(|| io::stderr().lock().write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stderr().flush();
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for AboveBars {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

struct Sentence {
    start: Instant,
    detailed: bool,
}

impl<S, N> FormatEvent<S, N> for Sentence
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if self.detailed {
            let elapsed = self.start.elapsed().as_secs_f64();
            write!(line, "{elapsed:8.3}s {}: ", event.metadata().target())?;
        }
        let (label, color) = match *event.metadata().level() {
            Level::ERROR => ("error: ", "\x1b[1;31m"),
            Level::WARN => ("warning: ", "\x1b[1;33m"),
            Level::INFO => ("", ""),
            Level::DEBUG => ("debug: ", "\x1b[2m"),
            Level::TRACE => ("trace: ", "\x1b[2m"),
        };
        if line.has_ansi_escapes() && !label.is_empty() {
            write!(line, "{color}{label}\x1b[0m")?;
        } else {
            line.write_str(label)?;
        }
        let mut fields = String::new();
        context
            .field_format()
            .format_fields(Writer::new(&mut fields), event)?;
        line.write_str(&crate::printable(&fields))?;
        writeln!(line)
    }
}
