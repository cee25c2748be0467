//! Measures one image in a child process, so that an image that crashes the program, or needs too much memory, ends
//! only the child.

use anyhow::Context;
use curation::child_process::{Ending, measure_in_child};
use std::io::{self, Read, Write};
use std::process::{Command, Stdio};

/// Runs this program as `prep measure-in-child`, with the request `order` on its standard input.
///
/// # Errors
/// When no process can be started, or when it reports an error.
pub fn in_a_child(order: &[u8]) -> io::Result<Ending> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["measure-in-child", "--quiet", "--threads", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        // A child that dies early does not read everything. The write error is ignored, since the exit status says
        // more.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(order)));
        child.wait_with_output()
    })?;
    let words = String::from_utf8_lossy(&output.stderr);
    let words = words.lines().find(|line| !line.trim().is_empty());
    if let Some(crash) = cli::crash_of(output.status) {
        // When memory runs out, the system ends a process by SIGKILL.
        let is_out_of_memory =
            crash == "signal 9" || words.is_some_and(|words| words.contains("memory allocation"));
        let how = match words {
            Some(words) => format!("{crash}: {words}"),
            None => crash,
        };
        return Ok(match is_out_of_memory {
            true => Ending::OutOfMemory(how),
            false => Ending::Crashed(how),
        });
    }
    if output.status.success() {
        return Ok(Ending::Measured(output.stdout));
    }
    Err(io::Error::other(format!(
        "a child process could not measure an image ({}): {}",
        output.status,
        words.unwrap_or("it said nothing")
    )))
}

/// Runs in the child: reads a request from standard input and writes the measurement to standard output. The child may
/// use 90 % of the free memory, so that it fails by itself before memory runs out and the system ends some other
/// process.
///
/// # Errors
/// When standard input does not hold a valid request.
pub fn run() -> anyhow::Result<()> {
    if let Some(free) = cli::available_memory_bytes() {
        cli::limit_memory(free / 10 * 9);
    }
    let mut order = Vec::new();
    io::stdin()
        .read_to_end(&mut order)
        .context("cannot read standard input")?;
    let measured = measure_in_child(&order).context("`prep run` uses this command")?;
    io::stdout()
        .write_all(&measured)
        .context("cannot write to standard output")
}
