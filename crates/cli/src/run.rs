//! Runs a tool and turns its result into an exit code; an error is printed once.

use std::io::{self, Write};
use std::process::ExitCode;

/// An error with which a tool exits with a code of its own. [`run_main`] prints no message for it, since the tool has
/// reported everything already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leave(
    /// The exit code.
    pub u8,
);

impl std::fmt::Display for Leave {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code {}", self.0)
    }
}

impl std::error::Error for Leave {}

/// Runs a tool: tunes the allocator, runs `work`, prints its error once and returns the exit code.
///
/// The code is 0 on success. On an error it is 1, with `error: outer: inner: cause` on stderr (and `{"error": ...}` on
/// stdout with `--json`). An error [`Leave`] gives its own code. Bad usage does not get here, since clap exits with 2.
pub fn run_main(work: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    crate::tune_allocator();
    let result = work().and_then(|()| match crate::output::take_failure() {
        Some(e) => Err(anyhow::Error::new(e).context("cannot write to standard output")),
        None => Ok(()),
    });
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    if let Some(Leave(code)) = error.downcast_ref::<Leave>() {
        return ExitCode::from(*code);
    }
    let text = chain(&error);
    let text = crate::printable(&text);
    if crate::is_json() {
        crate::outln!("{}", serde_json::json!({ "error": text }));
    }
    let console = crate::console::console();
    let label = if console.color {
        "\x1b[1;31merror:\x1b[0m"
    } else {
        "error:"
    };
    // A failure to write to stderr cannot be reported anywhere.
    let _ = console
        .bars
        .suspend(|| writeln!(io::stderr().lock(), "{label} {text}"));
    ExitCode::FAILURE
}

/// The messages of an error and its causes as `outer: inner: cause`. A cause is left out when the text before it ends
/// with it.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::chain;

    #[test]
    fn each_cause_is_told_once() {
        let error = anyhow!("disk full")
            .context("write 'a.zip'")
            .context("cannot pack");
        assert_eq!(chain(&error), "cannot pack: write 'a.zip': disk full");
        let error = anyhow!("disk full").context("cannot pack: disk full");
        assert_eq!(chain(&error), "cannot pack: disk full");
    }
}
