//! The two sides of a benchmark, ours and PyTorch's: worker processes that measure one case per line of input.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use ops::device::DeviceName;
use serde_json::Value;

/// The result of one case, as a worker reports it.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// The median time of a call, in milliseconds.
    pub ms: f64,
    /// The growth of the peak memory during the case, in MiB.
    pub peak_mb: f64,
}

/// A process that reads lines `<case> <seconds>` and answers each with a line of JSON.
pub struct Worker {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

/// Environment variables with which the allocator keeps freed memory in the process; this speeds up both sides.
const ALLOCATOR: [(&str, &str); 2] = [
    ("MALLOC_MMAP_THRESHOLD_", "1073741824"),
    ("MALLOC_TRIM_THRESHOLD_", "4000000000"),
];

impl Worker {
    /// Starts our side: this program with the command `worker`.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn ours(threads: usize, device: DeviceName) -> Result<Worker> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(program);
        command
            .args(["worker", "--device", &device.to_string()])
            .env("RAYON_NUM_THREADS", threads.to_string());
        Worker::start(command)
    }

    /// Starts PyTorch's side with the interpreter `python`.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn torch(python: &str, threads: usize, device: DeviceName) -> Result<Worker> {
        let mut command = Command::new(python);
        command.args([
            "dev/bench/peers/torch_peer.py",
            &threads.to_string(),
            &device.to_string(),
        ]);
        command
            .envs(ALLOCATOR)
            .env("OMP_NUM_THREADS", threads.to_string());
        Worker::start(command)
    }

    fn start(mut command: Command) -> Result<Worker> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {:?}", command.get_program()))?;
        let stdin = child.stdin.take().context("no standard input")?;
        let stdout = BufReader::new(child.stdout.take().context("no standard output")?);
        Ok(Worker {
            child,
            stdin,
            stdout,
        })
    }

    /// Runs one case for about `seconds` and returns the worker's result.
    ///
    /// # Errors
    /// When the worker ends, or its answer cannot be parsed.
    pub fn measure(&mut self, case: &str, seconds: f64) -> Result<Measured> {
        writeln!(self.stdin, "{case} {seconds}")
            .with_context(|| format!("the worker ended before '{case}'"))?;
        self.stdin.flush()?;
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line)
            .with_context(|| format!("the worker said '{line}' of '{case}'"))?;
        let number = |key: &str| {
            answer[key]
                .as_f64()
                .with_context(|| format!("the worker said '{line}' of '{case}'"))
        };
        Ok(Measured {
            ms: number("ms")?,
            peak_mb: number("peak_mb")?,
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The child is ours and has nothing to save.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether this Python interpreter can import torch.
pub fn has_torch(python: &str) -> bool {
    Command::new(python)
        .args(["-c", "import torch"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The version of torch in this Python interpreter.
pub fn torch_version(python: &str) -> String {
    let output = Command::new(python)
        .args(["-c", "import torch; print(torch.__version__)"])
        .output();
    output
        .map(|o| String::from_utf8_lossy(&o.stdout).trim().to_string())
        .unwrap_or_default()
}
