//! From a `Result` to an exit code, with the error told once.

use std::io::{self, Write};
use std::process::ExitCode;

/// Leaves with an exit code of the tool's own, as an error that [`run_main`] does not print: everything is said already.
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

/// Runs a tool: tunes the allocator, runs `work`, prints its error once and gives the exit code.
///
/// 0 when it went well, 1 with `error: outer: inner: cause` on stderr when not (and `{"error": ...}` on stdout with
/// `--json`). Bad usage never comes here: clap leaves with 2. An error [`Leave`] gives its own code.
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
    // Nobody is left to tell when stderr is gone too.
    let _ = console
        .bars
        .suspend(|| writeln!(io::stderr().lock(), "{label} {text}"));
    ExitCode::FAILURE
}

/// `outer: inner: cause`, without repeating a cause that the message above it already ends with.
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
