//! `cargo xtask`: starts the development programs.
//!
//! This package has no dependencies, so it builds within seconds and prints its first line at once. The commands
//! `demo`, `study` and `pages` are implemented here; every other command builds the package that implements it and
//! passes the arguments on.

use std::ffi::OsString;
use std::process::{Command, ExitCode, ExitStatus};

mod cargo;
mod demo;
mod pages;
mod runs;
mod study;

/// A command that another package implements.
struct Forwarded {
    name: &'static str,
    package: &'static str,
    /// Arguments that precede those of the user.
    first: &'static [&'static str],
    /// Whether it measures speed; such packages are always built with optimization.
    is_timed: bool,
    about: &'static str,
}

const FORWARDED: [Forwarded; 6] = [
    Forwarded {
        name: "golden",
        package: "golden",
        first: &[],
        is_timed: false,
        about: "Run every case of a folder of golden data and print the worst errors",
    },
    Forwarded {
        name: "bench",
        package: "bench",
        first: &["speed"],
        is_timed: true,
        about: "Measure our speed beside PyTorch's",
    },
    Forwarded {
        name: "detect-eval",
        package: "bench",
        first: &["detect-eval"],
        is_timed: true,
        about: "Recall, precision, AP and speed of face detectors on a folder with a boxes.json",
    },
    Forwarded {
        name: "sample",
        package: "synthetic-dump",
        first: &[],
        is_timed: false,
        about: "Draw the synthetic dump: illustrations, copies of them, broken files, and the truth about each",
    },
    Forwarded {
        name: "cuda-toolkit",
        package: "cuda-setup",
        first: &["cuda-toolkit"],
        is_timed: false,
        about: "Get NVIDIA's compiler and libraries as Python wheels, and print the environment for CUDA builds",
    },
    Forwarded {
        name: "emulated-gpu",
        package: "cuda-setup",
        first: &["emulated-gpu"],
        is_timed: false,
        about: "Build the library that computes on the CPU in place of a GPU, and print the environment",
    },
];

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let command = arguments.next().unwrap_or_default();
    let arguments: Vec<OsString> = arguments.collect();
    let command = match command.to_str() {
        // The former name of the command.
        Some("emulated-card") => "emulated-gpu".into(),
        _ => command,
    };
    let result = match command.to_str() {
        Some("demo") => demo::run(&arguments),
        Some("pages") => pages::run(&arguments),
        Some("study") => study::run(&arguments),
        Some("" | "help" | "-h" | "--help") => {
            print!("{}", usage());
            return ExitCode::SUCCESS;
        }
        name => match FORWARDED.iter().find(|f| Some(f.name) == name) {
            Some(forwarded) => return forward(forwarded, arguments),
            None => {
                eprint!(
                    "error: no command '{}'\n\n{}",
                    command.to_string_lossy(),
                    usage()
                );
                return ExitCode::from(2);
            }
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Usage(message)) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
        Err(Error::Failed(message)) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The reason why a command failed.
#[derive(Debug)]
enum Error {
    /// The arguments are wrong (exit code 2); the value is the message.
    Usage(String),
    /// The work failed (exit code 1); the value is the message.
    Failed(String),
}

type Result<T> = std::result::Result<T, Error>;

/// Runs the package of a command with the user's arguments, except `--release`, which is passed to cargo.
fn forward(forwarded: &Forwarded, mut arguments: Vec<OsString>) -> ExitCode {
    let n_all = arguments.len();
    arguments.retain(|argument| argument != "--release");
    let is_release = forwarded.is_timed || arguments.len() < n_all;
    let mut command = cargo::command();
    command.args(["run", "--quiet", "--package", forwarded.package]);
    if is_release {
        command.arg("--release");
    }
    eprintln!(
        "building the package '{}' (minutes the first time)",
        forwarded.package
    );
    command.arg("--").args(forwarded.first).args(arguments);
    match status_of(&mut command) {
        Ok(status) => ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)),
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn status_of(command: &mut Command) -> std::result::Result<ExitStatus, String> {
    let status = command.status();
    status.map_err(|e| format!("cannot start '{}': {e}", command.get_program().display()))
}

fn usage() -> String {
    let mut text = String::from(
        "Development programs\n\nUsage: cargo xtask COMMAND [ARGUMENTS]; --help behind a command prints its arguments\n\n",
    );
    let own = [
        (
            "demo",
            "See it work: a synthetic dump becomes a dataset, two small runs train, one page compares them",
        ),
        (
            "study",
            "What little data does, with and without augmentation: hours of training, pages and tables",
        ),
        (
            "pages",
            "Write shell completions and man pages of all tools",
        ),
    ];
    let forwarded = FORWARDED.iter().map(|f| (f.name, f.about));
    for (name, about) in own.into_iter().chain(forwarded) {
        text += &format!("  {name:<14} {about}\n");
    }
    text
}
