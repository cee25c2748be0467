//! Development programs.

mod golden;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["golden", dir] => golden(Path::new(dir)),
        _ => Err(anyhow::anyhow!("usage: cargo xtask golden DIR")),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Compares with all golden data in `dir`; true when every case is within its tolerance.
fn golden(dir: &Path) -> anyhow::Result<bool> {
    let results = golden::pickle::run(&dir.join("pickle"))?;
    for case in &results {
        let verdict = if case.passed() { "ok" } else { "FAILED" };
        println!(
            "{verdict:6} {}/{} {:e} (<= {:e})",
            case.suite, case.case, case.worst, case.tolerance
        );
    }
    Ok(results.iter().all(golden::CaseResult::passed))
}
