//! Fuzz test of the ONNX detector: loads and runs mutated model files in a child process, which must not crash or hang.
//!
//!     cargo run --release -p detect --example fuzz_onnx -- 100000 FILE.onnx...
//!
//! Half of the mutations flip bits and move bytes, half change numbers, names and operators in the protobuf messages of
//! the file. Mutations are numbered from 0 and reproducible; `FROM..TO` in place of the count runs only these numbers.
//! The mutated file of each failure is written to the current folder as `fuzz-NUMBER.onnx`.

mod mutate;
mod tree;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use detect::onnx::OnnxDetector;
use detect::{DetectOptions, Detector, NamedImage};
use image::{Rgb, RgbImage};

/// A mutation whose loading and running takes longer counts as a hang.
const LIMIT: Duration = Duration::from_secs(10);
const CHILD: &str = "--child";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match &args[..] {
        [mode, from, to, files @ ..] if mode == CHILD => number(from)
            .and_then(|from| Ok((from, number(to)?)))
            .and_then(|(from, to)| work(from, to, files)),
        [count, files @ ..] if !files.is_empty() => range(count)
            .and_then(|(from, to)| supervise(from, to, files))
            .and_then(|failed| match failed {
                0 => Ok(()),
                n => Err(format!("{n} mutations failed")),
            }),
        _ => Err("usage: fuzz_onnx COUNT|FROM..TO FILE.onnx...".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

fn range(text: &str) -> Result<(u64, u64), String> {
    match text.split_once("..") {
        Some((from, to)) => Ok((number(from)?, number(to)?)),
        None => Ok((0, number(text)?)),
    }
}

fn models(files: &[String]) -> Result<Vec<mutate::Model>, String> {
    let read = |file: &String| {
        let bytes = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
        Ok(mutate::Model::new(bytes))
    };
    files.iter().map(read).collect()
}

/// The child process: runs mutations `from..to` and prints `NUMBER MILLISECONDS OUTCOME` for each to stdout.
fn work(from: u64, to: u64, files: &[String]) -> Result<(), String> {
    // Panics of the runtime are caught and become errors; silence their many messages.
    std::panic::set_hook(Box::new(|_| {}));
    let models = models(files)?;
    let path = scratch();
    let mut out = std::io::stdout().lock();
    let image = RgbImage::from_fn(96, 64, |x, y| Rgb([x as u8, y as u8, 99]));
    for index in from..to {
        let model = &models[(index % models.len() as u64) as usize];
        std::fs::write(&path, model.mutated(index)).map_err(|error| error.to_string())?;
        let start = Instant::now();
        let outcome = match OnnxDetector::load(&path) {
            Err(error) if error.to_string().contains("gave up") => "panicked",
            Err(error) if error.to_string().contains("cannot run") => "cannot run",
            Err(error) if error.to_string().contains("not a usable") => "runtime refused",
            Err(_) => "refused",
            Ok(detector) => {
                let named = NamedImage {
                    image: &image,
                    name: "drawn",
                };
                match detector.detect(&named, &DetectOptions::default()) {
                    Ok(_) => "ran",
                    Err(_) => "run refused",
                }
            }
        };
        let line = format!("{index} {} {outcome}", start.elapsed().as_millis());
        writeln!(out, "{line}")
            .and_then(|()| out.flush())
            .map_err(|error| error.to_string())?;
    }
    let memory = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = memory.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    eprintln!(
        "a child took at most {} of memory",
        peak.unwrap_or("?").trim()
    );
    let _ = std::fs::remove_file(path);
    Ok(())
}

fn scratch() -> PathBuf {
    std::env::temp_dir().join(format!("fuzz-onnx-{}.onnx", std::process::id()))
}

/// Runs child processes until all mutations are done; returns the number of mutations that ended a child.
fn supervise(from: u64, to: u64, files: &[String]) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut counts = std::collections::BTreeMap::new();
    let (mut next, mut failed, mut slowest) = (from, 0, (0, 0));
    while next < to {
        let mut child = Command::new(&program)
            .args([CHILD, &next.to_string(), &to.to_string()])
            .args(files)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let stdout = child.stdout.take().ok_or("the child has no output")?;
        let (sender, receiver) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        // The extra two seconds are for reading and writing the file.
        let why = loop {
            match receiver.recv_timeout(LIMIT + Duration::from_secs(2)) {
                Ok(line) => {
                    let mut parts = line.splitn(3, ' ');
                    let mut whole = || parts.next().and_then(|part| part.parse::<u64>().ok());
                    let (Some(index), Some(time)) = (whole(), whole()) else {
                        return Err(format!("the child said {line:?}"));
                    };
                    let outcome = parts.next().unwrap_or_default().to_owned();
                    slowest = slowest.max((time, index));
                    *counts.entry(outcome).or_insert(0u64) += 1;
                    next = index + 1;
                    if next % 1000 == 0 {
                        eprintln!("{next} of {to}: {counts:?}, slowest {slowest:?} (ms, number)");
                    }
                }
                Err(mpsc::RecvTimeoutError::Timeout) => break Some("took too long".to_owned()),
                Err(mpsc::RecvTimeoutError::Disconnected) => break None,
            }
        };
        if why.is_some() {
            let _ = child.kill();
        }
        let status = child.wait().map_err(|error| error.to_string())?;
        let _ = reader.join();
        if next < to {
            failed += 1;
            let why = why.unwrap_or_else(|| format!("ended: {status}"));
            keep(next, files, &why)?;
            next += 1;
        }
    }
    println!(
        "{} mutations: {counts:?}, {failed} failed, slowest {slowest:?} (ms, number)",
        to - from
    );
    Ok(failed)
}

fn keep(index: u64, files: &[String], why: &str) -> Result<(), String> {
    let models = models(files)?;
    let name = format!("fuzz-{index}.onnx");
    let bytes = models[(index % models.len() as u64) as usize].mutated(index);
    std::fs::write(Path::new(&name), bytes).map_err(|error| format!("{name}: {error}"))?;
    println!("mutation {index} {why}: kept as {name}");
    Ok(())
}
