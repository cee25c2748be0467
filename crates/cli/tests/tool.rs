//! Tests of real processes with real pipes, those of the example tool `probe`.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// Path of the example, `target/<profile>/examples/probe`. This test is in the folder `deps` beside `examples`.
fn probe() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("examples/probe")
        .with_extension(std::env::consts::EXE_EXTENSION)
}

fn run(args: &[&str]) -> (Output, String, String) {
    let output = Command::new(probe())
        .args(args)
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    (output, stdout, stderr)
}

#[test]
fn results_go_to_stdout_and_the_rest_to_stderr_plain() {
    let (output, stdout, stderr) = run(&["--lines", "2"]);
    assert!(output.status.success());
    assert_eq!(stdout, "line 0\nline 1\n2 lines\n");
    assert!(
        stderr.contains("warning: about to print lines=2\n"),
        "{stderr}"
    );
    assert!(stderr.contains("printing: 2 lines in 0s ("), "{stderr}");
    assert!(
        !stderr.contains('\x1b') && !stderr.contains("starting"),
        "{stderr}"
    );
}

#[test]
fn verbose_shows_more_and_quiet_less() {
    let (_, _, stderr) = run(&["-v"]);
    assert!(stderr.contains("probe: debug: starting"), "{stderr}");
    let (_, _, stderr) = run(&["--quiet", "--lines", "1"]);
    assert_eq!(stderr, "warning: about to print lines=1\n");
}

#[test]
fn an_error_is_told_once_as_a_chain_with_exit_code_1() {
    let (output, stdout, stderr) = run(&["--fail", "--quiet"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout, "");
    assert!(
        stderr.ends_with("error: cannot finish: 'x.zip' does not exist\n"),
        "{stderr}"
    );
    assert_eq!(stderr.matches("x.zip").count(), 1);
}

#[test]
fn json_results_and_errors_are_one_object_a_line() {
    let (_, stdout, _) = run(&["--json", "--threads", "1"]);
    assert_eq!(stdout, "{\"lines\":0}\n");
    let (output, stdout, _) = run(&["--json", "--fail"]);
    assert_eq!(output.status.code(), Some(1));
    let object: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(object["error"], "cannot finish: 'x.zip' does not exist");
}

#[test]
fn bad_usage_leaves_with_2() {
    let (output, _, stderr) = run(&["--lines", "minus"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("--lines"), "{stderr}");
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let mut child = Command::new(probe())
        .args(["--lines", "200000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 6];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"line 0");
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error() {
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = Command::new(probe())
        .args(["--lines", "1"])
        .stdout(full)
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("cannot write to standard output"),
        "{stderr}"
    );
}

#[test]
fn version_tells_build_facts() {
    let (_, stdout, _) = run(&["--version"]);
    assert!(
        stdout.contains("profile ") && stdout.contains("target "),
        "{stdout}"
    );
}
