//! Build facts for `--version`: git commit (when built from a checkout), profile, target, features.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_default();
    // The log of HEAD changes with every commit and checkout. A path that does not exist would cause a rebuild every
    // time.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        let path = std::path::absolute(log).unwrap_or_default();
        if path.is_file() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    let mut features: Vec<String> = std::env::vars()
        .filter_map(|(key, _)| Some(key.strip_prefix("CARGO_FEATURE_")?.to_lowercase()))
        .collect();
    features.sort();
    println!("cargo::rustc-env=BUILD_COMMIT={commit}");
    println!("cargo::rustc-env=BUILD_FEATURES={}", features.join(","));
    for (name, key) in [("BUILD_PROFILE", "PROFILE"), ("BUILD_TARGET", "TARGET")] {
        println!(
            "cargo::rustc-env={name}={}",
            std::env::var(key).unwrap_or_default()
        );
    }
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
